import { expect, test } from 'vitest'
import { quotasLeft } from '../../src/pipeline/quota.ts'
import { GENERIC, sandboxVendors } from './company.ts'
import { genericWebhook } from './generic.ts'
import { type Installation, install, sampleCall } from './installation.ts'

// Transcripto beyond a plain call: conversations in writing, directories, categories, and a plan that runs out.

const TRANSCRIPTO = 'sandbox-transcripto'
const RESERVE = 50

const installed = (settings: Record<string, unknown> = {}, ...more: ('xosum' | 'twilio')[]) =>
  install({
    vendors: { ...GENERIC, ...sandboxVendors('twilio', 'transcripto', 'hubspot', ...more) },
    settings: { [TRANSCRIPTO]: settings },
  })

const chat = genericWebhook([
  {
    key: 'chat-1',
    callId: 'chat-1',
    phase: 'ended',
    facts: {
      medium: 'text',
      direction: 'inbound',
      startedAt: '2026-11-20T11:00:00.000Z',
      endedAt: '2026-11-20T11:10:00.000Z',
      customer: { phone: '+33639980142', phoneRaw: '+33639980142' },
      agent: { name: 'Alice Martin' },
      recordingExpected: false,
      transcript: {
        turns: [
          { party: 'customer', text: 'My order is late.' },
          { party: 'agent', text: 'It is on its way.' },
        ],
      },
    },
  },
])

const lowPlan = (left: number) =>
  ({
    kind: 'status',
    status: 200,
    body: {
      success: true,
      errorcode: 0,
      tariff: { name: 'Low', days_left: 3, remaining_resources: { available_call_minutes: left } },
    },
  }) as const

const metrics = async (it: Installation) => quotasLeft(it.deps)
const breaker = (it: Installation) =>
  it.store.db.selectFrom('breakers').selectAll().where('connection', '=', TRANSCRIPTO).executeTakeFirst()

test('a conversation in writing is handed over as text, and its analysis reaches the CRM', async () => {
  await using it = await installed()
  expect((await it.send('pbx', chat)).status).toBe(202)
  await it.settle(600_000)
  expect(await it.calls()).toEqual([['done', null]])
  expect(it.held(TRANSCRIPTO, 'submission')).toMatchObject([
    { fields: { type: 'chat', operator_name: 'Alice Martin', call_date: '2026-11-20' } },
  ])
  expect([it.crm('call'), it.crm('note')]).toEqual([1, 1])
  const results = await it.store.db.selectFrom('results').select(['part', 'analysis']).execute()
  expect(results.map(({ part }) => part).sort()).toEqual(['analysis', 'transcript'])
  expect(results.find(({ part }) => part === 'analysis')?.analysis).toContain('A conversation of')
})

test('a conversation in writing whose answer got lost is found, and not paid for twice', async () => {
  await using it = await installed()
  it.fail(TRANSCRIPTO, {
    path: '/add_chat_analysis_task',
    fault: { kind: 'commit_then_status', status: 502 },
  })
  await it.send('pbx', chat)
  await it.settle(600_000)
  expect(await it.calls()).toEqual([['done', null]])
  expect(it.held(TRANSCRIPTO, 'submission')).toHaveLength(1)
})

test('where chats are not wanted nobody takes it, and the call is written with its own facts', async () => {
  await using it = await installed({ chats: false })
  await it.send('pbx', chat)
  await it.settle(600_000)
  expect(it.held(TRANSCRIPTO, 'submission')).toEqual([])
  expect(it.crm('call')).toBe(1)
})

test('a directory is found by its name, and made once; categories get their names', async () => {
  await using it = await installed({ directory: 'Support' })
  for (let n = 0; n < 3; n++) await it.play('sandbox-twilio', await sampleCall(it.now() + n))
  await it.settle(600_000)
  const [directory, ...others] = it.held(TRANSCRIPTO, 'directory')
  expect([directory?.fields, others]).toEqual([{ name: 'Support' }, []])
  const tasks = it.held(TRANSCRIPTO, 'submission')
  expect(tasks.map(({ fields }) => `directory ${fields.directory_id}`)).toEqual(Array(3).fill(directory?.id))
  const { analysis } = await it.store.db
    .selectFrom('results')
    .select('analysis')
    .where('part', '=', 'analysis')
    .executeTakeFirstOrThrow()
  // The stand-in's category 1.
  expect(JSON.parse(analysis)).toMatchObject({
    categories: ['Support'],
    topics: expect.arrayContaining(['Support']),
  })
})

test('the connection parks before its plan is used up, says so, and goes on when there are minutes again', async () => {
  await using it = await installed({ reserveMinutes: RESERVE })
  await it.worker.watchQuotas()
  expect(await metrics(it)).toEqual([{ connection: TRANSCRIPTO, left: 9655, unit: 'call minutes' }])
  expect((await breaker(it))?.state ?? 'closed').toBe('closed')

  // Within the minute nobody asks again, whichever worker it is.
  it.fail(TRANSCRIPTO, { path: '/user/tariff', fault: lowPlan(RESERVE), times: 3 })
  await it.worker.watchQuotas()
  expect(await metrics(it)).toMatchObject([{ left: 9655 }])

  it.advance(61_000)
  await it.worker.watchQuotas()
  expect(await metrics(it)).toMatchObject([{ left: RESERVE }])
  expect(await breaker(it)).toMatchObject({ state: 'open', code: 'quota' })
  await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.work()
  expect(it.held(TRANSCRIPTO, 'submission')).toEqual([])
  const issues = await it.store.db.selectFrom('issues').select(['code', 'says', 'fix']).execute()
  expect(issues).toContainEqual({
    code: 'quota',
    says: `${RESERVE} call minutes are left, ${RESERVE} are to stay`,
    fix: expect.stringContaining('Buy quota'),
  })

  // The next check, which asks twice, still sees a low plan, the one after that a filled one.
  await it.pass(70_000)
  expect(it.held(TRANSCRIPTO, 'submission')).toEqual([])
  await it.settle(3_600_000)
  expect(await it.calls()).toEqual([['done', null]])
  expect(it.held(TRANSCRIPTO, 'submission')).toHaveLength(1)
  expect(await breaker(it)).toMatchObject({ state: 'closed' })
})

test('a service that does not say what is left stops nothing', async () => {
  await using it = await installed()
  it.fail(TRANSCRIPTO, { path: '/user/tariff', fault: { kind: 'status', status: 503 } })
  await it.worker.watchQuotas()
  expect(await metrics(it)).toEqual([])
  await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.settle(600_000)
  expect(await it.calls()).toEqual([['done', null]])
})
