import { maskSecrets } from '../connector/mask.ts'
import type { TokenAsk } from '../connector/tokens.ts'
import { CordboardError, ERRORS, type Retry } from '../errors.ts'

/** Why a refresh failed, as it is told to everybody who waited for it: nothing in it is a secret or a token. */
export interface TokenFailure {
  code: CordboardError['code']
  message: string
  why?: string | undefined
  fix: string
  retry: Retry
  vendorSaid?: string | undefined
}

const LONGEST = 500

/** What a failed refresh leaves for the processes that waited for it, without a secret. */
export function failureOf(
  thrown: unknown,
  { connection, name }: Pick<TokenAsk, 'connection' | 'name'>,
  tokens: readonly (string | undefined)[],
): TokenFailure {
  const hidden = [...connection.secrets, ...tokens.filter((token) => token !== undefined)]
  const mask = (text: string) => maskSecrets(text, hidden).slice(0, LONGEST)
  if (!(thrown instanceof CordboardError)) {
    // Whatever went wrong may quote the vendor's answer, and that holds the token.
    const { fix, retry } = ERRORS[isAbort(thrown) ? 'timeout' : 'internal']
    const what = thrown instanceof Error ? thrown.name : typeof thrown
    return {
      code: isAbort(thrown) ? 'timeout' : 'internal',
      message: `The new ${name} token could not be got: ${what}`,
      fix,
      retry,
    }
  }
  const { code, message, why, fix, retry, vendorSaid } = thrown
  return {
    code,
    message: mask(message),
    fix: mask(fix),
    retry,
    ...(why === undefined ? {} : { why: mask(why) }),
    ...(vendorSaid === undefined ? {} : { vendorSaid: mask(vendorSaid) }),
  }
}

/** The same failure as an error, in whatever process reads it. */
export function toError({ code, message, why, fix, retry, vendorSaid }: TokenFailure): CordboardError {
  return new CordboardError(code, message, {
    fix,
    retry,
    ...(why === undefined ? {} : { why }),
    ...(vendorSaid === undefined ? {} : { vendorSaid }),
  })
}

/** Null when it was written by another version, with a code that is not known here. */
export function readFailure(text: string): TokenFailure | null {
  const failure = JSON.parse(text) as TokenFailure
  return Object.hasOwn(ERRORS, failure.code) ? failure : null
}

const isAbort = (thrown: unknown) =>
  thrown instanceof Error && (thrown.name === 'AbortError' || thrown.name === 'TimeoutError')
