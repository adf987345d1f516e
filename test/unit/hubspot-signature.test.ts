import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { connector } from '../../connectors/hubspot/connector.ts'
import { inboundRequest } from '../../src/connector/request.ts'
import { verifyRequest } from '../../src/connector/verify.ts'
import { raw } from '../kit/requests.ts'
import { verifier } from '../kit/signer.ts'
import { subject, telephony } from './hubspot-world.ts'

const SECRET = 'stand-in-app-secret-0002'
const settings = { ...subject.settings, appSecret: SECRET }
const verification = (signature: string) =>
  telephony.webhook?.verify(connector.config.parse({ ...settings, signature })) ?? expect.fail('no webhook')
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
const check = (
  signature: string,
  headers: Record<string, string>,
  body: string,
  url = 'https://www.example.com/webhook_uri',
) =>
  verifyRequest(inboundRequest({ ...raw({ body, headers }), url }), verification(signature), {
    now: 1_693_657_560_000,
    signer: verifier,
  })

test('an app of version 1 or 2 is taken only where the operator says so', async () => {
  const body = '[{"eventId":1}]'
  const v1 = { 'x-hubspot-signature': sha256(`${SECRET}${body}`) }
  const v2 = { 'x-hubspot-signature': sha256(`${SECRET}POSThttps://www.example.com/webhook_uri${body}`) }
  const taken = async (headers: Record<string, string>) => {
    const all = await Promise.all(['v1', 'v2', 'v3'].map((version) => check(version, headers, body)))
    return all.map(({ ok }) => ok)
  }
  expect(await taken(v1)).toEqual([true, false, false])
  expect(await taken(v2)).toEqual([false, true, false])
})

test('version 2 signs the URL as it was called, escapes and all', async () => {
  const url = 'https://www.example.com/webhook_uri?a=%28b%2Cc%29&d=e%20f'
  const headers = { 'x-hubspot-signature': sha256(`${SECRET}POST${url}[]`) }
  expect(await check('v2', headers, '[]', url)).toMatchObject({ ok: true })
  expect(await check('v2', headers, '[]', decodeURIComponent(url))).toMatchObject({ ok: false })
})
