import type { InboundRequest } from '../connector/contract.ts'
import type { Signer } from '../connector/platform.ts'
import { toHex } from './hash.ts'

const ENCODER = new TextEncoder()

/** What makes two deliveries the same one: the vendor’s own id of it, or all that was sent. */
export async function dedupeKey(
  signer: Signer,
  inbound: InboundRequest,
  dedupe: { header: string } | undefined,
): Promise<string> {
  const named = dedupe && inbound.headers.get(dedupe.header)
  if (named && named.length <= 200) return `h:${named}`
  const from = inbound.url.indexOf('/hooks/')
  const head = ENCODER.encode(`${inbound.method} ${inbound.url.slice(from)}\n`)
  const all = new Uint8Array(head.length + inbound.body.length)
  all.set(head)
  all.set(inbound.body, head.length)
  const pending = signer.digest('sha256', all)
  return toHex(pending instanceof Promise ? await pending : pending)
}
