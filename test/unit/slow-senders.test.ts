import { connect } from 'node:net'
import { afterEach, expect, it } from 'vitest'
import { type Listener, listen } from '../../src/node/listen.ts'

/** Over real sockets, because only they can be slow; with limits of a fraction of a second. */

const PACE = { graceMs: 300, bytesPerSecond: 20_000, everyMs: 20 }
let listener: Listener | undefined
afterEach(() => listener?.cut())

/** Sends a body piece by piece; resolves with what came back, and null when the connection was cut. */
async function send(pieces: number, size: number, everyMs: number): Promise<string | null> {
  listener = await listen({
    host: '127.0.0.1',
    port: 0,
    pace: PACE,
    fetch: async (request) => {
      const body = await request.arrayBuffer().catch(() => null)
      return new Response(body ? String(body.byteLength) : 'broken', { status: body ? 200 : 400 })
    },
  })
  const socket = connect(Number(new URL(listener.url).port), '127.0.0.1')
  let answer = ''
  socket.on('data', (data) => {
    answer += data.toString()
  })
  const over = new Promise<void>((resolve) =>
    socket.on('close', () => resolve()).on('error', () => resolve()),
  )
  socket.write(`POST /x HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: ${pieces * size}\r\n\r\n`)
  for (let n = 0; n < pieces && !socket.destroyed; n += 1) {
    socket.write(Buffer.alloc(size))
    await new Promise((resolve) => setTimeout(resolve, everyMs))
  }
  await over
  return answer.startsWith('HTTP/1.1 200') ? (answer.split('\r\n\r\n')[1] ?? '') : null
}

it('a sender who trickles is cut off after the grace', async () => {
  expect(await send(40, 10, 25)).toBeNull()
})

it('a sender who keeps up the pace may take longer than the grace', async () => {
  expect(await send(30, 2_000, 25)).toBe('60000')
})

it('a sender who stops is cut off, however much came before', async () => {
  listener = await listen({
    host: '127.0.0.1',
    port: 0,
    pace: PACE,
    fetch: async (request) => new Response(await request.text()),
  })
  const socket = connect(Number(new URL(listener.url).port), '127.0.0.1')
  let answer = ''
  socket.on('data', (data) => {
    answer += data.toString()
  })
  const over = new Promise<void>((resolve) =>
    socket.on('close', () => resolve()).on('error', () => undefined),
  )
  socket.write('POST /x HTTP/1.1\r\nhost: x\r\ncontent-length: 9000\r\n\r\n')
  socket.write(Buffer.alloc(4_000))
  await over
  expect(answer).not.toContain(' 200 ')
})

it('an answer that takes longer than the grace is waited for', async () => {
  listener = await listen({
    host: '127.0.0.1',
    port: 0,
    pace: PACE,
    fetch: async (request) => {
      await request.text()
      await new Promise((resolve) => setTimeout(resolve, 600))
      return new Response('late')
    },
  })
  expect(await (await fetch(listener.url, { method: 'POST', body: 'x' })).text()).toBe('late')
})
