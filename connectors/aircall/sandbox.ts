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
 * A stand-in of Aircall, written from its reference as public pages quote it: the webhooks of a call with the token in
 * their body, calls and webhooks behind Basic authentication and 120 requests a minute, links to audio that end after an
 * hour and need no credentials.
 */
interface Kept {
  id: number
  call: SampleCall
  webhooks: SandboxWebhook[]
}

const LINK_LIFE_MS = 3_600_000
const MINUTE_MS = 60_000
const PER_MINUTE = 120
const NUMBER = { id: 1234, name: 'Support FR', country: 'FR', time_zone: 'Europe/Paris' }

export const createSandbox: CreateSandbox = (options) => {
  const account = config.parse(options.account)
  const faults = createFaults()
  const calls = new Map<string, Kept>()
  const links = new Map<string, { kept: Kept; until: number }>()
  const app = new Hono()
  app.use(faults.middleware)

  let minute = 0
  let used = 0
  app.use('/v1/*', async (c, next) => {
    const known = `Basic ${encodeBase64(utf8(`${account.apiId}:${account.apiToken}`))}`
    if (c.req.header('authorization') !== known) return refusal(c, 403, 'Forbidden')
    const current = Math.floor(options.now() / MINUTE_MS)
    used = current === minute ? used + 1 : 1
    minute = current
    if (used <= PER_MINUTE) return next()
    c.header('x-aircallapi-limit', String(PER_MINUTE))
    c.header('x-aircallapi-remaining', '0')
    c.header('x-aircallapi-reset', String((minute + 1) * 60))
    return refusal(c, 429, 'Too many requests')
  })

  const webhook = {
    webhook_id: '00000000-0000-4000-8000-000000000001',
    url: options.hookUrl ?? 'https://hooks.example.com/hooks/other',
    active: true,
    token: account.webhookToken[0],
    events: ['call.created', 'call.answered', 'call.ended', 'call.comm_assets_generated'],
  }
  app.get('/v1/webhooks', (c) => c.json({ meta: metaOf(c, 1), webhooks: [webhook] }))
  app.put('/v1/webhooks/:id', async (c) => {
    if (c.req.param('id') !== webhook.webhook_id) return refusal(c, 404, 'Not found')
    const { active, events } = asObject(await c.req.json()) ?? {}
    if (typeof active === 'boolean') webhook.active = active
    webhook.events = Array.isArray(events) ? events.map(String) : ['all 67']
    return c.json({ webhook })
  })

  app.get('/v1/calls', (c) => {
    const from = Number(c.req.query('from') ?? 0) * 1000
    const to = Number(c.req.query('to') ?? Number.POSITIVE_INFINITY) * 1000
    const all = [...calls.values()]
      .filter(({ call }) => call.startedAt >= from && call.startedAt <= to)
      .sort((a, b) => a.call.startedAt - b.call.startedAt)
    if (c.req.query('order') === 'desc') all.reverse()
    const { page, size } = pageOf(c)
    const shown = all.slice((page - 1) * size, page * size)
    return c.json({ meta: metaOf(c, all.length), calls: shown.map((kept) => apiCall(kept)) })
  })

  app.get('/v1/calls/:id', (c) => {
    const kept = [...calls.values()].find(({ id }) => String(id) === c.req.param('id'))
    return kept ? c.json({ call: apiCall(kept) }) : refusal(c, 404, 'Not found')
  })

  app.get('/storage/:file', (c) => {
    const link = links.get(c.req.param('file'))
    const audio = link && link.until > options.now() ? link.kept.call.audio : undefined
    if (!audio || c.req.header('authorization') !== undefined) return c.text('AccessDenied', 403)
    return c.body(audio.bytes as Uint8Array<ArrayBuffer>, 200, {
      'content-type': 'audio/mpeg',
      'content-length': String(audio.bytes.length),
    })
  })

  /** The API's names of two fields differ from those of the events. */
  function apiCall(kept: Kept) {
    const { call_uuid: sid, participants, ...rest } = shownCall(kept, 'done')
    return { ...rest, sid, conference_participants: participants, recording: linkTo(kept) }
  }

  function linkTo(kept: Kept): string | null {
    if (!kept.call.audio) return null
    const file = `${hex(16)}.mp3`
    links.set(file, { kept, until: options.now() + LINK_LIFE_MS })
    return `${options.baseUrl}/storage/${file}`
  }

  function hex(bytes: number): string {
    let text = ''
    while (text.length < bytes * 2) text += Math.floor(options.random() * 16).toString(16)
    return text
  }

  function play(kept: Kept): SandboxWebhook[] {
    const { call } = kept
    const answeredAt = call.startedAt + call.ringMs
    const endedAt = answeredAt + (call.result === 'answered' ? call.talkMs : 0)
    const say = (event: string, at: number, data: object) =>
      webhookOf(event, { event, timestamp: seconds(at), token: account.webhookToken[0], data })
    const created = { ...shownCall(kept, 'initial'), ...(call.direction === 'inbound' ? { user: {} } : {}) }
    const done = { ...shownCall(kept, 'done'), recording: null }
    return [
      say('call.created', call.startedAt, created),
      ...(call.direction === 'inbound'
        ? [say('call.ringing_on_agent', call.startedAt + 1000, shownCall(kept, 'initial'))]
        : []),
      ...(call.result === 'answered' ? [say('call.answered', answeredAt, shownCall(kept, 'answered'))] : []),
      say('call.hungup', endedAt, done),
      say('call.ended', endedAt + 1000, done),
      ...(call.audio
        ? [say('call.comm_assets_generated', endedAt + 15_000, { ...done, recording: linkTo(kept) })]
        : []),
    ]
  }

  return {
    app,
    fail: faults.fail,
    book: () =>
      [...calls].flatMap(([key, kept]) => [
        { kind: 'call', id: String(kept.id), key, fields: shownCall(kept, 'done') },
        ...(kept.call.audio ? [{ kind: 'recording', id: String(kept.id), key, fields: {} }] : []),
      ]),
    place(call) {
      const known = calls.get(call.id)
      if (known) return known.webhooks
      const kept: Kept = { id: 812_345_000 + calls.size, call, webhooks: [] }
      calls.set(call.id, kept)
      kept.webhooks = play(kept)
      return kept.webhooks
    },
  }
}

