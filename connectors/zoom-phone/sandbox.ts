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
 * A stand-in of Zoom, written from its pages and its OpenAPI files: the events of a call, hour-long tokens, the call
 * history, the list of recordings and their download. A recording's `download_url` is good for a day here; how long it is
 * at Zoom is not documented.
 */
interface Kept {
  call: SampleCall
  callId: string
  historyId: string
  element: Record<string, unknown>
  recording: Record<string, unknown> | null
  webhooks: SandboxWebhook[]
}

const TOKEN_MS = 3_600_000
const LINK_MS = 86_400_000
const MEDIA_TYPES: Readonly<Record<string, string>> = { mp3: 'audio/mpeg', wav: 'audio/x-wav' }
const RESULTS = { answered: 'answered', no_answer: 'no_answer', busy: 'busy' } as const
const seconds = (ms: number) => `${new Date(ms).toISOString().slice(0, 19)}Z`

export const createSandbox: CreateSandbox = (options) => {
  const account = config.parse(options.account)
  const faults = createFaults()
  const calls = new Map<string, Kept>()
  const tokens = new Map<string, number>()
  const files = new Map<string, { kept: Kept; until: number }>()
  const app = new Hono()
  app.use(faults.middleware)

  app.post('/oauth/token', async (c) => {
    const form = await c.req.parseBody()
    const basic = `Basic ${encodeBase64(utf8(`${account.clientId}:${account.clientSecret}`))}`
    if (c.req.header('authorization') !== basic) {
      return c.json({ reason: 'Invalid client_id or client_secret', error: 'invalid_client' }, 400)
    }
    if (form.grant_type !== 'account_credentials' || form.account_id !== account.accountId) {
      return c.json({ reason: 'unsupported grant type', error: 'unsupported_grant_type' }, 400)
    }
    const token = hex(24)
    tokens.set(token, options.now() + TOKEN_MS)
    return c.json({
      access_token: token,
      token_type: 'bearer',
      expires_in: TOKEN_MS / 1000,
      scope: 'phone:read:admin',
    })
  })

  app.use('/v2/*', async (c, next) => {
    const [, token = ''] = /^Bearer (\w+)$/.exec(c.req.header('authorization') ?? '') ?? []
    if ((tokens.get(token) ?? 0) > options.now()) return next()
    return c.json({ code: 124, message: 'Invalid access token.' }, 401)
  })

  app.get('/v2/phone/call_history', (c) => {
    const rows = inRange(c, c.req.query('time_type'))
    const history = rows.map(({ callId, historyId, element }) => ({
      ...element,
      call_history_uuid: historyId,
      call_id: callId,
      call_result: element.result,
    }))
    return c.json(page(c, 'call_history', history))
  })

  app.get('/v2/phone/call_history/:id', (c) => {
    const kept = [...calls.values()].find(({ historyId }) => historyId === c.req.param('id'))
    if (!kept) return c.json({ code: 404, message: 'The call history does not exist.' }, 404)
    const { call_history_uuid, ...hop } = kept.element
    return c.json({ call_history_uuid, call_id: kept.callId, call_elements: [hop] })
  })

  app.get('/v2/phone/recordings', (c) => {
    const rows = inRange(c, c.req.query('query_date_type')).filter(({ recording }) => recording !== null)
    return c.json(
      page(
        c,
        'recordings',
        rows.map((kept) => ({ ...kept.recording, download_url: linkTo(kept) })),
      ),
    )
  })

  app.get('/v2/phone/recording/download/:file', (c) => {
    const file = files.get(c.req.param('file'))
    const audio = file && file.until > options.now() ? file.kept.call.audio : undefined
    if (!audio) return c.json({ code: 404, message: 'File does not exist.' }, 400)
    return c.body(audio.bytes as Uint8Array<ArrayBuffer>, 200, {
      'content-type': MEDIA_TYPES[audio.format] ?? 'application/octet-stream',
      'content-length': String(audio.bytes.length),
    })
  })

  function inRange(c: Context, type = 'start_time'): Kept[] {
    const { from, to } = c.req.query()
    const earliest = from === undefined ? options.now() - LINK_MS : Date.parse(from)
    const latest = to === undefined ? options.now() : Date.parse(to)
    return [...calls.values()].filter(({ element }) => {
      const at = Date.parse(String(element[type]))
      return at >= earliest && at <= latest
    })
  }

  function hex(bytes: number): string {
    let text = ''
    while (text.length < bytes * 2) text += Math.floor(options.random() * 16).toString(16)
    return text
  }

  function linkTo(kept: Kept): string {
    const file = hex(11)
    files.set(file, { kept, until: options.now() + LINK_MS })
    return `${options.baseUrl}/v2/phone/recording/download/${file}`
  }

  return {
    app,
    fail: faults.fail,
    book: () =>
      [...calls].flatMap(([key, { callId, element, recording }]) => [
        { kind: 'call', id: callId, key, fields: element },
        ...(recording ? [{ kind: 'recording', id: String(recording.id), key, fields: recording }] : []),
      ]),
    place(call) {
      const known = calls.get(call.id)
      if (known) return known.webhooks
      const day = seconds(call.startedAt).slice(0, 10).replaceAll('-', '')
      const callId = `7${Array.from({ length: 18 }, () => Math.floor(options.random() * 10)).join('')}`
      const [elementId, historyId, recordingId] = [`${day}-${hex(16)}`, `${day}-${hex(16)}`, hex(16)]
      const element = elementOf(call, { callId, elementId, historyId, recordingId })
      const kept: Kept = { call, callId, historyId, element, recording: null, webhooks: [] }
      if (call.audio) kept.recording = recordingOf(call, { callId, elementId, recordingId })
      const link = kept.recording && { recordings: [{ ...kept.recording, download_url: linkTo(kept) }] }
      kept.webhooks = play(call, callId, element, link)
      calls.set(call.id, kept)
      return kept.webhooks
    },
  }
}

