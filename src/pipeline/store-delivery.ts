import { asCordboardError, CordboardError } from '../errors.ts'
import type { Append, Appended } from '../store/port.ts'
import type { DeliveryRow, StepKind } from '../store/schema.ts'
import type { Deps } from './deps.ts'
import { CORE_LANE, newStep } from './step.ts'

/** Larger bodies are kept in the media store; the row holds their id. */
const MAX_ROW_BODY = 256 * 1024
const ENCODER = new TextEncoder()

/** An authentic request, as it is kept. */
export interface Sent {
  id: string
  connection: string
  role: DeliveryRow['role']
  receivedAt: number
  method: string
  url: string
  path: string
  headers: readonly (readonly [string, string])[]
  body: Uint8Array
  dedupeKey: string
}

/**
 * Stores a delivery and the step that will read it, and wakes whoever works. The body is in the media store before the row
 * that names it; when the row is not stored after all, the body goes.
 */
export async function storeDelivery(deps: Deps, sent: Sent): Promise<Appended> {
  const { id, body } = sent
  const large = body.byteLength > MAX_ROW_BODY
  if (large) await aside(deps, id, body)
  const kind: StepKind = sent.role === 'analysis' ? 'callback' : 'merge'
  const step = newStep(deps, {
    kind,
    subject: id,
    callId: null,
    connection: sent.connection,
    generation: 0,
    flow: null,
    lane: CORE_LANE,
  })
  const delivery: DeliveryRow = {
    id,
    connection: sent.connection,
    role: sent.role,
    received_at: sent.receivedAt,
    method: sent.method,
    url: sent.url,
    path: sent.path,
    headers: ENCODER.encode(JSON.stringify(sent.headers)),
    body: large ? null : body,
    media_id: large ? id : null,
    bytes: body.byteLength,
    dedupe_key: sent.dedupeKey,
    repeats: 0,
    state: 'new',
    reason: null,
  }
  const appended = await append(deps, { delivery, step })
  if (appended.repeats === 0)
    deps.queue.wake([{ step: step.id, lane: step.lane, dueAt: sent.receivedAt, kind }])
  else if (large) {
    await complete(deps, appended.id, body)
    await forget(deps, id)
  }
  return appended
}

/**
 * A commit that became durable only after its body had gone, because nobody could see it coming: what was sent again brings
 * the body back, and whoever could not read it reads it now.
 */
async function complete(deps: Deps, id: string, body: Uint8Array): Promise<void> {
  const { db } = deps.store
  const row = await db.selectFrom('deliveries').select('media_id').where('id', '=', id).executeTakeFirst()
  if (row?.media_id == null) return
  const kept = await deps.media.get(row.media_id)
  if (kept) return kept.body.cancel()
  await aside(deps, row.media_id, body)
  const again = db
    .updateTable('steps')
    .set({ state: 'waiting', due_at: deps.now(), code: null, reason: null, updated_at: deps.now() })
    .where('kind', 'in', ['merge', 'callback'])
    .where('subject', '=', id)
    .where('state', '=', 'dead')
    .where('code', '=', 'unknown_object')
  await deps.store.atomic([], [again])
  deps.queue.wake([{ step: '', lane: CORE_LANE, dueAt: deps.now() }])
}

async function append(deps: Deps, entry: Append): Promise<Appended> {
  try {
    return await deps.store.append(entry)
  } catch (error) {
    const { media_id: mediaId } = entry.delivery
    if (mediaId !== null && !(await isStored(deps, mediaId))) await forget(deps, mediaId)
    throw error
  }
}

/**
 * A commit whose end nobody saw may have become durable. Then the body must stay: it is sent again, and that is answered as
 * known. Where it cannot be told, it stays as well.
 */
export async function isStored(deps: Deps, id: string): Promise<boolean> {
  try {
    const row = deps.store.db.selectFrom('deliveries').select('id').where('id', '=', id)
    return (await row.executeTakeFirst()) !== undefined
  } catch (error) {
    deps.log.warn('a body is kept: its delivery may be stored', {
      delivery: id,
      code: asCordboardError(error).code,
    })
    return true
  }
}

/** Where the media store cannot take it, nothing can be promised: the sender sends it again. */
async function aside(deps: Deps, id: string, body: Uint8Array): Promise<void> {
  try {
    await deps.media.put(id, body, body.byteLength)
  } catch (cause) {
    if (cause instanceof CordboardError && cause.code === 'storage_unavailable') throw cause
    throw new CordboardError('storage_unavailable', 'The media store cannot take this delivery', { cause })
  }
}

/** A body that nothing points at is only garbage: it changes no answer. */
async function forget(deps: Deps, id: string): Promise<void> {
  try {
    await deps.media.delete([id])
  } catch (error) {
    deps.log.warn('a body was left behind', { delivery: id, code: asCordboardError(error).code })
  }
}
