import type { SandboxWebhook } from '../../src/connector/sandbox.ts'

let sent = 0

/** A webhook in our own format, of the events that a scenario makes up. */
export function genericWebhook(
  events: readonly Record<string, unknown>[],
  besides: Record<string, unknown> = {},
): SandboxWebhook {
  sent += 1
  return {
    says: 'call.event',
    method: 'POST',
    path: '',
    headers: { 'content-type': 'application/json', 'webhook-id': `msg_${sent}` },
    body: JSON.stringify({ type: 'call.event', events, ...besides }),
  }
}
