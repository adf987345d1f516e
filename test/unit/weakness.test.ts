import { expect, it } from 'vitest'
import type { Verification } from '../../src/connector/verification.ts'
import { weaknessOf } from '../../src/connector/weakness.ts'

const secrets = ['secret-of-this-test']
const jwt = { scheme: 'jwt', place: { header: 'authorization' }, algorithms: ['HS256'], secrets } as const
const digest = { claim: 'payload_hash', hash: 'sha256', encoding: 'hex' } as const

it.each<[string, Verification, RegExp | null]>([
  [
    'nothing',
    { scheme: 'nothing', reason: 'the vendor signs nothing' },
    /^anyone can send deliveries: the vendor/,
  ],
  [
    'a token in a header',
    { scheme: 'token', place: { header: 'x-token' }, secrets },
    /no signature: whoever has seen one can send others$/,
  ],
  ['a token in the path', { scheme: 'token', place: { path: true }, secrets }, /stands in the URL/],
  ['a token in the query', { scheme: 'token', place: { query: 't' }, secrets }, /stands in the URL/],
  ['a signed token', jwt, /does not cover the body/],
  ['a signed token of the body', { ...jwt, bodyHashClaim: digest }, null],
  [
    'a signature',
    { scheme: 'hmac', hash: 'sha256', encoding: 'hex', header: 'x-s', signed: [{ body: true }], secrets },
    null,
  ],
])('%s', (_, verification, says) => {
  const weakness = weaknessOf(verification)
  if (says === null) expect(weakness).toBeNull()
  else expect(weakness?.says).toMatch(says)
  expect(JSON.stringify(weakness)).not.toContain(secrets[0])
})
