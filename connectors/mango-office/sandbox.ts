import { type Context, Hono } from 'hono'
import { toInstant } from '../../src/call/zone.ts'
import { encodeBase64, encodeHex, utf8 } from '../../src/connector/encoding.ts'
import { asObject } from '../../src/connector/json.ts'
import {
  type CreateSandbox,
  createFaults,
  type SampleCall,
  type SandboxWebhook,
} from '../../src/connector/sandbox.ts'
import { type Config, config } from './schema.ts'

/**
 * A stand-in of Mango Office's VPBX, written from its API document 1.9: signed forms both ways, the notifications of a
 * call, recordings behind links of one access, statistics that are ordered and asked for, ten requests a second, and the
 * two minutes without access after two wrong requests. Which HTTP status a wrong request has is described there by the
 * kind of mistake; here it is 200 with the code.
 */
interface Kept {
  entryId: string
  call: SampleCall
  recordingId: string | null
  webhooks: SandboxWebhook[]
}

const MEDIA_TYPES: Readonly<Record<string, string>> = { mp3: 'audio/mp3', wav: 'audio/x-wav' }
/** Ended by the caller; not answered in time; busy. */
const REASONS = { answered: 1110, no_answer: 1111, busy: 1121 } as const
const LIMITS = [1, 5, 10, 20, 50, 100, 500, 1000, 2000, 5000]
const MONTH_MS = 31 * 86_400_000
const BLOCKED_MS = 120_000

