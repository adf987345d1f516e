import type { z } from 'zod'
import type { CallEvent } from '../../src/call/facts.ts'
import { apiUrl } from '../../src/connector/api-url.ts'
import type { ConnectorContext, FetchInit } from '../../src/connector/contract.ts'
import { encodeBase64, utf8 } from '../../src/connector/encoding.ts'
import { failOn } from '../../src/connector/fail-on.ts'
import { multipart } from '../../src/connector/multipart.ts'
import { readReply } from '../../src/connector/read.ts'
import { CordboardError } from '../../src/errors.ts'
import { isLinkType, isOurs, LINKS, RECORDS, type Search, toEvent } from './map.ts'
import {
  type Activity,
  activities,
  type CallLog,
  type Config,
  callLogs,
  created,
  type Field,
  type FoundPerson,
  fields,
  files,
  me,
  notes,
  oneActivity,
  onePerson,
  type Person,
  personSearch,
  persons,
  token,
  users,
  webhooks,
} from './schema.ts'

type Context = ConnectorContext<Config>
export type Body = Record<string, unknown>
interface Target {
  type: string
  id: string
}

const DEFAULT_BASE = 'https://api.pipedrive.com'
/** The most that a list gives at once: activities, notes, files, call logs. */
const PAGE = { activities: '500', notes: '100', files: '100', callLogs: '50', search: '100' }
/** Ids that one request takes. */
const MOST_IDS = 100
/** An attempt whose end is not known is minutes old: older pages hold nothing of it. */
const MOST_PAGES = 4
/** The burst window is two seconds: whoever has to wait longer has used up the day’s tokens. */
const LONGEST_BURST_MS = 60_000

