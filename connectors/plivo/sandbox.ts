import { type Context, Hono } from 'hono'
import { toWallClock } from '../../src/call/zone.ts'
import { encodeBase64, utf8 } from '../../src/connector/encoding.ts'
import {
  type CreateSandbox,
  createFaults,
  type SampleCall,
  type SandboxWebhook,
} from '../../src/connector/sandbox.ts'
import { config } from './schema.ts'

/**
 * A stand-in of Plivo, written from its pages: the callbacks of a call and of its <Dial>ed leg, recordings behind Basic
 * authentication, and the two lists with their windows of 30 days and pages of 20. How many requests are allowed is not
 * documented: 300 a minute here.
 */
interface Row {
  call_uuid: string
  parent_call_uuid: string | null
  call_direction: string
  from_number: string
  to_number: string
  initiation_time: string
  answer_time: string | null
  end_time: string
  call_duration: number
  hangup_cause_name: string
  hangup_cause_code: number
  hangup_source: string
}

interface Kept {
  id: string
  call: SampleCall
  callUuid: string
  audio: NonNullable<SampleCall['audio']>
}

const MEDIA_TYPES: Readonly<Record<string, string>> = { mp3: 'audio/mpeg', wav: 'audio/x-wav' }
const CAUSES = {
  answered: { status: 'completed', cause: 'NORMAL_CLEARING', name: 'Normal Hangup', code: 4000 },
  no_answer: { status: 'no-answer', cause: 'NO_ANSWER', name: 'No Answer', code: 3000 },
  busy: { status: 'busy', cause: 'USER_BUSY', name: 'Busy Line', code: 3010 },
} as const
const DAY_MS = 86_400_000
const WINDOW_MS = 60_000
const REQUESTS = 300

