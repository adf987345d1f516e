import { createHttpFetch } from './http-fetch.ts'
import { lockDataDir } from './lock.ts'
import { layMediaHome } from './media-home.ts'
import { openMedia, openStoreAsItIs } from './open.ts'
import type { Services } from './services.ts'

/**
 * What must be done once before the processes of an installation start: the tables, and the mark by which they see that they
 * share one media store. Safe to run twice at once. Answers the migrations that ran.
 */
export async function prepare(services: Services, dataDir: string): Promise<string[]> {
  // A running server of this folder has done it at its start.
  const lock = services.databaseUrl === null ? lockDataDir(dataDir) : null
  try {
    const store = await openStoreAsItIs(services, dataDir)
    try {
      const ran = await store.migrate()
      if (services.databaseUrl !== null) {
        await layMediaHome(store, await openMedia(dataDir, services, createHttpFetch()))
      }
      return ran
    } finally {
      await store.close()
    }
  } finally {
    lock?.release()
  }
}
