import { type Context, Hono } from 'hono'
import { asObject } from '../../src/connector/json.ts'
import {
  type CreateSandbox,
  createFaults,
  type SampleCall,
  type SandboxWebhook,
} from '../../src/connector/sandbox.ts'
import { config } from './schema.ts'

/**
 * A stand-in of Binotel, written from its samples: the live events of a call and its completion, each to an address with
 * our secret; API 4.0 behind key and secret, with its limit of requests; records that take a while to be uploaded, behind
 * links that end after 15 minutes. All errors come with HTTP 200, which is not documented.
 */
interface Kept {
  id: string
  call: SampleCall
  webhooks: SandboxWebhook[]
}

const MEDIA_TYPES: Readonly<Record<string, string>> = { mp3: 'audio/mpeg', wav: 'audio/x-wav' }
const DISPOSITIONS = { answered: 'ANSWER', no_answer: 'NOANSWER', busy: 'BUSY' } as const
const COMPANY = '62770'
const UPLOAD_MS = 30_000
const LINK_MS = 900_000
const DAY_S = 86_400
const MINUTE_MS = 60_000

export const createSandbox: CreateSandbox = (options) => {
  const account = config.parse(options.account)
  const faults = createFaults()
  const calls = new Map<string, Kept>()
  const links = new Map<string, { kept: Kept; until: number }>()
  let requests: number[] = []
  const app = new Hono()
  app.use(faults.middleware)

  const bodies = new WeakMap<Request, Record<string, unknown>>()
  const asked = (c: Context) => bodies.get(c.req.raw) ?? {}
  const problem = (c: Context, code: number, message: string) => c.json({ status: 'error', code, message })
  app.use('/api/4.0/*', async (c, next) => {
    const body = asObject(await c.req.json().catch(() => null)) ?? {}
    if (body.key !== account.key || body.secret !== account.secret) return problem(c, 121, 'Wrong key')
    const now = options.now()
    requests = requests.filter((at) => now - at < MINUTE_MS)
    if (requests.length >= account.requestsPerMinute) return problem(c, 106, 'Too frequent requests')
    requests.push(now)
    bodies.set(c.req.raw, body)
    return next()
  })

  const byId = (id: unknown) => [...calls.values()].find((kept) => kept.id === String(id))
  const isUploaded = ({ call }: Kept) => endOf(call) + UPLOAD_MS <= options.now()

  app.post('/api/4.0/stats/online-calls.json', (c) => c.json({ status: 'success', callDetails: [] }))

  app.post('/api/4.0/stats/call-record.json', (c) => {
    const { generalCallID } = asked(c)
    if (generalCallID === undefined) return problem(c, 103, 'Not enough data')
    const kept = byId(generalCallID)
    if (!kept?.call.audio || !isUploaded(kept)) return problem(c, 104, 'Wrong data')
    const token = word(24)
    links.set(token, { kept, until: options.now() + LINK_MS })
    return c.json({ status: 'success', url: `${options.baseUrl}/storage/${kept.id}.mp3?signature=${token}` })
  })

  app.post('/api/4.0/stats/list-of-calls-for-period.json', (c) => {
    const [from, to] = [Number(asked(c).startTime), Number(asked(c).stopTime)]
    if (!(from <= to) || to - from > DAY_S) return problem(c, 104, 'Wrong data')
    const found = [...calls.values()].filter(({ call }) => {
      const start = Math.floor(call.startedAt / 1000)
      return start >= from && start <= to
    })
    const rows = found.map((kept) => [kept.id, detailsOf(kept, isUploaded(kept))])
    return c.json({ status: 'success', callDetails: rows.length > 0 ? Object.fromEntries(rows) : [] })
  })

  app.all('/api/4.0/*', (c) => problem(c, 102, 'No such method'))

  app.get('/storage/:file', (c) => {
    const link = links.get(c.req.query('signature') ?? '')
    const audio = link && link.until > options.now() ? link.kept.call.audio : undefined
    if (!audio) return c.text('<Error><Code>AccessDenied</Code></Error>', 403)
    return c.body(audio.bytes as Uint8Array<ArrayBuffer>, 200, {
      'content-type': MEDIA_TYPES[audio.format] ?? 'application/octet-stream',
      'content-length': String(audio.bytes.length),
    })
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
        { kind: 'call', id: kept.id, key, fields: detailsOf(kept, isUploaded(kept)) },
        ...(kept.call.audio ? [{ kind: 'recording', id: kept.id, key, fields: {} }] : []),
      ]),
    place(call) {
      const known = calls.get(call.id)
      if (known) return known.webhooks
      const kept: Kept = {
        id: String(4_600_000_000 + Math.floor(options.random() * 1e9)),
        call,
        webhooks: [],
      }
      kept.webhooks = play(kept, account.hookToken[0] ?? '')
      calls.set(call.id, kept)
      return kept.webhooks
    },
  }
}

