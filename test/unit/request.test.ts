import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeAs, encodeAs, utf8 } from '../../src/connector/encoding.ts'
import { parseForm } from '../../src/connector/form.ts'
import { isSameJson, parseJson } from '../../src/connector/json.ts'
import { inboundRequest, pathOf, queryOf } from '../../src/connector/request.ts'

const form = (body: string, type: string | null = 'application/x-www-form-urlencoded') => [
  ...parseForm(utf8(body), type),
]
const json = (body: string) => parseJson(utf8(body))
const invalid = (message: RegExp | string) =>
  expect.objectContaining({ code: 'invalid_payload', message: expect.stringMatching(message) })
const thrown = (work: () => unknown): unknown => {
  try {
    work()
    return null
  } catch (error) {
    return error
  }
}

describe('urlencoded forms', () => {
  test('plus is a space; empty and repeated fields are kept in order', () => {
    expect(form('a=1+2&b=&a=%2B3&c&%C3%A9=%E2%8C%98')).toEqual([
      ['a', '1 2'],
      ['b', ''],
      ['a', '+3'],
      ['c', ''],
      ['é', '⌘'],
    ])
  })
  test('a leading question mark belongs to the first name', () => {
    expect(form('?a=1')).toEqual([['?a', '1']])
  })
  test('names of prototypes are only names', () => {
    expect(form('__proto__=1&constructor=2')).toEqual([
      ['__proto__', '1'],
      ['constructor', '2'],
    ])
  })
  test('a body of another kind has no fields; one without a kind has', () => {
    expect(form('{"a":1}', 'application/json')).toEqual([])
    expect(form('<a/>', 'text/xml')).toEqual([])
    expect(form('a=1', null)).toEqual([['a', '1']])
    expect(form('a=1', 'text/plain; charset=utf-8')).toEqual([['a', '1']])
  })
  test('more than 1,000 fields or 1 MB are refused', () => {
    expect(form('x=1&'.repeat(999)).length).toBe(999)
    expect(thrown(() => form('x=1&'.repeat(1001)))).toEqual(invalid(/1000 fields/))
    expect(thrown(() => form('&'.repeat(1_000_001)))).toEqual(invalid(/1000 fields/))
    expect(thrown(() => form(`x=${'1'.repeat(1_048_576)}`))).toEqual(invalid(/1048576 are read/))
  })
  test('broken escapes and bytes that are no UTF-8 do not stop it', () => {
    expect(form('a=%zz&b=%')).toEqual([
      ['a', '%zz'],
      ['b', '%'],
    ])
    expect([...parseForm(new Uint8Array([0x61, 0x3d, 0xff, 0xfe]), null)]).toEqual([['a', '��']])
  })
})

