import { expect, test } from 'vitest'
import { GENERIC, sandboxVendors } from './company.ts'
import { genericWebhook } from './generic.ts'
import { type Installation, type InstallOptions, install, sampleCall } from './installation.ts'

// Analysis services refuse, run out of quota, go down and come back. The call goes to the next one that takes it, is
// never paid for twice, and is written with its own facts when nobody takes it.

const XOSUM = 'sandbox-xosum'
const TRANSCRIPTO = 'sandbox-transcripto'
const first = (...analyze: string[]): InstallOptions => ({
  flows: [
    { name: 'f', from: ['sandbox-twilio'], analyze, write: ['sandbox-hubspot'], unknownCaller: 'create' },
  ],
})
const submissions = (it: Installation) => [
  it.held(XOSUM, 'submission').length,
  it.held(TRANSCRIPTO, 'submission').length,
]
const issues = async (it: Installation) => {
  const rows = await it.store.db
    .selectFrom('issues')
    .select(['kind', 'code', 'connection', 'state'])
    .orderBy('id')
    .execute()
  return rows.map((row) => `${row.kind} ${row.code} ${row.connection} ${row.state}`)
}
const breaker = (it: Installation, connection: string) =>
  it.store.db
    .selectFrom('breakers')
    .select(['state', 'code'])
    .where('connection', '=', connection)
    .executeTakeFirst()
const refusal = (error_code: number) =>
  ({ kind: 'status', status: 200, body: { success: false, error_code, error_message: 'no' } }) as const

for (const [why, fault] of [
  ['the format', { kind: 'status', status: 400 }],
  ['an empty quota', { kind: 'status', status: 402 }],
  ['the credentials', { kind: 'status', status: 401 }],
  ['a missing permission', { kind: 'status', status: 403 }],
] as const) {
  test(`refused for ${why}: the next backend gets the call, and the call is done`, async () => {
    await using it = await install(first(XOSUM, TRANSCRIPTO))
    it.fail(XOSUM, { path: '/api/createTranscription', fault, times: 1000 })
    await it.play('sandbox-twilio', await sampleCall(it.now()))
    await it.settle(600_000)
    expect([await it.calls(), submissions(it), it.crm('call'), it.crm('note')]).toEqual([
      [['done', null]],
      [0, 1],
      1,
      1,
    ])
    const [issue] = await issues(it)
    expect(issue).toMatch(/^submit \w+ sandbox-xosum open$/)
  })
}

test('an issue about a backend is over when it takes a call again', async () => {
  await using it = await install(first(XOSUM, TRANSCRIPTO))
  it.fail(XOSUM, { path: '/api/createTranscription', fault: { kind: 'status', status: 400 } })
  await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.settle()
  expect(await issues(it)).toEqual(['submit rejected sandbox-xosum open'])
  await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.settle()
  expect([submissions(it), await issues(it)]).toEqual([[1, 1], ['submit rejected sandbox-xosum resolved']])
})

test('a recording in a format that a backend does not take never goes there', async () => {
  await using it = await install({
    ...first(XOSUM, TRANSCRIPTO),
    settings: { 'sandbox-twilio': { recordingFormat: 'wav' } },
  })
  await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.settle()
  expect([await it.calls(), it.wire.sent(XOSUM)]).toEqual([[['done', null]], []])
})

test('a backend that is down keeps the call for a while, then the next one gets it', async () => {
  await using it = await install(first(XOSUM, TRANSCRIPTO))
  it.fail(XOSUM, { fault: { kind: 'status', status: 503 }, times: 1000 })
  await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.settle(600_000)
  expect([await it.calls(), submissions(it), it.crm('note')]).toEqual([[['done', null]], [0, 1], 1])
  expect(it.wire.sent(XOSUM)).toHaveLength(3)
})

test('a backend that took the call in its last attempt keeps it, though its answer got lost', async () => {
  await using it = await install(first(TRANSCRIPTO, XOSUM))
  const path = '/addtaskcall'
  it.fail(TRANSCRIPTO, { path, fault: { kind: 'status', status: 503 }, times: 2 })
  it.fail(TRANSCRIPTO, { path, fault: { kind: 'commit_then_status', status: 503 } })
  await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.settle(600_000)
  expect([await it.calls(), submissions(it), it.crm('note')]).toEqual([[['done', null]], [0, 1], 1])
})

test('when all refuse, the call is written without an analysis, an issue is open and the call needs attention', async () => {
  await using it = await install(first(XOSUM, TRANSCRIPTO))
  it.fail(XOSUM, { fault: { kind: 'status', status: 400 }, times: 9 })
  it.fail(TRANSCRIPTO, { fault: refusal(4025), times: 9 })
  await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.settle()
  expect([it.crm('call'), it.crm('note'), await it.calls()]).toEqual([
    1,
    0,
    [
      [
        'attention',
        expect.stringMatching(/^no_backend: No analysis connection of the flow f takes this call/),
      ],
    ],
  ])
  expect(await issues(it)).toContain('submit no_backend sandbox-transcripto open')
})

