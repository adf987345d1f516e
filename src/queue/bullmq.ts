import type { Log } from '../connector/contract.ts'
import { openBells } from './bull-bells.ts'
import { type Ears, openEars } from './bull-ears.ts'
import { createInProcessQueue } from './in-process.ts'
import type { Queue, Take } from './port.ts'

/**
 * The queue of several processes: bells in Redis above the lanes of this process.
 *
 * A process that works answers its own bells and those it hears by asking its own lane. Only when a lane got all it had
 * room for, so that there may be more, or has no room at all, it rings in Redis for the others, and is deaf for this lane
 * until it has room: a bell is never with somebody who cannot answer it while others could. So a process that works goes
 * on without Redis too, on the bells of its own sweep.
 */
export interface BullQueueOptions {
  /** As `connectRedis` reads it. */
  redis: string
  /** The core lane and every connection. What rings for others is asked for here and never in Redis. */
  lanes: readonly string[]
  /** Default `cordboard`. */
  prefix?: string
  now: () => number
  log: Log
}

interface Lane {
  running: number
  /** Rung for everybody, and nobody knows yet whether there is more than this process can take. */
  owes: boolean
  /** The last take got all it asked for: the lane asks again by itself. */
  hasMore: boolean
}

export function createBullQueue(options: BullQueueOptions): Queue {
  const { redis: url, lanes: known, prefix = 'cordboard', now, log } = options
  const bells = openBells({ url, prefix, lanes: known, now, log })
  const local = createInProcessQueue({ now, log })
  const lanes = new Map<string, Lane>()
  let ears: Ears | null = null
  let work: { take: Take; concurrency: (lane: string) => number } | null = null
  let stopping: Promise<void> | null = null

  function laneOf(name: string): Lane {
    const lane = lanes.get(name) ?? { running: 0, owes: false, hasMore: false }
    lanes.set(name, lane)
    return lane
  }

  function isFull(name: string): boolean {
    return work !== null && laneOf(name).running >= work.concurrency(name)
  }

  function ring(name: string): void {
    const isOver = work === null || stopping !== null
    // Full: others may have room, and this lane asks as soon as it has.
    if (isOver || isFull(name)) bells.ring(name)
    else laneOf(name).owes = true
    if (!isOver) local.wake([{ step: '', lane: name, dueAt: now() }])
  }

  function ringAt(name: string, dueAt: number): void {
    if (bells.ringAt(name, dueAt)) return
    if (work !== null && stopping === null) local.wake([{ step: '', lane: name, dueAt }])
  }

  const watchedTake: Take = async (name, room, signal) => {
    if (work === null) return []
    const lane = laneOf(name)
    const owed = lane.owes
    lane.owes = false
    lane.hasMore = false
    let steps: readonly Promise<void>[]
    try {
      steps = await work.take(name, room, signal)
    } catch (error) {
      lane.owes ||= owed
      throw error
    }
    lane.running += steps.length
    const finished = () => {
      lane.running -= 1
      if (!lane.hasMore) ears?.setDeaf(name, false)
    }
    for (const step of steps) step.then(finished, finished)
    lane.hasMore = steps.length >= room
    if (lane.hasMore && (owed || lane.owes)) {
      lane.owes = false
      bells.ring(name)
    }
    if (isFull(name)) ears?.setDeaf(name, true)
    else if (!lane.hasMore) ears?.setDeaf(name, false)
    return steps
  }

  async function stop(graceMs: number): Promise<void> {
    // What was heard here and not answered is for the others.
    for (const [name, lane] of lanes) if (lane.owes) bells.ring(name)
    await Promise.all([ears?.close(), local.stop(graceMs)])
    await bells.close()
  }

  return {
    wake(rung) {
      const time = now()
      const atOnce = new Set<string>()
      for (const { lane, dueAt } of rung) {
        if (dueAt > time) ringAt(lane, dueAt)
        else atOnce.add(lane)
      }
      for (const lane of atOnce) ring(lane)
    },
    work(take, concurrency) {
      work = { take, concurrency }
      local.work(watchedTake, concurrency)
      ears ??= openEars({ url, prefix, lanes: known, log, heard: ring })
    },
    stop(graceMs) {
      stopping ??= Promise.resolve().then(() => stop(graceMs))
      return stopping
    },
    state() {
      const { running } = local.state()
      if (stopping !== null) return { ok: false, says: 'stopped', running }
      if (!bells.answers()) return { ok: true, says: AWAY, running }
      const says = work === null ? 'rings only: others work' : `${known.length} lanes`
      return { ok: true, says, running }
    },
  }
}

const AWAY = 'Redis does not answer: workers look for work by themselves, a little later than usual'
