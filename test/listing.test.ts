import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openSqliteStore } from '../src/store/sqlite.ts'
import { listingKit } from './kit/listing.ts'
import { NOW } from './kit/rows.ts'
import { openTemp } from './kit/store-postgres.ts'

const clock = () => NOW

listingKit('SQLite', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'cordboard-listing-'))
  const store = await openSqliteStore({ file: join(folder, 'cordboard.db'), clock })
  await store.migrate()
  const drop = async () => {
    await store.close()
    await rm(folder, { recursive: true })
  }
  return { store, reopen: async () => store, drop }
})

listingKit('PostgreSQL', () => openTemp({ clock }))
