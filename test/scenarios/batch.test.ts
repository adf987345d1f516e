import { expect, test } from 'vitest'
import { rerunCall } from '../../src/pipeline/rerun.ts'
import { markRestored } from '../../src/pipeline/restored.ts'
import { asked, both, CYBERDEV, chat, company, handedOver, ring } from './cyberdev.ts'
import { genericWebhook } from './generic.ts'
import type { Installation } from './installation.ts'

// Calls are gathered and handed over together: by count, bytes or age; once, whatever dies in between; and what is wrong
// with one of them is its own affair.

const GATHER = { count: 4, bytes: 10_000_000, ageMs: 600_000 }
const gathering = (gather: object = {}, settings: object = {}) => ({
  gather: { ...GATHER, ...gather },
  ...settings,
})

const states = async (it: Installation) => (await it.calls()).map(([state]) => state)
const files = (it: Installation) => it.held(CYBERDEV, 'file').map(({ fields }) => fields.calls)
const issues = async (it: Installation) => {
  const rows = await it.store.db
    .selectFrom('issues')
    .select(['kind', 'code', 'state'])
    .orderBy('id')
    .execute()
  return rows.map((row) => `${row.kind} ${row.code} ${row.state}`)
}
/** Every call stands in the service's books once. */
const once = (it: Installation) => {
  const keys = handedOver(it).map(({ key }) => key)
  expect(new Set(keys).size).toBe(keys.length)
  return keys.length
}

async function ringAll(
  it: Installation,
  count: number,
  segments: Record<number, string> = {},
): Promise<void> {
  for (let i = 1; i <= count; i++) {
    const segment = segments[i]
    await ring(it, `c-${i}`, segment === undefined ? {} : { segment })
  }
}

test('calls are handed over together when there are enough, and each gets its own result', async () => {
  await using it = await company(gathering())
  await ringAll(it, 4)
  await it.work()
  expect([files(it), asked(it)]).toEqual([
    [4],
    [
      'POST /api/v1/calls/upload',
      'PUT /store/metadata.csv',
      'PUT /store/audios.zip',
      'POST /api/v1/calls/process-upload',
    ],
  ])
  await it.settle()
  expect([await states(it), once(it), it.crm('note')]).toEqual([Array(4).fill('done'), 4, 4])
})

test('a call that nobody may analyse any more leaves the batch it waits in', async () => {
  const flow = {
    name: 'all',
    from: ['pbx'],
    analyze: [CYBERDEV],
    write: ['sandbox-hubspot'],
    unknownCaller: 'create',
  }
  await using it = await company(gathering(), {
    config: { flows: [{ ...flow, noAnalysis: { when: { tags: ['no-consent'] } } }] },
  })
  await ringAll(it, 3)
  await it.work()
  const tag = { key: 'c-2:consent', callId: 'c-2', phase: 'amended', facts: { tags: ['no-consent'] } }
  await it.send('pbx', genericWebhook([tag]))
  await it.settle(3_600_000)
  expect([files(it), once(it), it.crm('call'), it.crm('note')]).toEqual([[2], 2, 3, 2])
  expect([await states(it), await issues(it)]).toEqual([Array(3).fill('done'), []])
})

test('the first call waits so long and no longer', async () => {
  await using it = await company(gathering())
  await ringAll(it, 3)
  await it.pass(GATHER.ageMs - 1_000)
  expect([files(it), await states(it)]).toEqual([[], Array(3).fill('working')])
  await it.pass(1_000)
  expect(files(it)).toEqual([3])
})

test('what would be too large for a file goes into the next one', async () => {
  await using it = await company(gathering({ bytes: 130_000 }))
  await ringAll(it, 4)
  await it.settle()
  expect([files(it), once(it), await states(it)]).toEqual([[2, 2], 4, Array(4).fill('done')])
})

test('recordings and transcripts are not mixed', async () => {
  await using it = await company(gathering({ count: 2 }))
  await ringAll(it, 2)
  for (const id of ['t-1', 't-2']) await chat(it, id, [{ party: 'agent', text: `Alice, "${id}", hello` }])
  await it.settle()
  expect([files(it), once(it), await states(it)]).toEqual([[2, 2], 4, Array(4).fill('done')])
  const texts = handedOver(it).flatMap((call) => ('anonymized_text' in call ? call.anonymized_text : []))
  expect(texts.sort()).toEqual(['<operator> [AGENT], "t-1", hello', '<operator> [AGENT], "t-2", hello'])
})

