import type { Analysis, Part, Transcript } from '../../src/call/analysis.ts'
import {
  type AnalysisRole,
  type CheckResult,
  type ConnectorContext,
  defineConnector,
  type Polled,
  type SubmitContext,
  type SubmitRequest,
} from '../../src/connector/contract.ts'
import { scrub } from '../../src/connector/fail-on.ts'
import { CordboardError } from '../../src/errors.ts'
import { readAnswer } from './answer.ts'
import { complete, listModels, transcribe } from './client.ts'
import { jsonIn, languageOf, oneVoice, partiesOf, spokenIn, twoVoices, usageOf } from './map.ts'
import { correction, messagesFor } from './prompt.ts'
import { type Completion, type Config, config, submitState, type Transcription } from './schema.ts'

type Context = ConnectorContext<Config>
type Submit = SubmitContext<Config>
type Heard = { transcript: Transcript; language?: string }

/** Of a checkpoint; a longer track is transcribed again after a crash. */
const MOST_STATE = 16_000

/**
 * Both requests are answered at once, and the server keeps nothing. `submit` transcribes and hands the transcript back, which
 * is stored before anything else is asked; `poll` analyses what is stored. Whatever fails after that costs no second transcription.
 */
const analysis: AnalysisRole<Config> = {
  accepts: ({ formats, maxBytes }) => ({ audio: { formats, by: ['file'], maxBytes }, text: true }),
  parts: ({ analyse }) => (analyse ? ['transcript', 'analysis'] : ['transcript']),
  pollAfterMs: () => 0,

  async submit(request, ctx) {
    const { submissionId: ref, text, audio, call } = request
    if (text) return { ref, parts: { transcript: { transcript: text, ...languageOf(null, call.language) } } }
    if (!audio) throw new CordboardError('rejected', 'This call has neither a recording nor a transcript')
    const transcript = (await byTrack(request, ctx)) ?? (await inOnePass(request, ctx))
    return { ref, parts: { transcript } }
  },

  /** An answer that got lost is nowhere: only asking again brings one. */
  find: async () => null,

  async poll(ref, ctx, got = {}): Promise<Polled> {
    const transcript = got.transcript?.transcript
    if (!transcript)
      return { state: 'failed', reason: 'its transcript is no longer kept: see keep.transcript' }
    const parts: Partial<Record<Part, Analysis>> = {}
    // Nothing was said, so there is nothing to ask.
    if (transcript.turns.length === 0) parts.analysis = {}
    else {
      const answered = await analyse(transcript, ref, ctx)
      if ('refused' in answered) return { state: 'failed', reason: answered.refused }
      parts.analysis = answered.analysis
    }
    return { state: 'done', parts }
  },
}

/** Null where it is not known who is on which track, or the tracks cannot be had by themselves. */
async function byTrack(
  { submissionId, call, audio, state }: SubmitRequest,
  ctx: Submit,
): Promise<Heard | null> {
  const { splitTracks, responseFormat } = ctx.config
  const parties = audio && partiesOf(audio.recording)
  // Without times nobody could say in which order they spoke.
  if (!audio?.track || !parties || !splitTracks || responseFormat !== 'verbose_json') return null
  const hear = async (side: 'left' | 'right') => {
    const track = await audio.track?.(side)
    if (!track) return null
    const requestId = `${submissionId}-${side}`
    const said = await transcribe(
      { audio: track, language: languageHint(call.language, ctx), requestId },
      ctx,
    )
    const spoken = spokenIn(said)
    return spoken && { spoken, language: said.language }
  }
  const kept = submitState.safeParse(state).data
  const left = kept ? { spoken: kept.left, language: kept.language } : await hear('left')
  if (!left) return null
  if (!kept) {
    const half = { left: left.spoken, language: left.language ?? null }
    if (JSON.stringify(half).length <= MOST_STATE) await ctx.checkpoint(half)
  }
  const right = await hear('right')
  if (!right) return null
  const spoken = [
    { party: parties.left, said: left.spoken },
    { party: parties.right, said: right.spoken },
  ]
  const said = left.spoken.length > 0 ? left.language : right.language
  return { transcript: twoVoices(spoken), ...languageOf(said, call.language) }
}

async function inOnePass({ submissionId, call, audio }: SubmitRequest, ctx: Submit): Promise<Heard> {
  if (!audio) throw new CordboardError('rejected', 'This call has no recording')
  const opened = { ...(await audio.open()), fileName: audio.fileName }
  const language = languageHint(call.language, ctx)
  const said: Transcription = await transcribe({ audio: opened, language, requestId: submissionId }, ctx)
  return { transcript: oneVoice(said), ...languageOf(said.language, call.language) }
}

/** ISO 639-1, as the hosted service wants it. */
function languageHint(known: string | undefined, { config: { language } }: Context): string | undefined {
  return language ?? /^[a-z]{2}(?=$|-)/.exec(known ?? '')?.[0]
}

async function analyse(
  transcript: Transcript,
  ref: string,
  ctx: Context,
): Promise<{ analysis: Analysis } | { refused: string }> {
  const messages = messagesFor(transcript, ctx.config)
  const first = await complete(messages, `${ref}-analysis`, ctx)
  const answered = contentOf(first)
  if ('refused' in answered) return answered
  const read = readAnswer(jsonIn(answered.content), ctx.config)
  if ('analysis' in read) return { analysis: { ...read.analysis, ...usageOf(first.model, first.usage) } }

  const again = [...messages, ...correction(answered.content, read.wrong)]
  const second = await complete(again, `${ref}-correction`, ctx)
  const corrected = contentOf(second)
  if ('refused' in corrected) return corrected
  const reread = readAnswer(jsonIn(corrected.content), ctx.config)
  if ('analysis' in reread)
    return { analysis: { ...reread.analysis, ...usageOf(second.model, second.usage) } }
  throw new CordboardError('invalid_payload', `The analysis does not fit its schema: ${reread.wrong}`, {
    why: 'The model was told once what is wrong, and answered wrong again',
    fix: 'Try another analysisModel or answerFormat, then rerun the call: the transcript is made and paid for again',
  })
}

/** The model's words; or why there are none that can be used. */
function contentOf({ choices: [choice] }: Completion): { content: string } | { refused: string } {
  const { finish_reason: reason, message } = choice ?? {}
  if (message?.refusal) return { refused: `the model refused: ${scrub(message.refusal)}` }
  if (reason === 'content_filter') return { refused: 'the answer was held back by a content filter' }
  if (reason === 'length') {
    return {
      refused: 'the answer was cut off at the greatest length: raise maxTokens, or the server’s context',
    }
  }
  return { content: message?.content ?? '' }
}

export const connector = defineConnector({
  id: 'openai',
  name: 'OpenAI-compatible server',
  docs: 'https://platform.openai.com/docs/api-reference/audio/createTranscription',
  config,
  async check(ctx): Promise<CheckResult> {
    const known = await listModels(ctx)
    const { analysisModel, transcriptionModel, analyse } = ctx.config
    const wanted = [
      { model: transcriptionModel, list: known.transcription, key: 'transcriptionModel' },
      ...(analyse ? [{ model: analysisModel, list: known.analysis, key: 'analysisModel' }] : []),
    ]
    const warnings = wanted
      .filter(({ model, list }) => list !== null && !list.includes(model))
      .map(({ model, key }) => ({
        what: `The server does not list the model ${model}`,
        fix: `Set ${key} to one it lists`,
      }))
    const says = known.analysis ? `${known.analysis.length} models` : 'answers, and lists no models'
    return { says, warnings }
  },
  analysis,
})
