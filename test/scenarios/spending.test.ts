import { expect, test } from 'vitest'
import type { Call } from '../../src/call/call.ts'
import { callOf } from '../../src/pipeline/call-row.ts'
import { lengthOf, spentToday } from '../../src/pipeline/daily-cap.ts'
import { explainFlow } from '../../src/pipeline/explain.ts'
import { rerunCall } from '../../src/pipeline/rerun.ts'
import { callRow } from '../../src/pipeline/round.ts'
import { GENERIC, sandboxVendors } from './company.ts'
import { genericWebhook } from './generic.ts'
import { type Installation, install, sampleCall } from './installation.ts'

// Before any audio or text leaves: people who refused, calls that are tagged, and a day's minutes that are used up keep a
// call from the analysis services. It reaches the CRM all the same, and whoever asks is told why.

const XOSUM = 'sandbox-xosum'
const TRANSCRIPTO = 'sandbox-transcripto'
const REFUSER = '+33639980042'
const CALLER = 'operator token'
const flow = (change: Record<string, unknown> = {}) => ({
  name: 'f',
  from: ['sandbox-twilio'],
  analyze: [TRANSCRIPTO],
  write: ['sandbox-hubspot'],
  unknownCaller: 'create',
  ...change,
})
const given = (it: Installation) => [XOSUM, TRANSCRIPTO].map((id) => it.held(id, 'submission').length)
const timeline = async (it: Installation) =>
  (await it.store.db.selectFrom('attempts').select('says').execute()).map(({ says }) => says).join('\n')
/** What the one call shows, and not its deliveries. */
const notes = async (it: Installation) =>
  (
    await it.store.db
      .selectFrom('attempts')
      .select('says')
      .where('outcome', '=', 'note')
      .where('call_id', '=', (await onlyCall(it)).id)
      .execute()
  ).map(({ says }) => says)
const onlyCall = async (it: Installation) => {
  const { id } = await it.store.db.selectFrom('calls').select('id').executeTakeFirstOrThrow()
  return callRow(it.deps, id)
}

/** Of a phone system that brings the transcript's recording by a link. */
const ended = (id: string, facts: Record<string, unknown>, phase = 'ended') =>
  genericWebhook([
    {
      key: `${id}:${phase}`,
      callId: id,
      phase,
      facts: {
        direction: 'inbound',
        result: 'answered',
        from: '+33639980001',
        recordings: [
          { key: 'r', url: 'https://pbx.example.com/recordings/r.mp3', format: 'mp3', state: 'ready' },
        ],
        ...facts,
      },
    },
  ])

test('calls of a number that refused are written without an analysis, however the number was listed', async () => {
  await using it = await install({ flows: [flow({ noAnalysis: { numbers: ['06 39 98 00 42'] } })] })
  await it.play('sandbox-twilio', await sampleCall(it.now(), { customerPhone: REFUSER }))
  await it.settle(3_600_000)
  expect([await it.calls(), given(it), it.crm('call')]).toEqual([[['done', null]], [0, 0], 1])
  expect(await timeline(it)).toContain('not analysed: the outside number is on the list')
  expect((await explainFlow(it.deps, await onlyCall(it))).forbidden).toMatch(/on the list/)
  // However many of its webhooks were read after that.
  expect(await notes(it)).toEqual([
    expect.stringContaining('not analysed: the outside number is on the list'),
  ])

  await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.settle(3_600_000)
  expect([given(it), it.crm('call')]).toEqual([[0, 1], 2])
})

test('a tag that comes when the submission is planned already still keeps the call back', async () => {
  await using it = await install({
    flows: [flow({ from: ['pbx'], noAnalysis: { when: { tags: ['no-consent', 'recording-paused'] } } })],
    vendors: { ...GENERIC, ...sandboxVendors('transcripto', 'hubspot', 'xosum') },
  })
  await it.send('pbx', ended('c', {}))
  await it.work()
  // The phone system does not have the recording yet: the submission waits for it.
  const planned = await it.store.db.selectFrom('steps').select('state').where('kind', '=', 'submit').execute()
  expect(planned).toEqual([{ state: 'waiting' }])
  await it.send('pbx', ended('c', { tags: ['recording-paused'] }, 'amended'))
  await it.settle(3_600_000)
  expect([await it.calls(), given(it), it.crm('call')]).toEqual([[['done', null]], [0, 0], 1])
  expect(await timeline(it)).toContain('not analysed: the call fits the rule')
})

test('a rerun asks the rule as well, and says beforehand what was paid for', async () => {
  await using it = await install({ flows: [flow()] })
  await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.settle(3_600_000)
  const { id } = await onlyCall(it)
  const again = { from: 'submit', actor: CALLER } as const
  const dry = await rerunCall(it.deps, id, { ...again, dryRun: true })
  expect(dry).toMatchObject({ steps: 1, paidBefore: [{ connection: TRANSCRIPTO }] })
  await it.settle(3_600_000)
  expect(given(it)).toEqual([0, 1])

  await it.restart({ flows: [flow({ noAnalysis: { when: { direction: 'inbound' } } })] })
  await rerunCall(it.deps, id, again)
  await it.settle(3_600_000)
  expect([await it.calls(), given(it)]).toEqual([[['done', null]], [0, 1]])
})

