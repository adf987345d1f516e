import { asCordboardError } from '../errors.ts'
import type { Deps } from '../pipeline/deps.ts'
import type { SweepOptions } from '../pipeline/sweep.ts'
import { createWorker } from '../pipeline/work.ts'
import { type CloudflareQueue, retryAfterS } from '../queue/cloudflare.ts'
import type { QueueBatch } from '../queue/cloudflare-message.ts'
import { tellOfDeadLetters } from './dead-letters.ts'

export interface ConsumerOptions {
  /** Name of the queue of messages whose retries are used up. */
  deadLetters: string
  /** Of what is deployed: the first sweep of another one lets go what a configuration may have put right. */
  version: string
  /** How much a sweep does, where the plan allows few queries. */
  sweep?: Pick<SweepOptions, 'room' | 'erasures'>
}

/** What one invocation does as a worker. Nothing of it outlives the invocation. */
export interface Consumer {
  queue(batch: QueueBatch): Promise<void>
  /** One sweep, and a look at the connections that refused us. Rejects when the store is away: the next minute is another try. */
  scheduled(): Promise<void>
}

const VERSION = 'swept.version'

export function createConsumer(
  deps: Deps & { queue: CloudflareQueue },
  { deadLetters, version, sweep }: ConsumerOptions,
): Consumer {
  return {
    async queue({ queue, messages }) {
      if (queue === deadLetters) return tellOfDeadLetters(deps, messages)
      const worker = createWorker(deps)
      try {
        await worker.refresh()
      } catch (error) {
        deps.log.error('reading breakers failed', { code: asCordboardError(error).code })
        for (const message of messages) message.retry({ delaySeconds: retryAfterS(message.attempts) })
        return
      }
      worker.start({ sweeps: false })
      await deps.queue.consume(messages)
      try {
        await worker.stop(0)
      } catch (error) {
        // Their leases run out, and the sweep takes them back.
        deps.log.error('handing back steps failed', { code: asCordboardError(error).code })
      }
    },

    async scheduled() {
      const swept = await sweptVersion(deps)
      const isFirst = swept?.value !== version
      const since = isFirst ? deps.now() : Number(swept.updated_at)
      const worker = createWorker(deps, { sweep: { ...sweep, isFirst, since } })
      await worker.sweep()
      if (isFirst) await saveVersion(deps, version, since)
      await worker.check()
      await worker.watchQuotas()
    },
  }
}

/** Whose sweeps come last, and since when. */
async function sweptVersion({ store }: Deps) {
  return store.db
    .selectFrom('settings')
    .select(['value', 'updated_at'])
    .where('name', '=', VERSION)
    .executeTakeFirst()
}

async function saveVersion({ store }: Deps, version: string, since: number): Promise<void> {
  const update = { value: version, updated_at: since }
  const save = store.db
    .insertInto('settings')
    .values({ name: VERSION, ...update })
    .onConflict((conflict) => conflict.column('name').doUpdateSet(update))
  await store.atomic([], [save])
}
