import type { CallEvent, Facts } from '../../src/call/facts.ts'
import { readNumber, type SentNumber } from '../../src/call/sent.ts'
import type { Received } from '../../src/connector/contract.ts'
import { asObject } from '../../src/connector/json.ts'
import { CordboardError } from '../../src/errors.ts'
import { envelope, type SentEvent, sentEvent } from './schema.ts'

/** A body in our own facts format: `{ "type": "call.event", "events": […] }`, or one event by itself. */
export function toEvents(body: unknown, region: string | undefined): Received<CallEvent> {
  const type = asObject(body)?.type
  if (typeof type === 'string' && type !== 'call.event') {
    return { ignored: `type ${type.slice(0, 64)} is not call.event` }
  }
  const sent = type === undefined ? [parse(sentEvent, body)] : listed(body)
  return { events: sent.map((event) => toEvent(event, region)) }
}

function listed(body: unknown): SentEvent[] {
  const { events, data } = parse(envelope, body)
  const all = events ?? (data === undefined ? [] : [data].flat())
  if (all.length === 0) throw unreadable('neither events nor data is there')
  return all
}

function parse<T>(
  schema: { safeParse(value: unknown): { data?: T; error?: ParseError } },
  value: unknown,
): T {
  const { data, error } = schema.safeParse(value)
  if (data !== undefined) return data
  // The first problem says which field; its value may be personal and is left out.
  const [issue] = error?.issues ?? []
  throw unreadable(`${issue?.path.join('.') || 'the body'}: ${issue?.message ?? 'not an event'}`)
}
interface ParseError {
  issues: readonly { path: readonly PropertyKey[]; message: string }[]
}

const unreadable = (why: string) =>
  new CordboardError('invalid_payload', 'The body is no event of the common schema', {
    why,
    fix: 'Compare it with the examples in connectors/generic/fixtures, then replay the delivery',
  })

function toEvent({ facts, ...event }: SentEvent, region: string | undefined): CallEvent {
  const { from, dialed, customer, ...same } = facts
  const read: Facts = { ...same }
  if (from !== undefined) read.from = readNumber(from, region)
  if (dialed !== undefined) read.dialed = readNumber(dialed, region)
  if (customer)
    read.customer = isNumbered(customer) ? { ...customer, ...readNumber(customer, region) } : customer
  return { ...event, facts: read }
}

const isNumbered = ({ phone, phoneRaw }: Exclude<SentNumber, string>): boolean =>
  phone != null || phoneRaw !== undefined
