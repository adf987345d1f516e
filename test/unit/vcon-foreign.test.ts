import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fromVcon, readVcon, toVcon } from '../../src/call/vcon.ts'
import { CordboardError } from '../../src/errors.ts'
import { OPTIONS, sample } from './vcon-sample.ts'

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

  it.each(['constructor', 'toString', 'a word of tomorrow'])(
    'ended somehow where nobody knows %s',
    (disposition) => {
      const file = foreign({
        dialog: [
          { type: 'incomplete', start: '2026-11-27T11:00:00Z', disposition, mediatype: 'audio/constructor' },
        ],
      })
      expect(fromVcon(file).call.result).toBe('failed')
    },
  )

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
