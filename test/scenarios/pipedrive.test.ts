import { expect, test } from 'vitest'
import { GENERIC, sandboxVendors } from './company.ts'
import { genericWebhook } from './generic.ts'
import { type Installation, install, sampleCall } from './installation.ts'

// A company with Pipedrive: the analysed call stands on its person once, however the answers end; a call that was made in
// Pipedrive is known here without standing there twice; and of a person who was deleted nothing is written on any more.

const CRM = 'crm'
const PHONE = '+33639980001'
const VENDORS = {
  ...GENERIC,
  ...sandboxVendors('twilio', 'transcripto'),
  [CRM]: {
    use: 'pipedrive',
    settings: {
      apiToken: 'stand-in-api-token-0001',
      webhookPassword: 'stand-in-webhook-password-1',
      calls: true,
    },
  },
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
  { name: 'made there', from: [CRM], analyze: [], write: [CRM], unknownCaller: 'skip' },
]
const count = (it: Installation, kind: string) => it.held(CRM, kind).length
const counts = (it: Installation) => ['person', 'activity', 'note'].map((kind) => count(it, kind))
const KINDS = { person: '/persons$', activity: '/activities$', note: '/notes$' }

test.each(['activity', 'callLog'])(
  'an analysed call of an unknown caller: a person, %s, note and tasks',
  async (log) => {
    await using it = await install({ vendors: VENDORS, flows: FLOWS, settings: { [CRM]: { log } } })
    await it.play('sandbox-twilio', await sampleCall(it.now()))
    await it.settle()
    expect([counts(it), count(it, 'callLog'), await it.calls()]).toEqual([
      [1, 1, 1],
      log === 'callLog' ? 1 : 0,
      [['done', null]],
    ])
    expect(count(it, 'task')).toBeGreaterThan(0)
    const [person] = it.held(CRM, 'person')
    expect(it.held(CRM, 'activity')[0]?.fields.person_id).toBe(Number(person?.id))
  },
)

for (const [kind, path] of Object.entries(KINDS)) {
  test(`a ${kind} whose creation ends unknown is there exactly once`, async () => {
    await using it = await install({ vendors: VENDORS, flows: FLOWS })
    it.fail(CRM, { method: 'POST', path, fault: { kind: 'commit_then_hang' } })
    await it.play('sandbox-twilio', await sampleCall(it.now()))
    await it.settle()
    expect([counts(it), await it.calls()]).toEqual([[1, 1, 1], [['done', null]]])
  })
}

test('a call that was made in Pipedrive is known here, and stands there once', async () => {
  await using it = await install({ vendors: VENDORS, flows: FLOWS })
  const responses = await it.play(CRM, await sampleCall(it.now()))
  expect(responses.map(({ status }) => status)).toEqual([202])
  await it.settle()
  expect([count(it, 'activity'), await it.calls()]).toEqual([1, [['done', null]]])
  const row = await it.store.db.selectFrom('writebacks').selectAll().executeTakeFirstOrThrow()
  expect([row.target_type, row.target_id]).toEqual(['person', it.held(CRM, 'person')[0]?.id])
})

test('calls of a person who was deleted in Pipedrive are matched anew', async () => {
  await using it = await install({ vendors: VENDORS, flows: FLOWS })
  const call = async (callId: string) => {
    const at = (ms: number) => new Date(it.now() - ms).toISOString()
    const facts = {
      direction: 'inbound',
      from: PHONE,
      startedAt: at(120_000),
      endedAt: at(60_000),
      result: 'answered',
    }
    await it.send('pbx', genericWebhook([{ key: `${callId}:ended`, callId, phase: 'ended', facts }]))
    await it.settle()
  }
  await call('one')
  const person = it.held(CRM, 'person')[0]?.id ?? ''
  const targets = () => it.store.db.selectFrom('writebacks').select('target_id').execute()
  expect(await targets()).toEqual([{ target_id: person }])
  await it.send(CRM, {
    says: 'person delete',
    method: 'POST',
    path: '',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ meta: { action: 'delete', entity: 'person', entity_id: person }, data: null }),
  })
  await it.settle()
  expect(await targets()).toEqual([{ target_id: null }])
})
