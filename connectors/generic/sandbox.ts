import { Hono } from 'hono'
import { Webhook } from 'standardwebhooks'
import {
  type CreateSandbox,
  createFaults,
  type SampleCall,
  type SandboxWebhook,
} from '../../src/connector/sandbox.ts'
import { config } from './schema.ts'

/**
 * A phone system that speaks our own format. It signs with the Standard Webhooks library and not with our engine, so
 * that each checks the other.
 */
export const createSandbox: CreateSandbox = (options) => {
  const account = config.parse(options.account)
  const faults = createFaults()
  const calls = new Map<string, SampleCall>()
  const signer = new Webhook(account.secret[0] ?? '')
  const app = new Hono()
  app.use(faults.middleware)
  app.use(async (c, next) => {
    const isKnown = account.token === undefined || c.req.header('authorization') === `Bearer ${account.token}`
    return isKnown ? next() : c.json({ error: 'unknown token' }, 401)
  })
  app.get('/', (c) => c.json({ system: 'sandbox' }))
  app.get('/recordings/:id', (c) => {
    const audio = calls.get(c.req.param('id'))?.audio
    if (!audio) return c.json({ error: 'no such recording' }, 404)
    const type = audio.format === 'wav' ? 'audio/wav' : 'audio/mpeg'
    return c.body(new Uint8Array(audio.bytes), 200, { 'content-type': type })
  })

  function webhook(says: string, call: SampleCall, facts: Record<string, unknown>): SandboxWebhook {
    const event = { key: `${call.id}:${says}`, callId: call.id, phase: says, facts }
    const body = JSON.stringify({ type: 'call.event', events: [event] })
    const id = `msg_${call.id}_${says}`
    const at = new Date(options.now())
    const headers = {
      'content-type': 'application/json',
      'webhook-id': id,
      'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
      'webhook-signature': signer.sign(id, at, body),
    }
    return { says, method: 'POST', path: '', headers, body }
  }

  function place(call: SampleCall): SandboxWebhook[] {
    calls.set(call.id, call)
    const { direction, agent, result, startedAt, ringMs, talkMs, audio } = call
    const [from, dialed] =
      direction === 'inbound' ? [call.customerPhone, call.ownPhone] : [call.ownPhone, call.customerPhone]
    const at = (ms: number) => new Date(startedAt + ms).toISOString()
    const known = { direction, from, dialed }
    const begun = { ...known, startedAt: at(0) }
    const answered = { ...known, answeredAt: at(ringMs), agent }
    const isAnswered = result === 'answered'
    const endedAt = at(ringMs + (isAnswered ? talkMs : 0))
    const ended = { ...known, endedAt, result, agent, recordingExpected: isAnswered && audio !== undefined }
    const webhooks = [webhook('ringing', call, begun)]
    if (isAnswered) webhooks.push(webhook('answered', call, answered))
    webhooks.push(webhook('ended', call, ended))
    if (isAnswered && audio) {
      const url = `${options.baseUrl}/recordings/${call.id}`
      const { bytes, format, durationMs } = audio
      const recording = {
        key: call.id,
        url,
        format,
        bytes: bytes.length,
        durationMs,
        channels: 2,
        state: 'ready',
      }
      webhooks.push(webhook('recorded', call, { recordings: [recording] }))
    }
    return webhooks
  }

  return {
    app,
    fail: faults.fail,
    place,
    book: () =>
      [...calls.values()].map(({ id, direction, result }) => ({
        kind: 'call',
        id,
        key: id,
        fields: { direction, result },
      })),
  }
}
