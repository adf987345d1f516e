import { expect, test } from 'vitest'
import type { Analysis } from '../../src/call/analysis.ts'
import { stereoWav } from '../kit/tone.ts'
import { type Installation, install, sampleCall } from './installation.ts'

// A service that transcribes without times: who spoke when is measured in the two tracks of the recording that passes by.

const SECONDS = 17
const HEADER = 44

/** The agent (left) speaks from second 1 to 5 and from 9 to 11, the customer (right) from 6 to 8. */
function conversation(): Uint8Array {
  const wav = stereoWav({ seconds: SECONDS })
  const view = new DataView(wav.buffer, wav.byteOffset + HEADER)
  const speaks = [
    (second: number) => (second >= 1 && second < 5) || (second >= 9 && second < 11),
    (second: number) => second >= 6 && second < 8,
  ]
  for (let frame = 0; frame < SECONDS * 8_000; frame += 1) {
    for (const [track, isSpeaking] of speaks.entries()) {
      if (!isSpeaking(frame / 8_000)) view.setInt16((frame * 2 + track) * 2, 0, true)
    }
  }
  return wav
}

async function company(settings: Record<string, unknown>): Promise<Installation> {
  return install({
    settings: { 'sandbox-twilio': { recordingFormat: 'wav', ...settings } },
    flows: [
      { name: 'f', from: ['sandbox-twilio'], analyze: ['sandbox-transcripto'], write: ['sandbox-hubspot'] },
    ],
  })
}

async function scoresOf(it: Installation, bytes: Uint8Array): Promise<Analysis['scores']> {
  const audio = { bytes, format: 'wav', durationMs: SECONDS * 1_000 } as const
  await it.play('sandbox-twilio', await sampleCall(it.now(), { audio }))
  await it.settle()
  const { analysis } = await it.store.db.selectFrom('calls').select('analysis').executeTakeFirstOrThrow()
  const { scores = {} } = JSON.parse(analysis ?? '{}') as Analysis
  return Object.fromEntries(Object.entries(scores).filter(([name]) => name.startsWith('cordboard.')))
}

test('who spoke when is measured in the tracks of a recording whose transcript has no times', async () => {
  await using it = await company({ measureTracks: true, tracks: { left: 'agent', right: 'customer' } })
  expect(await scoresOf(it, conversation())).toMatchObject({
    'cordboard.talkRatio': { value: 0.75 },
    'cordboard.silenceMs': { value: 2_000 },
    'cordboard.overlapMs': { value: 0 },
    'cordboard.agent.longestMonologueMs': { value: 4_000 },
    'cordboard.customer.patienceMs': { value: 1_000 },
  })
})

test('without the wish for it no recording is measured', async () => {
  await using it = await company({ tracks: { left: 'agent', right: 'customer' } })
  expect(await scoresOf(it, conversation())).toEqual({})
})

test('a recording that cannot be measured is analysed all the same', async () => {
  await using it = await company({ measureTracks: true })
  const mono = conversation()
  new DataView(mono.buffer, mono.byteOffset).setUint16(22, 1, true)
  expect(await scoresOf(it, mono)).toEqual({})
  expect(await it.calls()).toEqual([['done', null]])
})
