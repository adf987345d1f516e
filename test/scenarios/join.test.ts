import { expect, test } from 'vitest'
import { GENERIC, sandboxVendors } from './company.ts'
import { genericWebhook } from './generic.ts'
import { type Installation, install, sampleCall } from './installation.ts'

// Two ids of the phone system turn out to be one call: a transfer, a linked id. Whenever that becomes known, there is one
// call, and one record in the CRM unless both had been written before; the timeline tells what happened.

const VENDORS = { vendors: { ...GENERIC, ...sandboxVendors('xosum', 'hubspot') } }
const PARTIES = { direction: 'inbound', from: '+33639980001', dialed: '+33199000100' }

/** Two ids, each with its end, and the event that links them. */
const leg = (id: string, facts: Record<string, unknown> = {}) => ({
  key: `${id}:ended`,
  callId: id,
  phase: 'ended',
  facts: {
    ...PARTIES,
    result: 'answered',
    endedAt: '2026-11-20T11:59:00.000Z',
    recordingExpected: false,
    ...facts,
  },
})
const LINK = {
  key: 'link',
  callId: 'a',
  alsoKnownAs: ['b'],
  phase: 'amended',
  facts: { reference: 'linked' },
}
const recording = (key: string, durationMs: number) => ({
  recordings: [
    { key, url: `https://pbx.example.com/recordings/${key}`, format: 'mp3', durationMs, state: 'ready' },
  ],
})

const calls = async (it: Installation) => {
  const rows = await it.store.db
    .selectFrom('calls')
    .select(['id', 'state', 'joined_into'])
    .orderBy('id')
    .execute()
  return rows.map((row) => [row.state, row.joined_into === null ? 'own' : 'pointer'])
}
const notes = async (it: Installation) => {
  const rows = await it.store.db.selectFrom('attempts').select('says').where('outcome', '=', 'note').execute()
  return rows.map((row) => row.says)
}
const say = async (it: Installation, ...events: Record<string, unknown>[]) => {
  await it.send('pbx', genericWebhook(events))
  // Ids are ordered by time: the next call is younger.
  it.advance(10)
}

test('in every order of the two ends and the link there is one call and one record', async () => {
  const events = [leg('a'), leg('b'), LINK]
  const orders = [
    [0, 1, 2],
    [0, 2, 1],
    [1, 0, 2],
    [1, 2, 0],
    [2, 0, 1],
    [2, 1, 0],
  ]
  for (const order of orders) {
    await using it = await install(VENDORS)
    for (const at of order) await say(it, events[at] ?? {})
    await it.settle()
    expect([it.crm('call'), it.crm('contact')]).toEqual([1, 1])
    expect((await calls(it)).filter(([, kind]) => kind === 'own')).toEqual([['done', 'own']])
    expect(String(it.held('sandbox-hubspot', 'call')[0]?.fields.hs_call_body)).toContain('linked')
  }
})

test('all three in one delivery are one call', async () => {
  await using it = await install(VENDORS)
  await say(it, leg('a'), leg('b'), LINK)
  await it.settle()
  expect([await calls(it), it.crm('call')]).toEqual([[['done', 'own']], 1])
})

test('the older was written, the younger not: its record stands for both', async () => {
  await using it = await install(VENDORS)
  await say(it, leg('a'))
  await it.settle()
  await say(it, leg('b'))
  await say(it, LINK)
  await it.settle()
  expect([await calls(it), it.crm('call')]).toEqual([
    [
      ['done', 'own'],
      ['done', 'pointer'],
    ],
    1,
  ])
})

test('the younger was written, the older not: the record of the younger is kept', async () => {
  await using it = await install(VENDORS)
  await say(it, { key: 'a:ringing', callId: 'a', phase: 'ringing', facts: PARTIES })
  await it.work()
  await say(it, leg('b'))
  await it.settle()
  const [before] = it.held('sandbox-hubspot', 'call')
  await say(it, leg('a'), LINK)
  await it.settle()
  expect([await calls(it), it.held('sandbox-hubspot', 'call').map((call) => call.id)]).toEqual([
    [
      ['done', 'own'],
      ['done', 'pointer'],
    ],
    [before?.id],
  ])
  expect(await notes(it)).toEqual(['two calls turned out to be one and were joined'])
})

