import { type Context, Hono } from 'hono'
import {
  type CreateSandbox,
  createFaults,
  type SampleCall,
  type SandboxWebhook,
} from '../../src/connector/sandbox.ts'
import { config } from './schema.ts'

/**
 * A stand-in of a 3CX with the template in pbx/: the journal of a call, and of the XAPI the token (of a client only the
 * newest is good, for a minute), the recordings with the filters that are used, their audio, and the call log, newest first.
 */
interface Kept {
  call: SampleCall
  recId: number | null
  rows: ReturnType<typeof logRows>
  webhooks: SandboxWebhook[]
}

const MEDIA_TYPES: Readonly<Record<string, string>> = { mp3: 'audio/mpeg', wav: 'audio/x-wav' }
const TOKEN_MS = 60_000
const LOG_LIMIT = 500

export const createSandbox: CreateSandbox = (options) => {
  const account = config.parse(options.account)
  const faults = createFaults()
  const calls = new Map<string, Kept>()
  const app = new Hono()
  let newest = { token: '', until: 0 }
  let serial = 17_000
  app.use(faults.middleware)

  app.post('/connect/token', async (c) => {
    const form = new URLSearchParams(await c.req.text())
    const isKnown =
      form.get('grant_type') === 'client_credentials' &&
      form.get('client_id') === account.clientId &&
      form.get('client_secret') === account.clientSecret
    if (!isKnown) return c.json({ error: 'invalid_client' }, 400)
    newest = { token: `token-${++serial}`, until: options.now() + TOKEN_MS }
    return c.json({ access_token: newest.token, expires_in: TOKEN_MS / 1000, token_type: 'Bearer' })
  })

  app.use('/xapi/*', async (c, next) => {
    const isGood = newest.until > options.now() && c.req.header('authorization') === `Bearer ${newest.token}`
    return isGood ? next() : c.body(null, 401)
  })

  app.get('/xapi/v1/Recordings', (c) => {
    const filter = c.req.query('$filter') ?? ''
    const bound = (operator: string) =>
      Date.parse(new RegExp(`StartTime ${operator} (\\S+)`).exec(filter)?.[1] ?? '')
    const [from, until] = [bound('ge'), bound('le')]
    const rows = [...calls.values()].flatMap(({ call, recId }) => {
      const startMs = call.startedAt + call.ringMs
      const isWanted = !(startMs < from) && !(startMs > until)
      return recId !== null && isWanted ? [recordingRow(call, recId)] : []
    })
    return c.json({ value: rows.sort((a, b) => a.Id - b.Id).slice(0, Number(c.req.query('$top') ?? 100)) })
  })

  app.get('/xapi/v1/Recordings/:download', (c) => {
    const id = Number(/^Pbx\.DownloadRecording\(recId=(\d+)\)$/.exec(c.req.param('download'))?.[1])
    const audio = [...calls.values()].find(({ recId }) => recId === id)?.call.audio
    if (!audio) return noFile(c)
    return c.body(audio.bytes as Uint8Array<ArrayBuffer>, 200, {
      'content-type': MEDIA_TYPES[audio.format] ?? 'application/octet-stream',
      'content-length': String(audio.bytes.length),
    })
  })

  app.get('/xapi/v1/ReportCallLogData/:call', (c) => {
    const args = decodeURIComponent(c.req.param('call'))
    const at = (name: string) => Date.parse(new RegExp(`${name}=([^,)]+)`).exec(args)?.[1] ?? '')
    const [from, until] = [at('periodFrom'), at('periodTo')]
    if (Number.isNaN(from) || Number.isNaN(until)) return c.json({ error: { message: 'Bad Request' } }, 400)
    const [top, skip] = [Number(c.req.query('$top') ?? LOG_LIMIT), Number(c.req.query('$skip') ?? 0)]
    if (top > LOG_LIMIT) {
      const message = `The limit of '${LOG_LIMIT}' for Top query has been exceeded.`
      return c.json({ error: { message } }, 400)
    }
    const rows = [...calls.values()].flatMap((kept) => kept.rows)
    const shown = rows
      .filter(({ StartTime }) => Date.parse(StartTime) >= from && Date.parse(StartTime) <= until)
      .sort((a, b) => Date.parse(b.StartTime) - Date.parse(a.StartTime))
    return c.json({ value: shown.slice(skip, skip + top) })
  })

  return {
    app,
    fail: faults.fail,
    book: () =>
      [...calls].flatMap(([key, { call, recId, rows }]) => [
        {
          kind: 'call',
          id: rows[0]?.MainCallHistoryId ?? key,
          key,
          fields: { direction: call.direction, result: call.result },
        },
        ...(recId === null ? [] : [{ kind: 'recording', id: String(recId), key, fields: {} }]),
      ]),
    place(call) {
      const known = calls.get(call.id)
      if (known) return known.webhooks
      const recId = call.result === 'answered' && call.audio ? ++serial : null
      const kept = { call, recId, rows: logRows(call, recId, ++serial), webhooks: [journal(call, recId)] }
      calls.set(call.id, kept)
      return kept.webhooks
    },
  }
}

