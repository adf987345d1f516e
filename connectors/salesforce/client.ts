import { Connection } from 'jsforce/lib/connection.js'
import { StreamPromise } from 'jsforce/lib/util/promise.js'
import { z } from 'zod'
import type { ConnectorContext, FetchInit } from '../../src/connector/contract.ts'
import { readBounded } from '../../src/connector/fail-on.ts'
import { CordboardError } from '../../src/errors.ts'
import { refusal } from './client/refusal.ts'
import { type Access, accessOf } from './client/token.ts'
import {
  type Config,
  described,
  type Field,
  found,
  type Person,
  resources,
  saved,
  taskStatus,
  user,
} from './schema.ts'

type Context = ConnectorContext<Config>

/** What a record is made of, as JSON. */
export type Values = Record<string, string | number | boolean>

interface VendorRequest {
  method: string
  url: string
  headers?: Record<string, string>
  body?: unknown
}

/**
 * jsforce's connection, which knows the paths and bodies of the REST API, over `ctx.fetch`. Everything it sends goes through
 * `request`, so its own HTTP (undici, redirects, five retries, thirty minutes of patience), its login and its refreshing never
 * run. It is taken by a deep import: of the package's own entry the other API modules would come along.
 */
class OrgConnection extends Connection {
  readonly #ctx: Context

  constructor(ctx: Context) {
    // The address is only what paths are told from: where the org is comes with the token.
    const { baseUrl: instanceUrl, apiVersion: version } = ctx.config
    super({ instanceUrl, version, logLevel: 'NONE' })
    this.#ctx = ctx
  }

