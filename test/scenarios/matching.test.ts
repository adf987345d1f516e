import { expect, test } from 'vitest'
import { z } from 'zod'
import { chooseRecord } from '../../src/pipeline/choose-record.ts'
import { GENERIC, sandboxVendors } from './company.ts'
import { genericWebhook } from './generic.ts'
import { type Installation, type InstallOptions, install } from './installation.ts'

// Whose call it is: several records with one number, one that the CRM's search does not show yet, nobody; and what of the
// call goes where the operator wants it.

const CRM = 'sandbox-hubspot'
const PHONE = '+33639980001'
const VENDORS = { vendors: { ...GENERIC, ...sandboxVendors('xosum', 'hubspot') } }
const flow = (keys: Record<string, unknown> = {}) => ({
  name: 'support',
  from: ['pbx'],
  analyze: [],
  write: [CRM],
  ...keys,
})

const open = (keys: Record<string, unknown> = {}, more: InstallOptions = {}) =>
  install({ ...VENDORS, flows: [flow(keys)], ...more })

async function call(it: Installation, facts: Record<string, unknown> = {}): Promise<string> {
  const startedAt = new Date(it.now() - 120_000).toISOString()
  const endedAt = new Date(it.now() - 60_000).toISOString()
  const known = { direction: 'inbound', from: PHONE, startedAt, endedAt, result: 'answered', ...facts }
  await it.send('pbx', genericWebhook([{ key: 'c:ended', callId: 'c', phase: 'ended', facts: known }]))
  await it.settle()
  const { id } = await it.store.db.selectFrom('calls').select('id').executeTakeFirstOrThrow()
  return id
}

const contact = (it: Installation, name: string) =>
  it.vendor(CRM).addContact?.({ name, phone: PHONE }) ?? expect.fail('no contact')
/** As the account's owner does it by hand. */
async function makeProperty(it: Installation, name: string, type: 'string' | 'number'): Promise<void> {
  const { settings } = it.deps.config.connections.get(CRM) ?? expect.fail('no CRM')
  const { token } = z.object({ token: z.string() }).parse(settings)
  const property = {
    name,
    label: name,
    type,
    fieldType: type === 'string' ? 'text' : 'number',
    groupName: 'call',
  }
  const response = await it.vendor(CRM).app.request('/crm/properties/2026-03/calls', {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(property),
  })
  expect(response.status).toBe(201)
}

const writtenOn = (it: Installation) => it.held(CRM, 'call').map(({ fields }) => fields.associations)
const writeback = (it: Installation) =>
  it.store.db.selectFrom('writebacks').selectAll().executeTakeFirstOrThrow()

test('two contacts with one number that no rule tells apart: a person chooses, and only then is it written', async () => {
  await using it = await open()
  const ids = [contact(it, 'Anne'), contact(it, 'Bruno')]
  const id = await call(it)
  expect(await it.calls()).toEqual([['attention', expect.stringMatching(/^several_records: 2 of 2 /)]])
  expect(it.crm('call')).toBe(0)
  const row = await writeback(it)
  expect([row.state, row.target_id]).toEqual(['undecided', null])
  expect(JSON.parse(row.candidates).map((one: { id: string }) => one.id)).toEqual(ids)

  await chooseRecord(it.deps, id, { connection: CRM, type: 'contact', id: ids[1] ?? '', actor: 'operator' })
  await it.settle()
  expect(await it.calls()).toEqual([['done', null]])
  expect(writtenOn(it)).toEqual([[`contact/${ids[1]}`]])
  const issues = await it.store.db.selectFrom('issues').select('state').execute()
  expect(issues).toEqual([{ state: 'resolved' }])
})

