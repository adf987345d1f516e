import type { ImportFileRow, ImportRow, ImportVerdictRow } from './schema-imports.ts'

/**
 * The tables, as TypeScript sees them. Portable subset of SQLite, PostgreSQL and D1: text, integers (instants are
 * milliseconds since 1970, in `…_at`), 0/1 for booleans, JSON as text, bytes as bytes. No Date ever reaches a bind.
 */

/** One inbound HTTP request, kept as bytes. */
export interface DeliveryRow {
  id: string
  connection: string
  /** `list`: no request, but what the vendor's own list told of a call; its body is JSON of ours. */
  role: 'telephony' | 'analysis' | 'crm' | 'list'
  received_at: number
  method: string
  /** Public URL as the sender called it. */
  url: string
  /** What stands behind /hooks/<connection>. */
  path: string
  /** JSON array of [name, value] pairs, as bytes. */
  headers: Uint8Array
  /** Null when the body is in the media store. */
  body: Uint8Array | null
  media_id: string | null
  bytes: number
  /** Same key, same delivery: unique per connection. */
  dedupe_key: string
  /** How often it was sent again. */
  repeats: number
  state: 'new' | 'used' | 'ignored' | 'unreadable'
  /** Why it was ignored or cannot be read. */
  reason: string | null
}

/** Requests that were refused, counted per connection, code and hour, with one sample without its body. */
export interface RefusalRow {
  connection: string
  code: string
  hour_at: number
  count: number
  last_at: number
  /** JSON: method, path, header names, the reason in words. */
  sample: string
}

export interface EventRow {
  connection: string
  event_key: string
  call_id: string
  delivery_id: string | null
  phase: string
  received_at: number
  /** JSON of CallEvent. */
  event: string
}

/** External id → call. */
export interface CallKeyRow {
  connection: string
  external_id: string
  call_id: string
}

export type CallState =
  /** still going on */
  | 'open'
  /** ended, waits for its recording */
  | 'waiting'
  /** on its way through the pipeline */
  | 'working'
  /** everything the flow asks for is written */
  | 'done'
  /** no flow takes it, or the flow says skip */
  | 'skipped'
  /** a step is parked or dead */
  | 'attention'

export interface CallRow {
  id: string
  connection: string
  external_id: string
  state: CallState
  /** Why it is in this state, for people: code, then words. */
  reason: string | null
  /** Compare-and-set: every change of the call adds one. */
  version: number
  /** Work that follows from what is known now; every new round of work adds one. */
  generation: number
  flow: string | null
  flow_version: string | null
  started_at: number
  ended_at: number | null
  updated_at: number
  /** When the wait for the recording ends; null when nothing is waited for. */
  wait_until: number | null
  /** 1 when the wait for the recording has run out. */
  waited: number
  direction: string | null
  result: string | null
  customer_phone: string | null
  /** Last seven digits of the customer's number. */
  customer_tail: string | null
  agent_extension: string | null
  /** Hash of what a submission depends on, when the last one was planned. */
  submit_hash: string | null
  /** JSON of Call. */
  call: string
  /** JSON of the joined Analysis, null until there is one. */
  analysis: string | null
  /** The call this one was joined into; then this row is only a pointer. */
  joined_into: string | null
  fence: number
}

export type StepKind =
  | 'merge'
  /** asks the vendor for calls that a delivery only named */
  | 'look_up'
  | 'submit'
  | 'batch'
  | 'poll'
  | 'callback'
  | 'match'
  | 'write'
  /** reads the vendor's list of calls: a backfill, or a reconciliation */
  | 'list'
  /** takes the rows of a file of calls that was handed in */
  | 'import'
  /** has the vendor call our hook */
  | 'subscribe'
export type StepState = 'waiting' | 'working' | 'done' | 'parked' | 'dead'

