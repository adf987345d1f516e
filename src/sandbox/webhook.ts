import type { Connector } from '../connector/contract.ts'
import type { Signer } from '../connector/platform.ts'
import type { SandboxWebhook } from '../connector/sandbox.ts'
import { signRaw } from '../connector/sign.ts'

/** Whose webhook it is: the connector and its settings, as the configuration has them. */
export interface Sender {
  id: string
  connector: Connector
  settings: unknown
}

/** A webhook as it goes over the wire, with the signature its vendor would give it. */
export interface SignedWebhook {
  url: string
  method: string
  headers: Record<string, string>
  body: string
}

/** Signs a stand-in's webhook for /hooks/<id> under `publicUrl`, with the newest secret. */
export async function signWebhook(
  sender: Sender,
  webhook: SandboxWebhook,
  publicUrl: string,
  tools: { now: number; signer: Signer },
): Promise<SignedWebhook> {
  const { connector, settings, id } = sender
  const side = connector.telephony?.webhook ?? connector.analysis?.callback ?? connector.crm?.callback
  if (!side) throw new RangeError(`${connector.name} sends no webhooks`)
  const { method, path, query, headers, body } = webhook
  const url = `${publicUrl}/hooks/${id}${path}${query ? `?${query}` : ''}`
  const unsigned = {
    method,
    url,
    path,
    headers: Object.entries(headers),
    body: new TextEncoder().encode(body),
    receivedAt: new Date(tools.now).toISOString(),
  }
  const signed = await signRaw(unsigned, side.verify(settings), tools)
  return {
    url: signed.url,
    method,
    headers: Object.fromEntries(signed.headers),
    body: new TextDecoder().decode(signed.body),
  }
}
