import { type Connectors, loadConfig } from '../config/load.ts'
import type { Config } from '../config/model.ts'
import type { ConfigProblem } from '../config/problem.ts'
import { secretReferences } from '../config/secrets.ts'
import type { Connector, Log } from '../connector/contract.ts'
import { asCordboardError, CordboardError } from '../errors.ts'
import { parseTokens, type Token } from '../http/auth.ts'
import { problemResponse } from '../http/problem.ts'

/** What is bundled of one installation; `cordboard cloudflare` writes the module that names it. */
export interface Bundled {
  /** What the configuration file exports. */
  config: unknown
  /** The connectors that it names, and no others. */
  connectors: readonly Connector[]
}

export interface Configured {
  config: Config
  /** Who may use /v1 and /metrics. */
  tokens: Token[]
}

export type Read = Configured | { problems: ConfigProblem[] }

const TOKENS = 'CORDBOARD_TOKENS'

/**
 * The configuration of a Worker: bundled, with its secrets from bindings of the same names (secrets, variables, or secrets
 * of a Secrets Store). Read once per isolate. What is kept is the outcome, not the promise of it: no request may wait for
 * another's input and output.
 */
export function createConfigReader(bundled: Bundled): (env: object) => Promise<Read> {
  let kept: Read | undefined
  return async function readConfig(env) {
    if (kept) return kept
    const { read, mayChange } = await readOnce(bundled, env)
    if (!mayChange) kept = read
    return read
  }
}

/** `mayChange`: a store of secrets did not answer; everything else stays as it is until the next deployment. */
async function readOnce(bundled: Bundled, env: object): Promise<{ read: Read; mayChange: boolean }> {
  const names = secretReferences(bundled.config).flatMap((reference) => reference.names)
  const bindings = await readBindings(env, new Set([...names, TOKENS]))
  const secretOf = (name: string): string | undefined => {
    const value = bindings.get(name)
    if (value instanceof CordboardError) throw value
    return value
  }
  const loaded = await loadConfig(bundled.config, {
    connectors: connectorsOf(bundled),
    resolveSecret: secretOf,
    howToSet: (name) => `Set it: wrangler secret put ${name}`,
  })
  const tokens = readTokens(secretOf)
  const mayChange = [...bindings.values()].some((value) => value instanceof CordboardError)
  if ('config' in loaded && 'tokens' in tokens)
    return { read: { config: loaded.config, tokens: tokens.tokens }, mayChange }
  const problems = [loaded, tokens].flatMap((part) => ('problems' in part ? part.problems : []))
  return { read: { problems }, mayChange }
}

function connectorsOf({ connectors }: Bundled): Connectors {
  return {
    ids: connectors.map(({ id }) => id),
    async load(id) {
      const found = connectors.find((connector) => connector.id === id)
      if (found) return found
      throw new CordboardError('config', `The connector ${id} is not in this bundle`)
    },
  }
}

/** Values of the bindings that are there; an error in the place of one that could not be read. */
async function readBindings(
  env: object,
  names: ReadonlySet<string>,
): Promise<Map<string, string | CordboardError>> {
  const values = new Map<string, string | CordboardError>()
  const bindings = new Map<string, unknown>(Object.entries(env))
  const reading = [...names].map(async (name) => {
    const binding = bindings.get(name)
    if (binding === undefined) return
    values.set(name, typeof binding === 'string' ? binding : await readStored(name, binding))
  })
  await Promise.all(reading)
  return values
}

/** A secret of a Secrets Store is a binding that is asked for its value. */
async function readStored(name: string, binding: unknown): Promise<string | CordboardError> {
  const isStored = typeof binding === 'object' && binding !== null && 'get' in binding
  if (!isStored || typeof binding.get !== 'function') return unreadable(name, 'It is no text')
  try {
    const value: unknown = await binding.get()
    return typeof value === 'string' ? value : unreadable(name, 'It is no text')
  } catch (error) {
    return unreadable(name, asCordboardError(error).message)
  }
}

function unreadable(name: string, why: string): CordboardError {
  return new CordboardError('config', `The binding ${name} cannot be read as a secret`, {
    why,
    fix: `Bind a secret of this name: wrangler secret put ${name}, or secrets_store_secrets in wrangler.toml`,
  })
}

/** There is no data folder that could keep a token made at the first start: somebody must have chosen them. */
function readTokens(
  secretOf: (name: string) => string | undefined,
): { tokens: Token[] } | { problems: ConfigProblem[] } {
  const expected = 'a list of <role>:<token>, divided by commas'
  try {
    const text = secretOf(TOKENS)
    if (text !== undefined) return { tokens: parseTokens(text) }
    const fix = `Set it: wrangler secret put ${TOKENS}, and write admin:<a long random text>`
    return {
      problems: [{ path: TOKENS, what: 'There are no API tokens', expected, seen: 'nothing', fix }],
    }
  } catch (error) {
    if (!(error instanceof CordboardError)) throw error
    const { message, why = 'something else', fix } = error
    return { problems: [{ path: TOKENS, what: message, expected, seen: why, fix }] }
  }
}

/** For the log: every problem with its fix. */
export function logProblems(problems: readonly ConfigProblem[], log: Log): void {
  log.error('the configuration is wrong: nothing is taken until it is corrected and deployed', {
    problems: problems.length,
  })
  for (const { path, what, expected, seen, fix } of problems) {
    log.error(`configuration: ${path || 'the whole'}: ${what}`, { expected, seen, fix })
  }
}

/** What everybody is answered meanwhile: senders come back, and nobody learns what is wrong. */
export function misconfigured(): Response {
  const error = new CordboardError('config', 'This installation is not configured correctly', {
    fix: 'Read its log, where every problem stands with its fix: wrangler tail',
    retry: { afterMs: 60_000 },
  })
  return problemResponse(error, { members: { status: 503 } })
}
