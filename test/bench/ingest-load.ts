import { createHmac, createSecretKey } from 'node:crypto'
import { connect, type Socket } from 'node:net'

/**
 * The sender of `bench ingest`, a process of its own: every request is unique and signed before the clock starts. A plain
 * socket per connection and one request at a time on each, so that the sender takes little of the machine.
 */
const [portText = '', secret = '', connectionsText = '64', secondsText = '4'] = process.argv.slice(2)
const port = Number(portText)
const key = createSecretKey(Buffer.from(secret.replace('whsec_', ''), 'base64'))
const BODY_BYTES = 1_500
let made = 0

/** One call event of 1.5 KB, as bytes of a whole HTTP request. */
function makeRequest(): Buffer {
  made += 1
  const id = `${process.pid}-${made}`
  const event = {
    type: 'call.event',
    events: [
      {
        key: `${id}-ended`,
        callId: id,
        phase: 'ended',
        at: '2026-11-20T12:00:00.000Z',
        facts: {
          direction: 'inbound',
          result: 'answered',
          talkMs: 61_000,
          from: '+33639980001',
          meta: { pad: '' },
        },
      },
    ],
  }
  const missing = BODY_BYTES - JSON.stringify(event).length
  for (const only of event.events) only.facts.meta.pad = 'x'.repeat(missing)
  const body = JSON.stringify(event)
  const timestamp = Math.floor(Date.now() / 1000)
  const signature = createHmac('sha256', key).update(`msg_${id}.${timestamp}.${body}`).digest('base64')
  return Buffer.from(
    `POST /hooks/pbx HTTP/1.1\r\nhost: hooks.example.com\r\ncontent-type: application/json\r\n` +
      `webhook-id: msg_${id}\r\nwebhook-timestamp: ${timestamp}\r\nwebhook-signature: v1,${signature}\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  )
}

interface Round {
  accepted: number
  other: number
  seconds: number
  p50Ms: number
  p99Ms: number
}

function run(requests: Buffer[], connections: number, seconds: number): Promise<Round> {
  return new Promise((resolve, reject) => {
    const latencies = new Float64Array(requests.length)
    let sent = 0
    let accepted = 0
    let other = 0
    let open = connections
    const startedAt = performance.now()
    const until = startedAt + seconds * 1000

    const finish = (socket: Socket) => {
      socket.destroy()
      open -= 1
      if (open > 0) return
      const times = latencies.subarray(0, accepted).sort()
      resolve({
        accepted,
        other,
        seconds: (performance.now() - startedAt) / 1000,
        p50Ms: times[Math.floor(accepted * 0.5)] ?? 0,
        p99Ms: times[Math.floor(accepted * 0.99)] ?? 0,
      })
    }
    for (let index = 0; index < connections; index += 1) {
      const socket = connect(port, '127.0.0.1')
      let at = 0
      const next = () => {
        const request = requests[sent]
        if (!request || performance.now() >= until) return finish(socket)
        sent += 1
        at = performance.now()
        socket.write(request)
      }
      socket.setNoDelay(true)
      socket.on('connect', next)
      socket.on('error', reject)
      // The answer has no body, so one chunk is one answer.
      socket.on('data', (chunk: Buffer) => {
        if (chunk.subarray(9, 12).equals(ACCEPTED)) {
          latencies[accepted] = performance.now() - at
          accepted += 1
        } else other += 1
        next()
      })
    }
  })
}

const ACCEPTED = Buffer.from('202')

process.on('message', async (message: { prepare?: number; run?: true }) => {
  if (message.prepare !== undefined) {
    requests = Array.from({ length: message.prepare }, makeRequest)
    process.send?.({ prepared: requests.length })
  }
  if (message.run) process.send?.(await run(requests, Number(connectionsText), Number(secondsText)))
})
process.on('disconnect', () => process.exit(0))
let requests: Buffer[] = []
