import { expect, test } from 'vitest'
import type { Media } from '../../src/media/port.ts'
import { chooseRecord } from '../../src/pipeline/choose-record.ts'
import { replayDeliveries } from '../../src/pipeline/replay.ts'
import { rerunCall } from '../../src/pipeline/rerun.ts'
import { GENERIC } from './company.ts'
import { DESK, DESK_SETTINGS, deskWebhook } from './desk-crm.ts'
import { genericWebhook } from './generic.ts'
import { type Installation, install } from './installation.ts'

// What happens to the records that calls were written on: two people are merged, one is deleted, one is erased because they
// asked for it. Calls follow, are matched anew, or are forgotten here as well.

const PHONE = '+33639980001'
const OTHER = '+33639980002'
const open = (flow: Record<string, unknown> = {}) =>
  install({
    vendors: { ...GENERIC, desk: { use: DESK, settings: DESK_SETTINGS } },
    flows: [{ name: 'f', from: ['pbx', 'desk'], analyze: [], write: ['desk'], ...flow }],
  })

const ended = (it: Installation, id: string, from = PHONE, more: Record<string, unknown> = {}) => ({
  key: `${id}:ended`,
  callId: id,
  phase: 'ended',
  facts: {
    direction: 'inbound',
    from,
    startedAt: new Date(it.now() - 60_000).toISOString(),
    endedAt: new Date(it.now()).toISOString(),
    result: 'no_answer',
    ...more,
  },
})
async function call(it: Installation, id: string, from = PHONE): Promise<void> {
  await it.send('pbx', genericWebhook([ended(it, id, from)]))
  await it.settle()
}
async function amend(it: Installation, id: string): Promise<void> {
  const facts = { reference: `r-${it.now()}` }
  await it.send('pbx', genericWebhook([{ key: `${id}:${it.now()}`, callId: id, phase: 'amended', facts }]))
  await it.settle()
}
async function change(
  it: Installation,
  ...changes: NonNullable<Parameters<typeof deskWebhook>[0]['changes']>
) {
  await it.send('desk', deskWebhook({ changes }))
  await it.settle()
}
const contact = (it: Installation, name: string, phone = PHONE) =>
  it.vendor('desk').addContact?.({ name, phone }) ?? expect.fail('no contact')
const gone = (it: Installation, id: string) =>
  it.vendor('desk').app.request(`/contacts/${id}`, {
    method: 'DELETE',
    headers: { authorization: `Bearer ${DESK_SETTINGS.token}` },
  })
const targets = async (it: Installation) =>
  (await it.store.db.selectFrom('writebacks').select('target_id').orderBy('target_id').execute()).map(
    (row) => row.target_id,
  )
const on = (it: Installation, kind: string) => it.held('desk', kind).map(({ fields }) => fields.on)

const TABLES = [
  'calls',
  'call_keys',
  'events',
  'steps',
  'attempts',
  'writebacks',
  'writeback_parts',
  'submissions',
  'results',
  'deliveries',
  'people',
] as const
/** Tables in which something still stands, of those that hold what is known of a call. */
async function rows(it: Installation): Promise<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (const table of TABLES) {
    const { count } = await it.store.db
      .selectFrom(table)
      .select((eb) => eb.fn.countAll<number>().as('count'))
      .executeTakeFirstOrThrow()
    if (count > 0) counts[table] = count
  }
  return counts
}

/** A call whose delivery is too long for a row. */
async function longCall(it: Installation): Promise<string> {
  await it.send('pbx', genericWebhook([ended(it, 'c1')], { besides: 'y'.repeat(400_000) }))
  await it.settle()
  const row = await it.store.db
    .selectFrom('deliveries')
    .select(['state', 'media_id'])
    .executeTakeFirstOrThrow()
  expect(row.state).toBe('used')
  return row.media_id ?? expect.fail('it stands in its row')
}
async function isKept(media: Media, id: string): Promise<boolean> {
  const found = await media.get(id)
  await found?.body.cancel()
  return found !== null
}

test('the calls of a record that was merged are those of the other from then on', async () => {
  await using it = await open()
  const [old, kept] = [contact(it, 'Anne'), contact(it, 'Anne B.', OTHER)]
  await call(it, 'c1')
  await change(it, { change: 'merged', type: 'contact', id: old, into: kept })
  await gone(it, old)
  expect(await targets(it)).toEqual([kept])
  await amend(it, 'c1')
  expect([on(it, 'call'), on(it, 'note'), await it.calls()]).toEqual([
    [`contact/${kept}`],
    [`contact/${kept}`],
    [['done', null]],
  ])
})

test('only records of the kind that is named are meant', async () => {
  await using it = await open({ unknownCaller: 'create' })
  await call(it, 'c1')
  const [created = ''] = await targets(it)
  expect(created).not.toBeNull()
  for (const of of ['merged', 'deleted', 'erased'] as const) {
    await change(it, { change: of, type: 'company', id: created ?? '', into: '999' })
    expect(await targets(it)).toEqual([created])
    const people = await it.store.db.selectFrom('people').select('external_id').execute()
    expect(people).toEqual([{ external_id: created }])
  }
})

