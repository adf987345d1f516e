import type { Share } from '../queue/port.ts'
import { claimQuery, renewQuery } from '../store/claim.ts'
import type { StepRow } from '../store/schema.ts'
import { createBreakers } from './breaker.ts'
import { createChecks } from './check.ts'
import type { Watch } from './conclude.ts'
import type { Deps } from './deps.ts'
import { createIssueWatch } from './issues.ts'
import { createQuotaWatch } from './quota.ts'
import { type Held, runStep } from './run.ts'
import { CORE_LANE } from './step.ts'
import { createSweep, type SweepOptions } from './sweep.ts'

/** How a worker spends its time; a test that moves the clock itself brings its own `every`. */
export interface WorkOptions {
  /** How long a worker holds a step without a sign of life, in ms. */
  leaseMs?: number
  /** Between two sweeps, in ms. */
  sweepMs?: number
  /** Repeats `work` every `ms` until the returned function is called. */
  every?: (ms: number, work: () => void) => () => void
  sweep?: SweepOptions
}

/** What takes due steps in one process: it claims them, renews their leases and sweeps. */
export interface Worker {
  /**
   * Takes steps as the queue says. `sweeps: false` is for a worker that lives only as long as some steps: it renews their
   * leases and does nothing else by itself.
   */
  start(how?: { sweeps: boolean }): void
  /** Reads what others have written of breakers and issues. Each sweep does that as well. */
  refresh(): Promise<void>
  /** No new steps; those under way finish within `graceMs` or go back. */
  stop(graceMs: number): Promise<void>
  /** Extends the leases of the steps under way; aborts those that another worker took over. */
  renew(): Promise<void>
  /** One sweep, now. */
  sweep(): Promise<void>
  /** Asks the connections that refused us whether they take us again. */
  check(): Promise<void>
  /** Asks analysis services what is left of what was paid for. */
  watchQuotas(): Promise<void>
}

const LEASE_MS = 20_000
const SWEEP_MS = 2_000
const QUOTA_MS = 60_000
/** Merges and result callbacks talk to nobody: more of them at once only means more of them in one commit. */
const CORE_CONCURRENCY = 32
/** Our clock stops sending this much before the store's clock ends the lease. */
const LEASE_MARGIN = 0.1

