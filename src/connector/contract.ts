import type { z } from 'zod'
import type { Analysis, Part, Transcript } from '../call/analysis.ts'
import type { Call, Recording } from '../call/call.ts'
import type { CallEvent } from '../call/facts.ts'
import type { CordboardError } from '../errors.ts'
import type { CrmChange, CrmRole } from './crm-role.ts'
import type { Signer } from './platform.ts'
import type { VerifiableRequest, Verification } from './verification.ts'

/**
 * The connector contract. A connector is the code for one vendor: a plain object given to `defineConnector`. A role
 * exists when its key exists; a capability exists when its method exists. No flags, no globals: time, fetch, randomness
 * and logging come in through `ctx`.
 */

/** Structured log. Values are ids, sizes, codes: never bodies, numbers, names, secrets. */
export interface Log {
  debug(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  error(message: string, fields?: LogFields): void
}
export type LogFields = Record<string, string | number | boolean | null | undefined>

/** What one outbound request may say beside the usual. */
export interface FetchInit {
  method?: string
  headers?: Record<string, string>
  /** A stream is sent as it is read, never collected; give `content-length` in `headers` when it is known. */
  body?: string | Uint8Array | URLSearchParams | FormData | ReadableStream<Uint8Array>
  /** Which request budget it counts against; default `default`. */
  bucket?: string
  /** Until the response's headers are in, in ms; starts anew with each piece of an upload. Default 30,000. */
  timeoutMs?: number
  /** Limit of the response body; default 8 MB. Streams of recordings ask for more. */
  maxBytes?: number
  /** Follow redirects (each hop is checked again; credentials are dropped on another host). Default: none are followed. */
  redirects?: number
}

/**
 * Fetch-shaped. Throws CordboardError: `timeout`, `vendor_down` (no connection), `rate_limited` (our own budget),
 * `blocked_address`, `too_large`. HTTP statuses do not throw: `failOn` turns them into errors.
 */
export type VendorFetch = (url: string | URL, init?: FetchInit) => Promise<Response>

/** What the last refresh left; the token may have ended. */
export interface SharedToken {
  token: string
  keep?: string
}

export interface NewToken {
  token: string
  /** Life from now on; absent: until it is refused. */
  expiresInMs?: number
  /**
   * What the next refresh needs: the refresh token, where the vendor changes it with each use. Stored before the token is
   * used. Absent: what was kept stays.
   */
  keep?: string
}

export interface TokenOptions {
  /**
   * The token that the vendor has just refused: not handed out again. Where it is replaced already, the replacement is
   * the answer; where it is the newest and hardly used, the error is `auth`.
   */
  refused?: string | undefined
  /**
   * The secrets that the token is got with; default all of the connection. The stored token is sealed with them: when one
   * of them changes, `previous` is null, and the configured ones count again.
   */
  from?: readonly string[] | undefined
}

export interface ConnectorContext<Config = unknown> {
  /** The operator's id of this connection. */
  readonly connection: string
  readonly config: Config
  /** ISO 3166-1 alpha-2: default region of national numbers. */
  readonly region: string | undefined
  /** Public URL of this connection's hook, without a trailing slash; absent when no publicUrl is configured. */
  readonly hookUrl: string | undefined
  readonly fetch: VendorFetch
  /**
   * An access token that all processes share, by a name of the connector's own. `fetchNew` runs in one place at a time,
   * whoever asks; all others wait for its result, or are told `timeout` and come back. It gets what the last refresh left,
   * and a `fetch` that is not cut off with the step that asked: an answer that nobody reads may have used up the refresh
   * token. It ends within 35 s. When it throws, all who wait get that error, and for some seconds nobody tries again.
   */
  token(
    name: string,
    fetchNew: (previous: SharedToken | null, fetch: VendorFetch) => Promise<NewToken>,
    options?: TokenOptions,
  ): Promise<string>
  readonly now: () => number
  readonly random: () => number
  readonly log: Log
  readonly signal: AbortSignal
}

// ── Webhooks ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** An authentic request, kept as bytes. `path` is what stands behind /hooks/<connection>, with its slash. */
export interface InboundRequest extends VerifiableRequest {
  path: string
  query: URLSearchParams
  /** When it was received, UTC. Only for vendors whose events carry no time. */
  receivedAt: string
}

/**
 * Either what the request says, or why it says nothing to us. `lookUp`: ids of calls of which it says only that there is
 * something to read (`TelephonyRole.lookUp`). `changes`: what happened to records of a CRM.
 */
export type Received<Event> =
  | { events: Event[]; lookUp?: readonly string[]; changes?: readonly CrmChange[] }
  | { ignored: string }

/** What the pure side of a connector gets: its configuration, no network, no clock. */
export interface MapContext<Config> {
  readonly connection: string
  readonly config: Config
  readonly region: string | undefined
}

export interface Reply {
  status: number
  headers?: Record<string, string>
  body?: string
}

export interface WebhookSide<Config, Event> {
  /**
   * Answered before verification, stores nothing, asks nobody; echoes only a bounded plain token. Null: not a handshake.
   * `signer` is for vendors that want the token back signed with their secret.
   */
  handshake?(
    request: VerifiableRequest,
    ctx: MapContext<Config>,
    signer: Signer,
  ): Reply | null | Promise<Reply | null>
  verify(config: Config): Verification
  /** Answer to an accepted delivery; default 202 with no body. */
  reply?: Reply
  /** What makes two deliveries the same one; default the hash of method, path, query and body. */
  dedupe?: { header: string }
  /** Pure. Throws CordboardError `invalid_payload` when an authentic request cannot be read. */
  receive(request: InboundRequest, ctx: MapContext<Config>): Received<Event>
}

/** One thing that a stream said. `take` resolves when it is stored; only then the next is handed over. */
export interface Heard {
  /** The same when it is said again. */
  key: string
  /** Where the stream goes on behind it, in the vendor's own form; at most 1,000 characters. */
  mark: string
  says: Received<CallEvent>
}

// ── Telephony ───────────────────────────────────────────────────────────────────────────────────────────────────────

export interface TelephonyRole<Config> {
  webhook?: WebhookSide<Config, CallEvent>
  /**
   * Calls that are handed in over our own API, in the form of src/call/intake.ts: its token says who sent them. A connection
   * of such a connector takes nothing at /hooks.
   */
  intake?: Pick<WebhookSide<Config, CallEvent>, 'receive'>
  /** The audio, streamed. The body is read once, straight into the backend. */
  recording?(recording: Recording, call: Call, ctx: ConnectorContext<Config>): Promise<Response>
  /** A link that others can fetch without our credentials, for backends that take URLs; null when there is none. */
  recordingUrl?(recording: Recording, call: Call, ctx: ConnectorContext<Config>): Promise<string | null>
  /** Calls by the vendor's own list, in pages. What begins at `until` or later may be left out, where the vendor can. */
  calls?(since: string, ctx: ConnectorContext<Config>, until?: string): AsyncIterable<CallEvent[]>
  /** Calls by their ids, where a webhook brings only those. What is not there any more, or is ours, is left out. */
  lookUp?(ids: readonly string[], ctx: ConnectorContext<Config>): Promise<CallEvent[]>
  subscribe?(url: string, ctx: ConnectorContext<Config>): Promise<void>
  /**
   * Holds the vendor's stream of events open, and hands over what it says in its order. `from`: the mark of what was stored
   * last, behind which it goes on; null: whatever comes from now on. Ends by throwing only: when the stream breaks off, when
   * `take` throws, when the signal aborts. Whoever called comes again then. For processes that stay: `cordboard listen`.
   */
  listen?(
    from: string | null,
    take: (heard: Heard) => Promise<void>,
    ctx: ConnectorContext<Config>,
  ): Promise<never>
  /** How long to wait for a recording nobody announced, in ms from when the call's end is heard of; default 120,000. */
  recordingWaitMs?: number
}

// ── Analysis ────────────────────────────────────────────────────────────────────────────────────────────────────────

export type AudioFormat = NonNullable<Recording['format']>

export interface Accepts {
  /** Absent: takes no audio. `by`: as an uploaded file, or as a link it downloads itself. */
  audio?: {
    formats: readonly AudioFormat[]
    by: readonly ('file' | 'url')[]
    maxBytes?: number
    minDurationMs?: number
    stereoOnly?: boolean
  }
  /** Takes a ready transcript. `chats`: of conversations in writing only; those by voice go as audio. */
  text?: boolean | 'chats'
  /** Transcripts leave redacted unless the connection says `redact: false`; else only where it says `redact: true`. */
  redacted?: boolean
  languages?: readonly string[]
}

/** Audio under way. `bytes` is null when its size is not known beforehand. */
export interface OpenAudio {
  body: ReadableStream<Uint8Array>
  bytes: number | null
  contentType: string
}

/** The audio on its way from the phone system to the backend. Each `open` and `track` asks the phone system anew. */
export interface AudioSource {
  recording: Recording
  /** Unique, stable file name: the same for every attempt of this submission. */
  fileName: string
  format: AudioFormat
  open(): Promise<OpenAudio>
  /**
   * One track of a recording that has two, as audio of its own. Absent: it is not known to have two, or nothing here can
   * part them. Null: it has one after all.
   */
  track?(side: 'left' | 'right'): Promise<(OpenAudio & { fileName: string }) | null>
  /** A link others can fetch, when the phone system has one. */
  url(): Promise<string | null>
}

export interface SubmitRequest {
  /** Ours, stable over all attempts; travels in the vendor's metadata where there is room. */
  submissionId: string
  /**
   * The same for whatever is sent, short and without dots: what the vendor can be asked for by later. Known again even
   * by a store that was put back from an older copy.
   */
  name: string
  call: Call
  audio?: AudioSource
  text?: Transcript
  /** What `checkpoint` saved in an earlier attempt; absent on the first. */
  state?: unknown
}

export interface SubmitContext<Config> extends ConnectorContext<Config> {
  /** Commits half-way knowledge (a created job, a presigned URL) before going on. JSON, at most 16 KB. */
  checkpoint(state: unknown): Promise<void>
}

export type Polled =
  | { state: 'working'; afterMs: number }
  | { state: 'done'; parts: Partial<Record<Part, Analysis>> }
  /** Some parts are there, the rest is still being worked on. */
  | { state: 'partly'; parts: Partial<Record<Part, Analysis>>; afterMs: number }
  | { state: 'failed'; reason: string }

export interface Submitted {
  ref: string
  /** What came at once, with the answer. */
  parts?: Partial<Record<Part, Analysis>>
}

/** A result that a webhook brought. One of `ref` and `submissionId` says whose it is. */
export interface AnalysisEvent {
  key: string
  ref?: string
  submissionId?: string
  part: Part
  result: Analysis
}

/** Calls that are handed over together. */
export interface BatchRequest {
  /** Ours, stable over all attempts to hand over these very calls. */
  batchId: string
  /** Each passed `validate`; all carry audio, or all carry text. The audio's `recording.bytes` is its exact size. */
  many: readonly SubmitRequest[]
  /** What `checkpoint` saved in an earlier attempt with these calls; absent on the first. */
  state?: unknown
}

/** What became of one of them. */
export type BatchVerdict = { ref: string } | { failed: CordboardError }

/**
 * A way in for many calls at once, taken where the connection says `gather`. The numbers are the most that may be
 * gathered; the operator may ask for less.
 */
export interface BatchSide<Config> {
  maxCount: number
  maxBytes: number
  maxAgeMs: number
  /** Pure. Throws `rejected` when this call can be no row of a batch: asked before anything is sent. */
  validate(request: SubmitRequest, ctx: MapContext<Config>): void
  /**
   * One verdict for each, in their order. Throws `rejected` when the vendor refused the whole because of something in it:
   * then it took nothing, and halves of it are tried until the bad one is alone. Any other error is about all of them.
   * After an attempt whose end is not known it asks the vendor before it sends again, as `find` does.
   */
  submit(batch: BatchRequest, ctx: SubmitContext<Config>): Promise<readonly BatchVerdict[]>
}

export interface AnalysisRole<Config> {
  accepts(config: Config): Accepts
  /** Which parts a submission will bring; the submission is finished when they are in. Empty: push-only. */
  parts(config: Config): readonly Part[]
  submit(request: SubmitRequest, ctx: SubmitContext<Config>): Promise<Submitted>
  /**
   * Did an earlier attempt get through? Asked before submitting again, so that nobody pays twice. Absent: the step parks
   * after an end that nobody saw. A service that keeps nothing always answers null: only asking again brings the result.
   */
  find?(request: SubmitRequest, ctx: ConnectorContext<Config>): Promise<string | null>
  /** `got`: the parts of this submission that are here already. */
  poll?(ref: string, ctx: ConnectorContext<Config>, got?: Partial<Record<Part, Analysis>>): Promise<Polled>
  /** When the first poll is due after submission, in ms; default 10,000. Longer where a webhook is the main way. */
  pollAfterMs?(config: Config): number
  callback?: WebhookSide<Config, AnalysisEvent>
  batch?: BatchSide<Config>
  /** What is left; null: not told. With no more than `reserve` (default 0) nothing is submitted. */
  quota?(ctx: ConnectorContext<Config>): Promise<{ left: number | null; unit: string; reserve?: number }>
}

// ── The object ──────────────────────────────────────────────────────────────────────────────────────────────────────

/** A request budget as the vendor counts it. */
export interface Budget {
  limit: number
  windowMs: number
  /** `fixed`: the window starts at a multiple of its length on the wall clock. `rolling`: any span of that length. */
  window: 'fixed' | 'rolling'
}

export interface Connector<Schema extends z.ZodType = z.ZodType> {
  id: string
  name: string
  /** The vendor's API documentation. */
  docs: string
  config: Schema
  /** One cheap call that proves the credentials; returns what an operator should know (missing scopes as warnings). */
  check(ctx: ConnectorContext<z.output<Schema>>): Promise<CheckResult>
  budgets?(config: z.output<Schema>): Record<string, Budget>
  operations?: Operations<z.output<Schema>>
  telephony?: TelephonyRole<z.output<Schema>>
  analysis?: AnalysisRole<z.output<Schema>>
  crm?: CrmRole<z.output<Schema>>
}

// ── By hand ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** A file that the operator names, read as it is sent. */
export interface GivenFile {
  name: string
  contentType: string
  bytes: number
  open(): Promise<ReadableStream<Uint8Array>>
}

export interface OperationContext<Config> extends ConnectorContext<Config> {
  /** Throws `bad_request` when none was given. */
  file(): GivenFile
  /** A conversation as it may leave: without numbers and addresses where the connection’s transcripts leave redacted. */
  redact(text: string): string
}

/**
 * Something that the vendor's API does and no call needs by itself: reading a list of reports, adding a checklist. For
 * people: `cordboard backend <connection> <resource> <verb> [--name value …] [--file path]`.
 */
export interface Operation<Config, Input extends z.ZodObject = z.ZodObject> {
  /** One line of help: "the reports of the account". */
  says: string
  /** Its page at the vendor. */
  docs: string
  /**
   * Names are those of the options: `perPage` is `--per-page`. Values come as text: use z.coerce for numbers,
   * z.stringbool, and z.array for what may be given more than once.
   */
  input: Input
  /** Costs money or changes what others see: asked for before it is done. */
  changes?: 'costs' | 'changes'
  /** JSON to be shown, or an answer whose body is a file. */
  run(input: z.output<Input>, ctx: OperationContext<Config>): Promise<unknown>
}

/** Types an operation by its input: `const operation = operationFor<Config>()`, then `operation({ … })` for each. */
export const operationFor =
  <Config>() =>
  <Input extends z.ZodObject>(operation: Operation<Config, Input>): Operation<Config> =>
    operation

/** Resource → verb → operation. */
export type Operations<Config> = Readonly<Record<string, Readonly<Record<string, Operation<Config>>>>>

export interface CheckResult {
  /** One line: "account Support, 3 numbers". No secret, no phone number. */
  says: string
  warnings?: readonly { what: string; fix: string }[]
}

/** Types a connector; returns it as it is. */
export function defineConnector<Schema extends z.ZodType>(connector: Connector<Schema>): Connector<Schema> {
  return connector
}
