import { CordboardError } from '../errors.ts'
import type { SecretReference } from './define.ts'
import { type JsonSchema, property, secretKind } from './own-keys.ts'
import { type ConfigProblem, type Path, pathText } from './problem.ts'

/** Answers the value, several newest first, or undefined when it is not set. May throw `config` with the reason. */
export type ResolveSecret = (name: string) => string | readonly string[] | undefined

/** Where a secret of the configuration comes from: what `config print` shows instead of it. */
export interface SecretUse {
  path: string
  names: readonly string[]
  /** The names that are set. */
  set: readonly string[]
}

export interface Resolved {
  value: unknown
  /** Every secret value met, for masking. */
  secrets: string[]
  uses: SecretUse[]
  problems: ConfigProblem[]
}

interface Walk extends Omit<Resolved, 'value'> {
  resolve: ResolveSecret
  howToSet: (name: string) => string
  /** Secrets may stand in it in plain: a configuration made in code, never a file. */
  plain: boolean
}

/** Puts the values in the place of secret references, by what the connector's schema says of each key. */
export function resolveSecrets(
  value: unknown,
  schemas: readonly JsonSchema[],
  path: Path,
  options: { resolve: ResolveSecret; plain: boolean; howToSet?: ((name: string) => string) | undefined },
): Resolved {
  const { resolve, plain, howToSet = inTheEnvironment } = options
  const walk: Walk = { resolve, plain, howToSet, secrets: [], uses: [], problems: [] }
  const resolved = walked(value, schemas, path, walk)
  return { value: resolved, secrets: walk.secrets, uses: walk.uses, problems: walk.problems }
}

const inTheEnvironment = (name: string): string =>
  `Set ${name} in the environment, or ${name}_FILE to a file that holds it`

/** Every reference to a secret, wherever it stands, with the names that it gives. */
export function secretReferences(value: unknown, path: Path = []): { path: Path; names: string[] }[] {
  if (Array.isArray(value)) return value.flatMap((item, i) => secretReferences(item, [...path, i]))
  if (!isPlainObject(value)) return []
  if (isReference(value))
    return [{ path, names: [value.$secret].flat().filter((name) => typeof name === 'string') }]
  return Object.entries(value).flatMap(([key, item]) => secretReferences(item, [...path, key]))
}

function walked(value: unknown, schemas: readonly JsonSchema[], path: Path, walk: Walk): unknown {
  const kind = secretKind(schemas)
  if (isReference(value)) return referenced(value, kind, path, walk)
  if (kind === 'list' && Array.isArray(value)) {
    return value.flatMap((item, i) => walked(item, schemas, [...path, i], walk) ?? [])
  }
  if (kind !== null && typeof value === 'string') return plainSecret(value, path, walk)
  if (Array.isArray(value))
    return value.map((item, i) => walked(item, property(schemas, i), [...path, i], walk))
  if (!isPlainObject(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key,
      walked(item, property(schemas, key), [...path, key], walk),
    ]),
  )
}

function isReference(value: unknown): value is SecretReference {
  return isPlainObject(value) && Object.hasOwn(value, '$secret')
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
}

function plainSecret(value: string, path: Path, walk: Walk): unknown {
  if (walk.plain) {
    if (value !== '') walk.secrets.push(value)
    return value
  }
  const name = suggestedName(path)
  walk.problems.push({
    path: pathText(path),
    what: 'A secret stands in the configuration itself',
    expected: 'a reference to a secret',
    seen: 'text (not shown)',
    fix: `Put it into the environment as ${name} and write secret('${name}'), in JSON {"$secret": "${name}"}`,
  })
  return undefined
}

/** `connections.support-paris.apiToken` → `SUPPORT_PARIS_API_TOKEN`. */
export function suggestedName(path: Path): string {
  return path
    .slice(1)
    .map((key) => String(key).replace(/([a-z\d])([A-Z])/g, '$1_$2'))
    .join('_')
    .replace(/\W+/g, '_')
    .toUpperCase()
}

function referenced(value: SecretReference, kind: 'one' | 'list' | null, path: Path, walk: Walk): unknown {
  const names: unknown[] = [value.$secret].flat()
  if (names.length === 0 || !names.every((name) => typeof name === 'string' && /^[A-Za-z_]\w*$/.test(name))) {
    walk.problems.push({
      path: pathText(path),
      what: 'This reference to a secret names no environment variable',
      expected: 'a name of letters, digits and "_", or a list of such names',
      seen: 'something else',
      fix: `Write secret('${suggestedName(path)}'), in JSON {"$secret": "${suggestedName(path)}"}`,
    })
    return undefined
  }
  const use: SecretUse = { path: pathText(path), names: names.map(String), set: [] }
  walk.uses.push(use)
  const found = use.names.map((name, i) => ({ name, values: lookUp(name, i === 0, path, walk) }))
  const values = found.flatMap((one) => one.values)
  use.set = found.filter((one) => one.values.length > 0).map((one) => one.name)
  walk.secrets.push(...values)
  return kind === 'list' && values.length > 0 ? values : values[0]
}

/** Only the newest must be set: the older ones are there while a secret is changed. */
function lookUp(name: string, isNewest: boolean, path: Path, walk: Walk): readonly string[] {
  const problem = (what: string, seen: string, fix: string) => {
    walk.problems.push({ path: pathText(path), what, expected: `a value in ${name}`, seen, fix })
    return []
  }
  try {
    const found = walk.resolve(name)
    const values = found === undefined ? [] : [found].flat()
    if (values.length === 0) {
      if (!isNewest) return []
      return problem(`The secret ${name} is not set`, 'nothing', walk.howToSet(name))
    }
    if (values.some((value) => value === '')) {
      return problem(`The secret ${name} is set but empty`, 'an empty value', `Set ${name} to its value`)
    }
    if (values.some((value) => value !== value.trim())) {
      const fix = 'Remove the blanks or line breaks around it'
      return problem(`The secret ${name} starts or ends with white space`, 'white space', fix)
    }
    return values
  } catch (error) {
    if (!(error instanceof CordboardError)) throw error
    return problem(error.message, error.why ?? 'nothing', error.fix)
  }
}