test('a service that gives up on a call hands it to the next one', async () => {
  await using it = await install({
    ...first(XOSUM, TRANSCRIPTO),
    settings: { [XOSUM]: { results: 'polling' } },
  })
  const noMp3 = await sampleCall(it.now(), {
    audio: { bytes: new Uint8Array(9_000), format: 'mp3', durationMs: 17_000 },
  })
  await it.play('sandbox-twilio', noMp3)
  await it.settle()
  expect([await it.calls(), submissions(it), it.crm('note')]).toEqual([[['done', null]], [1, 1], 1])
})

test('the only service gives up on a call: it is written without an analysis and needs attention', async () => {
  await using it = await install({ ...first(XOSUM), settings: { [XOSUM]: { results: 'polling' } } })
  await it.play(
    'sandbox-twilio',
    await sampleCall(it.now(), {
      audio: { bytes: new Uint8Array(9_000), format: 'mp3', durationMs: 17_000 },
    }),
  )
  await it.settle()
  expect([it.crm('call'), it.crm('note'), (await it.calls())[0]?.[0]]).toEqual([1, 0, 'attention'])
})

for (const fault of [{ kind: 'commit_then_hang' }, { kind: 'commit_then_status', status: 502 }] as const) {
  test(`an answer that is lost (${fault.kind}) does not make a second submission`, async () => {
    await using it = await install(first(TRANSCRIPTO))
    it.fail(TRANSCRIPTO, { path: '/addtaskcall', fault })
    await it.play('sandbox-twilio', await sampleCall(it.now()))
    await it.settle()
    expect([await it.calls(), submissions(it), it.crm('note')]).toEqual([[['done', null]], [0, 1], 1])
  })
}

test('a process that dies after its submission got through does not submit again', async () => {
  await using it = await install(first(TRANSCRIPTO))
  it.fail(TRANSCRIPTO, { path: '/addtaskcall', fault: { kind: 'commit_then_hang' } })
  await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.work()
  await it.crash()
  await it.pass(60_000)
  await it.settle()
  expect([await it.calls(), submissions(it)]).toEqual([[['done', null]], [0, 1]])
})

test('"duplicate" is looked up and taken for what it is', async () => {
  await using it = await install(first(TRANSCRIPTO))
  it.fail(TRANSCRIPTO, { path: '/addtaskcall', fault: { kind: 'commit_then_status', status: 502 } })
  // The first question whether it got through is answered wrongly: so the file goes out again.
  it.fail(TRANSCRIPTO, { path: '/tasks/filter', fault: { kind: 'status', status: 200, body: { tasks: [] } } })
  await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.settle()
  expect(it.wire.sent(TRANSCRIPTO).filter((line) => line.includes('addtaskcall'))).toHaveLength(2)
  expect([await it.calls(), submissions(it)]).toEqual([[['done', null]], [0, 1]])
})

test('when a backend is closed, the calls that wait for it move on within a minute', async () => {
  await using it = await install(first(XOSUM, TRANSCRIPTO))
  it.fail(XOSUM, { fault: { kind: 'status', status: 503 }, times: 1000 })
  for (let n = 0; n < 12; n++) await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.pass(60_000)
  expect((await breaker(it, XOSUM))?.state).toBe('open')
  expect([submissions(it), it.crm('call')]).toEqual([[0, 12], 12])
  expect(new Set((await it.calls()).map(([state]) => state))).toEqual(new Set(['done']))
})

test('a backend that is down is tried with one call at a time, and is open to all when that goes well', async () => {
  await using it = await install(first(XOSUM))
  it.fail(XOSUM, { fault: { kind: 'status', status: 503 }, times: 8 })
  for (let n = 0; n < 10; n++) await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.work()
  expect(await breaker(it, XOSUM)).toMatchObject({ state: 'open', code: 'vendor_down' })
  const asked = it.wire.sent(XOSUM).length
  await it.pass(10_000)
  expect(it.wire.sent(XOSUM).length).toBe(asked)
  await it.settle()
  expect([await breaker(it, XOSUM), submissions(it), it.crm('note')]).toEqual([
    { state: 'closed', code: null },
    [10, 0],
    10,
  ])
  expect(await issues(it)).toEqual(['connection vendor_down sandbox-xosum resolved'])
})

test('without another backend, calls are parked until a check goes well, with the attempts they had', async () => {
  await using it = await install(first(TRANSCRIPTO))
  it.fail(TRANSCRIPTO, { path: '/addtaskcall', fault: refusal(4012), times: 3 })
  it.fail(TRANSCRIPTO, { path: '/user/tariff', fault: refusal(4012), times: 2 })
  for (let n = 0; n < 5; n++) await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.work()
  expect((await it.calls()).some(([state]) => state === 'attention')).toBe(true)
  await it.settle()
  expect([submissions(it), it.crm('note')]).toEqual([[0, 5], 5])
  expect(new Set((await it.calls()).map(([state]) => state))).toEqual(new Set(['done']))
  expect((await issues(it)).every((issue) => issue.endsWith('resolved'))).toBe(true)
})