  override request<R = unknown>(
    asked: string | VendorRequest,
    options: { noContentResponse?: unknown } = {},
  ): StreamPromise<R> {
    const request = typeof asked === 'string' ? { method: 'GET', url: asked } : asked
    const path = this._normalizeUrl(request.url).slice(this.instanceUrl.length)
    const answer = async (): Promise<R> => {
      const { text, usage } = await exchange(this.#ctx, path, request)
      if (usage) this.limitInfo = { apiUsage: usage }
      // Read by a schema before anybody uses it.
      return text === '' ? JSON.parse(JSON.stringify(options.noContentResponse ?? null)) : JSON.parse(text)
    }
    return new StreamPromise<R>((resolve, reject) => {
      answer().then(resolve, reject)
    })
  }
}

/** Salesforce's REST API for one step's context. */
export function salesforce(ctx: Context) {
  const conn = new OrgConnection(ctx)

  async function query<Schema extends z.ZodType>(schema: Schema, soql: string): Promise<z.output<Schema>[]> {
    const answer = await conn.request(`/query?q=${encodeURIComponent(soql)}`)
    return read(rowsOf, answer).records.map((row) => read(schema, row))
  }

  return {
    query,

    /** Whatever a query finds, page by page, as many as there are. `queryAll` also finds what lies in the recycle bin. */
    async *pages(soql: string, resource: 'query' | 'queryAll' = 'query'): AsyncIterable<unknown[]> {
      const headers = { 'Sforce-Query-Options': 'batchSize=200' }
      let url: string | undefined = `/${resource}?q=${encodeURIComponent(soql)}`
      while (url !== undefined) {
        const answer: z.output<typeof pageOf> = read(
          pageOf,
          await conn.request({ method: 'GET', url, headers }),
        )
        yield answer.records
        url = answer.nextRecordsUrl
      }
    },

    /** Records of whatever objects the SOSL names. */
    async search(sosl: string): Promise<Person[]> {
      return read(found, await conn.search(sosl)).searchRecords
    },

    async create(type: string, values: Values, headers: Record<string, string> = {}): Promise<string> {
      const { id } = read(saved, await conn.create(type, values, { headers }))
      if (id !== undefined) return id
      throw new CordboardError('vendor_down', `Salesforce: the new ${type} has no id`)
    },

    /**
     * Creates or updates by an external id. Null where Salesforce does not say which record it was (204). jsforce puts the
     * value into the path as it is, so it may hold nothing that a path reads.
     */
    async upsert(type: string, field: string, key: string, values: Values): Promise<string | null> {
      if (!/^[\w-]+$/.test(key))
        throw new CordboardError('internal', 'Salesforce: a key that is no plain word')
      return read(saved, await conn.upsert(type, { ...values, [field]: key }, field)).id ?? null
    },

    async update(type: string, id: string, values: Values): Promise<void> {
      await conn.update(type, { Id: id, ...values })
    },

    /** The fields of an object that this user may see. Asked for once in ten minutes. */
    describe: (type: string): Promise<Field[]> =>
      DESCRIBED.of(ctx, type, async () => read(described, await conn.describe(type)).fields),

    /** What a call that is over is set to: `Completed` where the org still has it. */
    closedStatus: (): Promise<string | undefined> =>
      STATUSES.of(ctx, 'closed', async () => {
        const all = await query(taskStatus, 'SELECT ApiName, IsClosed FROM TaskStatus')
        const closed = all.filter(({ IsClosed }) => IsClosed).map(({ ApiName }) => ApiName)
        return closed.includes('Completed') ? 'Completed' : closed[0]
      }),

    /** The active user of an id or an e-mail address; undefined when there is none. Known again for ten minutes. */
    user: (idOrEmail: string): Promise<z.output<typeof user> | undefined> =>
      USERS.of(ctx, idOrEmail, async () => {
        const by = idOrEmail.includes('@') ? 'Email' : 'Id'
        const where = `${by} = ${quoted(idOrEmail)} AND IsActive = true ORDER BY CreatedDate ASC LIMIT 1`
        return (await query(user, `SELECT Id, TimeZoneSidKey FROM User WHERE ${where}`))[0]
      }),

    /** Who we are: the ids of org and user. */
    async identity(): Promise<{ org: string; user: string } | null> {
      const path = `/services/data/v${ctx.config.apiVersion}`
      const [, org, userId] =
        /\/id\/(\w{15,18})\/(\w{15,18})/.exec(read(resources, await conn.request(path)).identity) ?? []
      return org && userId ? { org, user: userId } : null
    },

    /** Of the last answer: how many of the day's API requests are used. */
    usage: (): { used: number; limit: number } | undefined => conn.limitInfo.apiUsage,

    /** After a refusal that says the org is not as it was described. */
    forget: () => DESCRIBED.forget(ctx),
  }
}

/** A text inside SOQL. */
export function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'").replaceAll('\n', '\\n').replaceAll('\r', '\\r')}'`
}

// ── Requests ────────────────────────────────────────────────────────────────────────────────────────────────────────

const rowsOf = z.object({ records: z.array(z.unknown()) })
const pageOf = rowsOf.extend({ nextRecordsUrl: z.string().startsWith('/').optional() })
/** A description of activities with long picklists is some megabytes. */
const MAX_ANSWER = 32 * 1024 * 1024

/** With the shared token, and once more with another when this one is refused. A second refusal is final. */
async function exchange(ctx: Context, path: string, { method, headers, body }: VendorRequest) {
  // Without the query: it may hold numbers and addresses.
  const what = `Salesforce: ${method} ${path.split('?')[0]}`
  if (body !== undefined && typeof body !== 'string') throw new CordboardError('internal', `${what}: no text`)
  const send = ({ instanceUrl, bearer }: Access) => {
    const init: FetchInit = {
      method,
      headers: { accept: 'application/json', ...headers, authorization: `Bearer ${bearer}` },
      maxBytes: MAX_ANSWER,
      ...(body === undefined ? {} : { body }),
    }
    return ctx.fetch(instanceUrl + path, init)
  }
  const access = await accessOf(ctx)
  let response = await send(access)
  if (response.status === 401) {
    await readBounded(response, 0)
    response = await send(await accessOf(ctx, access.shared))
  }
  if (!response.ok) throw await refusal(response, what, ctx)
  const text = await response.text()
  if (text !== '' && !isJson(text)) throw new CordboardError('vendor_down', `${what}: the answer is no JSON`)
  return { text, usage: usageIn(response.headers.get('sforce-limit-info')) }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

/** `api-usage=18/5000` */
function usageIn(header: string | null): { used: number; limit: number } | undefined {
  const [, used, limit] = /api-usage=(\d+)\/(\d+)/.exec(header ?? '') ?? []
  return used === undefined || limit === undefined ? undefined : { used: Number(used), limit: Number(limit) }
}

function read<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const parsed = schema.safeParse(value ?? {})
  if (parsed.success) return parsed.data
  // Nobody knows what was done: `later` asks first (find), then tries again.
  throw new CordboardError('vendor_down', 'Salesforce: an answer in a form that is not documented', {
    why: parsed.error.issues
      .map(({ path, message }) => `${path.join('.')}: ${message}`)
      .slice(0, 3)
      .join('; '),
  })
}

// ── What is asked once ──────────────────────────────────────────────────────────────────────────────────────────────

const KEPT_MS = 600_000
const MOST_KEPT = 1000

/**
 * What changes by an administrator's hand only. The day's requests are what an org has least of, and every call would ask
 * anew. Only answers are kept, not requests under way: those end with the step that asked.
 */
class Kept<T> {
  readonly #by = new WeakMap<Config, Map<string, { value: T; until: number }>>()

  async of(ctx: Context, key: string, ask: () => Promise<T>): Promise<T> {
    const known = this.#by.get(ctx.config)?.get(key)
    if (known && ctx.now() < known.until) return known.value
    const value = await ask()
    const all = this.#by.get(ctx.config) ?? new Map<string, { value: T; until: number }>()
    this.#by.set(ctx.config, all)
    if (all.size >= MOST_KEPT) all.clear()
    // Nobody is not kept: who was made a user a minute ago is one.
    if (value !== undefined) all.set(key, { value, until: ctx.now() + KEPT_MS })
    return value
  }

  forget(ctx: Context): void {
    this.#by.delete(ctx.config)
  }
}

const DESCRIBED = new Kept<Field[]>()
const STATUSES = new Kept<string | undefined>()
const USERS = new Kept<z.output<typeof user> | undefined>()