export const createSandbox: CreateSandbox = (options) => {
  const account = config.parse(options.account)
  const faults = createFaults()
  const rows: Row[] = []
  const recordings = new Map<string, Kept>()
  const placed = new Map<string, { callUuid: string; webhooks: SandboxWebhook[] }>()
  const accountPath = `/v1/Account/${account.authId}`
  let spent = { window: 0, requests: 0 }
  const app = new Hono()
  app.use(faults.middleware)

  app.use('/v1/*', async (c, next) => {
    const isKnown = account.authToken.some(
      (token) =>
        c.req.header('authorization') === `Basic ${encodeBase64(utf8(`${account.authId}:${token}`))}`,
    )
    if (!isKnown) return c.text('Could not verify your access level for that URL.', 401)
    if (!c.req.path.startsWith(`${accountPath}/`)) return problem(c, 404, 'not found')
    const window = Math.floor(options.now() / WINDOW_MS)
    spent = window === spent.window ? { window, requests: spent.requests + 1 } : { window, requests: 1 }
    return spent.requests > REQUESTS ? problem(c, 429, 'Too many requests') : next()
  })

  app.get(`${accountPath}/`, (c) =>
    c.json({
      auth_id: account.authId,
      account_type: 'standard',
      name: 'Sandbox',
      timezone: account.timeZone,
    }),
  )
  app.get(`${accountPath}/Call/`, (c) =>
    listed(
      c,
      'end_time',
      rows.map((row) => ({ ms: Date.parse(row.end_time.replace(' ', 'T')), row })),
    ),
  )
  app.get(`${accountPath}/Recording/`, (c) =>
    listed(
      c,
      'add_time',
      [...recordings.values()].map((kept) => ({ ms: endOf(kept.call), row: recordingRow(kept) })),
    ),
  )
  app.get(`${accountPath}/Recording/:id/`, (c) => {
    const kept = recordings.get(c.req.param('id'))
    return kept ? c.json({ api_id: uuid(), ...recordingRow(kept) }) : problem(c, 404, 'not found')
  })
  app.get(`${accountPath}/Recording/:file`, (c) => {
    const [id = '', format] = c.req.param('file').split('.')
    const kept = recordings.get(id)
    if (!kept || kept.audio.format !== format) return problem(c, 404, 'not found')
    const { bytes } = kept.audio
    return c.body(bytes as Uint8Array<ArrayBuffer>, 200, {
      'content-type': MEDIA_TYPES[kept.audio.format] ?? 'application/octet-stream',
      'content-length': String(bytes.length),
    })
  })

  function listed(c: Context, field: string, all: { ms: number; row: object }[]): Response {
    const read = (name: string, otherwise: number) => {
      const given = c.req.query(`${field}__${name}`)
      return given === undefined ? otherwise : Date.parse(`${given.replace(' ', 'T')}Z`)
    }
    const from = read('gte', options.now() - 7 * DAY_MS)
    const until = read('lt', from + 30 * DAY_MS)
    if (until - from > 30 * DAY_MS) return problem(c, 400, 'the range exceeds 30 days')
    const limit = Math.min(Number(c.req.query('limit') ?? 20), 20)
    const offset = Number(c.req.query('offset') ?? 0)
    const found = all.filter(({ ms }) => ms >= from && ms < until && ms > options.now() - 90 * DAY_MS)
    const objects = found.toReversed().slice(offset, offset + limit)
    const isLast = offset + limit >= found.length
    const meta = {
      limit,
      offset,
      total_count: found.length,
      next: isLast ? null : `${accountPath}/`,
      previous: null,
    }
    return c.json({ api_id: uuid(), meta, objects: objects.map(({ row }) => row) })
  }

  const urlOf = ({ id, audio }: Kept) => `${options.baseUrl}${accountPath}/Recording/${id}.${audio.format}`
  const spanOf = ({ call, audio }: Kept) => {
    const from = call.startedAt + call.ringMs
    return { from, until: from + audio.durationMs }
  }

  /** Milliseconds with a fraction, as text. */
  function recordingRow(kept: Kept) {
    const { from, until } = spanOf(kept)
    return {
      recording_id: kept.id,
      call_uuid: kept.callUuid,
      conference_name: null,
      recording_url: urlOf(kept),
      recording_format: kept.audio.format,
      recording_type: 'normal',
      recording_start_ms: `${from}.00000`,
      recording_end_ms: `${until}.00000`,
      recording_duration_ms: `${kept.audio.durationMs}.00000`,
      add_time: offsetTime(endOf(kept.call)),
    }
  }

  const hex = (digits: number) =>
    Math.floor(options.random() * 16 ** digits)
      .toString(16)
      .padStart(digits, '0')
  const uuid = () => `${hex(8)}-${hex(4)}-4${hex(3)}-a${hex(3)}-${hex(6)}${hex(6)}`

  /** A new nonce for every request; the signature itself is made by who sends it. */
  const webhook = (says: string, path: string, fields: Record<string, string>): SandboxWebhook => ({
    says,
    method: 'POST',
    path,
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      'x-plivo-signature-v3-nonce': String(Math.floor(options.random() * 1e15)),
    },
    body: new URLSearchParams(fields).toString(),
  })

  return {
    app,
    fail: faults.fail,
    book: () => [
      ...[...placed].map(([key, { callUuid }]) => ({ kind: 'call', id: callUuid, key, fields: {} })),
      ...[...recordings.values()].map((kept) => ({
        kind: 'recording',
        id: kept.id,
        key: kept.call.id,
        fields: recordingRow(kept),
      })),
    ],
    place(call) {
      const known = placed.get(call.id)
      if (known) return known.webhooks
      const played = play(call, uuid, account.authId, account.timeZone)
      rows.push(...played.rows)
      const webhooks = played.told.map(([says, path, fields]) => webhook(says, path, fields))
      if (call.audio) {
        const kept = { id: uuid(), call, callUuid: played.callUuid, audio: call.audio }
        const { from, until } = spanOf(kept)
        recordings.set(kept.id, kept)
        const fields = {
          CallUUID: played.callUuid,
          RecordingID: kept.id,
          RecordUrl: urlOf(kept),
          RecordFile: kept.id,
          RecordingDuration: String(Math.round(call.audio.durationMs / 1000)),
          RecordingDurationMs: String(call.audio.durationMs),
          RecordingStartMs: String(from),
          RecordingEndMs: String(until),
        }
        webhooks.push(webhook('recording', '/recording', fields))
      }
      placed.set(call.id, { callUuid: played.callUuid, webhooks })
      return webhooks
    },
  }
}