export interface StepRow {
  id: string
  kind: StepKind
  /** Lane it runs in: the connection it talks to, or `core`. */
  lane: string
  /**
   * What it works on: a delivery (merge, callback), a call (submit, match, write), a submission (poll), a batch, an import, a
   * backfill, or its own connection (list, subscribe).
   */
  subject: string
  call_id: string | null
  connection: string
  generation: number
  flow: string | null
  flow_version: string | null
  state: StepState
  due_at: number
  /** Executions that counted. Rate limits, waits and lost leases do not. */
  attempts: number
  /** Times a worker died holding it. */
  crashes: number
  /** Token of the worker that holds it; null when nobody does. */
  lease: string | null
  lease_until: number | null
  /** Error code of a parked or dead step, or of the last failed attempt. */
  code: string | null
  /** In words. */
  reason: string | null
  /** What it waits for: a callback for this vendor reference to be committed, a submit for its batch. */
  awaiting: string | null
  created_at: number
  updated_at: number
  fence: number
}

/** One execution of a step; the call's timeline is made of these. */
export interface AttemptRow {
  id: string
  step_id: string
  call_id: string | null
  connection: string
  kind: string
  at: number
  took_ms: number
  outcome: 'ok' | 'again' | 'failed' | 'parked' | 'dead' | 'note'
  code: string | null
  /** One line for people. No numbers, names or transcript. */
  says: string
}

export interface SubmissionRow {
  id: string
  call_id: string
  connection: string
  generation: number
  flow: string | null
  /** `intent` is saved before anything is sent. */
  state: 'intent' | 'submitted' | 'done' | 'failed'
  ref: string | null
  /** JSON saved by ctx.checkpoint. */
  checkpoint: string | null
  /** JSON array of the parts it will bring. */
  expects: string
  created_at: number
  /** Of an intent at a service that cannot be asked: when it may have got it. */
  submitted_at: number | null
  done_at: number | null
  /** After this the parts that are missing are no longer waited for. */
  wait_until: number | null
  reason: string | null
  /** What the call counts for where the minutes of a day are capped; null: it was saved by an older version. */
  audio_ms: number | null
  /** JSON: what was heard in the tracks of the recording that was handed over; null: nothing was measured. */
  conversation: string | null
}

/** Submissions that are handed over together. Its step, of the kind `batch`, has the lease. */
export interface BatchRow {
  id: string
  connection: string
  /** What all of them carry. */
  content: 'audio' | 'text'
  /** One is gathering for each connection and content. From `closed` on its members are fixed. */
  state: 'gathering' | 'closed' | 'sent' | 'failed'
  count: number
  bytes: number
  /** The submission that joined last: how a join is known to have been let in. */
  last_member: string | null
  /** When it is sent, should it not be full before. */
  due_at: number
  /** JSON saved by ctx.checkpoint. */
  checkpoint: string | null
  created_at: number
  ended_at: number | null
  reason: string | null
}

export interface BatchMemberRow {
  submission_id: string
  batch_id: string
  /** The submit step that waits for the verdict. */
  step_id: string
  bytes: number
  /** The verdict: the vendor's reference, or JSON of why it was not taken. */
  ref: string | null
  failed: string | null
}

/** A part of a result: the first that arrives counts. */
export interface ResultRow {
  submission_id: string
  part: string
  call_id: string
  via: 'callback' | 'poll' | 'submit'
  received_at: number
  hash: string
  /** JSON of Analysis. */
  analysis: string
}

/** A call's record in one CRM. */
export interface WritebackRow {
  id: string
  call_id: string
  connection: string
  state: 'matched' | 'undecided' | 'written' | 'skipped' | 'failed'
  target_type: string | null
  target_id: string | null
  /** Why this record, in words. */
  target_reason: string | null
  /** `contact/51`: the record that it was on when that was deleted over there. */
  former?: string | null | undefined
  /** JSON of the candidates, best first. */
  candidates: string
  /** 1 when an operator chose the record: matching leaves it alone. */
  chosen: number
  matched_at: number | null
  written_at: number | null
}

