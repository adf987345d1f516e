import { type Context, Hono } from 'hono'
import {
  type CreateSandbox,
  createFaults,
  type SampleCall,
  type SandboxWebhook,
} from '../../src/connector/sandbox.ts'
import { config } from './schema.ts'

/**
 * A stand-in of Ringover, written from its PHP SDK and captured events: ids of twenty digits as JSON numbers, the list of
 * calls behind the key, audio on a CDN that asks nobody and names no type. Links do not end here: whether they do there is
 * not documented.
 */
interface Kept {
  callId: string
  channelId: string
  call: SampleCall
  webhooks: SandboxWebhook[]
}

const LONGEST_SPAN_MS = 15 * 86_400_000
const STATES = { answered: 'ANSWERED', no_answer: 'MISSED', busy: 'BUSY' } as const

export const createSandbox: CreateSandbox = (options) => {
  const account = config.parse(options.account)
  const faults = createFaults()
  const calls = new Map<string, Kept>()
  const app = new Hono()
  app.use(faults.middleware)

  app.get('/v2/calls', (c) => {
    if (c.req.header('authorization') !== account.apiKey) return refusal(c, 401, 'Invalid API key')
    const { start_date, end_date, limit_count = '100', limit_offset = '0' } = c.req.query()
    const from = start_date === undefined ? 0 : Date.parse(start_date)
    const to = end_date === undefined ? options.now() : Date.parse(end_date)
    if (start_date !== undefined && to - from > LONGEST_SPAN_MS) return refusal(c, 400, 'Range too long')
    const all = [...calls.values()].filter(({ call }) => call.startedAt >= from && call.startedAt <= to)
    const count = Math.min(Number(limit_count), 1000)
    const shown = all.slice(Number(limit_offset), Number(limit_offset) + count)
    if (shown.length === 0) return c.body(null, 204)
    const body = { total_call_count: all.length, call_list_count: shown.length, call_list: shown.map(rowOf) }
    return c.body(withNumbers(body), 200, { 'content-type': 'application/json' })
  })

  app.get('/records/:file', (c) => {
    const kept = [...calls.values()].find((one) => `${one.channelId}.mp3` === c.req.param('file'))
    const audio = kept?.call.audio
    if (!audio) return c.body(null, 404)
    const headers = { 'content-length': String(audio.bytes.length), 'x-content-type-options': 'nosniff' }
    return new Response(audio.bytes as Uint8Array<ArrayBuffer>, { headers })
  })

  const linkTo = ({ channelId, call }: Kept): string | null =>
    call.audio ? `${options.baseUrl}/records/${channelId}.mp3` : null

  function rowOf(kept: Kept) {
    const { call, callId, channelId } = kept
    const times = timesOf(call)
    const iso = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString())
    const talk = call.result === 'answered' ? seconds(call.talkMs) : 0
    return {
      cdr_id: `7${channelId}`,
      call_id: callId,
      channel_id: channelId,
      type: 'PHONE',
      direction: call.direction === 'inbound' ? 'in' : 'out',
      is_answered: call.result === 'answered',
      last_state: STATES[call.result],
      ...partiesOf(call),
      start_time: iso(call.startedAt),
      answered_time: iso(times.answeredAt),
      end_time: iso(times.endedAt),
      incall_duration: talk,
      total_duration: seconds(times.endedAt - call.startedAt),
      record: linkTo(kept),
      voicemail: null,
      user: userOf(call),
    }
  }

  function play(kept: Kept): SandboxWebhook[] {
    const { call, callId, channelId } = kept
    const { answeredAt, endedAt } = timesOf(call)
    const ids = { call_id: callId, channel_id: channelId }
    const head = {
      id: `5${channelId}`,
      ...ids,
      start_time: seconds(call.startedAt),
      start_date_time_atom: atom(call.startedAt),
      direction: call.direction,
      ...partiesOf(call),
      user_id: userOf(call).user_id,
      is_internal: false,
      is_anonymous: false,
      is_ivr: call.direction === 'inbound',
      ivr_data: call.direction === 'inbound' ? { scenario_name: 'Sales', ivr_name: 'Main' } : null,
      user: userOf(call),
    }
    const end = { hangup_time: seconds(endedAt), hangup_date_time_atom: atom(endedAt) }
    const answered = { answered_time: answeredAt === null ? null : seconds(answeredAt) }
    const isMissed = call.result === 'no_answer' && call.direction === 'inbound'
    const say = (resource: string, event: string, at: number, data: object): SandboxWebhook => ({
      says: event,
      method: 'POST',
      path: '',
      headers: { 'content-type': 'application/json' },
      body: withNumbers({ resource, event, timestamp: seconds(at), attempt: 1, data }),
    })
    return [
      say('call', 'ringing', call.startedAt, { ...head, status: 'RINGING' }),
      ...(answeredAt === null
        ? []
        : [say('call', 'answered', answeredAt, { ...head, ...answered, status: 'ANSWERED' })]),
      isMissed
        ? say('call', 'missed', endedAt, { ...head, ...end, reason: 'NO_ANSWER', status: 'MISSED' })
        : say('call', 'hangup', endedAt, {
            ...{ ...head, ...answered, ...end, status: STATES[call.result] },
            duration_in_seconds: call.result === 'answered' ? seconds(call.talkMs) : 0,
            record: null,
            private_record: null,
          }),
      ...(call.audio
        ? [
            say('aftercall', 'record_available', endedAt + 15_000, {
              ...ids,
              record_link: linkTo(kept),
              private_record_link: null,
              record_duration: Math.round(call.audio.durationMs / 1000),
            }),
          ]
        : []),
    ]
  }

  const digits = (count: number) => {
    let text = ''
    while (text.length < count) text += Math.floor(options.random() * 10)
    return text
  }

  return {
    app,
    fail: faults.fail,
    book: () =>
      [...calls].flatMap(([key, kept]) => [
        { kind: 'call', id: kept.callId, key, fields: rowOf(kept) },
        ...(kept.call.audio ? [{ kind: 'recording', id: kept.channelId, key, fields: {} }] : []),
      ]),
    place(call) {
      const known = calls.get(call.id)
      if (known) return known.webhooks
      const kept: Kept = { callId: `1${digits(19)}`, channelId: `8${digits(6)}`, call, webhooks: [] }
      calls.set(call.id, kept)
      kept.webhooks = play(kept)
      return kept.webhooks
    },
  }
}

