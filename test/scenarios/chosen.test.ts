import { expect, test } from 'vitest'
import type { FaultRule } from '../../src/connector/sandbox.ts'
import { chooseRecord } from '../../src/pipeline/choose-record.ts'
import { GENERIC } from './company.ts'
import { DESK, DESK_SETTINGS } from './desk-crm.ts'
import { genericWebhook } from './generic.ts'
import { type Installation, install } from './installation.ts'

// A person says whose call it was: before it has ended, while it is being written, after it was written on somebody else,
// in one of two CRMs. It stands on their record, once, and nothing that is heard later moves it.

const PHONE = '+33639980001'
const vendors = {
  ...GENERIC,
  desk: { use: DESK, settings: DESK_SETTINGS },
  other: { use: DESK, settings: DESK_SETTINGS },
}
const open = (flow: Record<string, unknown> = {}) =>
  install({ vendors, flows: [{ name: 'f', from: ['pbx'], analyze: [], write: ['desk', 'other'], ...flow }] })

const event = (
  it: Installation,
  key: string,
  phase: string,
  facts: Record<string, unknown> = {},
  callId = 'c',
) =>
  genericWebhook([{ key: `${callId}:${key}`, callId, phase, facts: { from: PHONE, ...facts } }], {
    at: it.now(),
  })
const ended = (it: Installation, callId = 'c', from: string | null = PHONE) =>
  event(
    it,
    'ended',
    'ended',
    {
      direction: 'inbound',
      ...(from === null ? { from: null } : { from }),
      startedAt: new Date(it.now() - 60_000).toISOString(),
      endedAt: new Date(it.now()).toISOString(),
      result: 'no_answer',
    },
    callId,
  )
async function say(it: Installation, webhook: ReturnType<typeof ended>): Promise<void> {
  expect((await it.send('pbx', webhook)).status).toBe(202)
  await it.settle()
}
const contact = (it: Installation, crm: string, name: string, phone = PHONE) =>
  it.vendor(crm).addContact?.({ name, phone }) ?? expect.fail('no contact')
const idOf = async (it: Installation, external = 'c') =>
  (
    await it.store.db
      .selectFrom('calls')
      .select('id')
      .where('external_id', '=', external)
      .executeTakeFirstOrThrow()
  ).id
const choose = (it: Installation, id: string, connection: string, record: string) =>
  chooseRecord(it.deps, id, { connection, type: 'contact', id: record, actor: 'operator' })
/** While the CRM is asked for this, and has not answered yet. */
async function chooseDuring(it: Installation, record: string, rule: FaultRule): Promise<void> {
  it.fail('desk', rule)
  await it.send('pbx', ended(it))
  await it.work()
  expect(it.wire.held()).toBe(1)
  await choose(it, await idOf(it), 'desk', record)
}
const on = (it: Installation, crm: string) =>
  ['call', 'note'].map((kind) => it.held(crm, kind).map(({ fields }) => fields.on))

test('a call that stands on one record is put on the other, in all its parts, and nothing is doubled', async () => {
  await using it = await open()
  const anne = contact(it, 'desk', 'Anne')
  const bruno = contact(it, 'desk', 'Bruno', '+33639980002')
  await say(it, ended(it))
  expect(on(it, 'desk')).toEqual([[`contact/${anne}`], [`contact/${anne}`]])
  await choose(it, await idOf(it), 'desk', bruno)
  await it.settle()
  expect(on(it, 'desk')).toEqual([[`contact/${bruno}`], [`contact/${bruno}`]])
  await say(it, event(it, 'more', 'amended', { reference: 'r-1' }))
  expect([on(it, 'desk'), await it.calls()]).toEqual([
    [[`contact/${bruno}`], [`contact/${bruno}`]],
    [['done', null]],
  ])
})

