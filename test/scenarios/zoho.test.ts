import { expect, test } from 'vitest'
import { GENERIC, type Vendors } from './company.ts'
import { genericWebhook } from './generic.ts'
import { type Installation, install, sampleCall } from './installation.ts'

// Zoho CRM beside a phone system, and as one that tells of calls by their ids alone: however a creation ends, with a unique
// field or without, there is one contact, one call and one task; and what we logged there is no call of Zoho's own.

const CRM = 'zoho'
const vendors = (more: Record<string, unknown> = {}): Vendors => ({
  ...GENERIC,
  [CRM]: {
    use: 'zoho',
    settings: {
      clientId: '1000.1',
      clientSecret: 'stand-in-client-secret-0001',
      refreshToken: 'stand-in-refresh-token-0001',
      accountsUrl: `https://${CRM}.example.com`,
      notificationToken: 'stand-in-notification-token-0001',
      owners: { fallback: '5545974000000000001' },
      callBack: { tasks: true },
      calls: true,
      ...more,
    },
  },
})
const flow = (from: string) => ({
  name: from,
  from: [from],
  analyze: [],
  write: [CRM],
  unknownCaller: 'create',
})
const missed = {
  key: 'c:ended',
  callId: 'c',
  phase: 'ended',
  facts: {
    direction: 'inbound',
    from: '+33639980001',
    startedAt: '2026-11-20T11:58:00.000Z',
    result: 'no_answer',
  },
}
const counts = (it: Installation) => ['Contacts', 'Calls', 'Tasks'].map((kind) => it.held(CRM, kind).length)

for (const externalIdField of [undefined, 'Cordboard_Id']) {
  for (const path of ['/Contacts$', '/Calls$', '/Tasks$']) {
    for (const fault of [
      { kind: 'commit_then_hang' },
      { kind: 'hang' },
      { kind: 'commit_then_status', status: 502 },
    ] as const) {
      const how = externalIdField === undefined ? 'by the search' : 'by the unique field'
      test(`${path} whose end is unknown (${fault.kind}) is there once, found ${how}`, async () => {
        const field = externalIdField === undefined ? {} : { externalIdField }
        await using it = await install({ vendors: vendors(field), flows: [flow('pbx')] })
        it.fail(CRM, { method: 'POST', path, fault })
        await it.send('pbx', genericWebhook([missed]))
        await it.settle()
        expect([counts(it), await it.calls()]).toEqual([[1, 1, 1], [['done', null]]])
        const [contact] = it.held(CRM, 'Contacts')
        expect(it.held(CRM, 'Calls')[0]?.fields).toMatchObject({
          Call_Type: 'Missed',
          Who_Id: { id: contact?.id },
        })
      })
    }
  }
}

test('a call that Zoho tells of is read, and written to once; one that we logged is none', async () => {
  await using it = await install({ vendors: vendors(), flows: [flow(CRM), flow('pbx')] })
  await it.play(CRM, { ...(await sampleCall(it.now())), result: 'no_answer', talkMs: 0 })
  await it.settle()
  // The task to call back stands on the contact it was logged on.
  expect([counts(it), await it.calls()]).toEqual([[1, 1, 1], [['done', null]]])
  expect(it.held(CRM, 'Calls')[0]?.fields).not.toHaveProperty('Description')

  await it.send('pbx', genericWebhook([missed]))
  await it.settle()
  const ours = it.held(CRM, 'Calls').find(({ key }) => key !== null)
  const notified = {
    module: 'Calls',
    operation: 'insert',
    ids: [ours?.id],
    token: 'stand-in-notification-token-0001',
  }
  const headers = { 'content-type': 'application/json' }
  const body = JSON.stringify(notified)
  await it.send(CRM, { says: 'Calls.create', method: 'POST', path: '', headers, body })
  await it.settle()
  expect(await it.calls()).toHaveLength(2)
})

test('an accounts server that is asked too often is waited for', async () => {
  await using it = await install({ vendors: vendors(), flows: [flow('pbx')] })
  const body = { error: 'Access Denied', error_description: 'You have made too many requests continuously.' }
  it.fail(CRM, { path: '/oauth/', fault: { kind: 'status', status: 400, body } })
  await it.send('pbx', genericWebhook([missed]))
  await it.settle()
  expect([counts(it), await it.calls()]).toEqual([[1, 1, 1], [['done', null]]])
})
