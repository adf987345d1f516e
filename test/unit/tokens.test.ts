import { describe, expect, it } from 'vitest'
import { vendorTokens } from '../../src/cli/doctor/vendor-tokens.ts'
import type { NewToken } from '../../src/connector/contract.ts'
import { createSeal } from '../../src/connector/seal.ts'
import { createMemoryTokens } from '../../src/connector/tokens.ts'
import { asCordboardError, CordboardError } from '../../src/errors.ts'
import type { Store } from '../../src/store/port.ts'
import { openTokenWorld, SECRETS, type TokenWorld } from '../kit/tokens.ts'

const failure = (work: Promise<unknown>) => work.then(() => null, asCordboardError)
const codeOf = async (work: Promise<unknown>) => (await failure(work))?.code ?? null
const refusal = () => {
  throw new CordboardError('auth', 'The vendor refuses token-1', { vendorSaid: `bad ${SECRETS[0]} keep-1` })
}
const rowOf = ({ store }: TokenWorld) => store.db.selectFrom('tokens').selectAll().executeTakeFirstOrThrow()

describe('sealing', () => {
  const value = { token: 'token-1', keep: 'keep-1' }

  it('opens what was sealed with the same secrets, in whatever order the file names them', async () => {
    const sealed = await (await createSeal(['a', 'b'], ['crm', 'access'])).seal(value)
    expect(await (await createSeal(['b', 'a'], ['crm', 'access'])).open(sealed)).toEqual(value)
    expect(new TextDecoder('latin1').decode(sealed)).not.toContain('token-1')
  })

  it.each([
    ['another secret', ['a', 'c'], ['crm', 'access']],
    ['a secret less', ['a'], ['crm', 'access']],
    ['another connection', ['a', 'b'], ['crm-2', 'access']],
    ['another name', ['a', 'b'], ['crm', 'upload']],
    ['the same letters cut elsewhere', ['a', 'b'], ['crma', 'ccess']],
  ])('cannot be opened with %s', async (_, secrets, about) => {
    const sealed = await (await createSeal(['a', 'b'], ['crm', 'access'])).seal(value)
    expect(await (await createSeal(secrets, about)).open(sealed)).toBeNull()
  })

  it('cannot be opened when any byte is changed or missing', async () => {
    const seal = await createSeal(['a'], ['crm'])
    const sealed = await seal.seal(value)
    for (let at = 0; at < sealed.length; at += 1) {
      const changed = Uint8Array.from(sealed, (byte, i) => (i === at ? byte ^ 1 : byte))
      expect(await seal.open(changed)).toBeNull()
      expect(await seal.open(sealed.slice(0, at))).toBeNull()
    }
  })

  it('never seals the same thing into the same bytes', async () => {
    const seal = await createSeal(['a'], ['crm'])
    expect(await seal.seal(value)).not.toEqual(await seal.seal(value))
  })
})

