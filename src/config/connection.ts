import { z } from 'zod'
import { allowsPrivate } from '../connector/context.ts'
import type { Connector } from '../connector/contract.ts'
import { durationMs } from './duration.ts'
import { toProblems, unknownKey } from './issues.ts'
import type { Connection } from './model.ts'
import { declaredKeys, ownSchema, property, secretKind } from './own-keys.ts'
import { type ConfigProblem, orList, type Path, pathText, seenText } from './problem.ts'
import { commonKeys } from './schema.ts'
import { type ResolveSecret, resolveSecrets, type SecretUse } from './secrets.ts'
import { suggest } from './suggest.ts'

/** Every connector there is; code is loaded only for those in use. */
export interface Connectors {
  ids: readonly string[]
  load(id: string): Promise<Connector>
}

export interface ConnectionOptions {
  connectors: Connectors
  resolveSecret: ResolveSecret
  /** What to do about a secret that is not set; default: as on Node. */
  howToSet?: ((name: string) => string) | undefined
  /** Secrets may stand in this connection in plain. */
  plain: boolean
  /** Region of the whole configuration. */
  region: string | undefined
}

export interface LoadedConnection {
  /** Known even when the rest is wrong, so that flows are still checked. */
  connector: Connector | null
  connection: Connection | null
  uses: SecretUse[]
  secrets: readonly string[]
  problems: ConfigProblem[]
}

const entrySchema = z.looseObject(commonKeys)
type Reconcile = z.output<typeof commonKeys.reconcile>

/** One connection; its common keys were reported by the file's schema already when they are wrong. */
export async function loadConnection(
  id: string,
  raw: Record<string, unknown>,
  options: ConnectionOptions,
): Promise<LoadedConnection> {
  const path = ['connections', id]
  const found = await findConnector(raw.use, path, options.connectors)
  if ('problems' in found) return { connector: null, connection: null, uses: [], secrets: [], ...found }
  const { connector } = found
  const schema = ownSchema(connector)
  const { own, problems } = ownKeys(raw, schema, path)
  const resolved = resolveSecrets(own, [schema], path, {
    resolve: options.resolveSecret,
    plain: options.plain,
    howToSet: options.howToSet,
  })
  problems.push(...resolved.problems)
  const settings = connector.config.safeParse(resolved.value)
  if (!settings.success) {
    const isSecret = (at: Path) =>
      secretKind(at.slice(path.length).reduce((schemas, key) => property(schemas, key), [schema])) !== null
    // A key whose secret could not be resolved is missing only because of that.
    const told = new Set(resolved.problems.map((problem) => problem.path))
    const found = toProblems(settings.error.issues, {
      input: resolved.value,
      path,
      isSecret,
      known: () => declaredKeys(schema).keys,
    })
    problems.push(...found.filter((problem) => !told.has(problem.path)))
  }
  const entry = entrySchema.safeParse(raw)
  if (entry.data?.gather && !connector.analysis?.batch) problems.push(gathersNothing(connector, path))
  problems.push(...withoutMethod(connector, raw, path))
  if (entry.success) problems.push(...plainHttp(entry.data.baseUrl, entry.data.allowPrivate ?? [], path))
  const connection: Connection | null =
    !entry.success || !settings.success || problems.length > 0
      ? null
      : {
          id,
          connector,
          settings: settings.data,
          region: entry.data.region ?? options.region,
          allowPrivate: entry.data.allowPrivate ?? [],
          concurrency: entry.data.concurrency,
          deliveriesPerMinute: entry.data.deliveriesPerMinute,
          minutesPerDay: entry.data.minutesPerDay,
          recordingWaitMs: entry.data.recordingWaitMs,
          reconcile: reconcileOf(connector, entry.data.reconcile),
          subscribe: entry.data.subscribe,
          measureTracks: entry.data.measureTracks,
          indexLagMs: entry.data.indexLagMs,
          redact: entry.data.redact,
          gather: gatherOf(connector, entry.data.gather),
          secrets: [...new Set(resolved.secrets)],
        }
  return { connector, connection, uses: resolved.uses, secrets: resolved.secrets, problems }
}