test('in one CRM only: what the others have stays where it is', async () => {
  await using it = await open()
  const [anne, bruno] = [contact(it, 'desk', 'Anne'), contact(it, 'desk', 'Bruno', '+33639980002')]
  const there = contact(it, 'other', 'Anne')
  await say(it, ended(it))
  const second = contact(it, 'other', 'Anne twice')
  expect([anne, there, second]).not.toContain(undefined)
  const sent = it.wire.sent('other').length
  await choose(it, await idOf(it), 'desk', bruno)
  await it.settle()
  expect(on(it, 'desk')).toEqual([[`contact/${bruno}`], [`contact/${bruno}`]])
  expect(on(it, 'other')).toEqual([[`contact/${there}`], [`contact/${there}`]])
  // Its record is known and nothing has changed: it is not even asked.
  expect([it.wire.sent('other').length, await it.calls()]).toEqual([sent, [['done', null]]])
})

test('during the call: it is written when it has ended, and there', async () => {
  await using it = await open()
  contact(it, 'desk', 'Anne')
  const bruno = contact(it, 'desk', 'Bruno', '+33639980002')
  await say(it, event(it, 'ringing', 'ringing', { direction: 'inbound' }))
  expect(await choose(it, await idOf(it), 'desk', bruno)).toEqual({ steps: 0 })
  await it.settle()
  expect([await it.calls(), on(it, 'desk')]).toEqual([[['open', null]], [[], []]])
  await say(it, ended(it))
  expect([on(it, 'desk'), await it.calls()]).toEqual([
    [[`contact/${bruno}`], [`contact/${bruno}`]],
    [['done', null]],
  ])
})

test('while its recording is waited for: it goes on being waited for', async () => {
  await using it = await install({
    vendors: { ...vendors },
    flows: [{ name: 'f', from: ['pbx'], analyze: [], write: ['desk'] }],
  })
  const bruno = contact(it, 'desk', 'Bruno', '+33639980002')
  await say(it, event(it, 'ringing', 'ringing', { direction: 'inbound' }))
  const { db } = it.store
  const waitUntil = it.now() + 600_000
  await it.store.atomic([], [db.updateTable('calls').set({ state: 'waiting', wait_until: waitUntil })])
  await choose(it, await idOf(it), 'desk', bruno)
  const row = await db.selectFrom('calls').select(['state', 'wait_until']).executeTakeFirstOrThrow()
  expect(row).toEqual({ state: 'waiting', wait_until: waitUntil })
})

test('while it is being written on another record: the round that is under way ends, and the next one puts it there', async () => {
  await using it = await open({ write: ['desk'] })
  contact(it, 'desk', 'Anne')
  const bruno = contact(it, 'desk', 'Bruno', '+33639980002')
  await chooseDuring(it, bruno, { method: 'POST', path: '/calls', fault: { kind: 'commit_then_hang' } })
  await it.settle()
  expect([on(it, 'desk'), await it.calls()]).toEqual([
    [[`contact/${bruno}`], [`contact/${bruno}`]],
    [['done', null]],
  ])
})

test('while its record is looked for: what was chosen stands when the answer comes', async () => {
  await using it = await open({ write: ['desk'] })
  contact(it, 'desk', 'Anne')
  const bruno = contact(it, 'desk', 'Bruno', '+33639980002')
  await chooseDuring(it, bruno, { path: '/people', fault: { kind: 'hang' } })
  it.wire.release()
  await it.settle()
  expect(on(it, 'desk')).toEqual([[`contact/${bruno}`], [`contact/${bruno}`]])
})

test('while a contact is being made for an unknown caller: it is made, and what was chosen stands', async () => {
  await using it = await open({ write: ['desk'], unknownCaller: 'create' })
  const bruno = contact(it, 'desk', 'Bruno', '+33639980002')
  await chooseDuring(it, bruno, { method: 'POST', path: '/contacts', fault: { kind: 'hang' } })
  it.wire.release()
  await it.settle()
  const writeback = await it.store.db
    .selectFrom('writebacks')
    .select(['target_id', 'target_reason', 'chosen'])
    .executeTakeFirstOrThrow()
  expect(writeback).toEqual({ target_id: bruno, target_reason: 'chosen by a person', chosen: 1 })
  expect([on(it, 'desk'), await it.calls()]).toEqual([
    [[`contact/${bruno}`], [`contact/${bruno}`]],
    [['done', null]],
  ])
})