const noFile = (c: Context) => c.json({ error: { code: '', message: 'WARNINGS.XAPI.FILE_NOT_FOUND' } }, 400)

const iso = (ms: number) => new Date(ms).toISOString()
const isoLength = (ms: number) => `PT${ms / 1000}S`

function clock(ms: number): string {
  const two = (value: number) => String(Math.floor(value)).padStart(2, '0')
  return [ms / 3_600_000, (ms / 60_000) % 60, (ms / 1000) % 60].map(two).join(':')
}

function journal(call: SampleCall, recId: number | null): SandboxWebhook {
  const isAnswered = call.result === 'answered'
  const type = {
    inbound: isAnswered ? 'Inbound' : 'Missed',
    outbound: isAnswered ? 'Outbound' : 'Notanswered',
  }[call.direction]
  const establishedAt = call.startedAt + call.ringMs
  const [first = '', ...rest] = call.agent.name.split(' ')
  const body = {
    call_type: type,
    number: call.customerPhone,
    name: '',
    agent: call.agent.extension,
    agent_first: first,
    agent_last: rest.join(' '),
    agent_email: '',
    queue: '[QueueExtension]',
    duration: clock(isAnswered ? call.talkMs : 0),
    start_ms: String(call.startedAt),
    established_ms: isAnswered ? String(establishedAt) : '',
    end_ms: String(establishedAt + (isAnswered ? call.talkMs : 0)),
    recording_url: recId === null ? '' : `https://pbx.example.com/#/recordings/${recId}`,
    entity_id: '[EntityId]',
  }
  return {
    says: `journal: ${type}`,
    method: 'POST',
    path: '',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  }
}

/** The log has the call's own clock: some seconds beside the journal's. */
const LOG_SKEW_MS = 1200

function logRows(call: SampleCall, recId: number | null, serial: number) {
  const isInbound = call.direction === 'inbound'
  const isAnswered = call.result === 'answered'
  const { extension, name } = call.agent
  const row = {
    CdrId: `cdr-${serial}`,
    CallHistoryId: `history-${serial}`,
    MainCallHistoryId: `history-${serial}`,
    StartTime: iso(call.startedAt + LOG_SKEW_MS),
    Direction: isInbound ? 'Inbound' : 'Outbound',
    CallType: 'Extension',
    Status: isAnswered ? 'Answered' : 'Unanswered',
    Answered: isAnswered,
    SourceDn: isInbound ? '10000' : extension,
    SourceCallerId: isInbound ? call.customerPhone : extension,
    SourceDisplayName: isInbound ? '' : name,
    DestinationDn: isInbound ? extension : '10000',
    DestinationCallerId: isInbound ? extension : call.customerPhone,
    DestinationDisplayName: isInbound ? name : '',
    RingingDuration: isoLength(call.ringMs),
    TalkingDuration: isoLength(isAnswered ? call.talkMs : 0),
    Reason: '',
    SrcRecId: isInbound ? null : recId,
    DstRecId: isInbound ? recId : null,
  }
  return [row]
}

function recordingRow(call: SampleCall, recId: number) {
  const isInbound = call.direction === 'inbound'
  const { extension, name } = call.agent
  return {
    Id: recId,
    StartTime: iso(call.startedAt + call.ringMs).replace('Z', '+00:00'),
    EndTime: iso(call.startedAt + call.ringMs + call.talkMs).replace('Z', '+00:00'),
    FromDn: isInbound ? '10000' : extension,
    FromCallerNumber: isInbound ? call.customerPhone.replace('+', '') : extension,
    FromDisplayName: isInbound ? '' : name,
    ToDn: isInbound ? extension : '10000',
    ToCallerNumber: isInbound ? extension : call.customerPhone.replace('+', ''),
    CallType: isInbound ? 'InboundExternal' : 'OutboundExternal',
    RecordingUrl: `${extension}/${recId}.${call.audio?.format ?? 'wav'}`,
  }
}
