import { generateKeyPairSync, sign as signBytes } from 'node:crypto'
import { Webhook } from 'standardwebhooks'
import { describe, expect, test } from 'vitest'
import { encodeBase64, encodeBase64Url, encodeHex, utf8 } from '../../src/connector/encoding.ts'
import { inboundRequest, type RawRequest } from '../../src/connector/request.ts'
import { signRaw, signRequest } from '../../src/connector/sign.ts'
import type {
  CustomVerification,
  Ed25519Verification,
  HmacVerification,
  JwtVerification,
  TokenVerification,
  Verification,
} from '../../src/connector/verification.ts'
import { verifyRequest } from '../../src/connector/verify.ts'
import { createSigner } from '../../src/node/signer.ts'
import { testSigner } from '../kit/signer.ts'

/** Vendors' vectors are from shared vendor dossiers: made with the vendors' own libraries, named beside each. */

const NOW = 1_766_998_937_000

function raw(
  parts: Partial<Omit<RawRequest, 'body' | 'headers'>> & { body?: string; headers?: Record<string, string> },
) {
  const { body = '', headers = {}, ...rest } = parts
  return {
    method: 'POST',
    url: 'https://hooks.example.com/hooks/acme',
    path: '',
    receivedAt: new Date(NOW).toISOString(),
    ...rest,
    headers: Object.entries(headers),
    body: utf8(body),
  } satisfies RawRequest
}

const verify = (request: RawRequest, verification: Verification, now = NOW, signer = testSigner) =>
  verifyRequest(inboundRequest(request), verification, { now, signer })

const accepted = { ok: true }
const refused = (reason: RegExp | string) => ({
  ok: false,
  reason: typeof reason === 'string' ? reason : expect.stringMatching(reason),
})

