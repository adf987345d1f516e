import type { paths } from '../../openapi/generated/xosum.d.ts'
import { apiUrl } from '../../src/connector/api-url.ts'
import type { ConnectorContext } from '../../src/connector/contract.ts'
import { failOn, readBounded, scrub } from '../../src/connector/fail-on.ts'
import { readAs, readJson, readReply } from '../../src/connector/read.ts'
import { CordboardError } from '../../src/errors.ts'
import type { Config, Transcription } from './schema.ts'
import { created, transcription } from './schema.ts'

type Context = ConnectorContext<Config>
type Job = paths['/api/createTranscription']['post']['requestBody']['content']['application/json']

/** Its size is null when it is not known beforehand. */
interface Audio {
  open(): Promise<{ body: ReadableStream<Uint8Array>; bytes: number | null }>
}

/** A long call over a slow line; the pipeline's own deadline ends it earlier where it has one. */
const UPLOAD_TIMEOUT_MS = 600_000

export async function createTranscription(job: Job, ctx: Context) {
  const response = await ask('/api/createTranscription', ctx, { body: JSON.stringify(job) })
  const what = 'Xosum: create the job'
  return readReply(await failOn(response, { what, now: ctx.now }), created, what)
}

/** The job with the reply as received. */
export async function getTranscription(docId: string, ctx: Context): Promise<[Transcription, unknown]> {
  const response = await ask('/api/getTranscription', ctx, { query: { docId } })
  const what = 'Xosum: get the transcription'
  const reply = await readJson(await failOn(response, { what, now: ctx.now }), what)
  return [readAs(transcription, reply, `${what}: the reply`), reply]
}

/**
 * Any answer but 401 and 403 proves the key: there is no call that only checks it, and what an unknown docId answers is
 * not documented. A vendor that is down or counts too many requests proves nothing.
 */
export async function probe(ctx: Context): Promise<void> {
  const response = await ask('/api/getTranscription', ctx, { query: { docId: 'cordboard-check' } })
  const isProof = response.status < 500 && ![401, 403, 408, 429].includes(response.status)
  if (isProof) await response.body?.cancel()
  else await failOn(response, { what: 'Xosum: try the key', now: ctx.now })
}

/** Puts the audio to a pre-signed URL: no Authorization there, the URL itself is the permission. */
export async function upload(uploadUrl: string, audio: Audio, ctx: Context): Promise<void> {
  const { body, bytes } = await audio.open()
  const response = await ctx.fetch(uploadUrl, {
    method: 'PUT',
    headers: {
      'content-type': ctx.config.uploadContentType,
      ...(bytes === null ? {} : { 'content-length': String(bytes) }),
    },
    body,
    bucket: 'upload',
    timeoutMs: UPLOAD_TIMEOUT_MS,
  })
  const what = 'Xosum: upload the recording'
  // The storage's refusals say nothing about our key: they must not stop the whole connection as `auth` would.
  if ([401, 403, 404, 410].includes(response.status)) {
    throw new CordboardError('gone', `${what}: HTTP ${response.status}`, {
      why: 'The upload URL is no longer good, or wants another Content-Type than the one we send',
      fix: 'If it stays like this, ask Xosum for the Content-Type and set uploadContentType',
      vendorSaid: scrub(await readBounded(response, 4096)),
    })
  }
  await failOn(response, { what, now: ctx.now })
  await response.body?.cancel()
}

interface Asked {
  query?: Record<string, string>
  body?: string
}

function ask(path: keyof paths, ctx: Context, { query = {}, body }: Asked): Promise<Response> {
  const url = apiUrl(ctx.config.baseUrl, path, query)
  const authorization = `Bearer ${ctx.config.apiKey}`
  if (body === undefined) return ctx.fetch(url, { headers: { authorization } })
  const headers = { authorization, 'content-type': 'application/json' }
  return ctx.fetch(url, { method: 'POST', headers, body })
}
