import type { Analysis } from '../call/analysis.ts'
import type { Call } from '../call/call.ts'
import type { ConnectorContext, MapContext, WebhookSide } from './contract.ts'

/** The role of a CRM: whose call it is, and what of it is written where. */

/** What the rule of a flow can ask when several records carry one number. */
export const PREFERENCES = ['open deal', 'last activity', 'owner is the agent', 'newest'] as const
export type Preference = (typeof PREFERENCES)[number]

export interface Candidate {
  /** `contact`, `company`, `lead` … as the CRM calls it. */
  type: string
  id: string
  name?: string
  /** Why it is here, in words for the operator: "same number, last activity 3 days ago". Holds no number. */
  reason: string
  url?: string
  /** What the flow's rule looks at. Absent: the CRM does not tell it, or it was not asked for. */
  hasOpenDeal?: boolean
  lastActivityAt?: string
  /** The agent of the call is its owner. */
  isAgents?: boolean
  createdAt?: string
}

/** What a field of the operator's own may hold. */
export type FieldValue = string | number | boolean

/** Everything that is known of a call when it is written. */
export interface CrmRecord {
  call: Call
  analysis: Analysis | null
  /** The CRM record it belongs to; null when the flow says `unmatched`. */
  target: { type: string; id: string } | null
  /** What the flow maps to fields of the operator's own, by the CRM's name of the field. */
  fields: Readonly<Record<string, FieldValue>>
  /**
   * The CRM's own record of this call, where it was the CRM that told of the call. The part of the kind `call` is that
   * record: what the analysis adds is written to it, and nothing that a person or a dialler wrote there is replaced.
   */
  logged: { id: string } | null
}

/** One external creation. `fields` is what will be sent; its hash decides whether an update is needed. */
export interface PlannedPart {
  /** `call`, `note`, `task-1` …: unique within the write-back, stable over time. */
  key: string
  kind: 'contact' | 'call' | 'note' | 'task' | 'file'
  /** What the CRM calls the record of an unknown caller, where that is no `contact`: `lead`. */
  type?: string
  fields: Record<string, string>
}

export interface WritePart extends PlannedPart {
  /** The CRM's id from an earlier write: update this one instead of creating. */
  externalId: string | null
  /** Stable key of this part for CRMs with a unique property. */
  idempotencyKey: string
}

/** Ids of the parts written so far, by part key: a note is attached to the call of the same write-back. */
export type WrittenParts = Readonly<Record<string, string>>

/** A field of the record that a call is written to, which a mapping may name. */
export interface CrmField {
  name: string
  label: string
  type: 'text' | 'number' | 'boolean' | 'date' | 'datetime' | 'choice'
  /** In characters. */
  maxLength?: number
  /** The values that are taken, where others are refused. */
  choices?: readonly string[]
  /** Why it cannot be written, in words. */
  readOnly?: string
}

/** A field that a mapping names and that is not there. */
export interface WantedField {
  name: string
  label: string
  type: 'text' | 'number' | 'boolean'
}

/** What became of each thing that a CRM needs before calls are written to it. */
export interface SetUp {
  /** "the property call_score of calls" */
  what: string
  /** `by hand`: `fix` says what to do and where. */
  state: 'was there' | 'made' | 'by hand'
  fix?: string
}

/** Something happened to a record of the CRM that calls may be written on. */
export interface CrmChange {
  /**
   * `erased`: for good, because a person asked for it: what is known of their calls is erased here too. `deleted`: calls are
   * matched anew. `merged`: the calls are those of `into` from now on.
   */
  change: 'erased' | 'deleted' | 'merged'
  type: string
  id: string
  into?: string
}

export interface CrmRole<Config> {
  /** How long a fresh record may be missing from the CRM's search, in ms. */
  indexLagMs: number
  /**
   * Records that carry the customer's number, of one standing: companies only where no person has it. The order is that in
   * which people see them; which one is taken is for the flow's rule. `asked`: the facts that the rule looks at, in case they
   * cost requests of their own; those of more than 20 candidates need not be fetched.
   */
  match(call: Call, ctx: ConnectorContext<Config>, asked: readonly Preference[]): Promise<Candidate[]>
  /** Pure: which parts this record needs, in the order they are written. The contact of an unknown caller is not here. */
  plan(record: CrmRecord, ctx: MapContext<Config>): PlannedPart[]
  /** The contact to create for an unknown caller; absent: this CRM creates none. */
  newContact?(call: Call, ctx: MapContext<Config>): PlannedPart | null
  /**
   * Creates the part, or updates it when it has an externalId. Returns the CRM's id. After a request that may have
   * created something it must not throw `rejected` or `not_found`: those say that nothing happened.
   */
  write(
    part: WritePart,
    record: CrmRecord,
    written: WrittenParts,
    ctx: ConnectorContext<Config>,
  ): Promise<{ id: string }>
  /** Was this part created by an attempt whose end is not known? Absent: the step parks instead of guessing. */
  find?(
    part: WritePart,
    record: CrmRecord,
    written: WrittenParts,
    ctx: ConnectorContext<Config>,
  ): Promise<string | null>
  /** The fields that a mapping may name, as the CRM describes them. Absent: a flow can map nothing to this CRM. */
  fields?(ctx: ConnectorContext<Config>): Promise<readonly CrmField[]>
  /** Makes what the CRM needs and its API can make: a unique property, and these fields. Asks first what is there. */
  setUp?(wanted: readonly WantedField[], ctx: ConnectorContext<Config>): Promise<readonly SetUp[]>
  /** A page of the record for people. */
  recordUrl?(target: { type: string; id: string }, config: Config): string | null
  /** Absent where the telephony role of the same connector takes the CRM's webhooks: it may tell of changes too. */
  callback?: WebhookSide<Config, never>
}
