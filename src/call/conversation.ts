import type { Analysis, Transcript, Turn } from './analysis.ts'
import { length, merged, type Span, sweep } from './spans.ts'

/**
 * Conversation metrics of our own, from who spoke when: talk ratio, longest monologue, silence, overlap, interruptions,
 * patience, questions. Pure; the order of the turns does not matter, and what is not known is absent.
 */

type Party = Turn['party']

/** When one voice spoke. A party may have several: two colleagues, two speakers nobody has named. */
export interface Voice {
  party: Party
  spans: readonly Span[]
}

/** How one party behaved. Absent for a party that never spoke. */
export interface Behaviour {
  talkMs: number
  /** Longest stretch of its speech; short pauses in which nobody speaks belong to it. */
  longestMonologueMs: number
  /** How often it began while the other spoke, and went on when that one had stopped. */
  interruptions: number
  /** Median pause between the other's last word and its first; absent where there was no such pause. */
  patienceMs?: number
}

export interface Conversation {
  /** From the first word to the last. */
  lengthMs: number
  silenceMs: number
  /** While at least two voices spoke. */
  overlapMs: number
  agent?: Behaviour
  customer?: Behaviour
}

/** A pause of this length still belongs to a monologue. */
const PAUSE_MS = 2_000
/** Shorter overlaps are how people take turns, and how exact recognisers are. */
const INTERRUPTION_MS = 300

/** Null when nobody spoke. */
export function conversationOf(voices: readonly Voice[]): Conversation | null {
  const spoken = merged(voices.flatMap(({ spans }) => spans))
  const [first, last] = [spoken[0], spoken.at(-1)]
  if (!first || !last) return null
  const lengthMs = last.endMs - first.startMs
  const agent = behaviourOf('agent', 'customer', voices)
  const customer = behaviourOf('customer', 'agent', voices)
  return {
    lengthMs,
    silenceMs: lengthMs - length(spoken),
    overlapMs: sweep(
      voices.map(({ spans }) => merged(spans)),
      2,
    ),
    ...(agent ? { agent } : {}),
    ...(customer ? { customer } : {}),
  }
}

function behaviourOf(party: Party, other: Party, voices: readonly Voice[]): Behaviour | null {
  const spansOf = (wanted: (one: Party) => boolean) =>
    merged(voices.filter((voice) => wanted(voice.party)).flatMap(({ spans }) => spans))
  const own = spansOf((one) => one === party)
  if (own.length === 0) return null
  const others = spansOf((one) => one === other)
  const patienceMs = patience(
    own,
    others,
    spansOf((one) => one !== party && one !== other),
  )
  return {
    talkMs: length(own),
    longestMonologueMs: longestMonologue(
      own,
      spansOf((one) => one !== party),
    ),
    interruptions: interruptions(own, others),
    ...(patienceMs === null ? {} : { patienceMs }),
  }
}

function longestMonologue(own: readonly Span[], others: readonly Span[]): number {
  let longest = 0
  let startMs = 0
  let before: Span | undefined
  let at = 0
  for (const span of own) {
    const pauseFrom = before?.endMs ?? 0
    while ((others[at]?.endMs ?? Number.POSITIVE_INFINITY) <= pauseFrom) at += 1
    const isBroken = (others[at]?.startMs ?? Number.POSITIVE_INFINITY) < span.startMs
    if (!before || isBroken || span.startMs - pauseFrom > PAUSE_MS) startMs = span.startMs
    longest = Math.max(longest, span.endMs - startMs)
    before = span
  }
  return longest
}

function interruptions(own: readonly Span[], others: readonly Span[]): number {
  let count = 0
  let at = 0
  for (const { startMs, endMs } of own) {
    while ((others[at]?.endMs ?? Number.POSITIVE_INFINITY) <= startMs) at += 1
    const spoke = others[at]
    if (!spoke || spoke.startMs >= startMs) continue
    if (spoke.endMs - startMs >= INTERRUPTION_MS && endMs > spoke.endMs) count += 1
  }
  return count
}

