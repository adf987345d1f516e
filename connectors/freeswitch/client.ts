import type { Call, Recording } from '../../src/call/call.ts'
import { apiUrl } from '../../src/connector/api-url.ts'
import type { CheckResult, ConnectorContext } from '../../src/connector/contract.ts'
import { checkRecordingFolder, fetchRecordingFile } from '../../src/connector/recording-folder.ts'
import { CordboardError } from '../../src/errors.ts'
import type { Config } from './schema.ts'

type Context = ConnectorContext<Config>

const vendor = 'FreeSWITCH'

/** From the folder; `record_post_process_exec_app` may convert or move a file after its call. */
export async function fetchRecording(recording: Recording, call: Call, ctx: Context): Promise<Response> {
  const { baseUrl } = ctx.config
  if (baseUrl === undefined) {
    throw new CordboardError('not_found', 'FreeSWITCH: there is no baseUrl to fetch recordings from', {
      fix: 'Serve recordingsPath over HTTPS and set baseUrl of the connection',
      retry: 'never',
    })
  }
  const path = recording.key.split('/').map(encodeURIComponent).join('/')
  const fix = 'Compare baseUrl of the connection with recordingsPath, the folder on the switch'
  return fetchRecordingFile(apiUrl(baseUrl, `/${path}`), { call, ctx, vendor, fix })
}

/** Asks the folder; where there is none, calls are taken all the same. */
export async function checkAccess(ctx: Context): Promise<CheckResult> {
  const { baseUrl } = ctx.config
  if (baseUrl !== undefined) return checkRecordingFolder(baseUrl, { ctx, vendor })
  const what = 'Recordings cannot be fetched: there is no baseUrl'
  return { says: 'takes CDRs', warnings: [{ what, fix: 'Set baseUrl, or send calls without recordings' }] }
}
