import {
  type Analysis,
  analysis as analysisSchema,
  type Transcript,
  type Turn,
  transcript,
} from './analysis.ts'
import { parseTranscript } from './roles.ts'
import type { Vcon, VconAnalysis } from './vcon-schema.ts'

/** The analysis of a call as entries of a vCon, each of a type that others know, and back. */

/** Says whose form a body has, where it is JSON. */
const SCHEMA = 'urn:cordboard:schema:analysis:1'

export function analysisTo(analysis: Analysis, vendor: string, dialogs: number): Record<string, unknown>[] {
  const { transcript: turns, summary, sentiment, ...report } = analysis
  const common = { vendor, dialog: Array.from({ length: dialogs }, (_, index) => index) }
  const json = (type: string, body: unknown) => ({
    type,
    ...common,
    schema: SCHEMA,
    mediatype: 'application/json',
    encoding: 'json',
    body,
  })
  const text = (type: string, body: string) =>
    body === '' ? json(type, body) : { type, ...common, mediatype: 'text/plain', encoding: 'none', body }
  return [
    ...(turns ? [json('transcript', turns)] : []),
    ...(summary === undefined ? [] : [text('summary', summary)]),
    ...(sentiment === undefined ? [] : [text('sentiment', sentiment)]),
    ...(Object.keys(report).length === 0 ? [] : [json('report', report)]),
  ]
}

/** Of several entries of a type the first that can be read counts. What is in none of the forms known here is left out. */
export function analysisFrom(file: Vcon): Analysis {
  const found: Analysis = {}
  for (const entry of file.analysis) {
    const part = partFrom(entry, file)
    for (const [key, value] of Object.entries(part))
      if (!Object.hasOwn(found, key)) Object.assign(found, { [key]: value })
  }
  return found
}

function partFrom(entry: VconAnalysis, { parties }: Vcon): Analysis {
  const { type, schema, body, encoding } = entry
  const isOurs = schema === SCHEMA
  const value = encoding === 'json' || isOurs ? body : typeof body === 'string' ? body : undefined
  if (type === 'report') return isOurs ? checked(value) : {}
  if (type === 'summary') return typeof value === 'string' ? checked({ summary: value }) : {}
  if (type === 'sentiment')
    return typeof value === 'string' ? checked({ sentiment: value.toLowerCase() }) : {}
  if (type === 'transcript' || type === 'wtf_transcription') {
    const names = parties.map(({ role, name }) => ({ role: role?.toLowerCase(), name }))
    const read = transcriptFrom(value, names)
    return read ? { transcript: read } : {}
  }
  return {}
}

function checked(value: unknown): Analysis {
  const read = analysisSchema.safeParse(value)
  return read.success ? read.data : {}
}

interface Name {
  role: string | undefined
  name: string | undefined
}

/** Ours, plain text with roles, or segments with speakers (draft-howe-vcon-wtf-extension-02). */
function transcriptFrom(value: unknown, names: readonly Name[]): Transcript | null {
  const ours = transcript.safeParse(value)
  if (ours.success) return ours.data
  if (typeof value === 'string') return { turns: parseTranscript(value).slice(0, 20_000) }
  if (typeof value !== 'object' || value === null) return null
  const { segments } = value as Record<string, unknown>
  if (!Array.isArray(segments) || segments.length > 20_000) return null
  const turns = segments.map((segment: unknown) => turnFrom(segment, names))
  return turns.every((turn) => turn !== null) ? { turns } : null
}

function turnFrom(segment: unknown, names: readonly Name[]): Turn | null {
  if (typeof segment !== 'object' || segment === null) return null
  const { text, speaker, start, end } = segment as Record<string, unknown>
  if (typeof text !== 'string') return null
  const index = typeof speaker === 'number' ? speaker : undefined
  const role = index === undefined ? undefined : names[index]?.role
  const label = index === undefined ? (typeof speaker === 'string' ? speaker : undefined) : names[index]?.name
  const ms = (seconds: unknown) =>
    typeof seconds === 'number' && seconds >= 0 && seconds < 10_000_000 ? Math.round(seconds * 1000) : null
  const [startMs, endMs] = [ms(start), ms(end)]
  return {
    ...(role === 'agent' || role === 'customer'
      ? { party: role }
      : { party: 'other' as const, ...(label ? { label: label.slice(0, 128) } : {}) }),
    text,
    ...(startMs === null ? {} : { startMs }),
    ...(endMs === null ? {} : { endMs }),
  }
}
