import type { z } from 'zod'
import type { Call, Recording } from '../../src/call/call.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import { apiUrl } from '../../src/connector/api-url.ts'
import type { ConnectorContext, FetchInit } from '../../src/connector/contract.ts'
import { failOn, scrub } from '../../src/connector/fail-on.ts'
import { placedId } from '../../src/connector/placed-id.ts'
import { readAs, readJson, readReply } from '../../src/connector/read.ts'
import { namedHost } from '../../src/connector/recording-host.ts'
import { CordboardError } from '../../src/errors.ts'
import { type EntityType, isEntityType, LISTS, listedCall, type Target } from './map.ts'
import {
  account,
  addedCalls,
  addedUnsorted,
  type CallNote,
  type Config,
  callNote,
  type Entity,
  entity,
  type Field,
  field,
  listOf,
  note,
  task,
  token,
  user,
  webhook,
} from './schema.ts'

type Context = ConnectorContext<Config>
export type Body = Record<string, unknown>
type IsNote = (one: z.output<typeof note>) => boolean

/** Of all lists, the most of one page. */
const PAGE = '250'
const MOST_PAGES = 4
const CALL_NOTES = { 'filter[note_type][0]': 'call_in', 'filter[note_type][1]': 'call_out' }
/** Where no Retry-After comes: the limit is counted by the second. */
const PAUSE_S = '1'
const RECORDING_MAX_BYTES = 4 * 1024 ** 3

