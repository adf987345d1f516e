import { describe, expect, test } from 'vitest'
import { CordboardError, type ErrorCode } from '../../src/errors.ts'
import { replayDeliveries } from '../../src/pipeline/replay.ts'
import { rerunCall } from '../../src/pipeline/rerun.ts'
import { judge } from '../../src/pipeline/retry.ts'
import { GENERIC, sandboxVendors } from './company.ts'
import { genericWebhook } from './generic.ts'
import { type Installation, install, sampleCall, seeded } from './installation.ts'

// What fails is tried again for more than three days, never in step with the others; what a person wants done again is
// done again from where they say, and leaves an audit row.

const HOUR = 3_600_000
const down = new CordboardError('vendor_down', 'down')

/** The instants at which a step that always fails is tried. */
function schedule(error: CordboardError, random: () => number): { at: number[]; last: string } {
  const at = [0]
  for (let attempts = 0; ; attempts += 1) {
    const now = at.at(-1) ?? 0
    const verdict = judge(error, { attempts, created_at: 0 }, now, random)
    if (verdict.state !== 'waiting') return { at, last: verdict.state }
    at.push(verdict.dueAt)
  }
}

describe('the schedule', () => {
  test('covers at least 75 hours whatever the dice say, and ends', () => {
    for (const random of [() => 0.5, () => 0.999, ...Array.from({ length: 200 }, (_, n) => seeded(n))]) {
      const { at, last } = schedule(down, random)
      expect(last).toBe('dead')
      expect(at.at(-1)).toBeGreaterThanOrEqual(75 * HOUR)
      expect(at.length).toBeLessThan(80)
    }
  })

  test('starts within seconds and is spread over the whole delay (full jitter)', () => {
    const firsts = Array.from({ length: 1000 }, (_, n) => schedule(down, seeded(n)).at[1] ?? 0)
    expect(Math.max(...firsts)).toBeLessThanOrEqual(5_000)
    for (const quarter of [0, 1, 2, 3]) {
      const share = firsts.filter((at) => at >= quarter * 1250 && at < (quarter + 1) * 1250).length
      expect(share).toBeGreaterThan(180)
    }
  })

  test('gives up in the end although the vendor keeps naming a time', () => {
    const named = new CordboardError('vendor_down', 'down', { retry: { afterMs: 6 * HOUR } })
    expect(schedule(named, seeded(1)).last).toBe('dead')
  })

  test.each<[ErrorCode, string, boolean | undefined]>([
    ['rate_limited', 'waiting', false],
    ['vendor_down', 'waiting', true],
    ['timeout', 'waiting', true],
    ['internal', 'waiting', true],
    ['auth', 'parked', undefined],
    ['quota', 'parked', undefined],
    ['forbidden', 'parked', undefined],
    ['ambiguous', 'parked', undefined],
    ['connection_gone', 'parked', undefined],
    ['rejected', 'dead', undefined],
    ['not_found', 'dead', undefined],
    ['invalid_payload', 'dead', undefined],
  ])('%s is %s', (code, state, counts) => {
    const verdict = judge(new CordboardError(code, 'x'), { attempts: 3, created_at: 0 }, 0, () => 0.5)
    expect([verdict.state, 'counts' in verdict ? verdict.counts : undefined]).toEqual([state, counts])
  })
})

const VENDORS = { vendors: { ...GENERIC, ...sandboxVendors('xosum', 'hubspot') } }
const ENDED = {
  key: 'c:ended',
  callId: 'c',
  phase: 'ended',
  facts: { direction: 'inbound', from: '+33639980001', result: 'busy' },
}
const audit = (it: Installation) =>
  it.store.db.selectFrom('audit').select(['actor', 'action', 'detail']).execute()
const callId = async (it: Installation) =>
  (await it.store.db.selectFrom('calls').select('id').executeTakeFirstOrThrow()).id