describe('hmac, by vendors’ vectors', () => {
  const zoom: HmacVerification = {
    scheme: 'hmac',
    hash: 'sha256',
    encoding: 'hex',
    header: 'x-zm-signature',
    prefix: 'v0=',
    signed: [{ text: 'v0:' }, { header: 'x-zm-request-timestamp' }, { text: ':' }, { body: true }],
    secrets: ['zoom_secret_token_0123456789'],
    freshness: { header: 'x-zm-request-timestamp', unit: 's', toleranceMs: 300_000 },
  }
  const zoomRequest = raw({
    body: '{"event":"phone.callee_ended","event_ts":1766998937412,"payload":{"account_id":"abcD3ojfdbjfg","object":{"call_id":"7239106517459834881"}}}',
    headers: {
      'x-zm-request-timestamp': '1766998937',
      'x-zm-signature': 'v0=7f3ce6776986ab94039672b6d04eac6761da7ed5b2e8d308884e6f41f36d9cf3',
    },
  })
  const hubspot: HmacVerification = {
    scheme: 'hmac',
    hash: 'sha256',
    encoding: 'base64',
    header: 'x-hubspot-signature-v3',
    signed: [
      { method: true },
      { urlDecoded: '%3A %2F %3F %40 %21 %24 %27 %28 %29 %2A %2C %3B'.split(' ') },
      { body: true },
      { header: 'x-hubspot-request-timestamp' },
    ],
    secrets: ['yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy'],
    freshness: { header: 'x-hubspot-request-timestamp', unit: 'ms', toleranceMs: 300_000 },
  }
  const hubspotRequest = (url: string) =>
    raw({
      url,
      body: "{'example_field':'example_value'}",
      headers: {
        'x-hubspot-request-timestamp': '1693657560000',
        'x-hubspot-signature-v3': 'K36dawei4A+QBNolUOqo7s91KQDWQ5MXZ/QufNYuk/Y=',
      },
    })

  test('Zoom (@zoom/rivet 0.4.0), with the server’s signer too', async () => {
    expect(await verify(zoomRequest, zoom)).toEqual({ ok: true, with: 'secret 1 of 1' })
    expect(await verify(zoomRequest, zoom, NOW, createSigner())).toMatchObject(accepted)
  })

  test('HubSpot v3 (hubspot-api-python 2025), whichever way the URL is escaped', async () => {
    expect(
      await verify(hubspotRequest('https://www.example.com/webhook_uri'), hubspot, 1_693_657_560_000),
    ).toMatchObject(accepted)
    const escaped = hubspotRequest('https://www.example.com%2fwebhook_uri')
    expect(await verify(escaped, hubspot, 1_693_657_560_000)).toMatchObject(accepted)
  })

  test('a wrong URL is refused, and the refusal names the URL without its query', async () => {
    const answer = await verify(
      hubspotRequest('https://www.example.com/other?phone=33639980142'),
      hubspot,
      1_693_657_560_000,
    )
    expect(answer).toEqual(
      refused(
        'the signature does not fit the secret; the URL that was signed is expected to be https://www.example.com/other and its query as received',
      ),
    )
  })

  test('Zadarma: base64 of the hex text, or of the bytes', async () => {
    const zadarma: HmacVerification = {
      scheme: 'hmac',
      hash: 'sha1',
      encoding: ['base64-of-hex', 'base64'],
      header: 'signature',
      signed: [{ field: 'caller_id' }, { field: 'called_did' }, { field: 'call_start' }],
      secrets: ['0f1e2d3c4b5a69788796'],
    }
    const request = (signature: string) =>
      raw({
        body: 'event=NOTIFY_END&caller_id=380671234567&called_did=380443334455&call_start=2026-03-04+11:22:33',
        headers: { 'content-type': 'application/x-www-form-urlencoded', signature },
      })
    const ofHex = request('ZTIzZDQ4MDViMDVkMWRlNDk5OTgzNDliMGFlOGNkZmY1NDgyMDFjMw==')
    expect(await verify(ofHex, zadarma)).toEqual({ ok: true, with: 'secret 1 of 1, base64-of-hex' })
    expect(await verify(request('4j1IBbBdHeSZmDSbCujN/1SCAcM='), zadarma)).toEqual({
      ok: true,
      with: 'secret 1 of 1, base64',
    })
    const without = { ...ofHex, body: utf8('event=NOTIFY_END&caller_id=380671234567') }
    expect(await verify(without, zadarma)).toEqual(
      refused('the field called_did, which is signed, is missing'),
    )
  })

  test('the signature must be there, have its prefix and be written as agreed', async () => {
    const withSignature = (value: string) => ({
      ...zoomRequest,
      headers: [...zoomRequest.headers.slice(0, 1), ['x-zm-signature', value] as const],
    })
    expect(await verify({ ...zoomRequest, headers: [] }, zoom)).toEqual(
      refused('the header x-zm-signature is missing'),
    )
    expect(await verify(withSignature('v1=00'), zoom)).toEqual(
      refused('the header x-zm-signature carries no signature that begins with "v0="'),
    )
    expect(await verify(withSignature('v0=zz'), zoom)).toEqual(
      refused('the signature in the header x-zm-signature is not written as hex'),
    )
    expect(await verify(withSignature('v0='), zoom)).toMatchObject({ ok: false })
    expect(await verify(withSignature(`v0=${'0'.repeat(64)}`), zoom)).toEqual(
      refused('the signature does not fit the secret'),
    )
    expect(await verify(withSignature(`v0=${'0'.repeat(20_000)}`), zoom)).toEqual(refused(/is too long/))
  })

  test.each([
    ['too old', 412_000, 'the timestamp is 412 s old, 300 allowed'],
    ['too new', -301_000, 'the timestamp is 301 s ahead of our clock, 300 allowed'],
  ])('a time that is %s is refused', async (_, age, reason) => {
    expect(await verify(zoomRequest, zoom, NOW + age)).toEqual(refused(reason))
  })

  test.each(['NaN', '', '1e9', '-1', '0x10', '1766998937.5', '99999999999999999999', 'Infinity'])(
    'the time %j is refused',
    async (time) => {
      const headers = { ...Object.fromEntries(zoomRequest.headers), 'x-zm-request-timestamp': time }
      const signed = await signRequest(
        inboundRequest(raw({ body: 'x', headers: { ...headers, 'x-zm-request-timestamp': '1' } })),
        zoom,
        { now: NOW, signer: testSigner },
      )
      expect(await verify(raw({ body: 'x', headers: { ...signed, ...headers } }), zoom)).toMatchObject({
        ok: false,
      })
    },
  )

  test('at the edge of the tolerance a time is accepted', async () => {
    expect(await verify(zoomRequest, zoom, NOW + 300_000)).toMatchObject(accepted)
    expect(await verify(zoomRequest, zoom, NOW - 300_000)).toMatchObject(accepted)
  })

  test('a connector that does not sign its time is a mistake of ours', async () => {
    await expect(verify(zoomRequest, { ...zoom, signed: [{ body: true }] })).rejects.toMatchObject({
      code: 'config',
    })
  })

  test('no secret, an empty one and one that cannot be decoded are configuration errors', async () => {
    for (const secrets of [[], [''], [' '], ['good', '']]) {
      await expect(verify(zoomRequest, { ...zoom, secrets })).rejects.toMatchObject({ code: 'config' })
    }
    const broken = { ...zoom, secrets: ['not base64!'], secretEncoding: 'base64' as const }
    const error = await verify(zoomRequest, broken).catch((thrown: Error) => thrown)
    expect(error).toMatchObject({ code: 'config' })
    expect(JSON.stringify(error)).not.toContain('not base64!')
  })

  test('with several secrets the one that fits is named', async () => {
    const rotating = { ...zoom, secrets: ['the-new-one', ...zoom.secrets] }
    expect(await verify(zoomRequest, rotating)).toEqual({ ok: true, with: 'secret 2 of 2' })
    const foreign = { ...zoom, secrets: ['the-new-one', 'another-one'] }
    expect(await verify(zoomRequest, foreign)).toEqual(
      refused('the signature does not fit any of the 2 secrets'),
    )
  })

  test('a synchronous signer costs one microtask', async () => {
    let turns = 0
    let done = false
    const count = async () => {
      while (!done) {
        await null
        turns++
      }
    }
    const counting = count()
    await verify(zoomRequest, zoom).then(() => {
      done = true
    })
    await counting
    expect(turns).toBeLessThanOrEqual(3)
  })

  test('a signer that answers with promises does as well', async () => {
    const slow = {
      ...testSigner,
      hmac: async (...args: Parameters<typeof testSigner.hmac>) => testSigner.hmac(...args),
    }
    expect(await verify(zoomRequest, zoom, NOW, slow)).toMatchObject(accepted)
  })
})