async function findConnector(
  use: unknown,
  path: Path,
  connectors: Connectors,
): Promise<{ connector: Connector } | { problems: ConfigProblem[] }> {
  // What is neither was reported by the file's schema.
  if (typeof use === 'object' && use !== null) {
    const isConnector = 'check' in use && 'config' in use
    return isConnector ? { connector: use as Connector } : { problems: [] }
  }
  if (typeof use !== 'string') return { problems: [] }
  if (connectors.ids.includes(use)) return { connector: await connectors.load(use) }
  const meant = suggest(use, connectors.ids)
  return {
    problems: [
      {
        path: pathText([...path, 'use']),
        what: `There is no connector ${seenText(use)}`,
        expected: orList(connectors.ids),
        seen: seenText(use),
        fix: meant
          ? `Did you mean ${meant}?`
          : 'Use one of these, or write it: cordboard connector new <vendor>',
      },
    ],
  }
}

/** The connector's share of the keys. Common keys are its own business only where its schema declares them too. */
function ownKeys(raw: Record<string, unknown>, schema: ReturnType<typeof ownSchema>, path: Path) {
  const { keys, open } = declaredKeys(schema)
  const common = Object.keys(commonKeys)
  const known = [...new Set([...keys, ...common.filter((key) => key !== 'baseUrl')])]
  const own: Record<string, unknown> = {}
  const problems: ConfigProblem[] = []
  for (const [key, value] of Object.entries(raw)) {
    if (key === 'use') continue
    if (keys.includes(key) || (open && !common.includes(key))) own[key] = value
    else if (!known.includes(key))
      problems.push(unknownKey(key, [], { input: raw, path, known: () => known }))
  }
  return { own, problems }
}

/** Never more than the service takes at once. */
function gatherOf({ analysis }: Connector, gather: Connection['gather']): Connection['gather'] {
  if (!gather || !analysis?.batch) return undefined
  const { maxCount, maxBytes, maxAgeMs } = analysis.batch
  return {
    count: Math.min(gather.count, maxCount),
    bytes: Math.min(gather.bytes, maxBytes),
    ageMs: Math.min(gather.ageMs, maxAgeMs),
  }
}

function reconcileOf({ telephony }: Connector, wish: Reconcile | undefined): Connection['reconcile'] {
  if (!wish || !telephony?.calls) return undefined
  const [everyMs, overMs] = [durationMs(wish.every), durationMs(wish.over)]
  return everyMs === undefined || overMs === undefined ? undefined : { everyMs, overMs }
}

/** What is asked for and the vendor's API, as far as it is known here, cannot do. */
function withoutMethod(
  { name, telephony, crm }: Connector,
  raw: Record<string, unknown>,
  path: Path,
): ConfigProblem[] {
  const problem = (key: string, what: string): ConfigProblem => ({
    path: pathText([...path, key]),
    what,
    expected: `no ${key}`,
    seen: key,
    fix: `Remove ${key}`,
  })
  return [
    ...(typeof raw.reconcile === 'object' && !telephony?.calls
      ? [problem('reconcile', `${name} has no list of calls that could be read`)]
      : []),
    ...(raw.subscribe === true && !telephony?.subscribe
      ? [problem('subscribe', `The webhook of ${name} cannot be created by its API`)]
      : []),
    ...(raw.indexLagMs !== undefined && !crm ? [problem('indexLagMs', `${name} is no CRM`)] : []),
  ]
}

function gathersNothing({ name }: Connector, path: Path): ConfigProblem {
  return {
    path: pathText([...path, 'gather']),
    what: `${name} takes no files of many calls`,
    expected: 'no gather',
    seen: 'gather',
    fix: 'Remove gather: each call is handed over by itself',
  }
}

/** Such a request would be refused at the first call; better now. */
function plainHttp(
  baseUrl: string | undefined,
  allowPrivate: readonly string[],
  path: Path,
): ConfigProblem[] {
  const url = baseUrl === undefined ? null : URL.parse(baseUrl)
  if (url?.protocol !== 'http:' || allowsPrivate(url, allowPrivate)) return []
  return [
    {
      path: pathText([...path, 'baseUrl']),
      what: 'Credentials and recordings would travel readable',
      expected: 'https',
      seen: seenText(baseUrl),
      fix: `Use https; if ${url.host} is yours, add allowPrivate: ['${url.host}']`,
    },
  ]
}