test('a CRM that stays down for days: after 75 hours the step is dead, with an issue', async () => {
  await using it = await install(VENDORS)
  it.fail('sandbox-hubspot', { fault: { kind: 'status', status: 503 }, times: 1_000_000 })
  await it.send('pbx', genericWebhook([ENDED]))
  await it.settle(200 * HOUR)
  const step = await it.store.db
    .selectFrom('steps')
    .selectAll()
    .where('state', '=', 'dead')
    .executeTakeFirst()
  expect(step).toMatchObject({ kind: 'match', code: 'vendor_down' })
  expect((step?.updated_at ?? 0) - (step?.created_at ?? 0)).toBeGreaterThanOrEqual(75 * HOUR)
  expect((await it.calls())[0]?.[0]).toBe('attention')
  const issues = await it.store.db.selectFrom('issues').select(['kind', 'code', 'connection']).execute()
  expect(issues).toContainEqual({ kind: 'match', code: 'vendor_down', connection: 'sandbox-hubspot' })
})

test('a rerun of a submission whose end nobody saw finds it, and is not paid twice', async () => {
  await using it = await install({
    flows: [
      { name: 'f', from: ['sandbox-twilio'], analyze: ['sandbox-transcripto'], write: ['sandbox-hubspot'] },
    ],
  })
  // The service takes the call, and a proxy in between says that we may not: the step parks.
  it.fail('sandbox-transcripto', { fault: { kind: 'commit_then_status', status: 403 }, path: 'addtaskcall' })
  await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.settle()
  expect(it.held('sandbox-transcripto', 'submission')).toHaveLength(1)
  expect((await it.calls())[0]?.[0]).toBe('attention')
  await rerunCall(it.deps, await callId(it), { from: 'submit', actor: 'operator' })
  await it.settle()
  expect(await it.calls()).toEqual([['done', null]])
  expect(it.held('sandbox-transcripto', 'submission')).toHaveLength(1)
  expect([it.crm('call'), it.crm('note')]).toEqual([1, 1])
})

for (const from of ['submit', 'match', 'write'] as const) {
  test(`a rerun from ${from} does that and what follows, on the same record, with an audit row`, async () => {
    await using it = await install()
    await it.play('sandbox-twilio', await sampleCall(it.now()))
    await it.settle()
    const before = it.crm('call')
    expect(await rerunCall(it.deps, await callId(it), { from, actor: 'operator' })).toMatchObject({
      steps: 1,
    })
    await it.settle()
    expect([await it.calls(), before, it.crm('call'), it.crm('note'), it.crm('contact')]).toEqual([
      [['done', null]],
      1,
      1,
      1,
      1,
    ])
    expect(it.held('sandbox-xosum', 'submission')).toHaveLength(from === 'submit' ? 2 : 1)
    expect(await audit(it)).toEqual([{ actor: 'operator', action: 'rerun', detail: `from ${from}` }])
  })
}

test('a rerun from match looks for the record anew, unless a person chose it', async () => {
  await using it = await install({
    ...VENDORS,
    flows: [
      { name: 'f', from: ['pbx'], analyze: [], write: ['sandbox-hubspot'], unknownCaller: 'unmatched' },
    ],
  })
  await it.send('pbx', genericWebhook([ENDED]))
  await it.settle()
  expect(it.held('sandbox-hubspot', 'call')[0]?.fields.associations).toEqual([])
  const contact = it.vendor('sandbox-hubspot').addContact?.({ name: 'Somebody New', phone: '+33639980001' })
  await rerunCall(it.deps, await callId(it), { from: 'match', actor: 'operator' })
  await it.settle()
  expect(it.held('sandbox-hubspot', 'call').map((call) => call.fields.associations)).toEqual([
    [`contact/${contact}`],
  ])
})

