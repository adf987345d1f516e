import { expect, test } from 'vitest'
import { CordboardError } from '../../src/errors.ts'
import { GENERIC, sandboxVendors } from './company.ts'
import { genericWebhook } from './generic.ts'
import { type Installation, install, sampleCall, signedRequest } from './installation.ts'

// Anyone can post to a public URL. What is not authentic, too large or for nobody gets a clear answer, changes nothing
// and is counted without its body; and when the store is down, nothing is promised that could not be kept.

async function nothingStored(it: Installation) {
  const { db } = it.store
  for (const table of ['deliveries', 'steps', 'events', 'calls'] as const)
    expect(await db.selectFrom(table).selectAll().execute()).toEqual([])
}

async function refusals(it: Installation) {
  await it.deps.refusals.flush()
  const rows = await it.store.db.selectFrom('refusals').selectAll().execute()
  return rows.map(({ connection, code, count, sample }) => ({
    connection,
    code,
    count,
    sample: JSON.parse(sample),
  }))
}

test('a tampered body, a missing signature and a wrong one are 401, counted with one sample, never stored', async () => {
  await using it = await install()
  const [webhook] = it.place('sandbox-twilio', await sampleCall(it.now()))
  if (!webhook) throw new Error('the stand-in sent nothing')
  const tampered = await it.send('sandbox-twilio', webhook, (body) =>
    body.replace('CallStatus=', 'CallStatus=x'),
  )
  const { url, headers } = await signedRequest(it.deps, 'sandbox-twilio', webhook)
  const post = (changed: Record<string, string>) =>
    it.receive(new Request(url, { method: 'POST', headers: changed, body: webhook.body }))
  const { 'x-twilio-signature': signature = '', ...unsigned } = headers
  const missing = await post(unsigned)
  const wrong = await post({ ...unsigned, 'x-twilio-signature': signature.toUpperCase() })
  for (const answer of [tampered, missing, wrong]) {
    expect([answer.status, answer.headers.get('content-type')]).toEqual([401, 'application/problem+json'])
    expect(await answer.json()).toMatchObject({
      code: 'webhook_signature',
      fix: expect.stringContaining('doctor'),
    })
  }
  await nothingStored(it)
  const [refused, ...others] = await refusals(it)
  expect(others).toEqual([])
  expect(refused).toMatchObject({ connection: 'sandbox-twilio', code: 'webhook_signature', count: 3 })
  expect(refused?.sample).toMatchObject({ method: 'POST', path: '/status', headerNames: expect.any(Array) })
  expect(JSON.stringify(refused)).not.toContain(signature)
})

test('a webhook with an old time stamp is 401 although its signature is right', async () => {
  await using it = await install({ vendors: { ...GENERIC, ...sandboxVendors('xosum', 'hubspot') } })
  const webhook = genericWebhook([{ key: 'k', callId: 'c', phase: 'ringing', facts: {} }])
  const { url, headers } = await signedRequest(it.deps, 'pbx', webhook)
  const post = () => it.receive(new Request(url, { method: 'POST', headers, body: webhook.body }))
  it.advance(301_000)
  expect((await post()).status).toBe(401)
  await nothingStored(it)
  it.advance(-301_000)
  expect((await post()).status).toBe(202)
})

test('a body over the limit is 413 whether its length is told or not, and is counted', async () => {
  await using it = await install()
  const url = 'https://hooks.example.com/hooks/sandbox-twilio/status'
  const chunk = new Uint8Array(1024 * 1024)
  let left = 6
  const chunked = new ReadableStream<Uint8Array>({
    pull: (controller) => (left-- > 0 ? controller.enqueue(chunk) : controller.close()),
  })
  const init = { method: 'POST', duplex: 'half' as const }
  const told = await it.receive(
    new Request(url, { ...init, body: 'x', headers: { 'content-length': '6000000' } }),
  )
  const untold = await it.receive(new Request(url, { ...init, body: chunked }))
  expect([told.status, untold.status]).toEqual([413, 413])
  await nothingStored(it)
  expect(await refusals(it)).toMatchObject([{ code: 'too_large', count: 2 }])
})

