import { expect, test } from 'vitest'
import { type Installation, type InstallOptions, install, sampleCall } from './installation.ts'

// A result comes by webhook, by polling, by both, before the submission is stored, or late. Whichever way brings a part
// first counts; nothing is written twice for it, and nothing that comes is lost.

const XOSUM = 'sandbox-xosum'
const only = (backend: string): InstallOptions => ({
  flows: [
    {
      name: 'f',
      from: ['sandbox-twilio'],
      analyze: [backend],
      write: ['sandbox-hubspot'],
      unknownCaller: 'create',
    },
  ],
})
const withChecklist = (extra: Record<string, unknown> = {}): InstallOptions => ({
  ...only(XOSUM),
  settings: { [XOSUM]: { checklistId: 'check-1', ...extra } },
})

const results = async (it: Installation) => {
  const rows = await it.store.db
    .selectFrom('results')
    .select(['part', 'via'])
    .orderBy('received_at')
    .execute()
  return rows.map((row) => `${row.part} by ${row.via}`)
}
const submission = (it: Installation) =>
  it.store.db.selectFrom('submissions').selectAll().executeTakeFirstOrThrow()
const notes = async (it: Installation) => {
  const rows = await it.store.db.selectFrom('attempts').select('says').where('outcome', '=', 'note').execute()
  return rows.map((row) => row.says)
}
/** A result webhook as Xosum documents it. */
const posted = (it: Installation, body: Record<string, unknown>) =>
  it.receive(
    new Request(`https://hooks.example.com/hooks/${XOSUM}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ secret: 'sandbox-xosum-webhook-secret', metadata: {}, ...body }),
    }),
  )
const transcriptReady = (docId: string | null, more: Record<string, unknown> = {}) => ({
  event_type: 'transcript_ready',
  docId,
  transcription: 'Խոսնակ 1: one\nԽոսնակ 2: two',
  title: 'A title of its own',
  resolution: 'A summary of its own',
  ...more,
})
const analysisReady = (docId: string | null) => ({
  event_type: 'analysis_ready',
  docId,
  analysisId: 'a1',
  checklistId: 'check-1',
  checklistName: 'Checklist',
  results: { q1: { answer: 'yes' } },
})
/** No webhook of Xosum's gets through. */
const deaf = (it: Installation) => {
  const { append } = it.store
  it.store.append = (entry) =>
    entry.delivery.role === 'analysis' ? Promise.reject(new Error('lost')) : append(entry)
  return () => {
    it.store.append = append
  }
}

test('by webhook only: the poll that was planned is not needed', async () => {
  await using it = await install(only(XOSUM))
  await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.settle(60_000)
  expect([await it.calls(), await results(it)]).toEqual([[['done', null]], ['transcript by callback']])
  await it.settle()
  expect(it.wire.sent(XOSUM).filter((line) => line.includes('getTranscription'))).toEqual([])
})

test('by polling only', async () => {
  await using it = await install({ ...only(XOSUM), settings: { [XOSUM]: { results: 'polling' } } })
  await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.settle()
  expect([await it.calls(), await results(it)]).toEqual([[['done', null]], ['transcript by poll']])
})

test('a lost webhook is made up for by a poll within two poll intervals', async () => {
  await using it = await install(only(XOSUM))
  deaf(it)
  await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.pass(2 * 300_000)
  expect([await it.calls(), await results(it), it.crm('note')]).toEqual([
    [['done', null]],
    ['transcript by poll'],
    1,
  ])
})

test('both, and they say the same: the later one changes nothing', async () => {
  await using it = await install(only(XOSUM))
  const hear = deaf(it)
  await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.pass(2 * 300_000)
  hear()
  const { ref } = await submission(it)
  const before = it.wire.sent('sandbox-hubspot').length
  const job = await it.vendor(XOSUM).app.request(`https://x/api/getTranscription?docId=${ref}`, {
    headers: { authorization: 'Bearer sandbox-xosum-key' },
  })
  const { transcription, title, resolution } = await job.json()
  await posted(it, transcriptReady(ref, { transcription, title, resolution }))
  await it.settle()
  expect([await it.calls(), await results(it), await notes(it)]).toEqual([
    [['done', null]],
    ['transcript by poll'],
    [],
  ])
  expect(it.wire.sent('sandbox-hubspot').length).toBe(before)
})

test('both, and they differ: the first counts, and the timeline says once that they differ', async () => {
  await using it = await install(only(XOSUM))
  await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.settle()
  const { ref } = await submission(it)
  const [note] = it.held('sandbox-hubspot', 'note')
  for (let times = 0; times < 3; times++) {
    await posted(it, transcriptReady(ref, { link: `https://app.xosum.am/${times}` }))
    await it.settle()
  }
  expect(await notes(it)).toEqual([
    'the transcript came again by callback and differs; the first, by callback, counts',
  ])
  expect(it.held('sandbox-hubspot', 'note')).toEqual([note])
  expect(await it.calls()).toEqual([['done', null]])
})

test('a result that arrives before its submission is stored waits for it and joins it at once', async () => {
  await using it = await install(only(XOSUM))
  it.fail(XOSUM, { method: 'PUT', path: '/upload', fault: { kind: 'commit_then_hang' } })
  await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.work()
  // The service has the audio and finishes while our upload still hangs: only its own number says whose it is.
  const [job] = it.held(XOSUM, 'submission')
  const docId = job?.id ?? ''
  it.advance(1_000)
  await posted(it, transcriptReady(docId))
  await it.work()
  const waiting = await it.store.db
    .selectFrom('steps')
    .select(['awaiting', 'due_at'])
    .where('awaiting', 'is not', null)
    .execute()
  expect(waiting).toMatchObject([{ awaiting: docId }])
  await it.settle()
  expect([await it.calls(), it.held(XOSUM, 'submission').length, it.crm('note')]).toEqual([
    [['done', null]],
    1,
    1,
  ])
})

