import { expect, test } from 'vitest'
import type { SandboxWebhook } from '../../src/connector/sandbox.ts'
import { GENERIC, sandboxVendors } from './company.ts'
import { genericWebhook } from './generic.ts'
import { type Installation, install, sampleCall } from './installation.ts'

// Another dialler logs its calls in HubSpot, with a link to the recording. Cordboard hears of it, has the call analysed and
// brings what was found out back to that very record: once, however often HubSpot tells of it, and its own writing is no news.

const CRM = 'sandbox-hubspot'
const ANALYSIS = 'sandbox-transcripto'
const CALLER = '+33639980001'
const VENDORS = { ...GENERIC, ...sandboxVendors('transcripto', 'hubspot') }

const logged = (keys: Record<string, unknown> = {}, settings: Record<string, unknown> = {}) =>
  install({
    vendors: VENDORS,
    settings: { [CRM]: { calls: true, ...settings } },
    flows: [
      {
        name: 'logged',
        from: [CRM],
        analyze: [ANALYSIS],
        write: { [CRM]: { call_topic: 'summary', hs_call_title: 'summary' } },
        ...keys,
      },
      { name: 'own', from: ['pbx'], analyze: [], write: [CRM], unknownCaller: 'create' },
    ],
  })

const ask = async (it: Installation, method: string, path: string, body: unknown): Promise<Response> =>
  it.vendor(CRM).app.request(path, {
    method,
    headers: { authorization: 'Bearer sandbox-hubspot-token', 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })

/** Somebody whose calls are logged, and the property that the mapping names. */
async function prepared(it: Installation): Promise<string> {
  const property = {
    name: 'call_topic',
    label: 'Topic',
    type: 'string',
    fieldType: 'text',
    groupName: 'call',
  }
  expect((await ask(it, 'POST', '/crm/properties/2026-03/calls', property)).status).toBe(201)
  return it.vendor(CRM).addContact?.({ name: 'Camille Durand', phone: CALLER }) ?? expect.fail('no contact')
}

const again = (webhook: SandboxWebhook): SandboxWebhook => {
  const list = JSON.parse(webhook.body) as Record<string, unknown>[]
  return { ...webhook, body: JSON.stringify(list.map((event) => ({ ...event, attemptNumber: 1 }))) }
}
const count = (it: Installation) => ['call', 'note', 'task'].map((kind) => it.crm(kind))

test('a logged call is analysed and comes back to its own record, which keeps what its dialler wrote', async () => {
  await using it = await logged()
  const contact = await prepared(it)
  await it.play(CRM, await sampleCall(it.now(), { customerPhone: CALLER }))
  await it.settle()
  expect(await it.calls()).toEqual([['done', null]])
  const [call, ...others] = it.held(CRM, 'call')
  expect(others).toEqual([])
  expect(call?.fields).toMatchObject({
    hs_call_title: 'Logged by the dialler',
    hs_call_body: 'Call of Alice Martin',
    hs_call_status: 'COMPLETED',
    call_topic: expect.stringMatching(/\w/),
    associations: expect.arrayContaining([`contact/${contact}`]),
  })
  expect(call?.fields).not.toHaveProperty('hs_call_external_id')
  const [note] = it.held(CRM, 'note')
  expect(note?.fields).toMatchObject({
    hs_note_body: expect.stringContaining('Summary:'),
    associations: [`contact/${contact}`],
  })
  expect([it.crm('note'), it.held(ANALYSIS, 'submission').length]).toEqual([1, 1])
})

test('told again and again, and in one delivery with another call, it is written once', async () => {
  await using it = await logged()
  await prepared(it)
  const webhooks = it.place(CRM, await sampleCall(it.now(), { customerPhone: CALLER }))
  for (const webhook of webhooks) await it.send(CRM, webhook)
  for (const webhook of webhooks) await it.send(CRM, again(webhook))
  await it.settle()
  const before = { counts: count(it), book: JSON.stringify(it.vendor(CRM).book()) }
  expect(before.counts.slice(0, 2)).toEqual([1, 1])
  for (const webhook of webhooks) await it.send(CRM, again(again(webhook)))
  await it.settle()
  expect({ counts: count(it), book: JSON.stringify(it.vendor(CRM).book()) }).toEqual(before)
  expect(await it.calls()).toEqual([['done', null]])

  const second = it.place(CRM, await sampleCall(it.now(), { customerPhone: CALLER }))
  const all = [...webhooks, ...second].flatMap(({ body }) => JSON.parse(body) as unknown[])
  await it.send(CRM, { ...(webhooks[0] ?? expect.fail('no webhook')), body: JSON.stringify(all) })
  await it.settle()
  expect([count(it).slice(0, 2), (await it.calls()).length]).toEqual([[2, 2], 2])
})

test('what Cordboard writes itself is told of too, and is no call of HubSpot’s', async () => {
  await using it = await logged()
  await prepared(it)
  await it.send(
    'pbx',
    genericWebhook([
      {
        key: 'c:ended',
        callId: 'c',
        phase: 'ended',
        facts: {
          direction: 'inbound',
          from: CALLER,
          startedAt: '2026-11-20T11:58:00.000Z',
          result: 'no_answer',
        },
      },
    ]),
  )
  await it.settle()
  const told = await it.store.db.selectFrom('deliveries').select('connection').execute()
  expect(told.map(({ connection }) => connection).sort()).toEqual(['pbx', CRM])
  expect([it.crm('call'), await it.calls()]).toEqual([1, [['done', null]]])
})

for (const [part, path] of [
  ['note', '/notes$'],
  ['call', '/calls/'],
] as const) {
  test(`a ${part} whose writing ends unknown is there once all the same`, async () => {
    await using it = await logged({}, { indexLagMs: 30_000 })
    await prepared(it)
    const method = part === 'call' ? 'PATCH' : 'POST'
    it.fail(CRM, { method, path, fault: { kind: 'commit_then_hang' } })
    await it.play(CRM, await sampleCall(it.now(), { customerPhone: CALLER }))
    await it.settle()
    expect([count(it).slice(0, 2), await it.calls()]).toEqual([[1, 1], [['done', null]]])
    expect(it.held(CRM, 'call')[0]?.fields).toMatchObject({ call_topic: expect.stringMatching(/\w/) })
  })
}

test('while HubSpot is down nothing of it is lost', async () => {
  await using it = await logged()
  await prepared(it)
  it.fail(CRM, { path: '/calls/batch/read', fault: { kind: 'status', status: 502 }, times: 3 })
  await it.play(CRM, await sampleCall(it.now(), { customerPhone: CALLER }))
  await it.settle()
  expect([count(it).slice(0, 2), await it.calls()]).toEqual([[1, 1], [['done', null]]])
})

test('a recording that is linked later is heard then', async () => {
  await using it = await logged()
  await prepared(it)
  const sample = await sampleCall(it.now(), { customerPhone: CALLER })
  const [created, linked] = it.place(CRM, sample)
  const [{ objectId }] = JSON.parse(created?.body ?? '[]') as [{ objectId: number }]
  const path = `/crm/objects/2026-03/calls/${objectId}`
  const link = it.held(CRM, 'call')[0]?.fields.hs_call_recording_url
  await ask(it, 'PATCH', path, { properties: { hs_call_recording_url: '' } })
  await it.send(CRM, created ?? expect.fail('nothing was told'))
  await it.settle(60_000)
  expect(it.crm('note')).toBe(0)
  it.advance(1000)
  await ask(it, 'PATCH', path, { properties: { hs_call_recording_url: link } })
  await it.send(CRM, linked ?? expect.fail('the link was not told'))
  await it.settle()
  expect([count(it).slice(0, 2), await it.calls()]).toEqual([[1, 1], [['done', null]]])
})

test('a call whose webhooks all got lost is found in the list, once', async () => {
  await using it = await logged({}, { reconcile: { every: '15 minutes', over: '24 hours' } })
  await prepared(it)
  await it.pass(1_800_000)
  it.place(CRM, await sampleCall(it.now(), { customerPhone: CALLER }))
  await it.pass(2 * 3_600_000)
  expect([count(it).slice(0, 2), await it.calls()]).toEqual([[1, 1], [['done', null]]])
})

test('a call that somebody enters by hand, without numbers and recording, stays as it is', async () => {
  await using it = await logged()
  const contact = await prepared(it)
  const properties = { hs_timestamp: '2026-11-20T11:00:00Z', hs_call_title: 'Talked at the fair' }
  const types = [{ associationCategory: 'HUBSPOT_DEFINED', associationTypeId: 194 }]
  const associations = [{ to: { id: contact }, types }]
  await ask(it, 'POST', '/crm/objects/2026-03/calls', { properties, associations })
  const before = JSON.stringify(it.vendor(CRM).book())
  await it.settle()
  expect(await it.calls()).toEqual([['done', null]])
  expect(JSON.stringify(it.vendor(CRM).book())).toBe(before)
})

test('a contact that is erased for good takes its calls with it', async () => {
  await using it = await logged()
  const contact = await prepared(it)
  await it.play(CRM, await sampleCall(it.now(), { customerPhone: CALLER }))
  await it.settle()
  expect(
    (await ask(it, 'POST', '/crm/objects/2026-03/contacts/gdpr-delete', { objectId: contact })).status,
  ).toBe(204)
  await it.settle()
  expect(await it.calls()).toEqual([])
})
