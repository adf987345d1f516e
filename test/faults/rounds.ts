import type { Reckoning } from './books.ts'
import type { Cluster } from './cluster.ts'
import type { Fault } from './cluster-faults.ts'
import { pause } from './within.ts'

/** What one fault left behind, counted in the books of those outside. */
export interface Round {
  fault: string
  /** What the fault did, in numbers. */
  did: Record<string, number>
  calls: number
  webhooks: number
  lost: number
  missing: number
  twice: number
  paidTwice: number
  /** Steps that a person must look at. */
  stuck: number
  /** From the last webhook until nothing was under way. */
  drainMs: number
}

export interface RoundOptions {
  calls: number
  everyMs: number
  drainMs: number
}

/** Calls come in, the fault strikes while they are under way, the rest comes in; then everything is waited for and counted. */
export async function round(
  cluster: Cluster,
  fault: Fault,
  random: () => number,
  { calls, everyMs, drainMs }: RoundOptions,
): Promise<Round> {
  const { sender } = cluster
  const before = { calls: sender.calls.length, webhooks: sender.log.length }
  sender.start(everyMs, before.calls + calls)
  await pause(everyMs * calls * 0.2)
  const did = await fault.strike(cluster, random)
  await sender.placed()
  await sender.finish()
  const sentAt = Date.now()
  await cluster.drain(drainMs)
  const found = await cluster.reckon()
  return {
    fault: fault.name,
    did,
    calls: sender.calls.length - before.calls,
    webhooks: sender.log.length - before.webhooks,
    ...sum(found),
    drainMs: Date.now() - sentAt,
  }
}

/** Everything twice, and what was paid twice although the vendor would have told. */
export function sum(found: Reckoning) {
  return {
    lost: found.lost + (found.webhooks - found.acknowledged),
    missing: found.missing,
    twice: Object.values(found.twice).reduce((total, count) => total + count, 0),
    paidTwice: found.submittedTwice.transcripto ?? 0,
    stuck: found.dead.length,
  }
}
