import type { Candidate, Preference } from '../connector/crm-role.ts'

/** What a flow’s rule makes of several records with one number. */
export interface Choice {
  /** Null: the rule leaves more than one, and a person chooses. */
  best: Candidate | null
  /** Which part of the rule decided, in words for the timeline. */
  why: string
}

/**
 * Which of several records with one number a call belongs to, by the flow's rule: each preference keeps those that fit it
 * best, where any does, and the next one chooses among them.
 */
export function choose(candidates: readonly Candidate[], prefer: readonly Preference[]): Choice {
  const [only, another] = candidates
  if (!only || !another) return { best: only ?? null, why: only?.reason ?? 'nobody has this number' }
  let left = candidates
  for (const preference of prefer) {
    left = KEEP[preference](left)
    const [best, other] = left
    if (best && !other) return { best, why: `${WORDS[preference]}, of ${candidates.length} with this number` }
  }
  const rule =
    prefer.length === 0 ? 'the flow has no rule' : `the rule (${prefer.join(', ')}) does not decide`
  return { best: null, why: `${left.length} of ${candidates.length} records fit alike: ${rule}` }
}

const WORDS: Record<Preference, string> = {
  'open deal': 'the one with an open deal',
  'last activity': 'the one with the last activity',
  'owner is the agent': 'the one whose owner took the call',
  newest: 'the newest one',
}

type Keep = (candidates: readonly Candidate[]) => readonly Candidate[]

const KEEP: Record<Preference, Keep> = {
  'open deal': fitting((candidate) => candidate.hasOpenDeal === true),
  'owner is the agent': fitting((candidate) => candidate.isAgents === true),
  'last activity': latest((candidate) => candidate.lastActivityAt),
  newest: latest((candidate) => candidate.createdAt),
}

function fitting(fits: (candidate: Candidate) => boolean): Keep {
  return (candidates) => {
    const those = candidates.filter(fits)
    return those.length > 0 ? those : candidates
  }
}

function latest(at: (candidate: Candidate) => string | undefined): Keep {
  return (candidates) => {
    const last = Math.max(...candidates.map((candidate) => msOf(at(candidate))))
    return last === Number.NEGATIVE_INFINITY
      ? candidates
      : candidates.filter((candidate) => msOf(at(candidate)) === last)
  }
}

function msOf(at: string | undefined): number {
  const ms = at === undefined ? Number.NaN : Date.parse(at)
  return Number.isNaN(ms) ? Number.NEGATIVE_INFINITY : ms
}
