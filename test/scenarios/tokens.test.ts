import { expect, it } from 'vitest'
import { createContext } from '../../src/connector/context.ts'
import type { NewToken } from '../../src/connector/contract.ts'
import { asCordboardError, CordboardError } from '../../src/errors.ts'
import type { Store } from '../../src/store/port.ts'
import { type Asker, openTokenWorld, type TokenWorld } from '../kit/tokens.ts'
import { install, seeded } from './installation.ts'

// Three workers, ten steps each, one account at a vendor that wants a new token every hour and gives out a new refresh
// token with each: whoever uses an old one twice has lost the account.

const LIFE_MS = 100_000
const outcome = (work: Promise<string>) => work.catch((error: unknown) => asCordboardError(error).code)
const tenEach = (processes: readonly Asker[], refused?: string) =>
  Promise.all(processes.flatMap((ask) => Array.from({ length: 10 }, () => outcome(ask({ refused })))))
const thirty = (answer: string) => Array.from({ length: 30 }, () => answer)
const three = (world: TokenWorld) => [world.process(), world.process(), world.process()]
const turn = () => new Promise((resolve) => setImmediate(resolve))

it('thirty that need a first token, the next, and one for a refused one make one request each time', async () => {
  await using world = await openTokenWorld()
  const processes = three(world)
  expect(await tenEach(processes)).toEqual(thirty('token-1'))
  world.advance(3_600_000)
  expect(await tenEach(processes)).toEqual(thirty('token-2'))
  world.advance(60_000)
  expect(await tenEach(processes, 'token-2')).toEqual(thirty('token-3'))
  expect(world.asked).toEqual([
    null,
    { token: 'token-1', keep: 'keep-1' },
    { token: 'token-2', keep: 'keep-2' },
  ])
})

it('one that dies in the middle of a refresh holds up the others until its lease ends; then one goes on', async () => {
  await using world = await openTokenWorld()
  const [dying, ...others] = three(world) as [Asker, Asker, Asker]
  await dying()
  world.advance(3_600_000)
  const died = new AbortController()
  world.answer = () => new Promise(() => undefined)
  const lost = outcome(dying({ signal: died.signal }))
  while (world.asked.length < 2) await turn()

  world.answer = null
  const began = world.now()
  expect(new Set(await tenEach(others))).toEqual(new Set(['timeout']))
  expect(world.now() - began).toBeLessThan(25_000)
  expect(world.asked).toHaveLength(2)

  world.advance(40_000)
  expect(new Set(await tenEach(others))).toEqual(new Set(['token-3']))
  expect(world.asked).toHaveLength(3)
  expect(world.asked[2]).toEqual({ token: 'token-1', keep: 'keep-1' })
  died.abort()
  expect(await lost).toBe('timeout')
})

it('one that comes back after others went on without it uses their token, and not its own', async () => {
  await using world = await openTokenWorld()
  const [frozen, other] = three(world) as [Asker, Asker, Asker]
  const late = Promise.withResolvers<{ token: string; keep: string }>()
  world.answer = () => late.promise
  const back = frozen()
  while (world.asked.length < 1) await turn()
  world.answer = null
  world.advance(40_000)
  expect(await other()).toBe('token-2')
  late.resolve({ token: 'late', keep: 'late-keep' })
  expect(await back).toBe('token-2')
  world.advance(3_600_000)
  expect(await other()).toBe('token-3')
  expect(world.asked[2]).toEqual({ token: 'token-2', keep: 'keep-2' })
})

it('whoever waits has the token as soon as it is there', async () => {
  await using world = await openTokenWorld()
  const [first, second] = three(world) as [Asker, Asker, Asker]
  const answer = Promise.withResolvers<{ token: string }>()
  world.answer = () => answer.promise
  const asking = first()
  while (world.asked.length < 1) await turn()
  let waits = 0
  world.onWait = () => {
    waits += 1
    if (waits === 3) answer.resolve({ token: 'the-one' })
  }
  expect(await Promise.all([asking, second()])).toEqual(['the-one', 'the-one'])
  expect(waits).toBe(3)
})

