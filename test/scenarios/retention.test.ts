import { expect, test } from 'vitest'
import { auditRow } from '../../src/pipeline/audit.ts'
import { eraseCalls } from '../../src/pipeline/erase-calls.ts'
import { rerunCall } from '../../src/pipeline/rerun.ts'
import { deliveryRow } from '../unit/http-world.ts'
import { GENERIC, sandboxVendors } from './company.ts'
import { genericWebhook } from './generic.ts'
import { type Installation, install, sampleCall } from './installation.ts'

// What the operator does not want to keep goes: deliveries with their bodies, and transcripts wherever they stand. The
// calls stay, so that "where is that call?" has an answer.

const DAY = 86_400_000
const everything = async (it: Installation) => {
  const { db } = it.store
  const [results, calls, events] = await Promise.all([
    db.selectFrom('results').select('analysis as text').execute(),
    db.selectFrom('calls').select(['analysis as text', 'call']).execute(),
    db.selectFrom('events').select('event as text').execute(),
  ])
  return [...results, ...calls, ...events].flatMap((row) => Object.values(row)).join('\n')
}

/** Whether the media store has it. */
async function isKept(it: Installation, id: string | null | undefined): Promise<boolean> {
  const found = await it.deps.media.get(id ?? '')
  await found?.body.cancel()
  return found !== null
}

test('used deliveries are erased with their steps and bodies, what is still needed stays', async () => {
  await using it = await install({
    vendors: { ...GENERIC, ...sandboxVendors('xosum', 'hubspot') },
    config: { keep: { deliveries: '7 days' } },
  })
  const event = {
    key: 'c:ended',
    callId: 'c',
    phase: 'ended',
    facts: { direction: 'inbound', result: 'busy' },
  }
  await it.send('pbx', genericWebhook([event], { padding: 'x'.repeat(300_000) }))
  await it.send('pbx', genericWebhook([{ key: 'k', callId: 'c', phase: 'singing', facts: {} }]))
  await it.settle()
  const { db } = it.store
  const media = await db
    .selectFrom('deliveries')
    .select('media_id')
    .where('media_id', 'is not', null)
    .executeTakeFirst()
  expect(await isKept(it, media?.media_id)).toBe(true)
  await it.pass(8 * DAY)
  expect(await db.selectFrom('deliveries').select('state').execute()).toEqual([{ state: 'unreadable' }])
  expect(await isKept(it, media?.media_id)).toBe(false)
  expect(await it.calls()).toEqual([['done', null]])
})

test('transcripts go from results, calls and events, and do not come back', async () => {
  await using it = await install({ config: { keep: { transcript: '7 days' } } })
  for (let n = 0; n < 3; n++) await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.settle()
  expect(await everything(it)).toContain('"transcript"')
  await it.pass(6 * DAY)
  expect(await everything(it)).toContain('"transcript"')
  await it.play('sandbox-twilio', await sampleCall(it.now(), { id: 'younger' }))
  await it.pass(2 * DAY)
  const { db } = it.store
  const kept = await db
    .selectFrom('results')
    .select('analysis')
    .where('analysis', 'like', '%"transcript"%')
    .execute()
  const calls = await db
    .selectFrom('calls')
    .select('analysis')
    .where('analysis', 'like', '%"transcript"%')
    .execute()
  expect([kept.length, calls.length]).toEqual([1, 1])
  const summaries = await db
    .selectFrom('calls')
    .select('id')
    .where('analysis', 'like', '%"summary"%')
    .execute()
  expect(summaries).toHaveLength(4)
  await it.pass(7 * DAY)
  expect(await everything(it)).not.toContain('"transcript"')
  expect(it.crm('call')).toBe(4)
})