interface Ids {
  callId: string
  elementId: string
  historyId: string
  recordingId: string
}

const endOf = (call: SampleCall) =>
  call.startedAt + call.ringMs + (call.result === 'answered' ? call.talkMs : 0)

function play(
  call: SampleCall,
  callId: string,
  element: Record<string, unknown>,
  recordings: Record<string, unknown> | null,
): SandboxWebhook[] {
  const isInbound = call.direction === 'inbound'
  const side = isInbound ? 'callee' : 'caller'
  const user = {
    extension_id: `ext-${call.agent.extension}`,
    extension_type: 'user',
    extension_number: Number(call.agent.extension),
    phone_number: call.ownPhone,
    connection_type: 'voip',
  }
  const outside = { phone_number: call.customerPhone, connection_type: 'pstn_off_net' }
  const parties = isInbound ? { caller: outside, callee: user } : { caller: user, callee: outside }
  const live = { call_id: callId, ...parties, ringing_start_time: seconds(call.startedAt) }
  const answeredAt = call.startedAt + call.ringMs
  const over = { ...live, call_end_time: seconds(endOf(call)) }
  const webhooks = [notice(`phone.${side}_ringing`, live, call.startedAt)]
  if (call.result === 'answered') {
    const at = { [isInbound ? 'answer_start_time' : 'connected_start_time']: seconds(answeredAt) }
    webhooks.push(
      notice(`phone.${isInbound ? 'callee_answered' : 'caller_connected'}`, { ...live, ...at }, answeredAt),
    )
    webhooks.push(
      notice(`phone.${side}_ended`, { ...over, answer_start_time: seconds(answeredAt) }, endOf(call)),
    )
  } else {
    webhooks.push(notice(isInbound ? 'phone.callee_missed' : 'phone.caller_ended', over, endOf(call)))
  }
  webhooks.push(
    notice(`phone.${side}_call_element_completed`, { call_elements: [element] }, endOf(call) + 5000),
  )
  if (recordings) webhooks.push(notice('phone.recording_completed', recordings, endOf(call) + 60_000))
  return webhooks
}

const notice = (event: string, object: Record<string, unknown>, at: number): SandboxWebhook => ({
  says: event.replace('phone.', ''),
  method: 'POST',
  path: '',
  headers: { 'content-type': 'application/json; charset=utf-8' },
  body: JSON.stringify({ event, event_ts: at, payload: { account_id: 'sandbox', object } }),
})

function elementOf(call: SampleCall, { callId, elementId, historyId, recordingId }: Ids) {
  const isInbound = call.direction === 'inbound'
  const isAnswered = call.result === 'answered'
  const { extension, name } = call.agent
  const [own, other] = isInbound ? ['callee', 'caller'] : ['caller', 'callee']
  return {
    call_element_id: elementId,
    call_history_uuid: historyId,
    call_id: callId,
    connect_type: 'external',
    call_type: 'general',
    direction: call.direction,
    [`${other}_did_number`]: call.customerPhone,
    [`${other}_number_type`]: 'external_pstn',
    [`${other}_ext_type`]: 'external_contact',
    [`${own}_did_number`]: call.ownPhone,
    [`${own}_ext_id`]: `ext-${extension}`,
    [`${own}_ext_number`]: extension,
    [`${own}_ext_type`]: 'user',
    [`${own}_name`]: name,
    start_time: seconds(call.startedAt),
    ...(isAnswered ? { answer_time: seconds(call.startedAt + call.ringMs) } : {}),
    end_time: seconds(endOf(call)),
    event: isInbound ? 'incoming' : 'outgoing',
    result: RESULTS[call.result],
    ...(call.audio ? { recording_id: recordingId, recording_type: 'automatic' } : {}),
    ...(isAnswered ? { talk_time: Math.round(call.talkMs / 1000), hold_time: 0 } : {}),
  }
}

function recordingOf(call: SampleCall, { callId, elementId, recordingId }: Omit<Ids, 'historyId'>) {
  const isInbound = call.direction === 'inbound'
  const { extension, name } = call.agent
  return {
    id: recordingId,
    call_id: callId,
    call_element_id: elementId,
    direction: call.direction,
    caller_number: isInbound ? call.customerPhone : extension,
    caller_number_type: isInbound ? 2 : 1,
    callee_number: isInbound ? extension : call.customerPhone,
    callee_number_type: isInbound ? 1 : 2,
    date_time: seconds(call.startedAt + call.ringMs),
    end_time: seconds(endOf(call)),
    duration: Math.round((call.audio?.durationMs ?? 0) / 1000),
    recording_type: 'Automatic',
    owner: { type: 'user', id: `ext-${extension}`, name, extension_number: Number(extension) },
  }
}

/** `next_page_token` is empty on the last page. */
function page(c: Context, name: string, rows: unknown[]) {
  const size = Math.min(Number(c.req.query('page_size') ?? 30), 300)
  const at = Number(c.req.query('next_page_token') ?? 0)
  const next = at + size < rows.length ? String(at + size) : ''
  return {
    next_page_token: next,
    page_size: size,
    total_records: rows.length,
    [name]: rows.slice(at, at + size),
  }
}
