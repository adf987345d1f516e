import type { z } from 'zod'
import type { components } from '../../openapi/transcripto.d.ts'
import { apiUrl } from '../../src/connector/api-url.ts'
import type { ConnectorContext } from '../../src/connector/contract.ts'
import { failOn, scrub } from '../../src/connector/fail-on.ts'
import type { MultipartBody } from '../../src/connector/multipart.ts'
import { readAs, readJson } from '../../src/connector/read.ts'
import { CordboardError } from '../../src/errors.ts'
import { codeOf, type Endpoint } from './map.ts'
import {
  type Answer,
  type Config,
  callAnalysis,
  checklistAnswers,
  created,
  failure,
  type Tariff,
  tariff,
  task,
  taskPage,
} from './schema.ts'

type Context = ConnectorContext<Config>
type Schemas = components['schemas']

/** A long call over a slow line; the pipeline's own deadline ends it earlier where it has one. */
const UPLOAD_TIMEOUT_MS = 600_000
const CHECKLIST_NOT_FOUND = 4053
const NO_ANALYSIS_DATA = 4057

/** The code of the new task. */
export async function addTaskCall(form: MultipartBody, ctx: Context): Promise<string> {
  return must(await ask({ endpoint: '/addtaskcall', form }, created, ctx)).reply.code
}

export async function addTaskCallByUrl(json: Schemas['CallByUrl'], ctx: Context): Promise<string> {
  return must(await ask({ endpoint: '/addtaskcallbyurl', json }, created, ctx)).reply.code
}

export async function filterTasks(json: Schemas['TaskFilter'], ctx: Context) {
  return must(await ask({ endpoint: '/tasks/filter', json }, taskPage, ctx)).reply
}

export async function getTask(code: string, ctx: Context) {
  return must(await ask({ endpoint: '/gettask', query: { task_code: code } }, task, ctx))
}

/** Null while there is no analysis data, as may be just after a task was completed. */
export function getCallAnalysis(code: string, ctx: Context) {
  const path = `/api/calls_analysis_v2/${encodeURIComponent(code)}`
  const endpoint = '/api/calls_analysis_v2/{task_code}'
  return ask({ endpoint, path }, callAnalysis, ctx, [NO_ANALYSIS_DATA])
}

/** By the task's internal number. */
export async function getChecklistAnswers(id: number, ctx: Context): Promise<readonly Answer[]> {
  const asked: Asked = { endpoint: '/checklist/answer/{task_id}', path: `/checklist/answer/${id}` }
  const got = await ask(asked, checklistAnswers, ctx, [CHECKLIST_NOT_FOUND, NO_ANALYSIS_DATA])
  return got?.reply.data ?? []
}

export async function getTariff(ctx: Context): Promise<Tariff> {
  return must(await ask({ endpoint: '/user/tariff' }, tariff, ctx)).reply.tariff
}

interface Asked {
  /** The endpoint as documented; `path` is the same with its parameters filled in. */
  endpoint: Endpoint
  path?: string
  query?: Record<string, string>
  json?: unknown
  form?: MultipartBody
}

/** The reply as the schema reads it and as received; null for a business error that counts as "nothing there". */
async function ask<Schema extends z.ZodType>(
  asked: Asked,
  schema: Schema,
  ctx: Context,
  nothing: readonly number[] = [],
): Promise<{ reply: z.output<Schema>; raw: unknown } | null> {
  const what = `Transcripto: ${asked.endpoint}`
  const response = await failOn(await send(asked, ctx), { what, now: ctx.now })
  const raw = await readJson(response, what)
  const code = errorIn(raw)
  if (nothing.includes(code)) return null
  if (code !== 0) throw businessError(asked.endpoint, code, raw)
  return { reply: readAs(schema, raw, `${what}: the reply`), raw }
}

function must<Got>(got: Got | null): Got {
  if (got === null) throw new CordboardError('invalid_payload', 'Transcripto: the reply is empty')
  return got
}

function send({ endpoint, path = endpoint, query = {}, json, form }: Asked, ctx: Context): Promise<Response> {
  const url = apiUrl(ctx.config.baseUrl, path, query)
  const headers = {
    authorization: `Bearer ${ctx.config.token}`,
    ...(ctx.config.language === undefined ? {} : { 'accept-language': ctx.config.language }),
  }
  if (form) {
    const length = form.contentLength === null ? {} : { 'content-length': String(form.contentLength) }
    return ctx.fetch(url, {
      method: 'POST',
      headers: { ...headers, ...length, 'content-type': form.contentType },
      body: form.body,
      timeoutMs: UPLOAD_TIMEOUT_MS,
    })
  }
  if (json === undefined) return ctx.fetch(url, { headers })
  const body = JSON.stringify(json)
  return ctx.fetch(url, { method: 'POST', headers: { ...headers, 'content-type': 'application/json' }, body })
}

/** 0 when all is well; -1 when `success` is false and no code is given. */
function errorIn(raw: unknown): number {
  const said = failure.safeParse(raw).data
  const code = said?.error_code || said?.errorcode || 0
  return code === 0 && said?.success === false ? -1 : code
}

function businessError(endpoint: Endpoint, code: number, raw: unknown): CordboardError {
  const words = failure.safeParse(raw).data?.error_message ?? ''
  // A link that could not be downloaded once may be good at the next try: a fresh one is asked for.
  const isDownload = endpoint === '/addtaskcallbyurl' && code === 4024
  return new CordboardError(codeOf(endpoint, code), `Transcripto: ${endpoint}: error ${code}`, {
    ...(words === '' ? {} : { vendorSaid: scrub(words) }),
    ...(isDownload ? { retry: 'later' } : {}),
  })
}
