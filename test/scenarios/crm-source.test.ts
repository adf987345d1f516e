import { expect, test } from 'vitest'
import type { SandboxWebhook } from '../../src/connector/sandbox.ts'
import { GENERIC, sandboxVendors, type Vendors } from './company.ts'
import { genericWebhook } from './generic.ts'
import { type Installation, install, sampleCall } from './installation.ts'

// A dialler logs its calls in the CRM, with a link to the recording, and there is no phone system to ask. The CRM says
// which record it is; the call is read there, analysed, and what was found stands on that very record, once. What Cordboard
// itself writes comes back as a message too, and must not become a call.

const CRM = 'crm'
const BACKEND = 'sandbox-transcripto'
const SECRET = 'flow-signing-key-0123456789abcdef'
const BY_MESSAGE = { by: 'outbound message', token: 'wQ1kq8s0aX7d2mC5yB9zT4fH6jL3nP0r' }
const BY_JSON = { by: 'signed JSON', secret: SECRET }

const org = (keys: Record<string, unknown> = {}): Vendors => ({
  ...GENERIC,
  ...sandboxVendors('transcripto'),
  [CRM]: {
    use: 'salesforce',
    settings: {
      clientId: '3MVG9stand-in-consumer-key-0001',
      clientSecret: 'stand-in-consumer-secret-0001',
      externalIdField: 'Cordboard_Id__c',
      orgId: '00D000000000001EAA',
      inbound: BY_MESSAGE,
      calls: {
        startField: 'Began_At__c',
        phoneField: 'Number__c',
        recordingField: 'Recording_URL__c',
        recordingHosts: ['crm.example.com'],
        dispositions: { Connected: 'answered', 'No answer': 'no_answer' },
      },
      ...keys,
    },
  },
})
const FLOWS = [
  { name: 'logged', from: [CRM], analyze: [BACKEND], write: [CRM], unknownCaller: 'unmatched' },
  { name: 'by-pbx', from: ['pbx'], analyze: [], write: [CRM], unknownCaller: 'create' },
]
const installed = (keys: Record<string, unknown> = {}, more: Record<string, unknown> = {}) =>
  install({ vendors: org(keys), flows: FLOWS, ...more })

const logged = (it: Installation) => it.held(CRM, 'call')
const writes = (it: Installation) => it.wire.sent(CRM).filter((line) => !line.startsWith('GET'))
/** The same message as another notification: Salesforce sends one whenever the record changes. */
const again = (webhook: SandboxWebhook, nth: number, change = (body: string) => body): SandboxWebhook => ({
  ...webhook,
  body: change(webhook.body.replace(/<Notification><Id>04l./, `<Notification><Id>04l${nth}`)),
})
const first = (webhooks: SandboxWebhook[]): SandboxWebhook => {
  const [webhook] = webhooks
  if (!webhook) throw new Error('the CRM sends nothing')
  return webhook
}

for (const inbound of [BY_MESSAGE, BY_JSON]) {
  test(`a call that a dialler logged is analysed, and what was found stands on its own record (${inbound.by})`, async () => {
    await using it = await installed({ inbound })
    const answer = await post(it, first(it.place(CRM, await sampleCall(it.now()))))
    expect(answer.status).toBe(200)
    expect(await answer.text()).toContain('<Ack>true</Ack>')
    await it.settle()
    expect(await it.calls()).toEqual([['done', null]])
    const [call, ...others] = logged(it)
    expect(others).toEqual([])
    expect(call?.fields).toMatchObject({ Subject: 'Call', CallDisposition: 'Connected', TaskSubtype: 'Call' })
    expect(call?.fields.Description).toContain('Summary:')
    expect(call?.fields.Description).toMatch(/Cordboard ref wbk_\w+-call$/)
    // The key is for records that Cordboard made.
    expect(call?.fields.Cordboard_Id__c ?? null).toBeNull()
    const row = await it.store.db
      .selectFrom('calls')
      .select(['call', 'external_id'])
      .executeTakeFirstOrThrow()
    expect(row.external_id).toBe(call?.id)
    expect(JSON.parse(row.call)).toMatchObject({
      source: { connection: CRM, callId: call?.id },
      direction: 'inbound',
      result: 'answered',
      agent: { extension: expect.any(String), name: expect.any(String), email: expect.stringContaining('@') },
      customer: { crm: { [CRM]: call?.fields.WhoId }, name: 'Dupont' },
      recordings: [{ state: 'ready' }],
    })
    expect(it.held(CRM, 'contact')).toHaveLength(1)
    expect(it.held(CRM, 'task').length).toBeGreaterThan(0)
  })
}

test('what Cordboard wrote on the record brings no second round, and a redelivery brings nothing at all', async () => {
  await using it = await installed()
  const webhook = first(it.place(CRM, await sampleCall(it.now())))
  await post(it, webhook)
  await it.settle()
  const [before] = logged(it)
  const wrote = writes(it).length
  for (let nth = 1; nth <= 3; nth += 1) await post(it, again(webhook, nth))
  await post(it, webhook)
  await it.settle()
  expect(writes(it)).toHaveLength(wrote)
  expect(logged(it)).toEqual([before])
  expect(await it.calls()).toEqual([['done', null]])
})

