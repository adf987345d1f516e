import { type Context, Hono } from 'hono'
import { decodeBase64Url, utf8 } from '../../src/connector/encoding.ts'
import { asObject, parseJson } from '../../src/connector/json.ts'
import {
  type CreateSandbox,
  createFaults,
  type SampleCall,
  type SandboxWebhook,
} from '../../src/connector/sandbox.ts'
import { config, privateKeyBytes } from './schema.ts'

/**
 * A stand-in of Vonage's Voice API, written from its pages: the events of both legs of a call, the list of legs and the
 * recordings behind a token that the application's key has signed, for 30 days. How many requests are allowed is not
 * documented: 300 a minute here.
 */
interface Row {
  uuid: string
  conversation_uuid: string
  status: string
  direction: string
  from: Record<string, string>
  to: Record<string, string>
  start_time: string | null
  end_time: string | null
  duration: string
}

interface Kept {
  id: string
  recordingUuid: string
  conversation: string
  call: SampleCall
  audio: NonNullable<SampleCall['audio']>
}

const MEDIA_TYPES: Readonly<Record<string, string>> = {
  mp3: 'audio/mpeg',
  wav: 'audio/wav',
  ogg: 'audio/ogg',
}
/** What the legs of a call end with: the outbound one that rings, the agent's of an inbound one. */
const ENDS = { answered: 'completed', no_answer: 'timeout', busy: 'busy' } as const
const KEPT_MS = 30 * 86_400_000
const WINDOW_MS = 60_000
const REQUESTS = 300

export const createSandbox: CreateSandbox = (options) => {
  const account = config.parse(options.account)
  const faults = createFaults()
  const rows: Row[] = []
  const files = new Map<string, Kept>()
  const placed = new Map<string, { conversation: string; webhooks: SandboxWebhook[] }>()
  let spent = { window: 0, requests: 0 }
  let publicKey: Promise<CryptoKey> | undefined
  const app = new Hono()
  app.use(faults.middleware)

  async function isSigned(header: string | undefined): Promise<boolean> {
    const [head = '', claims = '', signature = ''] = header?.replace(/^Bearer /, '').split('.') ?? []
    const payload = asObject(partOf(claims))
    const now = options.now() / 1000
    if (asObject(partOf(head))?.alg !== 'RS256' || payload?.application_id !== account.applicationId)
      return false
    if (!(Number(payload.exp) > now && Number(payload.iat) <= now && typeof payload.jti === 'string'))
      return false
    publicKey ??= publicKeyOf(account.privateKey)
    const bytes = new Uint8Array(decodeBase64Url(signature) ?? [])
    const signed = new Uint8Array(utf8(`${head}.${claims}`))
    return crypto.subtle.verify('RSASSA-PKCS1-v1_5', await publicKey, bytes, signed)
  }
  app.use('/v1/*', async (c, next) => {
    if (!(await isSigned(c.req.header('authorization')))) return problem(c, 401, 'Invalid JWT')
    const window = Math.floor(options.now() / WINDOW_MS)
    spent = window === spent.window ? { window, requests: spent.requests + 1 } : { window, requests: 1 }
    return spent.requests > REQUESTS ? problem(c, 429, 'Too many requests') : next()
  })

  app.get('/v1/calls', (c) => {
    const { date_start: from = '', date_end: until = '~', order } = c.req.query()
    const size = Math.min(Number(c.req.query('page_size') ?? 10), 100)
    const index = Number(c.req.query('record_index') ?? 0)
    const found = rows.filter(({ end_time: at }) => at !== null && at >= from && at <= until)
    const ordered = order === 'desc' ? found.toReversed() : found
    return c.json({
      count: found.length,
      page_size: size,
      record_index: index,
      _links: { self: { href: `/calls?page_size=${size}&record_index=${index}` } },
      _embedded: { calls: ordered.slice(index, index + size) },
    })
  })

  app.get('/v1/files/:id', (c) => {
    const kept = files.get(c.req.param('id'))
    if (!kept || options.now() - endOf(kept.call) > KEPT_MS) return problem(c, 404, 'Not found')
    const { bytes, format } = kept.audio
    return c.body(bytes as Uint8Array<ArrayBuffer>, 200, {
      'content-type': MEDIA_TYPES[format] ?? 'application/octet-stream',
      'content-length': String(bytes.length),
    })
  })

  const hex = (digits: number) =>
    Math.floor(options.random() * 16 ** digits)
      .toString(16)
      .padStart(digits, '0')
  const uuid = () => `${hex(8)}-${hex(4)}-4${hex(3)}-a${hex(3)}-${hex(6)}${hex(6)}`

  return {
    app,
    fail: faults.fail,
    book: () => [
      ...[...placed].map(([key, { conversation }]) => ({ kind: 'call', id: conversation, key, fields: {} })),
      ...[...files.values()].map(({ recordingUuid, call }) => ({
        kind: 'recording',
        id: recordingUuid,
        key: call.id,
        fields: {},
      })),
    ],
    place(call) {
      const known = placed.get(call.id)
      if (known) return known.webhooks
      const conversation = `CON-${uuid()}`
      const played = play(call, conversation, uuid)
      rows.push(...played.rows)
      const { webhooks } = played
      if (call.audio) {
        const kept = { id: uuid(), recordingUuid: uuid(), conversation, call, audio: call.audio }
        files.set(kept.id, kept)
        webhooks.push(recordWebhook(kept, options.baseUrl))
      }
      placed.set(call.id, { conversation, webhooks })
      return webhooks
    },
  }
}

