import type { ConnectorContext, NewToken, SharedToken, VendorFetch } from '../../../src/connector/contract.ts'
import { encodeBase64Url, utf8 } from '../../../src/connector/encoding.ts'
import { failOn } from '../../../src/connector/fail-on.ts'
import { readReply } from '../../../src/connector/read.ts'
import { CordboardError } from '../../../src/errors.ts'
import { type Config, privateKeyBytes, token } from '../schema.ts'

type Context = ConnectorContext<Config>

/** Where the org is, and what opens it. */
export interface Access {
  /** Without a slash at its end. */
  instanceUrl: string
  bearer: string
  /** Both, as all processes share it: the org may have moved since another one logged in. */
  shared: string
}

/** Salesforce takes a JWT of three minutes at most. */
const JWT_LIFE_S = 120

/**
 * The access token that all processes share. It lives as long as the session settings of the org say, of which Salesforce
 * tells nothing: until it is refused. There is no delegate of jsforce's: it repeats a request that is refused for ever
 * (jsforce issues 196, 1291, 1766; 3.10.26 sends about 1,000 a second).
 */
export async function accessOf(ctx: Context, refused?: string): Promise<Access> {
  const { clientSecret, refreshToken, privateKey } = ctx.config
  const from = [clientSecret, refreshToken, privateKey].filter((secret) => secret !== undefined)
  const shared = await ctx.token('access', (previous, fetch) => login(ctx, fetch, previous), {
    from,
    refused,
  })
  const space = shared.indexOf(' ')
  return { instanceUrl: shared.slice(0, space), bearer: shared.slice(space + 1), shared }
}

async function login(ctx: Context, fetch: VendorFetch, previous: SharedToken | null): Promise<NewToken> {
  const { config } = ctx
  const what = 'Salesforce: ask for a token'
  const response = await fetch(`${config.baseUrl}/services/oauth2/token`, {
    method: 'POST',
    headers: { accept: 'application/json' },
    body: new URLSearchParams(await grantOf(ctx, previous)),
  })
  // A wrong secret, a revoked token, a user without the app: 400 with `invalid_grant` or `invalid_client`.
  const codeOf = (status: number) => (status === 400 ? ('auth' as const) : undefined)
  const granted = await readReply(await failOn(response, { what, now: ctx.now, codeOf }), token, what)
  const expiresInMs = granted.expires_in === undefined ? {} : { expiresInMs: granted.expires_in * 1000 }
  const keep = granted.refresh_token === undefined ? {} : { keep: granted.refresh_token }
  return {
    token: `${instanceOf(granted.instance_url, config)} ${granted.access_token}`,
    ...expiresInMs,
    ...keep,
  }
}

async function grantOf(
  { config, now }: Context,
  previous: SharedToken | null,
): Promise<Record<string, string>> {
  const { clientId: client_id, clientSecret, refreshToken, privateKey, username, audience } = config
  if (privateKey !== undefined && username !== undefined) {
    const exp = Math.floor(now() / 1000) + JWT_LIFE_S
    const assertion = await signed({ iss: client_id, sub: username, aud: audience, exp }, privateKey)
    return { grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion }
  }
  const secret: Record<string, string> = clientSecret === undefined ? {} : { client_secret: clientSecret }
  const refresh_token = refreshToken === undefined ? undefined : (previous?.keep ?? refreshToken)
  if (refresh_token !== undefined) return { grant_type: 'refresh_token', client_id, ...secret, refresh_token }
  return { grant_type: 'client_credentials', client_id, ...secret }
}

/**
 * The org's own address comes with the token, and the token goes there: only to where the login belongs. An address of a
 * private network is refused by the guard of `ctx.fetch` besides.
 */
function instanceOf(told: string, { baseUrl }: Config): string {
  const [instance, login] = [new URL(told), new URL(baseUrl)]
  const isSame = instance.host === login.host
  const isKin =
    familyOf(instance.hostname) !== null && familyOf(instance.hostname) === familyOf(login.hostname)
  const isSafe = instance.protocol === 'https:' || (isSame && instance.protocol === login.protocol)
  if (isSafe && (isSame || isKin) && instance.username === '' && instance.password === '')
    return instance.origin
  throw new CordboardError('blocked_address', 'Salesforce: the token is for a host that is not the login’s', {
    why: 'It would be sent to whoever that host belongs to',
    fix: 'Set baseUrl to the My Domain address of the org',
  })
}

/** `salesforce.com` of `acme.my.salesforce.com`; an address of numbers has none. */
function familyOf(host: string): string | null {
  return /[a-z][a-z\d-]*\.[a-z]{2,}$/i.exec(host)?.[0]?.toLowerCase() ?? null
}

async function signed(claims: Record<string, string | number>, privateKey: string): Promise<string> {
  const part = (value: unknown) => encodeBase64Url(utf8(JSON.stringify(value)))
  const text = `${part({ alg: 'RS256' })}.${part(claims)}`
  const key = await signingKey(privateKey)
  const signature = await crypto.subtle.sign('RSASSA-PKCS1-v1_5', key, new Uint8Array(utf8(text)))
  return `${text}.${encodeBase64Url(new Uint8Array(signature))}`
}

async function signingKey(text: string): Promise<CryptoKey> {
  const bytes = new Uint8Array(privateKeyBytes(text) ?? [])
  const algorithm = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }
  try {
    return await crypto.subtle.importKey('pkcs8', bytes, algorithm, false, ['sign'])
  } catch {
    // The cause might quote the key.
    throw new CordboardError('config', 'Salesforce: the private key cannot be read', {
      fix: 'Give the key of the app’s certificate whole, from BEGIN PRIVATE KEY to END PRIVATE KEY (PKCS #8)',
    })
  }
}
