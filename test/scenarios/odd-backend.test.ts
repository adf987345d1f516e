import { expect, test } from 'vitest'
import { z } from 'zod'
import type { Analysis } from '../../src/call/analysis.ts'
import type { Connection } from '../../src/config/model.ts'
import { type AnalysisRole, type Connector, defineConnector } from '../../src/connector/contract.ts'
import { type Installation, install, sampleCall } from './installation.ts'

// Services that none of the stand-ins is like: one that takes calls and gives nothing back, one that answers many calls
// with one webhook, one that cannot be asked whether it got something.

/** A service as the contract allows it, with a book of what it was given. */
function service(role: Partial<AnalysisRole<unknown>>): { connector: Connector; book: string[] } {
  const book: string[] = []
  const connector = defineConnector({
    id: 'odd',
    name: 'Odd',
    docs: 'https://example.com',
    config: z.unknown(),
    check: async () => ({ says: 'ok' }),
    analysis: {
      accepts: () => ({ audio: { formats: ['mp3'], by: ['file'] } }),
      parts: () => ['transcript'],
      submit: async ({ submissionId }) => {
        book.push(submissionId)
        return { ref: `ref-${book.length}` }
      },
      ...role,
    },
  })
  return { connector, book }
}

async function companyWith(connector: Connector): Promise<Installation> {
  const it = await install()
  const odd: Connection = {
    id: 'odd',
    connector,
    settings: {},
    region: 'FR',
    allowPrivate: [],
    concurrency: 4,
    recordingWaitMs: undefined,
    secrets: [],
  }
  const connections = new Map([...it.deps.config.connections, ['odd', odd]] as const)
  const flows = it.deps.config.flows.map((flow) => ({ ...flow, analyze: ['odd'] }))
  Object.assign(it.deps.config, { connections, flows })
  return it
}

const result: Analysis = { title: 'A title' }

test('a service that gives nothing back: the call is handed over once and written with its own facts', async () => {
  const { connector, book } = service({ parts: () => [] })
  await using it = await companyWith(connector)
  // The call changes at the very moment at which the hand-over is committed.
  const { atomic } = it.store
  let disturbed = 0
  it.store.atomic = async (guards, queries) => {
    const [, call] = guards
    if (call && 'call' in call && book.length === 1 && disturbed++ === 0)
      await atomic(
        [],
        [
          it.store.db
            .updateTable('calls')
            .set({ version: call.version + 1 })
            .where('id', '=', call.call),
        ],
      )
    return atomic(guards, queries)
  }
  await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.settle()
  expect([disturbed > 0, book.length, it.crm('call'), it.crm('note'), await it.calls()]).toEqual([
    true,
    1,
    1,
    0,
    [['done', null]],
  ])
})

test('one webhook for many calls: those that are known are written, one that is not yet does not hold them back', async () => {
  const { connector, book } = service({
    callback: {
      verify: () => ({ scheme: 'nothing', reason: 'a test' }),
      receive: (request) => ({
        events: (request.json() as string[]).map((ref) => ({ key: ref, ref, part: 'transcript', result })),
      }),
    },
  })
  await using it = await companyWith(connector)
  for (let n = 0; n < 3; n++) await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.work()
  expect(book).toHaveLength(3)
  const post = (refs: string[]) =>
    it.receive(
      new Request('https://hooks.example.com/hooks/odd', { method: 'POST', body: JSON.stringify(refs) }),
    )
  expect((await post(['ref-1', 'ref-2', 'ref-9'])).status).toBe(202)
  // Nobody has the number: the CRM's search is given its time.
  await it.settle(40_000)
  expect([it.crm('call'), (await it.calls()).filter(([state]) => state === 'done').length]).toEqual([2, 2])
  await post(['ref-3', 'ref-1'])
  await it.settle()
  expect([it.crm('call'), it.crm('note'), new Set((await it.calls()).map(([state]) => state))]).toEqual([
    3,
    3,
    new Set(['done']),
  ])
  const results = await it.store.db.selectFrom('results').select('part').execute()
  expect(results).toHaveLength(3)
})

test('no webhook and no polling: the wait ends after a day, and the call is written with its own facts', async () => {
  const { connector, book } = service({})
  await using it = await companyWith(connector)
  await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.pass(23 * 3_600_000)
  expect(it.crm('call')).toBe(0)
  await it.pass(2 * 3_600_000)
  expect([book.length, it.crm('call'), await it.calls()]).toEqual([1, 1, [['done', null]]])
  const issues = await it.store.db.selectFrom('issues').select(['kind', 'code']).execute()
  expect(issues).toEqual([{ kind: 'poll', code: 'timeout' }])
})

test('a connector that fails in an unexpected way: its words go nowhere, an issue is open at once, and it is retried', async () => {
  let failing = 2
  const { connector, book } = service({ parts: () => [] })
  const { analysis } = connector
  if (!analysis) throw new Error('no analysis role')
  const { submit } = analysis
  analysis.submit = async (request, ctx) => {
    if (failing-- > 0) throw new TypeError('cannot read +33639980001 of Alice Martin')
    return submit(request, ctx)
  }
  await using it = await companyWith(connector)
  await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.work()
  const issues = await it.store.db.selectFrom('issues').select(['code', 'state', 'says']).execute()
  expect(issues).toEqual([{ code: 'internal', state: 'open', says: 'Cordboard failed (TypeError)' }])
  await it.settle()
  expect([book.length, await it.calls()]).toEqual([1, [['done', null]]])
  expect(it.logged.some((line) => line.includes('odd-backend.test.ts'))).toBe(true)
})
