import type { Connector } from '../connector/contract.ts'
import type { FlowRule } from './model.ts'

/** Stands in the configuration where a secret belongs; its value comes from the environment when it is loaded. */
export interface SecretReference {
  readonly $secret: string | readonly string[]
}

/** One configured account of one vendor: these keys, and those of its connector's schema. */
export interface ConnectionInput {
  /** Id of a connector; in TypeScript also a connector of your own. */
  use: string | Connector
  /** Other address of the vendor's API: its EU host, an on-premise system, the sandbox. */
  baseUrl?: string
  /** `host` or `host:port` of private addresses this connection may reach. */
  allowPrivate?: readonly string[]
  /** Default region of national numbers, ISO 3166-1 alpha-2. */
  region?: string
  /** Steps of this connection at once, per worker; default 8. */
  concurrency?: number
  /** Of an analysis service: minutes of conversation given to it on one day (UTC). */
  minutesPerDay?: number
  /** How often the vendor's own list of calls is read, and how far back; default every 15 minutes, 24 hours. */
  reconcile?: false | { every?: string; over?: string }
  /** The webhook is created at the vendor, and renewed, by its API. */
  subscribe?: boolean
  /** How long to wait for a recording nobody announced, in ms. */
  recordingWaitMs?: number
  /** Of a CRM: how long a new record may be missing from its search, in ms; default what its connector knows. */
  indexLagMs?: number
  /** Of a phone system: measure who speaks when in its stereo WAV recordings as they pass; default false. */
  measureTracks?: boolean
  [key: string]: unknown
}

export interface FlowInput {
  /** Default: its connections, as in `phone → xosum → crm`. */
  name?: string
  from: readonly string[]
  when?: FlowRule
  /** Analysis connections in order of preference. */
  analyze: readonly string[]
  write: readonly string[]
  /** What becomes of callers the CRM does not know; default `unmatched`. */
  unknownCaller?: 'create' | 'skip' | 'unmatched'
  /** Calls that no analysis service may be given: they are written with their own facts. */
  noAnalysis?: { when?: FlowRule; numbers?: readonly string[] }
}

/** Durations are text: `30 days`, `12 months`, `forever`. */
export interface KeepInput {
  audio?: string
  transcript?: string
  /** Default `30 days`. */
  deliveries?: string
}

export interface ConfigInput {
  /** Public base URL: what vendors call and sign. */
  publicUrl?: string
  region?: string
  connections: Record<string, ConnectionInput>
  flows: readonly FlowInput[]
  keep?: KeepInput
}

/**
 * Types the configuration; returns it as it is.
 *
 * @example
 * export default defineConfig({
 *   publicUrl: 'https://calls.example.com',
 *   connections: {
 *     phone: { use: 'generic', secret: secret('PHONE_SECRET') },
 *     crm: { use: 'hubspot', token: secret('HUBSPOT_TOKEN') },
 *   },
 *   flows: [{ from: ['phone'], when: (call) => (call.talkMs ?? 0) > 15_000, analyze: [], write: ['crm'] }],
 *   keep: { audio: '12 months' },
 * })
 */
export function defineConfig(input: ConfigInput): ConfigInput {
  return input
}

/**
 * A reference to a secret: the environment variable of this name, or the file that `<name>_FILE` names. More names are
 * older values that stay valid while a secret is changed; they may be unset.
 *
 * @example secret('XOSUM_API_KEY')
 * @example secret('PHONE_SECRET', 'PHONE_SECRET_OLD')
 */
export function secret(name: string, ...older: readonly string[]): SecretReference {
  return { $secret: older.length === 0 ? name : [name, ...older] }
}
