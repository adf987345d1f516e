import type { z } from 'zod'
import { apiUrl } from '../../src/connector/api-url.ts'
import type { ConnectorContext, OpenAudio } from '../../src/connector/contract.ts'
import { failOn } from '../../src/connector/fail-on.ts'
import { multipart } from '../../src/connector/multipart.ts'
import { readReply } from '../../src/connector/read.ts'
import { CordboardError, type ErrorCode } from '../../src/errors.ts'
import { answerSchema } from './answer.ts'
import type { Message } from './prompt.ts'
import {
  type Completion,
  type Config,
  completion,
  models,
  type Transcription,
  transcription,
} from './schema.ts'

type Context = ConnectorContext<Config>

export interface Heard {
  audio: OpenAudio & { fileName: string }
  language: string | undefined
  /** Ours; it stands in the vendor's log, where a request whose answer got lost can be looked up. */
  requestId: string
}

export async function transcribe(
  { audio, language, requestId }: Heard,
  ctx: Context,
): Promise<Transcription> {
  const { transcriptionModel, transcriptionPrompt, responseFormat } = ctx.config
  const fields = {
    model: transcriptionModel,
    response_format: responseFormat,
    ...(language === undefined ? {} : { language }),
    ...(transcriptionPrompt === undefined ? {} : { prompt: transcriptionPrompt }),
  }
  const random = Array.from({ length: 3 }, () => Math.floor(ctx.random() * 2 ** 40).toString(36))
  const form = multipart(fields, { name: 'file', ...audio }, `cordboard-${random.join('')}`)
  const length = form.contentLength === null ? {} : { 'content-length': String(form.contentLength) }
  const headers = { 'content-type': form.contentType, 'x-client-request-id': requestId, ...length }
  const { url, key } = transcriber(ctx.config)
  const asked = { url: apiUrl(url, '/audio/transcriptions'), key, headers, body: form.body }
  return ask('transcribe', asked, transcription, ctx)
}

export async function complete(
  messages: readonly Message[],
  requestId: string,
  ctx: Context,
): Promise<Completion> {
  const { baseUrl, apiKey, analysisModel, answerFormat, temperature, maxTokens, maxTokensField } = ctx.config
  const schema = { name: 'call_analysis', strict: true, schema: answerSchema(ctx.config) }
  const body = {
    model: analysisModel,
    messages,
    ...(answerFormat === 'json_schema' && { response_format: { type: 'json_schema', json_schema: schema } }),
    ...(answerFormat === 'json_object' && { response_format: { type: 'json_object' } }),
    ...(temperature === undefined ? {} : { temperature }),
    ...(maxTokens === undefined ? {} : { [maxTokensField]: maxTokens }),
  }
  const headers = { 'content-type': 'application/json', 'x-client-request-id': requestId }
  const asked = {
    url: apiUrl(baseUrl, '/chat/completions'),
    key: apiKey,
    headers,
    body: JSON.stringify(body),
  }
  return ask('analyse', asked, completion, ctx)
}

/** Names of the models of each server that is used; null where it has no such list. */
export async function listModels(
  ctx: Context,
): Promise<{ analysis: string[] | null; transcription: string[] | null }> {
  const { baseUrl, apiKey, transcriptionUrl } = ctx.config
  const of = async (url: string, key: string | undefined) => {
    const response = await ctx.fetch(apiUrl(url, '/models'), { headers: authorization(key) })
    if (response.status === 404 || response.status === 405) {
      await response.body?.cancel()
      return null
    }
    const what = 'OpenAI: list models'
    const reply = await readReply(await failOn(response, { what, now: ctx.now, codeOf }), models, what)
    return reply.data.map(({ id }) => id)
  }
  const analysis = await of(baseUrl, apiKey)
  const { url, key } = transcriber(ctx.config)
  return { analysis, transcription: transcriptionUrl === undefined ? analysis : await of(url, key) }
}

/** A key is sent to the server that it is of, and to no other. */
function transcriber({ baseUrl, apiKey, transcriptionUrl, transcriptionKey }: Config) {
  return transcriptionUrl === undefined
    ? { url: baseUrl, key: transcriptionKey ?? apiKey }
    : { url: transcriptionUrl, key: transcriptionKey }
}

interface Asked {
  url: string
  key: string | undefined
  headers: Record<string, string>
  body: string | ReadableStream<Uint8Array>
}

async function ask<Schema extends z.ZodType>(
  verb: string,
  { url, key, headers, body }: Asked,
  schema: Schema,
  ctx: Context,
): Promise<z.output<Schema>> {
  const what = `OpenAI: ${verb}`
  const all = { ...headers, ...authorization(key) }
  const response = await ctx.fetch(url, {
    method: 'POST',
    headers: all,
    body,
    timeoutMs: ctx.config.timeoutMs,
  })
  try {
    return await readReply(await failOn(response, { what, now: ctx.now, codeOf }), schema, what)
  } catch (thrown) {
    if (!(thrown instanceof CordboardError) || thrown.code !== 'config') throw thrown
    throw new CordboardError('config', thrown.message, {
      ...(thrown.vendorSaid === undefined ? {} : { vendorSaid: thrown.vendorSaid }),
      fix: 'Compare baseUrl, the model and responseFormat with what the server knows; then restart',
    })
  }
}

const authorization = (key: string | undefined): Record<string, string> =>
  key === undefined ? {} : { authorization: `Bearer ${key}` }

/**
 * "429: You exceeded your current quota" (error codes guide, read 2026-11-27) is no matter of waiting. An unknown model or
 * path is 404, a response_format that a model does not know 400: mistakes of the configuration, not of the call.
 */
function codeOf(status: number, said: string): ErrorCode | undefined {
  if (status === 429 && /insufficient_quota/.test(said)) return 'quota'
  if (status === 404 || status === 405) return 'config'
  if (
    (status === 400 || status === 422) &&
    /response_format|model_not_found|unsupported_parameter|unsupported_value/.test(said)
  ) {
    return 'config'
  }
  return undefined
}
