import { Webhook } from 'standardwebhooks'
import { describe, expect, test } from 'vitest'
import { encodeBase64, utf8 } from '../../src/connector/encoding.ts'
import { inboundRequest } from '../../src/connector/request.ts'
import { signRaw, signRequest } from '../../src/connector/sign.ts'
import type {
  CustomVerification,
  HmacVerification,
  TokenVerification,
} from '../../src/connector/verification.ts'
import { accepted, NOW, raw, refused, verify } from '../kit/requests.ts'
import { serverSigner, testSigner } from '../kit/signer.ts'

/** Vendors’ vectors are from their dossiers: made with the vendors’ own libraries, named beside each. */

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
    expect(await verify(zoomRequest, zoom, NOW, serverSigner)).toMatchObject(accepted)
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
    await verify(zoomRequest, zoom, NOW, testSigner).then(() => {
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

describe('custom, with the sender’s time', () => {
  const custom = (freshness: NonNullable<CustomVerification['freshness']>): CustomVerification => ({
    scheme: 'custom',
    reason: 'the text depends on the body',
    header: 'x-signature',
    secrets: ['custom-secret-0123456789'],
    freshness,
    claims: (request) => [
      {
        hash: 'sha256',
        encoding: 'hex',
        signed: `${request.headers.get(freshness.header)}|v1`,
        given: request.headers.get('x-signature') ?? '',
      },
    ],
  })
  const clock = { header: 'x-time', unit: 'clock', toleranceMs: 300_000 } as const
  const signed = (verification: CustomVerification, now = NOW) =>
    signRaw(raw({ body: '{}' }), verification, { now, signer: testSigner })

  test.each([
    ['s', {}],
    ['ms', {}],
    ['clock', {}],
    ['clock', { timeZone: 'America/New_York' }],
  ] as const)('in %s %j: fresh is accepted, old and early are refused', async (unit, zone) => {
    const verification = custom({ ...clock, ...zone, unit })
    expect(await verify(await signed(verification), verification)).toMatchObject(accepted)
    const old = await signed(verification, NOW - 301_000)
    expect(await verify(old, verification)).toEqual(refused('the timestamp is 301 s old, 300 allowed'))
    const early = await signed(verification, NOW + 302_000)
    expect(await verify(early, verification)).toMatchObject({ ok: false })
  })

  test('a clock of another zone is another time', async () => {
    const request = await signed(custom({ ...clock, timeZone: 'America/New_York' }))
    expect(await verify(request, custom(clock))).toMatchObject({ ok: false })
  })

  test.each([undefined, '', 'now', '2026-13-45 99:99:99', '1766998937'])(
    'refuses the time %j',
    async (time) => {
      const headers = { 'x-signature': '00', ...(time === undefined ? {} : { 'x-time': time }) }
      const verified = await verify(raw({ body: '{}', headers }), custom(clock))
      expect(verified).toMatchObject({ ok: false, reason: expect.stringContaining('the header x-time is') })
    },
  )
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

  test('in a second header, where the first one is not there; the first counts where both are', async () => {
    const place = token({ header: 'verification-token', or: 'validation-token' })
    const right = 'rc_verification_0123456789'
    const sent = async (headers: Record<string, string>) => verify(raw({ headers }), place)
    expect(await sent({ 'verification-token': right })).toMatchObject(accepted)
    expect(await sent({ 'validation-token': right })).toMatchObject(accepted)
    expect(await sent({ 'verification-token': '', 'validation-token': right })).toMatchObject(accepted)
    expect(await sent({ 'verification-token': 'x', 'validation-token': right })).toMatchObject({ ok: false })
    expect(await sent({ 'validation-token': 'x' })).toEqual(refused('the token does not fit the secret'))
    expect(await sent({})).toEqual(refused('the header verification-token or validation-token is missing'))
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