describe('Standard Webhooks, against its library', () => {
  const secret = 'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
  const library = new Webhook(`whsec_${secret}`)
  const standard: HmacVerification = {
    scheme: 'hmac',
    hash: 'sha256',
    encoding: 'base64',
    header: 'webhook-signature',
    prefix: 'v1,',
    separator: ' ',
    signed: [
      { header: 'webhook-id' },
      { text: '.' },
      { header: 'webhook-timestamp' },
      { text: '.' },
      { body: true },
    ],
    secrets: [secret],
    secretEncoding: 'base64',
    freshness: { header: 'webhook-timestamp', unit: 's', toleranceMs: 300_000 },
  }
  const body = '{"type":"call.event","text":"Grüße, ⌘"}'
  const headers = (signature: string) => ({
    'webhook-id': 'msg_1',
    'webhook-timestamp': String(NOW / 1000),
    'webhook-signature': signature,
  })

  test('the library signs, the engine verifies', async () => {
    const request = raw({ body, headers: headers(library.sign('msg_1', new Date(NOW), body)) })
    expect(await verify(request, standard)).toMatchObject(accepted)
    expect(await verify({ ...request, body: utf8(body.replace('ü', 'u')) }, standard)).toMatchObject({
      ok: false,
    })
  })

  test('one of several signatures is enough; other versions are passed over', async () => {
    const own = library.sign('msg_1', new Date(NOW), body)
    const several = `v1a,${encodeBase64(new Uint8Array(64))} v1,${encodeBase64(new Uint8Array(32))} ${own}`
    expect(await verify(raw({ body, headers: headers(several) }), standard)).toMatchObject(accepted)
    const tooMany = Array.from({ length: 17 }, () => own).join(' ')
    expect(await verify(raw({ body, headers: headers(tooMany) }), standard)).toEqual(refused(/more than 16/))
  })

  test('the engine signs, the library verifies', async () => {
    const now = Date.now()
    const request = inboundRequest(raw({ body, headers: { 'webhook-id': 'msg_2' } }))
    const added = await signRequest(request, standard, { now, signer: testSigner })
    expect(Object.keys(added).sort()).toEqual(['webhook-signature', 'webhook-timestamp'])
    expect(library.verify(body, { 'webhook-id': 'msg_2', ...added })).toEqual(JSON.parse(body))
  })

  test('without the id there is nothing to sign', async () => {
    const signed = signRequest(inboundRequest(raw({ body })), standard, { now: NOW, signer: testSigner })
    await expect(signed).rejects.toMatchObject({
      code: 'bad_request',
      why: expect.stringContaining('webhook-id'),
    })
  })
})