test('a result that names our own submission shows that it got through, though nobody saw the answer', async () => {
  await using it = await install(withChecklist())
  it.fail(XOSUM, { method: 'PUT', path: '/upload', fault: { kind: 'commit_then_hang' } })
  await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.work()
  const { id } = await submission(it)
  const docId = it.held(XOSUM, 'submission')[0]?.id ?? ''
  await posted(it, transcriptReady(docId, { metadata: { submission: id } }))
  await it.work()
  expect(await submission(it)).toMatchObject({ state: 'submitted', ref: docId })
  await it.settle()
  expect([await it.calls(), it.held(XOSUM, 'submission').length]).toEqual([[['done', null]], 1])
  expect(await results(it)).toEqual(['transcript by callback', 'analysis by callback'])
})

test('everything has come by webhook before the answer to our upload: nothing is left to be asked for', async () => {
  await using it = await install(only(XOSUM))
  it.fail(XOSUM, { method: 'PUT', path: '/upload', fault: { kind: 'commit_then_hang' } })
  await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.work()
  const { id } = await submission(it)
  const docId = it.held(XOSUM, 'submission')[0]?.id ?? ''
  await posted(it, transcriptReady(docId, { metadata: { submission: id } }))
  await it.work()
  it.wire.release()
  // Nobody has the number: the CRM's search is given its time.
  await it.settle(40_000)
  expect([await it.calls(), it.crm('note')]).toEqual([[['done', null]], 1])
  const left = await it.store.db.selectFrom('steps').select('kind').where('state', '!=', 'done').execute()
  expect(left).toEqual([])
})

test('a result for nobody is kept for a day, then it is dead with an issue, and can be replayed', async () => {
  await using it = await install(only(XOSUM))
  expect((await posted(it, transcriptReady('nobody'))).status).toBe(200)
  await it.pass(23 * 3_600_000)
  const step = () => it.store.db.selectFrom('steps').select(['state', 'code', 'attempts']).executeTakeFirst()
  expect(await step()).toMatchObject({ state: 'waiting' })
  await it.pass(3 * 3_600_000)
  expect(await step()).toMatchObject({ state: 'dead', code: 'unmatched_result' })
  const issues = await it.store.db.selectFrom('issues').select(['kind', 'code', 'state']).execute()
  expect(issues).toEqual([{ kind: 'callback', code: 'unmatched_result', state: 'open' }])
  const attempts = await it.store.db.selectFrom('attempts').select('id').execute()
  expect(attempts).toHaveLength(1)
})

test('transcript and analysis come in either order, and are written together', async () => {
  for (const isReversed of [false, true]) {
    await using it = await install(withChecklist())
    deaf(it)()
    const hear = deaf(it)
    await it.play('sandbox-twilio', await sampleCall(it.now()))
    await it.work()
    const { ref } = await submission(it)
    hear()
    const both = [transcriptReady(ref), analysisReady(ref)]
    const [first, second] = isReversed ? both.toReversed() : both
    await posted(it, first ?? {})
    await it.work()
    expect([it.crm('call'), (await it.calls())[0]?.[0]]).toEqual([0, 'working'])
    await posted(it, second ?? {})
    // Nobody has the number: the CRM's search is given its time.
    await it.settle(40_000)
    expect([await it.calls(), it.crm('call'), it.crm('note')]).toEqual([[['done', null]], 1, 1])
  }
})

test('a part that comes after the end of the wait is written to the same record', async () => {
  await using it = await install(withChecklist())
  const hear = deaf(it)
  await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.pass(26 * 3_600_000)
  expect([await it.calls(), await results(it), it.crm('call'), it.crm('note')]).toEqual([
    [['done', null]],
    ['transcript by poll'],
    1,
    1,
  ])
  const issues = await it.store.db.selectFrom('issues').select(['kind', 'code']).execute()
  expect(issues).toEqual([{ kind: 'poll', code: 'timeout' }])
  const [before] = it.held('sandbox-hubspot', 'note')
  hear()
  await posted(it, analysisReady((await submission(it)).ref))
  await it.settle()
  const [after] = it.held('sandbox-hubspot', 'note')
  expect([it.crm('call'), it.crm('note'), after?.id === before?.id]).toEqual([1, 1, true])
  expect(after?.fields.hs_note_body).not.toEqual(before?.fields.hs_note_body)
  expect(await it.calls()).toEqual([['done', null]])
})

test('a long wait leaves a few lines on the timeline, however often was asked', async () => {
  await using it = await install(withChecklist())
  deaf(it)
  await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.pass(26 * 3_600_000)
  const asked = it.wire.sent(XOSUM).filter((line) => line.includes('getTranscription')).length
  const lines = await it.store.db.selectFrom('attempts').select('kind').where('kind', '=', 'poll').execute()
  expect([asked > 200, lines.length]).toEqual([true, 1])
})

test('a result that comes after the call was given up is written, and nothing needs attention any more', async () => {
  await using it = await install(only(XOSUM))
  it.fail(XOSUM, { method: 'PUT', path: '/upload', fault: { kind: 'commit_then_status', status: 400 } })
  const hear = deaf(it)
  await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.settle()
  expect([(await it.calls())[0]?.[0], it.crm('call'), it.crm('note')]).toEqual(['attention', 1, 0])
  hear()
  const { id } = await submission(it)
  await posted(
    it,
    transcriptReady(it.held(XOSUM, 'submission')[0]?.id ?? '', { metadata: { submission: id } }),
  )
  await it.settle()
  expect([await it.calls(), it.crm('call'), it.crm('note')]).toEqual([[['done', null]], 1, 1])
})
