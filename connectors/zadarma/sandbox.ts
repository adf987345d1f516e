import { type Context, Hono } from 'hono'
import { toWallClock } from '../../src/call/zone.ts'
import { encodeAs, encodeHex } from '../../src/connector/encoding.ts'
import {
  type CreateSandbox,
  createFaults,
  type SampleCall,
  type SandboxWebhook,
} from '../../src/connector/sandbox.ts'
import { config } from './schema.ts'

/**
 * A stand-in of Zadarma, written from its page: the notifications of a call, links to recordings that expire, statistics
 * and the account's clock, behind the signed Authorization header. What an expired link answers is not documented: 404.
 */
interface Kept {
  pbxCallId: string
  call: SampleCall
  recId: string | null
  webhooks: SandboxWebhook[]
}

const MEDIA_TYPES: Readonly<Record<string, string>> = { mp3: 'audio/mpeg', wav: 'audio/x-wav' }
const DISPOSITIONS = { answered: 'answered', no_answer: 'no answer', busy: 'busy' } as const
/** Q.931: normal clearing, no answer from user, user busy. */
const CAUSES = { answered: '16', no_answer: '19', busy: '17' } as const

export const createSandbox: CreateSandbox = (options) => {
  const account = config.parse(options.account)
  const faults = createFaults()
  const calls = new Map<string, Kept>()
  const byRecord = new Map<string, Kept>()
  const links = new Map<string, { kept: Kept; until: number }>()
  const app = new Hono()
  const wall = (ms: number) => toWallClock(ms, account.timeZone)
  app.use(faults.middleware)

  const isSigned = async (c: Context): Promise<boolean> => {
    const { pathname, search } = new URL(c.req.url)
    const query = search.slice(1)
    const md5 = encodeHex(await options.signer.digest('md5', query))
    for (const secret of account.secret) {
      const mac = await options.signer.hmac('sha1', secret, pathname + query + md5)
      if (c.req.header('authorization') === `${account.key}:${encodeAs('base64-of-hex', mac)}`) return true
    }
    return false
  }
  app.use('/v1/*', async (c, next) => {
    if (c.req.path.startsWith('/v1/pbx/record/download/') || (await isSigned(c))) return next()
    return refusal(c, 401, 'Not authorized')
  })

  app.get('/v1/info/timezone/', (c) => {
    const now = options.now()
    const hours = (Date.parse(`${wall(now).replace(' ', 'T')}Z`) - Math.floor(now / 1000) * 1000) / 3_600_000
    const timezone = `UTC${hours < 0 ? '' : '+'}${hours}`
    return c.json({ status: 'success', unixtime: Math.floor(now / 1000), datetime: wall(now), timezone })
  })

  app.get('/v1/info/balance/', (c) => c.json({ status: 'success', balance: 10.34, currency: 'USD' }))

  app.get('/v1/pbx/record/request/', (c) => {
    const { call_id: recId, pbx_call_id: pbxCallId } = c.req.query()
    const kept =
      recId === undefined
        ? [...calls.values()].find((one) => one.recId !== null && one.pbxCallId === pbxCallId)
        : byRecord.get(recId)
    const lifetime = Number(c.req.query('lifetime') ?? 1800)
    if (!(lifetime >= 180 && lifetime <= 5_184_000)) return refusal(c, 400, 'Wrong lifetime')
    if (!kept) return refusal(c, 400, 'Record not found')
    const until = options.now() + lifetime * 1000
    const token = hex(20)
    links.set(token, { kept, until })
    const link = `${options.baseUrl}/v1/pbx/record/download/${token}/${kept.recId}.mp3`
    const found = recId === undefined ? { links: [link] } : { link }
    return c.json({ status: 'success', ...found, lifetime_till: wall(until) })
  })

  app.get('/v1/pbx/record/download/:token/:file', (c) => {
    const link = links.get(c.req.param('token'))
    const audio = link && link.until > options.now() ? link.kept.call.audio : undefined
    if (!audio) return refusal(c, 404, 'Not found')
    return c.body(audio.bytes as Uint8Array<ArrayBuffer>, 200, {
      'content-type': MEDIA_TYPES[audio.format] ?? 'application/octet-stream',
      'content-length': String(audio.bytes.length),
    })
  })

  app.get('/v1/statistics/pbx/', (c) => {
    const { start = '', end = '', skip = '0', limit = '1000' } = c.req.query()
    const rows = [...calls.values()].map((kept) => statisticsRow(kept, wall(kept.call.startedAt)))
    const stats = rows.filter((row) => row.callstart >= start && row.callstart <= end)
    const shown = stats.slice(Number(skip), Number(skip) + Math.min(Number(limit), 1000))
    // Ids as numbers with all their digits, which JSON.stringify does not write.
    const body = JSON.stringify({ status: 'success', start, end, version: 2, stats: shown })
    return c.body(body.replaceAll(/("call_id":)"([\d.]+)"/g, '$1$2'), 200, {
      'content-type': 'application/json',
    })
  })

  function hex(bytes: number): string {
    let text = ''
    while (text.length < bytes * 2) text += Math.floor(options.random() * 16).toString(16)
    return text
  }

  return {
    app,
    fail: faults.fail,
    book: () =>
      [...calls].flatMap(([key, kept]) => [
        { kind: 'call', id: kept.pbxCallId, key, fields: statisticsRow(kept, wall(kept.call.startedAt)) },
        ...(kept.recId === null ? [] : [{ kind: 'recording', id: kept.recId, key, fields: {} }]),
      ]),
    place(call) {
      const known = calls.get(call.id)
      if (known) return known.webhooks
      const pbxCallId = `${call.direction === 'inbound' ? 'in' : 'out'}_${hex(20)}`
      const serial = String(Math.floor(options.random() * 100_000)).padStart(5, '0')
      const recId = call.audio ? `${Math.floor(call.startedAt / 1000)}.${serial}` : null
      const kept: Kept = { pbxCallId, call, recId, webhooks: [] }
      kept.webhooks = play(kept, wall(call.startedAt))
      calls.set(call.id, kept)
      if (recId !== null) byRecord.set(recId, kept)
      return kept.webhooks
    },
  }
}

