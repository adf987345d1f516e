import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatTranscript, parseTranscript, type Turn } from '../../src/call/roles.ts'

/** `A:` agent, `C:` customer, `?:` other, with the label in brackets: short enough for a table. */
const short = (turns: Turn[]): string[] =>
  turns.map(
    ({ party, label, text }) =>
      `${{ agent: 'A', customer: 'C', other: '?' }[party]}${label ? `[${label}]` : ''} ${text}`,
  )

const TAGGED: [given: string, want: string[]][] = [
  ['<operator> Hello <client> Hi', ['A Hello', 'C Hi']],
  ['<оператор> Добрый день\n<клиент> Здравствуйте', ['A Добрый день', 'C Здравствуйте']],
  ['<operador>Hola<cliente>Buenas', ['A Hola', 'C Buenas']],
  ['<ОПЕРАТОР> да <Абонент> нет', ['A да', 'C нет']],
  ['<Operator> salom <MIJOZ> salom <кардар> салам', ['A salom', 'C salom', 'C салам']],
  ['<operator>Hello</operator> <client>Hi</client>', ['A Hello', 'C Hi']],
  ['<operator>Hello</operator> (music) <client>Hi', ['A Hello', '? (music)', 'C Hi']],
  ['< operator > Hello', ['A Hello']],
  ['recorded line <operator> Hello', ['? recorded line', 'A Hello']],
  ['<operator> <client> Hi <operator>   ', ['C Hi']],
  ['<operator> 2 < 3 <b>bold</b> <client> Hi', ['A 2 < 3 <b>bold</b>', 'C Hi']],
  ['<<operator> Hello', ['? <', 'A Hello']],
  ['<operator> Client: that is what I was called', ['A Client: that is what I was called']],
  ['<operator 2> Hello <client> Hi', ['A[operator 2] Hello', 'C Hi']],
  ['<speaker> Hello', ['?[speaker] Hello']],
]

const LABELLED: [given: string, want: string[]][] = [
  ['Խոսնակ 1: Բարև Խոսնակ 2: Ողջույն', ['?[Խոսնակ 1] Բարև', '?[Խոսնակ 2] Ողջույն']],
  ['ԽՈՍՆԱԿ 1: Բարև', ['?[ԽՈՍՆԱԿ 1] Բարև']],
  ['Operator: Hello, how can I help? Client: Hi', ['A Hello, how can I help?', 'C Hi']],
  ['Оператор: Добрый день\nКлиент: Здравствуйте', ['A Добрый день', 'C Здравствуйте']],
  ['agent: hello\ncustomer: hi', ['A hello', 'C hi']],
  ['  Agent: hello\r\n  Customer: hi', ['A hello', 'C hi']],
  ['**Agent:** hello\n**Customer:** hi', ['A hello', 'C hi']],
  ['- Agent: hello\n- Customer: hi', ['A hello', 'C hi']],
  ['Call of 20 November\nAgent: hello', ['? Call of 20 November', 'A hello']],
  ['Agent: I asked the customer: why?', ['A I asked the customer: why?']],
  ['I told the Operator: no', ['? I told the Operator: no']],
  ['Agent: it is 12:30 now', ['A it is 12:30 now']],
  ['Operator：Hello', ['A Hello']],
  ['Speaker A: one\nspk_1: two', ['?[Speaker A] one', '?[spk_1] two']],
  ['Agent 2: hello', ['A[Agent 2] hello']],
  ['Telecooperator: hello', ['? Telecooperator: hello']],
]

describe('a transcript', () => {
  it.each(TAGGED)('with tags is split into turns: %j', (given, want) => {
    expect(short(parseTranscript(given))).toEqual(want)
  })

  it.each(LABELLED)('with labels is split into turns: %j', (given, want) => {
    expect(short(parseTranscript(given))).toEqual(want)
  })

  it.each([
    ['nobody is named here', ['? nobody is named here']],
    [
      'only <b>html</b> & a link: https://example.test',
      ['? only <b>html</b> & a link: https://example.test'],
    ],
    ['</operator> closed but never opened', ['? </operator> closed but never opened']],
    ['', []],
    [' \n ', []],
    ['<operator>', []],
  ])('without speakers is one turn of nobody known: %j', (given, want) => {
    expect(short(parseTranscript(given))).toEqual(want)
  })

  it('costs work in proportion to its length, whatever it holds', () => {
    const size = 1_000_000
    for (const piece of [
      '<',
      '<<<operator',
      '<operator>',
      '</',
      'operator:',
      ':',
      'Խոսնակ 1: ',
      ' ',
      '*',
      '\n- ',
      "a'",
      '<operator',
      'Agent 1',
    ]) {
      const text = piece.repeat(Math.ceil(size / piece.length))
      const work = { chars: 0 }
      const turns = parseTranscript(`Agent: ${text}`, work)
      // One bounded window (34 characters) at most for each character, in each of the two scans.
      expect(work.chars).toBeLessThanOrEqual(2 * 34 * (text.length + 7))
      expect(turns.length).toBeLessThanOrEqual(text.length)
    }
  })

  it('loses no word and makes no empty turn', () => {
    const piece = fc.constantFrom(
      '<operator>',
      '</client>',
      'Agent:',
      'Խոսնակ 2:',
      '<',
      '>',
      ':',
      ' ',
      '\n',
      'word',
      '**',
      'ß',
      '\ud800',
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
        const text = pieces.join('')
        const turns = parseTranscript(text)
        expect(turns.every((turn) => turn.text.trim() !== '')).toBe(true)
        const count = (of: string) => of.split('word').length
        expect(count(turns.map((turn) => turn.text).join(' '))).toBe(count(text))
      }),
    )
  })
})

describe('writing a transcript for a service', () => {
  const turns: Turn[] = [
    { party: 'agent', text: ' Hello,\nhow can I help? ' },
    { party: 'customer', text: ' \n ' },
    { party: 'customer', text: 'My invoice' },
    { party: 'other', label: 'Խոսնակ 3', text: 'Noise' },
  ]

  it('gives one tagged line per turn that has words', () => {
    const tags = { agent: 'operator', customer: 'client' }
    expect(formatTranscript(turns, tags)).toBe(
      '<operator> Hello, how can I help?\n<client> My invoice\n<other> Noise',
    )
    expect(formatTranscript(turns, { agent: 'оператор', customer: 'клиент', other: 'speaker' })).toBe(
      '<оператор> Hello, how can I help?\n<клиент> My invoice\n<speaker> Noise',
    )
    expect(formatTranscript([])).toBe('')
  })

  it('is read back as the same turns', () => {
    const words = fc
      .array(fc.constantFrom('yes', 'no', 'да', 'Բարև', '12:30', '2', '<', '>', 'Operator:'), {
        minLength: 1,
      })
      .map((list) => list.join(' '))
    const turn = fc.record({ party: fc.constantFrom('agent' as const, 'customer' as const), text: words })
    fc.assert(
      fc.property(fc.array(turn), (given) => {
        expect(parseTranscript(formatTranscript(given))).toEqual(given)
      }),
    )
  })
})
