/**
 * The one error class of the project and the one table of its codes.
 *
 * An operator reads four parts: what happened (`message`), why (`why`), what to do (`fix`) and where to read more
 * (the code's page). The pipeline decides from `code` and `retry`, never from a message.
 */

/** What became of the work: never again by itself, later with back-off, or after a delay the other side named. */
export type Retry = 'never' | 'later' | { afterMs: number }

interface ErrorKind {
  /** HTTP status when this error answers a request to us. */
  status: number
  retry: 'never' | 'later'
  title: string
  fix: string
}

const kind = (status: number, retry: ErrorKind['retry'], title: string, fix: string): ErrorKind => ({
  status,
  retry,
  title,
  fix,
})

/** Every code there is. Connectors throw the first group; the others are ours. */
export const ERRORS = {
  // What a vendor's API said.
  auth: kind(
    502,
    'never',
    'The vendor refused our credentials',
    'Check the secret of this connection, then run: cordboard doctor',
  ),
  forbidden: kind(
    502,
    'never',
    'The credentials lack a permission',
    'Grant the scope named in the connector’s README, then rerun the call',
  ),
  not_found: kind(
    502,
    'never',
    'The vendor does not know this object',
    'Check that it was not deleted there; rerun the call to look it up again',
  ),
  gone: kind(502, 'never', 'The link or object has expired', 'Rerun the call: a new link is asked for'),
  rate_limited: kind(
    503,
    'later',
    'The vendor’s request limit is reached',
    'Nothing: the step runs again when the limit allows it',
  ),
  quota: kind(
    502,
    'never',
    'The account’s quota is used up',
    'Buy quota or wait for its renewal; parked steps go on by themselves after the next good check',
  ),
  invalid_payload: kind(
    422,
    'never',
    'What was received cannot be understood',
    'Update the connector, then replay the delivery',
  ),
  rejected: kind(
    502,
    'never',
    'The vendor refused the content',
    'Read the vendor’s words, correct the mapping or the account, then rerun the call',
  ),
  duplicate: kind(502, 'never', 'The vendor already has this', 'Nothing: the existing object is looked up'),
  vendor_down: kind(502, 'later', 'The vendor is not answering properly', 'Nothing: the step is tried again'),
  timeout: kind(504, 'later', 'The vendor did not answer in time', 'Nothing: the step is tried again'),
  blocked_address: kind(
    502,
    'never',
    'The address is private and not allowed',
    'If this host is yours, list it under allowPrivate of the connection',
  ),
  too_large: kind(
    413,
    'never',
    'The body is larger than allowed',
    'Send less, or raise the limit in the configuration',
  ),

  // What a sender to us did.
  webhook_signature: kind(
    401,
    'never',
    'A delivery was refused: it is not authentic',
    'Compare the secret and the public URL with what the vendor signs: cordboard doctor',
  ),
  unknown_connection: kind(
    404,
    'never',
    'No connection has this id',
    'Check the path: /hooks/<connection id>',
  ),
  not_a_webhook: kind(
    404,
    'never',
    'This connection receives no webhooks',
    'Use the polling mode that its connector’s README describes',
  ),
  overloaded: kind(
    503,
    'later',
    'More requests than can be stored right now',
    'Send it again after the time in Retry-After',
  ),
  storage_unavailable: kind(
    503,
    'later',
    'The store cannot take this right now',
    'Send it again after the time in Retry-After',
  ),
  unauthorized: kind(401, 'never', 'A token is needed', 'Send Authorization: Bearer <token>'),
  role_missing: kind(
    403,
    'never',
    'The token’s role does not allow this',
    'Use a token with the role named in the message',
  ),
  bad_request: kind(
    400,
    'never',
    'The request cannot be understood',
    'Correct the parameter named in the message',
  ),
  conflict: kind(
    409,
    'never',
    'The same key was used for something else',
    'Send another Idempotency-Key, or the content that was sent with this one',
  ),
  unknown_object: kind(
    404,
    'never',
    'There is nothing with this id',
    'Check the id; it may have been erased by retention',
  ),

  // What the pipeline met.
  config: kind(500, 'never', 'The configuration is wrong', 'Correct the setting named in the message'),
  connection_gone: kind(
    500,
    'never',
    'The connection was removed from the configuration',
    'Add it back, or rerun the call with today’s flow',
  ),
  flow_gone: kind(
    500,
    'never',
    'The flow was removed from the configuration',
    'Add it back, or rerun the call with today’s flow',
  ),
  ambiguous: kind(
    500,
    'never',
    'It is not known whether the vendor carried out the request',
    'Look in the vendor’s own list, then rerun the call',
  ),
  several_records: kind(
    500,
    'never',
    'Several records of the CRM fit this call alike',
    'Choose one: cordboard choose <call> <type>/<id>',
  ),
  unmatched_result: kind(
    500,
    'never',
    'A result arrived for a submission nobody made',
    'Check that no other system uses this account',
  ),
  no_backend: kind(
    500,
    'never',
    'No analysis connection of the flow takes this call',
    'Read the refusals on the timeline; add a connection that takes this format',
  ),
  no_recording: kind(
    500,
    'never',
    'The recording never came',
    'Check that recording is switched on in the phone system',
  ),
  poisoned: kind(
    500,
    'never',
    'This step took its workers down again and again',
    'Keep the delivery as a fixture and report it; the rest goes on',
  ),
  standstill: kind(
    500,
    'later',
    'Due work is not taken by any worker',
    'Find out why: cordboard doctor; then look at the log of the workers, and restart them',
  ),
  no_server: kind(
    503,
    'later',
    'No server answers there',
    'Start it: cordboard serve, or name the address of another one',
  ),
  lease_lost: kind(
    500,
    'later',
    'Another worker took this step over',
    'Nothing: the other worker’s result counts',
  ),
  internal: kind(500, 'later', 'Cordboard failed', 'Look at the log line with the same id and report it'),
} as const satisfies Record<string, ErrorKind>

