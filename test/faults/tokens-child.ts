/**
 * A process that asks for a shared token: `tokens-child.ts <file or url of the store> <address of the token endpoint>`.
 * At each message it asks ten times at once, says `asked`, and then what it got. It ends with its parent.
 */
import { z } from 'zod'
import { createMemoryBudgets } from '../../src/connector/budgets.ts'
import { createContext } from '../../src/connector/context.ts'
import { type ConnectorContext, defineConnector } from '../../src/connector/contract.ts'
import { failOn } from '../../src/connector/fail-on.ts'
import { asCordboardError } from '../../src/errors.ts'
import { createHttpFetch } from '../../src/node/http-fetch.ts'
import { createTokens } from '../../src/pipeline/tokens.ts'
import { openPostgresStore } from '../../src/store/postgres.ts'
import { openSqliteStore } from '../../src/store/sqlite.ts'

/** A token, or the code of the error. */
export type TokenChildSays = 'ready' | 'asked' | string[]
export interface TokenChildAsk {
  refused?: string
}

const [target = '', endpoint = ''] = process.argv.slice(2)
const say = (message: TokenChildSays) => process.send?.(message)
process.on('disconnect', () => process.exit(0))

const store = target.startsWith('postgres:')
  ? await openPostgresStore({ url: target })
  : await openSqliteStore({ file: target })
const silent = { debug() {}, info() {}, warn() {}, error() {} }
const common = { now: Date.now, random: Math.random, log: silent }
const tokens = createTokens({ store, ...common })
const http = createHttpFetch()
const connector = defineConnector({
  id: 'example',
  name: 'Example',
  docs: 'https://example.com/docs',
  config: z.object({}),
  check: async () => ({ says: 'fine' }),
})
const settings = { clientSecret: 'client-secret-of-the-test', refreshToken: 'refresh-0' }

const answer = z.object({ access_token: z.string(), refresh_token: z.string() })

/** Each step has a context of its own. */
const context = (): ConnectorContext =>
  createContext({
    connection: {
      id: 'crm',
      connector,
      settings,
      region: undefined,
      allowPrivate: [new URL(endpoint).host],
      concurrency: 10,
      recordingWaitMs: undefined,
      secrets: Object.values(settings),
    },
    publicUrl: undefined,
    http,
    budgets: createMemoryBudgets(common),
    tokens,
    ...common,
    signal: new AbortController().signal,
  })

function ask({ refused }: TokenChildAsk): Promise<string> {
  return context().token(
    'access',
    async (previous, fetch) => {
      const response = await fetch(endpoint, {
        method: 'POST',
        headers: { 'x-process': String(process.pid) },
        body: new URLSearchParams({ refresh_token: previous?.keep ?? settings.refreshToken }),
      })
      // As RFC 6749 has it, a refresh token that is not good any more is a 400.
      const codeOf = (status: number) => (status === 400 ? 'auth' : undefined)
      await failOn(response, { what: 'Example: refresh the token', now: Date.now, codeOf })
      const { access_token: token, refresh_token: keep } = answer.parse(await response.json())
      return { token, keep, expiresInMs: 3_600_000 }
    },
    { refused, from: [settings.clientSecret, settings.refreshToken] },
  )
}

process.on('message', (message: TokenChildAsk) => {
  const asking = Array.from({ length: 10 }, () =>
    ask(message).catch((error: unknown) => asCordboardError(error).code),
  )
  say('asked')
  void Promise.all(asking).then(say)
})
say('ready')
