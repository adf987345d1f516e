import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { connectorIds, loadConnector } from '../../connectors/index.ts'
import { type Analysis, analysis as analysisSchema } from '../../src/call/analysis.ts'
import { type Call, call as callSchema, DIRECTIONS, MEDIA, RESULTS } from '../../src/call/call.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import { newId } from '../../src/call/ids.ts'
import { foldEvents } from '../../src/call/merge.ts'
import { fromVcon, readVcon, toVcon } from '../../src/call/vcon.ts'
import { loadSubject } from '../kit/connector/fixtures.ts'
import { readFolder } from '../kit/connector/folder.ts'
import { SAMPLE_ANALYSIS } from '../kit/connector/samples.ts'
import { ID, OPTIONS, sample } from './vcon-sample.ts'

/** Out as text, as a reader gets it, and back. */
const roundTrip = (call: Call, analysis: Analysis | null = null) =>
  fromVcon(readVcon(JSON.parse(JSON.stringify(toVcon(call, analysis, OPTIONS)))))

describe('a call as a vCon', () => {
  it('has its parties, its recording by track and its analysis where the standard has them', () => {
    expect(toVcon(sample, SAMPLE_ANALYSIS, OPTIONS)).toMatchObject({
      uuid: '019cb40b-fcb4-8000-8000-000000004f4b',
      created_at: OPTIONS.createdAt,
      extensions: ['CC'],
      parties: [
        {
          tel: '+33639980142',
          name: 'Jean',
          mailto: 'jean@example.com',
          uuid: 'c-9',
          role: 'customer',
          type: 'person',
        },
        { name: 'Alice', dept: 'Support', uuid: '101', role: 'agent', type: 'person' },
        { tel: '+33199001234', type: 'organization' },
      ],
      dialog: [
        {
          type: 'recording',
          start: '2026-11-27T09:00:00.000Z',
          duration: 60,
          parties: [1, 0],
          originator: 0,
          mediatype: 'audio/x-wav',
          url: 'https://pbx.example.com/r1.wav',
          content_hash: `sha512-${'a'.repeat(86)}`,
        },
      ],
      analysis: [
        {
          type: 'transcript',
          vendor: 'Scribe',
          dialog: [0],
          encoding: 'json',
          body: SAMPLE_ANALYSIS.transcript,
        },
        {
          type: 'summary',
          vendor: 'Scribe',
          mediatype: 'text/plain',
          encoding: 'none',
          body: SAMPLE_ANALYSIS.summary,
        },
        { type: 'sentiment', vendor: 'Scribe', body: 'neutral' },
        { type: 'report', vendor: 'Scribe' },
      ],
    })
    expect(toVcon(sample, null, OPTIONS)).toEqual(toVcon(sample, null, OPTIONS))
  })

  it('that nobody answered is incomplete, with its disposition', () => {
    const missed = { ...sample, result: 'no_answer' as const, recordings: [], totalMs: 20_000 }
    expect(toVcon(missed, null, OPTIONS).dialog).toEqual([
      {
        type: 'incomplete',
        start: missed.startedAt,
        parties: [[0, 1]],
        originator: 0,
        duration: 20,
        disposition: 'no-answer',
      },
    ])
  })

  it('that is a chat has a dialog for each message', () => {
    const chat: Call = {
      ...sample,
      medium: 'text',
      recordings: [],
      transcript: {
        turns: [
          { party: 'customer', text: 'Hello', startMs: 0 },
          { party: 'other', label: 'Bot', text: 'Wait', startMs: 1_000 },
        ],
      },
    }
    expect(toVcon(chat, null, OPTIONS)).toMatchObject({
      parties: [{ role: 'customer' }, { role: 'agent' }, { type: 'organization' }, { name: 'Bot' }],
      dialog: [
        { type: 'text', start: '2026-11-27T09:00:00.000Z', parties: [0], body: 'Hello', encoding: 'none' },
        {
          type: 'text',
          start: '2026-11-27T09:00:01.000Z',
          parties: [3],
          body: 'Wait',
          mediatype: 'text/plain',
        },
      ],
    })
    expect(roundTrip(chat).call).toEqual(chat)
  })

  it('names no link without its hash, and none that is not https', () => {
    const links = (recording: object) =>
      JSON.stringify(
        toVcon({ ...sample, recordings: [{ key: 'r', state: 'ready', ...recording }] }, null, OPTIONS).dialog,
      )
    expect(links({ url: 'https://pbx.example.com/r' })).not.toContain('pbx.example.com')
    expect(links({ url: 'http://pbx.example.com/r', contentHash: `sha512-${'a'.repeat(86)}` })).not.toContain(
      'http',
    )
  })

  it('points with every index at something that is there', () => {
    fc.assert(
      fc.property(calls, (call) => {
        const file = JSON.parse(JSON.stringify(toVcon(call, SAMPLE_ANALYSIS, OPTIONS))) as Record<
          string,
          unknown[]
        >
        const { parties = [], dialog = [], analysis = [], attachments = [] } = file
        const within = (value: unknown, most: number): boolean =>
          value === null ||
          (Array.isArray(value) ? value.every((one) => within(one, most)) : Number(value) < most)
        for (const one of dialog as Record<string, unknown>[])
          expect(within([one.parties, one.originator ?? 0], parties.length)).toBe(true)
        for (const one of analysis as Record<string, unknown>[])
          expect(within(one.dialog, dialog.length)).toBe(true)
        for (const one of attachments as Record<string, unknown>[])
          expect(within(one.dialog, dialog.length) && within(one.party, parties.length)).toBe(true)
        for (const one of [...dialog, ...analysis, ...attachments] as Record<string, unknown>[]) {
          expect('body' in one && 'url' in one).toBe(false)
          expect('url' in one).toBe('content_hash' in one)
          if ('body' in one && one.body !== '')
            expect([typeof one.encoding, typeof one.mediatype]).toEqual(['string', 'string'])
        }
      }),
    )
  })
})