export type ErrorCode = keyof typeof ERRORS

interface ErrorParts {
  why?: string
  fix?: string
  retry?: Retry
  cause?: unknown
  /** The vendor's own words, quoted as such, bounded to 500 characters. */
  vendorSaid?: string
}

/** The only error class. `cause` is kept for the log at debug level and never shown to a remote party. */
export class CordboardError extends Error {
  override name = 'CordboardError' as const
  readonly code: ErrorCode
  readonly retry: Retry
  readonly why: string | undefined
  readonly fix: string
  readonly vendorSaid: string | undefined

  constructor(code: ErrorCode, message: string, parts: ErrorParts = {}) {
    super(message, parts.cause === undefined ? undefined : { cause: parts.cause })
    this.code = code
    this.retry = parts.retry ?? ERRORS[code].retry
    this.why = parts.why
    this.fix = parts.fix ?? ERRORS[code].fix
    this.vendorSaid = parts.vendorSaid?.slice(0, 500)
  }
}

/** Anything thrown, as a CordboardError: our own pass through, an abort is a timeout, the rest is `internal`. */
export function asCordboardError(thrown: unknown): CordboardError {
  if (thrown instanceof CordboardError) return thrown
  if (thrown instanceof Error && (thrown.name === 'AbortError' || thrown.name === 'TimeoutError')) {
    return new CordboardError('timeout', 'The work was cut off at its deadline', { cause: thrown })
  }
  const message =
    thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : 'A value that is no error was thrown'
  return new CordboardError('internal', message, { cause: thrown })
}

/**
 * Where an unexpected error came from: its name and places in the code, without its message, which may quote data. For
 * the log.
 */
export function whereFrom(thrown: unknown): string {
  const error = thrown instanceof CordboardError && thrown.cause instanceof Error ? thrown.cause : thrown
  if (!(error instanceof Error)) return typeof error
  const places = (error.stack ?? '').split('\n').map((line) => line.trim())
  return [error.name, ...places.filter((line) => /^at .+:\d+:\d+\)?$/.test(line)).slice(0, 6)].join(' | ')
}

/** RFC 9457 problem document of an error. */
export interface Problem {
  type: string
  title: string
  status: number
  detail: string
  code: ErrorCode
  why?: string
  fix: string
}

export function toProblem(error: CordboardError): Problem {
  const { status, title } = ERRORS[error.code]
  return {
    type: `urn:cordboard:error:${error.code}`,
    title,
    status,
    detail: error.message,
    code: error.code,
    ...(error.why === undefined ? {} : { why: error.why }),
    fix: error.fix,
  }
}
