import { expect, test } from 'vitest'
import { maskHeaders, maskSecrets } from '../../src/connector/mask.ts'

const SECRET = 'k+y/"ä 1='

test.each([
  ['as it is', `x ${SECRET} y`],
  ['in a URL', `?a=${encodeURIComponent(SECRET)}&b=1`],
  ['in a URL with small letters', `?a=${encodeURIComponent(SECRET).toLowerCase()}`],
  ['in a form', new URLSearchParams({ a: SECRET }).toString()],
  ['in JSON', JSON.stringify({ secret: SECRET })],
  ['in JSON with escaped slashes', JSON.stringify({ secret: SECRET }).replaceAll('/', '\\/')],
  ['in base64', Buffer.from(SECRET).toString('base64')],
  ['in base64url', Buffer.from(SECRET).toString('base64url')],
])('a secret is covered %s', (_, text) => {
  const masked = maskSecrets(text, [SECRET])
  expect(masked).toContain('•••')
  expect(masked).not.toContain('k+y')
  expect(masked).not.toMatch(/k%2[bB]y|ayt5/)
})

test('the longer secret goes first, and the rest of the text stays', () => {
  expect(maskSecrets('abc abcdef ab', ['abc', 'abcdef'])).toBe('••• ••• ab')
  expect(maskSecrets('nothing here', [SECRET, ''])).toBe('nothing here')
})

test('a Standard Webhooks secret is covered with and without its prefix', () => {
  expect(maskSecrets('whsec_QUJDREVG and QUJDREVG', ['whsec_QUJDREVG'])).toBe('••• and •••')
})

test('credentials are covered whatever they are; other headers only where they hold a secret', () => {
  const headers = new Headers({
    authorization: 'Basic dXNlcjpwYXNz',
    cookie: 'session=1',
    'X-Api-Key': 'mistyped',
    'x-token': 's3cret!',
    'content-type': 'application/json',
  })
  expect(Object.fromEntries(maskHeaders(headers, ['s3cret!']))).toEqual({
    authorization: 'Basic •••',
    cookie: '•••',
    'x-api-key': '•••',
    'x-token': '•••',
    'content-type': 'application/json',
  })
})
