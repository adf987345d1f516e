import { z } from 'zod'
import { failOn, readBounded } from '../../../src/connector/fail-on.ts'
import { asObject, parseJson } from '../../../src/connector/json.ts'
import { CordboardError, type ErrorCode, type Retry } from '../../../src/errors.ts'
import { RECORD_ID, type Refusal, refusals } from '../schema.ts'

/** What Salesforce refuses a request with, as an error of ours. */

interface Judged {
  code: ErrorCode
  retry?: Retry
  why?: string
  fix?: string
}

const FIELD_FIX =
  'Show the field to the integration user (field-level security), or take it out of the mapping'
const API_FIX = 'Give the org and the integration user the permission “API Enabled”'

/**
 * By `errorCode`. What is not listed goes by its HTTP status.
 * https://developer.salesforce.com/docs/platform/api-rest/guide/errorcodes.md (read 2026-11-20)
 */
const CODES: Record<string, Judged> = {
  INVALID_SESSION_ID: { code: 'auth' },
  SERVER_UNAVAILABLE: { code: 'vendor_down' },
  UNKNOWN_EXCEPTION: { code: 'vendor_down' },
  QUERY_TIMEOUT: { code: 'timeout' },
  REQUEST_RUNNING_TOO_LONG: { code: 'timeout' },
  DUPLICATE_VALUE: { code: 'duplicate' },
  DUPLICATES_DETECTED: {
    code: 'duplicate',
    why: 'A duplicate rule of the org refuses another record like it',
    fix: 'Use the record that is there, or let the rule alert instead of block',
  },
  FIELD_CUSTOM_VALIDATION_EXCEPTION: {
    code: 'rejected',
    why: 'A validation rule of the org refuses the record',
    fix: 'Except the integration user from the rule, or fill what it asks for by a mapping',
  },
  REQUIRED_FIELD_MISSING: {
    code: 'rejected',
    why: 'The org requires a field that is not written',
    fix: 'Map a value to the field, or give it a default in Salesforce',
  },
  STRING_TOO_LONG: { code: 'rejected' },
  INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST: { code: 'rejected' },
  INVALID_CROSS_REFERENCE_KEY: { code: 'rejected' },
  INVALID_FIELD: { code: 'rejected', fix: FIELD_FIX },
  INVALID_FIELD_FOR_INSERT_UPDATE: { code: 'rejected', fix: FIELD_FIX },
  CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY: { code: 'rejected', why: 'A trigger or flow of the org failed' },
  ENTITY_IS_DELETED: { code: 'gone' },
  NOT_FOUND: { code: 'not_found' },
  INSUFFICIENT_ACCESS_OR_READONLY: { code: 'forbidden' },
  INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY: { code: 'forbidden' },
  API_DISABLED_FOR_ORG: { code: 'forbidden', fix: API_FIX },
  API_CURRENTLY_DISABLED: { code: 'forbidden', fix: API_FIX },
  MULTIPLE_CHOICES: {
    code: 'rejected',
    why: 'Several records carry the same external id',
    fix: 'Make the field of externalIdField unique in Salesforce, and delete the records that are too many',
  },
}

/** What a refusal carries for those who know what to do with it. */
const details = z.object({
  errorCode: z.string(),
  /** The record that a refused one would have doubled. */
  existingId: z.string().optional(),
  /** The unique field that they share. */
  field: z.string().optional(),
})

/** Reads the refusal off an error; an empty object where it is none of Salesforce's. */
export function detailsOf(error: unknown): Partial<z.output<typeof details>> {
  const cause = error instanceof CordboardError ? error.cause : undefined
  return details.safeParse(cause).data ?? {}
}

export async function refusal(
  response: Response,
  what: string,
  { now, random }: { now: () => number; random: () => number },
): Promise<CordboardError> {
  const { status, headers } = response
  const text = await readBounded(response, 65_536)
  const [said] = refusals.safeParse(jsonOf(text)).data ?? []
  const errorCode = status === 300 ? 'MULTIPLE_CHOICES' : (said?.errorCode ?? `HTTP_${status}`)
  const judged = judge(errorCode, said, status, random)
  // Its words alone, without the value that was too long: what else stands in the answer may be what somebody said.
  const message = (said?.message ?? '').replace(/(data value too large): .*(\(max length=\d+\))/s, '$1 $2')
  const words = said === undefined ? text : `${errorCode}: ${message}`
  const failed = await failOn(
    new Response(words || null, { status: status === 300 ? 400 : status, headers }),
    {
      what,
      now,
      codeOf: () => judged?.code,
    },
  ).then(
    () => new CordboardError('internal', `${what}: HTTP ${status}`),
    (thrown: unknown) => thrown,
  )
  if (!(failed instanceof CordboardError)) throw failed
  const existing = existingOf(errorCode, said)
  return new CordboardError(failed.code, failed.message, {
    retry: headers.has('retry-after') ? failed.retry : (judged?.retry ?? failed.retry),
    ...(failed.vendorSaid === undefined ? {} : { vendorSaid: failed.vendorSaid }),
    ...(judged?.why === undefined ? {} : { why: judged.why }),
    ...(judged?.fix === undefined ? {} : { fix: judged.fix }),
    cause: { errorCode, ...existing },
  })
}

function judge(
  errorCode: string,
  said: Refusal | undefined,
  status: number,
  random: () => number,
): Judged | undefined {
  if (errorCode === 'REQUEST_LIMIT_EXCEEDED') {
    // Too many at once is over when those have ended (they run 20 s or more); the day's limit is not.
    return /concurrent/i.test(said?.message ?? '')
      ? { code: 'rate_limited', retry: { afterMs: 20_000 + Math.floor(random() * 10_000) } }
      : { code: 'quota', why: 'The org’s API requests of the last 24 hours are used up' }
  }
  // Somebody else writes to the same account at this moment: soon again, and not all at once.
  if (errorCode === 'UNABLE_TO_LOCK_ROW')
    return { code: 'vendor_down', retry: { afterMs: 500 + Math.floor(random() * 2500) } }
  if (status === 420) return { code: 'vendor_down' }
  return Object.hasOwn(CODES, errorCode) ? CODES[errorCode] : undefined
}

function existingOf(errorCode: string, said: Refusal | undefined): { existingId?: string; field?: string } {
  if (errorCode === 'DUPLICATES_DETECTED') {
    const id = idIn(said?.duplicateResult)
    return id === null ? {} : { existingId: id }
  }
  const told = /(?:(\w{1,80})\s{1,8})?duplicates value on record with id:\s*([A-Za-z\d]{15,18})\b/i.exec(
    said?.message ?? '',
  )
  return told?.[2] ? { existingId: told[2], ...(told[1] ? { field: told[1] } : {}) } : {}
}

/** The first id of a person in what a duplicate rule found; how the answer is built up is not documented where we read. */
function idIn(value: unknown): string | null {
  if (Array.isArray(value)) {
    for (const item of value) {
      const id = idIn(item)
      if (id !== null) return id
    }
    return null
  }
  const object = asObject(value)
  if (!object) return null
  const { Id } = object
  if (typeof Id === 'string' && RECORD_ID.test(Id) && /^(?:003|00Q)/.test(Id)) return Id
  return idIn(Object.values(object))
}

function jsonOf(text: string): unknown {
  try {
    return parseJson(new TextEncoder().encode(text))
  } catch {
    return null
  }
}
