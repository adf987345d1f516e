import { expect, test } from 'vitest'
import { asks, sameNumber } from '../../src/connector/crm-match.ts'
import { isSamePlace, placedId, readPlacedId } from '../../src/connector/placed-id.ts'
import { namedHost } from '../../src/connector/recording-host.ts'

test('an id that carries its record is read as it was written, and one that carries none is whole', () => {
  const place = { type: 'contact', id: '7' }
  expect(placedId(place, '123')).toBe('contact/7/123')
  expect(readPlacedId('contact/7/123')).toEqual({ place, id: '123' })
  expect(placedId(null, '123')).toBe('123')
  for (const bare of ['123', 'contacts/123', ''])
    expect(readPlacedId(bare)).toEqual({ place: null, id: bare })
})

test('a place is the same when kind and id are, and nowhere is nowhere', () => {
  const place = { type: 'contact', id: '7' }
  expect(isSamePlace(place, { ...place })).toBe(true)
  expect(isSamePlace(place, { ...place, id: '8' })).toBe(false)
  expect(isSamePlace(place, { ...place, type: 'lead' })).toBe(false)
  expect(isSamePlace(place, null)).toBe(false)
  expect(isSamePlace(null, null)).toBe(true)
})

test('facts are asked for where the rule looks at them and two to twenty records are there', () => {
  for (const [records, isWorthIt] of [
    [0, false],
    [1, false],
    [2, true],
    [20, true],
    [21, false],
  ] as const) {
    expect(asks(records, ['open deal'])('open deal'), `${records}`).toBe(isWorthIt)
    expect(asks(records, ['open deal'])('newest')).toBe(false)
    expect(asks(records, ['open deal'])('newest', 'open deal')).toBe(isWorthIt)
    expect(asks(records, [])()).toBe(false)
  }
  expect([1, 2, 3].map(sameNumber)).toEqual(['same number', 'same number as 1 more', 'same number as 2 more'])
})

test('where hosts are named, no other is fetched from', () => {
  const link = new URL('https://calls.example.com/a.mp3')
  expect(namedHost(link, [], 'CRM')).toBe(link)
  expect(namedHost(link, ['calls.example.com'], 'CRM')).toBe(link)
  expect(() => namedHost(link, ['example.com'], 'CRM')).toThrow(
    expect.objectContaining({ code: 'forbidden', message: expect.stringContaining('calls.example.com') }),
  )
})
