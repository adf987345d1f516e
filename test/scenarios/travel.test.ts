import { expect, test } from 'vitest'
import { install, sampleCall } from './installation.ts'

// A call ends at the phone system. Its webhooks come in, the recording goes to the analysis service, the result comes
// back by webhook or by polling, and the CRM holds the call, a note and the promised tasks: each once.

test('a call travels from the phone system to the CRM, its result brought by webhook', async () => {
  await using it = await install()
  it.vendor('sandbox-hubspot').addContact?.({ name: 'Camille Durand', phone: '+33639980001' })
  const responses = await it.play('sandbox-twilio', await sampleCall(it.now()))
  expect(responses.every((response) => response.ok)).toBe(true)
  await it.settle()

  expect(await it.calls()).toEqual([['done', null]])
  expect([it.crm('call'), it.crm('note'), it.crm('contact')]).toEqual([1, 1, 1])
  const results = await it.store.db.selectFrom('results').selectAll().execute()
  expect(results.map((row) => row.via)).toEqual(['callback'])
  expect(it.held('sandbox-xosum', 'submission')).toHaveLength(1)
})

test('a call travels with its result found by polling', async () => {
  await using it = await install({
    flows: [
      {
        name: 'z',
        from: ['sandbox-zadarma'],
        analyze: ['sandbox-transcripto'],
        write: ['sandbox-hubspot'],
        unknownCaller: 'create',
      },
    ],
  })
  await it.play('sandbox-zadarma', await sampleCall(it.now()))
  await it.settle()
  expect(await it.calls()).toEqual([['done', null]])
  expect([it.crm('call'), it.crm('note'), it.crm('contact')]).toEqual([1, 1, 1])
  expect(it.held('sandbox-transcripto', 'submission')).toHaveLength(1)
})
