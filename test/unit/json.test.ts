import { describe, expect, it } from 'vitest'
import { parseJson } from '../../src/connector/json.ts'
import { asCordboardError } from '../../src/errors.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const codeOf = (work: () => unknown) => {
  try {
    work()
    return 'ok'
  } catch (error) {
    return asCordboardError(error).code
  }
}

describe('JSON with exact ids', () => {
  it.each([
    ['{"id":5012345678901234567}', { id: '5012345678901234567' }],
    ['[-9223372036854775808]', ['-9223372036854775808']],
    [
      '{"at":1766998800000,"ms":127000.0,"id":123456789012345}',
      { at: 1766998800000, ms: 127000, id: 123456789012345 },
    ],
    ['[1234567890123456.5,1234567890123456e3]', [1234567890123456.5, 1234567890123456e3]],
    [String.raw`{"said":"{\"id\": 5012345678901234567}, \\"}`, { said: '{"id": 5012345678901234567}, \\' }],
    ['{"5012345678901234567":5012345678901234567}', { '5012345678901234567': '5012345678901234567' }],
    [' [ 5012345678901234567 , -5012345678901234567\n] ', ['5012345678901234567', '-5012345678901234567']],
    ['5012345678901234567', '5012345678901234567'],
    [
      String.raw`{"a\\":5012345678901234567,"b":"\"5012345678901234567"}`,
      { 'a\\': '5012345678901234567', b: '"5012345678901234567' },
    ],
  ])('%s', (text, value) => {
    expect(parseJson(bytes(text))).toEqual(value)
  })
  it('is bounded as all JSON is', () => {
    for (const text of [
      '',
      '{"a":',
      '[[[',
      `${'['.repeat(100)}${']'.repeat(100)}`,
      '5012345678901234567 7',
      '7 5012345678901234567',
      '{5012345678901234567:1}',
      '{5012345678901234567}',
      '[05012345678901234567]',
      '[--5012345678901234567]',
      '[5012345678901234567"]',
      '{"a":5012345678901234567:1}',
      '{"a" 5012345678901234567}',
      '"5012345678901234567',
      '"\\',
      '\u0000',
    ]) {
      expect(
        codeOf(() => parseJson(bytes(text))),
        text.slice(0, 20),
      ).toBe('invalid_payload')
    }
    expect(codeOf(() => parseJson(bytes('[1,2,3]'), 6))).toBe('invalid_payload')
    expect(parseJson(bytes('{"__proto__":1234567890123456789,"a":1}'))).toEqual({ a: 1 })
  })

  it('has few names: no engine bears a shape for each of half a million', () => {
    const names = (count: number, at = 0) =>
      Array.from({ length: count }, (_, n) => `"k${n + at}":1`).join(',')
    expect(codeOf(() => parseJson(bytes(`{${names(20_000)}}`)))).toBe('ok')
    expect(codeOf(() => parseJson(bytes(`{${names(20_001)}}`)))).toBe('invalid_payload')
    const apart = Array.from({ length: 20_001 }, (_, n) => `{"k${n}" : 1}`).join()
    expect(codeOf(() => parseJson(bytes(`[${apart}]`)))).toBe('invalid_payload')
    const same = Array.from({ length: 100_000 }, (_, n) => `{"k":"${n}"}`).join()
    expect(codeOf(() => parseJson(bytes(`[${same}]`)))).toBe('ok')
  })

  it('knows unsafe names in any spelling, and no text for a name', () => {
    expect(
      parseJson(bytes(String.raw`{"\u005f_proto__":{"x":1},"a":[{"c\u006fnstructor" :2,"b":1}]}`)),
    ).toEqual({
      a: [{ b: 1 }],
    })
    expect(parseJson(bytes('{"a":"constructor","b":["__proto__"]}'))).toEqual({
      a: 'constructor',
      b: ['__proto__'],
    })
    expect(({} as { x?: number }).x).toBeUndefined()
  })
})
