import { afterEach, describe, expect, it } from 'vitest'
import { CordboardError } from '../../src/errors.ts'
import { ask, closeServers, echo, endless, errorOf, MB, serve, source, until } from './live-server.ts'

afterEach(closeServers)

describe('an upload', () => {
  it('that the vendor refuses early ends with the vendor’s answer, every time', async () => {
    const { base, open } = await serve((request, response) => {
      response.writeHead(request.method === 'PUT' ? 413 : 401, { connection: 'close' })
      // The rudest way: answered, then closed with the upload unread, which resets the connection.
      response.end('no', () => request.socket.destroy())
    })
    for (let i = 0; i < 40; i += 1) {
      const { body, state } = endless()
      const response = await ask(base, { method: 'POST', body })
      expect([response.status, await response.text()]).toEqual([401, 'no'])
      expect(state.cancelled).toBe(true)
      const put = await ask(base, { method: 'PUT', body: new Uint8Array(16 * MB) })
      expect([put.status, await put.text()]).toEqual([413, 'no'])
    }
    await until(() => open() === 0)
  })

  it('that the vendor refuses without closing is not sent on, and its connection not used again', async () => {
    const { base, accepted, open } = await serve((_, response) => {
      response.writeHead(401).end('no')
    })
    const { body, state } = endless()
    expect(await (await ask(base, { method: 'POST', body })).text()).toBe('no')
    expect(state.cancelled).toBe(true)
    await until(() => open() === 0)
    await (await ask(base)).text()
    expect(accepted()).toBe(2)
  })

  it('that the vendor accepts early is sent to its end first', async () => {
    let received = 0
    const { base } = await serve((request, response) => {
      response.writeHead(200).write('begun ')
      request.on('data', (chunk: Buffer) => {
        received += chunk.length
      })
      request.on('end', () => response.end('done'))
    })
    const { body } = source((n) => (n < 50 ? new Uint8Array(10_000) : null))
    expect(await (await ask(base, { method: 'POST', body })).text()).toBe('begun done')
    expect(received).toBe(500_000)
  })

  it('takes from its source only what the vendor takes', async () => {
    const { base } = await serve((request) => request.pause())
    const { body, state } = endless()
    const abort = new AbortController()
    const sending = errorOf(ask(base, { method: 'POST', body, signal: abort.signal }))
    let before = -1
    for (let still = 0; still < 20; before = state.pulled) {
      await new Promise((resolve) => setTimeout(resolve, 2))
      still = state.pulled === before && before > 0 ? still + 1 : 0
    }
    expect(state.pulled * 65_536).toBeLessThan(32 * MB)
    abort.abort()
    await sending
    expect(state.cancelled).toBe(true)
  })

  it('fails with the error of its source, and the vendor sees it broken off', async () => {
    let ended: string | undefined
    const { base, open } = await serve((request) => {
      request.resume().on('end', () => {
        ended = 'whole'
      })
      request.on('error', () => {
        ended = 'broken off'
      })
    })
    const { body } = source((n) => {
      if (n < 3) return new Uint8Array(1000)
      throw new CordboardError('gone', 'the recording has expired')
    })
    expect(await errorOf(ask(base, { method: 'POST', body }))).toMatchObject({ code: 'gone' })
    await until(() => open() === 0)
    expect(ended).toBe('broken off')
  })

  it.each([
    ['short', 4],
    ['long', 2],
  ])('that is too %s for its announced length is broken off', async (_, announced) => {
    const { base, open } = await serve(echo)
    const { body } = source((n) => (n < 3 ? new Uint8Array(1) : null))
    const headers = { 'content-length': String(announced) }
    expect(await errorOf(ask(base, { method: 'POST', headers, body }))).toMatchObject({ code: 'vendor_down' })
    await until(() => open() === 0)
  })

  it('to an address that is refused lets its source go', async () => {
    const { body, state } = endless()
    const failed = errorOf(ask('http://localhost:9/', { method: 'POST', body }))
    expect(await failed).toMatchObject({ code: 'blocked_address' })
    const literal = endless()
    await errorOf(ask('http://10.0.0.1/', { method: 'POST', body: literal.body }))
    expect([state.cancelled, literal.state.cancelled]).toEqual([true, true])
  })
})

describe('aborting', () => {
  it.each(['before', 'while waiting', 'while sending', 'while reading'])(
    '%s tears everything down',
    async (when) => {
      const { base, open } = await serve((request, response) => {
        if (request.method === 'GET') response.write('first')
        request.resume()
      })
      const abort = new AbortController()
      const reason = new CordboardError('lease_lost', 'taken over')
      const { body, state } = endless()
      if (when === 'before') abort.abort(reason)
      const method = when === 'while reading' ? 'GET' : 'POST'
      const exchange = ask(base, {
        method,
        signal: abort.signal,
        ...(when === 'while sending' ? { body } : {}),
      }).then((response) => response.text())
      const failed = errorOf(exchange)
      if (when === 'while sending') await until(() => state.pulled > 3)
      else if (when !== 'before') await until(() => open() === 1)
      if (when === 'while reading') await new Promise((resolve) => setTimeout(resolve, 5))
      abort.abort(reason)
      expect(await failed).toBe(reason)
      await until(() => open() === 0)
      if (when === 'while sending') expect(state.cancelled).toBe(true)
    },
  )

  it('a hundred exchanges at once leaves no socket behind', async () => {
    const { base, open } = await serve((_, response) => {
      response.write('first')
    })
    const abort = new AbortController()
    const all = Array.from({ length: 100 }, () =>
      errorOf(ask(base, { signal: abort.signal }).then((response) => response.text())),
    )
    await until(() => open() === 100)
    abort.abort()
    for (const error of await Promise.all(all)) expect(error.code).toBe('timeout')
    await until(() => open() === 0)
  })

  it('after the end does nothing, and listens no longer', async () => {
    const { base } = await serve(echo)
    const abort = new AbortController()
    let listeners = 0
    const { signal } = abort
    const add = signal.addEventListener.bind(signal)
    const remove = signal.removeEventListener.bind(signal)
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners += 1
      add(...args)
    }
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners -= 1
      remove(...args)
    }
    const response = await ask(base, { signal })
    const text = await response.text()
    expect(listeners).toBe(0)
    abort.abort()
    expect(text).toContain('GET')
  })

  it('a reader that goes away closes the connection', async () => {
    const { base, open } = await serve((_, response) => {
      response.write('first')
    })
    const response = await ask(base)
    await response.body?.cancel()
    await until(() => open() === 0)
  })
})
