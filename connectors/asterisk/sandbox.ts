import { Hono } from 'hono'
import { encodeBase64, utf8 } from '../../src/connector/encoding.ts'
import {
  type CreateSandbox,
  createFaults,
  type SampleCall,
  type SandboxWebhook,
} from '../../src/connector/sandbox.ts'
import { recordingAddress } from './client.ts'
import { config } from './schema.ts'

/**
 * A stand-in of a PBX with the script in pbx/: the records of a call (one for each extension that rang), the notice that
 * its recording is closed, and the recordings behind Basic authentication, as a folder or as ARI serves them. What ARI
 * answers: https://docs.asterisk.org/Latest_API/API_Documentation/Asterisk_REST_Interface/ (2026-11-20)
 */
interface Kept {
  call: SampleCall
  linkedid: string
  file: string | null
  rows: Record<string, string>[]
  webhooks: SandboxWebhook[]
}

const MEDIA_TYPES: Readonly<Record<string, string>> = { mp3: 'audio/mpeg', wav: 'audio/x-wav' }
const DISPOSITIONS = { answered: 'ANSWERED', no_answer: 'NO ANSWER', busy: 'BUSY' } as const

export const createSandbox: CreateSandbox = (options) => {
  const account = config.parse(options.account)
  const faults = createFaults()
  const calls = new Map<string, Kept>()
  const app = new Hono()
  app.use(faults.middleware)
  app.use(async (c, next) => {
    const { user, password } = account
    const wanted = user === undefined ? undefined : `Basic ${encodeBase64(utf8(`${user}:${password}`))}`
    if (wanted === undefined || c.req.header('authorization') === wanted) return next()
    return c.text('401 Authorization Required', 401, { 'www-authenticate': 'Basic realm="recordings"' })
  })
  app.get('/asterisk/info', (c) => c.json({ system: { version: '22.0.0', entity_id: '00:00:00:00:00:00' } }))
  app.get('*', (c) => {
    const path = new URL(c.req.url).pathname
    if (path === '/') return c.text('403 Forbidden', 403)
    const kept = [...calls.values()].find(
      ({ file }) => file !== null && path === new URL(recordingAddress(file, account)).pathname,
    )
    if (!kept?.call.audio) {
      return account.recordings === 'ari'
        ? c.json({ message: 'Recording not found' }, 404)
        : c.text('404 Not Found', 404)
    }
    const { bytes, format } = kept.call.audio
    return c.body(bytes as Uint8Array<ArrayBuffer>, 200, {
      'content-type': MEDIA_TYPES[format] ?? 'application/octet-stream',
      'content-length': String(bytes.length),
    })
  })

  let serial = 100
  const channel = (endpoint: string) => `PJSIP/${endpoint}-${(++serial).toString(16).padStart(8, '0')}`

  function play(call: SampleCall): Kept {
    const isInbound = call.direction === 'inbound'
    const isAnswered = call.result === 'answered'
    const linkedid = `${Math.floor(call.startedAt / 1000)}.${++serial}`
    const answeredAt = call.startedAt + call.ringMs
    const endedAt = answeredAt + (isAnswered ? call.talkMs : 0)
    const day = new Date(call.startedAt).toISOString().replaceAll(/[-:]/g, '').slice(0, 15).replace('T', '-')
    const file = isAnswered && call.audio ? `${day}-${linkedid}.${call.audio.format}` : null
    const trunk = account.trunks[0] ?? 'provider'
    const customer = call.customerPhone.replace('+', '')
    const own = call.ownPhone.replace('+', '')
    const { extension, name } = call.agent
    const ends = isInbound ? [trunk, extension] : [extension, trunk]
    const row = {
      start: epoch(call.startedAt),
      answer: isAnswered ? epoch(answeredAt) : '0.000000',
      end: epoch(endedAt),
      src: isInbound ? customer : extension,
      dst: isInbound ? extension : customer,
      dcontext: isInbound ? 'from-provider' : 'from-internal',
      channel: channel(ends[0] ?? ''),
      dstchannel: channel(ends[1] ?? ''),
      lastapp: 'Dial',
      lastdata: `PJSIP/${extension},30`,
      disposition: DISPOSITIONS[call.result],
      accountcode: '',
      uniqueid: linkedid,
      linkedid,
      sequence: String(++serial),
      did: isInbound ? own : '',
      recordingfile: file ?? '',
      cnum: isInbound ? customer : extension,
      cnam: isInbound ? '' : name,
      outbound_cnum: isInbound ? '' : own,
      dst_cnam: isInbound ? name : '',
    }
    // A colleague rang beside the one who answered, in vain.
    const rangToo = {
      ...row,
      dstchannel: channel('199'),
      sequence: String(++serial),
      disposition: 'NO ANSWER',
      dst_cnam: '',
    }
    const rows = isInbound ? [row, rangToo] : [row]
    const webhooks = [post('records', { rows })]
    if (file !== null) {
      const bytes = call.audio?.bytes.length
      const recordings = [{ uniqueid: linkedid, linkedid, recordingfile: file, bytes }]
      webhooks.push(post('recorded', { recordings }))
    }
    return { call, linkedid, file, rows, webhooks }
  }

  return {
    app,
    fail: faults.fail,
    book: () =>
      [...calls].flatMap(([key, { linkedid, file, rows }]) => [
        ...rows.map((fields) => ({ kind: 'record', id: `${linkedid}:${fields.sequence}`, key, fields })),
        ...(file === null ? [] : [{ kind: 'recording', id: file, key, fields: {} }]),
      ]),
    place(call) {
      const kept = calls.get(call.id) ?? play(call)
      calls.set(call.id, kept)
      return kept.webhooks
    },
  }
}

const epoch = (ms: number) => (ms / 1000).toFixed(6)

const post = (says: string, body: unknown): SandboxWebhook => ({
  says,
  method: 'POST',
  path: '',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(body),
})
