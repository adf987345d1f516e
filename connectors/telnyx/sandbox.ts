import { type Context, Hono } from 'hono'
import {
  type CreateSandbox,
  createFaults,
  type SampleCall,
  type SandboxWebhook,
} from '../../src/connector/sandbox.ts'
import { config } from './schema.ts'

/**
 * A stand-in of Telnyx, written from its pages: the webhooks of both legs of a call, the recordings behind an API key, and
 * their links, which end after ten minutes and refuse a second proof. How many requests are allowed is not documented:
 * 600 a minute here. Its webhooks are signed with the stand-ins' key (src/connector/stand-in-key.ts).
 */
interface Kept {
  id: string
  session: string
  leg: string
  from: string
  to: string
  call: SampleCall
  audio: NonNullable<SampleCall['audio']>
}

interface Played {
  session: string
  kept: Kept | null
  webhooks: SandboxWebhook[]
}

const MEDIA_TYPES: Readonly<Record<string, string>> = { mp3: 'audio/mpeg', wav: 'audio/x-wav' }
const LINK_MS = 600_000
const WINDOW_MS = 60_000
const REQUESTS = 600
const CAUSES = { answered: 'normal_clearing', no_answer: 'timeout', busy: 'user_busy' } as const
const SIP = { answered: '200', no_answer: '480', busy: '486' } as const

export const createSandbox: CreateSandbox = (options) => {
  const account = config.parse(options.account)
  const faults = createFaults()
  const placed = new Map<string, Played>()
  const recordings: Kept[] = []
  let spent = { window: 0, requests: 0 }
  const app = new Hono()
  app.use(faults.middleware)

  app.use('/v2/*', async (c, next) => {
    if (c.req.header('authorization') !== `Bearer ${account.apiKey}`) {
      return problem(c, 401, '10009', 'Authentication failed')
    }
    const window = Math.floor(options.now() / WINDOW_MS)
    spent = window === spent.window ? { window, requests: spent.requests + 1 } : { window, requests: 1 }
    c.header('x-ratelimit-limit', String(REQUESTS))
    c.header('x-ratelimit-remaining', String(Math.max(0, REQUESTS - spent.requests)))
    c.header('x-ratelimit-reset', String(Math.ceil(((window + 1) * WINDOW_MS - options.now()) / 1000)))
    return spent.requests > REQUESTS ? problem(c, 429, '10011', 'Too many requests') : next()
  })

  app.get('/v2/recordings', (c) => {
    const asked = c.req.query()
    const rows = recordings.filter((kept) => {
      const { created_at: createdAt } = row(kept)
      const leg = asked['filter[call_leg_id]']
      return (
        (leg === undefined || kept.leg === leg) &&
        createdAt >= (asked['filter[created_at][gte]'] ?? '') &&
        createdAt <= (asked['filter[created_at][lte]'] ?? '~')
      )
    })
    const size = Math.min(Number(asked['page[size]'] ?? 20), 250)
    const number = Number(asked['page[number]'] ?? 1)
    const pages = Math.ceil(rows.length / size)
    return c.json({
      data: rows
        .toReversed()
        .slice((number - 1) * size, number * size)
        .map(row),
      meta: { page_number: number, page_size: size, total_pages: pages, total_results: rows.length },
    })
  })

  app.get('/v2/recordings/:id', (c) => {
    const kept = recordings.find(({ id }) => id === c.req.param('id'))
    return kept ? c.json({ data: row(kept) }) : problem(c, 404, '10005', 'Resource not found')
  })

  app.get('/storage/:file', (c) => {
    if (c.req.header('authorization')) return c.text('Only one auth mechanism allowed', 400)
    const [id, format] = c.req.param('file').split('.')
    const kept = recordings.find((one) => one.id === id && one.audio.format === format)
    if (!kept) return c.text('NoSuchKey', 404)
    if (!(Number(c.req.query('X-Amz-Date')) + LINK_MS > options.now()))
      return c.text('Request has expired', 403)
    const { bytes } = kept.audio
    return c.body(bytes as Uint8Array<ArrayBuffer>, 200, {
      'content-type': MEDIA_TYPES[kept.audio.format] ?? 'application/octet-stream',
      'content-length': String(bytes.length),
    })
  })

  const links = ({ id, audio }: Kept) => ({
    [audio.format]: `${options.baseUrl}/storage/${id}.${audio.format}?X-Amz-Expires=600&X-Amz-Date=${options.now()}`,
  })

  const row = (kept: Kept) => ({
    record_type: 'recording',
    id: kept.id,
    call_leg_id: kept.leg,
    call_session_id: kept.session,
    channels: 'dual',
    source: 'call',
    status: 'completed',
    from: kept.from,
    to: kept.to,
    ...spanOf(kept),
    duration_millis: kept.audio.durationMs,
    created_at: time(endOf(kept.call)),
    download_urls: links(kept),
  })

  const uuid = () => {
    const hex = (digits: number) =>
      Math.floor(options.random() * 16 ** digits)
        .toString(16)
        .padStart(digits, '0')
    return `${hex(8)}-${hex(4)}-4${hex(3)}-a${hex(3)}-${hex(6)}${hex(6)}`
  }

  return {
    app,
    fail: faults.fail,
    book: () =>
      [...placed].flatMap(([key, { session, kept }]) => [
        { kind: 'call', id: session, key, fields: {} },
        ...(kept ? [{ kind: 'recording', id: kept.id, key, fields: row(kept) }] : []),
      ]),
    place(call) {
      const known = placed.get(call.id)
      if (known) return known.webhooks
      const session = uuid()
      const { customerLeg, from, to, webhooks } = play(call, session, uuid)
      const { audio } = call
      const kept = audio ? { id: uuid(), session, leg: customerLeg, from, to, call, audio } : null
      if (kept) {
        recordings.push(kept)
        const payload = {
          call_leg_id: customerLeg,
          call_session_id: session,
          channels: 'dual',
          ...spanOf(kept),
          recording_urls: { mp3: null, wav: null, ...links(kept) },
          public_recording_urls: {},
        }
        webhooks.push(webhook('call.recording.saved', uuid(), endOf(call) + 3000, payload))
      }
      placed.set(call.id, { session, kept, webhooks })
      return webhooks
    },
  }
}