describe('token', () => {
  const token = (
    place: TokenVerification['place'],
    secrets = ['rc_verification_0123456789'],
  ): TokenVerification => ({
    scheme: 'token',
    place,
    secrets,
  })

  test('RingCentral: in a header', async () => {
    const request = raw({ headers: { 'Verification-Token': 'rc_verification_0123456789' } })
    expect(await verify(request, token({ header: 'verification-token' }))).toMatchObject(accepted)
    expect(await verify(request, token({ header: 'verification-token' }, ['x']))).toEqual(
      refused('the token does not fit the secret'),
    )
    expect(await verify(raw({}), token({ header: 'verification-token' }))).toEqual(
      refused('the header verification-token is missing'),
    )
  })

  test('Aircall: a field of the JSON body', async () => {
    const body =
      '{"resource":"call","event":"call.ended","timestamp":1766998938,"token":"45XXYYZZa08","data":{"id":812345678}}'
    const aircall = token({ field: 'token' }, ['45XXYYZZa08'])
    expect(
      await verify(raw({ body, headers: { 'content-type': 'application/json' } }), aircall),
    ).toMatchObject(accepted)
    expect(await verify(raw({ body }), aircall)).toMatchObject(accepted)
    const spoilt = (text: string) =>
      verify(raw({ body: text, headers: { 'content-type': 'application/json' } }), aircall)
    for (const text of [
      '{"token":',
      '[]',
      '{"token":{"a":1}}',
      '{"token":["45XXYYZZa08"]}',
      '{"data":{"token":"45XXYYZZa08"}}',
      '{"token":""}',
    ]) {
      expect(await spoilt(text)).toEqual(refused('the field token is missing'))
    }
    expect(await spoilt(`${'{"a":'.repeat(10_000)}1`)).toEqual(refused('the field token is missing'))
  })

  test('a bearer token, whatever the case of its scheme', async () => {
    const bearer = token({ header: 'authorization', prefix: 'Bearer ' }, ['s3cret'])
    expect(await verify(raw({ headers: { authorization: 'bearer s3cret' } }), bearer)).toMatchObject(accepted)
    expect(await verify(raw({ headers: { authorization: 's3cret' } }), bearer)).toEqual(
      refused('the header authorization does not begin with "Bearer "'),
    )
  })

  test('basic: the password, or both', async () => {
    const request = raw({ headers: { authorization: `Basic ${encodeBase64(utf8('cdr:Tr0ub:4dor'))}` } })
    expect(await verify(request, token({ basic: 'password' }, ['Tr0ub:4dor']))).toMatchObject(accepted)
    expect(await verify(request, token({ basic: 'user:password' }, ['cdr:Tr0ub:4dor']))).toMatchObject(
      accepted,
    )
    expect(await verify(request, token({ basic: 'password' }, ['cdr:Tr0ub:4dor']))).toMatchObject({
      ok: false,
    })
    for (const authorization of ['Basic', 'Basic !!!', 'Basic bm9jb2xvbg==', 'Bearer x']) {
      expect(
        await verify(raw({ headers: { authorization } }), token({ basic: 'password' }, ['x'])),
      ).toMatchObject({ ok: false })
    }
  })

  test('in the query or the last segment of the path', async () => {
    const at = (url: string) => raw({ url })
    const query = token({ query: 'key' }, ['a+b/c='])
    expect(
      await verify(at('https://hooks.example.com/hooks/acme?x=1&key=a%2Bb%2Fc%3D'), query),
    ).toMatchObject(accepted)
    expect(await verify(at('https://hooks.example.com/hooks/acme?x=1'), query)).toEqual(
      refused('the query parameter key is missing'),
    )
    const path = token({ path: true }, ['a+b/c='])
    expect(await verify(at('https://hooks.example.com/hooks/acme/a+b%2Fc%3D?x=1'), path)).toMatchObject(
      accepted,
    )
    expect(await verify(at('https://hooks.example.com/hooks/acme/%zz'), path)).toMatchObject({ ok: false })
  })

  test.each<TokenVerification['place']>([
    { header: 'x-token' },
    { header: 'authorization', prefix: 'Bearer ' },
    { basic: 'password' },
    { query: 'key' },
    { field: 'secret' },
    { path: true },
  ])('what signRaw makes with %j verifies', async (place) => {
    const request = raw({
      url: 'https://hooks.example.com/hooks/acme/old?key=old&x=1',
      path: '/old',
      body: '{"secret":"old","n":1}',
      headers: { 'content-type': 'application/json' },
    })
    const verification = token(place, ['n&w s€cret', 'older'])
    if ('header' in place || 'basic' in place) verification.secrets = ['new-secret', 'older']
    const signed = await signRaw(request, verification, { now: NOW, signer: testSigner })
    expect(await verify(signed, verification)).toEqual({ ok: true, with: 'secret 1 of 2' })
  })

  test('where no header helps, signRequest says what to change', async () => {
    const attempt = signRequest(inboundRequest(raw({})), token({ query: 'key' }), {
      now: NOW,
      signer: testSigner,
    })
    await expect(attempt).rejects.toMatchObject({
      code: 'bad_request',
      why: expect.stringContaining('query key'),
    })
  })
})

