import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ID_PREFIXES, idTime, newId } from '../../src/call/ids.ts'

const NOW = Date.UTC(2025, 10, 20, 12)
const anyMs = fc.integer({ min: 0, max: 2 ** 48 - 1 })
const anyRandom = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })

describe('an id', () => {
  it('has one distinct prefix per kind', () => {
    const prefixes = Object.values(ID_PREFIXES)
    expect(prefixes).toEqual([
      'dlv',
      'call',
      'evt',
      'stp',
      'sub',
      'bat',
      'wbk',
      'iss',
      'att',
      'aud',
      'rpl',
      'med',
      'imp',
    ])
    expect(new Set(prefixes).size).toBe(prefixes.length)
  })

  it('is its prefix and 26 characters of Crockford base32', () => {
    fc.assert(
      fc.property(anyMs, anyRandom, (ms, random) => {
        expect(newId('call', ms, () => random)).toMatch(/^call_[0-7][0-9A-HJKMNP-TV-Z]{25}$/)
      }),
    )
  })

  it('tells the millisecond it was made in', () => {
    fc.assert(
      fc.property(anyMs, anyRandom, (ms, random) => {
        expect(idTime(newId('stp', ms, () => random))).toBe(ms)
      }),
    )
    expect(idTime(newId('stp', NOW + 0.7, () => 0.5))).toBe(NOW)
  })

  it('sorts by time as text', () => {
    fc.assert(
      fc.property(anyMs, anyMs, (a, b) => {
        fc.pre(a < b)
        expect(newId('dlv', a, () => 0.999999) < newId('dlv', b, () => 0)).toBe(true)
      }),
    )
  })

  it('agrees with the layout of ULID at both ends', () => {
    expect(newId('evt', 0, () => 0)).toBe('evt_00000000000000000000000000')
    expect(newId('evt', 2 ** 48 - 1, () => 1 - 2 ** -53)).toBe('evt_7ZZZZZZZZZZZZZZZZZZZZZZZZZ')
    // The example time of the ULID specification.
    expect(newId('evt', 1469918176385, () => 0)).toMatch(/^evt_01ARYZ6S41/)
  })

  it('uses all of its 80 random bits', () => {
    const seen = Array.from({ length: 16 }, () => new Set<string>())
    for (let i = 0; i < 2000; i++) {
      const random = newId('att', NOW, Math.random).slice(-16)
      for (const [at, set] of seen.entries()) set.add(random.charAt(at))
    }
    expect(seen.map((set) => set.size)).toEqual(Array(16).fill(32))
  })

  it('does not repeat within a millisecond', () => {
    const ids = new Set(Array.from({ length: 50_000 }, () => newId('dlv', NOW, Math.random)))
    expect(ids.size).toBe(50_000)
  })

  it.each([-1, Number.NaN, 2 ** 48, Number.POSITIVE_INFINITY])('is refused for the time %s', (ms) => {
    expect(() => newId('call', ms, Math.random)).toThrow(RangeError)
  })

  it.each([
    '',
    'call_',
    'call_01ARYZ6S41',
    '01ARYZ6S410000000000000000',
    'call_8ZZZZZZZZZZZZZZZZZZZZZZZZZ',
    'call_0ILOU6S4100000000000000000',
  ])('has no time in %j', (id) => expect(idTime(id)).toBeNaN())
})
