import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { openFolderMedia } from '../src/media/folder.ts'
import { openPostgresStore } from '../src/store/postgres.ts'
import { importsKit } from './kit/imports.ts'
import { freshDatabase } from './services/postgres.ts'

const ends: (() => Promise<unknown>)[] = []
afterAll(async () => {
  for (const end of ends) await end()
})

importsKit('in PostgreSQL', async () => {
  const database = await freshDatabase()
  const folder = await mkdtemp(join(tmpdir(), 'cordboard-imports-'))
  const store = await openPostgresStore({ url: database.url })
  await store.migrate()
  ends.push(
    () => store.close(),
    () => database.drop(),
    () => rm(folder, { recursive: true }),
  )
  return { store, media: await openFolderMedia(folder) }
})
