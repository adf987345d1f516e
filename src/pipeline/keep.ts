import type { Analysis } from '../call/analysis.ts'
import type { Deps } from './deps.ts'

/** What of a result may still be kept, by the age of its submission. */
export function keptOf(deps: Pick<Deps, 'config' | 'now'>, since: number, analysis: Analysis): Analysis {
  return isPast(deps, since) ? withoutTranscript(analysis) : analysis
}

/** Whether transcripts of this age are no longer kept. */
export function isPast({ config, now }: Pick<Deps, 'config' | 'now'>, since: number): boolean {
  return config.keep.transcriptMs !== undefined && since < now() - config.keep.transcriptMs
}

/** What stays of an analysis when its transcript’s time is over. */
export function withoutTranscript({ transcript: _transcript, raw: _raw, ...rest }: Analysis): Analysis {
  return rest
}