const talkOf = ({ result, talkMs }: SampleCall) => (result === 'answered' ? talkMs : 0)
const endOf = (call: SampleCall) => call.startedAt + call.ringMs + talkOf(call)

/** Ukrainian numbers without the country code, as Binotel writes them; others without the plus. */
const national = (phone: string): string => phone.replace(/^\+380/, '0').replace(/^\+/, '')

function detailsOf({ id, call }: Kept, isUploaded: boolean) {
  const seconds = (ms: number) => String(Math.round(ms / 1000))
  const lengths = {
    waitsec: seconds(call.ringMs),
    billsec: seconds(talkOf(call)),
    disposition: DISPOSITIONS[call.result],
  }
  const internalNumber = call.agent.extension
  const employeeData = { name: call.agent.name, email: '' }
  return {
    companyID: COMPANY,
    generalCallID: id,
    callID: id,
    startTime: String(Math.floor(call.startedAt / 1000)),
    callType: call.direction === 'inbound' ? '0' : '1',
    internalNumber,
    internalAdditionalData: '',
    externalNumber: national(call.customerPhone),
    ...lengths,
    recordingStatus: call.audio ? (isUploaded ? 'uploaded' : 'uploading') : '',
    isNewCall: '1',
    whoHungUp: '',
    customerData: '',
    employeeData,
    pbxNumberData: { number: national(call.ownPhone), name: 'Main' },
    historyData: [{ ...lengths, internalNumber, internalAdditionalData: '', employeeData }],
    customerDataFromOutside: { id: '' },
  }
}

function play(kept: Kept, token: string): SandboxWebhook[] {
  const { id, call } = kept
  const live = {
    companyID: COMPANY,
    generalCallID: id,
    callType: call.direction === 'inbound' ? '0' : '1',
    externalNumber: national(call.customerPhone),
    internalNumber: call.agent.extension,
    pbxNumber: national(call.ownPhone),
  }
  const ended = {
    generalCallID: id,
    billsec: Math.round(talkOf(call) / 1000),
    disposition: DISPOSITIONS[call.result],
    method: 'hangupTheCall',
  }
  const webhook = (requestType: string, fields: Record<string, unknown>): SandboxWebhook => ({
    says: requestType,
    method: 'POST',
    path: `/${token}`,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams([...flatten({ requestType, ...fields })]).toString(),
  })
  return [
    webhook('receivedTheCall', live),
    ...(call.result === 'answered' ? [webhook('answeredTheCall', live)] : []),
    webhook('hangupTheCall', ended),
    webhook('apiCallCompleted', {
      attemptsCounter: '1',
      language: 'uk',
      myBinotelDomain: 'my.binotel.ua',
      callDetails: detailsOf(kept, false),
    }),
  ]
}

/** As PHP writes a nested array into a form. */
function* flatten(value: unknown, name = ''): Iterable<[string, string]> {
  if (typeof value !== 'object' || value === null) {
    yield [name, String(value ?? '')]
    return
  }
  for (const [key, inner] of Object.entries(value))
    yield* flatten(inner, name === '' ? key : `${name}[${key}]`)
}
