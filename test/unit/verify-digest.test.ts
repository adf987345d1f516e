import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { encodeHex, utf8 } from '../../src/connector/encoding.ts'
import { inboundRequest } from '../../src/connector/request.ts'
import { signRaw, signRequest } from '../../src/connector/sign.ts'
import type { CustomVerification, HashVerification } from '../../src/connector/verification.ts'
import { accepted, NOW, raw, refused, verify } from '../kit/requests.ts'
import { testSigner } from '../kit/signer.ts'

/** Vendors’ vectors are from their dossiers: made with the vendors’ own libraries, named beside each. */

describe('hash, as for Mango Office (node:crypto, 2026-11-20)', () => {
  const mango: HashVerification = {
    scheme: 'hash',
    hash: 'sha256',
    encoding: 'hex',
    place: { field: 'sign' },
    signed: [{ text: 'b5c1a8e2f4d64b7c9e0f1a2b3c4d5e6f' }, { field: 'json' }, { secret: true }],
    secrets: ['9f8e7d6c5b4a39281706f5e4d3c2b1a0'],
  }
  const form = (fields: Record<string, string>) =>
    raw({
      body: new URLSearchParams(fields).toString(),
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    })
  const json = '{"x":"Привет"}'
  const sign = '468b0631822df2d03cf400eda8090aa34c2bda7e45b56af572e23e8692c41952'

  test('accepted when the text with one of the secrets fits, as it was received', async () => {
    expect(await verify(form({ sign, json }), { ...mango, secrets: ['new', ...mango.secrets] })).toEqual({
      ok: true,
      with: 'secret 2 of 2',
    })
    expect(await verify(form({ sign, json: '{"x": "Привет"}' }), mango)).toEqual(
      refused('the signature does not fit the secret'),
    )
    expect(await verify(form({ sign, json }), { ...mango, secrets: ['another'] })).toMatchObject({
      ok: false,
    })
  })

  test('what is missing, empty, too long or no hex refuses', async () => {
    expect(await verify(form({ json }), mango)).toEqual(refused('the field sign is missing'))
    expect(await verify(form({ sign: '', json }), mango)).toEqual(refused('the field sign is missing'))
    expect(await verify(form({ sign }), mango)).toEqual(
      refused('the field json, which is signed, is missing'),
    )
    for (const other of ['zz', `${sign}0`, '00'.repeat(1000)]) {
      expect(await verify(form({ sign: other, json }), mango)).toEqual(
        refused('the signature is not written as hex'),
      )
    }
    expect(await verify(form({ sign: sign.slice(2), json }), mango)).toMatchObject({ ok: false })
  })

  test.each<HashVerification['signed']>([[], [{ body: true }], [{ secret: true }, { body: true }]])(
    'a text that does not end with the secret, %j, is a mistake of the connector',
    async (...signed) => {
      const attempt = verify(form({ sign, json }), { ...mango, signed })
      await expect(attempt).rejects.toMatchObject({ code: 'config' })
    },
  )

  describe('with the secret in front (HubSpot’s v1 and v2)', () => {
    const v1: HashVerification = {
      ...mango,
      place: { header: 'x-sign' },
      signed: [{ secret: true }, { body: true }],
      closedBy: 'json',
      secrets: ['secret'],
    }
    const hash = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
    const sent = (body: Uint8Array, proof: string) =>
      verify({ ...raw({ headers: { 'x-sign': proof } }), body }, v1)
    const body = utf8('[{"eventId":1}]')

    test('JSON that it signed is accepted, and nothing else', async () => {
      const proof = hash(utf8('secret[{"eventId":1}]'))
      expect(await sent(body, proof)).toMatchObject({ ok: true })
      expect(await sent(utf8('[{"eventId":2}]'), proof)).toMatchObject({ ok: false })
    })

    test('a text that a stranger made longer fits, and is refused', async () => {
      // What SHA-256 itself puts behind the 21 bytes of secret and body: a stranger can go on from the known hash.
      const padding = new Uint8Array(64 - 21)
      padding[0] = 0x80
      new DataView(padding.buffer).setUint32(padding.length - 4, 21 * 8)
      const longer = new Uint8Array([...body, ...padding, ...utf8('[{"eventId":2}]')])
      const proof = hash(new Uint8Array([...utf8('secret'), ...longer]))
      expect(await sent(longer, proof)).toEqual(refused('what was signed does not end with JSON'))
    })

    test.each<HashVerification['signed'][]>([
      [[{ body: true }]],
      [[{ body: true }, { secret: true }]],
      [[{ secret: true }, { body: true }, { method: true }]],
      [[]],
    ])('%j is a mistake of the connector', async (signed) => {
      const attempt = verify(raw({ headers: { 'x-sign': '00' } }), { ...v1, signed })
      await expect(attempt).rejects.toMatchObject({ code: 'config' })
    })
  })

  test('no secret or an empty one is a mistake of the configuration', async () => {
    for (const secrets of [[], [''], ['x', ' ']])
      await expect(verify(form({ sign, json }), { ...mango, secrets })).rejects.toMatchObject({
        code: 'config',
      })
  })

  test.each<HashVerification['place']>([
    { header: 'x-sign' },
    { header: 'x-sign', prefix: 'sha256=' },
    { query: 'sign' },
    { field: 'sign' },
    { path: true },
  ])('what signRaw makes with %j verifies', async (place) => {
    const request = { ...form({ json, sign: 'old' }), url: 'https://hooks.example.com/hooks/acme/old' }
    const verification = { ...mango, place }
    const signed = await signRaw(request, verification, { now: NOW, signer: testSigner })
    expect(await verify(signed, verification)).toEqual({ ok: true, with: 'secret 1 of 1' })
  })

  test('signRequest leaves a field alone that is right, and says where a wrong one belongs', async () => {
    const tools = { now: NOW, signer: testSigner }
    expect(await signRequest(inboundRequest(form({ sign, json })), mango, tools)).toEqual({})
    await expect(
      signRequest(inboundRequest(form({ sign: 'old', json })), mango, tools),
    ).rejects.toMatchObject({
      code: 'bad_request',
      why: expect.stringContaining('field sign'),
    })
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