it('of two that refresh because one was too slow, the first to store its token wins for both', async () => {
  await using world = await openTokenWorld()
  const [first, second] = [Promise.withResolvers<NewToken>(), Promise.withResolvers<NewToken>()]
  world.answer = (n) => (n === 1 ? first.promise : second.promise)
  const slow = world.process()()
  while (world.asked.length < 1) await turn()
  world.advance(41_000)
  const other = world.process()()
  while (world.asked.length < 2) await turn()

  first.resolve({ token: 'of-the-slow-one', keep: 'k' })
  expect(await slow).toBe('of-the-slow-one')
  // The vendor took the refresh token away with the first answer; that is no news when there is a token.
  second.reject(new Error('refused'))
  expect(await other).toBe('of-the-slow-one')
  expect(await world.process()()).toBe('of-the-slow-one')
})

it('a token that is due but still good is used by all while one refreshes it', async () => {
  await using world = await openTokenWorld()
  const [here, there] = [world.process(), world.process()]
  await Promise.all([here(), there()])
  world.advance(3_600_000 - 55_000)
  const slow = Promise.withResolvers<NewToken>()
  world.answer = () => slow.promise
  const refreshing = here()
  while (world.asked.length < 2) await turn()
  expect(await there()).toBe('token-1')
  slow.resolve({ token: 'fresh', expiresInMs: 3_600_000 })
  expect([await refreshing, await there()]).toEqual(['fresh', 'fresh'])
})

it('a connector asks for it through its context, and nobody can read it in the installation', async () => {
  await using installation = await install()
  const { deps, store, logged } = installation
  const connection = deps.config.connections.get('sandbox-hubspot')
  if (!connection) throw new Error('the sandbox has a CRM')
  const ctx = createContext({
    connection,
    publicUrl: deps.config.publicUrl,
    http: deps.http,
    budgets: deps.budgets,
    tokens: deps.vendorTokens,
    now: deps.now,
    random: deps.random,
    log: deps.log,
    signal: new AbortController().signal,
  })
  const token = () => ctx.token('access', async () => ({ token: 'a-token-of-the-crm', expiresInMs: 60_000 }))
  expect([await token(), await token()]).toEqual(['a-token-of-the-crm', 'a-token-of-the-crm'])
  const rows = await store.db.selectFrom('tokens').select(['connection', 'name', 'version']).execute()
  expect(rows).toEqual([{ connection: 'sandbox-hubspot', name: 'access', version: 1 }])
  const sealed = await store.db.selectFrom('tokens').select('sealed').executeTakeFirstOrThrow()
  expect(new TextDecoder('latin1').decode(sealed.sealed ?? undefined)).not.toContain('a-token')
  expect(logged.join()).not.toContain('a-token')
})

it('a vendor that takes each refresh token once is never asked twice with one, however the store stumbles', async () => {
  for (let seed = 1; seed <= 15; seed += 1) {
    await using world = await openTokenWorld()
    const random = seeded(seed)
    // The store refuses, or does it and its answer gets lost.
    const stumbling = (store: Store): Store => ({
      ...store,
      db: store.db,
      clock: store.clock,
      async atomic(guards, queries) {
        const how = random()
        const broken = () => new CordboardError('storage_unavailable', 'The connection broke')
        if (how < 0.15) throw broken()
        const rows = await store.atomic(guards, queries)
        if (how < 0.3) throw broken()
        return rows
      },
    })
    const ended: string[] = []
    const givenOutAt = new Map<string, number>()
    const processes = [0, 1, 2].map((): Asker => {
      const ask = world.process({ store: stumbling(world.store) })
      return async (options) => {
        const token = await ask(options)
        if (world.now() - (givenOutAt.get(token) ?? 0) > LIFE_MS) ended.push(token)
        return token
      }
    })
    let valid: string | undefined
    const reused: string[] = []
    world.answer = async (n) => {
      const shown = world.asked[n - 1]?.keep
      for (let turns = random() * 5; turns > 0; turns -= 1) await turn()
      if (valid !== undefined && shown !== valid) reused.push(`${shown} for ${valid}`)
      valid = `keep-${n}`
      givenOutAt.set(`token-${n}`, world.now())
      return { token: `token-${n}`, expiresInMs: LIFE_MS, keep: valid }
    }
    const answers: string[] = []
    for (let round = 0; round < 6; round += 1) {
      answers.push(...(await tenEach(processes)))
      world.advance(45_000)
    }
    const others = answers.filter((answer) => !/^(token-\d+|timeout|storage_unavailable)$/.test(answer))
    expect({ seed, reused, ended, others }).toEqual({ seed, reused: [], ended: [], others: [] })
    expect(answers.filter((answer) => answer.startsWith('token-')).length).toBeGreaterThan(60)
  }
})
