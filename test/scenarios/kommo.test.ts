import { expect, test } from 'vitest'
import { GENERIC, sandboxVendors } from './company.ts'
import { genericWebhook } from './generic.ts'
import { type Installation, install, sampleCall } from './installation.ts'

// A company with Kommo: the analysed call stands on its contact once, however the answers end, whichever way it goes there; a
// call of another telephony is known here and gets its analysis beside it; and calls of a deleted contact are matched anew.

const CRM = 'crm'
const PHONE = '+33639980001'
const TOKEN = 'stand-in-hook-token-1'
const VENDORS = {
  ...GENERIC,
  ...sandboxVendors('twilio', 'transcripto'),
  [CRM]: { use: 'kommo', settings: { token: 'stand-in-long-lived-token-1', hookToken: TOKEN, calls: true } },
}
const FLOWS = [
  {
    name: 'support',
    from: ['sandbox-twilio'],
    analyze: ['sandbox-transcripto'],
    write: [CRM],
    unknownCaller: 'create',
  },
  { name: 'bare', from: ['pbx'], analyze: [], write: [CRM], unknownCaller: 'create' },
  { name: 'made there', from: [CRM], analyze: ['sandbox-transcripto'], write: [CRM], unknownCaller: 'skip' },
]
const count = (it: Installation, kind: string) => it.held(CRM, kind).length
const counts = (it: Installation) => ['contact', 'call', 'note'].map((kind) => count(it, kind))
/** The proof is the path itself. */
const post = (it: Installation, body: string) =>
  it.receive(
    new Request(`https://hooks.example.com/hooks/${CRM}/${TOKEN}`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body,
    }),
  )

test.each(['note', 'call'])(
  'an analysed call of an unknown caller: contact, call (as a %s), note and tasks',
  async (log) => {
    await using it = await install({ vendors: VENDORS, flows: FLOWS, settings: { [CRM]: { log } } })
    await it.play('sandbox-twilio', await sampleCall(it.now()))
    await it.settle()
    expect([counts(it), await it.calls()]).toEqual([[1, 1, 1], [['done', null]]])
    expect(count(it, 'task')).toBeGreaterThan(0)
    const [contact] = it.held(CRM, 'contact')
    expect(it.held(CRM, 'call')[0]?.fields.on).toBe(`contacts/${contact?.id}`)
  },
)

for (const path of ['/contacts$', '/notes$', '/calls$', '/tasks$']) {
  test(`what is made by ${path} is there exactly once, though its answer got lost`, async () => {
    const log = path === '/calls$' ? 'call' : 'note'
    await using it = await install({ vendors: VENDORS, flows: FLOWS, settings: { [CRM]: { log } } })
    it.fail(CRM, { method: 'POST', path, fault: { kind: 'commit_then_hang' } })
    await it.play('sandbox-twilio', await sampleCall(it.now()))
    await it.settle()
    const tasks = it.held(CRM, 'task').map(({ key }) => key)
    expect([counts(it), tasks.length, await it.calls()]).toEqual([
      [1, 1, 1],
      new Set(tasks).size,
      [['done', null]],
    ])
  })
}

test('a call of another telephony is analysed, and its note stays the only call', async () => {
  await using it = await install({ vendors: VENDORS, flows: FLOWS })
  const [webhook] = it.place(CRM, await sampleCall(it.now()))
  expect((await post(it, webhook?.body ?? '')).status).toBe(200)
  await it.settle()
  expect([counts(it), await it.calls()]).toEqual([[1, 1, 1], [['done', null]]])
  expect(it.held(CRM, 'note')[0]?.fields.on).toBe(`contacts/${it.held(CRM, 'contact')[0]?.id}`)
})

test('calls of a contact who was deleted in Kommo are matched anew', async () => {
  await using it = await install({ vendors: VENDORS, flows: FLOWS })
  const at = (ms: number) => new Date(it.now() - ms).toISOString()
  const facts = {
    direction: 'inbound',
    from: PHONE,
    startedAt: at(120_000),
    endedAt: at(60_000),
    result: 'answered',
  }
  await it.send('pbx', genericWebhook([{ key: 'one:ended', callId: 'one', phase: 'ended', facts }]))
  await it.settle()
  const contact = it.held(CRM, 'contact')[0]?.id ?? ''
  const targets = () => it.store.db.selectFrom('writebacks').select('target_id').execute()
  expect(await targets()).toEqual([{ target_id: contact }])
  const form = new URLSearchParams({ 'contacts[delete][0][id]': contact, 'account[id]': '31000001' })
  await post(it, form.toString())
  await it.settle()
  expect(await targets()).toEqual([{ target_id: null }])
})