/** Pipedrive's API for one step's context: v2 for persons, activities and fields, v1 for what v2 does not have. */
export function pipedrive(ctx: Context) {
  const get = async <Schema extends z.ZodType>(
    schema: Schema,
    path: string,
    query: Record<string, string> = {},
    bucket = 'default',
  ) => {
    const what = `Pipedrive: GET ${shown(path)}`
    return read(schema, await ask(ctx, path, query, { bucket }, what), what)
  }

  /** The id of what was made or changed. Where the answer cannot be read, nobody knows: `later` asks first. */
  async function send(method: string, path: string, body: Body): Promise<string> {
    const what = `Pipedrive: ${method} ${shown(path)}`
    const init = { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
    return idOf(await ask(ctx, path, {}, init, what), what)
  }

  /** Null where there is none. */
  async function orNull<Value>(asking: Promise<Value>): Promise<Value | null> {
    try {
      return await asking
    } catch (error) {
      if (error instanceof CordboardError && (error.code === 'not_found' || error.code === 'gone'))
        return null
      throw error
    }
  }

  /** The newest first; `where` is a record, or everything since an instant. */
  async function* newestActivities(where: Record<string, string>): AsyncIterable<Activity[]> {
    let cursor: string | undefined
    for (let page = 0; page < MOST_PAGES; page++) {
      const query = { ...where, sort_by: 'add_time', sort_direction: 'desc', limit: PAGE.activities }
      const reply = await get(
        activities,
        '/api/v2/activities',
        cursor === undefined ? query : { ...query, cursor },
      )
      yield reply.data ?? []
      cursor = reply.additional_data?.next_cursor ?? undefined
      if (cursor === undefined) return
    }
  }

  return {
    me: async () => (await get(me, '/v1/users/me')).data,

    async searchPersons({ term, exact }: Search, by: 'phone' | 'email'): Promise<FoundPerson[]> {
      const query = { term, fields: by, exact_match: String(exact), limit: PAGE.search }
      const { data } = await get(personSearch, '/api/v2/persons/search', query, 'search')
      return data.items.map(({ item }) => item)
    },

    person: (id: string): Promise<Person | null> =>
      orNull(get(onePerson, `/api/v2/persons/${segment(id)}`).then(({ data }) => data)),

    /** At most `MOST_IDS`. */
    async persons(ids: readonly string[], more: Record<string, string> = {}): Promise<Map<string, Person>> {
      if (ids.length === 0) return new Map()
      const reply = await get(persons, '/api/v2/persons', { ids: ids.join(','), limit: '100', ...more })
      return new Map((reply.data ?? []).map((one) => [one.id, one]))
    },

    create: (path: string, body: Body) => send('POST', path, body),
    /** v2 takes PATCH, v1 notes PUT. */
    change: (path: string, id: string, body: Body) =>
      send(path.startsWith('/v1/') ? 'PUT' : 'PATCH', `${path}/${segment(id)}`, body),

    activity: async (id: string): Promise<Activity> =>
      (await get(oneActivity, `/api/v2/activities/${segment(id)}`)).data,

    async activities(ids: readonly string[]): Promise<Activity[]> {
      const reply = await get(activities, '/api/v2/activities', { ids: ids.join(','), limit: '100' })
      return reply.data ?? []
    },

    /** In pages of as many as persons are read of at once. */
    async *changedActivities(since: string, until: string | undefined): AsyncGenerator<Activity[]> {
      const range = { updated_since: since, ...(until === undefined ? {} : { updated_until: until }) }
      const query = { ...range, sort_by: 'update_time', sort_direction: 'asc', limit: String(MOST_IDS) }
      let cursor: string | undefined
      do {
        const asked = cursor === undefined ? query : { ...query, cursor }
        const reply = await get(activities, '/api/v2/activities', asked)
        yield reply.data ?? []
        cursor = reply.additional_data?.next_cursor ?? undefined
      } while (cursor !== undefined)
    },

    /** On its record, then anywhere: another one may have been chosen since it was sent. */
    async findActivity(target: Target | null, since: string, isIt: (one: Activity) => boolean) {
      for (const on of target === null ? [null] : [target, null]) {
        for await (const page of newestActivities({ ...linkQuery(on), updated_since: since })) {
          const found = page.find(isIt)
          if (found) return found
        }
      }
      return null
    },

    /** The call logs of the user of the credentials: those of others are not listed. */
    async callLogs(pages: number): Promise<CallLog[]> {
      const all: CallLog[] = []
      for (let page = 0; page < pages; page++) {
        const query = { start: String(page * Number(PAGE.callLogs)), limit: PAGE.callLogs }
        const { data } = await get(callLogs, '/v1/callLogs', query)
        all.push(...(data ?? []))
        if ((data?.length ?? 0) < Number(PAGE.callLogs)) break
      }
      return all
    },

    /** Likewise. */
    async findNote(target: Target, isIt: (content: string | null | undefined) => boolean) {
      for (const on of [target, null]) {
        const query = { ...linkQuery(on), sort: 'add_time DESC', limit: PAGE.notes }
        const { data } = await get(notes, '/v1/notes', query)
        const found = data?.find(({ content }) => isIt(content))
        if (found) return found.id
      }
      return null
    },

    /** The newest files of the account: a record's own list is not in our sources. */
    async findFile(name: string): Promise<string | null> {
      const { data } = await get(files, '/v1/files', { sort: 'update_time DESC', limit: PAGE.files })
      return data?.find((one) => one.name === name || one.file_name === name)?.id ?? null
    },

    async upload(name: string, text: string, links: Record<string, string>): Promise<string> {
      const bytes = utf8(text)
      const body = new Blob([new Uint8Array(bytes)]).stream()
      const boundary = `cordboard-${Math.floor(ctx.random() * 2 ** 52).toString(36)}`
      const file = {
        name: 'file',
        fileName: name,
        contentType: 'text/plain; charset=utf-8',
        body,
        bytes: bytes.length,
      }
      const form = multipart(links, file, boundary)
      const what = 'Pipedrive: POST /v1/files'
      // Whole, not streamed: a token that has ended asks for the same request once more.
      const whole = new Uint8Array(await new Response(form.body).arrayBuffer())
      const init = { method: 'POST', headers: { 'content-type': form.contentType }, body: whole }
      return idOf(await ask(ctx, '/v1/files', {}, init, what), what)
    },

    /** The user id of an e-mail address; null when nobody in the company has it. */
    async userOf(email: string): Promise<string | null> {
      const { data } = await get(users, '/v1/users/find', { term: email, search_by_email: '1' })
      return data?.find((one) => one.email?.toLowerCase() === email.toLowerCase())?.id ?? null
    },

    async fields(of: 'person' | 'deal'): Promise<Field[]> {
      const all: Field[] = []
      let cursor: string | undefined
      for (let page = 0; page < MOST_PAGES; page++) {
        const query = { limit: '500', ...(cursor === undefined ? {} : { cursor }) }
        const reply = await get(fields, `/api/v2/${of}Fields`, query)
        all.push(...(reply.data ?? []))
        cursor = reply.additional_data?.next_cursor ?? undefined
        if (cursor === undefined) break
      }
      return all
    },

    webhooks: async () => (await get(webhooks, '/v1/webhooks')).data ?? [],
  }
}

/** The record as a parameter. */
export function linkQuery(target: Target | null): Record<string, string> {
  const link = target && linkOf(target)
  return link ? { [link.name]: link.id } : {}
}

/** The field that names the record. */
export function linkOf(target: Target) {
  if (isLinkType(target.type)) return { name: LINKS[target.type], id: target.id }
  throw new CordboardError(
    'rejected',
    `Pipedrive: nothing can be put on a record of the type ${target.type}`,
    {
      fix: 'Choose a person, organization, deal or lead for this call',
    },
  )
}

const segment = encodeURIComponent

/** Without ids, which say nothing to a reader: `/v1/notes/…` */
const shown = (path: string) =>
  path.replace(/\/[^/]*\d[^/]*$/, (last) => (/^\/v\d$/.test(last) ? last : '/…'))

const idOf = async (response: Response, what: string): Promise<string> =>
  (await read(created, response, what)).data.id

/** Where the answer cannot be read nobody knows what was done: `later` asks first, then tries again. */
async function read<Schema extends z.ZodType>(schema: Schema, response: Response, what: string) {
  try {
    return await readReply(response, schema, what)
  } catch (cause) {
    if (!(cause instanceof CordboardError) || cause.code !== 'invalid_payload') throw cause
    throw new CordboardError('vendor_down', `${what}: the answer is not as documented`, { cause })
  }
}

// ── What Pipedrive tells ────────────────────────────────────────────────────────────────────────────────────────────

/** Done activities as calls. */
export async function lookUp(ids: readonly string[], ctx: Context): Promise<CallEvent[]> {
  if (!ctx.config.calls) return []
  const asked = [...new Set(ids)].filter((id) => /^\d{1,15}$/.test(id))
  const events: CallEvent[] = []
  for (let at = 0; at < asked.length; at += MOST_IDS)
    events.push(...(await eventsOf(await pipedrive(ctx).activities(asked.slice(at, at + MOST_IDS)), ctx)))
  return events
}

/** By when an activity was last changed: one that was closed late is not missed. */
export async function* calls(since: string, ctx: Context, until?: string): AsyncGenerator<CallEvent[]> {
  if (!ctx.config.calls) return
  for await (const page of pipedrive(ctx).changedActivities(since, until)) yield await eventsOf(page, ctx)
}

/** Those that are calls, over, and not ours; with their person and their call log. */
async function eventsOf(activities: readonly Activity[], ctx: Context): Promise<CallEvent[]> {
  const told = activities.filter(
    ({ type, done, is_deleted, note }) =>
      ctx.config.callTypes.includes(type ?? '') && done === true && is_deleted !== true && !isOurs(note),
  )
  if (told.length === 0) return []
  const people = await pipedrive(ctx).persons([...new Set(told.flatMap(({ person_id }) => person_id ?? []))])
  const ids = told.map(({ id }) => id)
  const logs = await logsOf(ids, ctx)
  return told
    .filter(({ id }) => !isOurs(logs.get(id)?.note))
    .map((activity) => toEvent(activity, people.get(activity.person_id ?? ''), logs.get(activity.id), ctx))
}

/** Numbers and outcome stand in call logs only, and only those of our own user can be read. */
async function logsOf(ids: readonly string[], ctx: Context) {
  try {
    const logs = await pipedrive(ctx).callLogs(1)
    const own = logs.filter(({ activity_id }) => activity_id != null && ids.includes(activity_id))
    return new Map(own.map((log) => [log.activity_id ?? '', log]))
  } catch (error) {
    if (!(error instanceof CordboardError) || !['forbidden', 'not_found'].includes(error.code)) throw error
    ctx.log.warn('Pipedrive does not let us read call logs: calls come without numbers and outcome')
    return new Map<string, never>()
  }
}

const wishes = ({ calls }: Config) => [
  ...(calls ? [{ event_action: '*', event_object: 'activity' }] : []),
  ...RECORDS.map((event_object) => ({ event_action: 'delete', event_object })),
]

/** The wishes that no active webhook to this URL fulfils. */
export async function missingWebhooks(url: string, ctx: Context) {
  const own = (await pipedrive(ctx).webhooks()).filter(
    (one) => one.subscription_url === url && Boolean(one.is_active ?? true) && one.version !== '1.0',
  )
  const isThere = (wish: { event_action: string; event_object: string }) =>
    own.some((one) => one.event_action === wish.event_action && one.event_object === wish.event_object)
  return wishes(ctx.config).filter((wish) => !isThere(wish))
}

/** Makes the webhooks that are not there yet. */
export async function subscribe(url: string, ctx: Context): Promise<void> {
  const { webhookUser, webhookPassword } = ctx.config
  const [password] = webhookPassword ?? []
  if (password === undefined) {
    throw new CordboardError('config', 'Pipedrive: webhooks need a webhookPassword', {
      fix: 'Set webhookPassword: Pipedrive signs nothing, the login is all that proves who sends',
    })
  }
  for (const wish of await missingWebhooks(url, ctx)) {
    await pipedrive(ctx).create('/v1/webhooks', {
      ...wish,
      name: `Cordboard ${ctx.connection}`,
      subscription_url: url,
      version: '2.0',
      http_auth_user: webhookUser,
      http_auth_password: password,
    })
  }
}

// ── How all of it is asked ──────────────────────────────────────────────────────────────────────────────────────────

async function ask(
  ctx: Context,
  path: string,
  query: Record<string, string>,
  init: FetchInit,
  what: string,
): Promise<Response> {
  const { apiToken, baseUrl } = ctx.config
  const send = (base: string, credentials: Record<string, string>) =>
    ctx.fetch(apiUrl(base, path, query), {
      ...init,
      headers: { accept: 'application/json', ...init.headers, ...credentials },
    })
  if (apiToken !== undefined)
    return checked(await send(baseUrl ?? DEFAULT_BASE, { 'x-api-token': apiToken }), what, ctx)
  const bearer = async (held: string) => {
    const [access = '', domain = DEFAULT_BASE] = held.split(' ')
    return send(baseUrl ?? domain, { authorization: `Bearer ${access}` })
  }
  const first = await accessToken(ctx)
  const response = await bearer(first)
  if (response.status !== 401) return checked(response, what, ctx)
  await response.body?.cancel()
  return checked(await bearer(await accessToken(ctx, first)), what, ctx)
}

/** The token, and behind a space the host that it is for. */
function accessToken(ctx: Context, refused?: string): Promise<string> {
  const { oauth, oauthUrl } = ctx.config
  if (oauth === undefined) throw new CordboardError('config', 'Pipedrive: neither apiToken nor oauth')
  const { clientId, clientSecret, refreshToken } = oauth
  return ctx.token(
    'access',
    async (previous, fetch) => {
      const what = 'Pipedrive: refresh the access token'
      const response = await fetch(`${oauthUrl}/oauth/token`, {
        method: 'POST',
        headers: { authorization: `Basic ${encodeBase64(utf8(`${clientId}:${clientSecret}`))}` },
        body: new URLSearchParams({
          grant_type: 'refresh_token',
          refresh_token: previous?.keep ?? refreshToken,
        }),
      })
      // A refresh token that was not used for 60 days is refused with 400: nothing but connecting again helps.
      const codeOf = (status: number) => (status === 400 ? ('auth' as const) : undefined)
      await failOn(response, { what, now: ctx.now, codeOf })
      const { access_token, refresh_token, expires_in, api_domain } = await read(token, response, what)
      return {
        token: api_domain === undefined ? access_token : `${access_token} ${api_domain}`,
        ...(expires_in === undefined ? {} : { expiresInMs: expires_in * 1000 }),
        ...(refresh_token === undefined ? {} : { keep: refresh_token }),
      }
    },
    { refused, from: [clientSecret, refreshToken] },
  )
}

/** There is no Retry-After: `x-ratelimit-reset` says in how many seconds the window ends. */
async function checked(response: Response, what: string, ctx: Context): Promise<Response> {
  if (response.status !== 429 || response.headers.has('retry-after'))
    return failOn(response, { what, now: ctx.now })
  const reset = response.headers.get('x-ratelimit-reset') ?? ''
  const afterMs = /^\d{1,6}$/.test(reset) ? Number(reset) * 1000 : null
  const isDay = afterMs !== null && afterMs > LONGEST_BURST_MS
  const headers = new Headers(response.headers)
  if (afterMs !== null) headers.set('retry-after', String(afterMs / 1000))
  const told = new Response(response.body, { status: 429, headers })
  return failOn(told, { what, now: ctx.now, codeOf: () => (isDay ? 'quota' : undefined) })
}
