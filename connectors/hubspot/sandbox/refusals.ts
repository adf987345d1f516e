import type { Context, MiddlewareHandler } from 'hono'

/** What HubSpot says when it does not do what it was asked for (error-handling guide, read 2026-11-20). */

export interface Refusal {
  status: 400 | 401 | 403 | 404 | 409 | 423
  category: string
  message: string
  errors?: unknown[]
}

export function refusal(message: string): Refusal {
  return { status: 400, category: 'VALIDATION_ERROR', message }
}

export function missing(what: string): Refusal {
  return { status: 404, category: 'OBJECT_NOT_FOUND', message: `${what} not found` }
}

export function refuse(c: Context, { status, ...said }: Refusal): Response {
  return c.json({ status: 'error', correlationId: '00000000-0000-4000-8000-000000000000', ...said }, status)
}

/** Calls, notes and tasks have no scope of their own: they go with contacts, and so do properties of calls. */
function scopeOf(method: string, path: string): string | null {
  const verb = method === 'GET' || /\/(?:search|read)$/.test(path) ? 'read' : 'write'
  if (path.startsWith('/files/')) return 'files'
  if (path.startsWith('/crm/extensions/')) return `crm.extensions_calling_transcripts.${verb}`
  if (path.startsWith('/crm/properties/') && verb === 'write') return 'crm.schemas.contacts.write'
  if (path.startsWith('/crm/owners/')) return 'crm.objects.owners.read'
  if (/^\/crm\/(?:objects|associations|properties)\//.test(path)) {
    const kind = /\/(deals|companies)\//.exec(`${path}/`)?.[1] ?? 'contacts'
    return `crm.objects.${kind}.${verb}`
  }
  return null
}

export function scopeCheck(scopes: readonly string[] | undefined): MiddlewareHandler {
  return async (c, next) => {
    const needed = scopeOf(c.req.method, c.req.path)
    if (needed === null || !scopes || scopes.includes(needed)) return next()
    return refuse(c, {
      status: 403,
      category: 'MISSING_SCOPES',
      message: 'This app hasn’t been granted all required scopes to make this call.',
      errors: [
        { message: 'One or more scopes are required.', context: { requiredGranularScopes: [needed] } },
      ],
    })
  }
}

interface Limits {
  per10s: number
  searches: number
  perDay: number
}

/** Searches count by the second and the account, everything else by ten seconds and the app, and all by the day. */
export function limiter(now: () => number, { per10s, searches, perDay }: Limits): MiddlewareHandler {
  const general = rolling(per10s, 10_000)
  const search = rolling(searches, 1000)
  let day = 0
  let today = 0
  const refused = (c: Context, policyName: string, message: string) =>
    c.json({ status: 'error', message, errorType: 'RATE_LIMIT', policyName, requestId: 'stand-in' }, 429)
  return async (c, next) => {
    // Of the account's time zone, which is UTC here.
    const date = Math.floor(now() / 86_400_000)
    if (date !== day) [day, today] = [date, 0]
    if (today >= perDay) return refused(c, 'DAILY', 'You have reached your daily limit.')
    const isSearch = c.req.path.endsWith('/search')
    if (isSearch && !search(now())) return refused(c, 'SECONDLY', 'You have reached your secondly limit.')
    if (!isSearch && !general(now()))
      return refused(c, 'TEN_SECONDLY_ROLLING', 'You have reached your ten_secondly_rolling limit.')
    today += 1
    await next()
    // "None on search" (usage guidelines).
    if (isSearch || perDay === Number.POSITIVE_INFINITY) return
    c.header('x-hubspot-ratelimit-daily', String(perDay))
    c.header('x-hubspot-ratelimit-daily-remaining', String(perDay - today))
  }
}

function rolling(limit: number, windowMs: number): (now: number) => boolean {
  let taken: number[] = []
  return (at) => {
    if (taken.length >= limit) taken = taken.filter((before) => at - before < windowMs)
    if (taken.length >= limit) return false
    taken.push(at)
    return true
  }
}