export const createSandbox: CreateSandbox = (options) => {
  const account = config.parse(options.account)
  const faults = createFaults()
  const calls = new Map<string, Kept>()
  const links = new Map<string, Kept>()
  const orders = new Map<string, { rows: unknown[]; polls: number }>()
  let requests: number[] = []
  let ordered = Number.NEGATIVE_INFINITY
  let wrongAt = Number.NEGATIVE_INFINITY
  let wrong = 0
  const bodies = new WeakMap<Request, Record<string, unknown>>()
  const asked = (c: Context) => bodies.get(c.req.raw) ?? {}
  const app = new Hono()
  app.use(faults.middleware)

  const mistake = (c: Context, code: number) => {
    if (options.now() - wrongAt >= BLOCKED_MS) [wrongAt, wrong] = [options.now(), 0]
    wrong += 1
    return c.json({ result: code })
  }
  const tooMany = (c: Context) =>
    c.json({ name: 'Service Unavailable', message: 'Rate limit exceeded.', code: 0, status: 429 }, 429)

  app.use('/vpbx/*', async (c, next) => {
    const now = options.now()
    requests = requests.filter((at) => now - at < 1000)
    if (requests.push(now) > 10) return tooMany(c)
    if (wrong > 1 && now - wrongAt < BLOCKED_MS) return c.json({ message: 'Unauthorized' }, 401)
    if (c.req.method !== 'POST') return mistake(c, 3101)
    const form = new URLSearchParams(await c.req.text())
    const json = form.get('json')
    if (json === null) return mistake(c, 3103)
    if (form.get('vpbx_api_key') !== account.apiKey) return mistake(c, 3105)
    const texts = account.apiSalt.map((salt) => account.apiKey + json + salt)
    const signs = await Promise.all(texts.map(async (text) => options.signer.digest('sha256', text)))
    if (!signs.some((sign) => encodeHex(sign) === form.get('sign'))) return mistake(c, 3102)
    try {
      bodies.set(c.req.raw, asObject(JSON.parse(json)) ?? {})
    } catch {
      return mistake(c, 3400)
    }
    return next()
  })

  app.post('/vpbx/account/balance', (c) => c.json({ result: 1000, balance: 963.45, currency: 'RUB' }))

  app.post('/vpbx/queries/recording/post', (c) => {
    const { recording_id: recordingId, action } = asked(c)
    if (action !== 'download' && action !== 'play') return mistake(c, 3104)
    const kept = [...calls.values()].find((one) => one.recordingId === recordingId)
    if (!kept || recordingId === null) return mistake(c, 3320)
    const token = word(20)
    links.set(token, kept)
    return c.redirect(`${options.baseUrl}/files/${token}`, 302)
  })

  app.get('/files/:token', (c) => {
    const token = c.req.param('token')
    const audio = links.get(token)?.call.audio
    links.delete(token)
    if (!audio) return c.text('Not found', 404)
    return c.body(audio.bytes as Uint8Array<ArrayBuffer>, 200, {
      'content-type': MEDIA_TYPES[audio.format] ?? 'application/octet-stream',
      'content-length': String(audio.bytes.length),
    })
  })

  app.post('/vpbx/stats/calls/request/', (c) => {
    if (options.now() - ordered < 2000) return tooMany(c)
    const { start_date: start, end_date: end, limit, offset } = asked(c)
    if (start === undefined || end === undefined || offset === undefined) return mistake(c, 3103)
    if (!LIMITS.includes(Number(limit))) return mistake(c, 3104)
    const [from, to] = [readDate(start, account), readDate(end, account)]
    if (!(from <= to) || to - from > MONTH_MS) return mistake(c, 3111)
    ordered = options.now()
    const found = [...calls.values()].filter(({ call }) => call.startedAt >= from && call.startedAt <= to)
    const rows = found.slice(Number(offset), Number(offset) + Number(limit)).map(listedRow)
    const key = encodeBase64(utf8(word(16)))
    orders.set(key, { rows, polls: 0 })
    return c.json({ key })
  })

  app.post('/vpbx/stats/calls/result/', (c) => {
    const order = orders.get(String(asked(c).key))
    if (!order) return c.json({ result: 1000, status: 'not-found', data: [] })
    if (order.polls++ === 0) return c.json({ result: 1000, status: 'work', data: [] })
    return c.json({ result: 1000, status: 'complete', data: [{ list: order.rows }] })
  })

  function word(length: number): string {
    let text = ''
    while (text.length < length) text += Math.floor(options.random() * 36).toString(36)
    return text
  }

  return {
    app,
    fail: faults.fail,
    book: () =>
      [...calls].flatMap(([key, kept]) => [
        { kind: 'call', id: kept.entryId, key, fields: listedRow(kept) },
        ...(kept.recordingId === null ? [] : [{ kind: 'recording', id: kept.recordingId, key, fields: {} }]),
      ]),
    place(call) {
      const known = calls.get(call.id)
      if (known) return known.webhooks
      const serial = String(5_000_000_000 + Math.floor(options.random() * 1e9))
      const entryId = encodeBase64(utf8(serial))
      const recordingId = call.audio ? encodeBase64(utf8(`1:10006085:${serial}:1`)) : null
      const kept: Kept = { entryId, call, recordingId, webhooks: [] }
      kept.webhooks = play(kept, account)
      calls.set(call.id, kept)
      return kept.webhooks
    },
  }
}

/** `31.10.2019 00:00:00` on the clock of the statistics. */
function readDate(text: unknown, { timeZone }: Config): number {
  const [, day, month, year, time] = /^(\d\d)\.(\d\d)\.(\d{4}) (\d\d:\d\d:\d\d)$/.exec(String(text)) ?? []
  return day === undefined ? Number.NaN : Date.parse(toInstant(`${year}-${month}-${day} ${time}`, timeZone))
}

const digits = (phone: string): string => phone.replace('+', '')
const DEVICE = 'sip:operator1@vpbx400000000.mangosip.ru'

function momentsOf({ startedAt, ringMs, talkMs, result }: SampleCall) {
  const answeredAt = Math.round((startedAt + ringMs) / 1000)
  const isAnswered = result === 'answered'
  const endedAt = answeredAt + (isAnswered ? Math.round(talkMs / 1000) : 0)
  return { createdAt: Math.floor(startedAt / 1000), answeredAt: isAnswered ? answeredAt : 0, endedAt }
}

