import { expect, test } from 'vitest'
import { type InstallOptions, install, sampleCall } from './installation.ts'

// Somebody calls whom the CRM does not know. The flow says what happens; whatever it says, two calls of the same new
// number make one contact, also when the first of them dies half-way.

const rule = (unknownCaller: string): InstallOptions => ({
  flows: [{ name: 'f', from: ['sandbox-twilio'], analyze: [], write: ['sandbox-hubspot'], unknownCaller }],
})
const callFrom = async (now: number, customerPhone = '+33639980042') => {
  const { audio: _, ...call } = await sampleCall(now, { customerPhone, result: 'no_answer', talkMs: 0 })
  return call
}

test('create: the contact is made once and the call stands on it', async () => {
  await using it = await install(rule('create'))
  await it.play('sandbox-twilio', await callFrom(it.now()))
  await it.settle()
  const [contact] = it.held('sandbox-hubspot', 'contact')
  expect(it.held('sandbox-hubspot', 'call')).toMatchObject([
    { fields: { associations: [`contact/${contact?.id}`] } },
  ])
})

test('skip: nothing is written, and the call says so', async () => {
  await using it = await install(rule('skip'))
  await it.play('sandbox-twilio', await callFrom(it.now()))
  await it.settle()
  expect(await it.calls()).toEqual([['skipped', 'nobody has this number: not written, as the flow says']])
  expect([it.crm('call'), it.crm('contact')]).toEqual([0, 0])
})

test('unmatched: the call is written without a contact', async () => {
  await using it = await install(rule('unmatched'))
  await it.play('sandbox-twilio', await callFrom(it.now()))
  await it.settle()
  expect([await it.calls(), it.crm('call'), it.crm('contact')]).toEqual([[['done', null]], 1, 0])
})

test('two calls of the same new number at the same time make one contact', async () => {
  await using it = await install(rule('create'))
  const webhooks = [await callFrom(it.now()), await callFrom(it.now())].flatMap((call) =>
    it.place('sandbox-twilio', call),
  )
  await Promise.all(webhooks.map((webhook) => it.send('sandbox-twilio', webhook)))
  await it.settle()
  expect([it.crm('call'), it.crm('contact')]).toEqual([2, 1])
  const contact = it.held('sandbox-hubspot', 'contact')[0]?.id
  for (const call of it.held('sandbox-hubspot', 'call'))
    expect(call.fields.associations).toEqual([`contact/${contact}`])
})

test('whoever reserved the contact died before it sent anything: the next call takes over', async () => {
  await using it = await install(rule('create'))
  const dead = { writeback_id: 'wbk_gone', external_type: null, external_id: null, created_at: it.now() }
  const row = { connection: 'sandbox-hubspot', phone: '+33639980042', ...dead }
  await it.store.atomic([], [it.store.db.insertInto('people').values(row)])
  await it.play('sandbox-twilio', await callFrom(it.now()))
  await it.pass(59_000)
  expect([it.crm('contact'), it.crm('call')]).toEqual([0, 0])
  await it.pass(5_000)
  expect([it.crm('contact'), it.crm('call'), await it.calls()]).toEqual([1, 1, [['done', null]]])
})

for (const isMade of [true, false]) {
  test(`whoever reserved the contact died and it is not known whether it was made (it was${isMade ? '' : ' not'})`, async () => {
    await using it = await install({
      ...rule('create'),
      settings: { 'sandbox-hubspot': { indexLagMs: 30_000 } },
    })
    const fault = { kind: isMade ? 'commit_then_hang' : 'hang' } as const
    it.fail('sandbox-hubspot', { method: 'POST', path: '/contacts$', fault })
    await it.play('sandbox-twilio', await callFrom(it.now()))
    await it.work()
    await it.crash()
    // Its step never comes back.
    const { db } = it.store
    await it.store.atomic(
      [],
      [db.updateTable('steps').set({ state: 'dead', code: 'poisoned' }).where('state', '=', 'working')],
    )
    await it.play('sandbox-twilio', await callFrom(it.now()))
    await it.settle()
    expect([it.crm('contact'), it.crm('call')]).toEqual([1, 1])
  })
}

test('a contact that was deleted in the CRM is made anew by the next call', async () => {
  await using it = await install(rule('create'))
  await it.play('sandbox-twilio', await callFrom(it.now()))
  await it.settle()
  const { db } = it.store
  // The stand-in deletes nothing, so the row points at a contact that is not there, and the search finds nobody.
  await it.store.atomic([], [db.updateTable('people').set({ external_id: '1', phone: '+33639980043' })])
  it.advance(86_400_000)
  await it.play('sandbox-twilio', await callFrom(it.now(), '+33639980043'))
  await it.settle()
  expect([it.crm('contact'), it.crm('call')]).toEqual([2, 2])
  expect(await it.calls()).toEqual([
    ['done', null],
    ['done', null],
  ])
})
