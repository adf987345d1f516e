import type { Verification } from '../../../src/connector/verification.ts'
import type { Config } from '../schema.ts'

/**
 * How HubSpot signs. v3 is an HMAC with the time in it; only these escapes of the URL are decoded before it is signed. v1 and
 * v2 are plain hashes with the secret in front, and no time: for older apps that send nothing else.
 * https://developers.hubspot.com/docs/apps/legacy-apps/authentication/validating-requests (read 2026-11-20)
 */
export function verification({ appSecret, signature }: Config): Verification {
  // Without a secret nothing verifies: deliveries are refused, never taken unsigned.
  const secrets = appSecret ?? []
  if (signature !== 'v3') {
    const request = signature === 'v2' ? [{ method: true } as const, { url: true } as const] : []
    return {
      scheme: 'hash',
      hash: 'sha256',
      encoding: 'hex',
      place: { header: 'x-hubspot-signature' },
      signed: [{ secret: true }, ...request, { body: true }],
      closedBy: 'json',
      secrets,
    }
  }
  const timestamp = 'x-hubspot-request-timestamp'
  const urlDecoded = '%3A %2F %3F %40 %21 %24 %27 %28 %29 %2A %2C %3B'.split(' ')
  return {
    scheme: 'hmac',
    hash: 'sha256',
    encoding: 'base64',
    header: 'x-hubspot-signature-v3',
    signed: [{ method: true }, { urlDecoded }, { body: true }, { header: timestamp }],
    secrets,
    freshness: { header: timestamp, unit: 'ms', toleranceMs: 300_000 },
  }
}
