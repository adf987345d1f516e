import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  maskPhone,
  nationalForm,
  normaliseInternational,
  normalisePhone,
  phoneSearchKeys,
  phoneTail,
} from '../../src/call/phone.ts'

// Numbers are reserved for fiction (+1 202 555 01xx, +44 7700 900xxx, +33 6 39 98 xx xx) or obvious counting ones.
const NUMBERS: [raw: string, region: string | undefined, e164: string][] = [
  ['+12025550143', undefined, '+12025550143'],
  ['+1 (202) 555-0143', 'FR', '+12025550143'],
  ['(202) 555-0143', 'US', '+12025550143'],
  ['202.555.0143', 'us', '+12025550143'],
  ['12025550143', 'US', '+12025550143'],
  ['12025550143', undefined, '+12025550143'],
  ['+1 202 555 0143 ext. 12', 'US', '+12025550143'],
  ['+1 202 555 0143 доб. 12', 'US', '+12025550143'],
  ['tel:+1-202-555-0143;ext=12', 'US', '+12025550143'],
  ['whatsapp:+12025550143', undefined, '+12025550143'],
  ['"A. Caller" <+12025550143>', undefined, '+12025550143'],
  ['sip:+12025550143@trunk.example', undefined, '+12025550143'],
  ['+12025550143@trunk.example', undefined, '+12025550143'],
  ['sip:2025550143@trunk.example;user=phone', 'US', '+12025550143'],
  ['\u202a+1 202 555 0143\u202c', undefined, '+12025550143'],
  ['＋１２０２５５５０１４３', undefined, '+12025550143'],
  ['07700 900123', 'GB', '+447700900123'],
  ['+44 (0)7700 900123', undefined, '+447700900123'],
  ['0044 7700 900123', 'FR', '+447700900123'],
  ['00447700900123', undefined, '+447700900123'],
  ['011 44 7700 900123', 'US', '+447700900123'],
  ['447700900123', 'GB', '+447700900123'],
  ['447700900123', 'US', '+447700900123'],
  ['++447700900123', undefined, '+447700900123'],
  ['06 39 98 12 34', 'FR', '+33639981234'],
  ['33639981234', 'FR', '+33639981234'],
  ['380671234567', 'UA', '+380671234567'],
  ['380671234567', 'US', '+380671234567'],
  ['380671234567', 'DE', '+380671234567'],
  ['380671234567', undefined, '+380671234567'],
  ['0671234567', 'UA', '+380671234567'],
  ['+0671234567', 'UA', '+380671234567'],
  ['8 (495) 123-45-67', 'RU', '+74951234567'],
  ['٠٥٠١٢٣٤٥٦٧', 'SA', '+966501234567'],
  ['0612345678', 'IT', '+390612345678'],
  ['5215512345678', 'MX', '+525512345678'],
  ['+5215512345678', undefined, '+525512345678'],
  // Ten bare digits: a Danish number, but only where no national number has ten.
  ['4532123456', 'NO', '+4532123456'],
  ['312345', 'AD', '+376312345'],
]

const OTHERS: [kind: string, raws: (string | null | undefined)[]][] = [
  [
    'withheld',
    [
      null,
      undefined,
      '',
      '  ',
      '-',
      '+',
      'anonymous',
      'Anonymous',
      'ANONYMOUS',
      'unknown',
      'Restricted',
      'private',
      'No Caller ID',
    ]
      .concat(['n/a', 'null', 'Скрытый номер', 'Номер не определён', '0000000000', '"Anonymous" <anonymous>'])
      .concat([
        '+266696687',
        '+7378742833',
        '+2562533',
        '+8656696',
        '+86282452253',
        '266696687',
        '00266696687',
      ])
      .concat([
        'sip:anonymous@anonymous.invalid',
        '"Anonymous" <sip:anonymous@anonymous.invalid>',
        'sip:unknown@10.0.0.1',
      ]),
  ],
  ['extension', ['10', '101', '4021', ' 101 ', '123456', '1-01', 'tel:101']],
  ['short', ['112', '911', '999', '0', '116117', '*67', '#31#', '*123#', '+112', '+1', '**']],
  [
    'address',
    [
      'sip:101@pbx.example',
      'sips:alice@pbx.example',
      'client:alice',
      'Client:agent_7',
      'alice@pbx.example',
      'SIP/101-0000a1',
    ].concat([
      'PJSIP/101',
      'webrtc:alice',
      'WebRTC',
      'Local/101@from-internal',
      '101@pbx.example',
      'ws:1',
      '<sip:2025550143@pbx>',
    ]),
  ],
  [
    'unknown',
    [
      'hello',
      '+1800FLOWERS',
      'call 12025550143 now',
      '5550143',
      '1234567890123456789',
      '+9999999999',
      '1'.repeat(200),
    ],
  ],
]