const endOf = ({ startedAt, ringMs, talkMs, result }: SampleCall): number =>
  startedAt + ringMs + (result === 'answered' ? talkMs : 0)

const offsetTime = (ms: number): string => `${toWallClock(ms, 'UTC')}+00:00`
const bare = (phone: string): string => phone.replace(/^\+/, '')

type Told = readonly [says: string, path: string, fields: Record<string, string>]

/**
 * Inbound: the caller's leg, which Plivo takes when the agent whom <Dial> calls answers. Outbound: an API call to the
 * customer, then the agent.
 */
function play(call: SampleCall, uuid: () => string, authId: string, timeZone: string) {
  const isInbound = call.direction === 'inbound'
  const isAnswered = call.result === 'answered'
  const { status, cause, name, code } = CAUSES[call.result]
  const callUuid = uuid()
  const agentUuid = uuid()
  const [from, to] = (
    isInbound ? [call.customerPhone, call.ownPhone] : [call.ownPhone, call.customerPhone]
  ).map(bare) as [string, string]
  const sip = `sip:${call.agent.extension}@phone.plivo.com`
  const answeredAt = call.startedAt + call.ringMs
  const endedAt = endOf(call)
  const talkS = isAnswered ? Math.round(call.talkMs / 1000) : 0
  const wall = (ms: number) => toWallClock(ms, timeZone)
  const common = {
    CallUUID: callUuid,
    ParentAuthID: authId,
    Direction: call.direction,
    From: from,
    To: to,
    ...(isInbound ? {} : { ALegUUID: callUuid, ALegRequestUUID: callUuid, RequestUUID: callUuid }),
  }
  const dial = {
    CallUUID: callUuid,
    DialALegUUID: callUuid,
    DialBLegUUID: agentUuid,
    DialBLegFrom: bare(call.ownPhone),
    DialBLegTo: sip,
  }
  const hangup = {
    ...common,
    Event: 'Hangup',
    CallStatus: status,
    HangupCause: cause,
    HangupCauseName: name,
    HangupCauseCode: String(code),
    HangupSource: isAnswered ? 'Caller' : 'Callee',
    StartTime: wall(call.startedAt),
    ...(isAnswered ? { AnswerTime: wall(answeredAt) } : {}),
    EndTime: wall(endedAt),
    Duration: String(talkS),
    BillDuration: String(Math.ceil(talkS / 60) * 60),
    SessionStart: `${wall(call.startedAt)}.238707`,
  }
  const dialHangup = {
    ...dial,
    DialAction: 'hangup',
    Event: 'DialHangup',
    DialBLegStatus: 'hangup',
    DialBLegDuration: String(talkS),
    DialBLegHangupCause: cause,
    DialBLegHangupCauseCode: String(code),
  }
  const told: Told[] = [['Ring', '/hangup', { ...common, Event: 'Ring', CallStatus: 'ringing' }]]
  if (isAnswered) {
    told.push(['DialAnswer', '/dial', { ...dial, DialAction: 'answer', Event: 'DialAnswer' }])
    told.push(['DialConnected', '/dial', { ...dial, DialAction: 'connected', Event: 'DialConnected' }])
  }
  if (isAnswered || isInbound) told.push(['DialHangup', '/dial', dialHangup])
  told.push(['Hangup', '/hangup', hangup])

  const row = (id: string, parent: string | null, ends: [string, string], startedAt: number): Row => ({
    call_uuid: id,
    parent_call_uuid: parent,
    call_direction: parent === null ? call.direction : 'outbound',
    from_number: ends[0],
    to_number: ends[1],
    initiation_time: offsetTime(startedAt),
    answer_time: isAnswered ? offsetTime(answeredAt) : null,
    end_time: offsetTime(endedAt),
    call_duration: talkS,
    hangup_cause_name: name,
    hangup_cause_code: code,
    hangup_source: hangup.HangupSource,
  })
  const rows = [row(callUuid, null, [from, to], call.startedAt)]
  if (isAnswered || isInbound) rows.push(row(agentUuid, callUuid, [bare(call.ownPhone), sip], call.startedAt))
  return { callUuid, rows, told }
}

function problem(c: Context, status: 400 | 404 | 429, error: string): Response {
  return c.json({ api_id: '0', error }, status)
}
