import { expect, test } from 'vitest'
import { CordboardError } from '../../src/errors.ts'
import { rerunCall } from '../../src/pipeline/rerun.ts'
import { sandboxVendors, type Vendors } from './company.ts'
import { type Installation, install, sampleCall } from './installation.ts'

// Resonaa takes calls and gives nothing back, and cannot be asked what it has. Each call is handed over once and stands in
// the CRM with its own facts; where nobody saw how the hand-over ended, a person looks before anything is paid for again.

const VENDORS: Vendors = {
  ...sandboxVendors('twilio', 'hubspot', 'transcripto'),
  resonaa: { use: 'resonaa', settings: { apiKey: 'resonaa-company-key' } },
}
const flow = (...analyze: string[]) => [
  { name: 'f', from: ['sandbox-twilio'], analyze, write: ['sandbox-hubspot'], unknownCaller: 'create' },
]
const company = (...analyze: string[]) => install({ vendors: VENDORS, flows: flow(...analyze) })

const got = (it: Installation) => it.held('resonaa', 'submission')
const inCrm = (it: Installation) => ['call', 'contact'].map((kind) => it.crm(kind))
const callId = async (it: Installation) =>
  (await it.store.db.selectFrom('calls').select('id').executeTakeFirstOrThrow()).id
const stuck = async (it: Installation) =>
  (
    await it.store.db
      .selectFrom('steps')
      .select(['kind', 'state', 'code'])
      .where('state', 'in', ['parked', 'dead'])
      .execute()
  ).map((step) => `${step.kind} ${step.state} ${step.code}`)

test('a call is handed over by file and stands in the CRM with its own facts', async () => {
  await using it = await company('resonaa')
  await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.settle()
  expect([await it.calls(), inCrm(it), await stuck(it)]).toEqual([[['done', null]], [1, 1], []])
  const [call, ...others] = got(it)
  expect(others).toEqual([])
  expect(call).toMatchObject({ key: await callId(it), fields: { fileName: expect.stringMatching(/\.mp3$/) } })
  expect(call?.fields).not.toHaveProperty('api_key')
})

test.each([
  ['a timeout', { kind: 'commit_then_hang' }],
  ['a 5xx after the work', { kind: 'commit_then_status', status: 502 }],
  ['a 5xx without it', { kind: 'status', status: 503 }],
] as const)('after %s nothing is sent again: the step parks, and the CRM gets the call', async (_, fault) => {
  await using it = await company('resonaa', 'sandbox-transcripto')
  it.fail('resonaa', { fault, path: '/api/add-calls' })
  await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.settle(86_400_000)
  const isThere = fault.kind !== 'status'
  expect([got(it).length, inCrm(it), await stuck(it)]).toEqual([
    isThere ? 1 : 0,
    [1, 1],
    ['submit parked ambiguous'],
  ])
  expect(it.held('sandbox-transcripto', 'submission')).toEqual([])
  expect((await it.calls())[0]?.[0]).toBe('attention')
  const issues = await it.store.db.selectFrom('issues').select(['code', 'state']).execute()
  expect(issues).toContainEqual({ code: 'ambiguous', state: 'open' })

  // Neither a restart nor a sweep is a person.
  await it.restart()
  await it.settle(86_400_000)
  expect(it.wire.sent('resonaa')).toHaveLength(1)

  await rerunCall(it.deps, await callId(it), { from: 'submit', actor: 'test' })
  await it.settle()
  expect([got(it).length, inCrm(it), await stuck(it)]).toEqual([isThere ? 2 : 1, [1, 1], []])
  expect(await it.calls()).toEqual([['done', null]])
})

test('a person’s word counts for one attempt: the next end that nobody saw parks again', async () => {
  await using it = await company('resonaa')
  it.fail('resonaa', { fault: { kind: 'status', status: 503 }, path: '/api/add-calls', times: 2 })
  await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.settle(86_400_000)
  await rerunCall(it.deps, await callId(it), { from: 'submit', actor: 'test' })
  await it.settle(86_400_000)
  expect([it.wire.sent('resonaa').length, await stuck(it)]).toEqual([2, ['submit parked ambiguous']])
})

test('a worker that dies while the call is on its way is not followed by another who sends it again', async () => {
  await using it = await company('resonaa')
  it.fail('resonaa', { fault: { kind: 'commit_then_hang' }, path: '/api/add-calls' })
  await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.work()
  expect(got(it)).toHaveLength(1)
  await it.crash()
  await it.pass(60_000)
  expect([got(it).length, inCrm(it), await stuck(it)]).toEqual([1, [1, 1], ['submit parked ambiguous']])
})

test.each([
  ['too many requests', { kind: 'status', status: 429 }],
  ['a refused key, until it is taken again', { kind: 'status', status: 401 }],
] as const)('a plain refusal leaves no doubt: after %s it is sent again by itself', async (_, fault) => {
  await using it = await company('resonaa')
  it.fail('resonaa', { fault, path: '/api/add-calls' })
  await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.settle()
  expect([got(it).length, inCrm(it), await stuck(it), await it.calls()]).toEqual([
    1,
    [1, 1],
    [],
    [['done', null]],
  ])
})

test('a service that cannot be reached got nothing: it is tried again', async () => {
  await using it = await company('resonaa')
  const { http } = it.deps
  let refused = 2
  it.deps.http = async (url, request) => {
    if (url.hostname.startsWith('resonaa') && refused-- > 0) {
      const cause = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })
      throw new CordboardError('vendor_down', 'No connection to resonaa.example.com: ECONNREFUSED', { cause })
    }
    return http(url, request)
  }
  await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.settle()
  expect([got(it).length, await stuck(it), await it.calls()]).toEqual([1, [], [['done', null]]])
})

test('half of an upload is no hand-over: a recording that breaks off is sent again', async () => {
  await using it = await company('resonaa')
  const { http } = it.deps
  let broken = 0
  it.deps.http = async (url, request) => {
    const response = await http(url, request)
    if (!url.pathname.includes('/Recordings/') || broken++ > 0) return response
    const half = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (broken++ === 1) controller.enqueue(new Uint8Array(1_000))
        else controller.error(new TypeError('terminated'))
      },
    })
    return new Response(half, { headers: { 'content-type': 'audio/mpeg' } })
  }
  await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.settle()
  expect(it.wire.sent('resonaa').length).toBeGreaterThanOrEqual(1)
  expect([got(it).length, await stuck(it), await it.calls()]).toEqual([1, [], [['done', null]]])
})
