import { describe, expect, it } from 'vitest'
import { loadConnector } from '../../connectors/index.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import { listEnd } from '../../src/connector/list-end.ts'
import { loadSubject } from '../kit/connector/fixtures.ts'
import { readFolder } from '../kit/connector/folder.ts'
import { sampleCall } from '../kit/connector/samples.ts'
import { openWorld, START, type World } from '../kit/connector/world.ts'

/**
 * A list that is asked for up to a moment brings the whole of a call that begins just before it, and leaves out what begins
 * long after: a backfill goes through the years in windows, and begins again where it was.
 */

const HOUR_MS = 3_600_000
const EDGE = START - 5000
/** JustCall's end of the list is not documented. */
const HEEDED = [
  ...['3cx', 'aircall', 'amazon-connect', 'binotel', 'dialpad', 'genesys-cloud', 'mango-office', 'plivo'],
  ...['ringcentral', 'ringover', 'telnyx', 'twilio', 'vonage', 'zadarma', 'zoom-phone'],
]

async function openFor(id: string): Promise<World> {
  const connector = await loadConnector(id)
  return openWorld(loadSubject(connector, readFolder(new URL(`../../connectors/${id}/`, import.meta.url))))
}

async function listed(world: World, until?: string): Promise<CallEvent[]> {
  const events: CallEvent[] = []
  const { telephony } = world.subject.connector
  const since = new Date(START - 24 * HOUR_MS).toISOString()
  for await (const page of telephony?.calls?.(since, world.context(), until) ?? []) events.push(...page)
  return events.sort((a, b) => (a.key < b.key ? -1 : 1))
}

describe('a list with an end', () => {
  it.each(HEEDED)('of %s has all of a call that begins before it, and nothing of later ones', async (id) => {
    const world = await openFor(id)
    // It begins five seconds before the end, and its parts, its end and its recording are behind it.
    world.sandbox.place?.({ ...sampleCall(), startedAt: EDGE - 5000 })
    await world.advance(12 * HOUR_MS)
    const all = await listed(world)
    expect(all.some(({ phase }) => phase === 'ended')).toBe(true)
    const later = {
      ...sampleCall(),
      id: 'kit-call-2',
      customerPhone: '+33639980199',
      startedAt: EDGE + 6 * HOUR_MS,
    }
    world.sandbox.place?.(later)
    await world.advance(12 * HOUR_MS)
    const until = new Date(EDGE).toISOString()
    expect((await listed(world)).length).toBeGreaterThan(all.length)
    // Some vendors want a pause between two lists.
    await world.advance(HOUR_MS)
    expect((await listed(world, until)).map(({ key }) => key)).toEqual(all.map(({ key }) => key))
  })

  it('ends now at the latest', () => {
    const now = () => START
    expect(listEnd({ now }, undefined)).toBe(START)
    expect(listEnd({ now }, new Date(START - HOUR_MS).toISOString())).toBe(START - HOUR_MS)
    expect(listEnd({ now }, new Date(START - HOUR_MS).toISOString(), 60_000)).toBe(START - HOUR_MS + 60_000)
    expect(listEnd({ now }, new Date(START + HOUR_MS).toISOString(), 60_000)).toBe(START)
  })
})
