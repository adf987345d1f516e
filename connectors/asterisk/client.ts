import type { Call, Recording } from '../../src/call/call.ts'
import { apiUrl } from '../../src/connector/api-url.ts'
import type { CheckResult, ConnectorContext } from '../../src/connector/contract.ts'
import { failOn } from '../../src/connector/fail-on.ts'
import { readReply } from '../../src/connector/read.ts'
import { basicLogin, checkRecordingFolder, fetchRecordingFile } from '../../src/connector/recording-folder.ts'
import { CordboardError } from '../../src/errors.ts'
import { ariInfo, type Config } from './schema.ts'

type Context = ConnectorContext<Config>

/** From the folder, or from ARI. */
export async function fetchRecording(recording: Recording, call: Call, ctx: Context): Promise<Response> {
  const fix = 'Compare baseUrl of the connection with the folder that it serves'
  return fetchRecordingFile(recordingAddress(recording.key, ctx.config), {
    call,
    ctx,
    vendor: 'Asterisk',
    fix,
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

/** ARI tells its version. */
export async function checkAccess(ctx: Context): Promise<CheckResult> {
  const { baseUrl, recordings } = ctx.config
  if (baseUrl === undefined) {
    const what = 'Recordings cannot be fetched: there is no baseUrl'
    return {
      says: 'takes call records',
      warnings: [{ what, fix: 'Set baseUrl, or send calls without recordings' }],
    }
  }
  if (recordings !== 'ari') return checkRecordingFolder(baseUrl, { ctx, vendor: 'Asterisk' })
  const what = 'Asterisk: ask ARI for its version'
  const headers = basicLogin(ctx.config)
  const response = await ctx.fetch(apiUrl(baseUrl, '/asterisk/info', { only: 'system' }), { headers })
  const { system } = await readReply(await failOn(response, { what, now: ctx.now }), ariInfo, what)
  return { says: `ARI of Asterisk ${system.version}` }
}
