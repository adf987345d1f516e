import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { connectorIds, loadConnector } from '../../connectors/index.ts'
import { type Analysis, analysis as analysisSchema } from '../../src/call/analysis.ts'
import { type Call, call as callSchema, DIRECTIONS, MEDIA, RESULTS } from '../../src/call/call.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import { newId } from '../../src/call/ids.ts'
import { foldEvents } from '../../src/call/merge.ts'
import { fromVcon, readVcon, toVcon } from '../../src/call/vcon.ts'
import { CordboardError } from '../../src/errors.ts'
import { loadSubject } from '../kit/connector/fixtures.ts'
import { readFolder } from '../kit/connector/folder.ts'
import { SAMPLE_ANALYSIS } from '../kit/connector/samples.ts'

const OPTIONS = { createdAt: '2026-11-27T10:00:00.000Z', vendor: 'Scribe' }
const ID = 'call_01KJT0QZ5M0000000000000KTB'

/** Out as text, as a reader gets it, and back. */
const roundTrip = (call: Call, analysis: Analysis | null = null) =>
  fromVcon(readVcon(JSON.parse(JSON.stringify(toVcon(call, analysis, OPTIONS)))))

const sample: Call = callSchema.parse({
  id: ID,
  source: { connection: 'pbx', callId: '77' },
  direction: 'inbound',
  result: 'answered',
  startedAt: '2026-11-27T09:00:00.000Z',
  totalMs: 61_500,
  from: { phone: '+33639980142', phoneRaw: '+33639980142' },
  dialed: { phone: '+33199001234', phoneRaw: '+33199001234' },
  customer: {
    phone: '+33639980142',
    phoneRaw: '+33639980142',
    name: 'Jean',
    email: 'jean@example.com',
    id: 'c-9',
  },
  agent: { name: 'Alice', group: 'Support', id: '101' },
  recordings: [
    {
      key: 'r1',
      format: 'wav',
      channels: 2,
      tracks: { left: 'agent', right: 'customer' },
      url: 'https://pbx.example.com/r1.wav',
      contentHash: `sha512-${'a'.repeat(86)}`,
      durationMs: 60_000,
      state: 'ready',
    },
  ],
})

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

// ── Those of others ─────────────────────────────────────────────────────────────────────────────────────────────────

const UUID = '019cb5f4-1234-8000-8000-00000000026b'
const foreign = (members: object) => readVcon({ uuid: UUID, created_at: '2026-11-27T10:00:00Z', ...members })