test('an empty quota parks what would be submitted, and what is paid for is still fetched', async () => {
  await using it = await install(first(TRANSCRIPTO))
  await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.work()
  it.fail(TRANSCRIPTO, { path: '/addtaskcall', fault: refusal(4050), times: 1000 })
  const empty = {
    success: true,
    errorcode: 0,
    tariff: {
      name: 'P',
      days_left: 9,
      calls_enabled: true,
      remaining_resources: { available_call_minutes: 0 },
    },
  }
  it.fail(TRANSCRIPTO, {
    path: '/user/tariff',
    fault: { kind: 'status', status: 200, body: empty },
    times: 20,
  })
  for (let n = 0; n < 3; n++) await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.pass(300_000)
  const states = (await it.calls()).map(([state]) => state)
  expect(states.sort()).toEqual(['attention', 'attention', 'attention', 'done'])
  const uploads = it.wire.sent(TRANSCRIPTO).filter((line) => line.includes('addtaskcall')).length
  await it.pass(300_000)
  expect(it.wire.sent(TRANSCRIPTO).filter((line) => line.includes('addtaskcall')).length).toBe(uploads)
})

test('a recording that shows up late in the phone system is fetched when it does', async () => {
  await using it = await install(first(XOSUM))
  it.fail('sandbox-twilio', { path: '/Recordings/', fault: { kind: 'status', status: 404 }, times: 3 })
  await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.settle()
  expect([await it.calls(), submissions(it)]).toEqual([[['done', null]], [1, 0]])
})

test('a recording that is gone for good: the call is written with its own facts and needs attention', async () => {
  await using it = await install(first(XOSUM, TRANSCRIPTO))
  it.fail('sandbox-twilio', { path: '/Recordings/', fault: { kind: 'status', status: 410 }, times: 99 })
  await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.settle()
  expect([it.crm('call'), submissions(it), (await it.calls())[0]?.[0]]).toEqual([1, [0, 0], 'attention'])
  expect(await issues(it)).toEqual(['submit gone sandbox-twilio open'])
})

test('credentials that the phone system refuses close neither the backend nor the call: it waits for them', async () => {
  await using it = await install(first(XOSUM, TRANSCRIPTO))
  it.fail('sandbox-twilio', { fault: { kind: 'status', status: 401 }, times: 2 })
  for (let n = 0; n < 3; n++) await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.work()
  expect(await breaker(it, 'sandbox-twilio')).toMatchObject({ state: 'open', code: 'auth' })
  expect(await breaker(it, XOSUM)).toBeUndefined()
  await it.settle()
  expect([submissions(it), (await it.calls()).map(([state]) => state)]).toEqual([
    [3, 0],
    ['done', 'done', 'done'],
  ])
  expect((await issues(it)).every((issue) => issue.endsWith('resolved'))).toBe(true)
})

test('a recording that breaks off on its way is no fault of the backend', async () => {
  await using it = await install({ ...first(TRANSCRIPTO) })
  const { http } = it.deps
  let broken = 2
  it.deps.http = async (url, request) => {
    const response = await http(url, request)
    if (!url.pathname.includes('/Recordings/') || broken-- <= 0) return response
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(new Uint8Array(1000)),
      pull: (controller) => controller.error(new Error('connection reset')),
    })
    return new Response(body, response)
  }
  await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.settle()
  expect([await it.calls(), submissions(it), await breaker(it, TRANSCRIPTO)]).toEqual([
    [['done', null]],
    [0, 1],
    undefined,
  ])
  expect(await breaker(it, 'sandbox-twilio')).toMatchObject({ state: 'closed' })
})

test('two recordings of one call: the longer one is analysed, and a shorter one that comes later costs nothing', async () => {
  const vendors = { ...GENERIC, ...sandboxVendors('xosum', 'hubspot') }
  await using it = await install({ vendors })
  const call = await sampleCall(it.now(), { id: 'c' })
  for (const webhook of it.place('pbx', call)) await it.send('pbx', webhook)
  await it.settle()
  expect(it.held(XOSUM, 'submission')).toHaveLength(1)
  const shorter = {
    key: 'c-2',
    url: 'https://pbx.example.com/recordings/c',
    format: 'mp3',
    durationMs: 2_000,
    state: 'ready',
  }
  await it.send(
    'pbx',
    genericWebhook([{ key: 'c:2', callId: 'c', phase: 'recorded', facts: { recordings: [shorter] } }]),
  )
  await it.settle()
  expect([it.held(XOSUM, 'submission').length, it.crm('call')]).toEqual([1, 1])
  const longer = { ...shorter, key: 'c-3', durationMs: 90_000 }
  await it.send(
    'pbx',
    genericWebhook([{ key: 'c:3', callId: 'c', phase: 'recorded', facts: { recordings: [longer] } }]),
  )
  await it.settle()
  expect([it.held(XOSUM, 'submission').length, it.crm('call'), it.crm('note'), await it.calls()]).toEqual([
    2,
    1,
    1,
    [['done', null]],
  ])
})
