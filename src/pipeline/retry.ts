import type { CordboardError, ErrorCode } from '../errors.ts'
import type { StepRow } from '../store/schema.ts'

/** What to do with a step whose execution failed: pure, from the error's code and retry, never from its message. */
export type Verdict =
  | { state: 'waiting'; dueAt: number; counts: boolean }
  | { state: 'parked' }
  | { state: 'dead' }

/** Upper bounds of the delays; each is drawn from [0, bound) (full jitter), so that many calls do not return together. */
const DELAYS_MS = [5_000, 30_000, 120_000, 600_000, 1_800_000, 7_200_000, 18_000_000, 36_000_000]
/** A transient failure is tried for this long: longer than the three days that webhook senders use. */
export const GIVE_UP_MS = 76 * 3_600_000
const LEAST_ATTEMPTS = 12

/** Wait for a person or for the connection to recover, keeping the attempts. */
const PARKED: ReadonlySet<ErrorCode> = new Set([
  'auth',
  'quota',
  'forbidden',
  'config',
  'connection_gone',
  'flow_gone',
  'ambiguous',
  'several_records',
  'blocked_address',
])

/** What follows from a failure: again at a time, parked, or dead. */
export function judge(
  error: CordboardError,
  step: Pick<StepRow, 'attempts' | 'created_at'>,
  now: number,
  random: () => number,
): Verdict {
  const { code, retry } = error
  // Spread a little beyond the named moment: everyone was told the same one.
  const named = typeof retry === 'object' ? Math.ceil(now + retry.afterMs + random() * 250) : null
  if (code === 'rate_limited')
    return { state: 'waiting', dueAt: named ?? now + 1_000 + Math.round(random() * 10_000), counts: false }
  if (PARKED.has(code) && named === null) return { state: 'parked' }
  if (retry === 'never') return { state: 'dead' }
  if (step.attempts + 1 >= LEAST_ATTEMPTS && now - step.created_at >= GIVE_UP_MS) return { state: 'dead' }
  const bound = DELAYS_MS[Math.min(step.attempts, DELAYS_MS.length - 1)] ?? 0
  return { state: 'waiting', dueAt: named ?? now + Math.round(random() * bound), counts: true }
}
