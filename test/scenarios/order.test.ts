import { expect, test } from 'vitest'
import type { SandboxWebhook } from '../../src/connector/sandbox.ts'
import { GENERIC, sandboxVendors } from './company.ts'
import { genericWebhook } from './generic.ts'
import { install, sampleCall } from './installation.ts'

// Webhooks overtake each other. In whatever order those of one call arrive, the Call is the same and stands in the CRM
// once; what arrives after it was written is added to the same record.

function permutations<T>(all: readonly T[]): T[][] {
  if (all.length <= 1) return [[...all]]
  return all.flatMap((first, at) => permutations(all.toSpliced(at, 1)).map((rest) => [first, ...rest]))
}

/** The Call without its own id, which tells when it was first heard of. */
async function foldIn(
  connection: string,
  choose: (webhooks: SandboxWebhook[]) => SandboxWebhook[],
  steady: boolean,
) {
  await using it = await install()
  const call = await sampleCall(it.now(), { id: 'ordered' })
  for (const webhook of choose(it.place(connection, call))) {
    await it.send(connection, webhook)
    if (steady) await it.work()
  }
  await it.settle(7_200_000)
  const [row] = await it.store.db.selectFrom('calls').select(['id', 'call', 'state']).execute()
  const { id: _id, ...rest } = JSON.parse(row?.call ?? '{}')
  expect([row?.state, it.crm('call'), it.crm('note')]).toEqual(['done', 1, 1])
  return rest
}

test('every order of a Twilio call’s last webhooks gives the same Call and one record', async () => {
  const expected = await foldIn('sandbox-twilio', (webhooks) => webhooks, false)
  expect(expected).toMatchObject({ result: 'answered', recordings: [{ state: 'ready' }] })
  for (const order of permutations([3, 4, 5])) {
    const choose = (all: SandboxWebhook[]) => [...order.flatMap((at) => all[at] ?? []), ...all.slice(0, 3)]
    expect(await foldIn('sandbox-twilio', choose, true)).toEqual(expected)
  }
})

test('a Zadarma call whose RECORD comes before its END, and every other order, gives the same', async () => {
  const expected = await foldIn('sandbox-zadarma', (webhooks) => webhooks, false)
  for (const order of permutations([2, 3, 4])) {
    const choose = (all: SandboxWebhook[]) => [...order.flatMap((at) => all[at] ?? []), ...all.slice(0, 2)]
    expect(await foldIn('sandbox-zadarma', choose, true)).toEqual(expected)
  }
  expect(await foldIn('sandbox-zadarma', (all) => all.toReversed(), true)).toEqual(expected)
})

const PARTIES = { direction: 'inbound', from: '+33639980001', dialed: '+33199000100' }
const ENDED = {
  key: 'late:ended',
  callId: 'late',
  phase: 'ended',
  facts: {
    ...PARTIES,
    startedAt: '2026-11-20T11:58:00.000Z',
    answeredAt: '2026-11-20T11:58:05.000Z',
    endedAt: '2026-11-20T11:59:00.000Z',
    result: 'answered',
  },
}

test('a duration corrected after the write updates the same record', async () => {
  await using it = await install({ vendors: { ...GENERIC, ...sandboxVendors('xosum', 'hubspot') } })
  await it.send('pbx', genericWebhook([{ ...ENDED, facts: { ...ENDED.facts, recordingExpected: false } }]))
  await it.settle()
  expect(it.held('sandbox-hubspot', 'call').map((one) => one.fields.hs_call_duration)).toEqual(['55000'])
  const amended = {
    key: 'late:cdr',
    callId: 'late',
    phase: 'amended',
    facts: { endedAt: '2026-11-20T12:00:05.000Z' },
  }
  await it.send('pbx', genericWebhook([amended]))
  await it.settle()
  expect(it.held('sandbox-hubspot', 'call').map((one) => one.fields.hs_call_duration)).toEqual(['120000'])
  expect(await it.calls()).toEqual([['done', null]])
})

test('a recording that comes after the wait for it is submitted then, and its note joins the same record', async () => {
  await using it = await install()
  const [initiated, ringing, answered, ended, recorded] = it.place(
    'sandbox-zadarma',
    await sampleCall(it.now()),
  )
  for (const webhook of [initiated, ringing, answered, ended])
    if (webhook) await it.send('sandbox-zadarma', webhook)
  await it.work()
  expect(await it.calls()).toEqual([['waiting', 'its recording is not there yet']])
  await it.pass(2 * 3_600_000)
  expect(await it.calls()).toEqual([['done', null]])
  expect([it.crm('call'), it.crm('note'), it.held('sandbox-xosum', 'submission').length]).toEqual([1, 0, 0])
  const [call] = it.held('sandbox-hubspot', 'call')

  if (recorded) await it.send('sandbox-zadarma', recorded)
  await it.settle()
  expect([it.crm('call'), it.crm('note'), it.held('sandbox-xosum', 'submission').length]).toEqual([1, 1, 1])
  expect(it.held('sandbox-hubspot', 'call')[0]?.id).toBe(call?.id)
  expect(await it.calls()).toEqual([['done', null]])
})

test('an event that arrives while the analysis is under way is written together with its result', async () => {
  await using it = await install()
  const webhooks = it.place('sandbox-twilio', await sampleCall(it.now()))
  for (const webhook of webhooks.slice(1)) await it.send('sandbox-twilio', webhook)
  await it.work()
  expect(await it.calls()).toEqual([['working', null]])
  for (const webhook of webhooks.slice(0, 1)) await it.send('sandbox-twilio', webhook)
  await it.settle()
  expect(await it.calls()).toEqual([['done', null]])
  expect([it.crm('call'), it.held('sandbox-xosum', 'submission').length]).toEqual([1, 1])
})
