import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Log, NewToken, SharedToken, TokenOptions } from '../../src/connector/contract.ts'
import type { Tokens } from '../../src/connector/tokens.ts'
import { createTokens } from '../../src/pipeline/tokens.ts'
import type { Store } from '../../src/store/port.ts'
import { openSqliteStore } from '../../src/store/sqlite.ts'

export const SECRETS = ['client-secret-0123456789', 'refresh-token-of-the-file']

/** One store, any number of processes on it, and a vendor that counts. The clock moves only when somebody waits. */
export interface TokenWorld {
  store: Store
  /** Each has its own memory; `store` in place of the common one. */
  process(given?: { store?: Store; deadline?: (ms: number) => AbortSignal }): Asker
  /** What the vendor was asked with; it answers `token-1`, `token-2` … and refresh tokens likewise. */
  asked: (SharedToken | null)[]
  /** In place of the vendor's next answers. */
  answer: ((n: number) => NewToken | Promise<NewToken>) | null
  /** Called whenever somebody waits, after the clock has moved. */
  onWait: (() => void) | null
  logged: string[]
  now(): number
  advance(ms: number): void
  [Symbol.asyncDispose](): Promise<void>
}

export interface AskOptions extends TokenOptions {
  name?: string
  connection?: string
  secrets?: readonly string[]
  signal?: AbortSignal
}
export type Asker = (options?: AskOptions) => Promise<string>

const HOUR_MS = 3_600_000

export async function openTokenWorld(): Promise<TokenWorld> {
  const directory = await mkdtemp(join(tmpdir(), 'cordboard-tokens-'))
  let clock = Date.parse('2026-11-20T12:00:00.000Z')
  const now = () => clock
  let busy = 0
  const store = await openSqliteStore({ file: join(directory, 'cordboard.db'), clock: now })
  await store.migrate()
  const line = (message: string, fields?: object) => {
    world.logged.push(JSON.stringify({ message, ...fields }))
  }
  const log: Log = { debug: line, info: line, warn: line, error: line }
  const world: TokenWorld = {
    store,
    asked: [],
    answer: null,
    onWait: null,
    logged: [],
    now,
    advance: (ms) => {
      clock += ms
    },
    process({ store: own = store, deadline } = {}) {
      // Has its answer, and not yet stored it.
      let answered = 0
      const watched: Store = {
        ...own,
        db: own.db,
        clock: own.clock,
        async atomic(guards, queries) {
          busy += 1
          try {
            return await own.atomic(guards, queries)
          } finally {
            busy -= 1 + answered
            answered = 0
          }
        },
      }
      const tokens = createTokens({
        store: watched,
        now,
        random: () => 0,
        log,
        wait: async (ms) => {
          clock += ms
          world.onWait?.()
          // The clock is the test's and commits are real: whoever has something to commit gets it done first.
          for (let turn = 0; turn < 5 || busy > 0; turn += 1)
            await new Promise((resolve) => setImmediate(resolve))
        },
        deadline: deadline ?? (() => new AbortController().signal),
      })
      const hasAnswer = () => {
        answered += 1
        busy += 1
      }
      return (options = {}) => ask(tokens, options, hasAnswer)
    },
    async [Symbol.asyncDispose]() {
      await store.close()
      await rm(directory, { recursive: true, force: true })
    },
  }

  function ask(tokens: Tokens, options: AskOptions, hasAnswer: () => void): Promise<string> {
    const { name = 'access', connection = 'crm', secrets = SECRETS, signal, ...wishes } = options
    return tokens.get({
      ...wishes,
      connection: { id: connection, secrets },
      name,
      signal: signal ?? new AbortController().signal,
      fetchNew: async (previous) => {
        world.asked.push(previous)
        const n = world.asked.length
        try {
          if (world.answer) return await world.answer(n)
          return { token: `token-${n}`, expiresInMs: HOUR_MS, keep: `keep-${n}` }
        } finally {
          hasAnswer()
        }
      },
    })
  }
  return world
}
