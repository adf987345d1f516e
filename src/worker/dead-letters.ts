import { asCordboardError } from '../errors.ts'
import type { Deps } from '../pipeline/deps.ts'
import { standstill } from '../pipeline/standstill.ts'
import { CORE_LANE } from '../pipeline/step.ts'
import { type BellMessage, type QueueMessage, readBell } from '../queue/cloudflare-message.ts'

/** Until the store is back. The step itself is with the sweep. */
const RETRY_S = 600

/**
 * Messages whose retries are used up: every worker that heard the bell failed before it could answer. The step stays where
 * it is, in the store, and the sweep rings for it again; a person is told that nothing moves there.
 */
export async function tellOfDeadLetters(deps: Deps, messages: readonly QueueMessage[]): Promise<void> {
  for (const message of messages) {
    const bell = readBell(message.body)
    if (bell === null) {
      deps.log.warn('a dead letter is none of ours, or of another version', { message: message.id })
      message.ack()
      continue
    }
    try {
      const about = await aboutWhat(deps, bell)
      if (about !== null) {
        const { lane, step } = about
        const says = `The bell of ${step ?? 'whatever is due'} in the lane ${lane} was given up after its retries`
        await deps.store.atomic([], [standstill(deps, about, says)])
        deps.log.error('a bell was given up after its retries', { lane, step })
      }
      message.ack()
    } catch (error) {
      deps.log.error('telling of a dead letter failed', { code: asCordboardError(error).code })
      message.retry({ delaySeconds: RETRY_S })
    }
  }
}

/** What still waits; null: the work was done meanwhile, or there is no such lane. */
async function aboutWhat(
  { store, config }: Deps,
  { step, lane }: BellMessage,
): Promise<{ lane: string; step: string | null } | null> {
  if (step === '') return lane === CORE_LANE || config.connections.has(lane) ? { lane, step: null } : null
  const row = await store.db
    .selectFrom('steps')
    .select('lane')
    .where('id', '=', step)
    .where('state', 'in', ['waiting', 'working'])
    .executeTakeFirst()
  return row ? { lane: row.lane, step } : null
}
