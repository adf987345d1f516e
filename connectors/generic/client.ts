import type { Recording } from '../../src/call/call.ts'
import type { CheckResult, ConnectorContext } from '../../src/connector/contract.ts'
import { failOn } from '../../src/connector/fail-on.ts'
import { CordboardError } from '../../src/errors.ts'
import type { Config } from './schema.ts'

const MAX_RECORDING_BYTES = 4 * 1024 ** 3

/** The sender has no API of its own; a base URL that answers anything but a refusal is a good sign. */
export async function check(ctx: ConnectorContext<Config>): Promise<CheckResult> {
  const { baseUrl } = ctx.config
  if (baseUrl === undefined) return { says: 'receives webhooks; there is no baseUrl to check' }
  const response = await ctx.fetch(baseUrl, { headers: credentials(baseUrl, ctx.config) })
  if (response.status !== 404) await failOn(response, { what: 'Generic: ask the base URL', now: ctx.now })
  await response.body?.cancel()
  return { says: `${new URL(baseUrl).host} answers` }
}

export async function fetchRecording(recording: Recording, ctx: ConnectorContext<Config>): Promise<Response> {
  const { url } = recording
  if (url === undefined) {
    throw new CordboardError('not_found', 'The recording has no URL', {
      fix: 'Send `url` with every recording that is ready',
    })
  }
  const response = await ctx.fetch(url, {
    headers: credentials(url, ctx.config),
    redirects: 3,
    maxBytes: MAX_RECORDING_BYTES,
  })
  return failOn(response, { what: 'Generic: fetch the recording', now: ctx.now })
}

/** The URL comes from a webhook: the token goes to the configured origin and nowhere else. */
function credentials(url: string, { baseUrl, token }: Config): Record<string, string> {
  const isOwn = baseUrl !== undefined && new URL(url).origin === new URL(baseUrl).origin
  return isOwn && token !== undefined ? { authorization: `Bearer ${token}` } : {}
}

/** A link that needs our token is none for others. */
export function publicUrl({ url }: Recording, config: Config): string | null {
  return url === undefined || 'authorization' in credentials(url, config) ? null : url
}