function play(kept: Kept, account: Config): SandboxWebhook[] {
  const { entryId, call, recordingId } = kept
  const { createdAt, answeredAt, endedAt } = momentsOf(call)
  const isInbound = call.direction === 'inbound'
  const customer = digits(call.customerPhone)
  const line = digits(call.ownPhone)
  const { extension } = call.agent
  const ahead = account.eventClock === 'moscow' ? 10_800 : 0
  const reason = REASONS[call.result]
  const callId = encodeBase64(utf8(`leg of ${entryId}`))
  const parties = isInbound
    ? { from: { number: customer }, to: { extension, number: DEVICE, line_number: line } }
    : { from: { extension, number: DEVICE }, to: { number: customer } }
  const notice = (path: string, says: string, json: Record<string, unknown>) =>
    webhookOf(path, says, { entry_id: entryId, ...json }, account)
  const leg = (state: string, at: number, seq: number, more = {}) =>
    notice('/events/call', `call ${state}`, {
      call_id: callId,
      timestamp: at + ahead,
      seq,
      call_state: state,
      location: 'abonent',
      ...parties,
      ...more,
    })
  const recording = (state: string, at: number, seq: number, more = {}) =>
    notice('/events/recording', `recording ${state}`, {
      recording_id: recordingId,
      recording_state: state,
      seq,
      call_id: callId,
      extension,
      timestamp: String(at + ahead),
      ...more,
    })
  const isRecorded = recordingId !== null
  return [
    leg('Appeared', createdAt, 1),
    ...(answeredAt > 0 ? [leg('Connected', answeredAt, 2)] : []),
    ...(isRecorded ? [recording('Started', answeredAt, 1)] : []),
    leg('Disconnected', endedAt, 3, { disconnect_reason: reason }),
    ...(isRecorded
      ? [recording('Completed', endedAt, 2, { completion_code: 1000, recipient: 'Cloud' })]
      : []),
    notice('/events/summary', 'summary', {
      call_direction: isInbound ? 1 : 2,
      from: parties.from,
      to: isInbound ? { extension, number: DEVICE } : parties.to,
      line_number: line,
      create_time: createdAt + ahead,
      forward_time: answeredAt > 0 ? createdAt + ahead : 0,
      talk_time: answeredAt > 0 ? answeredAt + ahead : 0,
      end_time: endedAt + ahead,
      entry_result: answeredAt > 0 ? 1 : 0,
      disconnect_reason: reason,
    }),
    ...(isRecorded
      ? [
          notice('/events/record/added', 'record added', {
            product_id: 300_022_532,
            user_id: -1,
            timestamp: endedAt + 5 + ahead,
            recording_id: recordingId,
          }),
        ]
      : []),
  ]
}

function webhookOf(
  path: string,
  says: string,
  json: Record<string, unknown>,
  { apiKey }: Config,
): SandboxWebhook {
  return {
    says,
    method: 'POST',
    path,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ vpbx_api_key: apiKey, json: JSON.stringify(json) }).toString(),
  }
}

function listedRow({ entryId, call, recordingId }: Kept) {
  const { createdAt, answeredAt, endedAt } = momentsOf(call)
  const isInbound = call.direction === 'inbound'
  const talk = answeredAt > 0 ? endedAt - answeredAt : 0
  return {
    entry_id: entryId,
    context_type: isInbound ? 1 : 2,
    context_status: talk > 0 ? 1 : 0,
    caller_id: isInbound ? null : 300_043_135,
    caller_name: isInbound ? digits(call.customerPhone) : call.agent.name,
    caller_number: isInbound ? digits(call.customerPhone) : DEVICE,
    called_number: digits(isInbound ? call.ownPhone : call.customerPhone),
    context_start_time: createdAt,
    duration: endedAt - createdAt,
    talk_duration: talk,
    context_calls: [
      {
        call_type: isInbound ? 'user' : 'number',
        call_abonent_id: 300_043_135,
        call_abonent_info: call.agent.name,
        call_abonent_number: isInbound ? DEVICE : null,
        call_start_time: createdAt,
        call_answer_time: answeredAt > 0 ? answeredAt : null,
        call_end_time: endedAt,
        talk_duration: talk,
        hold_duration: null,
        call_end_reason: REASONS[call.result],
        recording_id: recordingId === null ? [] : [recordingId],
        members: null,
      },
    ],
  }
}
