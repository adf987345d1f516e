import { reset } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { openD1Store } from '../../src/store/d1.ts'
import { listingKit } from '../kit/listing.ts'
import { NOW } from '../kit/rows.ts'

listingKit('D1', async () => {
  const store = openD1Store({ database: env.DB, clock: () => NOW })
  await store.migrate()
  const drop = async () => {
    await store.close()
    await reset()
  }
  return { store, reopen: async () => store, drop }
})
