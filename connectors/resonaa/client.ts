import type { components, paths } from '../../openapi/generated/resonaa.d.ts'
import { apiUrl } from '../../src/connector/api-url.ts'
import type { ConnectorContext } from '../../src/connector/contract.ts'
import { failOn } from '../../src/connector/fail-on.ts'
import { type MultipartFile, multipart } from '../../src/connector/multipart.ts'
import { CordboardError } from '../../src/errors.ts'
import type { CallFields } from './map.ts'
import type { Config } from './schema.ts'

type Context = ConnectorContext<Config>
type Path = Exclude<keyof paths, '/api/{subject}/chat'>

/** A long call over a slow line; the pipeline's own deadline ends it earlier where it has one. */
const UPLOAD_TIMEOUT_MS = 600_000

/** The audio as a file. The field is `call`. */
export function addCall(fields: CallFields, audio: Omit<MultipartFile, 'name'>, ctx: Context) {
  return postForm('/api/add-calls', { ...fields }, { name: 'call', ...audio }, ctx)
}

/** A link in the same form. The field is `audio_url`. */
export function addCallByForm(fields: CallFields, audio_url: string, ctx: Context): Promise<Response> {
  const form = new FormData()
  for (const [name, value] of Object.entries({ ...fields, audio_url })) form.set(name, value)
  form.set('api_key', ctx.config.apiKey)
  return post('/api/add-calls', { body: form }, ctx)
}

/** A link as JSON. The field is `call_url`. */
export function addCallByUrl(fields: CallFields, call_url: string, ctx: Context): Promise<Response> {
  const body: Omit<components['schemas']['CallByUrl'], 'api_key'> = { ...fields, call_url }
  return postJson('/api/addcallurl', body, ctx)
}

/** The fields as they are given, and the key. */
export function postJson(path: string, fields: object, ctx: Context): Promise<Response> {
  const body = JSON.stringify({ ...fields, api_key: ctx.config.apiKey })
  return post(path, { body, headers: { 'content-type': 'application/json' } }, ctx)
}

export async function postForm(
  path: Path,
  fields: Record<string, string>,
  file: MultipartFile,
  ctx: Context,
): Promise<Response> {
  const random = Array.from({ length: 3 }, () => Math.floor(ctx.random() * 2 ** 40).toString(36))
  const texts = { ...fields, api_key: ctx.config.apiKey }
  const form = multipart(texts, file, `cordboard-${random.join('')}`)
  const length = form.contentLength === null ? {} : { 'content-length': String(form.contentLength) }
  const headers = { 'content-type': form.contentType, ...length }
  return post(path, { body: form.body, headers, timeoutMs: UPLOAD_TIMEOUT_MS }, ctx)
}

/**
 * A call without its audio: whoever answers that something is missing has let the key pass. There is no request that only
 * reads, and what a bad key is answered with is not documented.
 */
export async function probe(ctx: Context): Promise<void> {
  const what = 'Resonaa: try the key'
  const body = JSON.stringify({ api_key: ctx.config.apiKey })
  const headers = { 'content-type': 'application/json' }
  const response = await ctx.fetch(apiUrl(ctx.config.baseUrl, '/api/addcallurl'), {
    method: 'POST',
    headers,
    body,
  })
  const isProof =
    response.status >= 400 && response.status < 500 && ![401, 403, 404, 408, 429].includes(response.status)
  if (!isProof) await failOn(response, { what, now: ctx.now })
  await response.body?.cancel()
  if (!isProof) {
    throw new CordboardError('invalid_payload', `${what}: HTTP ${response.status} to a call without audio`, {
      why: 'Something else than the API seems to answer there',
      fix: 'Compare baseUrl with the address that Resonaa gave you',
    })
  }
}

type Asked = Pick<NonNullable<Parameters<Context['fetch']>[1]>, 'body' | 'headers' | 'timeoutMs'>

async function post(path: string, asked: Asked, ctx: Context): Promise<Response> {
  const response = await ctx.fetch(apiUrl(ctx.config.baseUrl, path), { method: 'POST', ...asked })
  return failOn(response, { what: `Resonaa: ${path}`, now: ctx.now })
}
