import type { Call } from '../call/call.ts'
import { phoneTail } from '../call/phone.ts'
import type { CallRow } from '../store/schema.ts'

/** The columns of a call that lists filter and sort by. `startedAt` falls back to when we first heard of it. */
export function searchable(call: Call, heardAt: number) {
  return {
    started_at: call.startedAt === undefined ? heardAt : Date.parse(call.startedAt),
    ended_at: call.endedAt === undefined ? null : Date.parse(call.endedAt),
    direction: call.direction ?? null,
    result: call.result ?? null,
    customer_phone: call.customer?.phone ?? null,
    customer_tail: call.customer?.phone ? phoneTail(call.customer.phone) : null,
    agent_extension: call.agent?.extension ?? null,
    call: JSON.stringify(call),
  } satisfies Partial<CallRow>
}

/** The stored call; our own JSON, so it is not validated again. */
export const callOf = (row: Pick<CallRow, 'call'>): Call => JSON.parse(row.call) as Call
