import { expect, test } from 'vitest'
import type { Fault } from '../../src/connector/sandbox.ts'
import { type Installation, install, sampleCall, seeded } from './installation.ts'

// A busy hour at both phone systems, with vendors of which one request in ten fails in one way or another. Every call is
// in the CRM exactly once, none is paid for twice, and no step is left over.

const FAULTS: readonly Fault[] = [
  { kind: 'status', status: 500 },
  { kind: 'status', status: 503, retryAfter: '3' },
  { kind: 'status', status: 429, retryAfter: '2' },
  { kind: 'hang' },
  { kind: 'commit_then_hang' },
  { kind: 'commit_then_status', status: 502 },
]

/** One request in ten to any vendor fails: how, the dice say. */
function unreliable(it: Installation, random: () => number): void {
  const { http } = it.deps
  it.deps.http = (url, request) => {
    const fault = random() < 0.1 ? FAULTS[Math.floor(random() * FAULTS.length)] : undefined
    if (fault) it.wire.failNext(url, fault)
    return http(url, request)
  }
}

test('200 calls from both phone systems through vendors that fail one time in ten', {
  timeout: 120_000,
}, async () => {
  const random = seeded(42)
  await using it = await install({
    random,
    tickMs: 250,
    settings: { 'sandbox-hubspot': { indexLagMs: 5_000, requestsPer10s: 190 } },
  })
  unreliable(it, random)
  const CALLS = 200
  const webhooks = []
  for (let n = 0; n < CALLS; n++) {
    const connection = n % 2 ? 'sandbox-zadarma' : 'sandbox-twilio'
    const customerPhone = `+3363998${String(n % 50).padStart(4, '0')}`
    for (const webhook of it.place(connection, await sampleCall(it.now(), { customerPhone })))
      webhooks.push({ connection, webhook })
  }
  // Shuffled, and one in five sent twice.
  const sent = webhooks.flatMap((one) => (random() < 0.2 ? [one, one] : [one]))
  const order = sent.map((one) => ({ one, at: random() })).sort((a, b) => a.at - b.at)
  for (let at = 0; at < order.length; at += 100) {
    const answers = await Promise.all(
      order.slice(at, at + 100).map(({ one }) => it.send(one.connection, one.webhook)),
    )
    expect(answers.every((answer) => answer.ok)).toBe(true)
    await it.pass(10_000)
  }
  await it.settle(6 * 3_600_000)

  const { db } = it.store
  expect(new Set((await it.calls()).map(([state]) => state))).toEqual(new Set(['done']))
  const left = await db
    .selectFrom('steps')
    .select(['kind', 'state', 'code', 'reason'])
    .where('state', '!=', 'done')
    .execute()
  expect(left).toEqual([])
  expect([it.crm('call'), it.crm('contact')]).toEqual([CALLS, 50])
  const writebacks = await db
    .selectFrom('writeback_parts')
    .select('external_id')
    .where('part', '=', 'call')
    .execute()
  expect(new Set(writebacks.map((part) => part.external_id)).size).toBe(CALLS)
  const submissions = [
    ...it.held('sandbox-xosum', 'submission'),
    ...it.held('sandbox-transcripto', 'submission'),
  ]
  const keys = submissions.map((record) => record.key)
  expect([new Set(keys).size, keys.length]).toEqual([keys.length, keys.length])
})
