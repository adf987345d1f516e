import { type ContextOptions, sleep } from '../connector/context.ts'
import type { Log } from '../connector/contract.ts'
import { createSeal, type Seal } from '../connector/seal.ts'
import {
  checkedToken,
  HARDLY_USED_MS,
  REFRESH_MS,
  type RefreshTurn,
  refusedAtOnce,
  type TokenAsk,
  type Tokens,
  unlessAborted,
} from '../connector/tokens.ts'
import { asCordboardError, CordboardError } from '../errors.ts'
import type { Store } from '../store/port.ts'
import type { TokenRow } from '../store/schema.ts'
import { failureOf, readFailure, toError } from './token-failure.ts'
import { giveBack, readRow, storeToken, type TokenLease, takeLease } from './token-row.ts'

/**
 * Shared tokens in the store. Whoever finds that one is needed takes a lease on its row, asks the vendor, stores the answer
 * sealed, and only then uses it; the others look at the row until it is there. One who dies holds up the others until
 * the lease ends.
 */

/** What access tokens need of their process. */
export interface TokenDeps {
  store: Store
  now: () => number
  random: () => number
  log: Log
  wait?: ContextOptions['wait']
  /** Aborts when a refresh has taken too long; default a timer. */
  deadline?: (ms: number) => AbortSignal
}

/** Longer than a refresh may take: nobody begins one while another is still sending. */
const LEASE_MS = REFRESH_MS + 5_000
/** Whoever waits longer for another's refresh comes back later: its place in the lane is worth more. */
const LONGEST_WAIT_MS = 10_000
const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 1_000
/** So long a failed refresh answers everybody. */
const REST_MS = 5_000
const LONGEST_MARGIN_MS = 60_000
const STORES = 3
const STORE_PAUSE_MS = 500

/** The token in the row, opened. */
interface Held {
  token: string
  keep?: string
  /** Left of its life, as a share of what it had and in ms. */
  leftMs: number
  ageMs: number
  marginMs: number
}

/** What a vendor answered, on this process's own clock. */
interface Fresh {
  version: number
  token: string
  keep?: string | undefined
  endsAt: number
}