const endOf = ({ startedAt, ringMs, talkMs, result }: SampleCall): number =>
  startedAt + ringMs + (result === 'answered' ? talkMs : 0)

/** From the moment the agent is put through. */
function spanOf({ call, audio }: Kept) {
  const from = call.startedAt + call.ringMs
  return { recording_started_at: time(from), recording_ended_at: time(from + audio.durationMs) }
}

/**
 * Inbound: the application takes the caller's leg only when the agent's, dialled meanwhile, is answered. Outbound: the
 * customer is called, and the agent when he answers.
 */
function play(call: SampleCall, session: string, uuid: () => string) {
  const isInbound = call.direction === 'inbound'
  const isAnswered = call.result === 'answered'
  const [from, to] = isInbound ? [call.customerPhone, call.ownPhone] : [call.ownPhone, call.customerPhone]
  const answeredAt = call.startedAt + call.ringMs
  const endedAt = endOf(call)
  const customer = legOf(uuid(), session, from, to, isInbound ? 'incoming' : 'outgoing', call.startedAt)
  const sip = `sip:${call.agent.extension}@sip.telnyx.com`
  const agentAt = isInbound ? call.startedAt + 500 : answeredAt
  const agent = legOf(uuid(), session, call.ownPhone, sip, 'outgoing', agentAt)
  const { answered, bridged, hangup, initiated } = wordsFor(uuid)
  const webhooks = [initiated(customer, call.startedAt)]
  if (isAnswered && !isInbound) webhooks.push(answered(customer, answeredAt))
  if (isInbound || isAnswered) webhooks.push(initiated(agent, agentAt))
  if (isAnswered) {
    webhooks.push(answered(agent, answeredAt))
    if (isInbound) webhooks.push(answered(customer, answeredAt))
    webhooks.push(bridged(customer, answeredAt), bridged(agent, answeredAt))
  }
  if (isInbound || isAnswered) webhooks.push(hangup(agent, endedAt, call))
  webhooks.push(hangup(customer, endedAt, call))
  return { customerLeg: customer.call_leg_id, from, to, webhooks }
}

type Leg = ReturnType<typeof legOf>

function legOf(leg: string, session: string, from: string, to: string, direction: string, at: number) {
  return {
    call_control_id: `v3:${leg.replaceAll('-', '')}`,
    call_leg_id: leg,
    call_session_id: session,
    connection_id: '1684641123236054244',
    ...{ from, to, direction },
    start_time: time(at),
  }
}

/** Only the first event of a leg has its direction. */
function wordsFor(uuid: () => string) {
  const later = ({ direction: _, ...leg }: Leg, state: string, more = {}) => ({ ...leg, state, ...more })
  return {
    initiated: (leg: Leg, at: number) => webhook('call.initiated', uuid(), at, { ...leg, state: 'parked' }),
    answered: (leg: Leg, at: number) => webhook('call.answered', uuid(), at, later(leg, 'answered')),
    bridged: (leg: Leg, at: number) => webhook('call.bridged', uuid(), at, later(leg, 'bridged')),
    hangup: (leg: Leg, at: number, { result }: SampleCall) =>
      webhook(
        'call.hangup',
        uuid(),
        at,
        later(leg, 'hangup', {
          hangup_cause: CAUSES[result],
          hangup_source: result === 'answered' ? 'caller' : 'callee',
          sip_hangup_cause: SIP[result],
        }),
      ),
  }
}

const webhook = (name: string, id: string, at: number, payload: Record<string, unknown>): SandboxWebhook => ({
  says: name,
  method: 'POST',
  path: '',
  headers: { 'content-type': 'application/json', 'user-agent': 'telnyx-webhooks' },
  body: JSON.stringify({
    data: { record_type: 'event', event_type: name, id, occurred_at: time(at), payload },
    meta: { attempt: 1, delivered_to: 'https://hooks.example.com/telnyx' },
  }),
})

/** With microseconds. */
const time = (ms: number): string => new Date(ms).toISOString().replace('Z', '000Z')

function problem(c: Context, status: 401 | 404 | 429, code: string, title: string): Response {
  return c.json({ errors: [{ code, title }] }, status)
}
