import { type Context, Hono } from 'hono'
import { encodeBase64, utf8 } from '../../src/connector/encoding.ts'
import {
  type CreateSandbox,
  createFaults,
  type SampleCall,
  type SandboxWebhook,
} from '../../src/connector/sandbox.ts'
import { config } from './schema.ts'

/**
 * A stand-in of Twilio, written from its pages: the webhooks of a call and its `<Dial>`ed leg, recordings behind Basic
 * authentication, and the two lists. It transcodes nothing: media comes in the format it was recorded in.
 */
interface Leg {
  sid: string
  parent?: string
  direction: string
  from: string
  to: string
  status: string
  startedAt: number
  endedAt: number
  lengthMs: number
}

interface Kept {
  sid: string
  callId: string
  callSid: string
  audio: NonNullable<SampleCall['audio']>
  startedAt: number
}

const PAGE = '/2010-04-01/Accounts'
const MEDIA_TYPES: Readonly<Record<string, string>> = { mp3: 'audio/mpeg', wav: 'audio/x-wav' }

export const createSandbox: CreateSandbox = (options) => {
  const account = config.parse(options.account)
  const faults = createFaults()
  const legs: Leg[] = []
  const recordings = new Map<string, Kept>()
  const placed = new Map<string, { root: Leg; webhooks: SandboxWebhook[] }>()
  const accountPath = `${PAGE}/${account.accountSid}`
  const app = new Hono()
  app.use(faults.middleware)

  const isKnown = (header: string | undefined): boolean => {
    const pairs = account.authToken.map((token) => `${account.accountSid}:${token}`)
    if (account.apiKeySid) pairs.push(`${account.apiKeySid}:${account.apiKeySecret}`)
    return pairs.some((pair) => header === `Basic ${encodeBase64(utf8(pair))}`)
  }
  app.use(`${PAGE}/*`, async (c, next) => {
    if (!isKnown(c.req.header('authorization'))) return problem(c, 401, 20003, 'Authenticate')
    if (c.req.path !== `${accountPath}.json` && !c.req.path.startsWith(`${accountPath}/`)) {
      return problem(c, 404, 20404, `The requested resource ${c.req.path} was not found`)
    }
    return next()
  })

  app.get(`${accountPath}.json`, (c) =>
    c.json({ sid: account.accountSid, friendly_name: 'Sandbox', status: 'active', type: 'Full' }),
  )

  app.get(`${accountPath}/Calls.json`, (c) => {
    const { 'StartTime>': from, 'StartTime<': to } = c.req.query()
    const rows = legs.filter(between(from, to, (leg) => leg.startedAt)).map(callRow)
    return c.json(page(c, 'calls', rows))
  })

  app.get(`${accountPath}/Recordings.json`, (c) => {
    const { 'DateCreated>': from, 'DateCreated<': to } = c.req.query()
    const rows = [...recordings.values()].filter(between(from, to, (kept) => kept.startedAt))
    return c.json(page(c, 'recordings', rows.map(recordingRow)))
  })

  app.get(`${accountPath}/Recordings/:file`, (c) => {
    const [, sid = '', extension = 'wav'] = /^(RE\w+?)(?:\.(\w+))?$/.exec(c.req.param('file')) ?? []
    const kept = recordings.get(sid)
    if (!kept) return problem(c, 404, 20404, `The requested resource ${c.req.path} was not found`)
    if (extension === 'json') return c.json(recordingRow(kept))
    const { bytes, format } = kept.audio
    return c.body(bytes as Uint8Array<ArrayBuffer>, 200, {
      'content-type': MEDIA_TYPES[format] ?? 'application/octet-stream',
      'content-length': String(bytes.length),
    })
  })

  const newSid = (prefix: string) => {
    const hex = (digits: number) =>
      Math.floor(options.random() * 16 ** digits)
        .toString(16)
        .padStart(digits, '0')
    return `${prefix}${options.now().toString(16).padStart(12, '0')}${hex(10)}${hex(10)}`
  }

  return {
    app,
    fail: faults.fail,
    book: () => [
      ...[...placed].map(([key, { root }]) => ({ kind: 'call', id: root.sid, key, fields: callRow(root) })),
      ...[...recordings.values()].map((kept) => ({
        kind: 'recording',
        id: kept.sid,
        key: kept.callId,
        fields: recordingRow(kept),
      })),
    ],
    place(call) {
      const known = placed.get(call.id)
      if (known) return known.webhooks
      const { root, child, webhooks } = play(call, newSid, account.accountSid)
      legs.push(root, ...(child ? [child] : []))
      if (call.audio) {
        const answeredAt = call.startedAt + call.ringMs
        const [sid, callId] = [newSid('RE'), call.id]
        const kept = { sid, callId, callSid: root.sid, audio: call.audio, startedAt: answeredAt }
        recordings.set(kept.sid, kept)
        webhooks.push(recordingWebhook(kept, `${options.baseUrl}${accountPath}`, account.accountSid))
      }
      placed.set(call.id, { root, webhooks })
      return webhooks
    },
  }
}

/**
 * Inbound: the caller's leg, and the agent's, dialled with `answerOnBridge` and all status events; the number itself
 * announces only the end. Outbound: an API call to the customer with all status events, then the agent's leg, of which
 * `<Dial>` announces the end by default.
 */
