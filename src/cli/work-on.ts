import type { Deps } from '../pipeline/deps.ts'
import { takeBack } from '../pipeline/take-back.ts'
import { createWorker } from '../pipeline/work.ts'
import { createInProcessQueue } from '../queue/in-process.ts'

/** As a worker has it: what a command that was killed has left is free after that. */
const LEASE_MS = 20_000
const LOOK_MS = 2_000
const ROOM = 10

/**
 * Works on one lane from a command, where no server runs: what it brings waits for one. Answers how to stop.
 */
export async function workOn(deps: Deps, lane: string): Promise<() => Promise<void>> {
  const bells = createInProcessQueue({ now: deps.now, log: deps.log })
  const queue: Deps['queue'] = {
    ...bells,
    wake: (all) => bells.wake(all.filter((bell) => bell.lane === lane)),
  }
  const worker = createWorker({ ...deps, queue }, { leaseMs: LEASE_MS })
  await worker.refresh()
  const look = async () => {
    await takeBack(deps, LEASE_MS, ROOM)
    queue.wake([{ step: '', lane, dueAt: deps.now() }])
  }
  worker.start({ sweeps: false })
  await look()
  const timer = setInterval(() => void look().catch(() => undefined), LOOK_MS)
  return async () => {
    clearInterval(timer)
    await worker.stop(0)
  }
}
