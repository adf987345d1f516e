import { afterEach, describe, expect, it } from 'vitest'
import type { Queue, Take } from '../../src/queue/port.ts'

/**
 * What every queue must do. Drivers with timers of their own let `pass` and `until` really wait. A queue that calls a worker
 * for some bells at a time, as Cloudflare's does, passes `bellsKit`; one whose lanes live in a process all of it.
 */

export interface OpenedQueue {
  queue: Queue
  now(): number
  /** Lets time go by, and everything happen that is due. */
  pass(ms: number): Promise<void>
  /** Resolves when it is so; fails when it never is. */
  until(so: () => boolean): Promise<void>
  /** What the queue logged as errors. */
  errors(): readonly string[]
  drop(): Promise<void>
}

/** A store's due steps and their execution, by hand. */
function bench() {
  const waiting = new Map<string, number>()
  const asked: Array<{ lane: string; room: number }> = []
  const running: Array<{ lane: string; end(): void }> = []
  let signal: AbortSignal | null = null
  let most = 0
  const take: Take = async (lane, room, abort) => {
    signal = abort
    asked.push({ lane, room })
    const count = Math.min(room, waiting.get(lane) ?? 0)
    waiting.set(lane, (waiting.get(lane) ?? 0) - count)
    return Array.from({ length: count }, () => {
      const { promise, resolve } = Promise.withResolvers<void>()
      const step = { lane, end: () => finish(step, resolve) }
      running.push(step)
      most = Math.max(most, running.filter((one) => one.lane === lane).length)
      return promise
    })
  }
  function finish(step: (typeof running)[number], resolve: () => void): void {
    running.splice(running.indexOf(step), 1)
    resolve()
  }
  const add = (lane: string, count: number) => waiting.set(lane, (waiting.get(lane) ?? 0) + count)
  const left = (lane: string) => waiting.get(lane) ?? 0
  return { take, add, left, asked, running, most: () => most, signal: () => signal }
}

/** Opens queues for the tests of a kit, and clears up after each. */
function opener(open: () => Promise<OpenedQueue>) {
  const opened: Array<OpenedQueue & ReturnType<typeof bench>> = []
  afterEach(async () => {
    for (const { running, drop } of opened.splice(0)) {
      for (const step of [...running]) step.end()
      await drop()
    }
  })
  return async function fresh(): Promise<OpenedQueue & ReturnType<typeof bench>> {
    const made = { ...(await open()), ...bench() }
    opened.push(made)
    return made
  }
}

