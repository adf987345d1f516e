import { expect, test } from 'vitest'
import { createApp } from '../../src/app.ts'
import { openWorld, type World } from './http-world.ts'

/** The API is made behind the webhooks' back: when, and what becomes of one that cannot be made. */
const health = new Request('http://server.invalid/healthz')

function watched(world: World, failing: number) {
  let made = 0
  const deps = {
    ...world.deps,
    get tokens() {
      made += 1
      if (made <= failing) throw new TypeError('not today')
      return world.deps.tokens
    },
  }
  return { app: createApp(deps), made: () => made }
}

test('a webhook does not have it made; who loads it has it before the first request', async () => {
  await using world = await openWorld()
  const { app, made } = watched(world, 0)
  expect(
    (await app.fetch(new Request('http://server.invalid/hooks/nobody', { method: 'POST' }))).status,
  ).toBe(404)
  expect(made()).toBe(0)
  await app.load()
  const before = made()
  expect(before).toBeGreaterThan(0)
  expect((await app.fetch(health)).status).toBe(200)
  expect(made()).toBe(before)
})

test('one that could not be made is made with the next request, and webhooks go on meanwhile', async () => {
  await using world = await openWorld()
  const { app } = watched(world, 1)
  await expect(app.load()).rejects.toThrow('not today')
  expect(
    (await app.fetch(new Request('http://server.invalid/hooks/nobody', { method: 'POST' }))).status,
  ).toBe(404)
  expect((await app.fetch(health)).status).toBe(200)
})