test('what a person chose stays, whatever is heard of the call afterwards', async () => {
  await using it = await open({ unknownCaller: 'unmatched' })
  const id = await call(it)
  const chosen = contact(it, 'Chloe')
  await chooseRecord(it.deps, id, { connection: CRM, type: 'contact', id: chosen, actor: 'operator' })
  await it.settle()
  contact(it, 'Denis')
  await it.send(
    'pbx',
    genericWebhook([{ key: 'c:more', callId: 'c', phase: 'amended', facts: { reference: 'r-1' } }]),
  )
  await it.settle()
  expect([it.crm('call'), (await writeback(it)).target_id]).toEqual([1, chosen])
  expect(writtenOn(it)).toEqual([[`contact/${chosen}`]])
})

test('the newest of several, where the flow says so', async () => {
  await using it = await open({ prefer: ['newest'] })
  contact(it, 'Anne')
  it.advance(1_000)
  const newest = contact(it, 'Bruno')
  await call(it)
  expect(writtenOn(it)).toEqual([[`contact/${newest}`]])
  expect((await writeback(it)).target_reason).toMatch(/^the newest one, of 2 with this number: /)
})

test('an empty rule leaves every choice to a person', async () => {
  await using it = await open({ prefer: [] })
  contact(it, 'Anne')
  it.advance(1_000)
  contact(it, 'Bruno')
  await call(it)
  expect(await it.calls()).toEqual([['attention', expect.stringMatching(/the flow has no rule/)]])
})

/** A call that ended a second ago, worked on as far as that goes now. */
async function justEnded(it: Installation): Promise<void> {
  const at = (ago: number) => new Date(it.now() - ago).toISOString()
  const facts = {
    direction: 'inbound',
    from: PHONE,
    startedAt: at(60_000),
    endedAt: at(1_000),
    result: 'answered',
  }
  await it.send('pbx', genericWebhook([{ key: 'c:ended', callId: 'c', phase: 'ended', facts }]))
}

test('a CRM whose search shows a record at once is not waited for, where its connection says so', async () => {
  await using it = await open({ unknownCaller: 'create' })
  const known = it.deps.config.connections.get(CRM) ?? expect.fail('no CRM')
  Object.assign(known, { indexLagMs: 0 })
  await justEnded(it)
  await it.work()
  expect([it.crm('contact'), it.crm('call')]).toEqual([1, 1])
})

test('who was entered during the call is found once the CRM’s search shows them, and not created twice', async () => {
  await using it = await open({ unknownCaller: 'create' }, { settings: { [CRM]: { indexLagMs: 30_000 } } })
  await justEnded(it)
  await it.work()
  // Nothing is created while the search may lag behind.
  expect([it.crm('contact'), it.crm('call')]).toEqual([0, 0])
  const own = contact(it, 'Emma')
  await it.settle()
  expect([it.crm('contact'), writtenOn(it)]).toEqual([1, [[`contact/${own}`]]])
})

test('a missed call leaves a task to call back, once', async () => {
  await using it = await open({}, { settings: { [CRM]: { callBack: { tasks: true } } } })
  contact(it, 'Anne')
  await call(it, { result: 'no_answer' })
  await it.send(
    'pbx',
    genericWebhook([{ key: 'c:more', callId: 'c', phase: 'amended', facts: { reference: 'r-1' } }]),
  )
  await it.settle()
  expect(it.held(CRM, 'task').map(({ fields }) => [fields.hs_task_type, fields.hs_task_subject])).toEqual([
    ['CALL', 'Call back'],
  ])
})

test('fields of the operator’s own get what the flow maps to them', async () => {
  await using it = await open({
    write: {
      [CRM]: { call_reference: 'call.reference', call_minutes: 'call.talkMs', call_mood: 'sentiment' },
    },
  })
  contact(it, 'Anne')
  await makeProperty(it, 'call_reference', 'string')
  await makeProperty(it, 'call_minutes', 'number')
  await call(it, { reference: 'order 7', talkMs: 61_000 })
  const [written] = it.held(CRM, 'call')
  expect(written?.fields).toMatchObject({ call_reference: 'order 7', call_minutes: '61000' })
  expect(written?.fields).not.toHaveProperty('call_mood')
})
