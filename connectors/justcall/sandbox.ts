import { type Context, Hono } from 'hono'
import {
  type CreateSandbox,
  createFaults,
  type SampleCall,
  type SandboxWebhook,
} from '../../src/connector/sandbox.ts'
import { config } from './schema.ts'

/**
 * A stand-in of JustCall, written from its pages as public code quotes them: the webhooks of a call, of which the last one
 * brings the recording, and the list of calls behind the key, 30 requests a minute. Here links to recordings need no
 * credentials and do not end; what they do there is not documented.
 */
interface Kept {
  id: number
  call: SampleCall
  webhooks: SandboxWebhook[]
}

const MINUTE_MS = 60_000
const PER_MINUTE = 30
const TYPES = { answered: 'Answered', no_answer: 'Unanswered', busy: 'Busy' } as const

export const createSandbox: CreateSandbox = (options) => {
  const account = config.parse(options.account)
  const faults = createFaults()
  const calls = new Map<string, Kept>()
  const app = new Hono()
  app.use(faults.middleware)

  let minute = 0
  let used = 0
  app.use('/v2.1/*', async (c, next) => {
    const known = account.apiSecret.map((secret) => `${account.apiKey}:${secret}`)
    if (!known.includes(c.req.header('authorization') ?? '')) return refusal(c, 401, 'Unauthorized')
    const current = Math.floor(options.now() / MINUTE_MS)
    used = current === minute ? used + 1 : 1
    minute = current
    return used <= PER_MINUTE ? next() : refusal(c, 429, 'Too many requests')
  })

  app.get('/v2.1/calls', (c) => {
    const { page = '0', per_page = '20', from_datetime: from = '' } = c.req.query()
    const size = Math.min(Number(per_page), 100)
    const all = [...calls.values()].filter(({ call }) => wall(call.startedAt) >= from).reverse()
    const data = all.slice(Number(page) * size, (Number(page) + 1) * size).map((kept) => shown(kept, true))
    return c.json({ status: 'success', count: all.length, data })
  })

  app.get('/v2.1/calls/:id', (c) => {
    const kept = byId(c.req.param('id'))
    return kept ? c.json({ status: 'success', data: shown(kept, true) }) : refusal(c, 404, 'Call not found')
  })

  app.get('/recordings/:file', (c) => {
    const audio = byId(c.req.param('file').replace('.mp3', ''))?.call.audio
    if (!audio) return c.text('Not found', 404)
    return c.body(audio.bytes as Uint8Array<ArrayBuffer>, 200, {
      'content-type': 'audio/mpeg',
      'content-length': String(audio.bytes.length),
    })
  })

  const byId = (id: string) => [...calls.values()].find((kept) => String(kept.id) === id)

  function shown(kept: Kept, isRecorded: boolean, type: string = TYPES[kept.call.result]) {
    const link = `${options.baseUrl}/recordings/${kept.id}.mp3`
    return callFields(kept, kept.call.audio && isRecorded ? link : '', type)
  }

  function play(kept: Kept): SandboxWebhook[] {
    const { call, id } = kept
    const sentAt = wall(options.now())
    const say = (type: string, data: object) =>
      webhookOf(type, id, { hookUrl: options.hookUrl, sentAt }, data)
    return [
      say('call.initiated', shown(kept, false, 'In Progress')),
      ...(call.result === 'answered' ? [say('call.answered', shown(kept, false, 'In Progress'))] : []),
      say('call.completed', shown(kept, false)),
      ...(call.audio ? [say('call.updated', shown(kept, true))] : []),
    ]
  }

  return {
    app,
    fail: faults.fail,
    book: () =>
      [...calls].flatMap(([key, kept]) => [
        { kind: 'call', id: String(kept.id), key, fields: shown(kept, true) },
        ...(kept.call.audio ? [{ kind: 'recording', id: String(kept.id), key, fields: {} }] : []),
      ]),
    place(call) {
      const known = calls.get(call.id)
      if (known) return known.webhooks
      const kept: Kept = { id: 98_765_000 + calls.size, call, webhooks: [] }
      calls.set(call.id, kept)
      kept.webhooks = play(kept)
      return kept.webhooks
    },
  }
}

const wall = (ms: number) => new Date(ms).toISOString().slice(0, 19).replace('T', ' ')
const seconds = (ms: number) => Math.round(ms / 1000)

function callFields({ id, call }: Kept, recording: string, type: string) {
  const [call_date, call_time] = wall(call.startedAt).split(' ')
  const isAnswered = type === 'Answered'
  const talk = isAnswered ? seconds(call.talkMs) : 0
  const isInbound = call.direction === 'inbound'
  const ended = type === 'Unanswered' && isInbound ? 'Missed' : type
  return {
    id,
    call_sid: `CA${String(id).padStart(32, '0')}`,
    contact_number: call.customerPhone.replace('+', ''),
    contact_name: '',
    contact_email: '',
    justcall_number: call.ownPhone.replace('+', ''),
    justcall_line_name: 'Sales',
    agent_id: Number(call.agent.extension),
    agent_name: call.agent.name,
    agent_email: `${call.agent.extension}@example.com`,
    agent_active: true,
    call_date,
    call_time,
    call_user_date: call_date,
    call_user_time: call_time,
    cost_incurred: 0.02,
    call_info: {
      direction: isInbound ? 'Incoming' : 'Outgoing',
      type: ended,
      missed_call_reason: ended === 'Missed' ? 'Agents did not answer' : '',
      status: '',
      disposition: '',
      notes: '',
      rating: '',
      recording,
      recording_child: '',
      call_traits: [],
    },
    call_duration: {
      total_duration: talk,
      friendly_duration: new Date(talk * 1000).toISOString().slice(11, 19),
      ring_time: seconds(call.ringMs),
      queue_wait_time: 0,
      hold_time: 0,
      conversation_time: talk,
      wrap_up_time: 0,
      handle_time: talk,
    },
    queue_callback: {},
    ivr_info: {},
    tags: [],
  }
}

function webhookOf(
  type: string,
  id: number,
  { hookUrl, sentAt }: { hookUrl: string | undefined; sentAt: string },
  data: object,
): SandboxWebhook {
  const body = {
    type,
    request_id: `01HQAMVFRC4HZ0144TDS-${id}-${type}`,
    url_id: '65d5a5ed180da91d76ed0001',
    webhook_url: hookUrl ?? 'https://hooks.example.com/hooks/acme',
    data,
  }
  const headers = {
    'content-type': 'application/json',
    'x-justcall-signature-version': 'v1',
    'x-justcall-request-timestamp': sentAt,
  }
  return { says: type, method: 'POST', path: '', headers, body: JSON.stringify(body) }
}

function refusal(c: Context, status: 401 | 404 | 429, message: string): Response {
  return c.json({ status: 'error', message }, status)
}
