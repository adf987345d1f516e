import { type connectorIds, loadConnector } from '../../../connectors/index.ts'
import { utf8 } from '../../../src/connector/encoding.ts'
import { inboundRequest, type RawRequest } from '../../../src/connector/request.ts'
import type { Verification } from '../../../src/connector/verification.ts'
import { verifyRequest } from '../../../src/connector/verify.ts'
import { verifier } from '../../kit/signer.ts'

export const URL_OF_HOOK = 'https://hooks.example.com/hooks/pbx'

export function rawRequest(body: string, headers: Record<string, string>, url = URL_OF_HOOK): RawRequest {
  return {
    method: 'POST',
    url,
    path: '',
    headers: Object.entries(headers),
    body: utf8(body),
    receivedAt: '2026-11-27T12:00:00.000Z',
  }
}

export const accepts = async (raw: RawRequest, verification: Verification, now: number): Promise<boolean> =>
  (await verifyRequest(inboundRequest(raw), verification, { now, signer: verifier })).ok

/** How a connector says that its webhooks are verified. */
export async function verificationOf(
  id: (typeof connectorIds)[number],
  settings: object,
): Promise<Verification> {
  const connector = await loadConnector(id)
  const verification = connector.telephony?.webhook?.verify(connector.config.parse(settings))
  if (!verification) throw new RangeError(`${id} has no webhook`)
  return verification
}
