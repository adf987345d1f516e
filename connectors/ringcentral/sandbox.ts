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
 * A stand-in of RingCentral, written from its guides and specification: the states of a telephony session, the call log
 * (a record is there 30 seconds after the end), recordings, tokens of an hour for a JWT, and subscriptions, for which the
 * address is asked with a Validation-Token. All on one host. Recordings are there at once and however short; RingCentral
 * takes a few minutes and keeps none below 30 seconds.
 */
interface Kept {
  call: SampleCall
  record: Record<string, unknown> & { startTime: string }
  recordingId: string | null
  webhooks: SandboxWebhook[]
}

const TOKEN_MS = 3_600_000
const LOG_DELAY_MS = 30_000
const ACCOUNT = '809646016'
const API = '/restapi/v1.0'
const MEDIA_TYPES: Readonly<Record<string, string>> = { mp3: 'audio/mpeg', wav: 'audio/x-wav' }
const RESULTS = {
  inbound: { answered: 'Accepted', no_answer: 'Missed', busy: 'Busy' },
  outbound: { answered: 'Call connected', no_answer: 'No Answer', busy: 'Busy' },
} as const

export const createSandbox: CreateSandbox = (options) => {
  const account = config.parse(options.account)
  const faults = createFaults()
  const calls = new Map<string, Kept>()
  const tokens = new Map<string, number>()
  let subscriptions: {
    id: string
    status: string
    eventFilters: unknown
    deliveryMode: { address: string }
  }[] = []
  const app = new Hono()
  app.use(faults.middleware)

  app.post('/restapi/oauth/token', async (c) => {
    const form = await c.req.parseBody()
    const basic = `Basic ${encodeBase64(utf8(`${account.clientId}:${account.clientSecret}`))}`
    if (c.req.header('authorization') !== basic) {
      return c.json({ error: 'invalid_client', error_description: 'Invalid client' }, 401)
    }
    const isJwt = form.grant_type === 'urn:ietf:params:oauth:grant-type:jwt-bearer'
    if (!isJwt || form.assertion !== account.jwt) {
      return c.json({ error: 'invalid_grant', error_description: 'Unauthorized for this grant type' }, 400)
    }
    const token = hex(24)
    tokens.set(token, options.now() + TOKEN_MS)
    return c.json({
      access_token: token,
      token_type: 'bearer',
      expires_in: TOKEN_MS / 1000,
      scope: 'ReadCallLog',
    })
  })

  app.use(`${API}/*`, async (c, next) => {
    const [, token = ''] = /^Bearer (\w+)$/.exec(c.req.header('authorization') ?? '') ?? []
    if ((tokens.get(token) ?? 0) > options.now()) return next()
    return problem(c, 401, 'OAU-213', 'Token not found')
  })

  app.get(`${API}/account/~/extension/~`, (c) => c.json({ id: 62264425016, extensionNumber: '101' }))

  app.get(`${API}/account/~/call-log`, (c) => {
    const from = Date.parse(c.req.query('dateFrom') ?? new Date(options.now() - 86_400_000).toISOString())
    const to = Date.parse(c.req.query('dateTo') ?? new Date(options.now()).toISOString())
    const visible = [...calls.values()].filter(
      ({ call, record }) =>
        Date.parse(record.startTime) >= from &&
        Date.parse(record.startTime) <= to &&
        endOf(call) + LOG_DELAY_MS <= options.now(),
    )
    return c.json(page(c, visible.map((kept) => recordOf(kept)).toReversed()))
  })

  function recordOf(kept: Kept) {
    if (kept.recordingId === null) return kept.record
    const uri = `${options.baseUrl}${API}/account/${ACCOUNT}/recording/${kept.recordingId}`
    return {
      ...kept.record,
      recording: { id: kept.recordingId, type: 'Automatic', uri, contentUri: `${uri}/content` },
    }
  }

  app.get(`${API}/account/:account/recording/:id/content`, (c) => {
    const kept = [...calls.values()].find((one) => one.recordingId === c.req.param('id'))
    const audio = kept?.call.audio
    if (!audio) return problem(c, 404, 'CMN-102', 'Resource for parameter [recordingId] is not found')
    return c.body(audio.bytes as Uint8Array<ArrayBuffer>, 200, {
      'content-type': MEDIA_TYPES[audio.format] ?? 'application/octet-stream',
      'content-length': String(audio.bytes.length),
    })
  })

  app.get(`${API}/subscription`, (c) => c.json({ records: subscriptions }))
  app.post(`${API}/subscription`, async (c) => {
    const wish = asObject(await c.req.json()) ?? {}
    const { address, verificationToken } = asObject(wish.deliveryMode) ?? {}
    if (typeof address !== 'string') return problem(c, 400, 'CMN-101', 'Parameter [deliveryMode] is invalid')
    const headers = { 'validation-token': hex(16), 'content-type': 'application/json' }
    const { status } = await options.deliver({ url: address, method: 'POST', headers, body: '' })
    if (status < 200 || status > 299) {
      return problem(c, 400, 'SUB-524', 'WebHook server HTTP response code is not 200')
    }
    const created = {
      id: hex(16),
      status: 'Active',
      eventFilters: wish.eventFilters,
      expiresIn: wish.expiresIn,
      // The token is not shown again.
      deliveryMode: {
        transportType: 'WebHook',
        address,
        ...(verificationToken ? {} : { encryption: false }),
      },
    }
    subscriptions.push(created)
    return c.json(created)
  })
  app.delete(`${API}/subscription/:id`, (c) => {
    subscriptions = subscriptions.filter(({ id }) => id !== c.req.param('id'))
    return c.body(null, 204)
  })

  function hex(bytes: number): string {
    let text = ''
    while (text.length < bytes * 2) text += Math.floor(options.random() * 16).toString(16)
    return text
  }

  return {
    app,
    fail: faults.fail,
    book: () => [
      ...[...calls].flatMap(([key, { record, recordingId }]) => [
        { kind: 'call', id: String(record.telephonySessionId), key, fields: record },
        ...(recordingId === null ? [] : [{ kind: 'recording', id: recordingId, key, fields: {} }]),
      ]),
      ...subscriptions.map((one) => ({ kind: 'subscription', id: one.id, key: null, fields: one })),
    ],
    place(call) {
      const known = calls.get(call.id)
      if (known) return known.webhooks
      const sessionId = `4${String(Math.floor(options.random() * 1e11)).padStart(11, '0')}`
      const ids = { sessionId, telephonySessionId: `s-${hex(16)}`, partyId: `p-${hex(16)}-2` }
      const recordingId = call.audio ? String(1e9 + Math.floor(options.random() * 1e9)) : null
      const webhooks = play(call, ids, recordingId)
      calls.set(call.id, { call, record: logRecord(call, ids, hex(8)), recordingId, webhooks })
      return webhooks
    },
  }
}