describe('a phone number', () => {
  it.each(NUMBERS)('%j in region %s is %s', (raw, region, e164) => {
    expect(normalisePhone(raw, region)).toEqual({ kind: 'e164', e164, raw })
  })

  it.each(OTHERS.flatMap(([kind, raws]) => raws.map((raw) => [raw, kind] as const)))(
    '%j is %s',
    (raw, kind) => {
      expect(normalisePhone(raw, 'US')).toEqual({ kind, e164: null, raw: raw ?? '' })
    },
  )

  it('spelled like the keypad word RESTRICTED is a number of Texas without the plus', () => {
    expect(normalisePhone('7378742833', 'US').e164).toBe('+17378742833')
  })

  it('of a region nobody knows is read as if there were none', () => {
    expect(normalisePhone('+12025550143', 'XX').e164).toBe('+12025550143')
    expect(normalisePhone('2025550143', 'XX').kind).toBe('unknown')
  })

  it('keeps its form when it is normalised again, in any region', () => {
    const anything = fc.oneof(
      fc.string(),
      fc.string({ unit: fc.constantFrom(...'+0123456789 ()-.*#x;:@<>') }),
    )
    const anyRegion = fc.constantFrom(undefined, 'US', 'DE', 'UA', 'AM', 'JP')
    fc.assert(
      fc.property(anything, anyRegion, anyRegion, (raw, region, other) => {
        const { kind, e164, raw: kept } = normalisePhone(raw, region)
        expect(kept).toBe(raw)
        expect(e164 !== null).toBe(kind === 'e164')
        if (e164) {
          expect(e164).toMatch(/^\+[1-9]\d{3,14}$/)
          expect(normalisePhone(e164, other).e164).toBe(e164)
        }
      }),
      { numRuns: 500 },
    )
  })
})

describe('a number that always has its country code and never its plus', () => {
  it.each([
    ['442079460123', '+442079460123'],
    ['12025550143', '+12025550143'],
    ['33639981234', '+33639981234'],
    // Too short to be whole: read like every other text.
    ['101', null],
    ['anonymous', null],
    ['sip:101@example.com', null],
    ['', null],
    [undefined, null],
  ])('%j is %s, wherever it is read', (raw, want) => {
    for (const region of ['FR', 'US', 'GB', undefined]) {
      const read = normaliseInternational(raw, region)
      expect(read).toMatchObject({ e164: want, raw: raw ?? '' })
    }
  })
})

describe('looking a number up', () => {
  it.each([
    ['+12025550143', undefined, { e164: '+12025550143', tail: '5550143' }],
    ['(202) 555-0143', 'US', { e164: '+12025550143', tail: '5550143' }],
    ['555-0143', 'US', { tail: '5550143' }],
    ['202 555 0143', undefined, { tail: '5550143' }],
    ['0143', 'US', {}],
    ['anonymous', 'US', {}],
    ['Acme', 'US', {}],
    ['', 'US', {}],
  ])('%j in region %s goes by %j', (query, region, keys) => {
    expect(phoneSearchKeys(query, region)).toEqual(keys)
  })

  it('has the last seven digits, and the national form for CRMs that index without the country code', () => {
    expect(phoneTail('+447700900123')).toBe('0900123')
    expect(phoneTail('+4712')).toBe('4712')
    expect(nationalForm('+447700900123')).toBe('7700900123')
    expect(nationalForm('+12025550143')).toBe('2025550143')
    expect(nationalForm('+390612345678')).toBe('0612345678')
    expect(nationalForm('anonymous')).toBeNull()
  })
})

describe('a log line', () => {
  it.each([
    ['from +12025550143', 'from +1********43'],
    ['+44 7700 900123 rang', '+44********23 rang'],
    ['00380671234567', '+380*******67'],
    ['(202) 555-0143', '********43'],
    ['sip:+12025550143@host', 'sip:+1********43@host'],
    ['+12025550143,+33639981234', '+1********43,+33*******34'],
    ['2025-11-20T12:30:00.123Z 101 answered', '2025-11-20T12:30:00.123Z 101 answered'],
    ['call_01JDX3M8E0W5H4ZK1234567QYB', 'call_01JDX3M8E0W5H4ZK1234567QYB'],
    ['port 8080, 25 ms', 'port 8080, 25 ms'],
  ])('hides numbers: %j', (given, want) => {
    expect(maskPhone(given)).toBe(want)
  })

  it('never shows four digits in a row of any number behind its country code', () => {
    fc.assert(
      fc.property(fc.integer({ min: 10_000_000, max: 99_999_999_999 }), (digits) => {
        expect(maskPhone(`+${digits}`).replace(/^\+\d{1,3}\*/, '')).not.toMatch(/\d{3}/)
        expect(maskPhone(`${digits} x`)).toMatch(/^\*+\d\d x$/)
      }),
    )
  })
})
