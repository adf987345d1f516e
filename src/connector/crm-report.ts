import type { Analysis, Turn } from '../call/analysis.ts'
import type { Call, Result } from '../call/call.ts'
import { idTime } from '../call/ids.ts'

/** What a CRM is told of a call, in words: the same for every CRM, which brings the lines into its own form. */

/** A label without text is a heading; one that ends with ":" and whose text is missing is left out. */
export interface Line {
  label?: string | undefined
  text?: string | undefined
  href?: string | undefined
}

const WAYS = { inbound: 'Inbound call', outbound: 'Outbound call', internal: 'Internal call' }
const ENDINGS: Record<Result, string> = {
  answered: 'answered',
  no_answer: 'not answered',
  busy: 'busy',
  failed: 'failed',
  rejected: 'rejected',
  abandoned: 'given up by the caller',
  voicemail: 'went to voicemail',
}
const SPEAKERS = { agent: 'Agent', customer: 'Customer', other: 'Other' }

/** "Inbound call, answered: Delivery is late" */
export function headline(call: Call, analysis: Analysis | null): string {
  const what = wayAndEnd(call)
  return analysis?.title ? `${what}: ${tidy(analysis.title)}` : what
}

function wayAndEnd({ direction, result }: Call): string {
  return `${direction ? WAYS[direction] : 'Call'}${result ? `, ${ENDINGS[result]}` : ''}`
}

/** The call itself, with the summary first. */
export function callLines(call: Call, analysis: Analysis | null): Line[] {
  const why = call.disconnectReason ? ` (${call.disconnectReason})` : ''
  return [
    { label: 'Summary:', text: analysis?.summary },
    { label: 'Outcome:', text: call.outcome },
    { label: 'Result:', text: call.result && `${wayAndEnd(call)}${why}` },
    { label: 'Agent:', text: [call.agent?.name, call.agent?.extension].filter(Boolean).join(', ') },
    { label: 'Team:', text: call.agent?.group },
    { label: 'Segment:', text: call.segment },
    { label: 'Reference:', text: call.reference },
    { label: 'Tags:', text: call.tags.join(', ') },
  ]
}

/** All of an analysis but the transcript. */
export function analysisLines(analysis: Analysis): Line[] {
  const list = (heading: string, items: readonly string[] | undefined): Line[] =>
    items?.length ? [{ label: heading }, ...items.map((item) => ({ text: `• ${item}` }))] : []
  const scores = sorted(analysis.scores).map(
    ([name, { value, scale }]) => `${name}: ${value}${scale ? ` (${scale.min} to ${scale.max})` : ''}`,
  )
  const checklist = (analysis.checklist ?? []).map(
    ({ question, answer, score, evidence }) =>
      `${question}: ${answer}${score === undefined ? '' : ` (${score})`}${evidence ? `\n“${evidence}”` : ''}`,
  )
  const link = webLink(analysis.link)
  return [
    { label: 'Title:', text: analysis.title },
    { label: 'Summary:', text: analysis.summary },
    { label: 'Sentiment:', text: analysis.sentiment },
    ...list('Scores', scores),
    ...list('Checklist', checklist),
    ...list('Topics', analysis.topics),
    ...list('Categories', analysis.categories),
    ...list('To do', analysis.actions),
    ...list('Risks', analysis.risks),
    ...list('Sales signals', analysis.salesSignals),
    ...sorted(analysis.notes).map(([label, text]) => ({ label: `${label}:`, text })),
    { label: 'In the analysis service:', text: link && 'open the call', href: link },
  ]
}

export function transcriptLines(analysis: Analysis): Line[] {
  const turns = analysis.transcript?.turns ?? []
  if (turns.length === 0) return []
  return [{ label: 'Transcript' }, ...turns.map((turn) => ({ label: `${speaker(turn)}:`, text: turn.text }))]
}

/** The whole transcript as a file of plain text, with the time of each turn where it is known; null: there is none. */
export function transcriptText(analysis: Analysis | null): string | null {
  const turns = analysis?.transcript?.turns ?? []
  if (turns.length === 0) return null
  const lines = turns.map((turn) => {
    const at = turn.startMs === undefined ? '' : `[${clockOf(turn.startMs)}] `
    return `${at}${speaker(turn)}: ${turn.text.replace(/\r\n?/g, '\n')}`
  })
  return `${lines.join('\n').toWellFormed()}\n`
}

const speaker = ({ label, party }: Turn): string => label ?? SPEAKERS[party]

/** `0:07`, `1:02:03` */
function clockOf(ms: number): string {
  const seconds = Math.floor(ms / 1000)
  const two = (value: number) => String(value).padStart(2, '0')
  const hours = Math.floor(seconds / 3600)
  const minutes = Math.floor(seconds / 60) % 60
  return `${hours > 0 ? `${hours}:${two(minutes)}` : minutes}:${two(seconds % 60)}`
}

/** The instant the call began; its id knows when we first heard of it. */
export function startOf(call: Call): string | undefined {
  const known = call.startedAt ?? call.answeredAt ?? call.endedAt
  const heard = idTime(call.id)
  return known ?? (Number.isNaN(heard) ? undefined : new Date(heard).toISOString())
}

/** How long it was talked. A call nobody answered was talked for no time, however long it rang. */
export function talkedMs({ talkMs, totalMs, result }: Call): number | undefined {
  return talkMs ?? (result && result !== 'answered' && result !== 'voicemail' ? 0 : totalMs)
}

/** The two numbers as the CRM shows them: from whom to whom. */
export function numbersOf(call: Call): { from: string | undefined; to: string | undefined } {
  const outside = call.customer?.phone ?? undefined
  const isInbound = call.direction === 'inbound'
  const shown = (party: Call['from']) => party?.phone ?? party?.phoneRaw.trim()
  return {
    from: shown(call.from) ?? (isInbound ? outside : undefined),
    to: shown(call.dialed) ?? (isInbound ? undefined : outside),
  }
}

/** A link that a player in the CRM can open: the recording's own, on a public host, with no credentials in it. */
export function publicRecording({ recordings }: Call, extensions?: readonly string[]): string | undefined {
  return recordings.find(({ url, state }) => {
    const link = state === 'ready' && url !== undefined ? URL.parse(url) : null
    if (link?.protocol !== 'https:' || link.username !== '' || link.password !== '') return false
    const isPublic = /\.(?!local$|internal$|lan$|home$|corp$|test$)[a-z][a-z0-9-]*$/.test(link.hostname)
    const path = link.pathname.toLowerCase()
    return isPublic && (extensions === undefined || extensions.some((end) => path.endsWith(`.${end}`)))
  })?.url
}

export function tidy(text: string): string {
  return text.replace(/\s+/g, ' ').trim()
}

/** Only what has a value: CRMs take an empty one for the wish to clear the field. */
export function filled(fields: Record<string, string | undefined>): Record<string, string> {
  const known: Record<string, string> = {}
  for (const [name, value] of Object.entries(fields))
    if (value !== undefined && value !== '') known[name] = value
  return known
}

function sorted<T>(record: Record<string, T> | undefined): [string, T][] {
  return Object.entries(record ?? {}).sort(([a], [b]) => (a < b ? -1 : 1))
}

/** As the URL standard spells it; any other scheme could be script. */
function webLink(link: string | undefined): string | undefined {
  const url = link === undefined ? null : URL.parse(link)
  return url?.protocol === 'https:' || url?.protocol === 'http:' ? url.href : undefined
}
