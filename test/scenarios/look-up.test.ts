import { expect, test } from 'vitest'
import { replayDeliveries } from '../../src/pipeline/replay.ts'
import { rerunCall } from '../../src/pipeline/rerun.ts'
import { DESK, DESK_SETTINGS, deskWebhook } from './desk-crm.ts'
import { type Installation, install, sampleCall } from './installation.ts'

// A CRM that is a phone system as well: its webhook names calls without telling of them. They are looked up, once; and
// what comes of them is written onto the CRM's own record, not beside it.

const DESKS = { vendors: { desk: { use: DESK, settings: DESK_SETTINGS } } }
const open = (flow: Record<string, unknown> = {}) =>
  install({ ...DESKS, flows: [{ name: 'f', from: ['desk'], analyze: [], write: ['desk'], ...flow }] })

async function logged(it: Installation, id: string, phone = '+33639980001'): Promise<void> {
  const { audio: _, ...call } = await sampleCall(it.now(), { id, customerPhone: phone })
  it.place('desk', call)
}
const asked = (it: Installation, path: string) => it.wire.sent('desk').filter((line) => line === path).length
const callsHere = async (it: Installation) =>
  (
    await it.store.db.selectFrom('calls').select(['external_id', 'state']).orderBy('external_id').execute()
  ).map((row) => [row.external_id, row.state])

test('calls that a webhook only names are looked up in the lane of their CRM and become calls', async () => {
  await using it = await open()
  await logged(it, 'k1')
  await logged(it, 'k2', '+33639980002')
  await it.send('desk', deskWebhook({ calls: ['k1', 'k2'] }))
  await it.settle()
  expect(await callsHere(it)).toEqual([
    ['k1', 'done'],
    ['k2', 'done'],
  ])
  const steps = await it.store.db
    .selectFrom('steps')
    .select(['lane', 'state'])
    .where('kind', '=', 'look_up')
    .execute()
  expect(steps).toEqual([{ lane: 'desk', state: 'done' }])
  const deliveries = await it.store.db.selectFrom('deliveries').select('state').execute()
  expect(deliveries).toEqual([{ state: 'used' }])
})

test('sent again, named by another webhook or replayed, a call is there once and written once', async () => {
  await using it = await open()
  await logged(it, 'k1')
  const webhook = deskWebhook({ calls: ['k1'] })
  await it.send('desk', webhook)
  await it.send('desk', webhook)
  await it.settle()
  await it.send('desk', webhook)
  await it.send('desk', deskWebhook({ calls: ['k1', 'k1'] }))
  await it.settle()
  await replayDeliveries(it.deps, {}, { actor: 'operator', dryRun: false })
  await it.settle()
  expect(await callsHere(it)).toEqual([['k1', 'done']])
  expect([it.held('desk', 'call').length, it.held('desk', 'note').length]).toEqual([1, 1])
  const events = await it.store.db.selectFrom('events').select('event_key').execute()
  expect(events).toEqual([{ event_key: 'k1:ended' }])
})

for (const fault of [
  { kind: 'status', status: 429, retryAfter: '20' },
  { kind: 'status', status: 503 },
  { kind: 'hang' },
] as const) {
  test(`a CRM that answers ${'status' in fault ? fault.status : 'nothing'} is asked again, and nothing is lost`, async () => {
    await using it = await open()
    await logged(it, 'k1')
    it.fail('desk', { path: '/calls/k1', fault, times: 3 })
    await it.send('desk', deskWebhook({ calls: ['k1'] }))
    await it.settle()
    expect(await callsHere(it)).toEqual([['k1', 'done']])
    expect(asked(it, 'GET /calls/k1')).toBe(4)
  })
}

