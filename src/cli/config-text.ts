import { ownSchema, secretKind } from '../config/own-keys.ts'
import { suggestedName } from '../config/secrets.ts'
import type { Connector } from '../connector/contract.ts'

/** The files that `cordboard init` writes. */
export interface ConfigText {
  /** cordboard.config.ts */
  config: string
  /** .env.example */
  env: string
}

export interface Draft {
  publicUrl: string | undefined
  region: string | undefined
  connections: readonly {
    id: string
    connector: Connector
    /** Values that are known; secrets among them go to the environment. */
    known?: Readonly<Record<string, unknown>>
  }[]
  flows: readonly { from: string[]; analyze: string[]; write: string[] }[]
}

export function configText({ publicUrl, region, connections, flows }: Draft): ConfigText {
  const variables: [name: string, value: string][] = []
  const blocks = connections.map(({ id, connector, known = {} }) => {
    const lines = keyLines(id, connector, known, variables)
    return [`    ${keyText(id)}: {`, `      use: '${connector.id}',`, ...lines, '    },'].join('\n')
  })
  const config = `import { defineConfig, secret } from 'cordboard'

export default defineConfig({
  ${publicUrl === undefined ? '// What vendors call and sign:\n  // ' : ''}publicUrl: ${quoted(publicUrl ?? 'https://calls.example.com')},
  ${region === undefined ? '// Of phone numbers without a country code:\n  // ' : ''}region: ${quoted(region ?? 'FR')},
  connections: {
${blocks.join('\n')}
  },
  flows: [
${flows.map((flow) => `    ${flowText(flow)},`).join('\n')}
  ],
})
`
  return { config, env: variables.map(([name, value]) => `${name}=${value}\n`).join('') }
}

/** Keys that must be given, to be filled in where they are no secrets; those that are known; optional secrets as a reminder. */
function keyLines(
  id: string,
  connector: Connector,
  known: Readonly<Record<string, unknown>>,
  variables: [string, string][],
): string[] {
  const { properties = {}, required = [] } = ownSchema(connector)
  const unknown = Object.keys(known).filter((key) => !Object.hasOwn(properties, key))
  return [...Object.keys(properties), ...unknown].flatMap((key) => {
    const schema = properties[key] ?? {}
    const isSecret = secretKind([schema]) !== null
    const isGiven = Object.hasOwn(known, key)
    const about = typeof schema.description === 'string' ? `  // ${schema.description}` : ''
    if (!isGiven && !required.includes(key)) {
      if (!isSecret) return []
      return [`      // ${key}: secret('${suggestedName(['connections', id, key])}'),${about}`]
    }
    if (isGiven && !isSecret) return [`      ${key}: ${literal(known[key])},`]
    if (!isSecret) return [`      ${key}: ${literal(blankOf(schema))},${about}`]
    const name = suggestedName(['connections', id, key])
    variables.push([name, isGiven ? String(known[key]) : ''])
    return [`      ${key}: secret('${name}'),`]
  })
}

/** What stands there until it is filled in: a choice that is right, or nothing, which `config check` refuses. */
function blankOf({ enum: values, const: only, type }: Record<string, unknown>): unknown {
  if (only !== undefined) return only
  if (Array.isArray(values)) return values[0]
  return type === 'array'
    ? []
    : type === 'object'
      ? {}
      : type === 'boolean'
        ? false
        : type === 'integer'
          ? 0
          : ''
}

function flowText({ from, analyze, write }: Draft['flows'][number]): string {
  return `{ from: ${literal(from)}, analyze: ${literal(analyze)}, write: ${literal(write)} }`
}

function literal(value: unknown): string {
  if (typeof value === 'string') return quoted(value)
  if (Array.isArray(value)) return `[${value.map(literal).join(', ')}]`
  return JSON.stringify(value)
}

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}

function keyText(id: string): string {
  return /^[a-z_]\w*$/i.test(id) ? id : quoted(id)
}