interface Ids {
  sessionId: string
  telephonySessionId: string
  partyId: string
}

const endOf = (call: SampleCall) =>
  call.startedAt + call.ringMs + (call.result === 'answered' ? call.talkMs : 0)
const instant = (ms: number) => new Date(ms).toISOString()

function play(call: SampleCall, ids: Ids, recordingId: string | null): SandboxWebhook[] {
  const isInbound = call.direction === 'inbound'
  const { extension, name } = call.agent
  const agent = { phoneNumber: call.ownPhone, name, extensionId: `6226442${extension}` }
  const customer = { phoneNumber: call.customerPhone }
  const party = {
    accountId: ACCOUNT,
    extensionId: agent.extensionId,
    id: ids.partyId,
    direction: isInbound ? 'Inbound' : 'Outbound',
    to: isInbound ? agent : customer,
    from: isInbound ? customer : agent,
    park: {},
    standAlone: false,
    muted: false,
  }
  let sequence = 2
  const say = (
    status: Record<string, unknown>,
    at: number,
    more: Record<string, unknown> = {},
  ): SandboxWebhook => {
    const { sessionId, telephonySessionId } = ids
    const parties = [{ ...party, ...more, status: { ...status, rcc: false } }]
    const body = {
      sequence: sequence++,
      sessionId,
      telephonySessionId,
      serverId: '10.13.22.28.TAM',
      eventTime: instant(at),
      origin: { type: 'Call' },
      parties,
    }
    return {
      says: String(status.code),
      method: 'POST',
      path: '',
      headers: { 'content-type': 'application/json; charset=UTF-8' },
      body: JSON.stringify({
        uuid: `${telephonySessionId.slice(2, 20)}${body.sequence}`,
        event: `${API}/account/${ACCOUNT}/telephony/sessions`,
        timestamp: instant(at + 50),
        subscriptionId: '53300e7c-5e69-42bf-ab4d-179aabc6e869',
        ownerId: ACCOUNT,
        body,
      }),
    }
  }
  const recordings = (active: boolean) =>
    recordingId === null ? {} : { recordings: [{ id: recordingId, active }] }
  const webhooks = [say({ code: 'Setup' }, call.startedAt)]
  if (!isInbound) webhooks.push(say({ code: 'Proceeding' }, call.startedAt + 500))
  if (call.result === 'answered') {
    webhooks.push(say({ code: 'Answered' }, call.startedAt + call.ringMs, recordings(true)))
    webhooks.push(say({ code: 'Disconnected' }, endOf(call), recordings(false)))
  } else {
    const reason = call.result === 'busy' ? { reason: 'TargetBusy' } : {}
    webhooks.push(say({ code: 'Disconnected', ...reason }, endOf(call), { missedCall: isInbound }))
  }
  return webhooks
}