describe('multipart forms', () => {
  const BOUNDARY = '------------------------7d8e9f'
  const type = `multipart/form-data; boundary=${BOUNDARY}`
  const body = (delimiter: string, end: string) =>
    [
      delimiter,
      'Content-Disposition: form-data; name="event"',
      '',
      'NOTIFY_END',
      delimiter,
      'content-disposition: form-data; name=text',
      'Content-Type: text/plain',
      '',
      'a + b\r\nsecond line --\r\n',
      delimiter,
      'Content-Disposition: form-data; name="file"; filename="a.mp3"',
      '',
      'bytes',
      delimiter,
      'Content-Disposition: form-data; name="empty"',
      '',
      '',
      end,
    ].join('\r\n')
  const fields = [
    ['event', 'NOTIFY_END'],
    ['text', 'a + b\r\nsecond line --\r\n'],
    ['empty', ''],
  ]

  test.each([
    ['as the standard has it', `--${BOUNDARY}`, `--${BOUNDARY}--\r\n`],
    ['with two dashes too few', BOUNDARY, `${BOUNDARY}--`],
    ['with two dashes too many', `----${BOUNDARY}`, `----${BOUNDARY}--`],
    ['with two dashes behind every delimiter', `--${BOUNDARY}--`, `--${BOUNDARY}--`],
    ['with no closing delimiter', `--${BOUNDARY}`, ''],
    ['with a closing delimiter that breaks off', `--${BOUNDARY}`, `--${BOUNDARY.slice(0, -3)}`],
  ])('text fields %s', (_, delimiter, end) => {
    expect(form(body(delimiter, end), type)).toEqual(fields)
  })

  test('truncated anywhere it gives a beginning of the fields and never fails', () => {
    const whole = body(`--${BOUNDARY}`, `--${BOUNDARY}--\r\n`)
    for (let length = 0; length <= whole.length; length++) {
      for (const [name] of form(whole.slice(0, length), type))
        expect(['event', 'text', 'empty']).toContain(name)
    }
  })

  test('a quoted boundary, and none', () => {
    expect(
      form(
        '--a b\r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n--a b--',
        'multipart/form-data; boundary="a b"',
      ),
    ).toEqual([['x', '1']])
    expect(thrown(() => form('x', 'multipart/form-data'))).toEqual(invalid(/no usable boundary/))
    expect(thrown(() => form('x', 'multipart/form-data; boundary=----'))).toEqual(
      invalid(/no usable boundary/),
    )
  })

  test('a boundary inside a value is a value', () => {
    const text = `--b\r\nContent-Disposition: form-data; name="x"\r\n\r\nsee --b here\r\n--b--`
    expect(form(text, 'multipart/form-data; boundary=b')).toEqual([['x', 'see --b here']])
  })

  test('many parts and many near-boundaries are bounded', () => {
    const part = '--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n'
    expect(thrown(() => form(part.repeat(1001), 'multipart/form-data; boundary=b'))).toEqual(
      invalid(/1000 fields/),
    )
    const started = performance.now()
    form('--b'.repeat(300_000), 'multipart/form-data; boundary=b')
    form(`--b\r\n${'\r\n'.repeat(400_000)}`, 'multipart/form-data; boundary=b')
    expect(performance.now() - started).toBeLessThan(3000)
  })
})

describe('JSON', () => {
  test('is read', () => {
    expect(json('\ufeff{"a":[1,"\\u00e9",null]}')).toEqual({ a: [1, 'é', null] })
  })
  test('64 levels are read, one more is not', () => {
    expect(json(`${'['.repeat(64)}${']'.repeat(64)}`)).toBeTruthy()
    expect(thrown(() => json(`${'['.repeat(65)}${']'.repeat(65)}`))).toEqual(invalid(/deeper than 64/))
    expect(thrown(() => json('{"a":'.repeat(10_000)))).toEqual(invalid(/deeper than 64/))
  })
  test('brackets inside texts are no levels', () => {
    expect(json(JSON.stringify({ a: `${'['.repeat(1000)}"\\${'{'.repeat(1000)}\\\\` }))).toBeTruthy()
  })
  test('a million keys are refused before they are parsed', () => {
    const keys = Array.from({ length: 700_000 }, (_, index) => `"${index.toString(36)}":1`).join(',')
    expect(thrown(() => json(`{${keys}}`))).toEqual(invalid(/more than 500000 values/))
  })
  test('more than 8 MB are refused', () => {
    expect(thrown(() => json(`"${'a'.repeat(8 * 1024 * 1024)}"`))).toEqual(invalid(/8388608 are read/))
  })
  test.each([
    '{"__proto__":{"admin":true},"a":{"constructor":{"prototype":{"x":1}}},"b":[{"prototype":1}],"kept":1}',
    '{"\\u005f_proto__":{"admin":true},"a":{"c\\u006Fnstructor":1},"b":[{"prototyp\\u0065":1}],"kept":1}',
  ])('keys that reach prototypes are dropped: %s', (text) => {
    const value = json(text)
    expect(value).toEqual({ a: {}, b: [{}], kept: 1 })
    expect(Object.keys(value as object)).toEqual(['a', 'b', 'kept'])
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype)
    expect(({} as { admin?: boolean }).admin).toBeUndefined()
  })
  test('such words as values stay', () => {
    expect(json('{"a":"__proto__","b":["constructor"]}')).toEqual({ a: '__proto__', b: ['constructor'] })
  })
  test.each(['', '{', '{"a":1}}', 'NaN', "{'a':1}", '\u0000', '"\\x"', '[1,]'])(
    '%j is invalid, and the error does not quote it',
    (text) => {
      expect(thrown(() => json(text))).toEqual(invalid('^The body is no valid JSON$'))
    },
  )
  /** Whole numbers that a double may have rounded are ids, and come as text. */
  const withIds = (_: string, value: unknown) =>
    Number.isInteger(value) && !Number.isSafeInteger(value) && /^-?\d+$/.test(String(value))
      ? String(value)
      : value
  test('the bounds never refuse what JSON.stringify writes, nor change anything but such ids', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
        const text = JSON.stringify(value)
        fc.pre(!/__proto__|constructor|prototype/.test(text))
        expect(json(text)).toEqual(JSON.parse(text, withIds))
      }),
      { numRuns: 200, examples: [[2 ** 53], [-(2 ** 60)]] },
    )
  })
})

