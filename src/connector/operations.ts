import { z } from 'zod'
import { suggest } from '../config/suggest.ts'
import { CordboardError } from '../errors.ts'
import type { Operation } from './contract.ts'

/** An option of an operation, for its help. */
export interface OptionInfo {
  /** As it is written: `per-page`. */
  name: string
  /** What its value looks like: `NUMBER`, `call|chat`. */
  value: string
  about: string
  required: boolean
  /** May be given more than once. */
  repeats: boolean
}

/** Texts by option, as a command line or a fixture has them. */
export type GivenOptions = Readonly<Record<string, readonly string[]>>

/** Every option that the operation takes. */
export function optionsOf({ input }: Pick<Operation<unknown>, 'input'>): OptionInfo[] {
  const { properties = {}, required = [] } = z.toJSONSchema(input, { io: 'input', unrepresentable: 'any' })
  return Object.entries(properties).map(([key, property]) => {
    const schema = typeof property === 'object' ? property : {}
    return {
      name: kebab(key),
      value: looksLike(schema),
      about: schema.description ?? '',
      required: required.includes(key),
      repeats: schema.type === 'array',
    }
  })
}

/** The input of an operation from texts. Throws `bad_request` that names every option that is not as it should be. */
export function readInput<Input extends z.ZodObject>(
  operation: { input: Input },
  given: GivenOptions,
  what: string,
): z.output<Input> {
  const options = optionsOf(operation)
  const input: Record<string, unknown> = {}
  for (const [name, values] of Object.entries(given)) {
    const option = options.find((one) => one.name === name)
    if (!option) throw unknown(name, options, what)
    if (!option.repeats && values.length > 1)
      throw new CordboardError('bad_request', `--${name} is given twice`)
    input[camel(name)] = option.repeats ? values : values[0]
  }
  const parsed = operation.input.safeParse(input)
  if (parsed.success) return parsed.data
  const wrong = parsed.error.issues.map(({ path: [key, ...deeper], message }) => {
    const name = kebab(String(key ?? ''))
    if (!Object.hasOwn(input, String(key ?? ''))) return `--${name} is missing`
    return `--${[name, ...deeper].join('.')}: ${message.replace(/^Invalid (?:input|option): /, '')}`
  })
  throw new CordboardError('bad_request', `${what}: ${[...new Set(wrong)].join('; ')}`, {
    fix: options.length === 0 ? 'It takes no options' : `It takes: ${options.map(synopsis).join(' ')}`,
  })
}

/** `--code CODE`, `[--page NUMBER]`, `[--where TEXT …]`. */
export function synopsis({ name, value, required, repeats }: OptionInfo): string {
  const text = `--${name} ${value}${repeats ? ' …' : ''}`
  return required ? text : `[${text}]`
}

function unknown(name: string, options: readonly OptionInfo[], what: string): CordboardError {
  const meant = suggest(
    name,
    options.map((one) => one.name),
  )
  const all = options.map(synopsis).join(' ')
  return new CordboardError('bad_request', `${what} has no option --${name}`, {
    fix: meant ? `Did you mean --${meant}?` : all === '' ? 'It takes no options' : `It takes: ${all}`,
  })
}

function looksLike(schema: z.core.JSONSchema.JSONSchema): string {
  const one = schema.type === 'array' && typeof schema.items === 'object' ? schema.items : schema
  const { type, enum: values, format } = Array.isArray(one) ? {} : one
  if (values) return values.join('|')
  if (type === 'integer' || type === 'number') return 'NUMBER'
  return format === 'date' ? 'DATE' : format === 'uri' ? 'URL' : 'TEXT'
}

const kebab = (key: string): string => key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
const camel = (name: string): string =>
  name.replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())
