import type { StoredIntake } from '../call/intake.ts'
import type { Connection } from '../config/model.ts'
import { createMemoryBudgets } from '../connector/budgets.ts'
import { utf8 } from '../connector/encoding.ts'
import { CordboardError } from '../errors.ts'
import { readBody } from './delivery.ts'
import type { Deps } from './deps.ts'
import { erasedAmong } from './erased.ts'
import { hashOf } from './hash.ts'
import { storeDelivery } from './store-delivery.ts'

/**
 * Calls that are handed in over our own API. What is handed in becomes a delivery like any webhook: stored before it is
 * answered, read by its connector, merged. There is no second way into the pipeline.
 */

type Own = 'callId' | 'promise' | 'key' | 'content'
type Given<Stored> = Stored extends StoredIntake ? Omit<Stored, Own> : never

/** One call that is handed in, with the ids that were promised for it. */
export interface Handed {
  connection: Connection
  /** Path of the API that took it. */
  path: string
  deliveryId: string
  /** The id that the call gets, unless the sender's id of it is known already. */
  promise: string
  /** Of the header Idempotency-Key. */
  idempotencyKey: string | undefined
  /** The sender's id of the call. */
  externalId: string | undefined
  /** What makes the content the same: what was sent, without the ids that we have given it. */
  sent: unknown
  stored: Given<StoredIntake>
}

/** What became of it: the sender is told these ids. */
export interface TakenIn {
  callId: string
  deliveryId: string
  /** The same had been handed in before: nothing was stored. */
  repeated: boolean
  /** The row of an import that brought it, when it was one. */
  row?: { import: string; row: number }
}

const MINUTE_MS = 60_000

/** Takes in calls that are handed in: each is stored as a delivery, within the connection’s limit. */
export function createIntake(deps: Deps): (handed: Handed) => Promise<TakenIn> {
  const quotas = createMemoryBudgets(deps)
  return async function withinQuota(handed) {
    // As of webhooks: each process counts for itself.
    const { id, deliveriesPerMinute: limit } = handed.connection
    if (limit !== undefined) {
      const window = { limit, windowMs: MINUTE_MS, window: 'fixed' } as const
      const afterMs = Number(quotas.take(id, 'deliveries', window))
      if (afterMs > 0) throw tooMany(id, limit, afterMs)
    }
    return takeIn(deps, handed)
  }
}

const tooMany = (id: string, limit: number, afterMs: number) =>
  new CordboardError('rate_limited', `${id} takes ${limit} deliveries a minute`, {
    fix: `Send it again after ${Math.ceil(afterMs / 1000)} s; it was not stored`,
    retry: { afterMs },
  })

/** Stores what was handed in, or finds that it had been. */
export async function takeIn(deps: Deps, handed: Handed): Promise<TakenIn> {
  const { connection, deliveryId, promise, externalId, stored } = handed
  const key = keyOf(handed)
  const content = await hashOf(deps.signer, handed.sent)
  const known = await knownCall(deps, connection.id, externalId)
  if (known === undefined && externalId !== undefined) await refuseErased(deps, connection.id, externalId)
  const callId = known ?? promise
  const body = utf8(JSON.stringify({ ...stored, callId, promise, key, content }))
  const appended = await storeDelivery(deps, {
    id: deliveryId,
    connection: connection.id,
    role: 'telephony',
    receivedAt: deps.now(),
    method: 'POST',
    url: `${deps.config.publicUrl ?? 'http://localhost'}${handed.path}`,
    path: handed.path,
    headers: [['content-type', 'application/json']],
    body,
    dedupeKey: key,
  })
  const repeated = appended.repeats > 0
  deps.metrics.count('cordboard_deliveries_total', {
    connection: connection.id,
    outcome: repeated ? 'duplicate' : 'accepted',
  })
  return repeated ? sameAsBefore(deps, appended.id, content) : { callId, deliveryId, repeated }
}

/** Without a key of the sender's nothing is the same again. */
export function keyOf({
  idempotencyKey,
  externalId,
  promise,
}: Pick<Handed, 'idempotencyKey' | 'externalId' | 'promise'>): string {
  if (idempotencyKey !== undefined) return `k:${idempotencyKey}`
  return externalId === undefined ? promise : `x:${externalId}`
}

async function knownCall(
  { store }: Deps,
  connection: string,
  externalId: string | undefined,
): Promise<string | undefined> {
  if (externalId === undefined) return undefined
  const row = await store.db
    .selectFrom('call_keys')
    .select('call_id')
    .where('connection', '=', connection)
    .where('external_id', '=', externalId)
    .executeTakeFirst()
  return row?.call_id
}

async function refuseErased(deps: Deps, connection: string, externalId: string): Promise<void> {
  const erased = await erasedAmong(deps, { connection, of: 'call' }, [externalId])
  if (erased.size === 0) return
  throw new CordboardError('conflict', 'The call with this id was erased because somebody asked for it', {
    fix: 'It is not taken again under this id',
  })
}

async function sameAsBefore(deps: Deps, deliveryId: string, content: string): Promise<TakenIn> {
  const row = await deps.store.db
    .selectFrom('deliveries')
    .selectAll()
    .where('id', '=', deliveryId)
    .executeTakeFirst()
  // Between the append and this look retention may erase it: then it is as if it had never come.
  if (!row) throw new CordboardError('storage_unavailable', 'What was sent with this key is being erased')
  const before = JSON.parse(new TextDecoder().decode(await readBody(deps, row))) as StoredIntake
  if (before.content !== content)
    throw new CordboardError('conflict', 'Something else was handed in with this key before')
  const { callId, row: from } = before
  return { callId, deliveryId, repeated: true, ...(from ? { row: from } : {}) }
}
