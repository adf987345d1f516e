import type { ImportRow } from '../store/schema-imports.ts'
import type { Deps } from './deps.ts'
import { firstId } from './erase-transcripts.ts'
import { mediaOf } from './import-files.ts'

/** Imports of which nothing is needed any more. Their files went when they ended. */

/** Each with all its verdicts: few at once, those of the largest in pieces. */
export const ROOM_IMPORTS = 10
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

/**
 * Those that nobody started before one time, and those that ended before the other (undefined: they stay), with the verdicts
 * on their rows. Answers how many there were; `ROOM_IMPORTS`: more may be left.
 */
export async function eraseImports(
  deps: Deps,
  before: { unstarted: number; ended: number | undefined },
): Promise<number> {
  const { store } = deps
  const { db } = store
  const { unstarted, ended = 0 } = before
  const old = await db
    .selectFrom('imports')
    .selectAll()
    .where('id', '<', firstId('imp', Math.max(unstarted, ended)))
    .where((eb) =>
      eb.or([
        eb.and([eb('state', '=', 'uploading'), eb('id', '<', firstId('imp', unstarted))]),
        eb.and([eb('state', 'in', ['done', 'failed']), eb('ended_at', '<', ended)]),
      ]),
    )
    .orderBy('id')
    .limit(ROOM_IMPORTS)
    .execute()
  let left = VERDICTS_AT_ONCE
  for (const row of old) {
    const { id } = row
    if (row.state === 'uploading') {
      await dropImport(deps, row)
      continue
    }
    const some = db.selectFrom('import_rows').select('line').where('import_id', '=', id).limit(left)
    const gone = await store.atomic(
      [],
      [db.deleteFrom('import_rows').where('import_id', '=', id).where('line', 'in', some).returning('line')],
    )
    left -= gone === 'lost' ? 0 : (gone[0]?.length ?? 0)
    // More of it may be there: the next run goes on.
    if (left <= 0) return ROOM_IMPORTS
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
