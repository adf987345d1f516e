import { expect } from 'vitest'
import { utf8 } from '../../src/connector/encoding.ts'
import { inboundRequest, type RawRequest } from '../../src/connector/request.ts'
import type { Verification } from '../../src/connector/verification.ts'
import { verifyRequest } from '../../src/connector/verify.ts'
import { verifier } from './signer.ts'

/** Requests and short words for the tests of the verification engine. */

export const NOW = 1_766_998_937_000

export function raw(
  parts: Partial<Omit<RawRequest, 'body' | 'headers'>> & { body?: string; headers?: Record<string, string> },
) {
  const { body = '', headers = {}, ...rest } = parts
  return {
    method: 'POST',
    url: 'https://hooks.example.com/hooks/acme',
    path: '',
    receivedAt: new Date(NOW).toISOString(),
    ...rest,
    headers: Object.entries(headers),
    body: utf8(body),
  } satisfies RawRequest
}

export const verify = (request: RawRequest, verification: Verification, now = NOW, signer = verifier) =>
  verifyRequest(inboundRequest(request), verification, { now, signer })

export const accepted = { ok: true }
export const refused = (reason: RegExp | string) => ({
  ok: false,
  reason: typeof reason === 'string' ? reason : expect.stringMatching(reason),
})