for (const path of ['/calls/upload', 'metadata.csv$', 'audios.zip$', '/process-upload']) {
  for (const kind of ['commit_then_hang', 'hang'] as const) {
    test(`a worker that is killed at ${path} (${kind}) hands nothing over twice`, async () => {
      await using it = await company(gathering())
      it.fail(CYBERDEV, { path, fault: { kind } })
      await ringAll(it, 4)
      await it.work()
      await it.crash()
      await it.pass(60_000)
      await it.settle()
      expect([files(it), once(it), await states(it)]).toEqual([[4], 4, Array(4).fill('done')])
      // Of three steps only the one that nobody saw the end of is done again.
      const again = asked(it).length
      expect(again).toBe(path === '/process-upload' && kind === 'commit_then_hang' ? 4 : 5)
    })
  }
}

test('a worker that was frozen and goes on too late adds nothing', async () => {
  await using it = await company(gathering())
  it.fail(CYBERDEV, { path: 'audios.zip$', fault: { kind: 'commit_then_hang' } })
  await ringAll(it, 4)
  await it.work()
  await it.crash({ keepsWaiting: true })
  await it.pass(60_000)
  it.wire.release()
  await it.settle()
  expect([files(it), once(it), await states(it)]).toEqual([[4], 4, Array(4).fill('done')])
})

test('a bad row fails only its call: the file is halved until it stands alone', async () => {
  await using it = await company(gathering({ count: 8 }))
  await ringAll(it, 8, { 3: 'closed' })
  await it.settle()
  expect([files(it).sort(), once(it)]).toEqual([[1, 2, 4], 7])
  expect((await states(it)).sort()).toEqual(['attention', ...Array(7).fill('done')])
  expect(await issues(it)).toEqual(['submit no_backend open'])
})

test('the next service gets the call that the first one refused', async () => {
  await using it = await company(gathering(), { analyze: both })
  await ringAll(it, 4, { 2: 'closed' })
  await it.settle()
  expect([once(it), it.held('sandbox-transcripto', 'submission').length, await states(it)]).toEqual([
    3,
    1,
    Array(4).fill('done'),
  ])
})

test('a mistake that is about the whole file is not halved', async () => {
  await using it = await company(gathering())
  const body = { status: 'error', code: 'MISSING_COLUMNS', message: 'no' }
  it.fail(CYBERDEV, { path: '/process-upload', fault: { kind: 'status', status: 400, body }, times: 99 })
  await ringAll(it, 4)
  await it.settle()
  expect([asked(it).length, await states(it)]).toEqual([4, Array(4).fill('attention')])
})

test('a call that cannot be a row is refused before it is gathered', async () => {
  await using it = await company(gathering({}, { tracks: undefined }))
  await ring(it, 'c-1')
  await it.work()
  expect([await states(it), await it.store.db.selectFrom('batches').selectAll().execute()]).toEqual([
    ['attention'],
    [],
  ])
})

test('a recording that cannot be had any more costs only its own call', async () => {
  await using it = await company(gathering())
  await ringAll(it, 3)
  await it.work()
  it.fail('pbx', { method: 'GET', fault: { kind: 'status', status: 410 } })
  await ring(it, 'c-4')
  await it.settle()
  expect([files(it), once(it)]).toEqual([[3], 3])
  expect((await states(it)).sort()).toEqual(['attention', 'done', 'done', 'done'])
})

test('a recording that breaks off in the middle of the archive is left out, and comes with the next', async () => {
  await using it = await company(gathering())
  const { http } = it.deps
  let opened = 0
  it.deps.http = async (url, request) => {
    const response = await http(url, request)
    if (!url.hostname.startsWith('pbx')) return response
    opened += 1
    // Four were looked at when they were gathered; this is the second of the archive.
    if (opened !== 6) return response
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(new Uint8Array(1000)),
      pull: (controller) => controller.error(new Error('connection reset')),
    })
    return new Response(body, response)
  }
  await ringAll(it, 4)
  await it.settle()
  expect([files(it).sort(), once(it), await states(it)]).toEqual([[1, 3], 4, Array(4).fill('done')])
})

test('while the service is down the calls go to the next one, and nothing is sent twice', async () => {
  await using it = await company(gathering(), { analyze: both })
  it.fail(CYBERDEV, { fault: { kind: 'status', status: 503 }, times: 1_000 })
  await ringAll(it, 4)
  await it.settle(900_000)
  expect([await states(it), it.held('sandbox-transcripto', 'submission').length, once(it)]).toEqual([
    Array(4).fill('done'),
    4,
    0,
  ])
})

