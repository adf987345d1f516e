import { generateKeyPairSync, sign as signBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { encodeBase64Url, encodeHex, utf8 } from '../../src/connector/encoding.ts'
import { claimsOf } from '../../src/connector/jwt.ts'
import { inboundRequest } from '../../src/connector/request.ts'
import { signRaw, signRequest } from '../../src/connector/sign.ts'
import type { Ed25519Verification, JwtVerification } from '../../src/connector/verification.ts'
import { accepted, NOW, raw, refused, verify } from '../kit/requests.ts'
import { serverSigner, testSigner } from '../kit/signer.ts'

/** Vendors’ vectors are from their dossiers: made with the vendors’ own libraries, named beside each. */

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

  describe('that holds the body once more', () => {
    const key = 'ringover-webhook-key-0001'
    const verification: JwtVerification = {
      scheme: 'jwt',
      place: { header: 'x-signature', prefix: '' },
      algorithms: ['HS512'],
      secrets: [key],
      bodyClaim: 'payload',
      urlClaim: 'url',
    }
    const url = 'https://hooks.example.com/r'
    const event = '{"resource":"call","event":"hangup"}'
    // Made with npm jsonwebtoken.
    const token =
      'eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9.eyJ1cmwiOiJodHRwczovL2hvb2tzLmV4YW1wbGUuY29tL3IiLCJwYXlsb2FkIjp7InJlc291cmNlIjoiY2FsbCIsImV2ZW50IjoiaGFuZ3VwIn19.PGGFPsVqVb5DVoaWFhKuW0izhmshTe4l0dM8r70gYybVIbAmN0pmy-1HFKkGQTUiS4-1tD8G1DxtWQ7Lx8A7SQ'
    const request = (text: string, given = token, at = url) =>
      raw({ url: at, body: text, headers: { 'x-signature': given } })
    const sign = async (claims: string) => {
      const signed = `${part({ alg: 'HS512' })}.${encodeBase64Url(utf8(claims))}`
      return `${signed}.${encodeBase64Url(await testSigner.hmac('sha512', key, signed))}`
    }

    test('a vector by HS512, with both signers, whatever the order and spacing of the body', async () => {
      expect(await verify(request(event), verification)).toEqual({
        ok: true,
        with: 'secret 1 of 1, HS512',
      })
      expect(await verify(request(event), verification, NOW, serverSigner)).toMatchObject(accepted)
      expect(await verify(request('{ "event": "hangup", "resource": "call" }'), verification)).toMatchObject(
        accepted,
      )
      expect(await verify(request(event), { ...verification, algorithms: ['HS256'] })).toEqual(
        refused('the token’s algorithm is not HS256'),
      )
    })

    test.each([
      '{"resource":"call","event":"missed"}',
      '{"resource":"call"}',
      '{"resource":"call","event":"hangup","more":1}',
      '["call","hangup"]',
    ])('another body is refused: %s', async (text) => {
      expect(await verify(request(text), verification)).toEqual(
        refused('the body says something else than the token'),
      )
    })

    test.each(['', '{'])('a body that cannot be read is refused: %j', async (text) => {
      expect(await verify(request(text), verification)).toEqual(
        refused('the body is no JSON that can be read'),
      )
    })

    test('ids that no double holds are told apart', async () => {
      const id = (last: number) => `{"id":1339976755961478401${last}}`
      const given = await sign(`{"payload":${id(8)}}`)
      expect(await verify(request(id(8), given), verification)).toMatchObject(accepted)
      expect(await verify(request(id(9), given), verification)).toMatchObject({ ok: false })
    })

    test('where the claims are the body itself, they are compared', async () => {
      const given = await sign(event)
      expect(await verify(request(event, given), verification)).toMatchObject(accepted)
      expect(await verify(request('{"event":"hangup"}', given), verification)).toMatchObject({ ok: false })
    })

    test('a token made for another URL is refused, its query does not count', async () => {
      expect(await verify(request(event, token, `${url}?a=1`), verification)).toMatchObject(accepted)
      for (const at of ['https://hooks.example.com/s', 'https://hooks.example.org/r']) {
        expect(await verify(request(event, token, at), verification)).toEqual(
          refused('the token’s claim url is another URL than the one that was called'),
        )
      }
      const given = await sign(`{"url":7,"payload":${event}}`)
      expect(await verify(request(event, given), verification)).toMatchObject({ ok: false })
    })

    test('a stand-in signs the body with all digits of its numbers', async () => {
      const unsigned = raw({ url, body: '{"id":13399767559614784019}' })
      const signed = await signRaw(unsigned, verification, { now: NOW, signer: testSigner })
      expect(await verify(signed, verification)).toMatchObject(accepted)
    })
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
    // As text: workerd takes no key object beside options.
    const key = pair.privateKey.export({ type: 'pkcs8', format: 'pem' })
    const signature = signBytes('sha256', utf8(signed), { key, dsaEncoding: 'ieee-p1363' })
    const request = raw({ headers: { authorization: `Bearer ${signed}.${encodeBase64Url(signature)}` } })
    const es256: JwtVerification = { ...plain, algorithms: ['ES256'], secrets: [], publicKeys: [pem] }
    expect(await verify(request, es256)).toMatchObject(accepted)
    expect(await verify(request, es256, NOW, serverSigner)).toMatchObject(accepted)
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

  test.each([
    ['issued just now', { iat: seconds }, true],
    ['issued 300 s ago', { iat: seconds - 300 }, true],
    ['issued longer ago', { iat: seconds - 302 }, false],
    ['issued 300 s ahead', { iat: seconds + 300 }, true],
    ['issued further ahead', { iat: seconds + 302 }, false],
    ['not said when issued', {}, false],
    ['issued at what is no number', { iat: String(seconds) }, false],
  ])('with a greatest age: %s', async (_, claims, isAccepted) => {
    const young = { ...plain, maxAgeMs: 300_000 }
    expect(await verifyToken(await tokenOf(HS256, claims), young)).toMatchObject({ ok: isAccepted })
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

  test('Dialpad (jsonwebtoken 9): the whole body is the token', async () => {
    const dialpad: JwtVerification = {
      scheme: 'jwt',
      place: { body: true },
      algorithms: ['HS256'],
      secrets: ['dialpad_webhook_secret_01234567'],
    }
    const token =
      'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJjYWxsX2lkIjo1MDEyMzQ1Njc4OTAxMjQ4LCJzdGF0ZSI6Imhhbmd1cCIsImRpcmVjdGlvbiI6ImluYm91bmQiLCJkYXRlX3N0YXJ0ZWQiOjE3NjY5OTg4MDAwMDAsImRhdGVfcmFuZyI6MTc2Njk5ODgwMzAwMCwiZGF0ZV9jb25uZWN0ZWQiOjE3NjY5OTg4MTAwMDAsImRhdGVfZW5kZWQiOjE3NjY5OTg5MzcwMDAsImV2ZW50X3RpbWVzdGFtcCI6MTc2Njk5ODkzNzQxMiwiZHVyYXRpb24iOjEyNzAwMCwidG90YWxfZHVyYXRpb24iOjEzNzAwMCwiZXh0ZXJuYWxfbnVtYmVyIjoiKzMzNjEyMzQ1Njc4IiwiaW50ZXJuYWxfbnVtYmVyIjoiKzMzMTg0ODgwMDAwIiwidGFyZ2V0Ijp7ImlkIjo2MDAxLCJ0eXBlIjoidXNlciIsIm5hbWUiOiJBbGljZSBNYXJ0aW4iLCJlbWFpbCI6ImFsaWNlLm1hcnRpbkBleGFtcGxlLmNvbSIsInBob25lIjoiKzMzMTg0ODgwMDAwIn0sImNvbnRhY3QiOnsiaWQiOiJjMSIsInR5cGUiOiJsb2NhbCIsIm5hbWUiOiJKZWFuIER1cG9udCIsImVtYWlsIjoiIiwicGhvbmUiOiIrMzM2MTIzNDU2NzgifSwid2FzX3JlY29yZGVkIjp0cnVlfQ.Bf_LEu0GK92hYlqUa_hsfcolyRFaBhxznQQG-Rnn4vU'
    for (const body of [token, `\n${token}\n`, `"${token}"`]) {
      expect(await verify(raw({ body }), dialpad)).toEqual({ ok: true, with: 'secret 1 of 1, HS256' })
      expect(JSON.parse(new TextDecoder().decode(claimsOf(utf8(body))))).toMatchObject({ state: 'hangup' })
    }
    const [head = '', claims = '', mac = ''] = token.split('.')
    const none = encodeBase64Url(utf8('{"alg":"none","typ":"JWT"}'))
    for (const body of [
      '',
      new TextDecoder().decode(claimsOf(utf8(token))),
      `${head}.${claims}`,
      `${head}.${claims}.`,
      `${none}.${claims}.`,
      `${none}.${claims}.${mac}`,
      `${head}.${claims.replace('J', 'K')}.${mac}`,
      `"${token}`,
    ]) {
      expect(await verify(raw({ body }), dialpad), body.slice(0, 60)).toMatchObject({ ok: false })
    }
  })

  test('a token that is the body may be as long as what there is to say; one in a header may not', async () => {
    const long = utf8(JSON.stringify({ text: 'x'.repeat(60_000) }))
    const inBody: JwtVerification = { ...plain, place: { body: true } }
    const tools = { now: NOW, signer: testSigner }
    const signed = await signRaw(raw({ body: new TextDecoder().decode(long) }), inBody, tools)
    expect(await verify(signed, inBody)).toMatchObject(accepted)
    expect(claimsOf(signed.body)).toEqual(long)
    // Signed anew with another secret, it still says the same.
    const again = await signRaw(signed, { ...inBody, secrets: ['another-secret'] }, tools)
    expect(claimsOf(again.body)).toEqual(long)
    expect(await verify(again, inBody)).toMatchObject({ ok: false })
    expect(await verifyToken(new TextDecoder().decode(signed.body))).toMatchObject({ ok: false })
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
    expect(await verify(request, telnyx, NOW + 200_000, serverSigner)).toMatchObject(accepted)
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

  test('cannot be signed here: the vendor has the private key', async () => {
    const real = { ...telnyx, publicKeys: ['eu2zvPjhY6odxV34Z/EsRiERvTodkev4Fq0SlK90Izg='] }
    const signed = signRequest(inboundRequest(request), real, { now: NOW, signer: testSigner })
    await expect(signed).rejects.toMatchObject({ code: 'bad_request' })
  })

  test('is signed as the vendor signs where the key is that of the stand-ins', async () => {
    const unsigned = { ...request, headers: [] }
    const at = 1_766_998_937_000
    const headers = await signRequest(inboundRequest(unsigned), telnyx, { now: at, signer: testSigner })
    expect(Object.entries(headers)).toEqual(request.headers)
    expect(
      await verify(await signRaw(unsigned, telnyx, { now: NOW, signer: testSigner }), telnyx),
    ).toMatchObject(accepted)
  })
})
