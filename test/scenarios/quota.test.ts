import { expect, test } from 'vitest'
import { GENERIC, sandboxVendors } from './company.ts'
import { genericWebhook } from './generic.ts'
import { type Installation, install, sampleCall, signedRequest } from './installation.ts'

// One phone system that goes mad must not fill the disk or use up the workers of the others. What is over its limit is told
// to come back, and nothing is promised that is not stored.

const LIMIT = 5

const limited = () =>
  install({
    vendors: { ...GENERIC, ...sandboxVendors('twilio', 'xosum', 'hubspot') },
    settings: { pbx: { deliveriesPerMinute: LIMIT } },
  })

const webhook = (n: number) =>
  genericWebhook([{ key: `k-${n}`, callId: `c-${n}`, phase: 'ringing', facts: {} }])

async function sent(it: Installation, from: number, count: number): Promise<number[]> {
  const statuses: number[] = []
  for (let n = from; n < from + count; n++) statuses.push((await it.send('pbx', webhook(n))).status)
  return statuses
}

const stored = async (it: Installation) =>
  (await it.store.db.selectFrom('deliveries').select('id').execute()).length

test('over its limit a connection gets 429 with Retry-After, is counted, and nothing is stored; then it goes on', async () => {
  await using it = await limited()
  it.advance(15_000)
  expect(await sent(it, 0, LIMIT)).toEqual(Array(LIMIT).fill(202))
  const refused = await it.send('pbx', webhook(99))
  expect([refused.status, refused.headers.get('retry-after'), refused.headers.get('content-type')]).toEqual([
    429,
    '45',
    'application/problem+json',
  ])
  expect(await refused.json()).toMatchObject({
    code: 'rate_limited',
    status: 429,
    detail: expect.stringContaining(`more than ${LIMIT} deliveries`),
    fix: expect.stringContaining('was not stored'),
  })
  expect(await sent(it, 100, 3)).toEqual([429, 429, 429])
  expect(await stored(it)).toBe(LIMIT)
  await it.deps.refusals.flush()
  const rows = await it.store.db.selectFrom('refusals').selectAll().execute()
  expect(rows).toMatchObject([{ connection: 'pbx', code: 'rate_limited', count: 4 }])
  expect(it.deps.metrics.render()).toContain('{connection="pbx",outcome="refused"} 4')

  it.advance(45_000)
  expect(await sent(it, 99, 1)).toEqual([202])
  expect(await stored(it)).toBe(LIMIT + 1)
})

test('a delivery that is sent again counts as well', async () => {
  await using it = await limited()
  const statuses: number[] = []
  const same = webhook(0)
  for (let n = 0; n <= LIMIT; n++) statuses.push((await it.send('pbx', same)).status)
  expect(statuses).toEqual([...Array(LIMIT).fill(202), 429])
  expect(await stored(it)).toBe(1)
})

test('strangers use up nobody’s limit', async () => {
  await using it = await limited()
  const { url, headers } = await signedRequest(it.deps, 'pbx', webhook(0))
  for (let n = 0; n < 10 * LIMIT; n++) {
    const forged = new Request(url, { method: 'POST', headers, body: `${webhook(0).body} ` })
    expect((await it.receive(forged)).status).toBe(401)
  }
  expect(await sent(it, 0, LIMIT)).toEqual(Array(LIMIT).fill(202))
})

test('a noisy connection leaves the others untouched', async () => {
  await using it = await limited()
  const noise = await sent(it, 0, 10 * LIMIT)
  expect(noise.filter((status) => status === 429)).toHaveLength(9 * LIMIT)
  for (let n = 0; n < LIMIT; n++) {
    const answers = await it.play('sandbox-twilio', await sampleCall(it.now()))
    expect(answers.map(({ status }) => status).filter((status) => status >= 300)).toEqual([])
  }
  await it.settle()
  expect(it.crm('call')).toBe(LIMIT)
})
