import { expect, test } from 'vitest'
import { rerunCall } from '../../src/pipeline/rerun.ts'
import type { StepKind } from '../../src/store/schema.ts'
import { GENERIC, sandboxVendors } from './company.ts'
import { genericWebhook } from './generic.ts'
import { type Installation, install, sampleCall } from './installation.ts'

// The CRM answers late, twice, or not at all, and its search lags behind. However a write ends, the call, its note, its
// tasks and a new caller's contact stand there once; and what a person deleted there is not made anew behind their back.

const CRM = 'sandbox-hubspot'
const LAG = { settings: { [CRM]: { indexLagMs: 30_000 } } }
const counts = (it: Installation) => ['contact', 'call', 'note', 'task'].map((kind) => it.crm(kind))
const attempts = async (it: Installation, kind: StepKind) => {
  const rows = await it.store.db.selectFrom('steps').select('attempts').where('kind', '=', kind).execute()
  return rows.map((row) => row.attempts)
}
const ended = (facts: Record<string, unknown> = {}) => ({
  key: 'c:ended',
  callId: 'c',
  phase: 'ended',
  facts: {
    direction: 'inbound',
    from: '+33639980001',
    startedAt: '2026-11-20T11:58:00.000Z',
    result: 'no_answer',
    ...facts,
  },
})
const PBX = { vendors: { ...GENERIC, ...sandboxVendors('xosum', 'hubspot') } }

for (const [part, path] of [
  ['contact', '/contacts$'],
  ['call', '/calls$'],
  ['note', '/notes$'],
  ['task', '/tasks$'],
] as const) {
  for (const fault of [
    { kind: 'commit_then_hang' },
    { kind: 'hang' },
    { kind: 'commit_then_status', status: 504 },
  ] as const) {
    test(`a ${part} whose creation ends unknown (${fault.kind}) is there exactly once after the index lag`, async () => {
      await using it = await install({
        ...LAG,
        flows: [
          {
            name: 'f',
            from: ['sandbox-twilio'],
            analyze: ['sandbox-transcripto'],
            write: [CRM],
            unknownCaller: 'create',
          },
        ],
      })
      it.fail(CRM, { method: 'POST', path, fault })
      await it.play('sandbox-twilio', await sampleCall(it.now()))
      await it.settle()
      const [contacts, calls, notes, tasks] = counts(it)
      expect([contacts, calls, notes, await it.calls()]).toEqual([1, 1, 1, [['done', null]]])
      expect(tasks).toBeGreaterThan(0)
      expect(new Set(it.held(CRM, 'task').map((task) => task.fields.hs_task_subject)).size).toBe(tasks)
    })
  }
}

test('what hung is sent again only when the index has had its time since its caller gave up', async () => {
  await using it = await install({ ...PBX, ...LAG })
  it.fail(CRM, { method: 'POST', path: '/calls$', fault: { kind: 'hang' } })
  await it.send('pbx', genericWebhook([ended()]))
  const sent = () => it.wire.sent(CRM).filter((line) => line.endsWith('/calls'))
  // Given up after half a minute; until then the CRM may still carry it out.
  await it.pass(50_000)
  expect(sent()).toHaveLength(1)
  await it.settle()
  expect([sent().length, it.crm('call'), await it.calls()]).toEqual([2, 1, [['done', null]]])
})

test('a process that dies while the call is being created does not make a second one', async () => {
  await using it = await install(LAG)
  it.fail(CRM, { method: 'POST', path: '/calls$', fault: { kind: 'commit_then_hang' } })
  await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.settle(20_000)
  await it.crash()
  await it.pass(60_000)
  await it.settle()
  expect([counts(it).slice(0, 3), await it.calls()]).toEqual([[1, 1, 1], [['done', null]]])
})

test('429 with Retry-After uses no attempt and is told once on the timeline', async () => {
  await using it = await install(PBX)
  it.fail(CRM, {
    method: 'POST',
    path: '/calls$',
    fault: { kind: 'status', status: 429, retryAfter: '30' },
    times: 20,
  })
  await it.send('pbx', genericWebhook([ended()]))
  await it.pass(25_000)
  expect(it.wire.sent(CRM).filter((line) => line.endsWith('/calls'))).toHaveLength(1)
  await it.settle()
  expect([it.crm('call'), await attempts(it, 'write')]).toEqual([1, [1]])
  const lines = await it.store.db
    .selectFrom('attempts')
    .select('code')
    .where('code', '=', 'rate_limited')
    .execute()
  expect(lines).toHaveLength(1)
})