describe('jwt', () => {
  const secret = 'vonage-signature-secret-0123456789abcdef'
  const vonage: JwtVerification = {
    scheme: 'jwt',
    place: { header: 'authorization' },
    algorithms: ['HS256'],
    secrets: [secret],
    issuer: 'Vonage',
    bodyHashClaim: { claim: 'payload_hash', hash: 'sha256', encoding: 'hex' },
  }
  const body =
    '{"conversation_uuid":"CON-aaaaaaaa-bbbb-cccc-dddd-0123456789ab","direction":"inbound","duration":"127","end_time":"2025-12-29T09:02:17.000Z","from":"33612345678","network":"FR-MOBILE","price":"0.00950000","rate":"0.00450000","start_time":"2025-12-29T09:00:10.000Z","status":"completed","timestamp":"2025-12-29T09:02:17.412Z","to":"33184880000","uuid":"aaaaaaaa-bbbb-cccc-dddd-0123456789ab"}'
  const authorization =
    'Bearer eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpYXQiOjE3NjY5OTg5MzcsImp0aSI6ImM1YmE4ZjI0LTFhMTQtNGMxMC1iZmRmLTNmYmU4Y2U1MTFiNSIsImlzcyI6IlZvbmFnZSIsInBheWxvYWRfaGFzaCI6IjBhMDcyNTczYjQ0YzI4OWU2M2Y0ZjMxY2ViNTI2YWM5ZTNiNzIzMTMyMzFjOWY5ODE5MGQxOGM1YmU4OTA5ZDkiLCJhcGlfa2V5IjoiYTFiMmMzZDQiLCJhcHBsaWNhdGlvbl9pZCI6ImFhYWFhYWFhLWJiYmItY2NjYy1kZGRkLTAxMjM0NTY3ODlhYiJ9.94ZJRqYa2ZhTKMfECoiKRr24CCia3ox_P_4DbYqzzts'

  const part = (value: unknown) => encodeBase64Url(utf8(JSON.stringify(value)))
  const tokenOf = async (header: object, claims: unknown, key = secret) => {
    const signed = `${part(header)}.${part(claims)}`
    return `${signed}.${encodeBase64Url(await testSigner.hmac('sha256', key, signed))}`
  }
  const plain: JwtVerification = {
    scheme: 'jwt',
    place: { header: 'authorization' },
    algorithms: ['HS256'],
    secrets: [secret],
  }
  const verifyToken = (token: string, verification = plain) =>
    verify(raw({ headers: { authorization: `Bearer ${token}` } }), verification)
  const HS256 = { alg: 'HS256', typ: 'JWT' }

  test('Vonage (@vonage/jwt 1.14.0), bound to its body', async () => {
    expect(await verify(raw({ body, headers: { authorization } }), vonage)).toMatchObject(accepted)
    expect(await verify(raw({ body: `${body} `, headers: { authorization } }), vonage)).toEqual(
      refused('the body does not fit the token’s claim payload_hash'),
    )
    expect(await verify(raw({ body, headers: { authorization } }), { ...vonage, issuer: 'Other' })).toEqual(
      refused('the token’s issuer is not Other'),
    )
  })

  test('the token never chooses its algorithm', async () => {
    const claims = part({ iss: 'x' })
    for (const alg of ['none', 'None', '', 'HS512', 'RS256', null]) {
      expect(await verifyToken(`${part({ alg })}.${claims}.`)).toEqual(
        refused('the token’s algorithm is not HS256'),
      )
      expect(await verifyToken(await tokenOf({ alg }, {}))).toMatchObject({ ok: false })
    }
    expect(await verifyToken(`${part({})}.${claims}.`)).toMatchObject({ ok: false })
  })

  test('a public key is never taken for a shared secret', async () => {
    const pair = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const pem = pair.publicKey.export({ type: 'spki', format: 'pem' }).toString()
    const both: JwtVerification = { ...plain, algorithms: ['HS256', 'RS256'], publicKeys: [pem] }
    expect(await verifyToken(await tokenOf(HS256, {}, pem), both)).toMatchObject({ ok: false })
    const signed = `${part({ alg: 'RS256' })}.${part({})}`
    const signature = encodeBase64Url(signBytes('sha256', utf8(signed), pair.privateKey))
    expect(await verifyToken(`${signed}.${signature}`, both)).toMatchObject(accepted)
    expect(await verifyToken(`${signed}.${signature}`, plain)).toMatchObject({ ok: false })
    await expect(
      verifyToken(`${signed}.${signature}`, { ...plain, algorithms: ['RS256'] }),
    ).rejects.toMatchObject({ code: 'config' })
  })

  test('ES256, with both signers', async () => {
    const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const pem = pair.publicKey.export({ type: 'spki', format: 'pem' }).toString()
    const signed = `${part({ alg: 'ES256' })}.${part({})}`
    const signature = signBytes('sha256', utf8(signed), { key: pair.privateKey, dsaEncoding: 'ieee-p1363' })
    const request = raw({ headers: { authorization: `Bearer ${signed}.${encodeBase64Url(signature)}` } })
    const es256: JwtVerification = { ...plain, algorithms: ['ES256'], secrets: [], publicKeys: [pem] }
    expect(await verify(request, es256)).toMatchObject(accepted)
    expect(await verify(request, es256, NOW, createSigner())).toMatchObject(accepted)
  })

  const seconds = NOW / 1000
  test.each([
    ['expired within the leeway', { exp: seconds - 59 }, true],
    ['expired', { exp: seconds - 61 }, false],
    ['expiry that is no number', { exp: '9999999999' }, false],
    ['expiry null', { exp: null }, false],
    ['not yet valid within the leeway', { nbf: seconds + 59 }, true],
    ['not yet valid', { nbf: seconds + 61 }, false],
  ])('%s', async (_, claims, isAccepted) => {
    expect(await verifyToken(await tokenOf(HS256, claims))).toMatchObject({ ok: isAccepted })
  })

  test('the audience is one of those named', async () => {
    const withAudience = { ...plain, audience: 'cordboard' }
    expect(
      await verifyToken(await tokenOf(HS256, { aud: ['other', 'cordboard'] }), withAudience),
    ).toMatchObject(accepted)
    expect(await verifyToken(await tokenOf(HS256, { aud: 'cordboard' }), withAudience)).toMatchObject(
      accepted,
    )
    expect(await verifyToken(await tokenOf(HS256, { aud: 'other' }), withAudience)).toMatchObject({
      ok: false,
    })
    expect(await verifyToken(await tokenOf(HS256, {}), withAudience)).toMatchObject({ ok: false })
  })

  test('what is no token is refused', async () => {
    const deep = encodeBase64Url(utf8('['.repeat(5000)))
    for (const token of ['', 'a', 'a.b', 'a.b.c', '..', `${deep}.${deep}.${deep}`, 'x'.repeat(20_000)]) {
      expect(await verifyToken(token)).toMatchObject({ ok: false })
    }
    expect(await verifyToken(`${await tokenOf(HS256, {})}.more`)).toMatchObject({ ok: false })
    expect(await verifyToken(await tokenOf({ ...HS256, crit: ['exp'] }, {}))).toEqual(refused(/extension/))
    expect(await verifyToken(await tokenOf(HS256, ['no object']))).toMatchObject({ ok: false })
  })

  test('what we sign verifies', async () => {
    const request = raw({ body: '{}' })
    const signed = await signRaw(request, { ...vonage, audience: 'us' }, { now: NOW, signer: testSigner })
    expect(await verify(signed, { ...vonage, audience: 'us' })).toMatchObject(accepted)
  })
})