describe('a shared token', () => {
  it('is used until a minute before its end, and for nine tenths of a short life', async () => {
    await using world = await openTokenWorld()
    const ask = world.process()
    expect(await ask()).toBe('token-1')
    world.advance(3_600_000 - 61_000)
    expect([await ask(), await world.process()()]).toEqual(['token-1', 'token-1'])
    world.advance(2_000)
    expect(await ask()).toBe('token-2')

    world.answer = (n) => ({ token: `token-${n}`, expiresInMs: 100_000 })
    expect(await ask({ name: 'short' })).toBe('token-3')
    world.advance(89_000)
    expect(await ask({ name: 'short' })).toBe('token-3')
    world.advance(2_000)
    expect(await ask({ name: 'short' })).toBe('token-4')
  })

  it('is looked up once for all who ask in one process at the same time', async () => {
    await using world = await openTokenWorld()
    let commits = 0
    const { store } = world
    const counting: Store = {
      ...store,
      db: store.db,
      clock: store.clock,
      atomic: (guards, queries) => {
        commits += 1
        return store.atomic(guards, queries)
      },
    }
    const ask = world.process({ store: counting })
    await Promise.all(Array.from({ length: 10 }, () => ask()))
    // The lease, and the token.
    expect([world.asked.length, commits]).toEqual([1, 2])
  })

  it('is kept until it is refused when the vendor names no end', async () => {
    await using world = await openTokenWorld()
    world.answer = (n) => ({ token: `token-${n}` })
    const ask = world.process()
    await ask()
    world.advance(400 * 86_400_000)
    expect([await ask(), await world.process()()]).toEqual(['token-1', 'token-1'])
    expect(await ask({ refused: 'token-1' })).toBe('token-2')
  })

  it('hands the refresh what the last one left, and keeps a refresh token that was not changed', async () => {
    await using world = await openTokenWorld()
    world.answer = (n) => ({
      token: `token-${n}`,
      expiresInMs: 60_000,
      ...(n === 1 ? { keep: 'keep-1' } : {}),
    })
    for (let time = 0; time < 3; time += 1) {
      await world.process()()
      world.advance(60_000)
    }
    expect(world.asked).toEqual([
      null,
      { token: 'token-1', keep: 'keep-1' },
      { token: 'token-2', keep: 'keep-1' },
    ])
  })

  it('starts afresh when a secret it hangs on is changed, and only then', async () => {
    await using world = await openTokenWorld()
    const from = [String(SECRETS[1])]
    await world.process()({ from })
    expect(await world.process()({ from, secrets: ['changed', String(SECRETS[1])] })).toBe('token-1')
    expect(await world.process()({ from: ['connected-again'] })).toBe('token-2')
    expect(world.asked).toEqual([null, null])
    // A process that gets another configuration.
    const ask = world.process()
    expect([await ask({ name: 'other' }), await ask({ name: 'other', secrets: ['x'] })]).toEqual([
      'token-3',
      'token-4',
    ])
  })

  it('that was copied to another connection or name in the database counts as absent', async () => {
    await using world = await openTokenWorld()
    const { db } = world.store
    await world.process()()
    await world.process()({ name: 'upload' })
    await world.process()({ connection: 'crm-2' })
    const { sealed } = await db
      .selectFrom('tokens')
      .select('sealed')
      .where('name', '=', 'upload')
      .executeTakeFirstOrThrow()
    await world.store.atomic([], [db.updateTable('tokens').set({ sealed })])
    expect(await world.process()({ name: 'upload' })).toBe('token-2')
    expect([await world.process()(), await world.process()({ connection: 'crm-2' })]).toEqual([
      'token-4',
      'token-5',
    ])
    expect(world.asked.slice(3)).toEqual([null, null])
  })

  it('stands in the database, the log and errors in no readable form', async () => {
    await using world = await openTokenWorld()
    const ask = world.process()
    await ask()
    const { sealed, ...row } = await rowOf(world)
    world.advance(3_600_000)
    world.answer = refusal
    const error = await failure(ask())
    const told = [error?.message, error?.vendorSaid, error?.why, String(error?.cause)]
    const seen = [
      row,
      new TextDecoder('latin1').decode(sealed ?? undefined),
      await rowOf(world),
      world.logged,
      told,
    ]
    expect(JSON.stringify(seen)).not.toMatch(/token-1|keep-1|client-secret/)
    expect(told[0]).toContain('The vendor refuses •••')
  })

  it('quotes nothing of an answer that could not be read', async () => {
    await using world = await openTokenWorld()
    world.answer = () => JSON.parse('{"access_token": "the-new-token"')
    const error = await failure(world.process()())
    expect([error?.code, error?.message]).toEqual([
      'internal',
      'The new access token could not be got: SyntaxError',
    ])
    expect(JSON.stringify([await rowOf(world), world.logged])).not.toContain('the-new')
  })

  it('is an error when there is no secret to get it with, or none in the answer', async () => {
    await using world = await openTokenWorld()
    const ask = world.process()
    expect(await codeOf(ask({ secrets: [] }))).toBe('config')
    world.answer = () => ({ token: '' })
    expect(await codeOf(ask())).toBe('invalid_payload')
  })
})

describe('a refused token', () => {
  it('that is replaced already is answered with the replacement, without a refresh', async () => {
    await using world = await openTokenWorld()
    const [here, there] = [world.process(), world.process()]
    await Promise.all([here(), there()])
    world.advance(60_000)
    expect(await here({ refused: 'token-1' })).toBe('token-2')
    expect(await there()).toBe('token-1')
    expect(await there({ refused: 'token-1' })).toBe('token-2')
    expect(world.asked).toHaveLength(2)
  })

  it('that was hardly used is `auth` and no refresh: it cannot loop', async () => {
    await using world = await openTokenWorld()
    const ask = world.process()
    const first = await ask()
    expect(await codeOf(ask({ refused: first }))).toBe('auth')
    expect(await codeOf(world.process()({ refused: first }))).toBe('auth')
    expect(world.asked).toHaveLength(1)
    world.advance(31_000)
    expect(await ask({ refused: first })).toBe('token-2')
    expect(await codeOf(ask({ refused: 'token-2' }))).toBe('auth')
  })

  it('that the vendor hands out again is `auth`', async () => {
    await using world = await openTokenWorld()
    world.answer = () => ({ token: 'always-this' })
    const ask = world.process()
    await ask()
    world.advance(60_000)
    expect(await codeOf(ask({ refused: 'always-this' }))).toBe('auth')
    expect(world.asked).toHaveLength(2)
  })
})

