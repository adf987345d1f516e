import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createRedactor, redactTranscript } from '../../src/call/redact.ts'

const redact = (text: string) =>
  createRedactor({ AGENT: ['Alice Martin'], CUSTOMER: ['Ольга Иванова'] })(text)

describe('redaction', () => {
  test.each([
    ['mail me at Jean.Dupont+x@mail.example.com.', 'mail me at [EMAIL_1].'],
    ['IBAN DE89 3704 0044 0532 0130 00, please', 'IBAN [IBAN_1], please'],
    ['gb82west12345698765432', '[IBAN_1]'],
    ['my card is 4111 1111 1111 1111', 'my card is [CARD_1]'],
    ['card 4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 ok', 'card [CARD_1] ok'],
    ['4111 1111 1111 1111 12/26', '[CARD_1]'],
    ['call +33 6 39 98 01 42 or 06 39 98 01 42', 'call [PHONE_1] or [PHONE_1]'],
    ['call (0639) 980-142 now', 'call [PHONE_1] now'],
    ['0639980142 0639980143', '[PHONE_1] [PHONE_2]'],
    ['Thank you, ALICE. Mrs Martin is here', 'Thank you, [AGENT]. Mrs [AGENT] is here'],
    ['[alice_martin]', '[[AGENT]_[AGENT]]'],
    ['Alice Martin speaking', '[AGENT] speaking'],
    ['с Ольгой Ивановой, для Иванова', 'с [CUSTOMER], для [CUSTOMER]'],
  ])('%j becomes %j', (text, wanted) => {
    expect(redact(text)).toBe(wanted)
  })

  test.each([
    'order 123456, 20 pieces for 15 000 000 sum on 2026-03-04 at 11:22, or 4.3.2026',
    'between 2019-2024, room 12, extension 101',
    'Alicent, Martini, malice; write to me @ noon',
  ])('%j stays', (text) => {
    expect(redact(text)).toBe(text)
  })

  test('the same thing has the same tag in all turns, and roles and times stay', () => {
    const turns = [
      { party: 'agent' as const, text: 'Is it +33639980142?', startMs: 5 },
      { party: 'customer' as const, text: 'No, 06 39 98 01 43. Not 0639980142, Alice' },
    ]
    const call = { agent: { name: 'Alice Martin' }, legs: [{ key: 'l', agent: { name: 'Bob' } }] }
    expect(redactTranscript({ turns }, call)).toEqual({
      turns: [
        { party: 'agent', text: 'Is it [PHONE_1]?', startMs: 5 },
        { party: 'customer', text: 'No, [PHONE_2]. Not [PHONE_1], [AGENT]' },
      ],
    })
  })

  test('a label that names a party is no way out', () => {
    const turns = [
      { party: 'other' as const, label: 'Bob', text: 'hello' },
      { party: 'other' as const, label: 'Speaker 1', text: 'hi' },
    ]
    const call = { legs: [{ key: 'l', agent: { name: 'Bob' } }] }
    expect(redactTranscript({ turns }, call).turns.map(({ label }) => label)).toEqual([
      '[AGENT]',
      'Speaker 1',
    ])
  })

  test('names that hold signs of patterns are only names', () => {
    const one = createRedactor({ AGENT: ['(a+)+$ [x] O’Neil-Smith', undefined, '', '.*'] })
    expect(one('Mr O’Neil-Smith said: everything')).toBe('Mr [AGENT] said: everything')
  })
})

const words = fc.stringMatching(/^(?: ?[a-z,]{1,12}){0,6}$/)
const digits = (length: number) => fc.stringMatching(new RegExp(`^\\d{${length}}$`))
const separated = (text: string, every: number, by: string) =>
  text.replaceAll(new RegExp(`.{${every}}(?=.)`, 'g'), `$&${by}`)
const by = fc.constantFrom('', ' ', '-', '\u00a0')
const every = fc.integer({ min: 1, max: 5 })
/** Digits of a text beside those of the tags. */
const bare = (text: string) => text.replaceAll(/\[[A-Z]+(?:_\d+)?\]/g, '').replaceAll(/\D/g, '')

