import type { Call } from '../call/call.ts'
import type { Flow } from '../config/model.ts'
import type { Candidate } from '../connector/crm-role.ts'
import { choose } from './choose.ts'

/** What becomes of a call in one CRM, with the reason for people. */
export interface Verdict {
  verdict: 'match' | 'several' | 'logged' | 'create' | 'skip' | 'unmatched' | 'internal'
  target: Candidate | null
  says: string
}

/** What becomes of a call, by the flow's rules for several records and for none. Pure. */
export function decide(
  candidates: readonly Candidate[],
  { prefer, unknownCaller }: Pick<Flow, 'prefer' | 'unknownCaller'>,
  { call, isLogged, creates }: { call: Call; isLogged: boolean; creates: boolean },
): Verdict {
  const none = (verdict: keyof typeof REASONS): Verdict => ({ verdict, target: null, says: REASONS[verdict] })
  if (call.direction === 'internal' && !isLogged) return none('internal')
  const { best, why } = choose(candidates, prefer)
  if (best) {
    const count = candidates.length === 1 ? '1 candidate' : `${candidates.length} candidates`
    return {
      verdict: 'match',
      target: best,
      says: `${best.reason === why ? why : `${why}: ${best.reason}`} (${count})`,
    }
  }
  // It stands in the CRM already, on whichever records it was put there.
  if (isLogged) return none('logged')
  if (candidates.length > 0) return { verdict: 'several', target: null, says: why }
  // A caller without a public number cannot be created: the call is written without a contact.
  if (unknownCaller === 'create' && (!call.customer?.phone || !creates)) return none('unmatched')
  return none(unknownCaller)
}

const REASONS = {
  create: 'nobody has this number: a contact is created',
  skip: 'nobody has this number: not written, as the flow says',
  unmatched: 'nobody has this number: written without a contact',
  internal: 'an internal call: not written',
  logged: 'the CRM’s own record of the call',
} as const
