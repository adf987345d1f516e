import type { ErrorCode } from '../errors.ts'

/** What the shell is told. */
export const EXIT = { ok: 0, failed: 1, usage: 2, config: 3, vendor: 4, interrupted: 130 } as const

const VENDOR: ReadonlySet<ErrorCode> = new Set([
  'auth',
  'forbidden',
  'not_found',
  'gone',
  'rate_limited',
  'quota',
  'rejected',
  'duplicate',
  'vendor_down',
])

export function exitCode(code: ErrorCode): number {
  if (code === 'bad_request') return EXIT.usage
  if (code === 'config') return EXIT.config
  return VENDOR.has(code) ? EXIT.vendor : EXIT.failed
}