describe('a refresh that fails', () => {
  it('answers everybody with the same error for some seconds, and is then tried again', async () => {
    await using world = await openTokenWorld()
    world.answer = refusal
    const [here, there] = [world.process(), world.process()]
    const errors = await Promise.all([here, here, there, there].map((ask) => failure(ask())))
    expect(new Set(errors.map((error) => `${error?.code} ${error?.message} ${error?.retry}`)).size).toBe(1)
    expect(errors[0]?.code).toBe('auth')
    expect(world.asked).toHaveLength(1)
    world.advance(5_001)
    world.answer = null
    expect(await there()).toBe('token-2')
  })

  it('leaves the token that is still good in use', async () => {
    await using world = await openTokenWorld()
    const ask = world.process()
    await ask()
    world.advance(3_600_000 - 50_000)
    world.answer = () => {
      throw new CordboardError('vendor_down', 'HTTP 503')
    }
    expect([await ask(), await ask(), await world.process()()]).toEqual(['token-1', 'token-1', 'token-1'])
    expect(world.asked).toHaveLength(2)
    world.advance(30_000)
    expect(await codeOf(ask())).toBe('vendor_down')
  })

  it('after another one has stored a token is no news', async () => {
    await using world = await openTokenWorld()
    const slow = Promise.withResolvers<never>()
    world.answer = (n) => (n === 1 ? slow.promise : { token: 'of-the-other' })
    const first = world.process()()
    await until(() => world.asked.length === 1)
    world.advance(41_000)
    expect(await world.process()()).toBe('of-the-other')
    slow.reject(new CordboardError('auth', 'The refresh token is used up'))
    expect([await first, (await rowOf(world)).failure]).toEqual(['of-the-other', null])
  })

  it('because whoever asked was cut off fails nobody else', async () => {
    await using world = await openTokenWorld()
    const ask = world.process()
    const stop = new AbortController()
    const hanging = Promise.withResolvers<never>()
    world.answer = () => hanging.promise
    const first = ask({ signal: stop.signal })
    const second = ask()
    await until(() => world.asked.length === 1)
    world.answer = null
    stop.abort()
    hanging.reject(new CordboardError('lease_lost', 'The lease of this step ran out'))
    expect(await codeOf(first)).toBe('timeout')
    expect(await second).toBe('token-2')
  })

  it('because it takes too long lets everybody go, and its late answer still counts', async () => {
    await using world = await openTokenWorld()
    const late = new AbortController()
    const ask = world.process({ deadline: () => late.signal })
    const slow = Promise.withResolvers<{ token: string }>()
    world.answer = () => slow.promise
    const first = failure(ask())
    await until(() => world.asked.length === 1)
    late.abort(new DOMException('late', 'TimeoutError'))
    expect((await first)?.code).toBe('timeout')
    slow.resolve({ token: 'late-one' })
    await until(async () => (await rowOf(world)).version === 1)
    expect(await ask()).toBe('late-one')
    expect(world.asked).toHaveLength(1)
  })
})