async function publicKeyOf(privateKey: string): Promise<CryptoKey> {
  const algorithm = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }
  const bytes = new Uint8Array(privateKeyBytes(privateKey) ?? [])
  const whole = await crypto.subtle.importKey('pkcs8', bytes, algorithm, true, ['sign'])
  const { kty, n, e } = (await crypto.subtle.exportKey('jwk', whole)) as JsonWebKey
  return crypto.subtle.importKey('jwk', { kty, n, e } as JsonWebKey, algorithm, false, ['verify'])
}

function partOf(text: string): unknown {
  const bytes = decodeBase64Url(text)
  try {
    return bytes && parseJson(bytes)
  } catch {
    return null
  }
}

const endOf = ({ startedAt, ringMs, talkMs, result }: SampleCall): number =>
  startedAt + ringMs + (result === 'answered' ? talkMs : 0)
const time = (ms: number): string => new Date(ms).toISOString()
const bare = (phone: string): string => phone.replace(/^\+/, '')

/**
 * Inbound: the application takes the caller at once and connects an app user; when nobody answers, the caller is let go.
 * Outbound: an API call to the customer, then the agent.
 */
function play(call: SampleCall, conversation: string, uuid: () => string) {
  const isInbound = call.direction === 'inbound'
  const isAnswered = call.result === 'answered'
  const [customer, own] = [bare(call.customerPhone), bare(call.ownPhone)]
  const end = ENDS[call.result]
  const answeredAt = call.startedAt + call.ringMs
  const endedAt = endOf(call)
  const talkS = isAnswered ? Math.round(call.talkMs / 1000) : 0
  const webhooks: SandboxWebhook[] = []
  const rows: Row[] = []

  const legOf = (direction: string, from: string, to: string) => ({
    uuid: uuid(),
    conversation_uuid: conversation,
    direction,
    from,
    to,
  })
  type Leg = ReturnType<typeof legOf>
  const say = (leg: Leg, status: string, at: number, more = {}) =>
    webhooks.push(webhook(status, { ...leg, status, timestamp: time(at), ...more }))
  const finish = (leg: Leg, status: string, lengthS: number) => {
    const span = {
      start_time: time(endedAt - lengthS * 1000),
      end_time: time(endedAt),
      duration: String(lengthS),
    }
    const isTaken = status === 'completed'
    say(
      leg,
      status,
      endedAt,
      isTaken ? { ...span, network: 'FR-MOBILE', rate: '0.0045', price: '0.0095' } : {},
    )
    rows.push({
      ...leg,
      status,
      from: endpointOf(leg.from),
      to: endpointOf(leg.to),
      start_time: isTaken ? span.start_time : null,
      end_time: span.end_time,
      duration: span.duration,
    })
  }

  const agentName = call.agent.extension
  const agent = legOf('outbound', own, agentName)
  if (isInbound) {
    const caller = legOf('inbound', customer, own)
    say(caller, 'started', call.startedAt)
    say(caller, 'ringing', call.startedAt)
    say(agent, 'started', call.startedAt)
    say(agent, 'ringing', call.startedAt + Math.min(500, call.ringMs))
    if (!isAnswered) {
      finish(agent, end, 0)
      finish(caller, 'completed', 0)
      return { webhooks, rows }
    }
    say(agent, 'answered', answeredAt, { start_time: null, rate: null, network: null })
    say(caller, 'answered', answeredAt, { start_time: null, rate: null, network: null })
    finish(agent, 'completed', talkS)
    finish(caller, 'completed', talkS)
    return { webhooks, rows }
  }
  const callee = legOf('outbound', own, customer)
  say(callee, 'started', call.startedAt)
  say(callee, 'ringing', call.startedAt + Math.min(500, call.ringMs))
  if (isAnswered) {
    say(callee, 'answered', answeredAt, { start_time: null, rate: null, network: null })
    say(agent, 'started', answeredAt)
    say(agent, 'answered', answeredAt, { start_time: null, rate: null, network: null })
    finish(agent, 'completed', talkS)
  }
  finish(callee, end, talkS)
  return { webhooks, rows }
}

const endpointOf = (end: string): Record<string, string> =>
  end.length > 7 ? { type: 'phone', number: end } : { type: 'vbc', extension: end }

function recordWebhook(kept: Kept, baseUrl: string): SandboxWebhook {
  const from = kept.call.startedAt + kept.call.ringMs
  return webhook('record', {
    conversation_uuid: kept.conversation,
    start_time: time(from),
    end_time: time(from + kept.audio.durationMs),
    recording_url: `${baseUrl}/v1/files/${kept.id}`,
    recording_uuid: kept.recordingUuid,
    size: kept.audio.bytes.length,
    timestamp: time(endOf(kept.call) + 1300),
  })
}

const webhook = (says: string, body: Record<string, unknown>): SandboxWebhook => ({
  says,
  method: 'POST',
  path: '',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(body),
})

function problem(c: Context, status: 401 | 404 | 429, title: string): Response {
  return c.json({ type: 'https://developer.vonage.com/api-errors', title }, status)
}
