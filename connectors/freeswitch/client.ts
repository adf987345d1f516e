import type { Call, Recording } from '../../src/call/call.ts'
import { apiUrl } from '../../src/connector/api-url.ts'
import type { CheckResult, ConnectorContext } from '../../src/connector/contract.ts'
import { encodeBase64, utf8 } from '../../src/connector/encoding.ts'
import { failOn, readBounded } from '../../src/connector/fail-on.ts'
import { CordboardError } from '../../src/errors.ts'
import type { Config } from './schema.ts'

type Context = ConnectorContext<Config>

const RECORDING_MAX_BYTES = 4 * 1024 ** 3
/** `record_post_process_exec_app` may convert or move a file after its call. */
const MAY_STILL_COME_MS = 900_000

export async function fetchRecording(recording: Recording, call: Call, ctx: Context): Promise<Response> {
  const { baseUrl } = ctx.config
  if (baseUrl === undefined) {
    throw new CordboardError('not_found', 'FreeSWITCH: there is no baseUrl to fetch recordings from', {
      fix: 'Serve recordingsPath over HTTPS and set baseUrl of the connection',
      retry: 'never',
    })
  }
  const path = recording.key.split('/').map(encodeURIComponent).join('/')
  const response = await ctx.fetch(apiUrl(baseUrl, `/${path}`), {
    headers: credentials(ctx.config),
    redirects: 3,
    maxBytes: RECORDING_MAX_BYTES,
  })
  const what = 'FreeSWITCH: fetch the recording'
  if (response.status !== 404) return failOn(response, { what, now: ctx.now })
  await readBounded(response, 0)
  const endedAt = call.endedAt ?? call.startedAt
  const isRecent = endedAt !== undefined && ctx.now() - Date.parse(endedAt) < MAY_STILL_COME_MS
  throw new CordboardError('not_found', `${what}: HTTP 404`, {
    why: isRecent ? 'The call ended a short while ago: the file may not be there yet' : 'It is not there',
    fix: 'Compare baseUrl of the connection with recordingsPath, the folder on the switch',
    retry: isRecent ? 'later' : 'never',
  })
}

/** A folder that may not be listed answers 403 or 404, and its credentials are good all the same. */
export async function checkAccess(ctx: Context): Promise<CheckResult> {
  const { baseUrl } = ctx.config
  if (baseUrl === undefined) {
    const what = 'Recordings cannot be fetched: there is no baseUrl'
    return { says: 'takes CDRs', warnings: [{ what, fix: 'Set baseUrl, or send calls without recordings' }] }
  }
  const response = await ctx.fetch(apiUrl(baseUrl, '/'), { headers: credentials(ctx.config) })
  const { status } = response
  const isListed = status !== 403 && status !== 404
  if (isListed) await failOn(response, { what: 'FreeSWITCH: ask for the folder of recordings', now: ctx.now })
  await response.body?.cancel()
  return { says: `the folder of recordings answers${isListed ? '' : ` (HTTP ${status}: no list of files)`}` }
}

function credentials({ user, password }: Config): Record<string, string> {
  return user === undefined || password === undefined
    ? {}
    : { authorization: `Basic ${encodeBase64(utf8(`${user}:${password}`))}` }
}