// ── There and back ──────────────────────────────────────────────────────────────────────────────────────────────────

const text = fc.string({ minLength: 1, maxLength: 20 })
const instant = fc
  .date({ min: new Date('1971-01-01T00:00:00Z'), max: new Date('2100-01-01T00:00:00Z'), noInvalidDate: true })
  .chain((date) => fc.constantFrom(date.toISOString(), date.toISOString().replace(/\.\d+Z/, 'Z')))
const ms = fc.nat()
const party = fc.record({
  phone: fc.constantFrom(null, '+33639980142', '+442079460000'),
  phoneRaw: fc.oneof(text, fc.constant('+33639980142'), fc.constant('')),
})
const agent = fc.record(
  { id: text, name: text, extension: text, email: text, group: text },
  { requiredKeys: [] },
)
const side = fc.constantFrom('agent', 'customer', 'both')
const turns = fc.array(
  fc.record(
    {
      party: fc.constantFrom('agent', 'customer', 'other'),
      label: text,
      text: fc.string(),
      startMs: ms,
      endMs: ms,
    },
    { requiredKeys: ['party', 'text'] },
  ),
  { maxLength: 6 },
)
const calls = fc
  .record(
    {
      medium: fc.constantFrom(...MEDIA),
      direction: fc.constantFrom(...DIRECTIONS),
      result: fc.constantFrom(...RESULTS),
      outcome: text,
      startedAt: instant,
      answeredAt: instant,
      endedAt: instant,
      ringMs: ms,
      talkMs: ms,
      totalMs: ms,
      from: party,
      dialed: party,
      customer: party.chain((one) =>
        agent.map(({ id, name, email }) => JSON.parse(JSON.stringify({ ...one, id, name, email }))),
      ),
      agent,
      legs: fc.array(
        fc.record({ key: text, agent, from: text, startedAt: instant }, { requiredKeys: ['key'] }),
        { maxLength: 3 },
      ),
      segment: text,
      recordings: fc.uniqueArray(
        fc.record(
          {
            key: text,
            url: fc.webUrl(),
            mediaId: text,
            format: fc.constantFrom('mp3', 'wav', 'mp4', 'm4a'),
            durationMs: ms,
            channels: fc.integer({ min: 1, max: 2 }),
            tracks: fc.record({ left: side, right: side }, { requiredKeys: [] }),
            contentHash: fc.constant(`sha512-${'b'.repeat(86)}`),
            state: fc.constantFrom('pending', 'ready', 'absent', 'failed'),
          },
          { requiredKeys: ['key', 'state'] },
        ),
        { maxLength: 3, selector: ({ key }) => key },
      ),
      transcript: fc.record({ turns }),
      reference: text,
      language: text,
      tags: fc.array(text, { maxLength: 3 }),
      meta: fc.dictionary(text, text, { maxKeys: 3 }),
    },
    { requiredKeys: ['medium', 'legs', 'recordings', 'tags', 'meta'] },
  )
  .chain((rest) =>
    fc.nat({ max: 2 ** 40 }).map((at): Call => {
      const id = newId('call', at, () => 0.123_456_789)
      return callSchema.parse(
        JSON.parse(JSON.stringify({ id, source: { connection: 'pbx', callId: 'x' }, ...rest })),
      )
    }),
  )

describe('there and back', () => {
  it('any call is the same', () => {
    fc.assert(
      fc.property(calls, (call) => {
        expect(roundTrip(call).call).toEqual(call)
      }),
      { numRuns: 300 },
    )
  })

  it('any analysis is the same', () => {
    const words = fc.array(text, { maxLength: 3 })
    const analyses = fc.record(
      {
        language: text,
        transcript: fc.record({ turns }),
        title: text,
        summary: fc.string(),
        sentiment: fc.constantFrom('positive', 'neutral', 'negative', 'mixed'),
        scores: fc.dictionary(text, fc.record({ value: fc.integer() })),
        checklist: fc.array(fc.record({ question: text, answer: text }), { maxLength: 2 }),
        topics: words,
        actions: words,
        notes: fc.dictionary(text, text),
        raw: fc.jsonValue(),
      },
      { requiredKeys: [] },
    )
    fc.assert(
      fc.property(analyses, (given) => {
        const analysis = analysisSchema.parse(JSON.parse(JSON.stringify(given)))
        expect(roundTrip(sample, analysis).analysis ?? {}).toEqual(analysis)
      }),
    )
  })

  it.each(connectorIds)('the calls of all fixtures of %s are the same', async (id) => {
    const subject = loadSubject(
      await loadConnector(id),
      readFolder(new URL(`../../connectors/${id}/`, import.meta.url)),
    )
    const events = subject.fixtures.flatMap(({ role, expect: wanted }) =>
      role !== 'analysis' && 'events' in wanted ? (wanted.events as CallEvent[]) : [],
    )
    for (const callId of new Set(events.map((event) => event.callId))) {
      const own = events.filter((event) => event.callId === callId)
      const call = JSON.parse(JSON.stringify(foldEvents(own, { id: ID, connection: id }))) as Call
      expect(roundTrip(call, SAMPLE_ANALYSIS)).toEqual({ call, analysis: SAMPLE_ANALYSIS })
    }
  })

  it('what somebody corrected in the file counts, unless only our own part holds it', () => {
    const file = JSON.parse(JSON.stringify(toVcon(sample, null, OPTIONS)))
    file.parties[1].name = 'Alicia'
    expect(fromVcon(readVcon(file)).call.agent).toEqual({ ...sample.agent, name: 'Alicia' })
  })
})
