import type { Analysis, Transcript, Turn } from '../../src/call/analysis.ts'
import type { Recording } from '../../src/call/call.ts'
import { utf8 } from '../../src/connector/encoding.ts'
import { parseJson } from '../../src/connector/json.ts'
import type { Transcription } from './schema.ts'

/** A stretch of speech: from and to in ms, and the words. */
export type Spoken = readonly [startMs: number, endMs: number, text: string]
type Party = 'agent' | 'customer'

const MOST_TURNS = 20_000
/** No call lasts a million seconds. Some LocalAI versions count nanoseconds (mudler/LocalAI issue 5327). */
const LONGEST_S = 1_000_000
/** Where whisper itself takes a stretch for silence; what it writes there nobody has said. */
const SILENT = { noSpeech: 0.6, logprob: -1 }

/** Who is on which track, when both are known and are different people. */
export function partiesOf({ channels, tracks }: Recording): { left: Party; right: Party } | null {
  const isParty = (one: string | undefined): one is Party => one === 'agent' || one === 'customer'
  const { left, right } = tracks ?? {}
  return channels === 2 && isParty(left) && isParty(right) && left !== right ? { left, right } : null
}

/** Stretches with times; one without any when the server gives none. */
export function spokenIn({ text, segments }: Transcription): Spoken[] | null {
  const timed = (segments ?? []).filter(
    (one) => one.start != null && one.end != null && one.text.trim() !== '',
  )
  if (timed.length === 0) return text.trim() === '' ? [] : null
  const scale = timed.some(({ end }) => (end ?? 0) > LONGEST_S) ? 1e-6 : 1_000
  return timed
    .filter(
      ({ no_speech_prob: none, avg_logprob: sure }) =>
        !((none ?? 0) > SILENT.noSpeech && (sure ?? 0) < SILENT.logprob),
    )
    .map((one): Spoken => {
      const start = Math.round((one.start ?? 0) * scale)
      return [start, Math.max(start, Math.round((one.end ?? 0) * scale)), one.text.trim()]
    })
}

/** One pass over everything: who spoke is not known, and is not guessed. */
export function oneVoice(said: Transcription): Transcript {
  const text = said.text.trim()
  const turns = spokenIn(said)?.map(
    ([startMs, endMs, words]): Turn => ({ party: 'other', text: words, startMs, endMs }),
  )
  return { turns: (turns ?? [{ party: 'other' as const, text }]).slice(0, MOST_TURNS) }
}

/** Both tracks in the order of what was said; stretches of one party that follow each other are one turn. */
export function twoVoices(spoken: readonly { party: Party; said: readonly Spoken[] }[]): Transcript {
  const all = spoken
    .flatMap(({ party, said }) => said.map(([startMs, endMs, text]) => ({ party, text, startMs, endMs })))
    .sort((a, b) => a.startMs - b.startMs)
  const turns: (typeof all)[number][] = []
  for (const next of all) {
    const last = turns.at(-1)
    if (last?.party !== next.party) turns.push({ ...next })
    else {
      last.text = `${last.text} ${next.text}`
      last.endMs = Math.max(last.endMs, next.endMs)
    }
  }
  return { turns: turns.slice(0, MOST_TURNS) }
}

/** Only codes: the hosted service writes names of languages, in English. */
export function languageOf(
  said: string | null | undefined,
  known: string | undefined,
): { language?: string } {
  const code = said != null && /^[a-z]{2,3}(?:-[A-Za-z0-9]{2,8})*$/.test(said) ? said : known
  return code === undefined ? {} : { language: code.slice(0, 35) }
}

/** The model's JSON. Servers that are not held to a schema think aloud before it, or put a fence around it. */
export function jsonIn(content: string): unknown {
  const bare = content
    .replace(/^\s*<think>[\s\S]*?<\/think>/, '')
    .replace(/^\s*```(?:json)?\s*\n/, '')
    // Not by a pattern: a model that loses its way writes line breaks to its limit.
    .trimEnd()
  try {
    return parseJson(utf8(bare.endsWith('```') ? bare.slice(0, -3) : bare))
  } catch {
    // Not JSON is one more way in which an answer does not fit.
    return undefined
  }
}

/** What was used, for whoever pays. */
export function usageOf(model: string | null | undefined, usage: unknown): Pick<Analysis, 'raw'> {
  return { raw: { model: model?.slice(0, 200) ?? null, usage: usage ?? null } }
}
