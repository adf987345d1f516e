import type { z } from 'zod'
import type { components } from '../../openapi/generated/transcripto.d.ts'
import { apiUrl } from '../../src/connector/api-url.ts'
import type { ConnectorContext } from '../../src/connector/contract.ts'
import { failOn, scrub } from '../../src/connector/fail-on.ts'
import { asObject } from '../../src/connector/json.ts'
import { type MultipartFile, multipart } from '../../src/connector/multipart.ts'
import { readAs, readJson } from '../../src/connector/read.ts'
import { CordboardError } from '../../src/errors.ts'
import { codeOf, type Endpoint } from './map.ts'
import {
  type Answer,
  type Config,
  callAnalysis,
  categoryPage,
  chatCreated,
  checklist,
  checklistAnswers,
  created,
  directories,
  directoryCreated,
  failure,
  type Question,
  type Script,
  scriptPage,
  type Tariff,
  tariff,
  task,
  taskPage,
} from './schema.ts'

export type Context = ConnectorContext<Config>
export type Schemas = components['schemas']

/** A long call over a slow line; the pipeline's own deadline ends it earlier where it has one. */
const UPLOAD_TIMEOUT_MS = 600_000
const LARGEST_FILE = 1024 ** 3
/** A list of the account is read to its end, but not for ever: the greatest `per_page` is not documented. */
const PER_PAGE = 50
const MOST_PAGES = 40
const CHECKLIST_NOT_FOUND = 4053
const NO_ANALYSIS_DATA = 4057

export interface Asked {
  /** The endpoint as documented; `path` is the same with its parameters filled in. */
  endpoint: Endpoint
  path?: string
  /** The same by another name of the page: asked where the first is not there (HTTP 404). */
  otherwise?: string
  method?: 'GET' | 'POST' | 'DELETE'
  query?: Readonly<Record<string, string>>
  json?: unknown
  form?: { fields: Readonly<Record<string, string | number>>; file: Omit<MultipartFile, 'name'> }
  /** The operation is for whoever has no token. */
  withoutToken?: true
}

// ── Tasks ───────────────────────────────────────────────────────────────────────────────────────────────────────────

type File = Omit<MultipartFile, 'name'>

/** The code of the new task. */
export async function addTaskCall(fields: Schemas['CallFields'], file: File, ctx: Context): Promise<string> {
  return (await ask({ endpoint: '/addtaskcall', form: { fields: { ...fields }, file } }, created, ctx)).reply
    .code
}

export async function addTaskAudio(
  fields: Omit<Schemas['AudioFile'], 'file'>,
  file: File,
  ctx: Context,
): Promise<string> {
  return (await ask({ endpoint: '/addtaskaudio', form: { fields: { ...fields }, file } }, created, ctx)).reply
    .code
}

export async function addTaskCallByUrl(json: Schemas['CallByUrl'], ctx: Context): Promise<string> {
  return (await ask({ endpoint: '/addtaskcallbyurl', json }, created, ctx)).reply.code
}

export async function addChat(json: Schemas['Chat'], ctx: Context): Promise<string> {
  return (await ask({ endpoint: '/add_chat_analysis_task', json }, chatCreated, ctx)).reply.task_code
}

export async function filterTasks(json: Schemas['TaskFilter'], ctx: Context) {
  return (await ask({ endpoint: '/tasks/filter', json }, taskPage, ctx)).reply
}

export function getTask(code: string, ctx: Context) {
  return ask({ endpoint: '/gettask', query: { task_code: code } }, task, ctx)
}

/** Null while there is no analysis data, as may be just after a task was completed. */
export function getCallAnalysis(code: string, ctx: Context) {
  return askOrNothing(analysisOf(code), callAnalysis, ctx, [NO_ANALYSIS_DATA])
}

/** The introduction of the page leaves out `_v2`: perhaps an older installation answers by that name alone. */
export function analysisOf(code: string): Asked {
  const named = encodeURIComponent(code)
  return {
    endpoint: '/api/calls_analysis_v2/{task_code}',
    path: `/api/calls_analysis_v2/${named}`,
    otherwise: `/api/calls_analysis/${named}`,
  }
}

// ── The account ─────────────────────────────────────────────────────────────────────────────────────────────────────

export async function getTariff(ctx: Context): Promise<Tariff> {
  return (await ask({ endpoint: '/user/tariff' }, tariff, ctx)).reply.tariff
}

export async function getQuestions(ctx: Context): Promise<readonly Question[]> {
  return (await ask({ endpoint: '/checklist' }, checklist, ctx)).reply.data
}

/** By the task's internal number. */
export async function getChecklistAnswers(id: number, ctx: Context): Promise<readonly Answer[]> {
  const asked: Asked = { endpoint: '/checklist/answer/{task_id}', path: `/checklist/answer/${id}` }
  const got = await askOrNothing(asked, checklistAnswers, ctx, [CHECKLIST_NOT_FOUND, NO_ANALYSIS_DATA])
  return got?.reply.data ?? []
}

export async function getDirectories(ctx: Context) {
  return (await ask({ endpoint: '/user/directories' }, directories, ctx)).reply.directories
}

export async function addDirectory(name: string, ctx: Context) {
  return (await ask({ endpoint: '/user/directories', json: { name } }, directoryCreated, ctx)).reply.directory
}

