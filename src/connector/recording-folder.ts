import type { Call } from '../call/call.ts'
import { CordboardError } from '../errors.ts'
import { apiUrl } from './api-url.ts'
import type { CheckResult, ConnectorContext } from './contract.ts'
import { encodeBase64, utf8 } from './encoding.ts'
import { failOn, readBounded } from './fail-on.ts'

/** Recordings as files of a folder that a web server serves: what a PBX of one's own has instead of an API. */

const RECORDING_MAX_BYTES = 4 * 1024 ** 3
/** A file may be converted, copied or moved after its call, before it stands where it is fetched. */
const MAY_STILL_COME_MS = 900_000

/** The keys of a connection that open the folder; without them it is open. */
export interface FolderLogin {
  user?: string | undefined
  password?: string | undefined
}

/** A recording, streamed. One that is not there is asked for again while it may still come; `fix` is for when it is not. */
export async function fetchRecordingFile(
  url: string,
  { call, ctx, vendor, fix }: { call: Call; ctx: ConnectorContext<FolderLogin>; vendor: string; fix: string },
): Promise<Response> {
  const response = await ctx.fetch(url, {
    headers: basicLogin(ctx.config),
    redirects: 3,
    maxBytes: RECORDING_MAX_BYTES,
  })
  const what = `${vendor}: fetch the recording`
  if (response.status !== 404) return failOn(response, { what, now: ctx.now })
  await readBounded(response, 0)
  const endedAt = call.endedAt ?? call.startedAt
  const isRecent = endedAt !== undefined && ctx.now() - Date.parse(endedAt) < MAY_STILL_COME_MS
  throw new CordboardError('not_found', `${what}: HTTP 404`, {
    why: isRecent ? 'The call ended a short while ago: the file may not be there yet' : 'It is not there',
    fix,
    retry: isRecent ? 'later' : 'never',
  })
}

/** A folder that may not be listed answers 403 or 404, and its login is good all the same. */
export async function checkRecordingFolder(
  baseUrl: string,
  { ctx, vendor }: { ctx: ConnectorContext<FolderLogin>; vendor: string },
): Promise<CheckResult> {
  const response = await ctx.fetch(apiUrl(baseUrl, '/'), { headers: basicLogin(ctx.config) })
  const { status } = response
  const isListed = status !== 403 && status !== 404
  if (isListed) await failOn(response, { what: `${vendor}: ask for the folder of recordings`, now: ctx.now })
  await response.body?.cancel()
  return { says: `the folder of recordings answers${isListed ? '' : ` (HTTP ${status}: no list of files)`}` }
}

/** The header of Basic authentication, where a user and a password are configured. */
export function basicLogin({ user, password }: FolderLogin): Record<string, string> {
  return user === undefined || password === undefined
    ? {}
    : { authorization: `Basic ${encodeBase64(utf8(`${user}:${password}`))}` }
}
