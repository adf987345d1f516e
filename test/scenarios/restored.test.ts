import { expect, test } from 'vitest'
import { rerunCall } from '../../src/pipeline/rerun.ts'
import { markRestored } from '../../src/pipeline/restored.ts'
import type { Query, Store } from '../../src/store/port.ts'
import type { Schema } from '../../src/store/schema.ts'
import { GENERIC, sandboxVendors } from './company.ts'
import { genericWebhook } from './generic.ts'
import { type Installation, install, sampleCall } from './installation.ts'

// The store is lost and an older copy of it is put back. The vendors remember what was done since then: what may have been
// done is looked for before it is done, so that nothing stands in the CRM twice and no look-up would have saved money.

const CRM = 'sandbox-hubspot'
const LAG = { settings: { [CRM]: { indexLagMs: 30_000 } } }
/** Of the two services the one that can be asked what it has. */
const ASKED = {
  ...LAG,
  flows: [
    {
      name: 'f',
      from: ['sandbox-zadarma'],
      analyze: ['sandbox-transcripto'],
      write: [CRM],
      unknownCaller: 'create',
    },
  ],
}
const PBX = { vendors: { ...GENERIC, ...sandboxVendors('xosum', 'hubspot') }, ...LAG }
const HOUR = 3_600_000

const TABLES = [
  'deliveries',
  'events',
  'call_keys',
  'calls',
  'steps',
  'attempts',
  'submissions',
  'results',
  'writebacks',
  'writeback_parts',
  'people',
  'issues',
  'breakers',
  'audit',
  'settings',
] as const satisfies ReadonlyArray<keyof Schema>

type Copy = ReadonlyMap<(typeof TABLES)[number], Record<string, unknown>[]>

async function copyOf({ db }: Store): Promise<Copy> {
  const tables = TABLES.map(
    async (table) => [table, await db.selectFrom(table).selectAll().execute()] as const,
  )
  return new Map(await Promise.all(tables))
}

/** The process is gone with its store; another one starts on the copy, which says that it is one. */
async function putBack(it: Installation, copy: Copy, isMarked = true): Promise<void> {
  const { db } = it.store
  const queries: Query[] = []
  for (const [table, rows] of copy) {
    queries.push(db.deleteFrom(table))
    for (const row of rows) queries.push(db.insertInto(table).values(row as never))
  }
  if (isMarked) queries.push(markRestored(it.store, it.now()))
  await it.store.atomic([], queries)
  await it.crash()
}

const inCrm = (it: Installation) => ['contact', 'call', 'note', 'task'].map((kind) => it.crm(kind))
const paid = (it: Installation) => it.held('sandbox-transcripto', 'submission').length
const sent = (it: Installation) => it.wire.sent(CRM).length

const ended = (id: string, facts: Record<string, unknown> = {}) => ({
  key: `${id}:ended`,
  callId: id,
  phase: 'ended',
  facts: {
    direction: 'inbound',
    from: '+33639980001',
    dialed: '+33199000100',
    startedAt: '2026-11-20T11:58:00.000Z',
    result: 'no_answer',
    ...facts,
  },
})

test('whichever commit the copy was made after, the call is paid for and written once', {
  timeout: 300_000,
}, async () => {
  await using it = await install(ASKED)
  const copies: Copy[] = [await copyOf(it.store)]
  const { atomic, append } = it.store
  let last = ''
  const noting = async <Result>(committed: Promise<Result>): Promise<Result> => {
    const result = await committed
    const copy = await copyOf(it.store)
    // Sweeps commit that nothing has changed.
    const text = JSON.stringify([...copy].filter(([table]) => table !== 'settings'))
    if (text !== last) copies.push(copy)
    last = text
    return result
  }
  it.store.atomic = (guards, queries) => noting(atomic(guards, queries))
  it.store.append = (entry) => noting(append(entry))
  const call = await sampleCall(it.now())
  await it.play('sandbox-zadarma', call)
  await it.settle()
  Object.assign(it.store, { atomic, append })
  const once = inCrm(it)
  expect([once.slice(0, 3), paid(it)]).toEqual([[1, 1, 1], 1])
  expect(copies.length).toBeGreaterThan(20)

  for (const [at, copy] of copies.entries()) {
    await putBack(it, copy)
    // Senders repeat what they hold for not taken; here it is everything.
    await it.play('sandbox-zadarma', call)
    await it.settle(2 * HOUR)
    expect([at, inCrm(it), paid(it), await it.calls()]).toEqual([at, once, 1, [['done', null]]])
  }
})

