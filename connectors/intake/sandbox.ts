import { Hono } from 'hono'
import type { StoredIntake } from '../../src/call/intake.ts'
import {
  type CreateSandbox,
  createFaults,
  type SampleCall,
  type SandboxWebhook,
} from '../../src/connector/sandbox.ts'

/** Somebody with recordings on a web server, who hands their links in. */
export const createSandbox: CreateSandbox = (options) => {
  const faults = createFaults()
  const calls = new Map<string, SampleCall>()
  const app = new Hono()
  app.use(faults.middleware)
  app.get('/recordings/:id', (c) => {
    const audio = calls.get(c.req.param('id'))?.audio
    if (!audio) return c.text('no such recording', 404)
    const type = audio.format === 'wav' ? 'audio/wav' : 'audio/mpeg'
    return c.body(new Uint8Array(audio.bytes), 200, { 'content-type': type })
  })

  /** As our API stores it. */
  function stored(call: SampleCall): StoredIntake {
    const { id, direction, agent, result, startedAt, ringMs, talkMs, audio, customerPhone, ownPhone } = call
    const [from, dialed] = direction === 'inbound' ? [customerPhone, ownPhone] : [ownPhone, customerPhone]
    const at = (ms: number) => new Date(startedAt + ms).toISOString()
    const isAnswered = result === 'answered'
    const talked = isAnswered ? { answeredAt: at(ringMs), agent } : {}
    const link = isAnswered && audio ? { recordingUrl: `${options.baseUrl}/recordings/${id}` } : {}
    const times = { startedAt: at(0), endedAt: at(ringMs + (isAnswered ? talkMs : 0)) }
    const promise = 'call_01KJT0QZ5M0000000000000000'
    const sent = { externalId: id, direction, result, from, dialed, ...times, ...talked, ...link }
    return {
      kind: 'call',
      callId: promise,
      promise,
      key: `x:${id}`,
      content: '',
      by: 'operator#sandbox',
      call: sent,
    }
  }

  function place(call: SampleCall): SandboxWebhook[] {
    calls.set(call.id, call)
    const headers = { 'content-type': 'application/json' }
    return [{ says: 'handed in', method: 'POST', path: '', headers, body: JSON.stringify(stored(call)) }]
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
