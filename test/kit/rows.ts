import type { Append } from '../../src/store/port.ts'
import type { CallRow, StepRow } from '../../src/store/schema.ts'

/** Rows for the tests of the store: everything that must be unique is made from a name. */

export const NOW = Date.UTC(2026, 2, 2, 9)

/** A delivery and its step. */
export function entry(name: string | number, change: { delivery?: object; step?: object } = {}): Append {
  const bytes = new TextEncoder().encode(`body of ${name}`)
  return {
    delivery: {
      id: `dlv_${name}`,
      connection: 'support-paris',
      role: 'telephony',
      received_at: NOW,
      method: 'POST',
      url: 'https://calls.example.com/hooks/support-paris/status',
      path: '/status',
      headers: new TextEncoder().encode('[["content-type","text/plain"]]'),
      body: bytes,
      media_id: null,
      bytes: bytes.length,
      dedupe_key: `key of ${name}`,
      repeats: 0,
      state: 'new',
      reason: null,
      ...change.delivery,
    },
    step: step(name, change.step),
  }
}

export function step(name: string | number, change: object = {}): StepRow {
  return {
    id: `stp_${name}`,
    kind: 'merge',
    lane: 'core',
    subject: `dlv_${name}`,
    call_id: null,
    connection: 'support-paris',
    generation: 0,
    flow: null,
    flow_version: null,
    state: 'waiting',
    due_at: NOW,
    attempts: 0,
    crashes: 0,
    lease: null,
    lease_until: null,
    code: null,
    reason: null,
    awaiting: null,
    created_at: NOW,
    updated_at: NOW,
    fence: 0,
    ...change,
  }
}

export function call(name: string | number, change: Partial<CallRow> = {}): CallRow {
  return {
    id: `call_${name}`,
    connection: 'support-paris',
    external_id: `ext-${name}`,
    state: 'open',
    reason: null,
    version: 1,
    generation: 1,
    flow: null,
    flow_version: null,
    started_at: NOW,
    ended_at: null,
    updated_at: NOW,
    wait_until: null,
    waited: 0,
    direction: 'inbound',
    result: 'answered',
    customer_phone: null,
    customer_tail: null,
    agent_extension: null,
    submit_hash: null,
    call: '{}',
    analysis: null,
    joined_into: null,
    fence: 0,
    ...change,
  }
}
