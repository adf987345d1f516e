import { createRequire } from 'node:module'
import { expect, it } from 'vitest'
import { loadConnector } from '../../../connectors/index.ts'
import { inboundRequest } from '../../../src/connector/request.ts'
import { signRaw } from '../../../src/connector/sign.ts'
import { testSigner } from '../../kit/signer.ts'
import { accepts, rawRequest } from './request.ts'

/** HubSpot's own library, which the connector uses for its API, checks signatures too: of the same requests, the same. */

const { Signature } = createRequire(import.meta.url)('@hubspot/api-client') as {
  Signature: { isValid(options: Record<string, unknown>): boolean }
}
const SECRET = 'secret-of-the-sdk-test'
/** The library goes by the machine's clock. */
const NOW = Date.now()
const URLS = ['https://hooks.example.com/hooks/crm', 'https://hooks.example.com/hooks/crm/crm?a=1&b=2']

for (const version of ['v1', 'v2'] as const) {
  it.each(URLS)(`of ${version} for %s as well, for apps that send no other`, async (url) => {
    const { config, telephony } = await loadConnector('hubspot')
    const verification = telephony?.webhook?.verify(
      config.parse({ token: 'token-of-the-sdk-test', appSecret: SECRET, signature: version }),
    )
    if (!verification) throw new RangeError('hubspot has no webhook')
    const body = '[{"eventId":1,"text":"Zoë \u{1f4de}"}]'
    const raw = await signRaw(rawRequest(body, {}, url), verification, { now: NOW, signer: testSigner })
    const signature = inboundRequest(raw).headers.get('x-hubspot-signature') ?? ''
    const both = async (text: string, proof: string, called = url) => [
      Signature.isValid({
        signatureVersion: version,
        signature: proof,
        method: 'POST',
        clientSecret: SECRET,
        requestBody: text,
        url: called,
      }),
      await accepts(rawRequest(text, { 'x-hubspot-signature': proof }, called), verification, NOW),
    ]
    const other = `${url}${url.includes('?') ? '&' : '?'}z=1`
    expect(await both(body, signature)).toEqual([true, true])
    expect(await both(`${body} `, signature)).toEqual([false, false])
    expect(await both(body, signature, other)).toEqual(version === 'v1' ? [true, true] : [false, false])
    expect(await both(body, `${signature.startsWith('0') ? '1' : '0'}${signature.slice(1)}`)).toEqual([
      false,
      false,
    ])
  })
}

it('a time ahead of our clock the library accepts, and we do not; both refuse an old one', async () => {
  const { config, telephony } = await loadConnector('hubspot')
  const verification = telephony?.webhook?.verify(
    config.parse({ token: 'token-of-the-sdk-test', appSecret: SECRET }),
  )
  if (!verification) throw new RangeError('hubspot has no webhook')
  const [url] = URLS
  const verdicts = async (at: number) => {
    const raw = await signRaw(rawRequest('[]', {}, url), verification, { now: at, signer: testSigner })
    const { headers } = inboundRequest(raw)
    const theirs = () =>
      Signature.isValid({
        signatureVersion: 'v3',
        signature: headers.get('x-hubspot-signature-v3') ?? '',
        method: 'POST',
        clientSecret: SECRET,
        requestBody: '[]',
        url,
        timestamp: at,
      })
    return { theirs, ours: await accepts(raw, verification, NOW) }
  }
  const ahead = await verdicts(NOW + 360_000)
  expect([ahead.theirs(), ahead.ours]).toEqual([true, false])
  const old = await verdicts(NOW - 360_000)
  expect(old.theirs).toThrow()
  expect(old.ours).toBe(false)
})

it.each(URLS)('what we sign for %s the library accepts, and neither takes a changed one', async (url) => {
  const { config, telephony } = await loadConnector('hubspot')
  const verification = telephony?.webhook?.verify(
    config.parse({ token: 'token-of-the-sdk-test', appSecret: SECRET }),
  )
  if (!verification) throw new RangeError('hubspot has no webhook')
  const body = '[{"eventId":1,"text":"Zoë \u{1f4de}","n":9007199254740993}]'
  const raw = await signRaw(rawRequest(body, {}, url), verification, { now: NOW, signer: testSigner })
  const headers = inboundRequest(raw).headers
  const signature = headers.get('x-hubspot-signature-v3') ?? ''
  const time = headers.get('x-hubspot-request-timestamp') ?? ''
  const both = async (text: string, proof: string, at: string, called = url) => [
    Signature.isValid({
      signatureVersion: 'v3',
      signature: proof,
      method: 'POST',
      clientSecret: SECRET,
      requestBody: text,
      url: called,
      timestamp: Number(at),
    }),
    await accepts(
      rawRequest(text, { 'x-hubspot-signature-v3': proof, 'x-hubspot-request-timestamp': at }, called),
      verification,
      NOW,
    ),
  ]
  expect(await both(body, signature, time)).toEqual([true, true])
  expect(await both(`${body} `, signature, time)).toEqual([false, false])
  expect(await both(body, signature, String(Number(time) - 1))).toEqual([false, false])
  expect(await both(body, signature, time, `${url}${url.includes('?') ? '&' : '?'}z=1`)).toEqual([
    false,
    false,
  ])
  expect(await both(body, `${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`, time)).toEqual([
    false,
    false,
  ])
})
