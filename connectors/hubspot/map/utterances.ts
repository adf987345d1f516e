import type { Analysis } from '../../../src/call/analysis.ts'
import type { Call } from '../../../src/call/call.ts'

/**
 * The transcript as HubSpot's own view of a call shows it. Its form wants the times of every utterance: a transcript without
 * them is not handed over, for none are made up (definition of the transcriptions API, read 2026-11-20).
 */
export function utterancesOf(call: Call, analysis: Analysis | null): string | null {
  const turns = analysis?.transcript?.turns ?? []
  const names = { agent: call.agent?.name, customer: call.customer?.name, other: undefined }
  const words = { agent: 'Agent', customer: 'Customer', other: 'Other' }
  const utterances = turns.flatMap(({ party, label, text, startMs, endMs }) => {
    if (startMs === undefined || endMs === undefined) return []
    const email = party === 'agent' ? call.agent?.email : undefined
    const speaker = { id: label ?? party, name: label ?? names[party] ?? words[party] }
    return [
      {
        speaker: email === undefined ? speaker : { ...speaker, email },
        text: text.toWellFormed(),
        startTimeMillis: startMs,
        endTimeMillis: endMs,
      },
    ]
  })
  return utterances.length > 0 && utterances.length === turns.length ? JSON.stringify(utterances) : null
}