test('refused credentials park the calls until they are good again', async () => {
  await using it = await company(gathering())
  const body = { status: 'error', code: 'AUTH_INVALID_TOKEN', message: 'no' }
  const fault = { kind: 'status', status: 401, body } as const
  it.fail(CYBERDEV, { path: '/calls/upload', fault })
  it.fail(CYBERDEV, { method: 'GET', fault })
  await ringAll(it, 4)
  await it.work()
  expect(await states(it)).toEqual(Array(4).fill('attention'))
  await it.settle()
  expect([await states(it), once(it)]).toEqual([Array(4).fill('done'), 4])
})

test('a call that is run again while it waits in a batch is handed over once', async () => {
  await using it = await company(gathering())
  await ringAll(it, 3)
  await it.work()
  const [call] = await it.store.db.selectFrom('calls').select('id').orderBy('id').execute()
  await rerunCall(it.deps, call?.id ?? '', { from: 'submit', actor: 'operator' })
  await it.settle()
  expect([files(it), once(it), await states(it)]).toEqual([[3], 3, Array(3).fill('done')])
})

test('an upload that nobody saw the end of is given back and looked for before it is sent anew', async () => {
  await using it = await company(gathering())
  it.fail(CYBERDEV, { path: '/process-upload', fault: { kind: 'commit_then_status', status: 502 } })
  const nothing = { status: 'success', data: [], total: 0, offset: 0, limit: 100 }
  // The search shows nothing for a while.
  it.fail(CYBERDEV, { method: 'GET', fault: { kind: 'status', status: 200, body: nothing }, times: 3 })
  await ringAll(it, 4)
  await it.settle()
  expect([files(it), once(it), await states(it)]).toEqual([[4], 4, Array(4).fill('done')])
})

test('many at once are let in one by one and none is lost between two batches', async () => {
  await using it = await company(gathering({ count: 7 }))
  for (let i = 1; i <= 20; i++) await ring(it, `c-${i}`)
  await it.settle()
  expect([once(it), new Set(await states(it)), Math.max(...files(it).map(Number))]).toEqual([
    20,
    new Set(['done']),
    7,
  ])
})

test('what was gathered is erased with its calls', async () => {
  await using it = await company(gathering({ count: 2 }), {
    config: { keep: { deliveries: '7 days', calls: '10 days' } },
  })
  await ringAll(it, 3)
  await it.settle()
  const rows = async () => {
    const { db } = it.store
    const all = [
      await db.selectFrom('batches').select('id').execute(),
      await db.selectFrom('batch_members').select('submission_id').execute(),
      await db.selectFrom('steps').select('id').where('kind', '=', 'batch').execute(),
    ]
    return all.map((one) => one.length)
  }
  expect(await rows()).toEqual([2, 3, 2])
  await it.pass(11 * 86_400_000)
  expect(await rows()).toEqual([0, 0, 0])
})

test('what is on its way in a file is not given to the next service when the breaker opens', async () => {
  await using it = await company(gathering(), { analyze: both })
  it.fail(CYBERDEV, { path: '/process-upload', fault: { kind: 'commit_then_hang' } })
  await ringAll(it, 4)
  await it.work()
  const at = it.now()
  const open = {
    state: 'open',
    code: 'vendor_down',
    says: null,
    failures: 5,
    opened_at: at,
    retry_at: at + 1,
  } as const
  const breaker = it.store.db.insertInto('breakers').values({ connection: CYBERDEV, ...open })
  await it.store.atomic([], [breaker])
  await it.work()
  await it.crash()
  await it.pass(60_000)
  await it.settle()
  expect([once(it), it.held('sandbox-transcripto', 'submission'), await states(it)]).toEqual([
    4,
    [],
    Array(4).fill('done'),
  ])
})

test('what was gathered before the store was put back is looked for, call by call, before it is handed over', async () => {
  await using it = await company(gathering())
  await ringAll(it, 3)
  await it.work()
  it.advance(1_000)
  await it.store.atomic([], [markRestored(it.store, it.now())])
  await it.settle()
  const searches = it.wire.sent(CYBERDEV).findIndex((line) => line.startsWith('POST'))
  expect(searches).toBeGreaterThanOrEqual(3)
  expect([files(it), once(it), await states(it)]).toEqual([[3], 3, Array(3).fill('done')])
})

test('a recording that has to be converted goes by itself, or waits where nothing converts: the others are no later', async () => {
  for (const convert of [(audio: ReadableStream<Uint8Array>) => audio, undefined]) {
    await using it = await company(gathering({ count: 3 }))
    if (convert) it.deps.convert = convert
    await ring(it, 'c-0', { recording: { format: 'm4a' } })
    await ringAll(it, 3)
    await it.settle()
    const waits = convert ? [] : ['submit config open']
    expect([files(it), once(it), await issues(it)]).toEqual([[3], convert ? 4 : 3, waits])
  }
})