describe('a vCon of somebody else', () => {
  it('is read without guessing who is who', () => {
    const file = foreign({
      parties: [{ tel: 'tel:+33639980142', name: 'A' }, { tel: '+33199001234' }],
      dialog: [
        {
          type: 'recording',
          start: '2026-11-27T11:00:00+02:00',
          duration: 1.5,
          parties: [0, 1],
          originator: 1,
        },
      ],
    })
    expect(fromVcon(file).call).toEqual({
      medium: 'voice',
      startedAt: '2026-11-27T09:00:00.000Z',
      totalMs: 1_500,
      from: { phone: '+33199001234', phoneRaw: '+33199001234' },
      dialed: { phone: '+33639980142', phoneRaw: '+33639980142' },
      legs: [],
      recordings: [],
      tags: [],
      meta: {},
    })
  })

  it('of an earlier draft is read by its old names', () => {
    const file = foreign({
      vcon: '0.0.1',
      redacted: {},
      group: [],
      parties: [{ role: 'agent', name: 'A' }],
      dialog: [{ type: 'text', mimetype: 'text/plain', parties: 0, encoding: 'none', body: 'Hi' }],
      analysis: [{ type: 'summary', vendor: 'V', encoding: 'none', body: 'Short.', schema_version: '1' }],
    })
    expect(fromVcon(file)).toMatchObject({
      call: { medium: 'text', transcript: { turns: [{ party: 'agent', text: 'Hi' }] } },
      analysis: { summary: 'Short.' },
    })
  })

  it('brings transcripts as text and as segments with speakers', () => {
    const of = (entry: object) =>
      fromVcon(
        foreign({ parties: [{ role: 'agent' }, { name: 'Bo' }], analysis: [{ vendor: 'V', ...entry }] }),
      ).analysis?.transcript?.turns
    expect(of({ type: 'transcript', encoding: 'none', body: 'Agent: Hello\nClient: Hi' })).toEqual([
      { party: 'agent', text: 'Hello' },
      { party: 'customer', text: 'Hi' },
    ])
    const segments = [
      { text: 'Hello', speaker: 0, start: 0, end: 1.25 },
      { text: 'Hi', speaker: 1 },
      { text: 'Yes', speaker: 'S3' },
    ]
    expect(of({ type: 'wtf_transcription', encoding: 'json', body: { segments } })).toEqual([
      { party: 'agent', text: 'Hello', startMs: 0, endMs: 1_250 },
      { party: 'other', label: 'Bo', text: 'Hi' },
      { party: 'other', label: 'S3', text: 'Yes' },
    ])
    expect(of({ type: 'wtf_transcription', encoding: 'json', body: { segments: [null] } })).toBeUndefined()
  })

  const refused: [string, object, RegExp][] = [
    ['signed', { payload: 'e30', signatures: [] }, /unsigned form; seen the signed form/],
    ['encrypted', { ciphertext: 'x', recipients: [] }, /unsigned form; seen the encrypted form/],
    ['without an id', { parties: [] }, /uuid/],
    ['of an unknown version', { uuid: UUID, vcon: '9.0' }, /version 0\.0\.1/],
    ['with a critical extension', { uuid: UUID, critical: ['lawful_basis'] }, /critical/],
    ['with the old name of it', { uuid: UUID, must_support: ['x'] }, /critical/],
    [
      'with an index beyond its parties',
      { uuid: UUID, parties: [{}], dialog: [{ type: 'text', parties: [[1]] }] },
      /dialog\.0/,
    ],
    [
      'with body and url',
      { uuid: UUID, dialog: [{ type: 'recording', body: 'x', url: 'https://a.example' }] },
      /body or url/,
    ],
    [
      'with a duration below zero',
      { uuid: UUID, dialog: [{ type: 'recording', duration: -1 }] },
      /dialog\.0\.duration/,
    ],
    ['with dialogs that are no list', { uuid: UUID, dialog: { length: 1 } }, /dialog/],
    ['with numbers for names', { uuid: UUID, parties: [{ name: 7 }] }, /parties\.0\.name/],
  ]
  it.each(refused)('%s is refused with what is supported', (_, file, says) => {
    const attempt = () => readVcon(file)
    expect(attempt).toThrow(CordboardError)
    expect(attempt).toThrow(says)
  })
  it.each([null, [], 'text', 7, undefined])('that is %j is refused', (value) => {
    expect(() => readVcon(value)).toThrow(/JSON object/)
  })

  it('however it is made, is read or refused in our words', () => {
    const anything = fc.object({
      key: fc.constantFrom(
        'uuid',
        'parties',
        'dialog',
        'analysis',
        'attachments',
        'type',
        'body',
        'purpose',
        'encoding',
      ),
      values: [
        fc.string(),
        fc.integer(),
        fc.constantFrom(UUID, 'cordboard-call', 'json', 'recording', 'text'),
      ],
      maxDepth: 5,
    })
    fc.assert(
      fc.property(anything, (value) => {
        try {
          fromVcon(readVcon({ uuid: UUID, ...value }))
        } catch (error) {
          expect(error).toBeInstanceOf(CordboardError)
        }
      }),
      { numRuns: 500 },
    )
  })

  it('that brings an attachment of ours which does not fit is read without it', () => {
    const file = JSON.parse(JSON.stringify(toVcon(sample, null, OPTIONS)))
    file.attachments[0].body = { call: { direction: 'sideways' }, absent: 7 }
    expect(fromVcon(readVcon(file)).call).toMatchObject({
      direction: 'inbound',
      recordings: [{ key: 'dialog-0' }],
    })
  })
})