test('a copy that does not say so does work again that was done', async () => {
  await using it = await install(ASKED)
  const before = await copyOf(it.store)
  const call = await sampleCall(it.now())
  await it.play('sandbox-zadarma', call)
  await it.settle()
  await putBack(it, before, false)
  await it.play('sandbox-zadarma', call)
  await it.settle()
  // Only the service refuses by itself what it has got already.
  expect([it.crm('call'), paid(it)]).toEqual([2, 1])
})

test('put back the moment after the last write, it waits until the CRM’s index would show it', async () => {
  await using it = await install(PBX)
  const before = await copyOf(it.store)
  await it.send('pbx', genericWebhook([ended('c')]))
  await it.work()
  expect(inCrm(it)).toEqual([1, 1, 0, 0])
  await putBack(it, before)
  await it.send('pbx', genericWebhook([ended('c')]))
  await it.settle()
  expect([inCrm(it), await it.calls()]).toEqual([[1, 1, 0, 0], [['done', null]]])
})

test('a caller whose new contact was forgotten calls again: the contact is not made twice', async () => {
  await using it = await install(PBX)
  const before = await copyOf(it.store)
  await it.send('pbx', genericWebhook([ended('c')]))
  await it.work()
  await putBack(it, before)
  await it.send('pbx', genericWebhook([ended('d', { startedAt: new Date(it.now()).toISOString() })]))
  await it.settle()
  expect(inCrm(it)).toEqual([1, 2, 0, 0])
})

test('calls that begin later are written without a request more than before', async () => {
  await using it = await install(PBX)
  const play = async (id: string) => {
    const already = sent(it)
    await it.send('pbx', genericWebhook([ended(id, { startedAt: new Date(it.now()).toISOString() })]))
    await it.settle()
    return sent(it) - already
  }
  await play('first')
  await it.pass(HOUR)
  const usual = await play('second')
  await putBack(it, await copyOf(it.store))
  const near = await play('third')
  await it.pass(HOUR)
  expect([near > usual, await play('fourth')]).toEqual([true, usual])
  expect(inCrm(it)).toEqual([1, 4, 0, 0])
})

test('a call of two ids is found under either, whichever is heard of first', async () => {
  await using it = await install(PBX)
  const link = { key: 'link', callId: 'a', alsoKnownAs: ['b'], phase: 'amended', facts: { reference: 'r-1' } }
  const say = async (...events: Record<string, unknown>[]) => {
    await it.send('pbx', genericWebhook(events))
    it.advance(10)
  }
  const before = await copyOf(it.store)
  await say(ended('a'))
  await say(ended('b'))
  await say(link)
  await it.settle()
  expect(inCrm(it)).toEqual([1, 1, 0, 0])
  await putBack(it, before)
  await say(ended('b'))
  await say(link)
  await say(ended('a'))
  await it.settle()
  expect([inCrm(it), await it.calls()]).toEqual([[1, 1, 0, 0], [['done', null]]])
})

test('where the CRM cannot be asked the step parks and says why; a person who has looked lets it go on', async () => {
  await using it = await install(PBX)
  const before = await copyOf(it.store)
  await it.send('pbx', genericWebhook([ended('c')]))
  await it.settle()
  await putBack(it, before)
  forgetFind(it)
  await it.send('pbx', genericWebhook([ended('c')]))
  await it.settle()
  const [[state, reason] = []] = await it.calls()
  expect([state, it.crm('call')]).toEqual(['attention', 1])
  expect(reason).toMatch(
    /^ambiguous: The store was put back from an older copy\. It is not known whether the contact/,
  )
  const { id } = await it.store.db.selectFrom('calls').select('id').executeTakeFirstOrThrow()
  await rerunCall(it.deps, id, { from: 'write', actor: 'operator' })
  await it.settle()
  expect([await it.calls(), it.crm('call')]).toEqual([[['done', null]], 2])
})

/** The CRM of this installation has no look-up. */
function forgetFind(it: Installation): void {
  const connection = it.deps.config.connections.get(CRM)
  if (!connection?.connector.crm) throw new RangeError('there is no CRM')
  const { find: _, ...crm } = connection.connector.crm
  const connections = new Map(it.deps.config.connections)
  connections.set(CRM, { ...connection, connector: { ...connection.connector, crm } })
  Object.assign(it.deps.config, { connections })
}