describe('ed25519, Telnyx (telnyx 7.24.0)', () => {
  const telnyx: Ed25519Verification = {
    scheme: 'ed25519',
    header: 'telnyx-signature-ed25519',
    encoding: 'base64',
    signed: [{ header: 'telnyx-timestamp' }, { text: '|' }, { body: true }],
    publicKeys: ['A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg='],
    freshness: { header: 'telnyx-timestamp', unit: 's', toleranceMs: 300_000 },
  }
  const request = raw({
    body: '{"data":{"event_type":"call.hangup","id":"0ccc7b54-4df3-4bca-a65a-3da1ecc777f0","occurred_at":"2025-12-29T09:02:17.000000Z","payload":{"call_control_id":"v3:abc","call_leg_id":"leg-1","call_session_id":"sess-1","hangup_cause":"normal_clearing"},"record_type":"event"},"meta":{"attempt":1,"delivered_to":"https://hooks.example.com/telnyx"}}',
    headers: {
      'telnyx-timestamp': '1766998937',
      'telnyx-signature-ed25519':
        'LvLpiuzIfybbsa1kQTiRO/RAlg2jC5regHBB3VZM/0PnWUX6qo9MAaLjr1LVZdktylYmornVIo3EJxfZHV5cAg==',
    },
  })

  test('verifies until 300 s later', async () => {
    expect(await verify(request, telnyx, NOW + 200_000)).toMatchObject(accepted)
    expect(await verify(request, telnyx, NOW + 200_000, createSigner())).toMatchObject(accepted)
    expect(await verify(request, telnyx, NOW + 301_000)).toMatchObject({ ok: false })
    expect(await verify({ ...request, body: utf8('{}') }, telnyx)).toMatchObject({ ok: false })
  })

  test('the key may be hex; one of another length is a configuration error', async () => {
    const hex = encodeHex(Uint8Array.from(atob(telnyx.publicKeys[0] ?? ''), (char) => char.charCodeAt(0)))
    expect(await verify(request, { ...telnyx, publicKeys: [hex] })).toMatchObject(accepted)
    for (const publicKeys of [[], [''], ['AAAA'], ['not a key']]) {
      await expect(verify(request, { ...telnyx, publicKeys })).rejects.toMatchObject({ code: 'config' })
    }
  })

  test('cannot be signed here', async () => {
    const signed = signRequest(inboundRequest(request), telnyx, { now: NOW, signer: testSigner })
    await expect(signed).rejects.toMatchObject({ code: 'bad_request' })
  })
})

