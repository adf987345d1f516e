import { expect, test } from 'vitest'
import type { Convert } from '../../src/connector/platform.ts'
import { createConvert } from '../../src/node/convert.ts'
import { explainFlow } from '../../src/pipeline/explain.ts'
import { callRow } from '../../src/pipeline/round.ts'
import { loadRecording } from '../../src/sandbox/recordings-node.ts'
import { binaries, FFMPEG } from '../services/binaries.ts'
import { type Installation, install, sampleCall } from './installation.ts'

// The phone system records WAV, and Xosum takes MP3 only: the recording is made into MP3 on its way. Where nothing can do
// that the call waits for it, unless another service of the flow takes it as it is.

async function company(convert: Convert | null, ...analyze: string[]): Promise<Installation> {
  const it = await install({
    settings: { 'sandbox-twilio': { recordingFormat: 'wav' } },
    flows: [
      { name: 'f', from: ['sandbox-twilio'], analyze, write: ['sandbox-hubspot'], unknownCaller: 'create' },
    ],
  })
  if (convert) it.deps.convert = convert
  return it
}
async function realConvert(): Promise<Convert> {
  const { paths, env } = await binaries(FFMPEG)
  return createConvert({ path: paths.ffmpeg ?? '', env })
}
const play = async (it: Installation, bytes?: Uint8Array) => {
  const wav = bytes ?? (await loadRecording('appointment-change.wav'))
  const audio = { bytes: wav, format: 'wav', durationMs: 17_000 } as const
  await it.play('sandbox-twilio', await sampleCall(it.now(), { audio }))
  await it.settle()
}
const jobs = (it: Installation) =>
  it.held('sandbox-xosum', 'submission').map(({ fields }) => [fields.status, fields.uploads])
/** What `cordboard flow explain` says of the one call. */
const explained = async (it: Installation) => {
  const { id } = await it.store.db.selectFrom('calls').select('id').executeTakeFirstOrThrow()
  return (await explainFlow(it.deps, await callRow(it.deps, id))).backends
}
const steps = async (it: Installation) => {
  const rows = await it.store.db.selectFrom('steps').selectAll().where('kind', '=', 'submit').execute()
  return rows.map((step) => [step.connection, step.state, step.code])
}

test('a WAV reaches a service that takes MP3 as one, and nothing waits', async () => {
  await using it = await company(await realConvert(), 'sandbox-xosum')
  await play(it)
  expect([jobs(it), await it.calls(), it.crm('call')]).toEqual([[['transcribed', 1]], [['done', null]], 1])
  const why = 'takes it, converted to mp3'
  expect(await explained(it)).toEqual([{ connection: 'sandbox-xosum', takes: true, why }])
})

test('without ffmpeg the call waits, says what to install, and goes on once it is there', async () => {
  await using it = await company(null, 'sandbox-xosum')
  await play(it)
  expect([jobs(it), await steps(it)]).toEqual([[], [['sandbox-xosum', 'parked', 'config']]])
  expect(it.wire.sent('sandbox-xosum')).toEqual([])
  const [issue] = await it.store.db.selectFrom('issues').selectAll().execute()
  expect(issue).toMatchObject({
    code: 'config',
    says: expect.stringContaining('it is wav, accepted are mp3'),
  })
  const why =
    'does not take this recording: it is wav, accepted are mp3. It could be converted to mp3, and nothing here does that'
  expect(await explained(it)).toEqual([{ connection: 'sandbox-xosum', takes: false, why }])
  it.deps.convert = await realConvert()
  await it.restart()
  await it.settle()
  expect([jobs(it), await it.calls()]).toEqual([[['transcribed', 1]], [['done', null]]])
})

test('without ffmpeg another service of the flow that takes WAV gets the call', async () => {
  await using it = await company(null, 'sandbox-xosum', 'sandbox-transcripto')
  await play(it)
  expect([jobs(it), it.held('sandbox-transcripto', 'submission').length]).toEqual([[], 1])
  expect(await it.calls()).toEqual([['done', null]])
})

test('a recording that is no such audio is refused, and the call stands with its own facts', async () => {
  await using it = await company(await realConvert(), 'sandbox-xosum')
  await play(it, new Uint8Array(50_000).fill(7))
  expect(await steps(it)).toEqual([['sandbox-xosum', 'dead', 'no_backend']])
  expect([it.held('sandbox-xosum', 'submission'), it.crm('call')]).toEqual([[], 1])
})
