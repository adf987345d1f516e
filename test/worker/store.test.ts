import { env } from 'cloudflare:workers'
import { expect, it } from 'vitest'
import { newId } from '../../src/call/ids.ts'

it('has D1', async () => {
  const { results } = await (env as any).DB.prepare('select 1 as one').all()
  expect(results).toEqual([{ one: 1 }])
  expect(newId('dlv', Date.now(), Math.random)).toMatch(/^dlv_/)
  expect(navigator.userAgent).toBe('Cloudflare-Workers')
})
