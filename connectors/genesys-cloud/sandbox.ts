import { type Context, Hono } from 'hono'
import { encodeBase64, utf8 } from '../../src/connector/encoding.ts'
import { asObject } from '../../src/connector/json.ts'
import {
  type CreateSandbox,
  createFaults,
  type SampleCall,
  type SandboxWebhook,
} from '../../src/connector/sandbox.ts'
import { config } from './schema.ts'

/**
 * A stand-in of Genesys Cloud, written from its SDK and blueprints: the events of a conversation as EventBridge brings
 * them, the login with client credentials, 300 requests a minute and token, recordings that are transcoded on demand and
 * lie behind presigned links, and the analytics with pages.
 */
interface Kept {
  id: string
  call: SampleCall
  recordingId: string | null
  listed: Record<string, unknown> & { conversationStart: string }
  webhooks: SandboxWebhook[]
}

const TOKEN_LIFE_S = 86_400
const MINUTE_MS = 60_000
const REQUESTS_A_MINUTE = 300
/** How long a conversation's media takes to be transcoded, and a link stays good: made up, neither is documented. */
const TRANSCODING_MS = 1500
const LINK_LIFE_MS = 900_000
const QUEUE = 'c677a7a5-0000-4000-8000-000000000001'
const MEDIA_TYPES: Readonly<Record<string, string>> = { mp3: 'audio/mpeg', wav: 'audio/wav' }