test('a rule that fails on a call gives nothing away', async () => {
  const broken = () => {
    throw new TypeError('undefined')
  }
  await using it = await install({ flows: [flow({ noAnalysis: { when: broken } })] })
  await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.settle(600_000)
  expect(given(it)).toEqual([0, 0])
  const parked = await it.store.db.selectFrom('steps').select('code').where('state', '=', 'parked').execute()
  expect(parked.map(({ code }) => code)).toContain('config')
})

test('the minutes of a day are used up: the next service is asked, and alone it waits for midnight', async () => {
  const settings = { [TRANSCRIPTO]: { minutesPerDay: 1 }, [XOSUM]: { minutesPerDay: 1 } }
  await using it = await install({ settings, flows: [flow({ analyze: [TRANSCRIPTO, XOSUM] })] })
  // The recording of each has 17 s: three fit into a minute.
  for (let calls = 0; calls < 7; calls += 1) {
    const customerPhone = `+3363998010${calls}`
    await it.play('sandbox-twilio', await sampleCall(it.now(), { customerPhone }))
    await it.settle(600_000)
  }
  expect(given(it)).toEqual([3, 3])
  const waiting = (await it.calls()).filter(([state]) => state === 'working')
  expect(waiting).toHaveLength(1)
  const step = await it.store.db
    .selectFrom('steps')
    .select(['code', 'reason', 'due_at', 'attempts'])
    .where('state', '=', 'waiting')
    .executeTakeFirstOrThrow()
  expect(step).toMatchObject({ code: 'quota', attempts: 0 })
  expect(step.reason).toMatch(/The 1 minutes that sandbox-xosum may be given on one day are used up/)
  expect(new Date(Number(step.due_at)).toISOString()).toMatch(/^2026-11-21T00:0[01]/)
  // Nobody's breaker is open for it, and nobody has to look.
  const open = await it.store.db
    .selectFrom('breakers')
    .select('connection')
    .where('state', '=', 'open')
    .execute()
  expect(open).toEqual([])

  await it.settle(24 * 3_600_000)
  expect(given(it).reduce((sum, n) => sum + n, 0)).toBe(7)
  expect(it.crm('call')).toBe(7)
})

test('a recording of which nobody says how long it is counts by its size, or for a minute', async () => {
  const vendors = { ...GENERIC, ...sandboxVendors('transcripto', 'hubspot', 'xosum') }
  const settings = { [TRANSCRIPTO]: { minutesPerDay: 2 } }
  await using it = await install({ settings, vendors, flows: [flow({ from: ['pbx'] })] })
  await it.send('pbx', ended('c', {}))
  await it.settle(600_000)
  const call = (recording: object) =>
    ({ recordings: [{ key: 'r', state: 'ready', ...recording }] }) as unknown as Call
  expect(
    [{}, { bytes: 4_000 }, { bytes: 64_000, format: 'wav', channels: 2 }, { durationMs: 5, bytes: 9 }].map(
      (recording) => lengthOf(call(recording)),
    ),
  ).toEqual([60_000, 1_000, 2_000, 5])
  expect(lengthOf(await onlyCall(it).then(callOf))).toBe(60_000)
})

test('what was handed over and failed there was given all the same; what was refused was not', async () => {
  await using it = await install({ flows: [flow()] })
  await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.settle(600_000)
  const spent = await spentToday(it.deps, TRANSCRIPTO)
  expect(spent).toBeGreaterThan(0)
  const submissions = it.store.db.updateTable('submissions')
  await it.store.atomic([], [submissions.set({ state: 'failed' })])
  expect(await spentToday(it.deps, TRANSCRIPTO)).toBe(spent)
  await it.store.atomic([], [submissions.set({ submitted_at: null })])
  expect(await spentToday(it.deps, TRANSCRIPTO)).toBe(0)
})

test('which way a call goes is told of every flow and every service', async () => {
  await using it = await install({
    flows: [
      flow({ name: 'phone of others', from: ['sandbox-zadarma'] }),
      flow({ name: 'French', when: { language: 'fr' } }),
      flow({ name: 'rest', analyze: [XOSUM, TRANSCRIPTO], when: { minTalkMs: 1_000, medium: 'voice' } }),
    ],
  })
  await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.settle(3_600_000)
  it.fail(XOSUM, { fault: { kind: 'status', status: 401 }, times: 100 })
  await rerunCall(it.deps, (await onlyCall(it)).id, { from: 'submit', actor: CALLER })
  await it.work()
  expect(await explainFlow(it.deps, await onlyCall(it))).toEqual({
    flows: [
      { name: 'phone of others', takes: false, why: 'takes no calls of sandbox-twilio' },
      { name: 'French', takes: false, why: 'language: wanted fr, seen nothing' },
      { name: 'rest', takes: true, why: 'its condition fits' },
    ],
    flow: 'rest',
    forbidden: null,
    backends: [
      { connection: TRANSCRIPTO, takes: true, why: 'takes it' },
      {
        connection: XOSUM,
        takes: false,
        why: 'cannot take work now: its breaker is open, others are asked first',
      },
    ],
    write: ['sandbox-hubspot'],
  })
})
