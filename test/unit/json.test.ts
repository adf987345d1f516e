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
})
