import type { SweepOptions } from '../pipeline/sweep.ts'

type Room = Pick<SweepOptions, 'room' | 'erasures'>

/**
 * How much one sweep does. An invocation may ask D1 50 times on the Free plan and 1,000 times and more on the Paid one; an idle
 * sweep over three connections asks 28 times, and each thing it finds costs up to ten questions more. What does not fit is
 * left to the next minute.
 */
const ROOMS: Record<'free' | 'paid', Room> = {
  free: { room: 2, erasures: 1 },
  paid: { room: 50, erasures: 50 },
}

export function sweepOf({ CORDBOARD_PLAN: plan }: { CORDBOARD_PLAN?: string }): Room {
  return ROOMS[plan === 'free' ? 'free' : 'paid']
}
