import { createHash, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { inboundRequest } from '../../../src/connector/request.ts'
import { signRaw } from '../../../src/connector/sign.ts'
import type { JwtVerification } from '../../../src/connector/verification.ts'
import { testSigner } from '../../kit/signer.ts'
import { load } from './load.ts'
import { accepts, rawRequest, verificationOf } from './request.ts'

/** npm `jsonwebtoken` and `@vonage/jwt`: the tokens that they sign, and ours. */

type Claims = Record<string, unknown>
const jsonwebtoken = load<{
  sign(claims: Claims, key: string | KeyObject, options: Claims): string
  verify(token: string, key: string | KeyObject, options: Claims): Claims
}>('jsonwebtoken')
const vonage = load<{ verifySignature(token: string, secret: string): boolean }>('@vonage/jwt')

const SECRET = 'secret-of-the-sdk-test-which-is-long-enough-for-hs256'
const NOW = Date.now()
const SECONDS = Math.floor(NOW / 1000)
const BODY = '{"uuid":"aaaaaaaa-bbbb-cccc-dddd-0123456789ab","status":"completed","n":9007199254740993}'
const digest = (body: string) => createHash('sha256').update(body).digest('hex')

const bearer = (token: string, body = BODY) => rawRequest(body, { authorization: `Bearer ${token}` })
const place = { header: 'authorization' } as const
const base = { scheme: 'jwt', place, issuer: 'acme', audience: 'cordboard' } as const
const shared: JwtVerification = { ...base, algorithms: ['HS256'], secrets: [SECRET] }

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const pem = (key: KeyObject) => key.export({ type: 'spki', format: 'pem' }).toString()
const claims = { iss: 'acme', aud: 'cordboard', iat: SECONDS, exp: SECONDS + 60 }

const CASES: [JwtVerification['algorithms'][number], JwtVerification, string | KeyObject][] = [
  ['HS256', shared, SECRET],
  [
    'RS256',
    { ...base, algorithms: ['RS256'], secrets: [], publicKeys: [pem(rsa.publicKey)] },
    rsa.privateKey,
  ],
  ['ES256', { ...base, algorithms: ['ES256'], secrets: [], publicKeys: [pem(ec.publicKey)] }, ec.privateKey],
]

describe.each(CASES)('%s of jsonwebtoken', (algorithm, verification, key) => {
  const sign = (change: Claims = {}, options: Claims = {}) =>
    jsonwebtoken.sign({ ...claims, ...change }, key, { algorithm, ...options })

  it('is accepted', async () => {
    expect(await accepts(bearer(sign()), verification, NOW)).toBe(true)
    expect(await accepts(bearer(sign({ aud: ['others', 'cordboard'] })), verification, NOW)).toBe(true)
  })

  it('is refused when it is changed, late, early, of somebody else or for somebody else', async () => {
    const [head = '', payload = '', signature = ''] = sign().split('.')
    const unsigned = Buffer.from('{"alg":"none","typ":"JWT"}').toString('base64url')
    const forged = Buffer.from(JSON.stringify({ ...claims, exp: SECONDS + 9_999 })).toString('base64url')
    const flipped = `${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`
    const spoilt = [
      `${head}.${forged}.${signature}`,
      `${head}.${payload}.${flipped}`,
      `${head}.${payload}.`,
      `${unsigned}.${payload}.`,
      sign({ exp: SECONDS - 3_600 }),
      sign({ nbf: SECONDS + 3_600 }),
      sign({ iss: 'other' }),
      sign({ aud: 'other' }),
    ]
    for (const token of spoilt) expect(await accepts(bearer(token), verification, NOW), token).toBe(false)
  })
})

it('a public key is no shared secret: a token signed with it as one is refused', async () => {
  const [, verification] = CASES[1] ?? []
  if (!verification) throw new RangeError('no such case')
  const confused = createHash('sha256').update('x').digest('hex')
  const token = jsonwebtoken.sign(claims, confused, { algorithm: 'HS256' })
  const both: JwtVerification = { ...verification, algorithms: ['RS256', 'HS256'], publicKeys: [confused] }
  await expect(accepts(bearer(token), both, NOW).catch(() => false)).resolves.toBe(false)
})

describe('a token with the hash of the body, as Vonage signs its webhooks', async () => {
  const connection = new URL('../../../connectors/vonage/fixtures/connection.json', import.meta.url)
  const { config } = JSON.parse(readFileSync(connection, 'utf8')) as { config: { signatureSecret: string } }
  const { signatureSecret: secret } = config
  const vonageHook = await verificationOf('vonage', config)

  it('is accepted, and refused with another body, without the hash, late, or by another issuer', async () => {
    const sign = (change: Claims) =>
      jsonwebtoken.sign({ iss: 'Vonage', iat: SECONDS, ...change }, secret, { algorithm: 'HS256' })
    const payload_hash = digest(BODY)
    const token = sign({ payload_hash })
    expect(vonage.verifySignature(token, secret)).toBe(true)
    expect(await accepts(bearer(token), vonageHook, NOW)).toBe(true)
    expect(await accepts(bearer(token, `${BODY} `), vonageHook, NOW)).toBe(false)
    expect(await accepts(bearer(sign({})), vonageHook, NOW)).toBe(false)
    expect(await accepts(bearer(sign({ payload_hash: digest('{}') })), vonageHook, NOW)).toBe(false)
    expect(await accepts(bearer(sign({ payload_hash, iss: 'other' })), vonageHook, NOW)).toBe(false)
    expect(await accepts(bearer(token), vonageHook, NOW + 3_600_000)).toBe(false)
  })

  it('signed by us is accepted by both libraries, and by neither with another secret', async () => {
    const raw = await signRaw(rawRequest(BODY, {}), vonageHook, { now: NOW, signer: testSigner })
    const token = (inboundRequest(raw).headers.get('authorization') ?? '').replace('Bearer ', '')
    const options = { algorithms: ['HS256'] }
    expect(jsonwebtoken.verify(token, secret, options)).toMatchObject({ payload_hash: digest(BODY) })
    expect(vonage.verifySignature(token, secret)).toBe(true)
    expect(vonage.verifySignature(token, `${secret}0`)).toBe(false)
    expect(() => jsonwebtoken.verify(token, `${secret}0`, options)).toThrow('invalid signature')
  })
})
