import { expect, test } from 'vitest'
import type { StepRow } from '../../src/store/schema.ts'
import { type Installation, install, sampleCall } from '../scenarios/installation.ts'

// A worker dies, and every step it held dies with it. One of them may be what took it down; the others have nothing to do
// with it and must not be put aside, however often it happens.

const LEASE_MS = 20_000
const APART_MS = 30 * LEASE_MS

test('a step that takes down six workers is put aside, and the one that was beside it three times goes on', async () => {
  await using it = await install()
  const played = [
    await sampleCall(it.now(), { result: 'no_answer' }),
    await sampleCall(it.now(), { result: 'no_answer', customerPhone: '+33639980002' }),
  ]
  for (const { audio: _none, ...call } of played) await it.play('sandbox-twilio', { ...call, talkMs: 0 })
  const [poisoned, innocent] = await steps(it)
  if (!poisoned || !innocent) throw new Error('there are no steps')

  for (let times = 1; times <= 3; times += 1) await dieWith(it, [poisoned, innocent])
  for (const step of await steps(it, [poisoned, innocent])) {
    expect(step).toMatchObject({ state: 'waiting', crashes: 3, code: 'poisoned' })
    expect(step.due_at).toBeGreaterThanOrEqual(it.now() + APART_MS / 2)
    expect(step.due_at).toBeLessThanOrEqual(it.now() + APART_MS)
  }
  for (let times = 4; times <= 6; times += 1) await dieWith(it, [poisoned])
  expect(await steps(it, [poisoned])).toMatchObject([{ state: 'dead', code: 'poisoned', lease: null }])
  const issues = await it.deps.store.db.selectFrom('issues').selectAll().execute()
  expect(issues).toMatchObject([
    { kind: poisoned.kind, code: 'poisoned', state: 'open', step_id: poisoned.id },
  ])

  await it.settle()
  expect(await steps(it, [innocent])).toMatchObject([{ state: 'done', crashes: 0, code: null }])
  // The first webhook of a call that later ones complete is not missed: both calls are written.
  expect(it.crm('call')).toBe(2)
})

/** As a worker leaves them that was killed: held, with a lease that has run out. */
async function dieWith(it: Installation, held: readonly StepRow[]): Promise<void> {
  const { store } = it.deps
  const ids = held.map(({ id }) => id)
  const gone = store.db
    .updateTable('steps')
    .set({ state: 'working', lease: 'gone', lease_until: it.now() - 1 })
    .where('id', 'in', ids)
  await store.atomic([], [gone])
  await it.worker.sweep()
}

async function steps(it: Installation, only?: readonly StepRow[]): Promise<StepRow[]> {
  const all = await it.deps.store.db.selectFrom('steps').selectAll().orderBy('id').execute()
  return only ? only.flatMap(({ id }) => all.filter((step) => step.id === id)) : all
}
