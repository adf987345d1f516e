import { type Context, Hono } from 'hono'
import { asObject } from '../../src/connector/json.ts'
import {
  type CreateSandbox,
  createFaults,
  type SampleCall,
  type SandboxWebhook,
} from '../../src/connector/sandbox.ts'
import { config } from './schema.ts'

/**
 * A stand-in of Dialpad, written from its pages and the specification in its Python SDK: the states of a call object, the
 * list of calls, recordings as files behind the API key, webhooks and subscriptions. Its webhooks are the plain call
 * objects; who sends them makes the tokens. Without the key a recording leads to the login page, as users report it.
 */
interface Kept {
  call: SampleCall
  object: CallFields
  webhooks: SandboxWebhook[]
}
type CallFields = Record<string, unknown> & { call_id: Long; date_started: number }

/** A number of 64 bits, which JSON.stringify would round: marked here, and written without its quotes. */
type Long = `#${string}`
const written = (value: unknown): string => JSON.stringify(value).replaceAll(/"#(\d+)"/g, '$1')

const PAGE_SIZE = 50
const MEDIA_TYPES: Readonly<Record<string, string>> = { mp3: 'audio/mpeg', wav: 'audio/x-wav' }

export const createSandbox: CreateSandbox = (options) => {
  const account = config.parse(options.account)
  const faults = createFaults()
  const calls = new Map<string, Kept>()
  const webhooks: { id: Long; hook_url: string; secret: string | null }[] = []
  const subscriptions: { id: Long; webhook: Long; call_states: unknown; enabled: boolean }[] = []
  const app = new Hono()
  app.use(faults.middleware)

  const isKnown = (c: Context) => c.req.header('authorization') === `Bearer ${account.apiKey}`
  const answer = (c: Context, value: unknown) =>
    c.body(written(value), 200, { 'content-type': 'application/json' })
  const problem = (c: Context, status: 400 | 401 | 404, message: string) =>
    c.json({ error: { code: status, message } }, status)

  app.use('/api/v2/*', async (c, next) => (isKnown(c) ? next() : problem(c, 401, 'The API key is not valid')))

  app.get('/api/v2/call', (c) => {
    const after = Number(c.req.query('started_after') ?? 0)
    const before = Number(c.req.query('started_before') ?? Number.POSITIVE_INFINITY)
    const rows = [...calls.values()].map(({ object }) => object)
    const found = rows.filter((row) => row.date_started > after && row.date_started < before)
    return answer(
      c,
      page(
        c,
        found.sort((a, b) => b.date_started - a.date_started),
      ),
    )
  })

  const shown = ({ id, hook_url, secret }: (typeof webhooks)[number]) => ({
    id,
    hook_url,
    ...(secret === null ? {} : { signature: { algo: 'HS256', type: 'jwt', secret } }),
  })
  app.get('/api/v2/webhooks', (c) => answer(c, page(c, webhooks.map(shown))))
  app.post('/api/v2/webhooks', async (c) => {
    const { hook_url, secret } = asObject(await c.req.json()) ?? {}
    if (typeof hook_url !== 'string') return problem(c, 400, 'hook_url is required')
    const created = { id: long(), hook_url, secret: typeof secret === 'string' ? secret : null }
    webhooks.push(created)
    return answer(c, shown(created))
  })
  app.patch('/api/v2/webhooks/:id', async (c) => {
    const webhook = webhooks.find(({ id }) => id === `#${c.req.param('id')}`)
    if (!webhook) return problem(c, 404, 'There is no such webhook')
    const { secret } = asObject(await c.req.json()) ?? {}
    if (typeof secret === 'string') webhook.secret = secret
    return answer(c, shown(webhook))
  })

  const told = (one: (typeof subscriptions)[number]) => {
    const webhook = webhooks.find(({ id }) => id === one.webhook)
    return { ...one, webhook: webhook ? shown(webhook) : null }
  }
  app.get('/api/v2/subscriptions/call', (c) => answer(c, page(c, subscriptions.map(told))))
  app.post('/api/v2/subscriptions/call', async (c) => {
    const text = await c.req.text()
    // As it is written: read as a number it would lose its last digits.
    const [, endpoint] = /"endpoint_id":(\d+)/.exec(text) ?? []
    if (!webhooks.some(({ id }) => id === `#${endpoint}`)) return problem(c, 404, 'There is no such webhook')
    const { call_states, enabled } = asObject(JSON.parse(text)) ?? {}
    const created = { id: long(), webhook: `#${endpoint}` as Long, call_states, enabled: enabled === true }
    subscriptions.push(created)
    return answer(c, told(created))
  })

  app.get('/login', (c) => c.html('<!doctype html><title>Dialpad</title><p>Log in</p>'))
  app.get('/blob/adminrecording/:file', (c) => {
    if (!isKnown(c)) return c.redirect('/login', 302)
    const id = c.req.param('file').replace(/\.mp3$/, '')
    const audio = [...calls.values()].find(({ object }) => recordingIdOf(object) === id)?.call.audio
    if (!audio) return problem(c, 404, 'There is no such recording')
    return c.body(audio.bytes as Uint8Array<ArrayBuffer>, 200, {
      'content-type': MEDIA_TYPES[audio.format] ?? 'application/octet-stream',
      'content-length': String(audio.bytes.length),
    })
  })

  function digits(count: number): string {
    let text = ''
    while (text.length < count) text += Math.floor(options.random() * 10)
    return text
  }
  const long = (): Long => `#8${digits(18)}`

  return {
    app,
    fail: faults.fail,
    book: () => [
      ...[...calls].flatMap(([key, { object }]) => [
        { kind: 'call', id: object.call_id.slice(1), key, fields: object },
        ...(recordingIdOf(object)
          ? [{ kind: 'recording', id: String(recordingIdOf(object)), key, fields: {} }]
          : []),
      ]),
      ...webhooks.map((one) => ({ kind: 'webhook', id: one.id.slice(1), key: null, fields: one })),
      ...subscriptions.map((one) => ({ kind: 'subscription', id: one.id.slice(1), key: null, fields: one })),
    ],
    place(call) {
      const known = calls.get(call.id)
      if (known) return known.webhooks
      const recordingId = call.audio ? digits(16) : null
      const object = objectOf(call, long(), recordingId, options.baseUrl)
      const kept = { call, object, webhooks: play(call, object) }
      calls.set(call.id, kept)
      return kept.webhooks
    },
  }
}

