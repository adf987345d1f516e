import { describe, expect, test } from 'vitest'
import type { CallEvent } from '../../../src/call/facts.ts'
import { foldEvents } from '../../../src/call/merge.ts'
import { inboundRequest } from '../../../src/connector/request.ts'
import { contextOf, rawOf, type Subject, sideFor } from './fixtures.ts'

const MOST_PERMUTED = 5

/** Phone systems deliver late, twice and out of order. */
export function orderTests(subject: Subject): void {
  describe('order', () => {
    test('any order and any repetition of a call’s events gives the same call', () => {
      for (const events of callsOf(subject)) {
        const base = { id: 'call_kit', connection: 'acme', callId: events[0]?.callId ?? '' }
        const wanted = foldEvents(events, base)
        const first = events.slice(0, MOST_PERMUTED)
        const rest = events.slice(MOST_PERMUTED)
        for (const order of permutations(first)) {
          expect(foldEvents([...order, ...rest], base)).toEqual(wanted)
          expect(foldEvents([...rest, ...order, ...order], base)).toEqual(wanted)
        }
      }
    })
  })
}

/** The call events of all fixtures, those that share an id together. */
function callsOf(subject: Subject): CallEvent[][] {
  const calls: { ids: Set<string>; events: CallEvent[] }[] = []
  for (const event of subject.fixtures.flatMap((fixture) => callEventsOf(subject, fixture))) {
    const ids = new Set([event.callId, ...(event.alsoKnownAs ?? [])])
    const own = calls.filter((call) => !call.ids.isDisjointFrom(ids))
    const joined = {
      ids: own.reduce((all, call) => all.union(call.ids), ids),
      events: [...own.flatMap((call) => call.events), event],
    }
    calls.splice(0, calls.length, ...calls.filter((call) => !own.includes(call)), joined)
  }
  return calls.map((call) => call.events)
}

function callEventsOf(subject: Subject, fixture: Subject['fixtures'][number]): CallEvent[] {
  if (fixture.role === 'analysis' || !('events' in fixture.expect)) return []
  const received = sideFor(subject, fixture).receive(
    inboundRequest(rawOf(fixture)),
    contextOf(subject, fixture),
  )
  return 'events' in received ? (received.events as CallEvent[]) : []
}

export function permutations<T>(items: readonly T[]): T[][] {
  if (items.length <= 1) return [[...items]]
  return items.flatMap((item, index) =>
    permutations([...items.slice(0, index), ...items.slice(index + 1)]).map((rest) => [item, ...rest]),
  )
}