/** Pauses of everybody that the other's speech opens and one's own ends. */
function patience(own: readonly Span[], others: readonly Span[], rest: readonly Span[]): number | null {
  const spoken = merged([...own, ...others, ...rest])
  const ends = (spans: readonly Span[]) => new Set(spans.map(({ endMs }) => endMs))
  const starts = (spans: readonly Span[]) => new Set(spans.map(({ startMs }) => startMs))
  const [openedBy, notOpenedBy] = [ends(others), ends([...own, ...rest])]
  const [endedBy, notEndedBy] = [starts(own), starts([...others, ...rest])]
  const pauses: number[] = []
  for (const [index, { endMs: from }] of spoken.entries()) {
    const to = spoken[index + 1]?.startMs
    if (to === undefined || !openedBy.has(from) || notOpenedBy.has(from)) continue
    if (endedBy.has(to) && !notEndedBy.has(to)) pauses.push(to - from)
  }
  return median(pauses)
}

function median(values: readonly number[]): number | null {
  const sorted = values.toSorted((a, b) => a - b)
  const [low, high] = [sorted[Math.floor((sorted.length - 1) / 2)], sorted[Math.floor(sorted.length / 2)]]
  return low === undefined || high === undefined ? null : Math.round((low + high) / 2)
}

// ── From turns, to scores ───────────────────────────────────────────────────────────────────────────────────────────

/** Null unless every turn has its times: of half the turns nothing could be said. */
export function voicesOf(turns: readonly Turn[]): Voice[] | null {
  const voices = new Map<string, { party: Party; spans: Span[] }>()
  for (const { party, label = '', startMs, endMs } of turns) {
    if (startMs === undefined || endMs === undefined) return null
    const name = `${party} ${label}`
    const voice = voices.get(name) ?? { party, spans: [] }
    voices.set(name, voice)
    if (endMs > startMs) voice.spans.push({ startMs, endMs })
  }
  return [...voices.values()]
}

/** Question marks of the scripts that calls are held in; several in a row are one question. */
const QUESTION = /[?？؟՞⁇⁈⁉]+/gu

const questionsOf = (turns: readonly Turn[], party: Party): number =>
  turns.reduce((sum, turn) => sum + (turn.party === party ? (turn.text.match(QUESTION)?.length ?? 0) : 0), 0)

type Scores = NonNullable<Analysis['scores']>

/** Our own scores stand under this, a service's never do. */
const OWN = 'cordboard.'

/**
 * The metrics as scores, lengths in milliseconds: from the times of a transcript's turns, else from what was heard in the
 * recording; none without either.
 */
export function conversationScores(transcript: Transcript | undefined, heard?: Conversation): Scores {
  const voices = transcript ? voicesOf(transcript.turns) : null
  const conversation = (voices && conversationOf(voices)) ?? heard
  if (!conversation) return {}
  const { agent, customer, silenceMs, overlapMs } = conversation
  const scores: Scores = {
    [`${OWN}silenceMs`]: { value: silenceMs },
    [`${OWN}overlapMs`]: { value: overlapMs },
  }
  if (agent && customer) {
    const ratio = agent.talkMs / (agent.talkMs + customer.talkMs)
    scores[`${OWN}talkRatio`] = { value: Math.round(ratio * 1000) / 1000, scale: { min: 0, max: 1 } }
  }
  for (const [party, behaviour] of Object.entries({ agent, customer })) {
    if (!behaviour) continue
    for (const [name, value] of Object.entries(behaviour)) scores[`${OWN}${party}.${name}`] = { value }
    if (transcript)
      scores[`${OWN}${party}.questions`] = { value: questionsOf(transcript.turns, party as Party) }
  }
  return scores
}

/**
 * The analysis with our metrics beside the service's own scores. `own`: the phone system's transcript, where the service
 * gives none; `heard`: in the tracks of the recording. The same input gives the same output, also when it went through
 * here before.
 */
export function withConversation(analysis: Analysis, own?: Transcript, heard?: Conversation): Analysis {
  const { scores: given, ...rest } = analysis
  const vendors = Object.entries(given ?? {}).filter(([name]) => !name.startsWith(OWN))
  const scores = {
    ...Object.fromEntries(vendors),
    ...conversationScores(analysis.transcript ?? own, heard),
  }
  return given === undefined && Object.keys(scores).length === 0 ? rest : { ...rest, scores }
}
