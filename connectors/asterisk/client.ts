import type { Call, Recording } from '../../src/call/call.ts'
import { apiUrl } from '../../src/connector/api-url.ts'
import type { CheckResult, ConnectorContext } from '../../src/connector/contract.ts'
import { encodeBase64, utf8 } from '../../src/connector/encoding.ts'
import { failOn, readBounded } from '../../src/connector/fail-on.ts'
import { readReply } from '../../src/connector/read.ts'
import { CordboardError } from '../../src/errors.ts'
import { ariInfo, type Config } from './schema.ts'

type Context = ConnectorContext<Config>

const RECORDING_MAX_BYTES = 4 * 1024 ** 3
/** A file may be converted or copied after its call before it stands where it is fetched. */
const MAY_STILL_COME_MS = 900_000

export async function fetchRecording(recording: Recording, call: Call, ctx: Context): Promise<Response> {
  const url = recordingAddress(recording.key, ctx.config)
  const response = await ctx.fetch(url, {
    headers: credentials(ctx.config),
    redirects: 3,
    maxBytes: RECORDING_MAX_BYTES,
  })
  const what = 'Asterisk: fetch the recording'
  if (response.status !== 404) return failOn(response, { what, now: ctx.now })
  await readBounded(response, 0)
  const endedAt = call.endedAt ?? call.startedAt
  const isRecent = endedAt !== undefined && ctx.now() - Date.parse(endedAt) < MAY_STILL_COME_MS
  throw new CordboardError('not_found', `${what}: HTTP 404`, {
    why: isRecent ? 'The call ended a short while ago: the file may not be there yet' : 'It is not there',
    fix: 'Compare baseUrl of the connection with the folder that it serves',
    retry: isRecent ? 'later' : 'never',
  })
}

/**
 * Files lie in a folder of their day, which stands in their name: FreePBX's `in-<did>-<from>-20260304-132233-<uniqueid>.wav`
 * and what the dialplan in pbx/ writes. Read from the right, since numbers may have dashes. Others lie at the top.
 */
export function recordingAddress(file: string, { baseUrl, recordings }: Config): string {
  if (baseUrl === undefined) {
    throw new CordboardError('not_found', 'Asterisk: there is no baseUrl to fetch recordings from', {
      fix: 'Serve the folder of recordings over HTTPS, or switch ARI on, and set baseUrl of the connection',
      retry: 'never',
    })
  }
  const [, year, month, day] = /.*(?:^|-)(\d{4})(\d\d)(\d\d)-\d{6}-/.exec(file) ?? []
  const folders = year === undefined || month === undefined || day === undefined ? [] : [year, month, day]
  const isAri = recordings === 'ari'
  // ARI names a recording without its extension, and its folders are a part of the name.
  const names = [...folders, isAri ? file.replace(/\.[^.]*$/, '') : file].map(encodeURIComponent)
  return apiUrl(baseUrl, isAri ? `/recordings/stored/${names.join('%2F')}/file` : `/${names.join('/')}`)
}

/** ARI tells its version. A folder that may not be listed answers 403 or 404, and its credentials are good all the same. */
export async function checkAccess(ctx: Context): Promise<CheckResult> {
  const { baseUrl, recordings } = ctx.config
  if (baseUrl === undefined) {
    const what = 'Recordings cannot be fetched: there is no baseUrl'
    return {
      says: 'takes call records',
      warnings: [{ what, fix: 'Set baseUrl, or send calls without recordings' }],
    }
  }
  const headers = credentials(ctx.config)
  if (recordings === 'ari') {
    const what = 'Asterisk: ask ARI for its version'
    const response = await ctx.fetch(apiUrl(baseUrl, '/asterisk/info', { only: 'system' }), { headers })
    const { system } = await readReply(await failOn(response, { what, now: ctx.now }), ariInfo, what)
    return { says: `ARI of Asterisk ${system.version}` }
  }
  const response = await ctx.fetch(apiUrl(baseUrl, '/'), { headers })
  const { status } = response
  const isListed = status !== 403 && status !== 404
  if (isListed) await failOn(response, { what: 'Asterisk: ask for the folder of recordings', now: ctx.now })
  await response.body?.cancel()
  return { says: `the folder of recordings answers${isListed ? '' : ` (HTTP ${status}: no list of files)`}` }
}

function credentials({ user, password }: Config): Record<string, string> {
  return user === undefined || password === undefined
    ? {}
    : { authorization: `Basic ${encodeBase64(utf8(`${user}:${password}`))}` }
}
