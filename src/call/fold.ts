import type { Agent, Call, Customer, Leg, Recording } from './call.ts'
import type { Facts } from './facts.ts'

// How the observations of a call become its fields. All of them take the facts in the order of `inOrder`, so that none
// knows in which order they arrived.

export const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** The last event that says it, wins. */
export function last<Key extends keyof Facts>(all: readonly Facts[], key: Key): Facts[Key] | undefined {
  for (let index = all.length - 1; index >= 0; index -= 1) {
    const value = all[index]?.[key]
    if (value !== undefined) return value
  }
  return undefined
}

type InstantKey = 'startedAt' | 'answeredAt' | 'endedAt'

/** The earliest (-1) or latest (1) instant. */
export function extreme(all: readonly Facts[], key: InstantKey, sign: 1 | -1): string | undefined {
  let best: string | undefined
  for (const facts of all) {
    const value = facts[key]
    if (value !== undefined && (best === undefined || (Date.parse(value) - Date.parse(best)) * sign > 0))
      best = value
  }
  return best
}

export function between(from: string | undefined, to: string | undefined): number | undefined {
  if (from === undefined || to === undefined) return undefined
  const ms = Date.parse(to) - Date.parse(from)
  return ms >= 0 ? ms : undefined
}

export function less(ms: number | undefined, hold: number | undefined): number | undefined {
  return ms === undefined ? undefined : Math.max(0, ms - (hold ?? 0))
}

/** A start that only follows from the end and the vendor's total. */
export function earlier(end: string | undefined, total: number | undefined): string | undefined {
  return end === undefined || total === undefined
    ? undefined
    : new Date(Date.parse(end) - total).toISOString()
}

export function foldCustomer(all: readonly Facts[], outside: Call['from']): Customer | undefined {
  const said: NonNullable<Facts['customer']> = Object.assign({}, ...all.map((facts) => facts.customer))
  const customer = { ...outside, ...said }
  const { phone, phoneRaw } = customer
  if (phone === undefined && phoneRaw === undefined && Object.keys(customer).length === 0) return undefined
  return { ...customer, phone: phone ?? null, phoneRaw: phoneRaw ?? '' }
}

/** The last agent named; what is said twice of the same agent is put together. */
export function foldAgent(all: readonly Facts[]): Agent | undefined {
  let agent: Agent | undefined
  for (const { agent: next } of all) {
    if (!next) continue
    const other =
      (agent?.id !== undefined && next.id !== undefined && agent.id !== next.id) ||
      (agent?.extension !== undefined && next.extension !== undefined && agent.extension !== next.extension)
    agent = other ? next : { ...agent, ...next }
  }
  return agent
}

/** The last event that says it, wins; but a leg that is taken up again after a hold was answered when it was first. */
export function foldLegs(all: readonly Facts[]): Leg[] {
  const legs = new Map<string, Leg>()
  for (const facts of all) {
    for (const leg of facts.legs ?? []) {
      const known = legs.get(leg.key)
      const { answeredAt = leg.answeredAt } = known ?? {}
      const isAgain = answeredAt !== undefined && compare(leg.answeredAt ?? '', answeredAt) > 0
      legs.set(leg.key, { ...known, ...leg, ...(isAgain ? { answeredAt } : {}) })
    }
  }
  return [...legs.values()].sort(
    (a, b) => compare(a.startedAt ?? '', b.startedAt ?? '') || compare(a.key, b.key),
  )
}

const STATE_RANK = { pending: 0, failed: 1, absent: 1, ready: 2 } as const

/** A recording that was once ready stays so, whatever comes late. */
export function foldRecordings(all: readonly Facts[]): Recording[] {
  const recordings = new Map<string, Recording>()
  for (const facts of all) {
    for (const next of facts.recordings ?? []) {
      const known = recordings.get(next.key)
      const state = known && STATE_RANK[known.state] > STATE_RANK[next.state] ? known.state : next.state
      recordings.set(next.key, { ...known, ...next, state })
    }
  }
  return [...recordings.values()].sort((a, b) => compare(a.key, b.key))
}

const META_LIMIT = 64

export function foldMeta(all: readonly Facts[]): Record<string, string> {
  const meta = all.reduce<Record<string, string>>((sum, facts) => Object.assign(sum, facts.meta), {})
  return Object.fromEntries(
    Object.entries(meta)
      .sort(([a], [b]) => compare(a, b))
      .slice(0, META_LIMIT),
  )
}
