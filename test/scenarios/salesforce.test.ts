import { expect, test } from 'vitest'
import { GENERIC, sandboxVendors } from './company.ts'
import { genericWebhook } from './generic.ts'
import { type Installation, install, sampleCall } from './installation.ts'

// A company with Salesforce: the analysed call stands on its lead once, however the answers end, whether the org has a field
// for our key or not.

const CRM = 'crm'
const PHONE = '+33639980001'
const KEYED = {
  clientId: '3MVG9stand-in-consumer-key-0001',
  clientSecret: 'stand-in-consumer-secret-0001',
  externalIdField: 'Cordboard_Id__c',
  transcript: { file: true },
}
const { externalIdField: _, ...KEYLESS } = KEYED
const VENDORS = (settings: Record<string, unknown> = KEYED) => ({
  ...GENERIC,
  ...sandboxVendors('twilio', 'transcripto'),
  [CRM]: { use: 'salesforce', settings },
})
const FLOWS = [
  {
    name: 'support',
    from: ['sandbox-twilio'],
    analyze: ['sandbox-transcripto'],
    write: [CRM],
    unknownCaller: 'create',
  },
  { name: 'bare', from: ['pbx'], analyze: [], write: [CRM], unknownCaller: 'create' },
]
const counts = (it: Installation) => ['contact', 'call', 'file'].map((kind) => it.held(CRM, kind).length)

test('an analysed call of an unknown caller: a lead, the call on it, its transcript and tasks', async () => {
  await using it = await install({ vendors: VENDORS(), flows: FLOWS })
  await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.settle()
  expect([counts(it), await it.calls()]).toEqual([[1, 1, 1], [['done', null]]])
  const [lead] = it.held(CRM, 'contact')
  const [call] = it.held(CRM, 'call')
  expect(lead?.id).toMatch(/^00Q/)
  expect(call?.fields).toMatchObject({ WhoId: lead?.id, Status: 'Completed', CallType: 'Inbound' })
  expect(call?.fields.Description).toContain('Summary:')
  expect(it.held(CRM, 'file')[0]?.fields.FirstPublishLocationId).toBe(call?.id)
  const tasks = it.held(CRM, 'task')
  expect(tasks.length).toBeGreaterThan(0)
  expect(tasks.every(({ fields }) => fields.WhoId === lead?.id && fields.Status === 'Not Started')).toBe(true)
  const row = await it.store.db.selectFrom('writebacks').selectAll().executeTakeFirstOrThrow()
  expect([row.target_type, row.target_id]).toEqual(['lead', lead?.id])
})

const LOST: [string, Record<string, unknown>, string, string][] = [
  ['a lead', KEYED, 'POST', '/sobjects/Lead'],
  ['a call', KEYED, 'PATCH', '-call'],
  ['a task', KEYED, 'PATCH', '-task-1'],
  ['a transcript', KEYED, 'POST', '/sobjects/ContentVersion'],
  ['a call of an org without our field', KEYLESS, 'POST', '/sobjects/Task'],
]
for (const [what, settings, method, path] of LOST) {
  test(`${what} whose creation ends unknown is there exactly once`, async () => {
    await using it = await install({ vendors: VENDORS(settings), flows: FLOWS })
    it.fail(CRM, { method, path, fault: { kind: 'commit_then_hang' } })
    await it.play('sandbox-twilio', await sampleCall(it.now()))
    await it.settle()
    expect([counts(it), await it.calls()]).toEqual([[1, 1, 1], [['done', null]]])
    const keys = it.held(CRM, 'task').map(({ key }) => key)
    expect(new Set(keys).size).toBe(keys.length)
  })
}

test('two calls of one unknown person at once make one lead', async () => {
  await using it = await install({ vendors: VENDORS(), flows: FLOWS })
  const at = (ms: number) => new Date(it.now() - ms).toISOString()
  const facts = {
    direction: 'inbound',
    from: PHONE,
    startedAt: at(120_000),
    endedAt: at(60_000),
    result: 'answered',
  }
  for (const callId of ['one', 'two']) {
    await it.send('pbx', genericWebhook([{ key: `${callId}:ended`, callId, phase: 'ended', facts }]))
  }
  await it.settle()
  const [lead, ...others] = it.held(CRM, 'contact')
  expect(others).toEqual([])
  expect(it.held(CRM, 'call').map(({ fields }) => fields.WhoId)).toEqual([lead?.id, lead?.id])
})