test('a transcript that the phone system brought goes as well, and a late event does not bring it back', async () => {
  await using it = await install({
    vendors: { ...GENERIC, ...sandboxVendors('xosum', 'hubspot') },
    config: { keep: { transcript: '7 days' } },
  })
  const transcript = { turns: [{ party: 'agent', text: 'the canary sings' }] }
  const facts = {
    direction: 'inbound',
    from: '+33639980001',
    startedAt: '2026-11-20T11:58:00.000Z',
    result: 'answered',
    recordingExpected: false,
    transcript,
  }
  const ended = { key: 'c:ended', callId: 'c', phase: 'ended', facts }
  await it.send('pbx', genericWebhook([ended]))
  await it.settle()
  expect(await everything(it)).toContain('canary')
  await it.pass(8 * DAY)
  expect(await everything(it)).not.toContain('canary')
  await it.send(
    'pbx',
    genericWebhook([{ key: 'c:more', callId: 'c', phase: 'amended', facts: { transcript, reference: 'r' } }]),
  )
  await it.pass(60_000)
  const { call } = await it.store.db.selectFrom('calls').select('call').executeTakeFirstOrThrow()
  expect([call.includes('canary'), call.includes('"reference":"r"')]).toEqual([false, true])
})

test('more than one run’s worth is erased in the end', async () => {
  await using it = await install({
    vendors: { ...GENERIC, ...sandboxVendors('xosum', 'hubspot') },
    config: { keep: { deliveries: '1 day', transcript: '1 day' } },
  })
  for (let n = 0; n < 200; n++) {
    const facts = { direction: 'inbound', startedAt: '2026-11-20T11:58:00.000Z', transcript: { turns: [] } }
    await it.send('pbx', genericWebhook([{ key: `${n}`, callId: `c-${n}`, phase: 'ringing', facts }]))
  }
  await it.settle()
  await it.pass(2 * DAY)
  expect(await it.store.db.selectFrom('deliveries').select('id').execute()).toEqual([])
  expect(await everything(it)).not.toContain('"transcript"')
})

/** Tables that grow with the calls, and how many rows each has. */
async function rows(it: Installation): Promise<Record<string, number>> {
  const tables = [
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
  ] as const
  const counts: Record<string, number> = {}
  for (const table of tables)
    counts[table] = (await it.store.db.selectFrom(table).selectAll().execute()).length
  return counts
}

test('where calls are kept for a time, nothing is left of them after it, and younger ones are whole', async () => {
  await using it = await install({
    vendors: { ...GENERIC, ...sandboxVendors('twilio', 'xosum', 'hubspot') },
    config: { keep: { deliveries: '7 days', transcript: '7 days', calls: '10 days' } },
  })
  for (let n = 0; n < 48; n++) {
    const customerPhone = `+336399800${10 + n}`
    if (n < 2) await it.play('sandbox-twilio', await sampleCall(it.now(), { customerPhone }))
    const event = { key: `${n}`, callId: `c-${n}`, phase: n < 2 ? 'ended' : 'ringing' }
    const facts = { direction: 'inbound', result: 'busy', from: customerPhone }
    await it.send('pbx', genericWebhook([{ ...event, facts }]))
  }
  // Two that turn out to be one, one that nobody can read, one that is of no interest.
  for (const callId of ['left', 'right'])
    await it.send('pbx', genericWebhook([{ key: callId, callId, phase: 'ringing', facts: {} }]))
  const joined = { key: 'join', callId: 'left', alsoKnownAs: ['right'], phase: 'ended', facts: {} }
  await it.send('pbx', genericWebhook([joined]))
  await it.send('pbx', genericWebhook([{ key: 'k', callId: 'c', phase: 'singing', facts: {} }]))
  await it.send('pbx', { ...genericWebhook([]), body: '{"type":"of no interest"}' })
  await it.settle()
  const before = await rows(it)
  expect(Object.entries(before).filter(([, count]) => count === 0)).toEqual([])
  expect(it.crm('call')).toBe(5)

  await it.pass(8 * DAY)
  await it.play(
    'sandbox-twilio',
    await sampleCall(it.now(), { customerPhone: '+33639980099', id: 'younger' }),
  )
  await it.settle()
  const both = await rows(it)
  expect(both).toMatchObject({
    calls: (before.calls ?? 0) + 1,
    people: (before.people ?? 0) + 1,
  })
  await it.pass(3 * DAY)
  const young = await rows(it)
  expect(young).toMatchObject({ calls: 1, people: 1, writebacks: 1, submissions: 1 })
  expect(young.events).toBeGreaterThan(1)
  expect(young.attempts).toBeGreaterThan(3)
  const [call] = await it.store.db.selectFrom('calls').select('id').execute()
  expect(await rerunCall(it.deps, call?.id ?? '', { from: 'match', actor: 'operator' })).toMatchObject({
    steps: 1,
  })
  await it.settle()
  expect([it.crm('call'), it.crm('contact')]).toEqual([6, expect.any(Number)])
  await it.pass(20 * DAY)
  expect(Object.entries(await rows(it)).filter(([, count]) => count > 0)).toEqual([])
})