test('a record that was deleted is matched anew by what is heard next, and what stands of the call is put there', async () => {
  await using it = await open()
  const old = contact(it, 'Anne')
  await call(it, 'c1')
  await gone(it, old)
  await change(it, { change: 'deleted', type: 'contact', id: old })
  expect(await targets(it)).toEqual([null])
  const fresh = contact(it, 'Anne again')
  await amend(it, 'c1')
  expect([await targets(it), on(it, 'call'), on(it, 'note')]).toEqual([
    [fresh],
    [`contact/${fresh}`],
    [`contact/${fresh}`],
  ])
})

test('a contact that we made and that was deleted is made anew for the next call, and the old one is not named again', async () => {
  await using it = await open({ unknownCaller: 'create' })
  await call(it, 'c1')
  const [old = ''] = await targets(it)
  await gone(it, old ?? '')
  await change(it, { change: 'deleted', type: 'contact', id: old ?? '' })
  await call(it, 'c2')
  const made = it.held('desk', 'contact').map(({ id }) => id)
  expect(made).toHaveLength(1)
  expect(made).not.toContain(old)
  // The first call comes to it as well, when more is heard of it.
  await amend(it, 'c1')
  expect([await targets(it), it.held('desk', 'contact').length]).toEqual([[made[0], made[0]], 1])
  expect(on(it, 'call')).toEqual([`contact/${made[0]}`, `contact/${made[0]}`])
})

test('the same call whose own contact was deleted makes another, once', async () => {
  await using it = await open({ unknownCaller: 'create' })
  await call(it, 'c1')
  const [old = ''] = await targets(it)
  await gone(it, old ?? '')
  await change(it, { change: 'deleted', type: 'contact', id: old ?? '' })
  await amend(it, 'c1')
  const made = it.held('desk', 'contact').map(({ id }) => id)
  expect(made).toHaveLength(1)
  expect(made).not.toContain(old)
  expect([await targets(it), on(it, 'call')]).toEqual([made, [`contact/${made[0]}`]])
})

test('who is erased there is erased here: calls, deliveries, steps, what was written, their reserved number', async () => {
  await using it = await open({ unknownCaller: 'create' })
  await call(it, 'c1')
  await call(it, 'c2')
  await amend(it, 'c1')
  const [id] = await targets(it)
  await change(it, { change: 'erased', type: 'contact', id: id ?? '' })
  // The webhook that said so, and what became of it, is all that is left.
  expect(await rows(it)).toEqual({ deliveries: 1, steps: 1, attempts: expect.any(Number) })
  const left = await it.store.db.selectFrom('attempts').selectAll().execute()
  expect(JSON.stringify(left)).not.toContain(PHONE)
  expect(left.every((row) => row.call_id === null)).toBe(true)
  const [said] = left.filter((row) => row.says.includes('erased'))
  expect(said?.says).toBe('2 calls erased with their contact')
})

test('somebody else’s calls stay as they are', async () => {
  await using it = await open()
  const [anne, bruno] = [contact(it, 'Anne'), contact(it, 'Bruno', OTHER)]
  await call(it, 'c1')
  await call(it, 'c2', OTHER)
  const before = await it.store.db.selectFrom('calls').selectAll().where('external_id', '=', 'c2').execute()
  await change(it, { change: 'erased', type: 'contact', id: anne })
  expect(await it.store.db.selectFrom('calls').selectAll().execute()).toEqual(before)
  expect(await targets(it)).toEqual([bruno])
})

test('what is erased does not come back by a replay, of their deliveries or of the webhook that said so', async () => {
  await using it = await open()
  const anne = contact(it, 'Anne')
  await call(it, 'c1')
  await change(it, { change: 'erased', type: 'contact', id: anne })
  await replayDeliveries(it.deps, {}, { actor: 'operator', dryRun: false })
  await it.settle()
  expect(await it.calls()).toEqual([])
  expect(Object.keys(await rows(it))).toEqual(['steps', 'attempts', 'deliveries'])
})

test('bodies that lie in the media store go with their delivery', async () => {
  await using it = await open()
  const anne = contact(it, 'Anne')
  const media = await longCall(it)
  expect(await isKept(it.deps.media, media)).toBe(true)
  await change(it, { change: 'erased', type: 'contact', id: anne })
  expect([await it.calls(), await isKept(it.deps.media, media)]).toEqual([[], false])
})

test('a media store that fails meanwhile leaves nothing behind: the step comes back and erases it', async () => {
  await using it = await open()
  const anne = contact(it, 'Anne')
  const media = await longCall(it)
  const { media: store } = it.deps
  let fails = 1
  it.deps.media = {
    ...store,
    delete: async (ids) => {
      if (fails-- > 0) throw new Error('the disk is away')
      return store.delete(ids)
    },
  }
  await change(it, { change: 'erased', type: 'contact', id: anne })
  expect([await it.calls(), await isKept(store, media)]).toEqual([[], false])
})

