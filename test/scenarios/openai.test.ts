import { expect, test } from 'vitest'
import type { Analysis } from '../../src/call/analysis.ts'
import { createConvert } from '../../src/node/convert.ts'
import { loadRecording } from '../../src/sandbox/recordings-node.ts'
import { binaries, FFMPEG } from '../services/binaries.ts'
import { sandboxVendors, type Vendors } from './company.ts'
import { type Installation, install, sampleCall } from './installation.ts'

// An OpenAI-compatible server answers at once and keeps nothing. The transcript is stored before the analysis is asked for, so
// that what breaks in between costs no second transcription, and the CRM gets the transcript even where no analysis comes.

const VENDORS: Vendors = {
  ...sandboxVendors('twilio', 'hubspot', 'transcripto'),
  openai: { use: 'openai', settings: { apiKey: 'openai-key-0001', checklist: ['Did the agent greet?'] } },
}
const TRACKS = { left: 'customer', right: 'agent' }

interface Wish {
  analyze?: string[]
  openai?: Record<string, unknown>
  format?: 'wav' | 'mp3'
  config?: Record<string, unknown>
}

async function company({ analyze = ['openai'], openai = {}, format = 'wav', config = {} }: Wish = {}) {
  const it = await install({
    vendors: VENDORS,
    config,
    settings: { 'sandbox-twilio': { recordingFormat: format, tracks: TRACKS }, openai },
    flows: [
      { name: 'f', from: ['sandbox-twilio'], analyze, write: ['sandbox-hubspot'], unknownCaller: 'create' },
    ],
  })
  const bytes = await loadRecording(`appointment-change.${format}`)
  const play = async () =>
    it.play('sandbox-twilio', await sampleCall(it.now(), { audio: { bytes, format, durationMs: 17_000 } }))
  return { it, play }
}

const used = (it: Installation) => {
  const { transcriptions, completions } = it.vendor('openai').book()[0]?.fields ?? {}
  return [transcriptions, completions]
}
const analysisOf = async (it: Installation): Promise<Analysis> => {
  const { analysis } = await it.store.db.selectFrom('calls').select('analysis').executeTakeFirstOrThrow()
  return JSON.parse(analysis ?? '{}')
}
const parties = async (it: Installation) => [
  ...new Set((await analysisOf(it)).transcript?.turns.map(({ party }) => party)),
]
const issues = async (it: Installation) =>
  (await it.store.db.selectFrom('issues').select(['kind', 'code', 'state']).execute()).map(
    ({ kind, code, state }) => `${kind} ${code} ${state}`,
  )

test('a call travels: its tracks are split while they stream, speakers are known, and the CRM holds it all', async () => {
  const { it, play } = await company()
  await using _ = it
  await play()
  await it.settle()
  expect([await it.calls(), used(it)]).toEqual([[['done', null]], [2, 1]])
  expect((await parties(it)).sort()).toEqual(['agent', 'customer'])
  const { checklist, summary } = await analysisOf(it)
  expect([checklist?.[0]?.answer, summary?.length]).toEqual(['Yes', expect.any(Number)])
  const results = await it.store.db.selectFrom('results').select(['part', 'via']).orderBy('part').execute()
  expect(results).toEqual([
    { part: 'analysis', via: 'poll' },
    { part: 'transcript', via: 'submit' },
  ])
  expect([it.crm('call'), it.crm('note'), it.crm('contact')]).toEqual([1, 1, 1])
})

test('the tracks of an MP3 are parted by ffmpeg; without it nobody is guessed', async () => {
  const { paths, env } = await binaries(FFMPEG)
  const first = await company({ format: 'mp3' })
  await using _ = first.it
  first.it.deps.convert = createConvert({ path: paths.ffmpeg ?? '', env })
  await first.play()
  await first.it.settle()
  expect([await first.it.calls(), used(first.it)]).toEqual([[['done', null]], [2, 1]])

  const second = await company({ format: 'mp3' })
  await using __ = second.it
  await second.play()
  await second.it.settle()
  expect([await parties(second.it), used(second.it)]).toEqual([['other'], [1, 1]])
})

test('a worker that dies while the analysis is under way costs no second transcription', async () => {
  const { it, play } = await company()
  await using _ = it
  it.fail('openai', { fault: { kind: 'commit_then_hang' }, path: '/chat/completions' })
  await play()
  await it.work()
  expect(used(it)).toEqual([2, 1])
  await it.crash()
  await it.pass(60_000)
  expect([await it.calls(), used(it)]).toEqual([[['done', null]], [2, 2]])
})

