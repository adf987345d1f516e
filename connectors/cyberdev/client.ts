import type { components } from '../../openapi/generated/cyberdev.d.ts'
import { apiUrl } from '../../src/connector/api-url.ts'
import type { ConnectorContext } from '../../src/connector/contract.ts'
import { failOn, scrub } from '../../src/connector/fail-on.ts'
import type { MultipartBody } from '../../src/connector/multipart.ts'
import { readAs, readJson } from '../../src/connector/read.ts'
import { CordboardError, type ErrorCode } from '../../src/errors.ts'
import { codeOf } from './map.ts'
import { type CallItem, type Config, callPage, reply, type Status, uploadUrls } from './schema.ts'

type Context = ConnectorContext<Config>
type Schemas = components['schemas']

/** A long call over a slow line; the pipeline's own deadline ends it earlier where it has one. */
const UPLOAD_TIMEOUT_MS = 600_000
const LIST_BYTES = 32 * 1024 * 1024

/** POST /api/v1/audio/upload. Answers the vendor's id, which nothing is known to take. */
export async function uploadAudio(form: MultipartBody, ctx: Context): Promise<unknown> {
  const what = 'CyberDev: upload a recording'
  const length = form.contentLength === null ? {} : { 'content-length': String(form.contentLength) }
  const response = await ctx.fetch(apiUrl(ctx.config.baseUrl, '/api/v1/audio/upload'), {
    method: 'POST',
    headers: { ...authorization(ctx), ...length, 'content-type': form.contentType },
    body: form.body,
    timeoutMs: UPLOAD_TIMEOUT_MS,
  })
  return accepted(response, what, ctx)
}

/** POST /api/v1/calls/upload */
export async function requestUpload(json: Schemas['UploadRequest'], ctx: Context) {
  const what = 'CyberDev: ask for upload URLs'
  const response = await failOn(await post('/api/v1/calls/upload', json, ctx), {
    what,
    now: ctx.now,
    // Nothing of a call was sent yet: what is refused here is not about one of them.
    codeOf: (status, body) => {
      const code = codeIn(status, body)
      return code === 'rejected' || (code === undefined && status === 400) ? 'invalid_payload' : code
    },
  })
  return readAs(uploadUrls, await readJson(response, what), `${what}: the reply`).data
}

/** PUT to a presigned URL: it carries its own proof, and refuses another one. */
export async function putFile(
  url: string,
  file: { contentType: string; bytes: number; body: Uint8Array | ReadableStream<Uint8Array> },
  ctx: Context,
): Promise<void> {
  const response = await ctx.fetch(url, {
    method: 'PUT',
    headers: { 'content-type': file.contentType, 'content-length': String(file.bytes) },
    body: file.body,
    timeoutMs: UPLOAD_TIMEOUT_MS,
    bucket: 'store',
  })
  await failOn(response, {
    what: `CyberDev: store the ${file.contentType === 'text/csv' ? 'rows' : 'archive'}`,
    now: ctx.now,
    // Presigned stores answer 403 when the URL has ended; no answer of theirs is about our token or about a call.
    codeOf: (status) =>
      status === 401 || status === 403 ? 'gone' : status < 500 ? 'vendor_down' : undefined,
  })
  await response.body?.cancel()
}

/** POST /api/v1/calls/process-upload */
export async function processUpload(json: Schemas['ProcessUpload'], ctx: Context): Promise<void> {
  await accepted(await post('/api/v1/calls/process-upload', json, ctx), 'CyberDev: begin processing', ctx)
}

/** GET /api/v1/calls */
export async function listCalls(
  asked: { status?: Status | undefined; search?: string | undefined; offset?: number; limit?: number },
  ctx: Context,
): Promise<{ data: CallItem[]; total: number }> {
  const what = 'CyberDev: list calls'
  const query = {
    ...(asked.status === undefined ? {} : { status: asked.status }),
    ...(asked.search === undefined ? {} : { search_query: asked.search }),
    ...(asked.offset === undefined ? {} : { offset: String(asked.offset) }),
    ...(asked.limit === undefined ? {} : { limit: String(asked.limit) }),
  }
  const url = apiUrl(ctx.config.baseUrl, '/api/v1/calls', query)
  const response = await ctx.fetch(url, { headers: authorization(ctx), maxBytes: LIST_BYTES })
  const raw = await readJson(await failOn(response, { what, now: ctx.now, codeOf: codeIn }), what)
  refuseErrors(raw, what)
  const page = readAs(callPage, raw, `${what}: the reply`)
  return { data: page.data, total: page.total ?? page.data.length }
}

const authorization = ({ config }: Context) => ({ authorization: `Bearer ${config.token}` })

function post(path: string, json: unknown, ctx: Context): Promise<Response> {
  return ctx.fetch(apiUrl(ctx.config.baseUrl, path), {
    method: 'POST',
    headers: { ...authorization(ctx), 'content-type': 'application/json' },
    body: JSON.stringify(json),
  })
}

/** A 2xx means that it was taken, whatever its body looks like, unless that says `error`. */
async function accepted(response: Response, what: string, ctx: Context): Promise<unknown> {
  await failOn(response, { what, now: ctx.now, codeOf: codeIn })
  let said: unknown
  try {
    said = await readJson(response, what)
  } catch (error) {
    ctx.log.warn('the answer to what was taken cannot be read', { connection: ctx.connection })
    if (!(error instanceof CordboardError)) throw error
    return null
  }
  refuseErrors(said, what)
  return said
}

function refuseErrors(said: unknown, what: string): void {
  const { status, code } = reply.safeParse(said).data ?? {}
  if (status !== 'error') return
  const known = typeof code === 'string' ? codeOf(code) : undefined
  throw new CordboardError(known ?? 'rejected', `${what}: ${code ?? 'refused'}`, {
    vendorSaid: scrub(JSON.stringify(said)),
  })
}

/** By the vendor's own code where there is one: the statuses of some are not documented. */
function codeIn(_status: number, body: string): ErrorCode | undefined {
  const code = /"code"\s*:\s*"([A-Z_]{1,64})"/.exec(body)?.[1]
  return code === undefined ? undefined : codeOf(code)
}