function play(call: SampleCall, newSid: (prefix: string) => string, accountSid: string) {
  const isInbound = call.direction === 'inbound'
  const isAnswered = call.result === 'answered'
  const talkMs = isAnswered ? call.talkMs : 0
  const { startedAt } = call
  const answeredAt = startedAt + call.ringMs
  const endedAt = answeredAt + talkMs
  const status = { answered: 'completed', no_answer: 'no-answer', busy: 'busy' }[call.result]
  const [from, to] = isInbound ? [call.customerPhone, call.ownPhone] : [call.ownPhone, call.customerPhone]
  const root: Leg = {
    sid: newSid('CA'),
    direction: isInbound ? 'inbound' : 'outbound-api',
    ...{ from, to, status, startedAt, endedAt },
    lengthMs: isAnswered ? (isInbound ? endedAt - startedAt : talkMs) : 0,
  }
  const child: Leg = {
    sid: newSid('CA'),
    parent: root.sid,
    direction: 'outbound-dial',
    ...{ from, to: `client:${call.agent.name.replaceAll(/[^A-Za-z0-9_]/g, '_')}`, status, endedAt },
    startedAt: isInbound ? startedAt : answeredAt,
    lengthMs: talkMs,
  }
  const say = (leg: Leg, status: string, at: number, sequence: number) =>
    statusWebhook(leg, status, at, sequence, accountSid)
  const first = isInbound ? child : root
  const webhooks = [
    say(first, 'initiated', startedAt, 0),
    say(first, 'ringing', startedAt + Math.min(1000, call.ringMs), 1),
    ...(isAnswered ? [say(first, 'in-progress', answeredAt, 2)] : []),
  ]
  if (!isInbound && !isAnswered)
    return { root, child: null, webhooks: [...webhooks, say(root, status, endedAt, 2)] }
  webhooks.push(say(child, status, endedAt, isInbound ? 3 : 0), say(root, status, endedAt, isInbound ? 0 : 3))
  return { root, child, webhooks }
}

function statusWebhook(leg: Leg, status: string, at: number, sequence: number, accountSid: string) {
  const isOver = status === leg.status
  return webhook(status, '/status', {
    AccountSid: accountSid,
    ApiVersion: '2010-04-01',
    CallSid: leg.sid,
    ...(leg.parent ? { ParentCallSid: leg.parent } : {}),
    CallStatus: status,
    ...(isOver ? { CallDuration: wholeSeconds(leg.lengthMs), Duration: wholeMinutes(leg.lengthMs) } : {}),
    Direction: leg.direction,
    From: leg.from,
    Caller: leg.from,
    To: leg.to,
    Called: leg.to,
    Timestamp: rfc2822(at),
    SequenceNumber: String(sequence),
    CallbackSource: 'call-progress-events',
  })
}

function recordingWebhook(kept: Kept, accountUrl: string, accountSid: string): SandboxWebhook {
  return webhook('recording completed', '/recording', {
    AccountSid: accountSid,
    CallSid: kept.callSid,
    RecordingSid: kept.sid,
    RecordingUrl: `${accountUrl}/Recordings/${kept.sid}`,
    RecordingStatus: 'completed',
    RecordingDuration: wholeSeconds(kept.audio.durationMs),
    RecordingChannels: '2',
    RecordingStartTime: rfc2822(kept.startedAt),
    RecordingSource: 'DialVerb',
    RecordingTrack: 'both',
    ErrorCode: '0',
  })
}

const webhook = (says: string, path: string, fields: Record<string, string>): SandboxWebhook => ({
  says,
  method: 'POST',
  path,
  headers: { 'content-type': 'application/x-www-form-urlencoded; charset=UTF-8' },
  body: new URLSearchParams(fields).toString(),
})

const rfc2822 = (ms: number) => new Date(ms).toUTCString().replace('GMT', '+0000')
const wholeSeconds = (ms: number) => String(Math.round(ms / 1000))
const wholeMinutes = (ms: number) => String(Math.ceil(ms / 60_000))

const callRow = (leg: Leg) => ({
  sid: leg.sid,
  parent_call_sid: leg.parent ?? null,
  status: leg.status,
  direction: leg.direction,
  from: leg.from,
  to: leg.to,
  start_time: rfc2822(leg.startedAt),
  end_time: rfc2822(leg.endedAt),
  duration: wholeSeconds(leg.lengthMs),
  caller_name: '',
  forwarded_from: null,
})

const recordingRow = (kept: Kept) => ({
  sid: kept.sid,
  call_sid: kept.callSid,
  status: 'completed',
  channels: 2,
  duration: wholeSeconds(kept.audio.durationMs),
  start_time: rfc2822(kept.startedAt),
  source: 'DialVerb',
  error_code: null,
})

const between = <Row>(from: string | undefined, to: string | undefined, time: (row: Row) => number) => {
  const earliest = from === undefined ? Number.NEGATIVE_INFINITY : Date.parse(from)
  const latest = to === undefined ? Number.POSITIVE_INFINITY : Date.parse(to)
  return (row: Row) => time(row) >= earliest && time(row) <= latest
}

/** Newest first, `Page` counted from 0, the next page as a path. */
function page(c: Context, name: string, rows: unknown[]) {
  const url = new URL(c.req.url)
  const size = Math.min(Number(url.searchParams.get('PageSize') ?? 50), 1000)
  const number = Number(url.searchParams.get('Page') ?? 0)
  const isLast = rows.length <= (number + 1) * size
  url.searchParams.set('Page', String(number + 1))
  return {
    [name]: rows.toReversed().slice(number * size, (number + 1) * size),
    page: number,
    page_size: size,
    next_page_uri: isLast ? null : `${url.pathname}${url.search}`,
  }
}

function problem(c: Context, status: 401 | 404, code: number, message: string): Response {
  return c.json({ code, message, more_info: `https://www.twilio.com/docs/errors/${code}`, status }, status)
}