export const createSandbox: CreateSandbox = (options) => {
  const account = config.parse(options.account)
  const faults = createFaults()
  const calls = new Map<string, Kept>()
  const agents = new Map<string, string>()
  const tokens = new Map<string, { until: number; minute: number; used: number }>()
  const links = new Map<string, { kept: Kept; until: number }>()
  const app = new Hono()
  app.use(faults.middleware)

  const newId = (): string => {
    const hex = (digits: number) =>
      Array.from({ length: digits }, () => Math.floor(options.random() * 16).toString(16)).join('')
    return `${hex(8)}-${hex(4)}-4${hex(3)}-8${hex(3)}-${hex(12)}`
  }

  app.post('/oauth/token', async (c) => {
    const pair = encodeBase64(utf8(`${account.clientId}:${account.clientSecret}`))
    if (c.req.header('authorization') !== `Basic ${pair}`) return c.json({ error: 'invalid_client' }, 400)
    const form = new URLSearchParams(await c.req.text())
    if (form.get('grant_type') !== 'client_credentials')
      return c.json({ error: 'unsupported_grant_type' }, 400)
    const token = newId()
    tokens.set(token, { until: options.now() + TOKEN_LIFE_S * 1000, minute: 0, used: 0 })
    return c.json({ access_token: token, token_type: 'bearer', expires_in: TOKEN_LIFE_S })
  })

  app.use('/api/*', async (c, next) => {
    const token = tokens.get(/^Bearer (\S+)$/.exec(c.req.header('authorization') ?? '')?.[1] ?? '')
    const now = options.now()
    if (!token || token.until <= now) return problem(c, 401, 'bad.credentials')
    const minute = Math.floor(now / MINUTE_MS)
    token.used = token.minute === minute ? token.used + 1 : 1
    token.minute = minute
    if (token.used <= REQUESTS_A_MINUTE) return next()
    const response = problem(c, 429, 'too.many.requests')
    response.headers.set('retry-after', String(Math.ceil(((minute + 1) * MINUTE_MS - now) / 1000)))
    return response
  })

  app.get('/api/v2/organizations/me', (c) => c.json({ id: account.organizationId, name: 'Sandbox' }))

  const find = (id: string) => [...calls.values()].find((kept) => kept.id === id)
  const metadataOf = (kept: Kept) => {
    const { call, recordingId: id } = kept
    const [startTime, endTime] = [answeredAtOf(call), endedAtOf(call)].map((ms) => new Date(ms).toISOString())
    return id === null
      ? []
      : [{ id, conversationId: kept.id, media: 'audio', startTime, endTime, fileState: 'AVAILABLE' }]
  }

  app.get('/api/v2/conversations/:id/recordingmetadata', (c) => {
    const kept = find(c.req.param('id'))
    return kept ? c.json(metadataOf(kept)) : problem(c, 404, 'not.found')
  })

  app.get('/api/v2/conversations/:id/recordings', (c) => {
    const kept = find(c.req.param('id'))
    if (!kept) return problem(c, 404, 'not.found')
    if (!['WAV', 'MP3'].includes(c.req.query('formatId') ?? 'WEBM')) return problem(c, 400, 'invalid.format')
    const left = endedAtOf(kept.call) + TRANSCODING_MS - options.now()
    if (left > 0) return c.json([{ estimatedTranscodeTimeMs: left }], 202)
    return c.json(
      metadataOf(kept).map((recording) => {
        const token = newId()
        links.set(token, { kept, until: options.now() + LINK_LIFE_MS })
        return { ...recording, mediaUris: { '0': { mediaUri: `${options.baseUrl}/media/${token}` } } }
      }),
    )
  })

  app.get('/media/:token', (c) => {
    // Storage takes one kind of credentials: a token beside the link's own signature is refused.
    if (c.req.header('authorization')) return c.text('InvalidArgument', 400)
    const link = links.get(c.req.param('token'))
    const audio = link && link.until > options.now() ? link.kept.call.audio : undefined
    if (!audio) return c.text('AccessDenied', 403)
    return c.body(audio.bytes as Uint8Array<ArrayBuffer>, 200, {
      'content-type': MEDIA_TYPES[audio.format] ?? 'application/octet-stream',
      'content-length': String(audio.bytes.length),
    })
  })

  app.post('/api/v2/analytics/conversations/details/query', async (c) => {
    const asked = asObject(await c.req.json()) ?? {}
    const { pageSize, pageNumber } = asObject(asked.paging) ?? {}
    const [from = '', to = ''] = String(asked.interval).split('/')
    if (!(Number(pageSize) >= 1 && Number(pageSize) <= 100)) return problem(c, 400, 'bad.request')
    if (!(Date.parse(to) > Date.parse(from))) return problem(c, 400, 'bad.interval')
    const found = [...calls.values()]
      .map(({ listed }) => listed)
      .filter(({ conversationStart: at }) => at >= from && at < to)
      .sort((a, b) => (a.conversationStart < b.conversationStart ? -1 : 1))
    const skip = (Number(pageNumber) - 1) * Number(pageSize)
    const page = found.slice(skip, skip + Number(pageSize))
    return c.json({ ...(page.length > 0 ? { conversations: page } : {}), totalHits: found.length })
  })

  return {
    app,
    fail: faults.fail,
    book: () =>
      [...calls].flatMap(([key, kept]) => [
        { kind: 'call', id: kept.id, key, fields: kept.listed },
        ...(kept.recordingId === null ? [] : [{ kind: 'recording', id: kept.recordingId, key, fields: {} }]),
      ]),
    place(call) {
      const known = calls.get(call.id)
      if (known) return known.webhooks
      const userId = agents.get(call.agent.extension) ?? newId()
      agents.set(call.agent.extension, userId)
      const id = newId()
      const ids = { customer: newId(), acd: newId(), user: newId() }
      const bodies = momentsOf(call, { conversationId: id, userId, ids })
      const webhooks = bodies.map((body) => webhookOf(body, account.organizationId, newId()))
      const listed = listedOf(call, { conversationId: id, userId, ids })
      calls.set(call.id, { id, call, recordingId: call.audio ? newId() : null, listed, webhooks })
      return webhooks
    },
  }
}

const answeredAtOf = (call: SampleCall): number => call.startedAt + call.ringMs
const endedAtOf = (call: SampleCall): number =>
  answeredAtOf(call) + (call.result === 'answered' ? call.talkMs : 0)

interface Played {
  conversationId: string
  userId: string
  ids: { customer: string; acd: string; user: string }
}

interface Body {
  name: string
  eventTime: number
  conversationId: string
  [field: string]: unknown
}

