import { CordboardError } from '../errors.ts'
import { leafOf } from './s3-xml.ts'

/** A request that S3 refused, or that did not reach it. */
export interface Failure {
  /** S3's own word; of what did not reach it, ours. */
  code: string
  /** Another try may go better. */
  again: boolean
  /** Nothing but a change by the operator helps. */
  repair: boolean
  message: string
  why: string
  fix: string
  cause?: unknown
}

export interface Place {
  host: string
  bucket: string
  region: string
  now: () => number
}

/** During the work every failure is one of the storage: the work is kept and tried again, also after a repair. */
export function unavailable(failure: Failure): CordboardError {
  const { message, ...parts } = failure
  return new CordboardError('storage_unavailable', message, parts)
}

/** For whoever asks whether it works: what only the operator can repair is told from what passes. */
export function diagnosis(failure: Failure): CordboardError {
  const { message, repair, ...parts } = failure
  return new CordboardError(repair ? 'config' : 'storage_unavailable', message, parts)
}

/** What went wrong below S3. Errors that are no such thing are thrown on. */
export function unreachable({ host }: Place, error: unknown): Failure {
  const known = ['vendor_down', 'timeout', 'too_large', 'blocked_address']
  if (!(error instanceof CordboardError) || !known.includes(error.code)) throw error
  return {
    code: 'unreachable',
    again: error.code === 'vendor_down' || error.code === 'timeout',
    repair: false,
    message: `The S3 server ${host} cannot be reached`,
    why: error.message,
    fix: 'Start it, let this machine reach it, or correct S3_ENDPOINT',
    cause: error,
  }
}

/** What S3 said with an error document. Its message is not quoted: it names keys and accounts. */
export function refusal(place: Place, { status, headers }: Response, xml: string): Failure {
  const said = leafOf(xml, 'Code')
  const code = said !== null && /^\w{1,64}$/.test(said) ? said : `HTTP ${status}`
  const passing = PASSING_STATUS.includes(status) || PASSING.includes(code)
  const words = wordsOf(code, status, place, { headers, xml })
  return {
    code,
    again: passing,
    repair: words !== null && !passing,
    ...(words ?? strange(code, status, place)),
  }
}

const PASSING_STATUS: readonly number[] = [408, 429, 500, 502, 503, 504]
/** These may come with a status that sounds final, or inside a 200. The last two are damage on the way. */
const PASSING: readonly string[] = [
  'InternalError',
  'OperationAborted',
  'RequestTimeout',
  'ServiceUnavailable',
  'SlowDown',
  'BadDigest',
  'XAmzContentSHA256Mismatch',
]

type Words = Pick<Failure, 'message' | 'why' | 'fix'>

function strange(code: string, status: number, { host }: Place): Words {
  return {
    message: `The S3 server ${host} does not carry out a request`,
    why: `It answered ${code} (${status})`,
    fix: 'Nothing, if it passes; else look into the log of the S3 server',
  }
}

function wordsOf(
  code: string,
  status: number,
  { host, bucket, region, now }: Place,
  { headers, xml }: { headers: Headers; xml: string },
): Words | null {
  const why = `It answered ${code} (${status})`
  switch (code) {
    case 'NoSuchBucket':
      return {
        message: `The bucket ${bucket} does not exist at ${host}`,
        why,
        fix: 'Create it, or correct S3_BUCKET and S3_ENDPOINT',
      }
    case 'InvalidAccessKeyId':
    case 'SignatureDoesNotMatch':
      return {
        message: `The S3 server ${host} does not accept the credentials`,
        why,
        fix: 'Correct S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY; a secret that was pasted may lack an end',
      }
    case 'ExpiredToken':
    case 'InvalidToken':
      return {
        message: `The S3 server ${host} no longer accepts the temporary credentials`,
        why,
        fix: 'Renew S3_ACCESS_KEY_ID, S3_SECRET_ACCESS_KEY and S3_SESSION_TOKEN together',
      }
    case 'RequestTimeTooSkewed':
      return {
        message: `This machine and the S3 server ${host} disagree about the time${skewOf(headers, now)}`,
        why: `${why}: a signature is good for some minutes around its time`,
        fix: 'Synchronise the clock of this machine (NTP), or that of the S3 server',
      }
    case 'AuthorizationHeaderMalformed':
    case 'IllegalLocationConstraintException':
    case 'PermanentRedirect':
    case 'TemporaryRedirect':
      return wrongRegion()
  }
  if (status === 401 || status === 403) {
    return {
      message: `The credentials lack a permission for the bucket ${bucket} at ${host}`,
      why,
      fix: 'Grant s3:PutObject, s3:GetObject, s3:DeleteObject and s3:AbortMultipartUpload for its objects, and s3:ListBucket for the bucket (without it, what is missing looks forbidden)',
    }
  }
  return status >= 300 && status < 400 ? wrongRegion() : null

  function wrongRegion(): Words {
    const other = headers.get('x-amz-bucket-region') ?? leafOf(xml, 'Region')
    const known = other !== null && /^[\w-]{1,64}$/.test(other) && other !== region
    return {
      message: `The bucket ${bucket} is not served by ${host} as region ${region}`,
      why: known ? `${why}: the region is ${other}` : why,
      fix: `Correct S3_REGION${known ? ` (${other})` : ''} and S3_ENDPOINT`,
    }
  }
}

function skewOf(headers: Headers, now: () => number): string {
  const ms = Date.parse(headers.get('date') ?? '') - now()
  if (Number.isNaN(ms)) return ''
  return `: it is ${Math.round(Math.abs(ms) / 60_000)} minutes ${ms > 0 ? 'later' : 'earlier'} there`
}