test('5xx and refused connections are retried until they pass, without a second record', async () => {
  await using it = await install({ ...PBX, ...LAG })
  it.fail(CRM, { method: 'POST', path: '/calls$', fault: { kind: 'status', status: 502 }, times: 4 })
  await it.send('pbx', genericWebhook([ended()]))
  await it.settle()
  expect([it.crm('call'), await it.calls()]).toEqual([1, [['done', null]]])
})

test('409 on a part that is there already is taken for what it is', async () => {
  await using it = await install({ ...PBX, ...LAG })
  it.fail(CRM, { method: 'POST', path: '/calls$', fault: { kind: 'commit_then_status', status: 409 } })
  await it.send('pbx', genericWebhook([ended()]))
  await it.settle()
  expect([it.crm('call'), await it.calls()]).toEqual([1, [['done', null]]])
})

test('a refused record is dead with an issue; after a rerun the call is done and the issue resolved', async () => {
  await using it = await install(PBX)
  it.fail(CRM, { method: 'POST', path: '/calls$', fault: { kind: 'status', status: 400 } })
  await it.send('pbx', genericWebhook([ended()]))
  await it.settle()
  expect(await it.calls()).toEqual([['attention', expect.stringMatching(/^rejected: /)]])
  const { id } = await it.store.db.selectFrom('calls').select('id').executeTakeFirstOrThrow()
  await rerunCall(it.deps, id, { from: 'write', actor: 'operator' })
  await it.settle()
  expect([await it.calls(), it.crm('call')]).toEqual([[['done', null]], 1])
  expect(await it.store.db.selectFrom('issues').select('state').execute()).toEqual([{ state: 'resolved' }])
})

test('new facts after a refused record write it, and nothing stuck is left of the earlier round', async () => {
  await using it = await install(PBX)
  it.fail(CRM, { method: 'POST', path: '/calls$', fault: { kind: 'status', status: 400 } })
  await it.send('pbx', genericWebhook([ended()]))
  await it.settle()
  await it.send(
    'pbx',
    genericWebhook([{ key: 'c:more', callId: 'c', phase: 'amended', facts: { reference: 'r-1' } }]),
  )
  await it.settle()
  expect([await it.calls(), it.crm('call')]).toEqual([[['done', null]], 1])
})

test('a record that a person deleted is not made anew by new facts, only by a rerun', async () => {
  await using it = await install(PBX)
  await it.send('pbx', genericWebhook([ended()]))
  await it.settle()
  it.fail(CRM, { method: 'PATCH', path: '/calls/', fault: { kind: 'status', status: 404 }, times: 99 })
  for (const reference of ['r-1', 'r-2']) {
    await it.send(
      'pbx',
      genericWebhook([{ key: `c:${reference}`, callId: 'c', phase: 'amended', facts: { reference } }]),
    )
    await it.settle()
    expect([it.crm('call'), (await it.calls())[0]?.[0]]).toEqual([1, 'attention'])
  }
  const { id } = await it.store.db.selectFrom('calls').select('id').executeTakeFirstOrThrow()
  await rerunCall(it.deps, id, { from: 'write', actor: 'operator' })
  await it.settle()
  expect([it.crm('call'), await it.calls()]).toEqual([2, [['done', null]]])
})

test('a transcript that is too long for a note is shortened, not refused', async () => {
  await using it = await install({ settings: { [CRM]: { note: { transcript: true } } } })
  await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.work()
  const { ref } = await it.store.db.selectFrom('submissions').select('ref').executeTakeFirstOrThrow()
  const transcription = Array.from(
    { length: 5_000 },
    (_, n) => `Խոսնակ ${(n % 2) + 1}: line ${n} & <more>`,
  ).join('\n')
  const body = {
    event_type: 'transcript_ready',
    secret: 'sandbox-xosum-webhook-secret',
    docId: ref,
    transcription,
    metadata: {},
    title: 't',
    resolution: 's',
  }
  const headers = { 'content-type': 'application/json' }
  await it.receive(
    new Request('https://hooks.example.com/hooks/sandbox-xosum', {
      method: 'POST',
      headers,
      body: JSON.stringify(body),
    }),
  )
  await it.settle()
  const [note] = it.held(CRM, 'note')
  expect(String(note?.fields.hs_note_body).length).toBeGreaterThan(60_000)
  expect(await it.calls()).toEqual([['done', null]])
})