test('an unknown connection is 404 and does not repeat the name, one without webhooks is 404 as well', async () => {
  await using it = await install({ settings: { 'sandbox-xosum': { results: 'polling' } } })
  const post = (path: string) =>
    it.receive(new Request(`https://hooks.example.com${path}`, { method: 'POST', body: '{}' }))
  const unknown = await post('/hooks/canary-connection/status')
  const text = await unknown.text()
  expect([unknown.status, text.includes('canary-connection')]).toEqual([404, false])
  const silent = await post('/hooks/sandbox-transcripto')
  expect([silent.status, (await silent.json()).code]).toEqual([404, 'not_a_webhook'])
  await nothingStored(it)
})

test('every method is verified: an unsigned GET, PUT or DELETE is 401, a handshake is answered and stores nothing', async () => {
  await using it = await install()
  for (const method of ['GET', 'PUT', 'DELETE', 'PATCH']) {
    const answer = await it.receive(
      new Request('https://hooks.example.com/hooks/sandbox-twilio/status', { method }),
    )
    expect(answer.status).toBe(401)
  }
  const echo = await it.receive(new Request('https://hooks.example.com/hooks/sandbox-zadarma?zd_echo=abc123'))
  expect([echo.status, await echo.text()]).toEqual([200, 'abc123'])
  await nothingStored(it)
})

test('while the store is down the answer is 503 with Retry-After, and the vendor’s next try is taken', async () => {
  await using it = await install()
  const [webhook] = it.place('sandbox-twilio', await sampleCall(it.now()))
  if (!webhook) throw new Error('the stand-in sent nothing')
  const { append } = it.store
  it.store.append = () => Promise.reject(new CordboardError('storage_unavailable', 'The disk is full'))
  const down = await it.send('sandbox-twilio', webhook)
  expect([down.status, down.headers.get('retry-after')]).toEqual([503, '2'])
  it.store.append = append
  await nothingStored(it)
  expect((await it.send('sandbox-twilio', webhook)).status).toBe(200)
})

test('a large body whose delivery cannot be stored leaves nothing behind in the media store', async () => {
  await using it = await install({ vendors: { ...GENERIC, ...sandboxVendors('xosum', 'hubspot') } })
  const large = genericWebhook([{ key: 'k', callId: 'c', phase: 'ringing', facts: {} }], {
    padding: 'x'.repeat(300_000),
  })
  const put: string[] = []
  const kept = { ...it.deps.media }
  it.deps.media.put = async (id, body, most) => {
    put.push(id)
    return kept.put(id, body, most)
  }
  const { append } = it.store
  it.store.append = () => Promise.reject(new CordboardError('storage_unavailable', 'The disk is full'))
  expect((await it.send('pbx', large)).status).toBe(503)
  it.store.append = append
  expect(await it.deps.media.get(put[0] ?? '')).toBeNull()
  expect((await it.send('pbx', large)).status).toBe(202)
  it.deps.media.put = () => Promise.reject(new Error('no space'))
  expect((await it.send('pbx', genericWebhook([], { padding: 'x'.repeat(300_000) }))).status).toBe(503)
})

test('what fails inside is a 500 that tells the sender and the log nothing of it', async () => {
  await using it = await install({ vendors: { ...GENERIC, ...sandboxVendors('xosum', 'hubspot') } })
  const webhook = genericWebhook([{ key: 'k', callId: 'c', phase: 'ringing', facts: {} }])
  const inside = 'cannot bind +33639980001 of /srv/secret.db'
  it.store.append = () => Promise.reject(new TypeError(inside))
  const failed = await it.send('pbx', webhook)
  expect(failed.status).toBe(500)
  expect(await failed.text()).not.toMatch(/cannot bind|33639980001|secret\.db/)
  it.store.append = () =>
    Promise.reject(new CordboardError('storage_unavailable', 'The store is away', { why: inside }))
  const away = await it.send('pbx', webhook)
  expect([away.status, away.headers.get('retry-after')]).toEqual([503, '2'])
  expect(await away.text()).not.toMatch(/cannot bind|33639980001|secret\.db/)
  expect(it.logged.join('\n')).toContain('TypeError')
  expect(it.logged.join('\n')).not.toMatch(/cannot bind|33639980001|secret\.db/)
})

