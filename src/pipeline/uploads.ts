import { newId } from '../call/ids.ts'
import { asCordboardError, CordboardError } from '../errors.ts'
import type { UploadRow } from '../store/schema.ts'
import type { Deps } from './deps.ts'
import { firstId, placeOf, remember } from './erase-transcripts.ts'
import { toHex } from './hash.ts'

/** Audio that people hand in: kept in the media store, known by a row, erased with its call or by `keep.audio`. */

/** Audio as it lies in the media store. */
export interface Upload {
  mediaId: string
  bytes: number
  /** SHA-256, in hex. */
  hash: string
}

/** At most this many at once. */
const ROOM = 90

/**
 * Keeps a file as it comes. Its row is there before the first byte, so that nothing can lie in the media store that nobody
 * knows of; what breaks off leaves neither.
 */
export async function keepUpload(
  deps: Deps,
  of: Omit<UploadRow, 'id'>,
  body: ReadableStream<Uint8Array>,
  maxBytes: number,
): Promise<Upload> {
  const id = newId('med', deps.now(), deps.random)
  await deps.store.atomic([], [deps.store.db.insertInto('uploads').values({ id, ...of })])
  const hasher = deps.signer.hasher('sha256')
  try {
    const { bytes } = await deps.media.put(
      id,
      heard(body, (chunk) => hasher.add(chunk)),
      maxBytes,
    )
    return { mediaId: id, bytes, hash: toHex(hasher.digest()) }
  } catch (error) {
    await dropUploads(deps, [id])
    if (error instanceof CordboardError) throw error
    throw new CordboardError('bad_request', 'The body broke off before its end', { cause: error })
  }
}

/** The same stream, read only as fast as it is asked for. */
function heard(
  body: ReadableStream<Uint8Array>,
  hear: (chunk: Uint8Array) => void,
): ReadableStream<Uint8Array> {
  const reader = body.getReader()
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await reader.read()
        if (done) return controller.close()
        hear(value)
        controller.enqueue(value)
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  )
}

/** Of what was not taken in after all. What cannot be dropped now is an orphan, and goes an hour later. */
export async function dropUploads(deps: Deps, ids: readonly string[]): Promise<void> {
  try {
    await erase(deps, ids)
  } catch (error) {
    deps.log.warn('uploads were left behind', { count: ids.length, code: asCordboardError(error).code })
  }
}

/** Audio first: a row without its audio says that it was erased, audio without a row would stay for ever. */
async function erase({ store, media }: Deps, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return
  await media.delete(ids)
  await store.atomic([], [store.db.deleteFrom('uploads').where('id', 'in', ids)])
}

/** Of `keep.audio`. */
export async function eraseUploads(deps: Deps, before: number): Promise<number> {
  const old = await deps.store.db
    .selectFrom('uploads')
    .select('id')
    .where('id', '<', firstId('med', before))
    .orderBy('id')
    .limit(ROOM)
    .execute()
  await erase(
    deps,
    old.map(({ id }) => id),
  )
  return old.length
}

/** With their calls; `ids` are few enough for a list of parameters. */
export async function eraseUploadsOf(deps: Deps, ids: readonly string[]): Promise<void> {
  const { db } = deps.store
  const names = db.selectFrom('call_keys').select('external_id').where('call_id', 'in', ids)
  const rows = await db.selectFrom('uploads').select('id').where('call_id', 'in', names).execute()
  for (let at = 0; at < rows.length; at += ROOM)
    await erase(
      deps,
      rows.slice(at, at + ROOM).map(({ id }) => id),
    )
}

/** Uploads whose process died before their delivery was stored. Each is looked at once. */
export async function eraseOrphans(deps: Deps, before: number): Promise<number> {
  const { db } = deps.store
  const place = 'retention.uploads'
  const old = await db
    .selectFrom('uploads')
    .select('id')
    .select((eb) => [
      // Its delivery may have been erased by now; the call that it became goes by its name.
      eb
        .selectFrom('deliveries')
        .select('deliveries.id')
        .whereRef('deliveries.id', '=', 'delivery_id')
        .as('delivery'),
      eb
        .selectFrom('call_keys')
        .select('call_keys.call_id')
        .whereRef('call_keys.external_id', '=', 'uploads.call_id')
        .limit(1)
        .as('call'),
    ])
    .where('id', '>', await placeOf(deps, place, ''))
    .where('id', '<', firstId('med', before))
    .orderBy('id')
    .limit(ROOM)
    .execute()
  const last = old.at(-1)
  if (!last) return 0
  await erase(
    deps,
    old.filter(({ delivery, call }) => delivery === null && call === null).map(({ id }) => id),
  )
  await deps.store.atomic([], [remember(deps, place, last.id)])
  return old.length
}