test('a person of more calls than one page', async () => {
  await using it = await open()
  const anne = contact(it, 'Anne')
  for (let n = 0; n < 101; n += 1) await it.send('pbx', genericWebhook([ended(it, `c${n}`)]))
  await it.settle()
  expect(await targets(it)).toEqual(Array.from({ length: 101 }, () => anne))
  await change(it, { change: 'erased', type: 'contact', id: anne })
  expect(await it.calls()).toEqual([])
  const says = (await it.store.db.selectFrom('attempts').select('says').execute()).map((row) => row.says)
  expect(says).toContain('101 calls erased with their contact')
})

test('of a webhook that tells of a merge and then of the erasure of what it was merged into, all is erased', async () => {
  await using it = await open()
  const [old, kept] = [contact(it, 'Anne'), contact(it, 'Anne B.', OTHER)]
  await call(it, 'c1')
  await call(it, 'c2', OTHER)
  await change(
    it,
    { change: 'merged', type: 'contact', id: old, into: kept },
    { change: 'erased', type: 'contact', id: kept },
  )
  expect(await it.calls()).toEqual([])
})

test('a conversation that two records had a part in is erased with either of them', async () => {
  await using it = await open()
  contact(it, 'Bruno', OTHER)
  const anne = contact(it, 'Anne')
  // Both are written before they turn out to be one: the younger’s record stays what it was.
  await call(it, 'a', OTHER)
  it.advance(1_000)
  await call(it, 'b')
  const join = { key: 'ab', callId: 'a', alsoKnownAs: ['b'], phase: 'amended', facts: { reference: 'one' } }
  await it.send('pbx', genericWebhook([join]))
  await it.settle()
  expect([(await it.calls()).length, (await targets(it)).length]).toEqual([1, 2])
  await change(it, { change: 'erased', type: 'contact', id: anne })
  const left = await rows(it)
  expect([left.calls, left.events, left.writebacks]).toEqual([undefined, undefined, undefined])
})

test('a step of the call that is at the CRM while its person is erased commits nothing afterwards', async () => {
  await using it = await open()
  const anne = contact(it, 'Anne')
  await call(it, 'c1')
  it.fail('desk', { method: 'PATCH', path: '/calls/', fault: { kind: 'hang' } })
  await it.send(
    'pbx',
    genericWebhook([{ key: 'm', callId: 'c1', phase: 'amended', facts: { reference: 'r' } }]),
  )
  await it.work()
  expect(it.wire.held()).toBe(1)
  await it.send('desk', deskWebhook({ changes: [{ change: 'erased', type: 'contact', id: anne }] }))
  await it.work()
  expect(await it.calls()).toEqual([])
  it.wire.release()
  await it.settle()
  expect(await rows(it)).toEqual({ deliveries: 1, steps: 1, attempts: expect.any(Number) })
})

test('the name of who was erased does not stay among the candidates of other calls', async () => {
  await using it = await open()
  const ids = [contact(it, 'Anne Martin'), contact(it, 'Bruno')]
  await call(it, 'c1')
  const { id } = await it.store.db.selectFrom('calls').select('id').executeTakeFirstOrThrow()
  await chooseRecord(it.deps, id, {
    connection: 'desk',
    type: 'contact',
    id: ids[1] ?? '',
    actor: 'operator',
  })
  await it.settle()
  await change(it, { change: 'erased', type: 'contact', id: ids[0] ?? '' })
  const { candidates } = await it.store.db
    .selectFrom('writebacks')
    .select('candidates')
    .executeTakeFirstOrThrow()
  expect(candidates).not.toContain('Anne Martin')
  expect(candidates).toContain('Bruno')
})

test('changes, calls to look up and ended calls of one webhook are all taken', async () => {
  await using it = await open()
  const [old, kept] = [contact(it, 'Anne'), contact(it, 'Anne B.', OTHER)]
  await call(it, 'c1')
  const startedAt = new Date(it.now()).toISOString()
  await it.send(
    'desk',
    deskWebhook({
      calls: ['nowhere'],
      ended: [{ id: 'k9', phone: OTHER, startedAt }],
      changes: [{ change: 'merged', type: 'contact', id: old, into: kept }],
    }),
  )
  await it.settle()
  expect(await targets(it)).toEqual([kept, kept])
  expect((await it.calls()).length).toBe(2)
})

test('a rerun after a merge leaves the call where it is now', async () => {
  await using it = await open()
  const [old, kept] = [contact(it, 'Anne'), contact(it, 'Anne B.', OTHER)]
  await call(it, 'c1')
  await change(it, { change: 'merged', type: 'contact', id: old, into: kept })
  const { id } = await it.store.db.selectFrom('calls').select('id').executeTakeFirstOrThrow()
  await rerunCall(it.deps, id, { from: 'write', actor: 'operator' })
  await it.settle()
  expect([await targets(it), on(it, 'call'), it.held('desk', 'call').length]).toEqual([
    [kept],
    [`contact/${kept}`],
    1,
  ])
})