test('both were written before: two records stay, the older one goes on, and the timeline says so', async () => {
  await using it = await install(VENDORS)
  await say(it, leg('a'))
  await say(it, leg('b'))
  await it.settle()
  expect(it.crm('call')).toBe(2)
  await say(it, LINK)
  await it.settle()
  expect([await calls(it), it.crm('call')]).toEqual([
    [
      ['done', 'own'],
      ['done', 'pointer'],
    ],
    2,
  ])
  expect(await notes(it)).toContain(
    'both calls were written to sandbox-hubspot before: the record of the second stays there as it is',
  )
})

for (const [longer, submitted] of [
  ['a', 'the older'],
  ['b', 'the younger'],
] as const) {
  test(`both have an analysis under way, ${submitted} of the better recording: nothing is submitted a third time`, async () => {
    await using it = await install(VENDORS)
    for (const id of ['a', 'b']) it.place('pbx', await sampleCall(it.now(), { id }))
    await say(it, leg('a', recording('a', longer === 'a' ? 60_000 : 5_000)))
    await it.work()
    await say(it, leg('b', recording('b', longer === 'b' ? 60_000 : 5_000)))
    await it.work()
    expect(it.held('sandbox-xosum', 'submission')).toHaveLength(2)
    await say(it, LINK)
    await it.settle()
    expect([it.held('sandbox-xosum', 'submission').length, it.crm('call'), it.crm('note')]).toEqual([2, 1, 1])
    expect((await calls(it)).filter(([, kind]) => kind === 'own')).toEqual([['done', 'own']])
    const { id } = await it.store.db
      .selectFrom('calls')
      .select('id')
      .where('joined_into', 'is', null)
      .executeTakeFirstOrThrow()
    const submissions = await it.store.db.selectFrom('submissions').select(['call_id', 'state']).execute()
    expect(submissions).toEqual([
      { call_id: id, state: 'done' },
      { call_id: id, state: 'done' },
    ])
  })
}

test('the link comes while the submission of the younger hangs: its result is the joined call’s', async () => {
  await using it = await install(VENDORS)
  for (const id of ['a', 'b']) it.place('pbx', await sampleCall(it.now(), { id }))
  await say(it, { key: 'a:ringing', callId: 'a', phase: 'ringing', facts: PARTIES })
  await it.work()
  it.fail('sandbox-xosum', { method: 'PUT', path: '/upload', fault: { kind: 'commit_then_hang' } })
  await say(it, leg('b', recording('b', 60_000)))
  await it.work()
  await say(it, leg('a'), LINK)
  await it.settle()
  expect([it.held('sandbox-xosum', 'submission').length, it.crm('call'), it.crm('note')]).toEqual([1, 1, 1])
  expect((await calls(it)).filter(([, kind]) => kind === 'own')).toEqual([['done', 'own']])
})

test('the link comes while the call of the younger is being created in the CRM: no second record', async () => {
  await using it = await install({ ...VENDORS, settings: { 'sandbox-hubspot': { indexLagMs: 30_000 } } })
  await say(it, { key: 'a:ringing', callId: 'a', phase: 'ringing', facts: PARTIES })
  await it.work()
  it.fail('sandbox-hubspot', { method: 'POST', path: '/calls$', fault: { kind: 'commit_then_hang' } })
  await say(it, leg('b'))
  await it.work()
  await say(it, leg('a'), LINK)
  await it.settle()
  expect([it.crm('call'), it.crm('contact')]).toEqual([1, 1])
  expect((await calls(it)).filter(([, kind]) => kind === 'own')).toEqual([['done', 'own']])
})

test('three ids become one call, link by link', async () => {
  await using it = await install(VENDORS)
  await say(it, { ...leg('c') })
  await say(it, { key: 'link-2', callId: 'b', alsoKnownAs: ['c'], phase: 'amended', facts: {} })
  await say(it, leg('a'))
  await it.work()
  await say(it, LINK)
  await say(it, leg('b'))
  await it.settle()
  expect((await calls(it)).filter(([, kind]) => kind === 'own')).toHaveLength(1)
  const keys = await it.store.db.selectFrom('call_keys').select('call_id').distinct().execute()
  expect(keys).toHaveLength(1)
})