/** No field of an event says that a line was busy: such a call ends like one that nobody answered. */
function momentsOf(call: SampleCall, { conversationId, userId, ids }: Played): Body[] {
  const isInbound = call.direction === 'inbound'
  const isAnswered = call.result === 'answered'
  const endedAt = endedAtOf(call)
  const [ani, dnis] = isInbound
    ? [`tel:${call.customerPhone}`, `tel:${call.ownPhone}`]
    : [`tel:${call.ownPhone}`, `tel:${call.customerPhone}`]
  const direction = call.direction.toUpperCase()
  const base = { conversationId, mediaType: 'VOICE', provider: 'Edge', direction, ani, dnis }
  const customer = { ...base, sessionId: ids.customer }
  const acd = { ...base, sessionId: ids.acd, queueId: QUEUE }
  const user = { ...base, sessionId: ids.user, userId, ...(isInbound ? { queueId: QUEUE } : {}) }
  const { startedAt } = call
  return [
    { ...customer, name: 'customer.start', eventTime: startedAt },
    ...(isInbound ? [{ ...acd, name: 'acd.start', eventTime: startedAt }] : []),
    { ...user, name: 'user.start', eventTime: startedAt },
    ...(isInbound
      ? [
          {
            ...acd,
            name: 'acd.end',
            eventTime: answeredAtOf(call),
            ...(isAnswered ? { answeredUserId: userId } : {}),
          },
        ]
      : []),
    {
      ...user,
      name: 'user.end',
      eventTime: endedAt,
      disconnectType: 'PEER',
      interactingDurationMs: isAnswered ? call.talkMs : 0,
      heldDurationMs: 0,
      [isInbound ? 'alertingDurationMs' : 'dialingDurationMs']: call.ringMs,
    },
    { ...customer, name: 'customer.end', eventTime: endedAt, disconnectType: 'ENDPOINT' },
  ]
}

function webhookOf({ name, ...eventBody }: Body, organizationId: string, id: string): SandboxWebhook {
  const at = new Date(eventBody.eventTime).toISOString()
  const event = {
    version: '0',
    id,
    'detail-type': `v2.detail.events.conversation.{id}.${name}`,
    source: `aws.partner/genesys.com/cloud/${organizationId}/cordboard`,
    account: '111122223333',
    time: `${at.slice(0, 19)}Z`,
    region: 'eu-central-1',
    resources: [],
    detail: {
      topicName: `v2.detail.events.conversation.${eventBody.conversationId}.${name}`,
      version: '2',
      timestamp: at,
      eventBody,
    },
  }
  const headers = { 'content-type': 'application/json; charset=utf-8' }
  return { says: name, method: 'POST', path: '', headers, body: JSON.stringify(event) }
}

/** The conversation as the analytics have it: lowercase words, instants as text, a participant for each part. */
function listedOf(call: SampleCall, { conversationId, userId, ids }: Played) {
  const isAnswered = call.result === 'answered'
  const isInbound = call.direction === 'inbound'
  const text = (ms: number) => new Date(ms).toISOString()
  const [start, answered, end] = [call.startedAt, answeredAtOf(call), endedAtOf(call)].map(text)
  const [ani, dnis] = isInbound
    ? [`tel:${call.customerPhone}`, `tel:${call.ownPhone}`]
    : [`tel:${call.ownPhone}`, `tel:${call.customerPhone}`]
  const session = { mediaType: 'voice', direction: call.direction, ani, dnis }
  const segment = (segmentType: string, segmentStart = '', segmentEnd = '', more = {}) => ({
    segmentType,
    segmentStart,
    segmentEnd,
    ...more,
  })
  const queueId = isInbound ? { queueId: QUEUE } : {}
  return {
    conversationId,
    conversationStart: start ?? '',
    conversationEnd: end,
    originatingDirection: call.direction,
    participants: [
      {
        purpose: 'customer',
        sessions: [
          {
            ...session,
            sessionId: ids.customer,
            segments: [
              segment('interact', start, end, {
                disconnectType: 'endpoint',
                ...(call.result === 'busy' ? { sipResponseCodes: [486] } : {}),
              }),
            ],
          },
        ],
      },
      ...(isInbound
        ? [
            {
              purpose: 'acd',
              sessions: [
                { ...session, sessionId: ids.acd, segments: [segment('interact', start, answered, queueId)] },
              ],
            },
          ]
        : []),
      {
        purpose: isInbound ? 'agent' : 'user',
        userId,
        participantName: call.agent.name,
        sessions: [
          {
            ...session,
            sessionId: ids.user,
            segments: [
              segment(isInbound ? 'alert' : 'dialing', start, answered, queueId),
              ...(isAnswered
                ? [segment('interact', answered, end, { ...queueId, disconnectType: 'peer' })]
                : []),
            ],
          },
        ],
      },
    ],
  }
}

const problem = (c: Context, status: 400 | 401 | 404 | 429, code: string): Response =>
  c.json({ message: `made up for ${code}`, code, status }, status)