test('what was done to an old call lately keeps it, and of what nobody asked for nothing goes', async () => {
  await using it = await install({
    vendors: { ...GENERIC, ...sandboxVendors('xosum', 'hubspot') },
    config: { keep: { deliveries: '7 days', calls: '10 days' } },
  })
  const facts = { direction: 'inbound', result: 'busy', startedAt: '2025-01-01T10:00:00.000Z' }
  await it.send('pbx', genericWebhook([{ key: 'old', callId: 'old', phase: 'ended', facts }]))
  await it.pass(9 * DAY)
  expect(await it.calls()).toEqual([['done', null]])
  await it.pass(2 * DAY)
  expect(await it.calls()).toEqual([])
})

test('a call that was erased by its age and is brought back is written on its old records, not a second time', async () => {
  await using it = await install({
    vendors: { ...GENERIC, ...sandboxVendors('xosum', 'hubspot') },
    config: { keep: { deliveries: '7 days', calls: '10 days' } },
    flows: [{ name: 'f', from: ['pbx'], analyze: [], write: ['sandbox-hubspot'], unknownCaller: 'create' }],
    settings: { 'sandbox-hubspot': { callBack: { tasks: true } } },
  })
  const startedAt = '2026-09-01T10:00:00.000Z'
  const facts = { direction: 'inbound', result: 'busy', from: '+33639980001', startedAt }
  const tell = async () => {
    await it.send('pbx', genericWebhook([{ key: 'old', callId: 'old', phase: 'ended', facts }]))
    await it.settle()
    return [...['contact', 'call', 'task'].map((kind) => it.crm(kind)), (await it.calls())[0]?.[0]]
  }
  expect(await tell()).toEqual([1, 1, 1, 'done'])
  it.advance(60_000)
  await eraseCalls(it.deps, it.now())
  await it.store.atomic([], [it.store.db.deleteFrom('deliveries'), it.store.db.deleteFrom('people')])
  expect(await it.calls()).toEqual([])
  it.advance(60_000)
  expect(await tell()).toEqual([1, 1, 1, 'done'])
})

test('the audit is kept for two years, and not for ever', async () => {
  await using it = await install()
  await it.store.atomic([], [auditRow(it.deps, 'admin', 'replay', 'filter', '')])
  const kept = async () => (await it.store.db.selectFrom('audit').select('id').execute()).length
  await it.pass(700 * DAY)
  expect(await kept()).toBe(1)
  await it.pass(60 * DAY)
  expect(await kept()).toBe(0)
})

test('a worker that stops does not erase to the end first: the next one goes on', async () => {
  await using it = await install({ config: { keep: { deliveries: '7 days' } } })
  await it.worker.sweep()
  it.advance(30 * DAY)
  const { db } = it.store
  const old = Array.from({ length: 2_000 }, (_, n) =>
    deliveryRow({ received_at: it.now() - 10 * DAY + n, state: 'used' }),
  )
  await it.store.atomic(
    [],
    old.map((row) => db.insertInto('deliveries').values(row)),
  )
  const sweeping = it.worker.sweep()
  await it.worker.stop(0)
  await sweeping
  const left = async () => (await db.selectFrom('deliveries').select('id').execute()).length
  expect(await left()).toBeGreaterThan(0)
  await it.restart()
  await it.worker.sweep()
  expect(await left()).toBe(0)
})