test('one that dies between the tracks pays for the one that was under way, and not for the other', async () => {
  const { it, play } = await company()
  await using _ = it
  const { http } = it.deps
  let transcriptions = 0
  it.deps.http = (url, request) => {
    if (url.pathname.endsWith('/transcriptions') && ++transcriptions === 2)
      it.wire.failNext(url, { kind: 'commit_then_hang' })
    return http(url, request)
  }
  await play()
  await it.work()
  expect(used(it)).toEqual([2, 0])
  await it.crash()
  await it.pass(60_000)
  expect([await it.calls(), used(it)]).toEqual([[['done', null]], [3, 1]])
  expect((await parties(it)).sort()).toEqual(['agent', 'customer'])
})

test('an analysis that fits no schema twice: an issue is open, and the CRM has the call with its transcript', async () => {
  const { it, play } = await company()
  await using _ = it
  const body = { choices: [{ finish_reason: 'stop', message: { content: 'Sure! The call was nice.' } }] }
  it.fail('openai', { fault: { kind: 'status', status: 200, body }, path: '/chat/completions', times: 2 })
  await play()
  await it.settle()
  expect([await it.calls(), used(it), it.crm('call')]).toEqual([[['done', null]], [2, 0], 1])
  expect(await issues(it)).toContain('poll invalid_payload open')
  const { transcript, summary } = await analysisOf(it)
  expect([transcript?.turns.length, summary]).toEqual([expect.any(Number), undefined])
})

test('a model that refuses hands the call to the flow’s next service', async () => {
  const { it, play } = await company({ analyze: ['openai', 'sandbox-transcripto'] })
  await using _ = it
  const body = { choices: [{ finish_reason: 'stop', message: { content: null, refusal: 'I cannot' } }] }
  it.fail('openai', { fault: { kind: 'status', status: 200, body }, path: '/chat/completions' })
  await play()
  await it.settle()
  expect([await it.calls(), it.held('sandbox-transcripto', 'submission').length]).toEqual([
    [['done', null]],
    1,
  ])
})

test('the transcript alone: nothing is polled, and the call is written at once', async () => {
  const { it, play } = await company({ openai: { analyse: false, splitTracks: false } })
  await using _ = it
  await play()
  await it.settle()
  expect([await it.calls(), used(it), await parties(it)]).toEqual([[['done', null]], [1, 0], ['other']])
  const polls = await it.store.db.selectFrom('steps').select('id').where('kind', '=', 'poll').execute()
  expect(polls).toEqual([])
})

test('what was learned half-way is erased with the transcripts', async () => {
  const { it, play } = await company({ config: { keep: { transcript: '2 days' } } })
  await using _ = it
  const { http } = it.deps
  let transcriptions = 0
  it.deps.http = (url, request) => {
    if (url.pathname.endsWith('/transcriptions') && ++transcriptions === 2)
      it.wire.failNext(url, { kind: 'status', status: 400 })
    return http(url, request)
  }
  await play()
  await it.settle()
  const kept = async () =>
    (await it.store.db.selectFrom('submissions').select('checkpoint').executeTakeFirstOrThrow()).checkpoint
  expect(await kept()).toContain('left')
  await it.pass(3 * 86_400_000)
  expect(await kept()).toBeNull()
})

test.each([
  [true, false],
  [undefined, true],
])(
  'redact: %s: what was heard in a recording leaves with its numbers for the analysis: %s',
  async (redact, leaves) => {
    const { it, play } = await company({ openai: { splitTracks: false, ...(redact ? { redact } : {}) } })
    await using _ = it
    const text = 'Write to jo@example.com or call +33 6 39 98 00 01.'
    it.fail('openai', {
      fault: { kind: 'status', status: 200, body: { text, segments: [{ start: 0, end: 2, text }] } },
      path: '/audio/transcriptions',
    })
    const asked: string[] = []
    const { http } = it.deps
    it.deps.http = async (url, request) => {
      if (url.pathname.endsWith('/completions')) asked.push(String(request.body))
      return http(url, request)
    }
    await play()
    await it.settle()
    expect(asked).toHaveLength(1)
    expect([/jo@example|39 98/.test(asked[0] ?? ''), asked[0]?.includes('[EMAIL_1]')]).toEqual([
      leaves,
      !leaves,
    ])
    // Only what leaves is without them.
    expect((await analysisOf(it)).transcript?.turns[0]?.text).toBe(text)
  },
)
