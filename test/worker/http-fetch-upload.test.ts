import { describe, expect, it } from 'vitest'
import { type MultipartFile, multipart } from '../../src/connector/multipart.ts'
import { CordboardError } from '../../src/errors.ts'
import { type Connections, createConnections } from '../../src/worker/connections.ts'
import type { Seen } from './loopback.ts'
import { ask, echoed, endless, errorOf, MB, near, sized, source } from './loopback-client.ts'

/** What the server saw of the request with this tag, once that is as it is waited for. */
async function seen(tag: string, isReady = ({ end }: Seen) => end !== 'open'): Promise<Seen> {
  for (let turn = 0; turn < 300; turn += 1) {
    const found = (await (await ask(`${near}/seen?tag=${tag}`)).json()) as Seen | null
    if (found && isReady(found)) return found
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  throw new Error('the server still waits')
}
const arrived = (tag: string, bytes: number) => seen(tag, (found) => found.bytes >= bytes)

describe('an upload on Workers', () => {
  it.each([
    ['too short', 3],
    ['too long', 5],
    ['far too long', 50],
  ])('that is %s for its announced length never looks whole', async (what, count) => {
    const tag = `length ${what}`.replaceAll(' ', '-')
    const { body } = source(async (n) => {
      // All but the byte that would make it look whole.
      if (n === Math.min(4, count)) await arrived(tag, Math.min(3999, 1000 * n))
      return n < count ? new Uint8Array(1000) : null
    })
    const error = await errorOf(ask(`${near}/echo?tag=${tag}`, { method: 'PUT', headers: sized(4000), body }))
    expect(error).toMatchObject({ code: 'vendor_down', message: expect.stringMatching(/announced length/) })
    expect((await seen(tag)).end).toBe('cut off')
  })

  it('fails with the error of its source, and the vendor sees it broken off', async () => {
    const { body } = source(async (n) => {
      if (n < 3) return new Uint8Array(1000)
      await arrived('source', 3000)
      throw new CordboardError('gone', 'the recording has expired')
    })
    expect(await errorOf(ask(`${near}/echo?tag=source`, { method: 'POST', body }))).toMatchObject({
      code: 'gone',
    })
    expect((await seen('source')).end).toBe('cut off')
  })

  it('that the vendor refuses early ends with the vendor’s answer', async () => {
    const { body, state } = endless()
    const response = await ask(`${near}/refuse`, { method: 'POST', body })
    expect([response.status, await response.text()]).toEqual([401, 'no'])
    expect(state.cancelled).toBe(true)
  })

  it('takes from its source only what the vendor takes, and is late when that is nothing', async () => {
    const { body, state } = endless()
    const error = await errorOf(ask(`${near}/hang`, { method: 'POST', body, timeoutMs: 300 }))
    expect(error.code).toBe('timeout')
    expect(state.pulled * 65_536).toBeLessThan(32 * MB)
    expect(state.cancelled).toBe(true)
  })

  it('that keeps moving is not late', async () => {
    const { body } = source((n) => (n < 12 ? new Uint8Array(1000) : null))
    const slow = body.pipeThrough(
      new TransformStream({
        transform: (chunk, controller) =>
          new Promise((resolve) => {
            setTimeout(() => resolve(controller.enqueue(chunk)), 25)
          }),
      }),
    )
    expect(
      (await echoed(ask(`${near}/echo`, { method: 'POST', body: slow, timeoutMs: 150 }))).body.length,
    ).toBe(12_000)
  })

  it('to an address that is refused lets its source go', async () => {
    const { body, state } = endless()
    await errorOf(ask('https://10.0.0.1/', { method: 'POST', body }))
    expect(state.cancelled).toBe(true)
  })
})

describe('a recording on Workers', () => {
  const file = (body: ReadableStream<Uint8Array>, bytes: number | null): MultipartFile => ({
    name: 'file',
    fileName: 'call_1.wav',
    contentType: 'audio/wav',
    body,
    bytes,
  })
  const send = (path: string, made: MultipartFile, connections: Connections) => {
    const form = multipart({ language: 'uz' }, made, 'b-1')
    const length = form.contentLength === null ? {} : sized(form.contentLength)
    const headers = { ...length, 'content-type': form.contentType }
    return ask(near + path, { method: 'POST', headers, body: form.body, timeoutMs: 15_000 }, connections)
  }

  it.each([
    ['of known length', '&sized', 'content-length'],
    ['of unknown length', '', 'transfer-encoding'],
  ])('%s goes from one answer into the next request, byte for byte', async (_, query, framing) => {
    const connections = createConnections()
    const { body, headers } = await ask(`${near}/bytes?bytes=900000${query}`, {}, connections)
    if (!body) throw new Error('no body')
    const length = headers.get('content-length')
    const got = await echoed(send('/echo', file(body, length === null ? null : Number(length)), connections))
    expect(Object.keys(got.headers)).toContain(framing)
    const [, text, recording = ''] = got.body.split(/--b-1(?:--)?\r\n/)
    expect(text).toBe('Content-Disposition: form-data; name="language"\r\n\r\nuz\r\n')
    const start = recording.indexOf('\r\n\r\n') + 4
    const bytes = Uint8Array.from(recording.slice(start, -2), (char) => char.charCodeAt(0))
    expect(bytes.byteLength).toBe(900_000)
    expect(bytes.findIndex((byte, at) => byte !== at % 251)).toBe(-1)
  })

  it.each([
    ['shorter', 900_001],
    ['longer', 899_999],
  ])('%s than announced is refused, and the vendor sees no whole body', async (what, announced) => {
    const connections = createConnections()
    const { body } = await ask(`${near}/bytes?bytes=900000`, {}, connections)
    if (!body) throw new Error('no body')
    const error = await errorOf(send(`/echo?tag=${what}`, file(body, announced), connections))
    expect(error).toMatchObject({
      code: 'vendor_down',
      message: 'The recording has not the size that was announced',
    })
    expect((await seen(what)).end).toBe('cut off')
  })

  it('that breaks off takes the upload with it', async () => {
    const connections = createConnections()
    const { body } = await ask(`${near}/cut?sized`, {}, connections)
    if (!body) throw new Error('no body')
    const error = await errorOf(send('/echo?tag=broke', file(body, 1000), connections))
    expect(error).toMatchObject({
      code: 'vendor_down',
      message: expect.stringMatching(/The answer of .* broke off/),
    })
    expect((await seen('broke')).end).toBe('cut off')
  })

  it('twenty at once pass through six connections, though each needs two', async () => {
    let open = 0
    let most = 0
    const limit = createConnections()
    const connections: Connections = {
      async take(forStream, signal) {
        const giveBack = await limit.take(forStream, signal)
        open += 1
        most = Math.max(most, open)
        return () => {
          open -= 1
          giveBack()
        }
      },
    }
    const all = Array.from({ length: 20 }, async () => {
      const { body } = await ask(`${near}/bytes?bytes=100000&sized`, { timeoutMs: 15_000 }, connections)
      if (!body) throw new Error('no body')
      return (await echoed(send('/echo', file(body, 100_000), connections))).body.length
    })
    expect(new Set(await Promise.all(all)).size).toBe(1)
    expect(most).toBe(6)
  })
})

describe('connections', () => {
  it('are given back by a body that is cancelled, and waited for no longer than the time-out', async () => {
    const connections = createConnections(2)
    const held = await ask(`${near}/endless`, {}, connections)
    const late = ask(`${near}/echo`, { timeoutMs: 50 }, connections)
    expect(await errorOf(late)).toMatchObject({
      code: 'timeout',
      message: expect.stringMatching(/No connection became free/),
    })
    const waiting = ask(`${near}/echo`, {}, connections)
    await held.body?.cancel()
    expect((await waiting).status).toBe(200)
  })
})
