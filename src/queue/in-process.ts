import type { Log } from '../connector/contract.ts'
import type { Bell, Queue, Take } from './port.ts'

/**
 * The embedded queue: one small lane per connection in this process. A bell only says "look again"; a lane asks `take`
 * for as much as it has room for, and asks again as long as it gets all it asked for.
 */

/** Starts a timer; the answer cancels it. */
export type SetTimer = (run: () => void, ms: number) => () => void

export interface InProcessQueueOptions {
  now: () => number
  log?: Pick<Log, 'error'>
  setTimer?: SetTimer
}

interface Lane {
  name: string
  running: number
  taking: boolean
  /** A bell that has not been answered by a take yet: one flag, however many bells. */
  rung: boolean
  asking: boolean
  /** When to ring later, each instant once. */
  later: Set<number>
  timer: { at: number; cancel(): void } | null
}

/** After `take` has failed; the store is likely away for a moment. */
const RETRY_MS = 1_000
/** More are not kept per lane: the sweep rings for them when they are due. */
const MAX_LATER = 1_000
/** Longer delays overflow the timer of JavaScript. */
const MAX_DELAY_MS = 24 * 3_600_000
/** After their abort, steps get this long to notice. */
const ABORT_MS = 1_000

export function createInProcessQueue(options: InProcessQueueOptions): Queue {
  const { now, log, setTimer = unrefTimer } = options
  const lanes = new Map<string, Lane>()
  const abort = new AbortController()
  let work: { take: Take; concurrency: (lane: string) => number } | null = null
  let stopping: Promise<void> | null = null
  /** Called when the last running step and take have ended. */
  let idle: (() => void) | null = null

  function laneOf(name: string): Lane {
    const known = lanes.get(name)
    if (known !== undefined) return known
    const lane: Lane = {
      name,
      running: 0,
      taking: false,
      rung: false,
      asking: false,
      later: new Set(),
      timer: null,
    }
    lanes.set(name, lane)
    return lane
  }

  function ring(lane: Lane): void {
    lane.rung = true
    ask(lane)
  }

  /** On the loop's next turn, so that steps which finish together share one claim. */
  function ask(lane: Lane): void {
    if (lane.asking || lane.taking || !lane.rung) return
    lane.asking = true
    setImmediate(() => {
      lane.asking = false
      if (work === null || stopping !== null || lane.taking || !lane.rung) return
      const room = work.concurrency(lane.name) - lane.running
      if (room <= 0) return
      lane.rung = false
      lane.taking = true
      void fill(lane, work.take, room)
    })
  }

  /** Never rejects. */
  async function fill(lane: Lane, take: Take, room: number): Promise<void> {
    try {
      const steps = await take(lane.name, room, abort.signal)
      // There may be more. Otherwise a bell of the meantime, whose step this take may have been too early to see, stays.
      if (steps.length >= room) lane.rung = true
      lane.running += steps.length
      for (const step of steps) step.then(finished, finished)
    } catch (error) {
      log?.error('taking steps failed', {
        lane: lane.name,
        says: error instanceof Error ? error.message : String(error),
      })
      ringLater(lane, now() + RETRY_MS)
    }
    lane.taking = false
    settle()

    function settle(): void {
      if (total() === 0) idle?.()
      ask(lane)
    }
    function finished(): void {
      lane.running -= 1
      settle()
    }
  }

  function ringLater(lane: Lane, at: number): void {
    lane.later.add(at)
    if (lane.later.size > MAX_LATER) lane.later.delete(Math.max(...lane.later))
    arm(lane)
  }

  /** One timer per lane, for the earliest instant. */
  function arm(lane: Lane): void {
    if (stopping !== null || lane.later.size === 0) return
    const at = Math.min(...lane.later)
    if (lane.timer !== null && lane.timer.at <= at) return
    lane.timer?.cancel()
    const cancel = setTimer(
      () => {
        lane.timer = null
        const time = now()
        for (const instant of lane.later) {
          if (instant > time) continue
          lane.later.delete(instant)
          lane.rung = true
        }
        ask(lane)
        arm(lane)
      },
      Math.min(Math.max(0, at - now()), MAX_DELAY_MS),
    )
    lane.timer = { at, cancel }
  }

  function total(): number {
    let running = 0
    for (const lane of lanes.values()) running += lane.running + (lane.taking ? 1 : 0)
    return running
  }

  async function stop(graceMs: number): Promise<void> {
    for (const lane of lanes.values()) lane.timer?.cancel()
    if (await settled(graceMs)) return
    abort.abort(new DOMException('the worker is stopping', 'AbortError'))
    await settled(ABORT_MS)
  }

  /** Waits until nothing runs, at most `ms`. */
  function settled(ms: number): Promise<boolean> {
    if (total() === 0) return Promise.resolve(true)
    return new Promise((resolve) => {
      const cancel = setTimer(() => resolve(false), ms)
      idle = () => {
        cancel()
        resolve(true)
      }
    })
  }

  return {
    wake(bells: readonly Bell[]) {
      if (stopping !== null) return
      const time = now()
      for (const { lane, dueAt } of bells) {
        if (dueAt > time) ringLater(laneOf(lane), dueAt)
        else ring(laneOf(lane))
      }
    },
    work(take, concurrency) {
      work = { take, concurrency }
      for (const lane of lanes.values()) ask(lane)
    },
    stop(graceMs) {
      stopping ??= Promise.resolve().then(() => stop(graceMs))
      return stopping
    },
    state() {
      let running = 0
      for (const lane of lanes.values()) running += lane.running
      const says = stopping !== null ? 'stopped' : work === null ? 'not started' : `${lanes.size} lanes`
      return { ok: stopping === null && work !== null, says, running }
    },
  }
}

function unrefTimer(run: () => void, ms: number): () => void {
  const timer = setTimeout(run, ms)
  timer.unref()
  return () => clearTimeout(timer)
}
