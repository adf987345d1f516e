import { type Connectors, type LoadedConnection, loadConnection } from './connection.ts'
import { durationMs } from './duration.ts'
import { loadFlows } from './flows.ts'
import { contentHash } from './hash.ts'
import { toProblems } from './issues.ts'
import type { Config, Connection, Keep } from './model.ts'
import { at, type ConfigProblem } from './problem.ts'
import { CONNECTION_ID, type ConfigFile, configFile, type FlowEntry, knownKeys } from './schema.ts'
import type { ResolveSecret, SecretUse } from './secrets.ts'

export type { Connectors } from './connection.ts'

export interface LoadOptions {
  connectors: Connectors
  resolveSecret: ResolveSecret
  /** What to do about a secret that is not set, where secrets are set in another way than on Node. */
  howToSet?: (name: string) => string
  /**
   * Connections whose secrets may stand in plain, `true` for all: for configurations made in code (the sandbox, tests).
   * A file never has them.
   */
  plainSecrets?: true | ReadonlySet<string>
}

export type Loaded = { config: Config; secrets: SecretUse[] } | { problems: ConfigProblem[] }

/** Reads a configuration, whatever was written there. Answers it, or everything that is wrong with it at once. */
export async function loadConfig(raw: unknown, options: LoadOptions): Promise<Loaded> {
  const file = configFile.safeParse(raw)
  const place = { input: raw, path: [], known: knownKeys }
  const problems = file.success ? [] : toProblems(file.error.issues, place)
  const region = configFile.shape.region.safeParse(at(raw, ['region'])).data

  // Looked at one by one, so that a mistake in one place does not hide those in the others.
  const connections = new Map<string, LoadedConnection>()
  for (const [id, entry] of objectEntries(at(raw, ['connections']))) {
    const plain = options.plainSecrets === true || (options.plainSecrets?.has(id) ?? false)
    const given = Object.fromEntries(objectEntries(entry))
    const one = await loadConnection(id, given, { ...options, plain, region })
    if (CONNECTION_ID.test(id)) connections.set(id, one)
    problems.push(...one.problems)
  }
  const connectors = new Map([...connections].map(([id, { connector }]) => [id, connector]))
  const { flows, problems: wrongFlows } = await loadFlows(flowEntries(at(raw, ['flows'])), connectors, region)
  problems.push(...wrongFlows)
  if (!file.success || problems.length > 0) return { problems: inOrder(problems) }

  const hidden = new Set([...connections.values()].flatMap(({ secrets }) => secrets))
  const config: Config = {
    publicUrl: file.data.publicUrl,
    region: file.data.region,
    connections: new Map([...connections].flatMap(([id, { connection }]) => asEntry(id, connection))),
    flows,
    keep: keepOf(file.data),
    hash: await contentHash(raw, hidden),
  }
  return { config, secrets: [...connections.values()].flatMap(({ uses }) => uses) }
}

function asEntry(id: string, connection: Connection | null): [string, Connection][] {
  return connection ? [[id, connection]] : []
}

function objectEntries(value: unknown): [string, unknown][] {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.entries(value) : []
}

function flowEntries(value: unknown): Map<number, FlowEntry> {
  const entries = new Map<number, FlowEntry>()
  for (const [index, entry] of (Array.isArray(value) ? value : []).entries()) {
    const parsed = configFile.shape.flows.element.safeParse(entry)
    if (parsed.success) entries.set(index, parsed.data)
  }
  return entries
}

function keepOf({ keep }: ConfigFile): Keep {
  const ms = (text: string | undefined) => (text === undefined ? undefined : durationMs(text))
  return {
    audioMs: ms(keep.audio),
    transcriptMs: ms(keep.transcript),
    deliveriesMs: ms(keep.deliveries),
    callsMs: ms(keep.calls),
  }
}

const SECTIONS = ['publicUrl', 'region', 'connections', 'flows', 'keep']

/** In the order of the file's sections, otherwise as found; what two schemas say of one key is said once. */
function inOrder(problems: readonly ConfigProblem[]): ConfigProblem[] {
  const rank = ({ path }: ConfigProblem) => SECTIONS.indexOf(/^\w+/.exec(path)?.[0] ?? '')
  const once = new Map(problems.toReversed().map((problem) => [`${problem.path} ${problem.what}`, problem]))
  return problems
    .filter((problem) => once.get(`${problem.path} ${problem.what}`) === problem)
    .toSorted((a, b) => rank(a) - rank(b))
}