test('the last of two choices counts', async () => {
  await using it = await open({ write: ['desk'] })
  const [anne, bruno] = [contact(it, 'desk', 'Anne'), contact(it, 'desk', 'Bruno')]
  await say(it, ended(it))
  const id = await idOf(it)
  await Promise.all([choose(it, id, 'desk', anne), choose(it, id, 'desk', bruno)])
  await it.settle()
  const { target_id: last } = await it.store.db
    .selectFrom('writebacks')
    .select('target_id')
    .executeTakeFirstOrThrow()
  expect([anne, bruno]).toContain(last)
  expect(on(it, 'desk')).toEqual([[`contact/${last}`], [`contact/${last}`]])
  const audit = await it.store.db.selectFrom('audit').select('action').execute()
  expect(audit.filter(({ action }) => action === 'choose')).toHaveLength(2)
})

test('a record that is not there is the CRM’s to refuse, and another choice mends it', async () => {
  await using it = await open({ write: ['desk'] })
  const [anne] = [contact(it, 'desk', 'Anne'), contact(it, 'desk', 'Bruno')]
  await say(it, ended(it))
  it.fail('desk', { method: 'POST', path: '/calls', fault: { kind: 'status', status: 400 } })
  await choose(it, await idOf(it), 'desk', 'nobody')
  await it.settle()
  expect((await it.calls())[0]?.[0]).toBe('attention')
  await choose(it, await idOf(it), 'desk', anne)
  await it.settle()
  expect([on(it, 'desk'), await it.calls()]).toEqual([
    [[`contact/${anne}`], [`contact/${anne}`]],
    [['done', null]],
  ])
})

test('where the flow does not write, nothing is saved and it is said', async () => {
  await using it = await open({ write: ['desk'] })
  contact(it, 'desk', 'Anne')
  await say(it, ended(it))
  const before = await it.store.db.selectFrom('writebacks').selectAll().execute()
  await expect(choose(it, await idOf(it), 'other', '51')).rejects.toMatchObject({
    code: 'bad_request',
    message: 'The flow f of this call does not write to other',
  })
  expect(await it.store.db.selectFrom('writebacks').selectAll().execute()).toEqual(before)
  expect(await it.store.db.selectFrom('audit').selectAll().execute()).toEqual([])
})

test('a call that is joined into an older one later takes the choice with it', async () => {
  await using it = await open({ write: ['desk'] })
  const [, bruno] = [contact(it, 'desk', 'Anne'), contact(it, 'desk', 'Bruno')]
  // Neither is written: both wait for a person.
  await say(it, ended(it, 'a'))
  it.advance(10)
  await say(it, event(it, 'ringing', 'ringing', { direction: 'inbound' }, 'b'))
  await choose(it, await idOf(it, 'b'), 'desk', bruno)
  const link = { key: 'ab', callId: 'a', alsoKnownAs: ['b'], phase: 'amended', facts: { reference: 'one' } }
  await say(it, genericWebhook([link]))
  expect([on(it, 'desk'), await it.calls()]).toEqual([
    [[`contact/${bruno}`], [`contact/${bruno}`]],
    [['done', null]],
  ])
})

test('of a call that was joined the older one is chosen for', async () => {
  await using it = await open({ write: ['desk'] })
  const [, bruno] = [contact(it, 'desk', 'Anne'), contact(it, 'desk', 'Bruno')]
  await say(it, ended(it, 'a'))
  it.advance(10)
  await say(it, ended(it, 'b'))
  const younger = await idOf(it, 'b')
  const link = { key: 'ab', callId: 'a', alsoKnownAs: ['b'], phase: 'amended', facts: { reference: 'one' } }
  await say(it, genericWebhook([link]))
  await choose(it, younger, 'desk', bruno)
  await it.settle()
  expect([on(it, 'desk'), await it.calls()]).toEqual([
    [[`contact/${bruno}`], [`contact/${bruno}`]],
    [['done', null]],
  ])
})