/** Names of these categories, read from the account's list until all are found or it ends. */
export async function getCategoryNames(ids: readonly number[], ctx: Context): Promise<Map<number, string>> {
  const names = new Map<number, string>()
  for (let page = 1; page <= MOST_PAGES && names.size < ids.length; page++) {
    const json: Schemas['CategorySearch'] = { page, per_page: PER_PAGE }
    const { items, total } = (await ask({ endpoint: '/user/call_categories/list', json }, categoryPage, ctx))
      .reply
    for (const { id, name } of items) if (ids.includes(id)) names.set(id, name)
    if (items.length === 0 || page * PER_PAGE >= total) break
  }
  return names
}

export async function getScripts(ctx: Context): Promise<readonly Script[]> {
  const all: Script[] = []
  for (let page = 1; page <= MOST_PAGES; page++) {
    const json: Schemas['ScriptSearch'] = { page, per_page: PER_PAGE }
    const { items, total } = (await ask({ endpoint: '/user/call_check_scripts/list', json }, scriptPage, ctx))
      .reply
    all.push(...items)
    if (items.length === 0 || page * PER_PAGE >= total) break
  }
  return all
}

// ── Asking ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** The reply as the schema reads it and as received. */
export async function ask<Schema extends z.ZodType>(asked: Asked, schema: Schema, ctx: Context) {
  const raw = await tell(asked, ctx)
  return { reply: readAs(schema, raw, `Transcripto: ${asked.endpoint}: the reply`), raw }
}

/** The same; null for a business error that counts as "nothing there". */
async function askOrNothing<Schema extends z.ZodType>(
  asked: Asked,
  schema: Schema,
  ctx: Context,
  nothing: readonly number[],
) {
  const raw = await exchange(asked, ctx)
  if (nothing.includes(errorIn(raw))) return null
  return { reply: readAs(schema, checked(asked, raw), `Transcripto: ${asked.endpoint}: the reply`), raw }
}

/** The reply as received, when it is no business error. */
export async function tell(asked: Asked, ctx: Context): Promise<unknown> {
  return checked(asked, await exchange(asked, ctx))
}

/** The reply for people: without the words that only say that all is well. */
export async function shown(asked: Asked, ctx: Context): Promise<unknown> {
  const { success: _, error_code: _code, errorcode: _same, ...rest } = asObject(await tell(asked, ctx)) ?? {}
  return rest
}

/** A file as it is streamed in. JSON in its place is an error. */
export async function download(asked: Asked, ctx: Context): Promise<Response> {
  const what = `Transcripto: ${asked.endpoint}`
  const response = await failOn(await send(asked, ctx), { what, now: ctx.now })
  if (!/json/i.test(response.headers.get('content-type') ?? '')) return response
  const raw = await readJson(response, what)
  checked(asked, raw)
  throw new CordboardError('invalid_payload', `${what}: the reply is neither a file nor an error`)
}

async function exchange(asked: Asked, ctx: Context): Promise<unknown> {
  const what = `Transcripto: ${asked.endpoint}`
  let response = await send(asked, ctx)
  if (response.status === 404 && asked.otherwise !== undefined) {
    await response.body?.cancel()
    response = await send({ ...asked, path: asked.otherwise }, ctx)
  }
  return readJson(await failOn(response, { what, now: ctx.now }), what)
}

function send(asked: Asked, ctx: Context): Promise<Response> {
  const { endpoint, path = endpoint, query = {}, json, form, withoutToken } = asked
  const url = apiUrl(ctx.config.baseUrl, path, query)
  const headers = {
    ...(withoutToken ? {} : { authorization: `Bearer ${ctx.config.token}` }),
    ...(ctx.config.language === undefined ? {} : { 'accept-language': ctx.config.language }),
  }
  if (form) {
    const fields = Object.fromEntries(
      Object.entries(form.fields).map(([name, value]) => [name, String(value)]),
    )
    const random = Array.from({ length: 3 }, () => Math.floor(ctx.random() * 2 ** 40).toString(36))
    const { body, contentType, contentLength } = multipart(
      fields,
      { name: 'file', ...form.file },
      `cordboard-${random.join('')}`,
    )
    const length = contentLength === null ? {} : { 'content-length': String(contentLength) }
    return ctx.fetch(url, {
      method: 'POST',
      headers: { ...headers, ...length, 'content-type': contentType },
      body,
      timeoutMs: UPLOAD_TIMEOUT_MS,
    })
  }
  const method = asked.method ?? (json === undefined ? 'GET' : 'POST')
  if (json === undefined) return ctx.fetch(url, { method, headers, maxBytes: LARGEST_FILE })
  return ctx.fetch(url, {
    method,
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify(json),
  })
}

/** 0 when all is well; -1 when `success` is false and no code is given. */
function errorIn(raw: unknown): number {
  const said = failure.safeParse(raw).data
  const code = said?.error_code || said?.errorcode || 0
  return code === 0 && said?.success === false ? -1 : code
}

function checked({ endpoint }: Asked, raw: unknown): unknown {
  const code = errorIn(raw)
  if (code === 0) return raw
  const words = failure.safeParse(raw).data?.error_message ?? ''
  // A link that could not be downloaded once may be good at the next try: a fresh one is asked for.
  const isDownload = endpoint === '/addtaskcallbyurl' && code === 4024
  throw new CordboardError(codeOf(endpoint, code), `Transcripto: ${endpoint}: error ${code}`, {
    ...(words === '' ? {} : { vendorSaid: scrub(words) }),
    ...(isDownload ? { retry: 'later' } : {}),
  })
}
