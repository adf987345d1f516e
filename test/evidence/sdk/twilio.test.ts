import { describe, expect, it } from 'vitest'
import { inboundRequest } from '../../../src/connector/request.ts'
import { signRaw } from '../../../src/connector/sign.ts'
import { testSigner } from '../../kit/signer.ts'
import { load } from './load.ts'
import { accepts, rawRequest, URL_OF_HOOK, verificationOf } from './request.ts'

/** npm `twilio`: what it signs is what we accept, and the other way round. */

type Fields = Record<string, string | string[]>
const twilio = load<{
  getExpectedTwilioSignature(token: string, url: string, fields: Fields): string
  getExpectedBodyHash(body: string): string
  validateRequest(token: string, signature: string, url: string, fields: Fields): boolean
  validateRequestWithBody(token: string, signature: string, url: string, body: string): boolean
}>('twilio')

const TOKEN = 'token-of-the-sdk-test-0000000001'
const NOW = Date.UTC(2026, 10, 27, 12)
const FORM = { 'content-type': 'application/x-www-form-urlencoded' }
const verification = await verificationOf('twilio', { accountSid: `AC${'1'.repeat(32)}`, authToken: TOKEN })

const FIELDS: Fields[] = [
  { CallSid: 'CA1', CallStatus: 'completed', From: '+33199001234', CallDuration: '12' },
  { CallSid: 'CA1', Caller: 'Zoë & Søn = 100 %', Empty: '', a: '1', B: '2' },
  { MediaUrl: ['b', 'a', 'b'], CallSid: 'CA1' },
  { 'X y[0]': '\u{1f4de} ٣', CallSid: '＋' },
]
const URLS = [
  URL_OF_HOOK,
  `${URL_OF_HOOK}/status?direction=inbound&queue=sales`,
  `${URL_OF_HOOK}?q=caf%C3%A9%20au%20lait&x=%27`,
  'https://hooks.example.com:8443/hooks/pbx',
]

const bodyOf = (fields: Fields): string =>
  new URLSearchParams(
    Object.entries(fields).flatMap(([name, value]) =>
      [value].flat().map((one): [string, string] => [name, one]),
    ),
  ).toString()
const signed = (body: string, url: string, signature: string) =>
  rawRequest(body, { ...FORM, 'x-twilio-signature': signature }, url)

describe.each(URLS)('%s', (url) => {
  it.each(FIELDS)('a form that the library signs is accepted, a changed one is not: %j', async (fields) => {
    const signature = twilio.getExpectedTwilioSignature(TOKEN, url, fields)
    const body = bodyOf(fields)
    expect(await accepts(signed(body, url, signature), verification, NOW)).toBe(true)
    const spoilt = [
      signed(`${body}&More=1`, url, signature),
      signed(bodyOf({ ...fields, CallSid: 'CA2' }), url, signature),
      signed(body, `${url}${url.includes('?') ? '&' : '?'}z=1`, signature),
      signed(body, url, twilio.getExpectedTwilioSignature(`${TOKEN}0`, url, fields)),
      signed(body, url, signature.toLowerCase()),
      signed(body, url, ''),
    ]
    for (const raw of spoilt) expect(await accepts(raw, verification, NOW)).toBe(false)
  })

  it.each(FIELDS)(
    'a form that we sign is accepted by the library, a changed one is not: %j',
    async (fields) => {
      const raw = await signRaw(rawRequest(bodyOf(fields), FORM, url), verification, {
        now: NOW,
        signer: testSigner,
      })
      const signature = inboundRequest(raw).headers.get('x-twilio-signature') ?? ''
      expect(twilio.validateRequest(TOKEN, signature, url, fields)).toBe(true)
      expect(twilio.validateRequest(TOKEN, signature, url, { ...fields, More: '1' })).toBe(false)
      expect(twilio.validateRequest(`${TOKEN}0`, signature, url, fields)).toBe(false)
    },
  )
})

it('a body that is no form is covered by its hash in the query, for both', async () => {
  const body = '{"CallSid":"CA1","n":9007199254740993}'
  const url = `${URL_OF_HOOK}?bodySHA256=${twilio.getExpectedBodyHash(body)}`
  const signature = twilio.getExpectedTwilioSignature(TOKEN, url, {})
  const raw = (text: string, at = url) =>
    rawRequest(text, { 'content-type': 'application/json', 'x-twilio-signature': signature }, at)
  expect(twilio.validateRequestWithBody(TOKEN, signature, url, body)).toBe(true)
  expect(await accepts(raw(body), verification, NOW)).toBe(true)
  expect(twilio.validateRequestWithBody(TOKEN, signature, url, `${body} `)).toBe(false)
  expect(await accepts(raw(`${body} `), verification, NOW)).toBe(false)
  expect(await accepts(raw(body, URL_OF_HOOK), verification, NOW)).toBe(false)
})

it('the library takes a JSON body that nothing covers for a request without fields; we refuse it', async () => {
  const signature = twilio.getExpectedTwilioSignature(TOKEN, URL_OF_HOOK, {})
  expect(twilio.validateRequest(TOKEN, signature, URL_OF_HOOK, {})).toBe(true)
  const raw = rawRequest('{"CallSid":"CA1"}', {
    'content-type': 'application/json',
    'x-twilio-signature': signature,
  })
  expect(await accepts(raw, verification, NOW)).toBe(false)
})