describe('requests', () => {
  const raw = {
    method: 'POST',
    url: 'https://hooks.example.com/hooks/acme/x?a=1+2&a=%3F?',
    path: '/x',
    receivedAt: '2026-03-04T11:22:33.000Z',
  }

  test('are parsed only when somebody asks, and once', () => {
    const request = inboundRequest({
      ...raw,
      headers: [['Content-Type', 'application/json']],
      body: utf8('{"a":1}'),
    })
    expect(request.json()).toBe(request.json())
    expect(request.form()).toBe(request.form())
    expect(request.headers.get('content-type')).toBe('application/json')
    expect(() => inboundRequest({ ...raw, headers: [], body: utf8('{') })).not.toThrow()
  })

  test('know their query and path as received', () => {
    const request = inboundRequest({ ...raw, headers: [], body: utf8('') })
    expect(request.query.getAll('a')).toEqual(['1 2', '??'])
    expect(pathOf(raw.url)).toBe('/hooks/acme/x')
    expect(pathOf('https://hooks.example.com')).toBe('/')
    expect(pathOf('https://hooks.example.com/a/../b%2f#c')).toBe('/a/../b%2f')
    expect([...queryOf('https://hooks.example.com/')]).toEqual([])
  })

  test('headers that cannot be headers are left out', () => {
    const headers = [
      ['x-good', '1'],
      ['bad name', '2'],
      ['x-bad', 'a\nb'],
    ] as const
    const request = inboundRequest({ ...raw, headers, body: utf8('') })
    expect([...request.headers]).toEqual([['x-good', '1']])
  })
})

test('every encoding gives the bytes back, and refuses other text', () => {
  for (const encoding of ['hex', 'base64', 'base64url', 'base64-of-hex'] as const) {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        expect([...(decodeAs(encoding, encodeAs(encoding, bytes)) ?? [])]).toEqual([...bytes])
      }),
      { numRuns: 100 },
    )
    for (const text of ['!', 'a', 'é', 'YQ= =', '\n']) expect(decodeAs(encoding, text)).toBeNull()
  }
})

describe('numbers of JSON', () => {
  test('a whole number that a double would round comes as the text of its digits', () => {
    expect(json('{"id":13399767559614784019,"deep":[-9007199254740993]}')).toEqual({
      id: '13399767559614784019',
      deep: ['-9007199254740993'],
    })
  })

  test('all others are numbers, whatever stands beside them', () => {
    expect(
      json('{"id":13399767559614784019,"a":9007199254740991,"b":1772623425.512,"c":1e30}'),
    ).toMatchObject({
      a: 9007199254740991,
      b: 1772623425.512,
      c: 1e30,
    })
    expect(json('{"text":"13399767559614784019"}')).toEqual({ text: '13399767559614784019' })
  })

  test('says the same: the order of keys does not count, that of lists does', () => {
    const same = (one: string, other: string) => isSameJson(json(one), json(other))
    expect(same('{"a":[1,{"b":null}],"c":"d"}', '{"c":"d","a":[1,{"b":null}]}')).toBe(true)
    expect(same('[1,2]', '[2,1]')).toBe(false)
    expect(same('[1]', '[1,1]')).toBe(false)
    expect(same('{"a":1}', '{"b":1}')).toBe(false)
    expect(same('{"a":1}', '{"a":1,"b":1}')).toBe(false)
    expect(same('{}', '[]')).toBe(false)
    expect(same('null', '{}')).toBe(false)
    expect(same('1', '"1"')).toBe(false)
  })
})
