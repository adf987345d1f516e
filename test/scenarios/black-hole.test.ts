import { expect, test } from 'vitest'
import { install, sampleCall } from './installation.ts'

// A vendor takes every request and never answers. Its own work waits; everybody else's goes on as if nothing were, and
// the sweep, which keeps leases and waits, is not held up.

test('a CRM that swallows every request holds up no analysis, and its own calls are written when it answers', async () => {
  await using it = await install()
  it.fail('sandbox-hubspot', { fault: { kind: 'hang' }, times: 12 })
  for (let n = 0; n < 6; n++)
    await it.play(n % 2 ? 'sandbox-zadarma' : 'sandbox-twilio', await sampleCall(it.now()))
  await it.pass(20_000)
  const submitted =
    it.held('sandbox-xosum', 'submission').length + it.held('sandbox-transcripto', 'submission').length
  expect([submitted, it.crm('call')]).toEqual([6, 0])
  const results = await it.store.db.selectFrom('results').select('part').execute()
  expect(results.length).toBeGreaterThanOrEqual(6)
  await it.settle(4 * 3_600_000)
  expect([it.crm('call'), it.crm('contact'), new Set((await it.calls()).map(([state]) => state))]).toEqual([
    6,
    1,
    new Set(['done']),
  ])
})

test('a backend that swallows every request: the other flow’s calls pass it by, its own move on', async () => {
  const to = (from: string, ...analyze: string[]) => ({
    name: from,
    from: [`sandbox-${from}`],
    analyze,
    write: ['sandbox-hubspot'],
    unknownCaller: 'create',
  })
  await using it = await install({
    flows: [to('twilio', 'sandbox-xosum', 'sandbox-transcripto'), to('zadarma', 'sandbox-transcripto')],
  })
  it.fail('sandbox-xosum', { fault: { kind: 'hang' }, times: 40 })
  for (let n = 0; n < 8; n++)
    await it.play(n % 2 ? 'sandbox-zadarma' : 'sandbox-twilio', await sampleCall(it.now()))
  await it.pass(60_000)
  const calls = await it.store.db.selectFrom('calls').select(['connection', 'state']).execute()
  const done = calls.filter((call) => call.connection === 'sandbox-zadarma' && call.state === 'done')
  expect(done).toHaveLength(4)
  await it.settle()
  expect(new Set((await it.calls()).map(([state]) => state))).toEqual(new Set(['done']))
  expect(it.held('sandbox-transcripto', 'submission')).toHaveLength(8)
})

test('a check that hangs does not hold up the sweep', async () => {
  await using it = await install()
  it.fail('sandbox-hubspot', { fault: { kind: 'status', status: 401 } })
  await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.settle(30_000)
  it.fail('sandbox-hubspot', { fault: { kind: 'hang' } })
  it.advance(70_000)
  const check = it.worker.check()
  await it.worker.sweep()
  await it.play('sandbox-zadarma', await sampleCall(it.now()))
  await it.worker.sweep()
  const lanes = await it.queue.take('core', 8)
  await Promise.all(lanes)
  expect((await it.calls()).length).toBe(2)
  it.wire.release()
  await check
})