export interface WritebackPartRow {
  writeback_id: string
  part: string
  kind: string
  /** Saved before anything is sent: from here on the end may be unknown. */
  intent_at: number | null
  external_id: string | null
  /** Hash of the fields that were written. */
  hash: string | null
  /** JSON: which fields were written, names and lengths only. */
  fields: string | null
  written_at: number | null
}

/** Reserved before an unknown caller's contact is created, so that two calls at once make one. */
export interface PersonRow {
  connection: string
  phone: string
  writeback_id: string
  external_type: string | null
  external_id: string | null
  created_at: number
}

/** What a person must look at: one per (step kind, code, connection). */
export interface IssueRow {
  id: string
  kind: string
  code: string
  connection: string
  state: 'open' | 'acknowledged' | 'ignored' | 'resolved'
  count: number
  first_at: number
  last_at: number
  says: string
  fix: string
  /** The last affected. */
  call_id: string | null
  step_id: string | null
  delivery_id: string | null
}

export interface BreakerRow {
  connection: string
  state: 'closed' | 'open'
  code: string | null
  says: string | null
  failures: number
  opened_at: number | null
  /** When the next try is due; for auth and quota a check, else one step. */
  retry_at: number | null
}

export interface AuditRow {
  id: string
  at: number
  /** Name of the token's role, never the token. */
  actor: string
  action: string
  subject: string
  detail: string
}

/** A vendor's access token that all processes share. */
export interface TokenRow {
  connection: string
  /** The connector's own name of it. */
  name: string
  /** Compare-and-set: every new token adds one; 0 before the first. */
  version: number
  /** Token and what its refresh needs, encrypted with the connection's secrets. */
  sealed: Uint8Array | null
  issued_at: number | null
  /** Null: until it is refused. */
  expires_at: number | null
  /** Of whoever is refreshing it. */
  lease: string | null
  lease_until: number | null
  failed_at: number | null
  /** JSON: why the last refresh failed, without secrets. */
  failure: string | null
}

/** What was taken of a vendor's request budget, where the store keeps it. */
export interface BudgetRow {
  /** Connection, bucket, kind and length of the window. */
  name: string
  /** Of a fixed window. */
  start_at: number
  /** Taken in the fixed window; at the last instant of a rolling one. */
  used: number
  /** How far the time of a rolling window is ahead of the store's clock, since that was set back. */
  ahead_ms: number
  /** When a rolling window was taken from, oldest first, one instant after the other. */
  log: string
  /** What the last one that asked was told: 0, it was taken; else the ms to wait. */
  wait_ms: number
  /** Nobody took from it for so long that it may go. */
  keep_until: number
}

/** Audio that was handed in, and lies in the media store under this id until retention erases it. */
export interface UploadRow {
  id: string
  connection: string
  /** The delivery that names it; where there is none after an hour, nothing does. */
  delivery_id: string
  /** The id that the call was promised: its own, or one more that it is known by. */
  call_id: string
}

/** A name of a call that was erased because somebody asked for it: it makes no call any more. */
export interface ErasedRow {
  /** Keyed, of the connection and the name: names of phone systems may hold numbers. */
  hash: string
  at: number
}

/** Small things of the installation: config hash, last sweep. */
export interface SettingRow {
  name: string
  value: string
  updated_at: number
}

export interface MigrationRow {
  name: string
  at: number
}

export interface Schema {
  deliveries: DeliveryRow
  refusals: RefusalRow
  events: EventRow
  call_keys: CallKeyRow
  calls: CallRow
  steps: StepRow
  attempts: AttemptRow
  submissions: SubmissionRow
  batches: BatchRow
  batch_members: BatchMemberRow
  results: ResultRow
  writebacks: WritebackRow
  writeback_parts: WritebackPartRow
  people: PersonRow
  issues: IssueRow
  breakers: BreakerRow
  audit: AuditRow
  settings: SettingRow
  erased: ErasedRow
  tokens: TokenRow
  budgets: BudgetRow
  uploads: UploadRow
  imports: ImportRow
  import_rows: ImportVerdictRow
  import_files: ImportFileRow
  migrations: MigrationRow
}
