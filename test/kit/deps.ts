import type { Config } from '../../src/config/model.ts'
import { createMemoryBudgets } from '../../src/connector/budgets.ts'
import { createMemoryTokens } from '../../src/connector/tokens.ts'
import { createSigner } from '../../src/node/signer.ts'
import type { Deps } from '../../src/pipeline/deps.ts'
import { createRefusals } from '../../src/pipeline/refusals.ts'
import type { Store } from '../../src/store/port.ts'
import { createMetrics } from '../../src/telemetry/metrics.ts'
import { seeded } from '../scenarios/installation.ts'

/** A pipeline of which only the store counts: nobody works, nothing is asked, no media is there. */
export function storeDeps(
  store: Store,
  now: () => number,
  { keep, random = seeded(3) }: { keep?: Config['keep']; random?: () => number } = {},
): Deps {
  return {
    config: { connections: new Map(), flows: [], keep } as unknown as Config,
    store,
    queue: { wake() {}, work() {}, stop: async () => {}, state: () => ({ ok: true, says: '', running: 0 }) },
    media: {
      put: async () => ({ bytes: 0 }),
      get: async () => null,
      delete: async () => {},
      check: async () => {},
    },
    http: async () => new Response(),
    signer: createSigner(),
    budgets: createMemoryBudgets({ now }),
    vendorTokens: createMemoryTokens({ now }),
    now,
    random,
    log: { debug() {}, info() {}, warn() {}, error() {} },
    metrics: createMetrics(),
    refusals: createRefusals({ store, now }),
  }
}
