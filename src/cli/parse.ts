import { parseArgs } from 'node:util'
import { suggest } from '../config/suggest.ts'
import { CordboardError } from '../errors.ts'
import { type Command, globalOptions, type More } from './command.ts'

export interface Parsed {
  flags: Record<string, string | boolean>
  args: readonly string[]
  more: More
}

/** The words after the command, by its definition. Throws `bad_request` with a suggestion. */
export function parse(name: string, command: Command, words: readonly string[]): Parsed {
  const options = { ...command.options, ...globalOptions }
  const types = Object.fromEntries(Object.entries(options).map(([key, { type }]) => [key, { type }]))
  const { tokens } = parseArgs({ args: [...words], options: types, strict: false, tokens: true })
  const flags: Record<string, string | boolean> = {}
  const args: string[] = []
  const more: Record<string, string[]> = {}
  const left = [...tokens]
  for (let token = left.shift(); token; token = left.shift()) {
    if (token.kind === 'positional') args.push(token.value)
    if (token.kind !== 'option') continue
    const option = Object.hasOwn(options, token.name)
      ? options[token.name as keyof typeof options]
      : undefined
    if (!option) {
      if (!command.takesMore || !token.rawName.startsWith('--'))
        throw unknownOption(name, token.rawName, Object.keys(options))
      // The parser takes what it does not know for a switch, and the value for a word.
      const [next] = left
      const isValue = token.value === undefined && next?.kind === 'positional'
      if (isValue) left.shift()
      const given = isValue ? next.value : (token.value ?? 'true')
      more[token.name] = [...(Object.hasOwn(more, token.name) ? (more[token.name] ?? []) : []), given]
      continue
    }
    if (option.type === 'boolean') {
      if (token.value !== undefined) throw wrong(name, `${token.rawName} takes no value`)
      flags[token.name] = true
    } else {
      const isMissing = token.value === undefined || (!token.inlineValue && /^--?[a-z]/.test(token.value))
      if (isMissing) throw wrong(name, `${token.rawName} needs a value`)
      flags[token.name] = token.value ?? ''
    }
  }
  const [least, most] = command.args
  if (flags.help !== true && args.length < least)
    throw wrong(name, `${name} needs ${command.usage.replace(name, '').trim()}`)
  if (args.length > most) throw wrong(name, `There is one word too many: ${args[most]}`)
  return { flags, args, more }
}

export function wrong(name: string, message: string, fix = `Read: cordboard ${name} --help`): CordboardError {
  return new CordboardError('bad_request', message, { fix })
}

function unknownOption(name: string, given: string, known: readonly string[]): CordboardError {
  const meant = suggest(given.replace(/^-+/, ''), known)
  const message = name === '' ? `There is no option ${given}` : `${name} has no option ${given}`
  return wrong(name, message, meant ? `Did you mean --${meant}?` : `Read: cordboard ${name} --help`)
}