/** Access tokens for the connections of one process, shared with all others through the store. */
export function createTokens(deps: TokenDeps): Tokens {
  const { store, now, random, log, wait = sleep, deadline = (ms) => AbortSignal.timeout(ms) } = deps
  const known = new Map<string, { token: string; freshUntil: number }>()
  const flights = new Map<string, Promise<string>>()
  const seals = new Map<string, Promise<Seal>>()
  /** Answers that the store has not taken: asking again would lose a refresh token that was changed. */
  const unstored = new Map<string, Fresh>()

  return {
    async get(ask) {
      const secrets = ask.from ?? ask.connection.secrets
      if (!secrets.some((secret) => secret !== '')) {
        throw new CordboardError(
          'config',
          `${ask.connection.id} has no secret to get a ${ask.name} token with`,
        )
      }
      // With the secrets: a process that gets another configuration must not use the old one's token.
      const key = JSON.stringify([ask.connection.id, ask.name, ...secrets])
      for (;;) {
        if (ask.signal.aborted) throw asCordboardError(ask.signal.reason)
        const kept = known.get(key)
        if (kept && kept.token !== ask.refused && now() < kept.freshUntil) return kept.token
        const isMine = !flights.has(key)
        const flight = flights.get(key) ?? lookUp(ask, key, secrets).finally(() => flights.delete(key))
        flights.set(key, flight)
        try {
          const token = await unlessAborted(flight, ask.signal)
          // Another one's answer may be the very token that was refused here.
          if (token !== ask.refused) return token
        } catch (error) {
          // Whoever was asking for all of us was cut off: that is no news about the token.
          if (isMine || !isCutOff(error) || ask.signal.aborted) throw error
        }
      }
    },
  }

  async function lookUp(ask: TokenAsk, key: string, secrets: readonly string[]): Promise<string> {
    const seal = await sealOf(ask, key, secrets)
    let waited = 0
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
      const row = await readRow(store, ask)
      const held = row ? await opened(seal, row) : null
      const isGood = held !== null && held.token !== ask.refused
      // Not everybody at once: each process has its own idea of when it is time.
      const freshMs = held === null ? 0 : held.leftMs - held.marginMs * (1 + random())
      if (isGood && freshMs > 0) {
        known.set(key, { token: held.token, freshUntil: now() + freshMs })
        return held.token
      }
      // Due for a refresh, but good for the requests that are made now.
      const spare = isGood && held.leftMs > held.marginMs / 2 ? held.token : null
      const failure =
        row?.failed_at != null && row.now - row.failed_at < REST_MS && row.failure !== null
          ? readFailure(row.failure)
          : null
      if (failure) {
        if (spare !== null) return spare
        throw toError(failure)
      }
      if (held && !isGood && held.ageMs < HARDLY_USED_MS) throw refusedAtOnce(ask)

      try {
        const token = await turnOf(ask, key, seal, held, row?.version ?? 0)
        if (token === ask.refused) throw refusedAtOnce(ask)
        if (token !== null) return token
      } catch (error) {
        if (spare === null || isCutOff(error)) throw error
      }
      if (spare !== null) return spare
      if (waited >= LONGEST_WAIT_MS) {
        throw new CordboardError(
          'timeout',
          `The ${ask.name} token of ${ask.connection.id} is still not there`,
          {
            why: 'Another worker is getting it, or died while it was',
          },
        )
      }
      const ms = Math.ceil(pause * (0.5 + random() / 2))
      await wait(ms, ask.signal)
      waited += ms
      if (ask.signal.aborted) throw cutOff(asCordboardError(ask.signal.reason))
    }
  }

  /** A new token, if it is our turn to get one: null when another one has its turn, or has stored a token meanwhile. */
  async function turnOf(
    ask: TokenAsk,
    key: string,
    seal: Seal,
    held: Held | null,
    version: number,
  ): Promise<string | null> {
    const until = now() + REFRESH_MS
    const before = unstored.get(key)
    // An answer counts whoever has the lease: what it was asked with may be used up.
    if (before?.version === version) return stored(ask, key, seal, before, ask.signal)
    const lease = await takeLease(store, ask, version, { leaseMs: LEASE_MS, restMs: REST_MS })
    if (!lease) return null
    const turn: RefreshTurn = { signal: deadline(REFRESH_MS), until }
    const work = refresh(ask, key, seal, held, lease, turn)
    return unlessAborted(work, turn.signal)
  }

  async function refresh(
    ask: TokenAsk,
    key: string,
    seal: Seal,
    held: Held | null,
    lease: TokenLease,
    turn: RefreshTurn,
  ): Promise<string | null> {
    const asked = now()
    const keep = held?.keep
    const previous = held && { token: held.token, ...(keep === undefined ? {} : { keep }) }
    let fresh: Fresh
    try {
      const { expiresInMs = Number.POSITIVE_INFINITY, ...got } = checkedToken(
        await ask.fetchNew(previous, turn),
      )
      fresh = { keep, ...got, version: lease.version, endsAt: asked + expiresInMs }
    } catch (thrown) {
      return failed(ask, held, lease, thrown)
    }
    unstored.set(key, fresh)
    return stored(ask, key, seal, fresh, turn.signal)
  }

  /** Commits an answer, and only then lets it be used. Null when another one was first. */
  async function stored(
    ask: TokenAsk,
    key: string,
    seal: Seal,
    fresh: Fresh,
    signal: AbortSignal,
  ): Promise<string | null> {
    const { version, token, keep, endsAt } = fresh
    const sealed = await seal.seal({ token, ...(keep === undefined ? {} : { keep }) })
    for (let tried = 1; ; tried += 1) {
      try {
        const lifeMs = Number.isFinite(endsAt) ? Math.max(1, Math.ceil(endsAt - now())) : null
        const isFirst = await storeToken(store, ask, version, { sealed, lifeMs })
        if (unstored.get(key) === fresh) unstored.delete(key)
        if (!isFirst) return null
        log.info('token refreshed', { connection: ask.connection.id, token: ask.name })
        // It waited for the store until its end; what came with it serves the next refresh.
        if (endsAt <= now()) return null
        const life = lifeMs ?? Number.POSITIVE_INFINITY
        known.set(key, { token, freshUntil: now() + life - marginOf(life) * (1 + random()) })
        return token
      } catch (error) {
        if (tried < STORES) {
          await wait(STORE_PAUSE_MS, signal)
          continue
        }
        const { code } = asCordboardError(error)
        log.error('a new token could not be stored', { connection: ask.connection.id, token: ask.name, code })
        throw new CordboardError('storage_unavailable', `The new ${ask.name} token could not be stored`, {
          why: 'A token is used only when all processes can know it',
          cause: error,
        })
      }
    }
  }

  /** Tells everybody who waits why; null when it is no longer ours to tell. */
  async function failed(ask: TokenAsk, held: Held | null, lease: TokenLease, thrown: unknown): Promise<null> {
    const { code } = asCordboardError(thrown)
    if (code === 'lease_lost' || (code === 'timeout' && ask.signal.aborted)) {
      await giveBack(store, ask, lease, null).catch(() => false)
      throw cutOff(asCordboardError(thrown))
    }
    const failure = failureOf(thrown, ask, [...(ask.from ?? []), held?.token, held?.keep])
    const fields = { connection: ask.connection.id, token: ask.name, code: failure.code }
    log.warn('a token could not be refreshed', fields)
    // A store that cannot take the failure does not hide it: the lease ends by itself.
    const isOurs = await giveBack(store, ask, lease, JSON.stringify(failure)).catch(() => true)
    if (isOurs) throw toError(failure)
    return null
  }

  function sealOf(ask: TokenAsk, key: string, secrets: readonly string[]): Promise<Seal> {
    const made = seals.get(key) ?? createSeal(secrets, [ask.connection.id, ask.name])
    seals.set(key, made)
    return made
  }
}

async function opened(seal: Seal, row: TokenRow & { now: number }): Promise<Held | null> {
  if (row.sealed === null || row.issued_at === null) return null
  const plain = (await seal.open(row.sealed)) as { token: string; keep?: string } | null
  if (plain === null) return null
  const infinity = Number.POSITIVE_INFINITY
  return {
    ...plain,
    leftMs: row.expires_at === null ? infinity : row.expires_at - row.now,
    ageMs: row.now - row.issued_at,
    marginMs: row.expires_at === null ? LONGEST_MARGIN_MS : marginOf(row.expires_at - row.issued_at),
  }
}

/** So long before its end a token is replaced. */
const marginOf = (lifeMs: number) => Math.min(LONGEST_MARGIN_MS, lifeMs / 10)

const cutOffs = new WeakSet<Error>()
const isCutOff = (error: unknown) => error instanceof Error && cutOffs.has(error)

/** Marks the error of somebody who asked for others too and was stopped. */
function cutOff(error: CordboardError): CordboardError {
  cutOffs.add(error)
  return error
}