const seconds = (ms: number) => Math.floor(ms / 1000)
/** "+33 6 39 98 01 42": numbers come with spaces. */
const spaced = (e164: string) => e164.replace(/^(\+\d\d)(\d)/, '$1 $2 ').replaceAll(/(\d\d)(?=\d\d)/g, '$1 ')

function shownCall({ id, call }: Kept, status: 'initial' | 'answered' | 'done') {
  const isAnswered = call.result === 'answered' && status !== 'initial'
  const answeredAt = call.startedAt + call.ringMs
  const endedAt = answeredAt + (call.result === 'answered' ? call.talkMs : 0)
  const isInbound = call.direction === 'inbound'
  const user = {
    id: Number(call.agent.extension),
    name: call.agent.name,
    email: `${call.agent.extension}@example.com`,
  }
  return {
    id,
    direct_link: `https://api.aircall.io/v1/calls/${id}`,
    direction: call.direction,
    call_uuid: `CA${String(id).padStart(32, '0')}`,
    status,
    missed_call_reason: isInbound && !isAnswered && status === 'done' ? 'agents_did_not_answer' : null,
    started_at: seconds(call.startedAt),
    answered_at: isAnswered ? seconds(answeredAt) : null,
    ended_at: status === 'done' ? seconds(endedAt) : null,
    duration: status === 'done' ? seconds(endedAt) - seconds(call.startedAt) : 0,
    cost: '0.0',
    hangup_cause: status !== 'done' ? null : call.result === 'busy' ? 'user_busy' : 'normal_clearing',
    voicemail: null,
    recording: null as string | null,
    raw_digits: spaced(call.customerPhone),
    participants: [
      { phone_number: call.customerPhone, type: 'external' },
      { id: user.id, name: user.name, type: 'user' },
    ],
    user,
    contact: {},
    number: { ...NUMBER, digits: spaced(call.ownPhone) },
    teams: isInbound ? [{ id: 7, name: 'Support' }] : [],
    tags: [],
    comments: [],
  }
}

const webhookOf = (says: string, body: object): SandboxWebhook => ({
  says,
  method: 'POST',
  path: '',
  headers: {
    'content-type': 'application/json',
    'user-agent': 'axios/1.7.2',
    'aircall-origin': 'webhooks',
  },
  body: JSON.stringify({ resource: 'call', ...body }),
})

function pageOf(c: Context) {
  const size = Math.min(Number(c.req.query('per_page') ?? 20), 50)
  return { page: Number(c.req.query('page') ?? 1), size }
}

function metaOf(c: Context, total: number) {
  const { page, size } = pageOf(c)
  const url = new URL(c.req.url)
  url.searchParams.set('page', String(page + 1))
  const next = page * size < total ? url.href : null
  return { count: Math.min(size, total), total, current_page: page, per_page: size, next_page_link: next }
}

function refusal(c: Context, status: 403 | 404 | 429, error: string): Response {
  return c.json({ error, troubleshoot: error }, status)
}
