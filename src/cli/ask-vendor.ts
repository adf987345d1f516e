import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Connection } from '../config/model.ts'
import { createMemoryBudgets } from '../connector/budgets.ts'
import { createContext } from '../connector/context.ts'
import type { ConnectorContext, Log } from '../connector/contract.ts'
import { maskSecrets } from '../connector/mask.ts'
import { asCordboardError, CordboardError, ERRORS, type ErrorCode } from '../errors.ts'
import { createHttpFetch } from '../node/http-fetch.ts'
import { openStoreAsItIs, STORE_FILE } from '../node/open.ts'
import type { Services } from '../node/services.ts'
import type { Store } from '../store/port.ts'
import type { Configured } from './configured.ts'
import { vendorTokens } from './doctor/vendor-tokens.ts'

const silent: Log = { debug() {}, info() {}, warn() {}, error() {} }

/** A connection's context for a command, with the workers' own access tokens. */
export function askVendor(wish: {
  configured: Configured
  connection: Connection
  dataDir: string
  signal: AbortSignal
}): { ctx: ConnectorContext; close(): Promise<void> } {
  const { configured, connection, dataDir, signal } = wish
  const tokens = vendorTokens(() => storeOf(configured.services, dataDir))
  const ctx = createContext({
    connection,
    publicUrl: configured.config.publicUrl,
    http: createHttpFetch(),
    budgets: createMemoryBudgets({ now: Date.now }),
    tokens,
    now: Date.now,
    random: Math.random,
    log: silent,
    signal,
  })
  return { ctx, close: () => tokens.close() }
}

const AGAIN = 'Check baseUrl, the network, and the vendor’s status page, then ask again'

/** The table of errors speaks of a step and its call; here a person asks, and nothing is tried again by itself. */
const FIXES: Partial<Record<ErrorCode, string>> = {
  not_found: 'Compare baseUrl and the ids in the configuration with the account',
  rejected: 'Compare baseUrl and the ids in the configuration with the account',
  invalid_payload: 'Check baseUrl: what answers there does not speak as this vendor does',
  vendor_down: AGAIN,
  timeout: AGAIN,
  rate_limited: 'Wait until the vendor’s limit allows another request, then ask again',
  quota: 'Buy quota, or wait for its renewal',
}

/** What a person does about a vendor's error; a connector that names its own fix knows better than any table. */
export function fixOfVendor({ code, fix }: CordboardError): string {
  return fix === ERRORS[code].fix ? (FIXES[code] ?? fix) : fix
}

/** As a command tells it: a vendor may quote our credentials at us. */
export function masked(thrown: unknown, { secrets }: Connection): CordboardError {
  const error = asCordboardError(thrown)
  const mask = (text: string) => maskSecrets(text, secrets)
  return new CordboardError(error.code, mask(error.message), {
    fix: mask(fixOfVendor(error)),
    retry: error.retry,
    cause: error.cause,
    ...(error.why === undefined ? {} : { why: mask(error.why) }),
    ...(error.vendorSaid === undefined ? {} : { vendorSaid: mask(error.vendorSaid) }),
  })
}

/** The workers' own store, opened when a token is wanted; null where none was made yet. */
async function storeOf(services: Services, dataDir: string): Promise<Store | null> {
  if (services.databaseUrl === null && !existsSync(join(dataDir, STORE_FILE))) return null
  return openStoreAsItIs(services, dataDir)
}
