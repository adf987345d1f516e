import { expect, test } from 'vitest'
import { install, sampleCall } from './installation.ts'

// A call ends at the phone system. Its webhooks come in, the recording goes to the analysis service, the result comes
// back by webhook or by polling, and the CRM holds the call, a note and the promised tasks: each once.

test('a call travels from the phone system to the CRM, its result brought by webhook', async () => {
  await using it = await install()
  it.world.vendor('sandbox-hubspot').addContact?.({ name: 'Camille Durand', phone: '+33639980001' })
  const responses = await it.play('sandbox-twilio', await sampleCall(it.now()))
  expect(responses.every((response) => response.ok)).toBe(true)
  await it.settle()

  const calls = await it.deps.store.db.selectFrom('calls').selectAll().execute()
  expect(calls.map((call) => [call.state, call.reason])).toEqual([['done', null]])
  expect(it.crm('call')).toBe(1)
  expect(it.crm('note')).toBe(1)
  expect(it.crm('contact')).toBe(1)
  const results = await it.deps.store.db.selectFrom('results').selectAll().execute()
  expect(results.map((row) => row.via)).toEqual(['callback'])
})

test('a call travels with its result found by polling', async () => {
  await using it = await install()
  await it.play('sandbox-zadarma', await sampleCall(it.now()))
  await it.settle()
  const calls = await it.deps.store.db.selectFrom('calls').selectAll().execute()
  expect(calls.map((call) => [call.state, call.reason])).toEqual([['done', null]])
  expect([it.crm('call'), it.crm('note'), it.crm('contact')]).toEqual([1, 1, 1])
})