export function bellsKit(name: string, open: () => Promise<OpenedQueue>): void {
  const fresh = opener(open)

  describe(`${name}: a lane`, () => {
    it('is asked for as much as it has room for when its bell rings', async () => {
      const { queue, until, pass, now, take, add, asked, running } = await fresh()
      queue.work(take, (lane) => (lane === 'core' ? 4 : 2))
      await pass(0)
      expect(asked).toEqual([])
      add('core', 3)
      queue.wake([{ step: '', lane: 'core', dueAt: now() - 5 }])
      await until(() => running.length === 3)
      expect(asked).toEqual([{ lane: 'core', room: 4 }])
      expect(queue.state()).toMatchObject({ ok: true, running: 3 })
    })

    it('hears a bell that rang before the lanes were started', async () => {
      const { queue, until, now, take, add, running } = await fresh()
      add('core', 1)
      queue.wake([{ step: 'stp_1', lane: 'core', dueAt: now() }])
      queue.work(take, () => 1)
      await until(() => running.length === 1)
    })

    it('goes on as long as it gets all it asked for', async () => {
      const { queue, until, now, take, add, left, running, most } = await fresh()
      queue.work(take, () => 2)
      add('core', 7)
      queue.wake([{ step: '', lane: 'core', dueAt: now() }])
      for (let done = 0; done < 7; done++) {
        await until(() => running.length > 0)
        running[0]?.end()
      }
      expect(left('core')).toBe(0)
      expect(most()).toBe(2)
    })

    it('does not hold up another', async () => {
      const { queue, until, now, take, add, running } = await fresh()
      queue.work(take, () => 1)
      add('slow', 5)
      add('hubspot', 1)
      const bells = ['slow', 'hubspot'].map((lane) => ({ step: 'stp_1', lane, dueAt: now() }))
      queue.wake(bells)
      await until(() => running.some((step) => step.lane === 'hubspot'))
      expect(running).toHaveLength(2)
    })

    it('hears a bell that rings while it is being asked', async () => {
      const { queue, until, now, take, add, asked, running } = await fresh()
      const gate = Promise.withResolvers<void>()
      const slowTake: Take = async (...args) => {
        const found = await take(...args)
        if (asked.length === 1) await gate.promise
        return found
      }
      queue.work(slowTake, () => 3)
      queue.wake([{ step: 'stp_1', lane: 'core', dueAt: now() }])
      await until(() => asked.length === 1)
      add('core', 1)
      queue.wake([{ step: 'stp_2', lane: 'core', dueAt: now() }])
      gate.resolve()
      await until(() => running.length === 1)
    })

    it('is tried again when taking fails, and the failure is logged', async () => {
      const { queue, until, pass, now, take, add, asked, running, errors } = await fresh()
      let failures = 2
      const failing: Take = (...args) => {
        if (args[0] === 'core' && failures-- > 0) throw new Error('the store is away')
        return take(...args)
      }
      queue.work(failing, () => 1)
      add('core', 1)
      add('other', 1)
      const bells = ['core', 'other'].map((lane) => ({ step: 'stp_1', lane, dueAt: now() }))
      queue.wake(bells)
      await until(() => running.length === 1)
      expect(asked).toEqual([{ lane: 'other', room: 1 }])
      running[0]?.end()
      await pass(1_000)
      await pass(1_000)
      await until(() => running.length === 1)
      expect(errors()).toHaveLength(2)
    })

    it('survives a step that breaks its promise and rejects', async () => {
      const { queue, until, now } = await fresh()
      let takes = 0
      queue.work(
        async () => (takes++ < 2 ? [Promise.reject(new Error('a step must not'))] : []),
        () => 1,
      )
      queue.wake([{ step: '', lane: 'core', dueAt: now() }])
      await until(() => takes >= 3)
      expect(queue.state().running).toBe(0)
    })
  })

  describe(`${name}: stopping`, () => {
    it('waits for what runs and takes nothing new', async () => {
      const { queue, until, pass, now, take, add, asked, running, signal } = await fresh()
      queue.work(take, () => 1)
      add('core', 5)
      queue.wake([{ step: 'stp_1', lane: 'core', dueAt: now() }])
      await until(() => running.length === 1)
      let stopped = false
      const stop = queue.stop(10_000).then(() => {
        stopped = true
      })
      queue.wake([{ step: 'stp_2', lane: 'core', dueAt: now() }])
      await pass(100)
      expect(stopped).toBe(false)
      running[0]?.end()
      await stop
      await pass(100)
      expect(asked).toHaveLength(1)
      expect(signal()?.aborted).toBe(false)
      expect(queue.state()).toMatchObject({ ok: false, running: 0 })
    })

    it('aborts what still runs after the grace', async () => {
      const { queue, until, pass, now, take, add, running, signal } = await fresh()
      queue.work(take, () => 2)
      add('core', 2)
      queue.wake([{ step: '', lane: 'core', dueAt: now() }])
      await until(() => running.length === 2)
      signal()?.addEventListener('abort', () => {
        for (const step of [...running]) step.end()
      })
      const stop = queue.stop(500)
      await pass(400)
      expect(signal()?.aborted).toBe(false)
      await pass(200)
      await stop
      expect(signal()?.aborted).toBe(true)
      expect(running).toHaveLength(0)
    })

    it('does not wait for ever for a step that ignores its abort', async () => {
      const { queue, until, pass, now, take, add, running } = await fresh()
      queue.work(take, () => 1)
      add('core', 1)
      queue.wake([{ step: 'stp_1', lane: 'core', dueAt: now() }])
      await until(() => running.length === 1)
      const stop = queue.stop(100)
      await pass(200)
      await pass(1_000)
      await stop
      expect(running).toHaveLength(1)
    })

    it('is immediate when nothing runs, and can be asked twice', async () => {
      const { queue, take } = await fresh()
      queue.work(take, () => 1)
      await Promise.all([queue.stop(10_000), queue.stop(10_000)])
    })
  })
}

export function queueKit(name: string, open: () => Promise<OpenedQueue>): void {
  bellsKit(name, open)
  const fresh = opener(open)

  describe(`${name}: a lane of a process`, () => {
    it('takes many bells for one', async () => {
      const { queue, until, pass, now, take, add, asked, running } = await fresh()
      queue.work(take, () => 50)
      add('core', 3)
      const bells = Array.from({ length: 100 }, (_, n) => ({ step: `stp_${n}`, lane: 'core', dueAt: now() }))
      queue.wake(bells)
      queue.wake(bells)
      await until(() => running.length === 3)
      await pass(0)
      expect(asked).toHaveLength(1)
    })

    it('keeps its other places busy while one step is slow', async () => {
      const { queue, until, now, take, add, running, left } = await fresh()
      queue.work(take, () => 2)
      add('core', 5)
      queue.wake([{ step: 'stp_1', lane: 'core', dueAt: now() }])
      await until(() => running.length === 2)
      for (let n = 3; n >= 0; n--) {
        running[1]?.end()
        await until(() => running.length === (n === 0 ? 1 : 2))
      }
      expect(left('core')).toBe(0)
    })

    it('is rung when a step is due, not before, however many instants there are', async () => {
      const { queue, until, pass, now, take, add, asked, running } = await fresh()
      queue.work(take, () => 9)
      const start = now()
      add('core', 1)
      queue.wake([2_000, 1_000, 1_500, 1_000].map((ms) => ({ step: 's', lane: 'core', dueAt: start + ms })))
      await pass(900)
      expect(asked).toHaveLength(0)
      await pass(200)
      await until(() => running.length === 1)
      expect(now()).toBeGreaterThanOrEqual(start + 1_000)
      add('core', 2)
      await pass(500)
      await until(() => running.length === 3)
      await pass(500)
      await until(() => asked.length === 3)
    })
  })
}
