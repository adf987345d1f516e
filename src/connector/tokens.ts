import type { Connection } from '../config/model.ts'
import { asCordboardError, CordboardError } from '../errors.ts'
import type { NewToken, SharedToken, TokenOptions } from './contract.ts'

/**
 * Shared tokens: a vendor's access token is used by all processes and got by one. `ctx.token` asks here.
 *
 * What no store can mend: a vendor that takes the old refresh token away as soon as it hands out the next one, and an
 * answer that nobody kept (the process died, or the store stayed away until it did, between the answer and the commit).
 * Then the next refresh fails with `auth`, and a person has to connect the account again. The commit comes before any
 * use, and whoever asks in this process tries it again, which makes that window as small as it can be.
 */
export interface Tokens {
  get(ask: TokenAsk): Promise<string>
}

export interface TokenAsk extends TokenOptions {
  connection: Pick<Connection, 'id' | 'secrets'>
  name: string
  fetchNew: (previous: SharedToken | null, turn: RefreshTurn) => Promise<NewToken>
  /** Of the step that asks: it waits no longer than that. */
  signal: AbortSignal
}

/** The time that a refresh has. */
export interface RefreshTurn {
  signal: AbortSignal
  /** Our own clock: after this another one may be refreshing, and nothing is sent any more. */
  until: number
}

/** A request's usual 30 s, and its wait for the budget. */
export const REFRESH_MS = 35_000
/** One that is refused at this age was never good: another refresh would bring the same. */
export const HARDLY_USED_MS = 30_000

/** Tokens of one process, for whoever has no store: one refresh at a time, kept until nine tenths of their life are over. */
export function createMemoryTokens({ now }: { now: () => number }): Tokens {
  const kept = new Map<string, SharedToken & { since: number; freshUntil: number }>()
  const flights = new Map<string, Promise<string>>()
  return {
    async get(ask) {
      const key = JSON.stringify([ask.connection.id, ask.name])
      for (;;) {
        const known = kept.get(key)
        if (known && known.token !== ask.refused && now() < known.freshUntil) return known.token
        if (known?.token === ask.refused && known && now() - known.since < HARDLY_USED_MS)
          throw refusedAtOnce(ask)
        const flight = flights.get(key) ?? refresh(key, known, ask).finally(() => flights.delete(key))
        flights.set(key, flight)
        const token = await unlessAborted(flight, ask.signal)
        if (token !== ask.refused) return token
      }
    },
  }

  async function refresh(key: string, known: SharedToken | undefined, { fetchNew }: TokenAsk) {
    const since = now()
    const turn = { signal: AbortSignal.timeout(REFRESH_MS), until: since + REFRESH_MS }
    const fresh = checkedToken(await fetchNew(known ?? null, turn))
    const keep = fresh.keep ?? known?.keep
    const freshUntil = since + 0.9 * (fresh.expiresInMs ?? Number.POSITIVE_INFINITY)
    kept.set(key, { token: fresh.token, since, freshUntil, ...(keep === undefined ? {} : { keep }) })
    return fresh.token
  }
}

export function refusedAtOnce({ connection, name }: Pick<TokenAsk, 'connection' | 'name'>): CordboardError {
  return new CordboardError('auth', `${connection.id} refuses a ${name} token that it has just given out`, {
    why: 'Another refresh would bring another one like it',
  })
}

/** A vendor that names no life, or a senseless one, is taken at its word only as far as that means something. */
export function checkedToken({ token, expiresInMs, keep }: NewToken): NewToken {
  if (typeof token !== 'string' || token === '') {
    throw new CordboardError('invalid_payload', 'The answer to the request for a new token holds no token')
  }
  return {
    token,
    ...(Number.isFinite(expiresInMs) ? { expiresInMs: Math.max(SHORTEST_LIFE_MS, Number(expiresInMs)) } : {}),
    ...(typeof keep === 'string' && keep !== '' ? { keep } : {}),
  }
}

/** One that ends at once could not even be handed out. */
const SHORTEST_LIFE_MS = 1_000

/** Goes on without it when the signal aborts; what was begun still comes to its end. */
export async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>()
  const end = () => aborted.reject(asCordboardError(signal.reason))
  signal.addEventListener('abort', end, { once: true })
  if (signal.aborted) end()
  try {
    return await Promise.race([work, aborted.promise])
  } finally {
    signal.removeEventListener('abort', end)
  }
}