test('a call that a phone system told of is written once: the CRM’s message of that record is no call', async () => {
  await using it = await installed()
  const facts = {
    direction: 'inbound',
    from: '+33639980001',
    startedAt: '2026-11-20T11:58:00.000Z',
    result: 'no_answer',
  }
  await it.send('pbx', genericWebhook([{ key: 'c:ended', callId: 'c', phase: 'ended', facts }]))
  await it.settle()
  const [ours] = logged(it)
  expect(ours?.key).toMatch(/^wbk_/)
  const webhook = first(it.place(CRM, await sampleCall(it.now())))
  const id = ours?.id ?? ''
  // With nothing but its id, and with all of it.
  const bare = again(webhook, 1, (body) =>
    body.replace(/(<sObject[^>]*>).*(<\/sObject>)/s, `$1<sf:Id>${id}</sf:Id>$2`),
  )
  const whole = again(webhook, 2, (body) => body.replace(/<sf:Id>\w+</, `<sf:Id>${id}<`))
  for (const one of [bare, whole]) expect((await post(it, one)).status).toBe(200)
  await it.settle()
  expect(await it.calls()).toEqual([['done', null]])
  expect(logged(it).filter((call) => call.id === id)).toEqual([ours])
})

test('a recording whose link comes later is analysed then', async () => {
  await using it = await installed()
  const call = await sampleCall(it.now())
  const webhook = first(it.place(CRM, call))
  const [task] = logged(it)
  const link = String(task?.fields.Recording_URL__c)
  await patch(it, task?.id, { Recording_URL__c: null })
  await post(it, webhook)
  await it.settle()
  expect(await it.calls()).toEqual([['done', null]])
  expect(logged(it)[0]?.fields.Description ?? null).toBeNull()
  await patch(it, task?.id, { Recording_URL__c: link })
  await post(it, again(webhook, 1))
  await it.settle()
  expect(logged(it)[0]?.fields.Description).toContain('Summary:')
  expect(logged(it)).toHaveLength(1)
})

test('a message that got lost is made up for by the list, and the call is still one', async () => {
  await using it = await installed({ reconcile: { every: '1 hour', over: '1 day' } })
  const webhook = first(it.place(CRM, await sampleCall(it.now())))
  await it.pass(7_200_000)
  expect(await it.calls()).toEqual([['done', null]])
  expect(logged(it)[0]?.fields.Description).toContain('Summary:')
  const wrote = writes(it).length
  await post(it, again(webhook, 1))
  await it.pass(1_800_000)
  expect([await it.calls(), writes(it).length]).toEqual([[['done', null]], wrote])
})

test('of another organisation nothing is used, and the delivery is kept', async () => {
  await using it = await installed()
  const webhook = first(it.place(CRM, await sampleCall(it.now())))
  const foreign = again(webhook, 1, (body) => body.replace('00D000000000001EAA', '00D000000000002EAA'))
  expect((await post(it, foreign)).status).toBe(200)
  await it.settle()
  expect(await it.calls()).toEqual([])
  const rows = await it.store.db.selectFrom('deliveries').select('state').execute()
  expect(rows).toEqual([{ state: 'unreadable' }])
})

test('a contact that was merged takes its calls along; one that was erased takes them away', async () => {
  await using it = await installed({ inbound: BY_JSON })
  await post(it, first(it.place(CRM, await sampleCall(it.now()))))
  await it.settle()
  const [contact] = it.held(CRM, 'contact')
  const tell = (records: unknown[]) =>
    post(it, {
      says: 'records',
      method: 'POST',
      path: '',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ records }),
    })
  const target = () => it.store.db.selectFrom('writebacks').select('target_id').execute()
  expect(await target()).toEqual([{ target_id: contact?.id }])
  const into = '003d00000009999AAA'
  await tell([{ change: 'merged', id: contact?.id, into }])
  await it.settle()
  expect(await target()).toEqual([{ target_id: into }])
  await tell([{ change: 'erased', id: into }])
  await it.settle()
  expect(await it.calls()).toEqual([])
})

/** As the CRM sends it: an outbound message has all its proof in its URL. */
async function post(it: Installation, webhook: SandboxWebhook): Promise<Response> {
  if (webhook.path === '') return it.send(CRM, webhook)
  const { method, path, headers, body } = webhook
  return it.receive(new Request(`https://hooks.example.com/hooks/${CRM}${path}`, { method, headers, body }))
}

/** Somebody changes a record in the CRM. */
async function patch(
  it: Installation,
  id: string | undefined,
  fields: Record<string, unknown>,
): Promise<void> {
  const { app } = it.vendor(CRM)
  const base = 'https://crm.example.com'
  const granted = await app.request(`${base}/services/oauth2/token`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: '3MVG9stand-in-consumer-key-0001',
      client_secret: 'stand-in-consumer-secret-0001',
    }).toString(),
  })
  const { access_token: token } = (await granted.json()) as { access_token: string }
  const response = await app.request(`${base}/services/data/v67.0/sobjects/Task/${id}`, {
    method: 'PATCH',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(fields),
  })
  expect(response.status).toBe(204)
}
