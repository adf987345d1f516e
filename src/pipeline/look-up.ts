import type { CallEvent } from '../call/facts.ts'
import { readDelivery, receiveWith, settleDelivery, unreadable } from './delivery.ts'
import { readTold } from './listed.ts'
import { faultOf, mergeEvents } from './merge.ts'
import type { Outcome, Running } from './step.ts'

/**
 * look_up: a delivery that named calls without telling of them. The vendor is asked what they are, in its own lane, and the
 * answer is merged as if the delivery had said it.
 */
export async function lookUp(running: Running): Promise<Outcome> {
  const { connection } = running
  const { row, request } = await readDelivery(running)
  const { telephony } = connection.connector
  const received =
    row.role === 'list' ? readTold(request) : receiveWith<CallEvent>(connection, telephony?.webhook, request)
  if ('unreadable' in received) return unreadable(running, row, received.unreadable)
  const ids = 'ignored' in received ? [] : (received.lookUp ?? [])
  if (!telephony?.lookUp || ids.length === 0) return { done: 'the connector no longer looks these calls up' }
  const events = await telephony.lookUp(ids, running.context())
  const fault = events.map(faultOf).find((error) => error !== null)
  if (fault) return unreadable(running, row, fault)
  const { says, isErased: _, ...merged } = await mergeEvents(running, events, row)
  const queries = [...merged.queries, settleDelivery(running, row, 'used', null)]
  return { done: says || `${ids.length} looked up, none of them is a call for us`, ...merged, queries }
}