function play({ pbxCallId, call, recId }: Kept, callStart: string): SandboxWebhook[] {
  const customer = call.customerPhone.replace('+', '')
  const own = call.ownPhone.replace('+', '')
  const { extension } = call.agent
  const head = { call_start: callStart, pbx_call_id: pbxCallId }
  const end = {
    internal: extension,
    // Whether the vendor's figure has the ringing in it is not documented; here it has not.
    duration: String(call.result === 'answered' ? Math.round(call.talkMs / 1000) : 0),
    disposition: DISPOSITIONS[call.result],
    status_code: CAUSES[call.result],
    is_recorded: recId === null ? '0' : '1',
    ...(recId === null ? {} : { call_id_with_rec: recId }),
  }
  const isAnswered = call.result === 'answered'
  const record =
    recId === null ? [] : [notice('NOTIFY_RECORD', { pbx_call_id: pbxCallId, call_id_with_rec: recId })]
  if (call.direction === 'outbound') {
    const parties = { caller_id: own, destination: customer }
    return [
      notice('NOTIFY_OUT_START', { ...head, ...parties, internal: extension }),
      ...(isAnswered ? [notice('NOTIFY_ANSWER', { ...head, ...parties, internal: extension })] : []),
      notice('NOTIFY_OUT_END', { ...head, ...parties, ...end }),
      ...record,
    ]
  }
  const parties = { caller_id: customer, called_did: own }
  const answer = { ...head, caller_id: customer, destination: extension, internal: extension }
  return [
    notice('NOTIFY_START', { ...head, ...parties }),
    notice('NOTIFY_INTERNAL', { ...head, ...parties, internal: extension }),
    ...(isAnswered ? [notice('NOTIFY_ANSWER', answer)] : []),
    notice('NOTIFY_END', { ...head, ...parties, ...end }),
    ...record,
  ]
}

const notice = (event: string, fields: Record<string, string>): SandboxWebhook => ({
  says: event,
  method: 'POST',
  path: '',
  headers: { 'content-type': 'application/x-www-form-urlencoded' },
  body: new URLSearchParams({ event, ...fields }).toString(),
})

function statisticsRow({ pbxCallId, call, recId }: Kept, callstart: string) {
  const customer = call.customerPhone.replace('+', '')
  const isInbound = call.direction === 'inbound'
  return {
    call_id: recId ?? `${Math.floor(call.startedAt / 1000)}.0`,
    pbx_call_id: pbxCallId,
    sip: call.agent.extension,
    callstart,
    clid: isInbound ? customer : call.ownPhone.replace('+', ''),
    destination: isInbound ? call.agent.extension : customer,
    disposition: DISPOSITIONS[call.result],
    seconds: call.result === 'answered' ? Math.round(call.talkMs / 1000) : 0,
    is_recorded: recId !== null,
  }
}

function refusal(c: Context, status: 400 | 401 | 404, message: string): Response {
  return c.json({ status: 'error', message }, status)
}
