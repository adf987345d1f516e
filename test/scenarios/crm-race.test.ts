import { expect, test } from 'vitest'
import type { Fault } from '../../src/connector/sandbox.ts'
import { rerunCall } from '../../src/pipeline/rerun.ts'
import { GENERIC, sandboxVendors } from './company.ts'
import { genericWebhook } from './generic.ts'
import { type Installation, install, seeded } from './installation.ts'

// Twenty workers on one store, one call that is written again and again, a CRM that answers late, wrongly or not at all and
// whose search lags behind: however they fall over each other, the call stands there once.

const CRM = 'sandbox-hubspot'
const PHONE = '+33639980001'
const ROUNDS = 50
const FAULTS: readonly Fault[] = [
  { kind: 'commit_then_hang' },
  { kind: 'hang' },
  { kind: 'commit_then_status', status: 504 },
  { kind: 'status', status: 503 },
  { kind: 'status', status: 429, retryAfter: '2' },
]
const PLACES = [
  { method: 'POST', path: '/calls$' },
  { method: 'POST', path: '/notes$' },
  { method: 'POST', path: '/contacts$' },
  { method: 'PATCH', path: '/calls/' },
  { method: 'POST', path: '/search' },
] as const

const crowd = (workers = 20) =>
  install({
    workers,
    vendors: { ...GENERIC, ...sandboxVendors('xosum', 'hubspot') },
    settings: { [CRM]: { indexLagMs: 30_000, note: { transcript: true } } },
    flows: [{ name: 'f', from: ['pbx'], analyze: [], write: [CRM], unknownCaller: 'create' }],
  })
const say = (it: Installation, key: string, phase: string, facts: Record<string, unknown>, callId = 'c') =>
  it.send('pbx', genericWebhook([{ key: `${callId}:${key}`, callId, phase, facts }]))
const ended = (it: Installation, callId = 'c', more: Record<string, unknown> = {}) =>
  say(
    it,
    'ended',
    'ended',
    {
      direction: 'inbound',
      from: PHONE,
      startedAt: new Date(it.now() - 120_000).toISOString(),
      endedAt: new Date(it.now() - 60_000).toISOString(),
      result: 'answered',
      recordingExpected: false,
      ...more,
    },
    callId,
  )
const counts = (it: Installation) => ['contact', 'call', 'note'].map((kind) => it.crm(kind))

for (const seed of [1, 2]) {
  test(`fifty writes of one call by twenty workers under time limits make one record (${seed})`, {
    timeout: 90_000,
  }, async () => {
    await using it = await crowd()
    const random = seeded(seed)
    const of = <T>(some: readonly T[]): T => some[Math.floor(random() * some.length)] ?? expect.fail('empty')
    await ended(it)
    for (let round = 0; round < ROUNDS; round += 1) {
      if (random() < 0.6) it.fail(CRM, { ...of(PLACES), fault: of(FAULTS) })
      if (round % 3 === 0) {
        const known = await it.store.db.selectFrom('calls').select('id').executeTakeFirst()
        if (known) await rerunCall(it.deps, known.id, { from: 'write', actor: 'operator' })
      } else await say(it, `r${round + 10}`, 'amended', { reference: `r-${round}` })
      await it.work()
      if (random() < 0.5) it.advance(Math.floor(random() * 15_000))
    }
    await it.settle(4 * 3_600_000)
    expect([counts(it), await it.calls()]).toEqual([[1, 1, 0], [['done', null]]])
    const [call] = it.held(CRM, 'call')
    expect(String(call?.fields.hs_call_body)).toContain('r-49')
    const writes = await it.store.db.selectFrom('steps').select('id').where('kind', '=', 'write').execute()
    expect(writes.length).toBeGreaterThan(ROUNDS / 5)
  })
}

test('six calls of one unknown caller at once, with a search that lags, make one contact', {
  timeout: 90_000,
}, async () => {
  await using it = await crowd(3)
  it.fail(CRM, { method: 'POST', path: '/contacts$', fault: { kind: 'commit_then_hang' } })
  for (let n = 0; n < 6; n += 1) await ended(it, `c${n}`)
  await it.settle()
  expect(counts(it)).toEqual([1, 6, 0])
  const [contact] = it.held(CRM, 'contact')
  const on = it.held(CRM, 'call').map(({ fields }) => fields.associations)
  expect(on).toEqual(Array(6).fill([`contact/${contact?.id}`]))
})

test('who is entered while their call is being matched is found when the search has caught up', async () => {
  await using it = await crowd(2)
  await ended(it, 'c', { endedAt: new Date(it.now()).toISOString() })
  await it.work()
  const id = it.vendor(CRM).addContact?.({ name: 'Emma', phone: PHONE })
  await it.settle()
  expect(counts(it)).toEqual([1, 1, 0])
  expect(it.held(CRM, 'call').map(({ fields }) => fields.associations)).toEqual([[`contact/${id}`]])
})

test('an end that lies in the future by a wrong clock keeps nobody waiting for longer than the search lags', async () => {
  await using it = await crowd(1)
  const endedAt = new Date(it.now() + 7 * 3_600_000).toISOString()
  await ended(it, 'c', { endedAt })
  await it.settle(120_000)
  expect([counts(it), await it.calls()]).toEqual([[1, 1, 0], [['done', null]]])
})
