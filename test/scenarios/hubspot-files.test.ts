import { expect, test } from 'vitest'
import { rerunCall } from '../../src/pipeline/rerun.ts'
import { type Installation, type InstallOptions, install, sampleCall } from './installation.ts'

// What was said in a long call does not fit into a note of HubSpot: it is attached to it whole, once, however its upload ends.

const CRM = 'sandbox-hubspot'
const LINES = Array.from({ length: 5000 }, (_, n) => `Խոսնակ ${(n % 2) + 1}: line ${n} & more`)

async function longCall(options: InstallOptions = {}): Promise<Installation> {
  const note = { transcript: true }
  const it = await install({ settings: { [CRM]: { note, indexLagMs: 30_000 } }, ...options })
  await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.work()
  const { ref } = await it.store.db.selectFrom('submissions').select('ref').executeTakeFirstOrThrow()
  const body = {
    event_type: 'transcript_ready',
    secret: 'sandbox-xosum-webhook-secret',
    docId: ref,
    transcription: LINES.join('\n'),
    metadata: {},
    title: 't',
    resolution: 's',
  }
  await it.receive(
    new Request('https://hooks.example.com/hooks/sandbox-xosum', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    }),
  )
  return it
}

async function attachedOnce(it: Installation): Promise<void> {
  await it.settle()
  expect(await it.calls()).toEqual([['done', null]])
  const [file, ...others] = it.held(CRM, 'file')
  expect(others).toEqual([])
  const text = String(file?.fields.text)
  for (const n of [0, 2500, 4999]) expect(text).toContain(`line ${n} & more`)
  expect(it.held(CRM, 'note').map(({ fields }) => fields.hs_attachment_ids)).toEqual([file?.id])
}

test('a transcript that does not fit into the note is attached to it whole', async () => {
  await using it = await longCall()
  await attachedOnce(it)
})

for (const fault of [
  { kind: 'commit_then_hang' },
  { kind: 'hang' },
  { kind: 'commit_then_status', status: 504 },
] as const) {
  test(`an upload whose end is unknown (${fault.kind}) leaves one file, and the note names it`, async () => {
    await using it = await longCall()
    it.fail(CRM, { method: 'POST', path: '/files$', fault })
    await attachedOnce(it)
  })
}

test('without the scope nothing is lost: it is attached once it is granted', async () => {
  await using it = await longCall()
  it.fail(CRM, {
    method: 'POST',
    path: '/files$',
    fault: { kind: 'status', status: 403, body: { message: 'no scope' } },
  })
  await it.settle()
  const [[state, reason] = []] = await it.calls()
  expect([state, reason, it.crm('file'), it.crm('call')]).toEqual([
    'attention',
    expect.stringMatching(/^forbidden/),
    0,
    1,
  ])
  const { id } = await it.store.db.selectFrom('calls').select('id').executeTakeFirstOrThrow()
  await rerunCall(it.deps, id, { from: 'write', actor: 'operator' })
  await attachedOnce(it)
})
