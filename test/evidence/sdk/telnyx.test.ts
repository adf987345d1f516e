import { describe, expect, it } from 'vitest'
import { inboundRequest } from '../../../src/connector/request.ts'
import { signRaw } from '../../../src/connector/sign.ts'
import { STAND_IN_PUBLIC_KEY } from '../../../src/connector/stand-in-key.ts'
import { testSigner } from '../../kit/signer.ts'
import { load } from './load.ts'
import { accepts, rawRequest, verificationOf } from './request.ts'

/** npm `telnyx`: it has no private key, so what our signer signs is what both must accept, and refuse when it is changed. */

const { TelnyxWebhook } = load<{
  TelnyxWebhook: new (key: string) => { verify(body: string, headers: Record<string, string>): Promise<void> }
}>('telnyx/lib/webhooks')

const HEADER = 'telnyx-signature-ed25519'
const TIME = 'telnyx-timestamp'
const library = new TelnyxWebhook(STAND_IN_PUBLIC_KEY)
const verification = await verificationOf('telnyx', {
  apiKey: 'KEY-of-the-sdk-test',
  publicKey: STAND_IN_PUBLIC_KEY,
})
/** The library goes by the machine's clock. */
const NOW = Date.now()

const takes = (body: string, headers: Record<string, string>) =>
  library.verify(body, headers).then(
    () => true,
    () => false,
  )

describe.each([
  '{"data":{"id":"1"}}',
  '{ "data": {"text":"Zoë \\u00e9 \u{1f4de}", "n": 9007199254740993} }\n',
  '{}',
])('%s', (body) => {
  it('signed by us is accepted by the library and by us; changed, by neither', async () => {
    const json = { 'content-type': 'application/json' }
    const raw = await signRaw(rawRequest(body, json), verification, { now: NOW, signer: testSigner })
    const { [HEADER]: signature = '', [TIME]: time = '' } = Object.fromEntries(inboundRequest(raw).headers)
    const both = async (text: string, proof: string, at: string, now = NOW) => {
      const headers = { ...json, [HEADER]: proof, [TIME]: at }
      return [await takes(text, headers), await accepts(rawRequest(text, headers), verification, now)]
    }
    expect(await both(body, signature, time)).toEqual([true, true])
    const other = String(Number(time) - 1)
    const flipped = `${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`
    expect(await both(`${body} `, signature, time)).toEqual([false, false])
    expect(await both(body, signature, other)).toEqual([false, false])
    expect(await both(body, flipped, time)).toEqual([false, false])
    expect(await both(body, '', time)).toEqual([false, false])
    expect(await both(body, signature, 'soon')).toEqual([false, false])
    expect(await both(body, signature, '')).toEqual([false, false])
  })

  it('signed ten minutes ago is refused by both', async () => {
    const before = NOW - 600_000
    const raw = await signRaw(rawRequest(body, {}), verification, { now: before, signer: testSigner })
    expect(await accepts(raw, verification, before)).toBe(true)
    expect(await accepts(raw, verification, NOW)).toBe(false)
    expect(await takes(body, Object.fromEntries(inboundRequest(raw).headers))).toBe(false)
  })
})