test('writing again changes nothing and asks nothing', async () => {
  await using it = await install()
  await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.settle()
  const asked = it.wire.sent(CRM).length
  const before = it.vendor(CRM).book()
  const { id } = await it.store.db.selectFrom('calls').select('id').executeTakeFirstOrThrow()
  await rerunCall(it.deps, id, { from: 'write', actor: 'operator' })
  await it.settle()
  expect([it.wire.sent(CRM).length, it.vendor(CRM).book()]).toEqual([asked, before])
})

test('credentials that the CRM refuses park its steps with their attempts, other lanes go on, and a check resumes', async () => {
  await using it = await install()
  it.fail(CRM, { fault: { kind: 'status', status: 401 }, times: 6 })
  for (let n = 0; n < 4; n++) await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.settle(30_000)
  expect(it.held('sandbox-xosum', 'submission')).toHaveLength(4)
  expect([it.crm('call'), (await it.calls()).some(([state]) => state === 'attention')]).toEqual([0, true])
  const sent = it.wire.sent(CRM).length
  await it.pass(20_000)
  expect(it.wire.sent(CRM).length).toBe(sent)
  await it.settle()
  expect([it.crm('call'), it.crm('contact'), new Set((await it.calls()).map(([state]) => state))]).toEqual([
    4,
    1,
    new Set(['done']),
  ])
  expect(new Set(await attempts(it, 'write'))).toEqual(new Set([1]))
  const issues = await it.store.db.selectFrom('issues').select(['kind', 'state']).execute()
  expect(issues.every((issue) => issue.state === 'resolved')).toBe(true)
})

test('two rounds of the same call at once never write it twice', async () => {
  await using it = await install({ ...PBX, ...LAG })
  it.fail(CRM, { method: 'POST', path: '/calls$', fault: { kind: 'commit_then_hang' } })
  await it.send('pbx', genericWebhook([ended()]))
  await it.work()
  for (const reference of ['r-1', 'r-2', 'r-3']) {
    await it.send(
      'pbx',
      genericWebhook([{ key: `c:${reference}`, callId: 'c', phase: 'amended', facts: { reference } }]),
    )
    await it.work()
  }
  await it.settle()
  expect([it.crm('call'), it.crm('contact'), await it.calls()]).toEqual([1, 1, [['done', null]]])
  expect(String(it.held(CRM, 'call')[0]?.fields.hs_call_body)).toContain('r-3')
})

test('a later round waits while an earlier one is still at the CRM', async () => {
  await using it = await install({ ...PBX, ...LAG })
  it.fail(CRM, { method: 'POST', path: '/calls$', fault: { kind: 'commit_then_hang' } })
  await it.send('pbx', genericWebhook([ended()]))
  await it.work()
  await it.send(
    'pbx',
    genericWebhook([{ key: 'c:late', callId: 'c', phase: 'amended', facts: { reference: 'r-1' } }]),
  )
  await it.work()
  const writes = await it.store.db
    .selectFrom('steps')
    .select(['state', 'reason'])
    .where('kind', '=', 'write')
    .orderBy('generation')
    .execute()
  expect(writes).toEqual([
    { state: 'working', reason: null },
    { state: 'waiting', reason: 'an earlier round is still at it' },
  ])
  await it.settle()
  expect([it.crm('call'), await it.calls()]).toEqual([1, [['done', null]]])
})

test('a merge that read the call before its last step ended does not leave it at work for ever', async () => {
  await using it = await install(PBX)
  await it.send('pbx', genericWebhook([ended()]))
  await it.settle()
  // What that merge would have stored: the state it read, with no step left that could end it.
  await it.store.atomic([], [it.store.db.updateTable('calls').set({ state: 'working' })])
  await it.send(
    'pbx',
    genericWebhook([ended(), { key: 'c:again', callId: 'c', phase: 'ringing', facts: {} }]),
  )
  await it.settle()
  expect([it.crm('call'), await it.calls()]).toEqual([1, [['done', null]]])
})

test('a record that an operator chose is kept by every later round', async () => {
  await using it = await install(PBX)
  const chosen = it.vendor(CRM).addContact?.({ name: 'Chosen Person', phone: '+33639980077' }) ?? ''
  await it.send('pbx', genericWebhook([ended()]))
  await it.settle()
  const { db } = it.store
  await it.store.atomic(
    [],
    [db.updateTable('writebacks').set({ target_type: 'contact', target_id: chosen, chosen: 1 })],
  )
  await it.send(
    'pbx',
    genericWebhook([{ key: 'c:more', callId: 'c', phase: 'amended', facts: { reference: 'r-1' } }]),
  )
  await it.settle()
  expect(it.held(CRM, 'call')[0]?.fields.associations).toContain(`contact/${chosen}`)
  expect(it.crm('call')).toBe(1)
})