function logRecord(call: SampleCall, { sessionId, telephonySessionId }: Ids, id: string) {
  const isInbound = call.direction === 'inbound'
  const isAnswered = call.result === 'answered'
  const agent = { phoneNumber: call.ownPhone, name: call.agent.name }
  const customer = { phoneNumber: call.customerPhone }
  const extension = { id: Number(`6226442${call.agent.extension}`) }
  const result = RESULTS[call.direction][call.result]
  const direction = isInbound ? 'Inbound' : 'Outbound'
  const lengthMs = endOf(call) - call.startedAt
  const whole = {
    startTime: instant(call.startedAt),
    duration: Math.round(lengthMs / 1000),
    direction,
    result,
  }
  const talk = { startTime: instant(call.startedAt + call.ringMs), duration: Math.round(call.talkMs / 1000) }
  return {
    id,
    sessionId,
    telephonySessionId,
    ...whole,
    durationMs: lengthMs,
    type: 'Voice',
    action: isInbound ? 'Phone Call' : 'VoIP Call',
    from: isInbound ? customer : agent,
    to: isInbound ? agent : customer,
    legs: [
      { ...whole, legType: 'Accept', master: true, extension },
      ...(isAnswered
        ? [{ ...talk, direction: 'Outbound', result: 'Accepted', legType: 'PstnToSip', extension }]
        : []),
    ],
  }
}

function page(c: Context, rows: unknown[]) {
  const size = Math.min(Number(c.req.query('perPage') ?? 100), 1000)
  const number = Number(c.req.query('page') ?? 1)
  const url = new URL(c.req.url)
  url.searchParams.set('page', String(number + 1))
  return {
    records: rows.slice((number - 1) * size, number * size),
    paging: { page: number, perPage: size },
    navigation: number * size < rows.length ? { nextPage: { uri: url.href } } : {},
  }
}

function problem(c: Context, status: 400 | 401 | 404, errorCode: string, message: string): Response {
  return c.json({ errorCode, message }, status)
}