test('a large body stays when the commit was durable although its end was not seen', async () => {
  await using it = await install({ vendors: { ...GENERIC, ...sandboxVendors('xosum', 'hubspot') } })
  const large = genericWebhook([{ key: 'k', callId: 'c', phase: 'ringing', facts: {} }], {
    padding: 'x'.repeat(300_000),
  })
  const { append } = it.store
  it.store.append = async (entry) => {
    await append(entry)
    throw new CordboardError('storage_unavailable', 'The answer of the store was lost')
  }
  expect((await it.send('pbx', large)).status).toBe(503)
  it.store.append = append
  expect((await it.send('pbx', large)).status, 'known by now').toBe(202)
  await it.settle()
  const { db } = it.store
  expect(await db.selectFrom('deliveries').select(['state', 'repeats']).execute()).toEqual([
    { state: 'used', repeats: 1 },
  ])
  expect(await it.calls()).toHaveLength(1)
})

test('a large body that went before its commit showed comes back with what is sent again', async () => {
  await using it = await install({ vendors: { ...GENERIC, ...sandboxVendors('xosum', 'hubspot') } })
  const large = genericWebhook([{ key: 'k', callId: 'c', phase: 'ringing', facts: {} }], {
    padding: 'x'.repeat(300_000),
  })
  expect((await it.send('pbx', large)).status).toBe(202)
  const { db } = it.store
  const stored = await db.selectFrom('deliveries').select('id').executeTakeFirstOrThrow()
  await it.deps.media.delete([stored.id])
  await it.settle()
  const states = () => db.selectFrom('steps').select(['state', 'code']).execute()
  expect(await states()).toEqual([{ state: 'dead', code: 'unknown_object' }])

  const put: string[] = []
  const kept = { ...it.deps.media }
  it.deps.media.put = async (id, body, most) => {
    put.push(id)
    return kept.put(id, body, most)
  }
  expect((await it.send('pbx', large)).status).toBe(202)
  await it.settle()
  expect(await states()).toEqual([{ state: 'done', code: null }])
  expect(await it.calls()).toHaveLength(1)
  const left = await Promise.all(put.map((id) => it.deps.media.get(id)))
  expect(left.map((one) => one !== null)).toEqual([false, true])
  await Promise.all(left.map((one) => one?.body.cancel()))
})

test('an authentic delivery that cannot be read is kept, marked and shown as an issue', async () => {
  await using it = await install({ vendors: { ...GENERIC, ...sandboxVendors('xosum', 'hubspot') } })
  expect(
    (await it.send('pbx', genericWebhook([{ key: 'k', callId: 'c', phase: 'singing', facts: {} }]))).status,
  ).toBe(202)
  await it.settle()
  const { db } = it.store
  expect(await db.selectFrom('deliveries').select('state').execute()).toEqual([{ state: 'unreadable' }])
  expect(await db.selectFrom('issues').select(['kind', 'code', 'state']).execute()).toEqual([
    { kind: 'merge', code: 'invalid_payload', state: 'open' },
  ])
})

test('100,000 requests for 10,000 connections that somebody made up are a few rows, however long they go on', async () => {
  await using it = await install()
  const { db } = it.store
  const day = 86_400_000
  const ask = async (path: string, headers: Record<string, string> = {}) => {
    const request = new Request(`https://hooks.example.com${path}`, { method: 'POST', headers })
    return (await it.receive(request)).status
  }
  const headers = Object.fromEntries(
    Array.from({ length: 200 }, (_, n) => [`x-${n}-${'y'.repeat(200)}`, 'z']),
  )
  const statuses = new Set<number>()
  // Four floods, sixteen days apart: what the first three left is gone by the end.
  for (let flood = 0; flood < 4; flood++) {
    it.advance(16 * day)
    for (let n = 0; n < 25_000; n++) statuses.add(await ask(`/hooks/made-up-${n % 10_000}/status`))
    statuses.add(await ask('/hooks/made-up/status', headers))
    expect(await ask('/hooks/sandbox-twilio/status', headers)).toBe(401)
    await it.work()
  }
  expect([...statuses]).toEqual([404])
  await it.work()
  const rows = await db.selectFrom('refusals').selectAll().orderBy('connection').orderBy('hour_at').execute()
  expect(rows.map(({ connection, code, count }) => [connection, code, count])).toEqual([
    ['-', 'unknown_connection', 25_001],
    ['sandbox-twilio', 'webhook_signature', 1],
  ])
  for (const { sample } of rows) expect(sample.length).toBeLessThan(2_500)
  expect(JSON.stringify(rows)).not.toContain('made-up')
  expect(it.deps.metrics.render()).toContain('{connection="-",outcome="refused"} 100004')
  expect(it.deps.metrics.render().split('\n').length).toBeLessThan(20)
})
