import type { ImportRow } from '../store/schema-imports.ts'
import type { Deps } from './deps.ts'
import { firstId } from './erase-transcripts.ts'
import { mediaOf } from './import-files.ts'

/** Imports of which nothing is needed any more. Their files went when they ended. */

/** Each with all its verdicts: few at once, those of the largest in pieces. */
const ROOM = 10
const VERDICTS_AT_ONCE = 5_000

/** What never came to its start: nothing of it stays. */
export async function dropImport({ store, media }: Deps, { id, archive }: ImportRow): Promise<void> {
  const { db } = store
  const row = await db.selectFrom('imports').select('state').where('id', '=', id).executeTakeFirst()
  if (row?.state !== 'uploading') return
  // Files first: a row without its files says that they are missing, files without a row would stay for ever.
  await media.delete(mediaOf({ id, archive }))
  await store.atomic([], [db.deleteFrom('imports').where('id', '=', id).where('state', '=', 'uploading')])
}

/** Those that nobody started since. */
export async function eraseUnstarted(deps: Deps, before: number): Promise<number> {
  const old = await deps.store.db
    .selectFrom('imports')
    .selectAll()
    .where('id', '<', firstId('imp', before))
    .where('state', '=', 'uploading')
    .limit(ROOM)
    .execute()
  for (const row of old) await dropImport(deps, row)
  return old.length
}

/** Those that ended before, with the verdicts on their rows. Answers how many could not be erased whole, or `ROOM`. */
export async function eraseImports({ store }: Deps, before: number): Promise<number> {
  const { db } = store
  const old = await db
    .selectFrom('imports')
    .select('id')
    .where('id', '<', firstId('imp', before))
    .where('state', 'in', ['done', 'failed'])
    .where('ended_at', '<', before)
    .orderBy('id')
    .limit(ROOM)
    .execute()
  let left = VERDICTS_AT_ONCE
  for (const { id } of old) {
    const some = db.selectFrom('import_rows').select('line').where('import_id', '=', id).limit(left)
    const gone = await store.atomic(
      [],
      [db.deleteFrom('import_rows').where('import_id', '=', id).where('line', 'in', some).returning('line')],
    )
    left -= gone === 'lost' ? 0 : (gone[0]?.length ?? 0)
    // More of it may be there: the next run goes on.
    if (left <= 0) return ROOM
    await store.atomic(
      [],
      [
        db.deleteFrom('steps').where('kind', '=', 'import').where('subject', '=', id),
        db.deleteFrom('imports').where('id', '=', id),
      ],
    )
  }
  return old.length
}

export const ROOM_IMPORTS = ROOM
