import { expect, test } from 'vitest'
import { GENERIC, type Vendors } from './company.ts'
import { genericWebhook } from './generic.ts'
import { type Installation, install, sampleCall } from './installation.ts'

// Bitrix24 beside a phone system, and as one: a caller nobody knows becomes a lead with one call on it, however its creation
// ends; the portal's own calls are written to once, and what we registered there does not come back as another call.

const CRM = 'bitrix'
const TOKEN = '51856fefc120afa4b628cc82d3935cce'
const BITRIX: Vendors = {
  [CRM]: {
    use: 'bitrix24',
    settings: {
      clientId: 'local.1',
      clientSecret: 'stand-in-client-secret-0001',
      refreshToken: 'stand-in-refresh-token-0001',
      authUrl: `https://${CRM}.example.com`,
      applicationToken: TOKEN,
      owners: { fallback: '1' },
      callBack: { tasks: true },
      newRecord: 'lead',
      calls: true,
      recorded: false,
    },
  },
}
const flow = (from: string) => ({
  name: 'f',
  from: [from],
  analyze: [],
  write: [CRM],
  unknownCaller: 'create',
})
const beside = () => install({ vendors: { ...GENERIC, ...BITRIX }, flows: [flow('pbx')] })
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
const counts = (it: Installation) =>
  ['lead', 'contact', 'call', 'todo'].map((kind) => it.held(CRM, kind).length)

for (const method of ['crm.lead.add', 'externalCall.register', 'externalCall.finish', 'todo.add']) {
  for (const fault of [
    { kind: 'commit_then_hang' },
    { kind: 'hang' },
    { kind: 'commit_then_status', status: 504 },
  ] as const) {
    test(`${method} whose end is unknown (${fault.kind}) leaves one lead, one call and one to-do`, async () => {
      await using it = await beside()
      it.fail(CRM, { path: method, fault })
      await it.send('pbx', genericWebhook([missed]))
      await it.settle()
      expect([counts(it), await it.calls()]).toEqual([[1, 0, 1, 1], [['done', null]]])
      const [lead] = it.held(CRM, 'lead')
      expect(it.held(CRM, 'call')[0]?.fields).toMatchObject({
        CRM_ENTITY_TYPE: 'LEAD',
        CRM_ENTITY_ID: lead?.id,
      })
    })
  }
}

test('a bucket that is full is waited for, and a token that has ended is renewed with the one of the last time', async () => {
  await using it = await beside()
  const full = { error: 'QUERY_LIMIT_EXCEEDED', error_description: 'Too many requests' }
  it.fail(CRM, { path: 'register', fault: { kind: 'status', status: 503, body: full }, times: 3 })
  await it.send('pbx', genericWebhook([missed]))
  await it.settle()
  await it.pass(7_200_000)
  await it.send('pbx', genericWebhook([{ ...missed, key: 'd:ended', callId: 'd' }]))
  await it.settle()
  expect([counts(it), await it.calls()]).toEqual([
    [1, 0, 2, 2],
    [
      ['done', null],
      ['done', null],
    ],
  ])
})

test('its own call is not registered again, and what we registered is no call of its own', async () => {
  await using it = await install({
    vendors: { ...GENERIC, ...BITRIX },
    flows: [flow(CRM), { ...flow('pbx'), name: 'g' }],
  })
  await it.play(CRM, { ...(await sampleCall(it.now())), result: 'no_answer', talkMs: 0 })
  await it.settle()
  expect([counts(it).slice(2), await it.calls()]).toEqual([[1, 0], [['done', null]]])

  await it.send('pbx', genericWebhook([missed]))
  await it.settle()
  const ours = it.held(CRM, 'call').find(({ key }) => key !== null)
  const form = new URLSearchParams({
    event: 'ONVOXIMPLANTCALLEND',
    'data[CALL_ID]': ours?.id ?? '',
    'data[CALL_TYPE]': '2',
    'data[PORTAL_NUMBER]': 'REST_APP:',
    'data[CALL_START_DATE]': '2026-11-20T11:58:00+00:00',
    'auth[application_token]': TOKEN,
  })
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  await it.send(CRM, { says: 'end', method: 'POST', path: '', headers, body: form.toString() })
  await it.settle()
  expect(await it.calls()).toHaveLength(2)
})