describe('whatever stands around it, of', () => {
  test('a card number nothing is left', () => {
    const card = fc.integer({ min: 12, max: 18 }).chain(digits).map(withLuhn)
    fc.assert(
      fc.property(words, card, every, by, words, (before, number, n, sign, after) => {
        const text = `${before} ${separated(number, n, sign)} ${after}`
        expect(bare(redact(text))).toBe('')
      }),
    )
  })

  test('an IBAN nothing is left', () => {
    const country = fc.constantFrom(['DE', 18], ['FR', 23], ['KZ', 16], ['NO', 11]) as fc.Arbitrary<
      [string, number]
    >
    const iban = country.chain(([code, length]) => digits(length).map((rest) => withCheck(code, rest)))
    fc.assert(
      fc.property(
        words,
        iban,
        every,
        by.filter((sign) => sign !== '\u00a0'),
        words,
        (before, number, n, sign, after) => {
          const text = redact(`${before} ${separated(number, n, sign)} ${after}`)
          expect(text).toMatch(/\[IBAN_1\]/)
          expect(bare(text)).toBe('')
        },
      ),
    )
  })

  test('a phone number nothing is left', () => {
    const national = fc.integer({ min: 9, max: 15 }).chain(digits)
    const sign = fc.constantFrom('', ' ', '-', '.')
    fc.assert(
      fc.property(
        words,
        fc.constantFrom('+', '+(', ''),
        national,
        sign,
        words,
        (before, plus, number, s, after) => {
          const text = `${before} ${plus}${separated(number, 2, s)} ${after}`
          expect(bare(redact(text))).toBe('')
        },
      ),
    )
  })

  test('an e-mail address nothing is left', () => {
    fc.assert(
      fc.property(words, fc.emailAddress(), words, (before, address, after) => {
        expect(redact(`${before} ${address} ${after}`)).not.toContain('@')
      }),
    )
  })

  test('a name nothing is left, in any case', () => {
    const name = fc.stringMatching(/^[A-Z][a-z]{2,9} [A-Z][a-z]{2,9}$/)
    fc.assert(
      fc.property(words, name, fc.boolean(), words, (before, who, isUpper, after) => {
        const said = isUpper ? who.toUpperCase() : who.toLowerCase()
        const text = createRedactor({ CUSTOMER: [who] })(`${before} ${said} ${after}`)
        for (const part of who.toLowerCase().split(' '))
          expect(text.toLowerCase().split(/[^\p{L}]+/u)).not.toContain(part)
      }),
    )
  })
})

test('a text without names, signs and digits stays as it is, and one that was redacted too', () => {
  const one = () => createRedactor({ AGENT: ['Alice Martin'] })
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'bcd \n,.!?'), maxLength: 200 }), (text) => {
      expect(one()(text)).toBe(text)
    }),
  )
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => {
      const once = one()(text)
      expect(one()(once)).toBe(once)
    }),
  )
})

/** A pattern that backtracks would need hours. */
test.each([
  '1 ',
  '1',
  '@',
  'a@',
  'aaaaaaaa @',
  'DE89 ',
  'alice',
  'Alice ',
  '+',
  '[',
  '((((((( ',
  '4111 1111 1111 1111 ',
])('300,000 signs of %j are looked at once', (piece) => {
  const text = piece.repeat(Math.ceil(300_000 / piece.length))
  const began = performance.now()
  redact(text)
  expect(performance.now() - began).toBeLessThan(5_000)
})

function withLuhn(digits: string): string {
  const last = [...'0123456789'].find((digit) => luhn(digits + digit) === 0)
  return digits + last
}

function luhn(digits: string): number {
  const doubled = [...digits].reverse().map((digit, i) => Number(digit) * (i % 2 === 0 ? 1 : 2))
  return doubled.reduce((sum, value) => sum + (value > 9 ? value - 9 : value), 0) % 10
}

function withCheck(country: string, rest: string): string {
  const value = BigInt([...`${rest}${country}00`].map((char) => Number.parseInt(char, 36)).join(''))
  return `${country}${String(98n - (value % 97n)).padStart(2, '0')}${rest}`
}