/** Kommo's API for one step's context. */
export function kommo(ctx: Context) {
  /** Null: 204, nothing was found. */
  async function get<Schema extends z.ZodType>(
    schema: Schema,
    path: string,
    query: Record<string, string> = {},
  ): Promise<z.output<Schema>> {
    const what = `Kommo: GET ${shown(path)}`
    return read(schema, await ask(ctx, path, query, {}, what), what)
  }

  async function send(
    method: string,
    path: string,
    body: unknown,
  ): Promise<{ response: Response; what: string }> {
    const what = `Kommo: ${method} ${shown(path)}`
    const init = { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
    return { response: await ask(ctx, path, {}, init, what), what }
  }

  async function pages<Item extends z.ZodType>(
    name: string,
    item: Item,
    path: string,
    query: Record<string, string>,
    isEnough: (items: readonly z.output<Item>[]) => boolean = () => false,
  ): Promise<z.output<Item>[]> {
    const all: z.output<Item>[] = []
    for (let page = 1; page <= MOST_PAGES; page++) {
      const asked = { ...query, limit: PAGE, page: String(page) }
      const items: z.output<Item>[] = await get(listOf(name, item), path, asked)
      all.push(...items)
      if (items.length < Number(PAGE) || isEnough(items)) break
    }
    return all
  }

  return {
    account: () => get(account, '/api/v4/account'),

    search: (type: EntityType, query: string): Promise<Entity[]> => {
      const more = type === 'contact' ? { with: 'leads' } : {}
      return get(listOf(LISTS[type], entity), `/api/v4/${LISTS[type]}`, { query, limit: PAGE, ...more })
    },

    /** Null when there is none: 404, or 204 without a body. */
    async one(type: EntityType, id: string): Promise<Entity | null> {
      try {
        return await get(entity.nullable(), `/api/v4/${LISTS[type]}/${segment(id)}`, { with: 'leads' })
      } catch (error) {
        if (error instanceof CordboardError && error.code === 'not_found') return null
        throw error
      }
    },

    /** As many as one page holds. */
    leads: (ids: readonly string[]): Promise<Entity[]> => {
      if (ids.length === 0) return Promise.resolve([])
      const asked = ids.slice(0, Number(PAGE)).map((id, i) => [`filter[id][${i}]`, id])
      return get(listOf('leads', entity), '/api/v4/leads', { ...Object.fromEntries(asked), limit: PAGE })
    },

    /** The id of the one thing that was made. */
    async create(list: string, path: string, body: Body): Promise<string> {
      const { response, what } = await send('POST', path, [body])
      const [made] = await read(listOf(list, entity.pick({ id: true })), response, what)
      if (made) return made.id
      throw new CordboardError('vendor_down', `${what}: the answer names nothing that was made`)
    },

    async change(path: string, body: Body): Promise<void> {
      const { response } = await send('PATCH', path, body)
      await response.body?.cancel()
    },

    /** The contact of an incoming lead. */
    async addUnsorted(body: Body): Promise<string> {
      const { response, what } = await send('POST', '/api/v4/leads/unsorted/sip', [body])
      const [made] = (await read(addedUnsorted, response, what))._embedded.unsorted
      const id = made?._embedded.contacts[0]?.id
      if (id !== undefined) return id
      throw new CordboardError('vendor_down', `${what}: the answer names no contact`)
    },

    /** Kommo looks for the record itself; with no record of this number nothing is added. */
    async addCall(body: Body): Promise<void> {
      const { response, what } = await send('POST', '/api/v4/calls', [body])
      const { errors, _embedded: added } = await read(addedCalls, response, what)
      if ((added?.calls?.length ?? 0) > 0) return
      const why = errors?.[0]?.detail ?? errors?.[0]?.title
      throw new CordboardError('rejected', `${what}: the call was not added`, {
        ...(why ? { vendorSaid: scrub(why) } : {}),
        fix: 'Let the flow create unknown callers, or use log: note; then rerun the call',
      })
    },

    /** On its record, then on all of its time: another one may have been chosen since it was sent. */
    async findNote(place: Target | null, types: readonly string[], since: number, isIt: IsNote) {
      const asked = types.map((type, i) => [`filter[note_type][${i}]`, type])
      const query = { ...Object.fromEntries(asked), 'order[id]': 'desc' }
      const lately = { ...query, 'filter[updated_at][from]': String(since) }
      const anywhere = Object.values(LISTS).map((list) => ({
        path: `/api/v4/${list}/notes`,
        list,
        query: lately,
      }))
      const list = place && listOfType(place.type)
      const own = place && list ? [{ path: `/api/v4/${list}/${segment(place.id)}/notes`, list, query }] : []
      for (const { path, list, query } of [...own, ...anywhere]) {
        const some = await pages('notes', note, path, query, (items) => items.some(isIt))
        const found = some.find(isIt)
        if (found) return placedId({ type: list, id: found.entity_id }, found.id)
      }
      return null
    },

    /** Call notes of one kind of record, the oldest first. */
    async *callNotes(type: EntityType, from: number, to: number | null): AsyncGenerator<CallNote[]> {
      const range = { from: String(from), ...(to === null ? {} : { to: String(to) }) }
      const asked = Object.entries(range).map(([name, value]) => [`filter[updated_at][${name}]`, value])
      const query = { ...CALL_NOTES, ...Object.fromEntries(asked), 'order[id]': 'asc', limit: PAGE }
      for (let page = 1; ; page++) {
        const path = `/api/v4/${LISTS[type]}/notes`
        const items = await get(listOf('notes', callNote), path, { ...query, page: String(page) })
        yield items
        if (items.length < Number(PAGE)) return
      }
    },

    /** Likewise. */
    async findTask(
      place: Target,
      since: number,
      isIt: (text: string | null | undefined) => boolean,
    ): Promise<string | null> {
      const type = listOfType(place.type)
      const own = { 'filter[entity_type]': type, 'filter[entity_id][0]': place.id }
      const has = ({ text }: z.output<typeof task>) => isIt(text)
      for (const where of [own, { 'filter[updated_at][from]': String(since) }]) {
        const query = { ...where, 'order[id]': 'desc' }
        const some = await pages('tasks', task, '/api/v4/tasks', query, (items) => items.some(has))
        const found = some.find(has)
        const on = found?.entity_type && found.entity_id
        if (found) return placedId(on ? { type: found.entity_type ?? type, id: on } : null, found.id)
      }
      return null
    },

    /** The user id of an e-mail address; null when nobody in the account has it. */
    async userOf(email: string): Promise<string | null> {
      const isIt = (one: z.output<typeof user>) => one.email?.toLowerCase() === email.toLowerCase()
      const found = await pages('users', user, '/api/v4/users', {}, (items) => items.some(isIt))
      return found.find(isIt)?.id ?? null
    },

    fields: (type: EntityType): Promise<Field[]> =>
      pages('custom_fields', field, `/api/v4/${LISTS[type]}/custom_fields`, {}),

    webhooks: (destination: string) =>
      get(listOf('webhooks', webhook), '/api/v4/webhooks', { 'filter[destination]': destination }),

    async subscribe(destination: string, settings: readonly string[]): Promise<void> {
      const { response } = await send('POST', '/api/v4/webhooks', { destination, settings })
      await response.body?.cancel()
    },
  }
}

// ── Webhooks and recordings ─────────────────────────────────────────────────────────────────────────────────────────

const wishes = ({ calls }: Config): string[] => [
  ...(calls ? ['note_lead', 'note_contact', 'note_company', 'note_customer'] : []),
  'delete_contact',
  'delete_lead',
  'delete_company',
  'delete_customer',
]

/** Webhooks go to the hook's URL with the secret behind it; one that was switched off is switched on by saving it. */
export async function subscribe(url: string, ctx: Context): Promise<void> {
  const [secret] = ctx.config.hookToken ?? []
  if (secret === undefined) {
    throw new CordboardError('config', 'Kommo: webhooks need a hookToken', {
      fix: 'Set hookToken: Kommo signs nothing, the address is all that proves who sends',
    })
  }
  const destination = `${url}/${segment(secret)}`
  if (!(await isSubscribed(destination, ctx))) await kommo(ctx).subscribe(destination, wishes(ctx.config))
}

/** Whether an active webhook to this address brings all that is wanted. */
export async function isSubscribed(destination: string, ctx: Context): Promise<boolean> {
  const own = (await kommo(ctx).webhooks(destination)).find((one) => one.destination === destination)
  return (
    own !== undefined &&
    own.disabled !== true &&
    wishes(ctx.config).every((wish) => own.settings.includes(wish))
  )
}

/** What a webhook would have told: Kommo is not known to repeat one. */
export async function* calls(since: string, ctx: Context, until?: string): AsyncGenerator<CallEvent[]> {
  if (!ctx.config.calls) return
  const seconds = (instant: string) => Math.floor(Date.parse(instant) / 1000)
  const to = until === undefined ? null : seconds(until)
  for (const type of Object.keys(LISTS) as EntityType[])
    for await (const page of kommo(ctx).callNotes(type, seconds(since), to))
      yield page.flatMap((one) => listedCall(type, one, ctx) ?? [])
}

/** Whoever keeps the recording wants no credentials of ours, and gets none. */
export async function fetchRecording(recording: Recording, _: Call, ctx: Context): Promise<Response> {
  const what = 'Kommo: fetch the recording'
  const response = await ctx.fetch(reachable(recording, ctx), {
    redirects: 3,
    maxBytes: RECORDING_MAX_BYTES,
    bucket: 'recordings',
  })
  return failOn(response, { what, now: ctx.now })
}

/** The link itself, for whoever follows it from outside. */
export async function linkTo(recording: Recording, _: Call, ctx: Context): Promise<string | null> {
  const { protocol, href } = reachable(recording, ctx)
  return protocol === 'https:' ? href : null
}

/** Whoever may write a note writes this link: `ctx.fetch` refuses what is private or not https, unless it is allowed. */
function reachable({ url }: Recording, { config: { recordingHosts } }: Context): URL {
  const link = url === undefined ? null : URL.parse(url)
  if (!link) throw new CordboardError('not_found', 'Kommo: the call has no link to its recording')
  return namedHost(link, recordingHosts, 'Kommo')
}

/** The name of a record's lists. */
export function listOfType(type: string): string {
  if (isEntityType(type)) return LISTS[type]
  throw new CordboardError('rejected', `Kommo: nothing can be put on a record of the type ${type}`, {
    fix: 'Choose a contact, lead, company or customer for this call',
  })
}

export const segment = encodeURIComponent

/** Without ids, which say nothing to a reader. */
const shown = (path: string) => path.replace(/\/\d+(?=\/|$)/g, '/…')

/** Where the answer cannot be read nobody knows what was done: `later` asks first, then tries again. */
async function read<Schema extends z.ZodType>(
  schema: Schema,
  response: Response,
  what: string,
): Promise<z.output<Schema>> {
  try {
    if (response.status === 204) return readAs(schema, null, `${what}: the empty reply`)
    return readAs(schema, await readJson(response, what), `${what}: the reply`)
  } catch (cause) {
    if (!(cause instanceof CordboardError) || cause.code !== 'invalid_payload') throw cause
    throw new CordboardError('vendor_down', `${what}: the answer is not as documented`, { cause })
  }
}

// ── How all of it is asked ──────────────────────────────────────────────────────────────────────────────────────────

/** Once more with another token when this one has ended early. */
async function ask(
  ctx: Context,
  path: string,
  query: Record<string, string>,
  init: FetchInit,
  what: string,
): Promise<Response> {
  const { token: lasting, baseUrl } = ctx.config
  const send = (bearer: string) =>
    ctx.fetch(apiUrl(baseUrl, path, query), {
      ...init,
      headers: { accept: 'application/json', ...init.headers, authorization: `Bearer ${bearer}` },
    })
  const first = lasting ?? (await accessToken(ctx))
  const response = await send(first)
  if (response.status !== 401 || lasting !== undefined) return checked(response, what, ctx)
  await response.body?.cancel()
  return checked(await send(await accessToken(ctx, first)), what, ctx)
}

/** The refresh token is another one after each use: it is kept before the new access token is used. */
function accessToken(ctx: Context, refused?: string): Promise<string> {
  const { oauth, baseUrl } = ctx.config
  if (oauth === undefined) throw new CordboardError('config', 'Kommo: neither token nor oauth')
  const { clientId, clientSecret, refreshToken, redirectUri } = oauth
  return ctx.token(
    'access',
    async (previous, fetch) => {
      const what = 'Kommo: refresh the access token'
      const response = await fetch(`${baseUrl}/oauth2/access_token`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          client_id: clientId,
          client_secret: clientSecret,
          grant_type: 'refresh_token',
          refresh_token: previous?.keep ?? refreshToken,
          redirect_uri: redirectUri,
        }),
      })
      // A used or dead refresh token: nothing but connecting the integration again helps.
      const codeOf = (status: number) => (status === 400 ? ('auth' as const) : undefined)
      await failOn(response, { what, now: ctx.now, codeOf })
      const { access_token, refresh_token, expires_in } = await readReply(response, token, what)
      return {
        token: access_token,
        ...(expires_in === undefined ? {} : { expiresInMs: expires_in * 1000 }),
        ...(refresh_token === undefined ? {} : { keep: refresh_token }),
      }
    },
    { refused, from: [clientSecret, refreshToken] },
  )
}

async function checked(response: Response, what: string, ctx: Context): Promise<Response> {
  if (response.status !== 429 || response.headers.has('retry-after'))
    return failOn(response, { what, now: ctx.now })
  const headers = new Headers(response.headers)
  headers.set('retry-after', PAUSE_S)
  return failOn(new Response(response.body, { status: 429, headers }), { what, now: ctx.now })
}
