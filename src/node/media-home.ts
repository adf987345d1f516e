import { CordboardError } from '../errors.ts'
import type { Media } from '../media/port.ts'
import type { Store } from '../store/port.ts'

/** Id of the object that says which installation the media belong to, and name of the setting with the same value. */
const MARK_ID = 'media-home'
const SETTING = 'media.home'
const MOST_BYTES = 200

/**
 * Large bodies lie in the media store, and any replica may have to read them. A folder that is not shared, or another
 * bucket, would be found out with the first large call. So `migrate` leaves a mark there and its value in the database,
 * and every process that starts compares the two.
 */
export async function checkMediaHome(store: Store, media: Media): Promise<void> {
  const [known, seen] = [await settingIn(store), await markIn(media)]
  if (known !== null && known === seen) return
  throw new CordboardError('config', 'This process sees other media than the rest of the installation', {
    why:
      known === null || seen === null
        ? `The mark that cordboard migrate leaves is not in the ${known === null ? 'database' : 'media'}`
        : 'The mark in the media belongs to another installation',
    fix: 'Give all processes the same S3_BUCKET and S3_PREFIX, or one shared data folder, and run: cordboard migrate',
  })
}

/**
 * Leaves the mark where it is missing. Media that outlived their database, and the other way round, are taken as they
 * are; two that contradict each other are not.
 */
export async function layMediaHome(store: Store, media: Media): Promise<void> {
  const seen = await markIn(media)
  const row = { name: SETTING, value: seen ?? crypto.randomUUID(), updated_at: await store.now() }
  await store.atomic(
    [],
    [
      store.db
        .insertInto('settings')
        .values(row)
        .onConflict((conflict) => conflict.column('name').doNothing()),
    ],
  )
  const known = await settingIn(store)
  if (seen === null && known !== null) {
    await media.put(MARK_ID, new TextEncoder().encode(known), MOST_BYTES)
  }
  await checkMediaHome(store, media)
}

async function settingIn(store: Store): Promise<string | null> {
  const row = await store.db
    .selectFrom('settings')
    .select('value')
    .where('name', '=', SETTING)
    .executeTakeFirst()
  return row?.value ?? null
}

async function markIn(media: Media): Promise<string | null> {
  const found = await media.get(MARK_ID)
  return found === null ? null : (await new Response(found.body).text()).slice(0, MOST_BYTES)
}
