import { reset } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { afterAll } from 'vitest'
import { openR2Media } from '../../src/media/r2.ts'
import { openD1Store } from '../../src/store/d1.ts'
import { importsKit } from '../kit/imports.ts'

afterAll(reset)

importsKit('in D1 and R2', async () => {
  const store = openD1Store({ database: env.DB })
  await store.migrate()
  return { store, media: openR2Media({ bucket: env.MEDIA }) }
})