describe('a new token that the store does not take', () => {
  it('is handed to nobody, and is stored later without asking the vendor again', async () => {
    await using world = await openTokenWorld()
    let isDown = false
    const { store } = world
    const failing: Store = {
      ...store,
      db: store.db,
      clock: store.clock,
      atomic: (guards, queries) =>
        isDown
          ? Promise.reject(new CordboardError('storage_unavailable', 'The database is away'))
          : store.atomic(guards, queries),
    }
    const ask = world.process({ store: failing })
    world.answer = (n) => {
      isDown = true
      return { token: `token-${n}`, expiresInMs: 3_600_000, keep: `keep-${n}` }
    }
    expect(await codeOf(ask())).toBe('storage_unavailable')
    expect((await rowOf(world)).sealed).toBeNull()
    expect(await codeOf(ask())).toBe('storage_unavailable')
    isDown = false
    expect([await ask(), await world.process()()]).toEqual(['token-1', 'token-1'])
    expect(world.asked).toHaveLength(1)
  })

  it('until it has ended is stored all the same: the next refresh needs what came with it', async () => {
    await using world = await openTokenWorld()
    let isDown = false
    const { store } = world
    const failing: Store = {
      ...store,
      db: store.db,
      clock: store.clock,
      atomic: (guards, queries) =>
        isDown
          ? Promise.reject(new CordboardError('storage_unavailable', 'The database is away'))
          : store.atomic(guards, queries),
    }
    const ask = world.process({ store: failing })
    world.answer = (n) => {
      isDown = n === 1
      return { token: `token-${n}`, expiresInMs: 60_000, keep: `keep-${n}` }
    }
    expect(await codeOf(ask())).toBe('storage_unavailable')
    isDown = false
    world.advance(60_000)
    expect(await ask()).toBe('token-2')
    expect(world.asked).toEqual([null, { token: 'token-1', keep: 'keep-1' }])
  })

  it('because the answer of the commit got lost is found there', async () => {
    await using world = await openTokenWorld()
    let lost = 0
    const { store } = world
    const failing: Store = {
      ...store,
      db: store.db,
      clock: store.clock,
      async atomic(guards, queries) {
        const rows = await store.atomic(guards, queries)
        if (queries.length !== 1 || lost > 0) return rows
        lost += 1
        throw new CordboardError('storage_unavailable', 'The connection broke')
      },
    }
    expect(await world.process({ store: failing })()).toBe('token-1')
    expect([world.asked.length, lost]).toEqual([1, 1])
  })
})

it('is the workers’ own for the doctor, who gets none for itself where there is no store', async () => {
  await using world = await openTokenWorld()
  await world.process()()
  const ask = {
    connection: { id: 'crm', secrets: SECRETS },
    name: 'access',
    signal: new AbortController().signal,
    fetchNew: () => Promise.reject(new Error('the workers have one')),
  }
  let opened = 0
  const doctor = vendorTokens(async () => {
    opened += 1
    return world.store
  })
  expect([await doctor.get(ask), await doctor.get(ask), opened]).toEqual(['token-1', 'token-1', 1])
  expect(await codeOf(vendorTokens(async () => null).get(ask))).toBe('config')
})

it('in memory is got once, refreshed when it is refused or near its end, and keeps what was kept', async () => {
  let now = 0
  const tokens = createMemoryTokens({ now: () => now })
  const asked: unknown[] = []
  const ask = (refused?: string) =>
    tokens.get({
      connection: { id: 'crm', secrets: [] },
      name: 'access',
      signal: new AbortController().signal,
      refused,
      fetchNew: async (previous) => {
        asked.push(previous)
        return {
          token: `t${asked.length}`,
          expiresInMs: 100_000,
          ...(asked.length === 1 ? { keep: 'k' } : {}),
        }
      },
    })
  expect(await Promise.all([ask(), ask(), ask()])).toEqual(['t1', 't1', 't1'])
  expect(await codeOf(ask('t1'))).toBe('auth')
  now = 30_000
  expect(await Promise.all([ask('t1'), ask('t1')])).toEqual(['t2', 't2'])
  now += 95_000
  expect(await ask()).toBe('t3')
  expect(asked).toMatchObject([null, { token: 't1', keep: 'k' }, { token: 't2', keep: 'k' }])
})

it('in memory is waited for no longer than the step that asks has time, and is there for the next one', async () => {
  const tokens = createMemoryTokens({ now: () => 0 })
  const step = new AbortController()
  const { promise, resolve } = Promise.withResolvers<NewToken>()
  const ask = (signal: AbortSignal) =>
    tokens.get({ connection: { id: 'crm', secrets: [] }, name: 'access', signal, fetchNew: () => promise })
  const cut = codeOf(ask(step.signal))
  const other = ask(new AbortController().signal)
  step.abort(new CordboardError('timeout', 'The step has no time left'))
  expect(await cut).toBe('timeout')
  resolve({ token: 't1' })
  expect(await other).toBe('t1')
})

/** Turns of the event loop until it is so; the test's own limit ends it. */
async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setImmediate(resolve))
}
