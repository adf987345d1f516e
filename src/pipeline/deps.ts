import type { Config } from '../config/model.ts'
import type { ContextOptions } from '../connector/context.ts'
import type { Budget, Log } from '../connector/contract.ts'
import type { Convert, HttpFetch, Signer } from '../connector/platform.ts'
import type { Tokens } from '../connector/tokens.ts'
import type { Media } from '../media/port.ts'
import type { Queue } from '../queue/port.ts'
import type { Store } from '../store/port.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Refusals } from './refusals.ts'

/** All that the pipeline and the HTTP side need; `createApp` takes it, tests make it. This is the injection. */
export interface Deps {
  config: Config
  store: Store
  queue: Queue
  media: Media
  http: HttpFetch
  signer: Signer
  /** Makes recordings into what a service takes; absent where nothing is installed that can. */
  convert?: Convert
  budgets: { take(connection: string, bucket: string, budget: Budget): number | Promise<number> }
  /** Access tokens of vendors, shared by all processes. */
  vendorTokens: Tokens
  now: () => number
  /** In [0, 1). */
  random: () => number
  log: Log
  metrics: Metrics
  /** Counts of refused requests until the next sweep writes them. */
  refusals: Refusals
  /** Waits for a request budget, in the middle of a step; default a timer. */
  wait?: ContextOptions['wait']
}
