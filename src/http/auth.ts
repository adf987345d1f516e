import type { MiddlewareHandler } from 'hono'
import { encodeHex, utf8 } from '../connector/encoding.ts'
import type { Signer } from '../connector/platform.ts'
import { CordboardError } from '../errors.ts'

export const ROLES = ['viewer', 'ingest', 'operator', 'admin'] as const
export type Role = (typeof ROLES)[number]

/** Who may do what of whom. A program that hands calls in reads none, only how far its batches are: its token lies on a machine that makes recordings. */
const MAY: Readonly<Record<Role, readonly Role[]>> = {
  viewer: ['viewer'],
  ingest: ['ingest'],
  operator: ['viewer', 'ingest', 'operator'],
  admin: ROLES,
}

/** Whether a token of this role may do what needs that one. */
export const mayDo = (role: Role, needed: Role): boolean => MAY[role].includes(needed)

export interface Token {
  role: Role
  token: string
  /** Shown in the audit instead of the token's hash prefix. */
  label?: string
}

/** The caller, as handlers and the audit see it. */
interface Identity {
  role: Role
  /** Role and label (or hash prefix) of the token; never the token. */
  actor: string
}

/** What the middleware leaves for the handlers. */
export type Api = { Variables: { identity: Identity } }

const SHORTEST = 16
/** What RFC 6750 lets stand in an Authorization header. */
const TOKEN_SHAPE = /^[\w.~+/-]+=*$/

/**
 * `admin:…,viewer:…` as tokens. Every problem is listed at once, by position: a token is never repeated in a message.
 */
export function parseTokens(text: string): Token[] {
  const tokens: Token[] = []
  const problems: string[] = []
  const entries = text
    .split(/[,\r\n]+/)
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '')
  if (entries.length === 0) problems.push('it names no token')
  for (const [index, entry] of entries.entries()) {
    const where = `entry ${index + 1}`
    const colon = entry.indexOf(':')
    const role = ROLES.find((known) => known === entry.slice(0, Math.max(0, colon)).trim())
    const token = entry.slice(colon + 1).trim()
    if (colon < 0) problems.push(`${where} has no colon: expected <role>:<token>`)
    else if (!role) problems.push(`${where} names no role: expected ${ROLES.join(', ')} before the colon`)
    else if (token.length < SHORTEST)
      problems.push(`${where} is too short: expected at least ${SHORTEST} characters, seen ${token.length}`)
    else if (!TOKEN_SHAPE.test(token))
      problems.push(`${where} has characters that no header may carry: expected letters, digits and -._~+/=`)
    else if (tokens.some((other) => other.token === token)) problems.push(`${where} repeats an earlier token`)
    else tokens.push({ role, token })
  }
  if (problems.length === 0) return tokens
  throw new CordboardError('config', `The API tokens are wrong: ${problems.join('; ')}`, {
    why: 'CORDBOARD_TOKENS is read as a list of <role>:<token>, divided by commas',
    fix: 'Correct it, for example: CORDBOARD_TOKENS=admin:$(openssl rand -hex 24)',
  })
}

/**
 * Lets only known tokens pass and says who it was. The presented token is compared with every configured one, so that
 * neither the time nor the order of the list tells which one came close.
 */
export function authenticate(tokens: readonly Token[], signer: Signer): MiddlewareHandler<Api> {
  const prepare = () =>
    Promise.all(
      tokens.map(async ({ role, token, label }) => {
        const bytes = utf8(token)
        const hash = await signer.digest('sha256', bytes)
        return { bytes, identity: { role, actor: `${role}#${label ?? encodeHex(hash).slice(0, 8)}` } }
      }),
    )
  let prepared: ReturnType<typeof prepare> | undefined

  return async function authenticated(c, next) {
    const header = c.req.header('authorization')
    const given = /^bearer +(\S+) *$/i.exec(header ?? '')?.[1]
    if (given === undefined) {
      throw new CordboardError('unauthorized', 'This path needs a bearer token', {
        why:
          header === undefined
            ? 'No Authorization header was sent'
            : 'The Authorization header is not of the form: Bearer <token>',
      })
    }
    prepared ??= prepare()
    const presented = utf8(given)
    let found: Identity | undefined
    for (const { bytes, identity } of await prepared) {
      if (signer.equal(presented, bytes)) found = identity
    }
    if (!found) {
      throw new CordboardError('unauthorized', 'This token is not known', {
        why: 'The token is none of those the server was started with',
      })
    }
    c.set('identity', found)
    await next()
  }
}

/** The part of a route that says which role it needs; without an identity it refuses as well. */
export function needs(role: Role) {
  const check: MiddlewareHandler<Api> = async function roleChecked(c, next) {
    const identity: Identity | undefined = c.get('identity')
    if (!identity) throw new CordboardError('unauthorized', 'This path needs a bearer token')
    if (!mayDo(identity.role, role)) {
      throw new CordboardError(
        'role_missing',
        `This needs the role ${role}; the token’s role is ${identity.role}`,
        {
          fix: `Use a token with the role ${role}`,
        },
      )
    }
    await next()
  }
  return { middleware: check, security: [{ bearer: [] as string[] }], 'x-cordboard-role': role }
}

/** The challenge that RFC 6750 wants beside a 401 or 403. */
export function challenge(error: CordboardError, sentToken: boolean): string | undefined {
  if (error.code === 'role_missing') return 'Bearer realm="cordboard", error="insufficient_scope"'
  if (error.code !== 'unauthorized') return undefined
  return `Bearer realm="cordboard"${sentToken ? ', error="invalid_token"' : ''}`
}