const recordingIdOf = (object: Record<string, unknown>): string | undefined =>
  (object.call_recording_ids as string[])[0]

const endOf = (call: SampleCall) =>
  call.startedAt + call.ringMs + (call.result === 'answered' ? call.talkMs : 0)

/** The whole object, as it is in the end. */
function objectOf(call: SampleCall, callId: Long, recordingId: string | null, baseUrl: string): CallFields {
  const isAnswered = call.result === 'answered'
  const url = `${baseUrl}/blob/adminrecording/${recordingId}.mp3`
  return {
    call_id: callId,
    state: 'hangup',
    direction: call.direction,
    date_started: call.startedAt,
    date_rang: call.startedAt,
    date_connected: isAnswered ? call.startedAt + call.ringMs : null,
    date_ended: endOf(call),
    event_timestamp: endOf(call) + 400,
    talk_time: isAnswered ? call.talkMs : null,
    hold_time: 0,
    duration: isAnswered ? call.talkMs : 0,
    total_duration: endOf(call) - call.startedAt,
    external_number: call.customerPhone,
    internal_number: call.ownPhone,
    contact: {
      id: `c${callId.slice(1, 8)}`,
      type: 'local',
      name: call.customerPhone,
      email: '',
      phone: call.customerPhone,
    },
    target: {
      id: `#8000000000000000${call.agent.extension}`,
      type: 'user',
      name: call.agent.name,
      email: '',
      phone: call.ownPhone,
    },
    entry_point_call_id: null,
    entry_point_target: {},
    master_call_id: null,
    operator_call_id: null,
    is_internal: false,
    is_transferred: false,
    labels: [],
    was_recorded: recordingId !== null,
    voicemail_link: null,
    voicemail_recording_id: null,
    call_recording_ids: recordingId === null ? [] : [recordingId],
    recording_details:
      recordingId === null
        ? []
        : [
            {
              id: recordingId,
              recording_type: 'admincallrecording',
              duration: call.audio?.durationMs,
              start_time: call.startedAt + call.ringMs,
              url,
            },
          ],
    admin_recording_urls: recordingId === null ? [] : [url],
  }
}

/** `hangup` comes before its recording; a busy customer is a hangup without a connection, as nobody's answer is. */
function play(call: SampleCall, object: CallFields): SandboxWebhook[] {
  const answeredAt = call.startedAt + call.ringMs
  const nothing = { recording_details: [], admin_recording_urls: [], date_ended: null, date_connected: null }
  const say = (state: string, at: number, changes: Record<string, unknown>): SandboxWebhook => ({
    says: state,
    method: 'POST',
    path: '',
    // What the token is sent as is not documented.
    headers: { 'content-type': 'text/plain; charset=utf-8' },
    body: written({ ...object, ...changes, state, event_timestamp: at }),
  })
  const webhooks = [say(call.direction === 'inbound' ? 'ringing' : 'calling', call.startedAt, nothing)]
  if (call.result === 'answered')
    webhooks.push(say('connected', answeredAt, { ...nothing, date_connected: answeredAt }))
  webhooks.push(say('hangup', endOf(call) + 400, { recording_details: [], admin_recording_urls: [] }))
  if (call.audio) webhooks.push(say('admin_recording', endOf(call) + 20_000, {}))
  return webhooks
}

function page(c: Context, rows: unknown[]) {
  const at = Number(c.req.query('cursor') ?? 0)
  const items = rows.slice(at, at + PAGE_SIZE)
  return at + PAGE_SIZE < rows.length ? { items, cursor: String(at + PAGE_SIZE) } : { items }
}
