import type { Turn } from './analysis.ts'
import type { Call, Recording, Result } from './call.ts'

/** A call as parties and dialogs: who spoke, when, and what there is of it. */

export const MEDIA_TYPES: Readonly<Record<NonNullable<Recording['format']>, string>> = {
  mp3: 'audio/x-mp3',
  wav: 'audio/x-wav',
  ogg: 'audio/ogg',
  flac: 'audio/flac',
  m4a: 'audio/x-mp4',
  webm: 'audio/webm',
  aiff: 'audio/aiff',
  au: 'audio/basic',
  mp4: 'video/x-mp4',
}

const DISPOSITIONS: Readonly<Partial<Record<Result, string>>> = {
  no_answer: 'no-answer',
  busy: 'busy',
  failed: 'failed',
  rejected: 'failed',
  abandoned: 'hung-up',
  voicemail: 'voicemail-no-message',
}

type Written = Record<string, unknown>

export function callTo(call: Call): { parties: Written[]; dialog: Written[] } {
  const parties: Written[] = []
  const add = (party: Written | null): number | null => (party === null ? null : parties.push(party) - 1)
  const { customer, agent, from, dialed, direction } = call
  const us = direction === 'outbound' ? from : direction === 'inbound' ? dialed : undefined
  const places: Places = {
    customer: add(
      customer ? { ...tel(customer), ...named(customer), role: 'customer', type: 'person' } : null,
    ),
    agent: add(
      agent
        ? { ...named(agent), ...(agent.group ? { dept: agent.group } : {}), role: 'agent', type: 'person' }
        : null,
    ),
    line: add(us?.phone ? { tel: us.phone, type: 'organization' } : null),
  }
  // Indexes point at parties: one that nobody knows anything of is better than none.
  if (parties.length === 0) parties.push({})
  const dialog = call.medium === 'text' ? messages(call, places, parties) : spoken(call, places)
  return { parties, dialog: dialog.length > 0 ? dialog : spoken(call, places) }
}

interface Places {
  customer: number | null
  agent: number | null
  line: number | null
}

const tel = ({ phone }: { phone: string | null }): Written => (phone === null ? {} : { tel: phone })

const named = ({
  id,
  name,
  email,
}: {
  id?: string | undefined
  name?: string | undefined
  email?: string | undefined
}): Written => ({
  ...(name ? { name } : {}),
  ...(email ? { mailto: email } : {}),
  ...(id ? { uuid: id } : {}),
})

/** A dialog for each recording that can be had; without one, a place-holder that says how the call went. */
function spoken(call: Call, places: Places): Written[] {
  const there = [places.customer, places.agent].filter((place) => place !== null)
  const originator = call.direction === 'outbound' ? places.agent : places.customer
  const common = {
    ...(call.startedAt === undefined ? {} : { start: call.startedAt }),
    // A list has an entry for each track: people who share one stand in a list of their own.
    parties: there.length > 1 ? [there] : (there[0] ?? 0),
    ...(originator === null || call.direction === undefined ? {} : { originator }),
  }
  const ready = call.recordings.filter(({ state }) => state === 'ready')
  if (ready.length > 0)
    return ready.map((recording) => ({ ...recorded(recording), ...onTracks(recording, places, common) }))
  const disposition = call.result && DISPOSITIONS[call.result]
  const duration = call.totalMs === undefined ? {} : { duration: call.totalMs / 1000 }
  if (disposition) return [{ type: 'incomplete', ...common, ...duration, disposition }]
  return [{ type: 'recording', ...common, ...duration }]
}

function recorded({ format, durationMs, url, contentHash }: Recording): Written {
  return {
    type: 'recording',
    ...(durationMs === undefined ? {} : { duration: durationMs / 1000 }),
    ...(format === undefined ? {} : { mediatype: MEDIA_TYPES[format] }),
    // A link without a hash is none by the standard; it stands in the rest.
    ...(url?.startsWith('https:') && contentHash !== undefined ? { url, content_hash: contentHash } : {}),
  }
}

/** With two tracks the parties stand in their order. */
function onTracks({ channels, tracks }: Recording, places: Places, common: Written): Written {
  if (channels !== 2 || !tracks) return common
  const both = [places.customer, places.agent].filter((place) => place !== null)
  const on = (party: 'agent' | 'customer' | 'both' | undefined) =>
    party === undefined ? null : party === 'both' ? both : places[party]
  return { ...common, parties: [on(tracks.left), on(tracks.right)] }
}

/** A chat: a dialog for each message. */
function messages(call: Call, places: Places, parties: Written[]): Written[] {
  const others = new Map<string, number>()
  const place = ({ party, label = '' }: Turn): number => {
    const known = party === 'other' ? (others.get(label) ?? null) : places[party]
    if (known !== null) return known
    const made = parties.push(party === 'other' ? (label ? { name: label } : {}) : { role: party }) - 1
    if (party === 'other') others.set(label, made)
    else places[party] = made
    return made
  }
  return (call.transcript?.turns ?? []).map((turn) => {
    const by = place(turn)
    const start =
      call.startedAt === undefined || turn.startMs === undefined
        ? {}
        : { start: new Date(Date.parse(call.startedAt) + turn.startMs).toISOString() }
    const { text } = turn
    const body = text === '' ? { body: '' } : { mediatype: 'text/plain', encoding: 'none', body: text }
    return { type: 'text', ...start, parties: [by], originator: by, ...body }
  })
}
