import { describe, expect, it } from 'vitest'
import { inboundRequest } from '../../../src/connector/request.ts'
import { signRaw } from '../../../src/connector/sign.ts'
import { testSigner } from '../../kit/signer.ts'
import { load } from './load.ts'
import { accepts, rawRequest, URL_OF_HOOK, verificationOf } from './request.ts'

/** npm `plivo`: it only checks, so what our signer signs is what both must accept, and refuse when it is changed. */

type Fields = Record<string, string>
const plivo = load<{
  validateV3Signature(
    method: string,
    url: string,
    nonce: string,
    token: string,
    signature: string,
    fields?: Fields,
  ): boolean
}>('plivo')

const TOKEN = 'plivo_auth_token_of_the_sdk_test_0001'
const NONCE = '05429567804466091622'
const NOW = Date.UTC(2026, 10, 27, 12)
const verification = await verificationOf('plivo', { authId: 'MA00000000000000SAMP', authToken: TOKEN })

const FIELDS: Fields[] = [
  { CallUUID: 'a-1', CallStatus: 'completed', From: '+33199001234', Duration: '12' },
  { a: '1', B: '2', CallUUID: 'x', Name: 'Smith & Co = 100 %' },
]
const URLS = [URL_OF_HOOK, `${URL_OF_HOOK}/status?z=2&a=1`, 'https://hooks.example.com:8443/hooks/pbx']

describe.each(URLS)('%s', (url) => {
  it.each(FIELDS)(
    'what we sign is accepted by the library and by us; changed, by neither: %j',
    async (fields) => {
      const form = {
        'content-type': 'application/x-www-form-urlencoded',
        'x-plivo-signature-v3-nonce': NONCE,
      }
      const body = (of: Fields) => new URLSearchParams(of).toString()
      const raw = await signRaw(rawRequest(body(fields), form, url), verification, {
        now: NOW,
        signer: testSigner,
      })
      const proof = inboundRequest(raw).headers.get('x-plivo-signature-v3') ?? ''
      const both = async (change: { fields?: Fields; proof?: string; nonce?: string; url?: string }) => {
        const sent = { fields, proof, nonce: NONCE, url, ...change }
        const headers = {
          ...form,
          'x-plivo-signature-v3-nonce': sent.nonce,
          'x-plivo-signature-v3': sent.proof,
        }
        return [
          plivo.validateV3Signature('POST', sent.url, sent.nonce, TOKEN, sent.proof, { ...sent.fields }),
          await accepts(rawRequest(body(sent.fields), headers, sent.url), verification, NOW),
        ]
      }
      expect(await both({})).toEqual([true, true])
      expect(await both({ fields: { ...fields, More: '1' } })).toEqual([false, false])
      expect(await both({ fields: { ...fields, CallUUID: 'other' } })).toEqual([false, false])
      expect(await both({ nonce: `${NONCE}0` })).toEqual([false, false])
      expect(await both({ url: `${url}${url.includes('?') ? '&' : '?'}more=1` })).toEqual([false, false])
      const flipped = `${proof.startsWith('A') ? 'B' : 'A'}${proof.slice(1)}`
      expect(await both({ proof: flipped })).toEqual([false, false])
      expect(await both({ proof: `other,${proof}` })).toEqual([true, true])
    },
  )
})
