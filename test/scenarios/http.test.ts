/**
 * A vendor delivers the same call twice, and somebody who is not the vendor tries as well. The viewer sees one delivery,
 * the operator looks at its bytes and replays it, the administrator sees who did. All over a real socket, because a
 * runtime's requests differ from those a test makes.
 */
import { connect } from 'node:net'
import { serve } from '@hono/node-server'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openWorld, SECRET, TOKENS, type World } from '../unit/http-world.ts'

describe('a day of deliveries over a socket', () => {
  let world: World
  let base = ''
  let server: ReturnType<typeof serve>
  beforeAll(async () => {
    world = await openWorld()
    base = await new Promise<string>((resolve) => {
      server = serve({ fetch: world.app.fetch, port: 0, hostname: '127.0.0.1' }, ({ port }) =>
        resolve(`http://127.0.0.1:${port}`),
      )
    })
  })
  afterAll(async () => {
    const closed = new Promise((resolve) => server.close(resolve))
    // The client keeps its connections for some seconds; nobody needs them any more.
    if ('closeAllConnections' in server) server.closeAllConnections()
    await closed
    await world[Symbol.asyncDispose]()
  })

  const deliver = (token: string, body: BodyInit = '{"event":"ended","phone":"+447700900123"}') =>
    fetch(`${base}/hooks/support/status`, { method: 'POST', body, headers: { 'x-hook-token': token } })
  const ask = (path: string, role: keyof typeof TOKENS, method = 'GET') =>
    fetch(base + path, { method, headers: { authorization: `Bearer ${TOKENS[role]}` } })
  type List = { items: Record<string, unknown>[] }
  const deliveries = async () => ((await (await ask('/v1/deliveries', 'viewer')).json()) as List).items

  it('keeps what is authentic once, and nothing of the rest', async () => {
    expect((await deliver(SECRET)).status).toBe(202)
    expect((await deliver(SECRET)).status).toBe(202)
    expect((await deliver('guess')).status).toBe(401)
    expect((await fetch(`${base}/hooks/nobody`, { method: 'POST', body: '{}' })).status).toBe(404)
    expect((await deliver(SECRET, new Uint8Array(6 * 1024 * 1024))).status).toBe(413)
    expect(await deliveries()).toMatchObject([
      { connection: 'support', path: '/status', repeats: 1, state: 'new' },
    ])
  })

  it('shows the bytes to operators only, the secret covered', async () => {
    const [delivery] = await deliveries()
    expect((await ask(`/v1/deliveries/${delivery?.id}`, 'viewer')).status).toBe(403)
    const text = await (await ask(`/v1/deliveries/${delivery?.id}`, 'operator')).text()
    expect(JSON.parse(text)).toMatchObject({
      url: 'https://calls.example.com/hooks/support/status',
      body: { encoding: 'text', content: '{"event":"ended","phone":"+447700900123"}' },
      steps: [{ kind: 'merge', state: 'waiting' }],
    })
    expect(text).not.toContain(SECRET)
  })

  it('replays it, and the administrator sees who did', async () => {
    const [delivery] = await deliveries()
    expect((await ask(`/v1/deliveries/${delivery?.id}/replay`, 'viewer', 'POST')).status).toBe(403)
    expect((await ask(`/v1/deliveries/${delivery?.id}/replay`, 'operator', 'POST')).status).toBe(202)
    const audit = (await (await ask('/v1/audit', 'admin')).json()) as List
    expect(audit.items).toMatchObject([{ actor: expect.stringMatching(/^operator#/), subject: delivery?.id }])
  })

  it('stays up when bytes arrive that are no HTTP, or ten megabytes where words belong', async () => {
    await new Promise<void>((resolve) => {
      const socket = connect(Number(new URL(base).port), '127.0.0.1', () =>
        socket.write('\0\x01GARBAGE\r\n\r\n'),
      )
      socket.on('error', () => undefined)
      socket.on('close', () => resolve())
      socket.resume()
    })
    const answer = await fetch(`${base}/v1/issues/iss_1`, {
      method: 'POST',
      body: new Uint8Array(10 * 1024 * 1024),
      headers: { authorization: `Bearer ${TOKENS.operator}`, 'content-type': 'application/json' },
    }).catch(() => null)
    // The server may close before the sender is through; either way nothing was read into memory.
    if (answer) expect(answer.status).toBe(413)
    expect((await fetch(`${base}/readyz`)).status).toBe(200)
    expect((await fetch(`${base}/v1/calls`, { method: 'HEAD' })).status).toBe(401)
    expect((await ask('/v1/calls', 'viewer', 'HEAD')).status).toBe(200)
  })
})