/** Takes due steps from the store and runs them, lane by lane. */
export function createWorker(deps: Deps, options: WorkOptions = {}): Worker {
  const { leaseMs = LEASE_MS, sweepMs = SWEEP_MS, every = everyMs } = options
  const me = Math.floor(deps.random() * 2 ** 40).toString(36)
  const breakers = createBreakers(deps)
  const watch: Watch = { breakers, issues: createIssueWatch(deps) }
  let isStopping = false
  const sweep = createSweep(deps, watch, leaseMs, { ...options.sweep, isOver: () => isStopping })
  const check = createChecks(deps, breakers)
  const watchQuotas = createQuotaWatch(deps, breakers)
  const holding = new Map<string, { lease: string; until: number; controller: AbortController }>()
  /** Steps that ended here while the store could not take it: they go back with the next renewal. */
  const unfinished: Array<{ step: string; lease: string }> = []
  const stops: Array<() => void> = []
  let claims = 0
  let sweeping: Promise<void> | null = null

  /** Claims in one statement what a lane may run; the steps then run on their own. */
  async function take(
    lane: string,
    wanted: number,
    signal: AbortSignal,
    share?: Share,
  ): Promise<readonly Promise<void>[]> {
    const { room, at } = breakers.room(lane, wanted)
    if (room === 0) {
      if (at !== null) deps.queue.wake([{ step: '', lane, dueAt: at }])
      return []
    }
    claims += 1
    const lease = `${me}.${claims}`
    const until = deps.now() + leaseMs * (1 - LEASE_MARGIN)
    const result = await deps.store.atomic(
      [],
      [claimQuery(deps.store, { lane, room, lease, leaseMs, share })],
    )
    if (result === 'lost') return []
    const rows = (result[0] ?? []) as unknown as StepRow[]
    return rows.map((step) => run(step, lease, until, signal))
  }

  async function run(step: StepRow, lease: string, until: number, stop: AbortSignal): Promise<void> {
    const controller = new AbortController()
    const mine = { lease, until, controller }
    const abort = () => controller.abort(stop.reason)
    stop.addEventListener('abort', abort, { once: true })
    // A step is held once at a time by one worker; a zombie of the same step keeps its own entry out of the way.
    holding.set(step.id, mine)
    const held: Held = { step, lease, until: () => mine.until, signal: controller.signal }
    try {
      if (!(await runStep(deps, watch, held))) unfinished.push({ step: step.id, lease })
    } finally {
      stop.removeEventListener('abort', abort)
      if (holding.get(step.id) === mine) holding.delete(step.id)
    }
  }

  async function renew(): Promise<void> {
    if (unfinished.length > 0) {
      // More may come while these go back: they are for the next time.
      const back = unfinished.splice(0)
      try {
        await handBack(back)
      } catch (error) {
        unfinished.push(...back)
        throw error
      }
    }
    const held = [...holding]
    if (held.length === 0) return
    const until = deps.now() + leaseMs * (1 - LEASE_MARGIN)
    const queries = held.map(([step, { lease }]) => renewQuery(deps.store, { step, lease, leaseMs }))
    const result = await deps.store.atomic([], queries)
    for (const [index, [, mine]] of held.entries()) {
      if (result !== 'lost' && result[index]?.length === 1) mine.until = until
      else mine.controller.abort(new DOMException('the lease was lost', 'AbortError'))
    }
  }

  const quietly = (what: string, work: () => Promise<void>) => () => {
    work().catch((error: unknown) => {
      deps.log.error(`${what} failed`, { says: error instanceof Error ? error.message : String(error) })
    })
  }
  /** One at a time. */
  const sweepOnce = () => {
    sweeping ??= sweep().finally(() => {
      sweeping = null
    })
    return sweeping
  }

  return {
    renew,
    sweep: sweepOnce,
    check,
    watchQuotas,
    async refresh() {
      await breakers.refresh()
      await watch.issues.refresh()
    },
    start({ sweeps } = { sweeps: true }) {
      deps.queue.work(take, (lane) =>
        lane === CORE_LANE ? CORE_CONCURRENCY : (deps.config.connections.get(lane)?.concurrency ?? 1),
      )
      stops.push(every(leaseMs / 3, quietly('renewing leases', renew)))
      if (!sweeps) return
      stops.push(every(sweepMs, quietly('the sweep', sweepOnce)))
      stops.push(every(sweepMs, quietly('checking connections', check)))
      stops.push(every(QUOTA_MS, quietly('asking for quotas', watchQuotas)))
      quietly('the sweep', sweepOnce)()
    },
    async stop(graceMs) {
      isStopping = true
      await deps.queue.stop(graceMs)
      for (const end of stops.splice(0)) end()
      await sweeping
      // Steps that were cut off at the end of the grace go back at once, instead of when their leases run out.
      await handBack([...unfinished, ...[...holding].map(([step, { lease }]) => ({ step, lease }))])
    },
  }

  async function handBack(steps: readonly { step: string; lease: string }[]): Promise<void> {
    if (steps.length === 0) return
    const back = { state: 'waiting', lease: null, lease_until: null, due_at: deps.now() } as const
    await deps.store.atomic(
      [],
      steps.map(({ step, lease }) =>
        deps.store.db
          .updateTable('steps')
          .set(back)
          .where('id', '=', step)
          .where('lease', '=', lease)
          .where('state', '=', 'working'),
      ),
    )
  }
}

function everyMs(ms: number, work: () => void): () => void {
  const timer = setInterval(work, ms)
  return () => clearInterval(timer)
}
