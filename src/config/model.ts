import type { Call, Direction, MEDIA, Result } from '../call/call.ts'
import type { Connector } from '../connector/contract.ts'
import type { Preference } from '../connector/crm-role.ts'
import type { Condition } from './filter.ts'
import type { FieldMapping } from './mapping.ts'

/** The configuration after it was read, checked and its secrets resolved: what the rest of the program sees. */
export interface Config {
  /** Public base URL, without a trailing slash: what vendors call and sign. */
  publicUrl: string | undefined
  /** Default region of national phone numbers, ISO 3166-1 alpha-2. */
  region: string | undefined
  connections: ReadonlyMap<string, Connection>
  flows: readonly Flow[]
  keep: Keep
  /** Hash over all of it, secrets excluded: replicas that disagree are seen. */
  hash: string
}

export interface Connection {
  id: string
  connector: Connector
  /** The connector's own keys, parsed by its schema. */
  settings: unknown
  region: string | undefined
  /** `host` or `host:port` of private addresses it may reach. */
  allowPrivate: readonly string[]
  /** Steps of this connection at once, per worker. */
  concurrency: number
  /** Authentic deliveries taken per minute and process; undefined: all. */
  deliveriesPerMinute?: number | undefined
  /** Minutes of conversation given to it for analysis on one day (UTC); undefined: all. */
  minutesPerDay?: number | undefined
  /** How long to wait for a recording nobody announced, in ms; overrides the connector's. */
  recordingWaitMs: number | undefined
  /** The vendor's list of calls is read this often, this far back; undefined: never, or there is none. */
  reconcile?: { everyMs: number; overMs: number } | undefined
  /** How long after a call its caller is looked for, in ms; overrides the connector's index lag. */
  indexLagMs?: number | undefined
  /** Its webhook is created at the vendor by its API, and kept alive. */
  subscribe?: boolean | undefined
  /** Whether it is measured who speaks when in its stereo WAV recordings. */
  measureTracks?: boolean | undefined
  /** Whether transcripts leave it redacted; undefined: as its connector wants it. */
  redact?: boolean | undefined
  /** When calls are collected and handed over together: what ends the collecting, whichever comes first. */
  gather?: { count: number; bytes: number; ageMs: number } | undefined
  /** Every secret value in its settings, for masking. */
  secrets: readonly string[]
}

export interface Flow {
  name: string
  from: readonly string[]
  when: Condition | undefined
  /** Why a call must not be given to any analysis service; null: it may. Undefined: every call may. */
  noAnalysis?: Condition | undefined
  /** Analysis connections in order of preference; empty: the call's own facts are written. */
  analyze: readonly string[]
  write: readonly string[]
  /** CRM connection → what is written into fields of the operator's own. */
  fields: ReadonlyMap<string, FieldMapping>
  unknownCaller: 'create' | 'skip' | 'unmatched'
  /** Which of several records with one number is taken; where it leaves more than one, a person chooses. */
  prefer: readonly Preference[]
  /** Hash of the flow as written: steps record it. */
  version: string
}

type Medium = (typeof MEDIA)[number]

/** A flow's condition in a JSON file. All given keys must hold. */
export interface FlowFilter {
  medium?: Medium | readonly Medium[] | undefined
  direction?: Direction | readonly Direction[] | undefined
  result?: Result | readonly Result[] | undefined
  minTalkMs?: number | undefined
  maxTalkMs?: number | undefined
  segment?: string | readonly string[] | undefined
  language?: string | readonly string[] | undefined
  /** Any of them. */
  tags?: string | readonly string[] | undefined
}

/** A flow's condition as it is written: a function in TypeScript, a filter in JSON. */
export type FlowRule = ((call: Call) => boolean) | FlowFilter

/** How long things are kept, in ms; undefined: for ever. */
export interface Keep {
  audioMs: number | undefined
  transcriptMs: number | undefined
  deliveriesMs: number | undefined
  callsMs?: number | undefined
}