const seconds = (ms: number) => ms / 1000
const atom = (ms: number) => `${new Date(ms).toISOString().slice(0, 19)}+00:00`

/** Ids as numbers with all their digits, which JSON.stringify does not write. */
const withNumbers = (body: object): string => JSON.stringify(body).replaceAll(/("call_id":)"(\d+)"/g, '$1$2')

function timesOf(call: SampleCall): { answeredAt: number | null; endedAt: number } {
  const ringsUntil = call.startedAt + call.ringMs
  const isAnswered = call.result === 'answered'
  return {
    answeredAt: isAnswered ? ringsUntil : null,
    endedAt: ringsUntil + (isAnswered ? call.talkMs : 0),
  }
}

function partiesOf(call: SampleCall) {
  const [customer, own] = [call.customerPhone.replace('+', ''), call.ownPhone.replace('+', '')]
  return call.direction === 'inbound'
    ? { from_number: customer, to_number: own }
    : { from_number: own, to_number: customer }
}

function userOf({ agent }: SampleCall) {
  const [firstname = '', ...rest] = agent.name.split(' ')
  return {
    user_id: Number(agent.extension),
    firstname,
    lastname: rest.join(' '),
    email: `${agent.extension}@example.com`,
  }
}

const refusal = (c: Context, status: 400 | 401, message: string): Response => c.json({ message }, status)