test('a rerun of what cannot be run says why and leaves no audit row', async () => {
  await using it = await install({
    ...VENDORS,
    flows: [{ name: 'f', from: ['pbx'], analyze: [], write: ['sandbox-hubspot'] }],
  })
  await expect(rerunCall(it.deps, 'call_none', { from: 'write', actor: 'a' })).rejects.toMatchObject({
    code: 'unknown_object',
  })
  await it.send('pbx', genericWebhook([ENDED]))
  await it.settle()
  await expect(rerunCall(it.deps, await callId(it), { from: 'submit', actor: 'a' })).rejects.toMatchObject({
    code: 'bad_request',
  })
  it.deps.config = { ...it.deps.config, flows: [] }
  await expect(rerunCall(it.deps, await callId(it), { from: 'write', actor: 'a' })).rejects.toMatchObject({
    code: 'flow_gone',
  })
  expect(await audit(it)).toEqual([])
})

test('a replay by filter counts first, then sends all that match through again: same ids, no duplicates', async () => {
  await using it = await install()
  for (let n = 0; n < 3; n++) await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.play('sandbox-zadarma', await sampleCall(it.now()))
  await it.settle()
  const ids = async () =>
    (await it.store.db.selectFrom('calls').select('id').orderBy('id').execute()).map((row) => row.id)
  const before = {
    ids: await ids(),
    book: it.vendor('sandbox-hubspot').book(),
    asked: it.wire.sent('sandbox-hubspot').length,
  }

  const filter = { connection: 'sandbox-twilio' }
  const dry = await replayDeliveries(it.deps, filter, { actor: 'operator', dryRun: true })
  expect([dry.matched, dry.replayed, await audit(it)]).toEqual([18, 0, []])
  const real = await replayDeliveries(it.deps, filter, { actor: 'operator', dryRun: false })
  expect([real.matched, real.replayed]).toEqual([18, 18])
  await it.settle()
  expect(await ids()).toEqual(before.ids)
  expect(it.vendor('sandbox-hubspot').book()).toEqual(before.book)
  expect([it.wire.sent('sandbox-hubspot').length, it.held('sandbox-xosum', 'submission').length]).toEqual([
    before.asked,
    4,
  ])
  expect(new Set((await it.calls()).map(([state]) => state))).toEqual(new Set(['done']))
  expect(await audit(it)).toMatchObject([
    { action: 'replay', detail: '{"connection":"sandbox-twilio","matched":18}' },
  ])
})

test('a delivery that could not be read is read after a fix, and its issue is resolved', async () => {
  await using it = await install(VENDORS)
  await it.send('pbx', genericWebhook([ENDED]))
  const connection = it.deps.config.connections.get('pbx')
  const side = connection?.connector.telephony?.webhook
  if (!side) throw new Error('no webhook side')
  const { receive } = side
  side.receive = () => {
    throw new TypeError('cannot read properties of undefined')
  }
  await it.settle()
  const state = async () =>
    (await it.store.db.selectFrom('deliveries').select('state').execute()).map((row) => row.state)
  expect(await state()).toEqual(['unreadable'])
  side.receive = receive
  await replayDeliveries(it.deps, { state: 'unreadable' }, { actor: 'operator', dryRun: false })
  await it.settle()
  expect([await state(), await it.calls()]).toEqual([['used'], [['done', null]]])
  expect(await it.store.db.selectFrom('issues').select('state').execute()).toEqual([{ state: 'resolved' }])
})

test('a replay after a mapping was corrected changes the call and updates its record', async () => {
  await using it = await install(VENDORS)
  const side = it.deps.config.connections.get('pbx')?.connector.telephony?.webhook
  if (!side) throw new Error('no webhook side')
  const { receive } = side
  side.receive = (request, ctx) => {
    const received = receive(request, ctx)
    if ('events' in received) for (const event of received.events) event.facts.result = 'no_answer'
    return received
  }
  await it.send('pbx', genericWebhook([ENDED]))
  await it.settle()
  expect(it.held('sandbox-hubspot', 'call')[0]?.fields.hs_call_status).toBe('NO_ANSWER')
  side.receive = receive
  await replayDeliveries(it.deps, {}, { actor: 'operator', dryRun: false })
  await it.settle()
  expect(it.held('sandbox-hubspot', 'call').map((call) => call.fields.hs_call_status)).toEqual(['BUSY'])
})
