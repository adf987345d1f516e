import { expect, test } from 'vitest'
import { replayDeliveries } from '../../src/pipeline/replay.ts'
import { GENERIC, sandboxVendors } from './company.ts'
import { genericWebhook } from './generic.ts'
import { type Installation, install, sampleCall } from './installation.ts'

// A vendor that saw no answer sends again: once, a hundred times, all at once. Whatever it repeats, the call is stored
// once, analysed once and written once; and what was accepted is never lost because of a repetition.

async function count(it: Installation) {
  const { db } = it.store
  const [deliveries, calls] = await Promise.all([
    db.selectFrom('deliveries').select('repeats').where('role', '=', 'telephony').execute(),
    db.selectFrom('calls').select('id').execute(),
  ])
  return {
    deliveries: deliveries.length,
    repeats: deliveries.reduce((sum, row) => sum + row.repeats, 0),
    calls: calls.length,
    submissions: it.held('sandbox-xosum', 'submission').length,
    crm: it.crm('call'),
  }
}

for (const times of [1, 2, 100]) {
  test(`the same webhook ${times} times is one delivery, one call, one submission and one record`, async () => {
    await using it = await install()
    const webhooks = it.place('sandbox-twilio', await sampleCall(it.now()))
    for (const webhook of webhooks) {
      const answers = await Promise.all(
        Array.from({ length: times }, () => it.send('sandbox-twilio', webhook)),
      )
      expect(new Set(answers.map((answer) => answer.status))).toEqual(new Set([200]))
    }
    await it.settle()
    const repeats = webhooks.length * (times - 1)
    expect(await count(it)).toEqual({
      deliveries: webhooks.length,
      repeats,
      calls: 1,
      submissions: 1,
      crm: 1,
    })
  })
}

test('repetitions that come at every stage of the work change nothing', async () => {
  await using it = await install()
  const webhooks = it.place('sandbox-twilio', await sampleCall(it.now()))
  for (const webhook of webhooks) {
    await it.send('sandbox-twilio', webhook)
    await it.work()
  }
  for (let round = 0; round < 3; round++) {
    for (const webhook of webhooks) await it.send('sandbox-twilio', webhook)
    await it.settle(5_000)
  }
  await it.settle()
  expect(await count(it)).toMatchObject({ deliveries: webhooks.length, calls: 1, submissions: 1, crm: 1 })
})

test('a repetition of a delivery whose wake-up was lost loses nothing: the sweep finds the work', async () => {
  await using it = await install()
  const webhooks = it.place('sandbox-twilio', await sampleCall(it.now()))
  // Nobody rang for any of it: this queue drops every bell.
  for (const webhook of webhooks) await it.send('sandbox-twilio', webhook)
  await it.restart()
  for (const webhook of webhooks) await it.send('sandbox-twilio', webhook)
  await it.settle()
  expect(await count(it)).toEqual({ deliveries: 6, repeats: 6, calls: 1, submissions: 1, crm: 1 })
})

test('a repetition does not start a dead delivery over, and the delivery can still be replayed', async () => {
  await using it = await install()
  const [first] = it.place('sandbox-twilio', await sampleCall(it.now()))
  if (!first) throw new Error('the stand-in sent nothing')
  await it.send('sandbox-twilio', first)
  const { db } = it.store
  await it.store.atomic([], [db.updateTable('steps').set({ state: 'dead', code: 'internal' })])
  await it.send('sandbox-twilio', first)
  await it.settle()
  expect(await it.calls()).toEqual([])
  await replayDeliveries(it.deps, { connection: 'sandbox-twilio' }, { actor: 'operator', dryRun: false })
  await it.settle()
  expect(await it.calls()).toEqual([['open', null]])
})

test('the same event in other bytes is two deliveries and one call', async () => {
  await using it = await install({ vendors: { ...GENERIC, ...sandboxVendors('xosum', 'hubspot') } })
  const ended = {
    key: 'c1:ended',
    callId: 'c1',
    phase: 'ended',
    facts: { result: 'no_answer', direction: 'inbound', from: '+33639980001' },
  }
  await it.send('pbx', genericWebhook([ended]))
  await it.settle()
  await it.send('pbx', genericWebhook([ended], { note: 'sent again by another node' }))
  await it.settle()
  const { db } = it.store
  expect(await db.selectFrom('deliveries').select('state').execute()).toEqual([
    { state: 'used' },
    { state: 'used' },
  ])
  expect(await db.selectFrom('events').select('event_key').execute()).toEqual([{ event_key: 'c1:ended' }])
  const steps = await db.selectFrom('steps').select('id').where('kind', '=', 'write').execute()
  expect([it.crm('call'), steps.length]).toEqual([1, 1])
})
