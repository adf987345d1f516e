import type { Context } from 'hono'
import { z } from 'zod'
import { decodeBase64Url, utf8 } from '../../../src/connector/encoding.ts'
import { asObject, parseJson } from '../../../src/connector/json.ts'
import { type Config, privateKeyBytes } from '../schema.ts'

/** The token endpoint of the stand-in, for the three flows; and which tokens are good. */

export interface OAuthOptions {
  now(): number
  random(): number
  account: Config
  /** Where the org is: goes out with every token. */
  instanceUrl(): string
  tokenLifeMs: number
  /** Each use of a refresh token brings another one, and ends the last. */
  rotates: boolean
}

/** The public half of a key. */
const RSA = z.object({ kty: z.string(), n: z.string(), e: z.string() })

export const ORG = '00Dd0000000stndEAA'
const USER = '005d0000000standAA'

export const identityOf = (baseUrl: string): string => `${baseUrl}/id/${ORG}/${USER}`

export function createOAuth(options: OAuthOptions) {
  const { now, random, account, tokenLifeMs, rotates } = options
  const good = new Map<string, number>()
  let refreshToken = account.refreshToken

  const secret = () => Array.from({ length: 24 }, () => Math.floor(random() * 36).toString(36)).join('')

  async function grant(
    form: URLSearchParams,
  ): Promise<Record<string, string> | { error: string; error_description: string }> {
    const no = (error: string, error_description: string) => ({ error, error_description })
    const type = form.get('grant_type')
    if (type === 'urn:ietf:params:oauth:grant-type:jwt-bearer') {
      const wrong = await wrongWith(form.get('assertion') ?? '')
      return wrong === null ? opened() : no('invalid_grant', wrong)
    }
    if (form.get('client_id') !== account.clientId)
      return no('invalid_client_id', 'client identifier invalid')
    const isSecret = account.clientSecret === undefined || form.get('client_secret') === account.clientSecret
    if (!isSecret) return no('invalid_client', 'invalid client credentials')
    if (type === 'client_credentials') {
      return account.clientSecret === undefined
        ? no('invalid_client', 'invalid client credentials')
        : opened()
    }
    if (type !== 'refresh_token') return no('unsupported_grant_type', 'grant type not supported')
    if (form.get('refresh_token') !== refreshToken || refreshToken === undefined)
      return no('invalid_grant', 'expired access/refresh token')
    if (!rotates) return opened()
    refreshToken = `5Aep${secret()}`
    return { ...opened(), refresh_token: refreshToken }
  }

  /** What is wrong with an assertion of the JWT bearer flow. */
  async function wrongWith(assertion: string): Promise<string | null> {
    const [head = '', claims = '', signature = ''] = assertion.split('.')
    const bytes = decodeBase64Url(signature)
    const key = await verifyingKey(account.privateKey)
    if (jsonOf(head)?.alg !== 'RS256' || !bytes || !key) return 'invalid assertion'
    const data = new Uint8Array(utf8(`${head}.${claims}`))
    if (!(await crypto.subtle.verify('RSASSA-PKCS1-v1_5', key, new Uint8Array(bytes), data)))
      return 'invalid assertion'
    const { iss, sub, aud, exp } = jsonOf(claims) ?? {}
    if (iss !== account.clientId) return 'invalid client credentials'
    if (sub !== account.username) return "user hasn't approved this consumer"
    if (aud !== account.audience) return 'audience is invalid'
    const left = typeof exp === 'number' ? exp - now() / 1000 : Number.NaN
    return left > 0 && left <= 180 ? null : 'assertion has expired'
  }

  function opened(): Record<string, string> {
    const access_token = `00Dd0000000stnd!${secret()}`
    good.set(access_token, now() + tokenLifeMs)
    const [instance_url, id] = [options.instanceUrl(), identityOf(account.baseUrl)]
    return { access_token, instance_url, id, token_type: 'Bearer', issued_at: String(now()), scope: 'api' }
  }

  return {
    async answer(c: Context): Promise<Response> {
      const granted = await grant(new URLSearchParams(new TextDecoder().decode(await c.req.arrayBuffer())))
      return c.json(granted, 'error' in granted ? 400 : 200)
    },
    isGood: (bearer: string): boolean => now() < (good.get(bearer) ?? 0),
  }
}

async function verifyingKey(privateKey: string | undefined): Promise<CryptoKey | null> {
  const bytes = privateKey === undefined ? null : privateKeyBytes(privateKey)
  if (!bytes) return null
  const algorithm = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }
  const own = await crypto.subtle.importKey('pkcs8', new Uint8Array(bytes), algorithm, true, ['sign'])
  const { kty, n, e } = RSA.parse(await crypto.subtle.exportKey('jwk', own))
  return crypto.subtle.importKey('jwk', { kty, n, e }, algorithm, false, ['verify'])
}

function jsonOf(part: string): Record<string, unknown> | null {
  const bytes = decodeBase64Url(part)
  try {
    return bytes ? asObject(parseJson(bytes)) : null
  } catch {
    return null
  }
}