describe('custom, as for Twilio (twilio 6.2.0)', () => {
  const twilio: CustomVerification = {
    scheme: 'custom',
    reason: 'the text is the URL and all fields of the form, sorted; the port may be spelled or not',
    header: 'x-twilio-signature',
    secrets: ['12345'],
    claims(request) {
      const given = request.headers.get('x-twilio-signature') ?? ''
      const fields = [...request.form()].sort().map(([name, value]) => name + value)
      return [request.url, request.url.replace('.com/', '.com:443/')].map((url) => ({
        hash: 'sha1' as const,
        encoding: 'base64' as const,
        signed: url + fields.join(''),
        given,
      }))
    },
  }
  const request = raw({
    url: 'https://mycompany.com/myapp.php?foo=1&bar=2',
    body: 'CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From=%2B14158675309&To=%2B18005551212',
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      'x-twilio-signature': 'RSOYDt4T1cUTdK1PDd93/VVr8B8=',
    },
  })

  test('accepted when one claim fits one secret', async () => {
    expect(await verify(request, { ...twilio, secrets: ['new', '12345'] })).toEqual({
      ok: true,
      with: 'secret 2 of 2, base64',
    })
    const port = { ...request, url: 'https://mycompany.com:443/myapp.php?foo=1&bar=2' }
    expect(await verify(port, twilio)).toMatchObject({ ok: false })
  })

  test('every digest must fit too', async () => {
    const withDigest = (given: string): CustomVerification => ({
      ...twilio,
      digests: ({ body }) => [{ hash: 'sha256', encoding: 'hex', of: body, given }],
    })
    const right = encodeHex(await testSigner.digest('sha256', request.body))
    expect(await verify(request, withDigest(right))).toMatchObject(accepted)
    for (const given of ['', 'zz', '00'.repeat(32)])
      expect(await verify(request, withDigest(given))).toEqual(refused(/the sha256 of the body/))
  })

  test('nothing to claim, a reason to refuse and a hostile body refuse', async () => {
    expect(await verify(request, { ...twilio, claims: () => [] })).toMatchObject({ ok: false })
    expect(await verify(request, { ...twilio, claims: () => ({ refused: 'because' }) })).toEqual(
      refused('because'),
    )
    const many = { ...request, body: utf8('x=1&'.repeat(2000)) }
    expect(await verify(many, twilio)).toEqual(refused(/more than 1000 fields/))
    expect(await verify({ ...request, headers: [] }, twilio)).toEqual(
      refused('the header x-twilio-signature is missing'),
    )
  })

  test('the first claim is what gets signed', async () => {
    const added = await signRequest(inboundRequest(request), twilio, { now: NOW, signer: testSigner })
    expect(added).toEqual({ 'x-twilio-signature': 'RSOYDt4T1cUTdK1PDd93/VVr8B8=' })
  })

  test('a secret in the URL is not told', async () => {
    const secret = 'path-secret-0001'
    const hidden = { ...request, url: `https://mycompany.com/${secret}/x` }
    const answer = await verify(hidden, { ...twilio, secrets: [secret] })
    expect(JSON.stringify(answer)).not.toContain(secret)
  })
})

test('a vendor that signs nothing is accepted with the reason', async () => {
  const answer = await verify(raw({}), { scheme: 'nothing', reason: 'the vendor signs nothing' })
  expect(answer).toEqual({ ok: true, with: 'nothing: the vendor signs nothing' })
})