test('refused credentials park it; when the CRM takes us again it goes on by itself', async () => {
  await using it = await open()
  await logged(it, 'k1')
  it.fail('desk', { fault: { kind: 'status', status: 401 }, times: 4 })
  await it.send('desk', deskWebhook({ calls: ['k1'] }))
  await it.work()
  const step = () =>
    it.store.db
      .selectFrom('steps')
      .select(['state', 'code'])
      .where('kind', '=', 'look_up')
      .executeTakeFirstOrThrow()
  expect(await step()).toEqual({ state: 'parked', code: 'auth' })
  await it.settle()
  expect([await step(), await callsHere(it)]).toEqual([{ state: 'done', code: null }, [['k1', 'done']]])
})

test('one that is gone meanwhile takes nothing from the others', async () => {
  await using it = await open()
  await logged(it, 'k2')
  await it.send('desk', deskWebhook({ calls: ['gone', 'k2'] }))
  await it.send('desk', deskWebhook({ calls: ['gone'] }))
  await it.settle()
  expect(await callsHere(it)).toEqual([['k2', 'done']])
  expect(await it.store.db.selectFrom('issues').selectAll().execute()).toEqual([])
})

test('an answer that is no call is kept as unreadable, with an issue, and nothing of it is merged', async () => {
  await using it = await open()
  await it.vendor('desk').app.request('/calls', {
    method: 'POST',
    headers: { authorization: `Bearer ${DESK_SETTINGS.token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ phone: '+33639980001', startedAt: 'yesterday' }),
  })
  const [wrong] = it.held('desk', 'call')
  await it.send('desk', deskWebhook({ calls: [wrong?.id ?? ''] }))
  await it.settle()
  expect(await callsHere(it)).toEqual([])
  const delivery = await it.store.db.selectFrom('deliveries').select(['state', 'reason']).executeTakeFirst()
  expect(delivery).toEqual({ state: 'unreadable', reason: expect.stringContaining('startedAt') })
  const issues = await it.store.db.selectFrom('issues').select(['kind', 'code', 'state']).execute()
  expect(issues).toEqual([{ kind: 'look_up', code: 'invalid_payload', state: 'open' }])
})

test('the CRM’s own record is the one that is written to: nothing in it is replaced, none is made beside it', async () => {
  await using it = await open()
  it.vendor('desk').addContact?.({ name: 'Anne', phone: '+33639980001' })
  await logged(it, 'k1')
  await it.send('desk', deskWebhook({ calls: ['k1'] }))
  await it.settle()
  expect(it.held('desk', 'call').map(({ id, fields }) => [id, fields.notes])).toEqual([['k1', 'own words']])
  expect(asked(it, 'POST /calls')).toBe(0)
  // Without an analysis nothing is to be added: the record is not even touched.
  expect(asked(it, 'PATCH /calls/k1')).toBe(0)
  const { id } = await it.store.db.selectFrom('calls').select('id').executeTakeFirstOrThrow()
  const analysis = JSON.stringify({ summary: 'They want it today' })
  await it.store.atomic([], [it.store.db.updateTable('calls').set({ analysis }).where('id', '=', id)])
  for (let round = 0; round < 2; round += 1) {
    await rerunCall(it.deps, id, { from: 'write', actor: 'operator' })
    await it.settle()
  }
  expect(it.held('desk', 'call').map((one) => [one.id, one.fields.notes, one.fields.summary])).toEqual([
    ['k1', 'own words', 'They want it today'],
  ])
  expect([asked(it, 'POST /calls'), asked(it, 'PATCH /calls/k1'), it.held('desk', 'note').length]).toEqual([
    0, 1, 1,
  ])
})

for (const unknownCaller of ['create', 'skip', 'unmatched'] as const) {
  test(`nobody is made a contact of for a call that stands in the CRM already (${unknownCaller})`, async () => {
    await using it = await open({ unknownCaller })
    await logged(it, 'k1')
    await it.send('desk', deskWebhook({ calls: ['k1'] }))
    await it.settle()
    expect([it.held('desk', 'contact'), it.held('desk', 'call').length]).toEqual([[], 1])
    expect(await it.store.db.selectFrom('people').selectAll().execute()).toEqual([])
    expect(await callsHere(it)).toEqual([['k1', 'done']])
  })
}
