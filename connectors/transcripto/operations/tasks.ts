import { z } from 'zod'
import type { GivenFile } from '../../../src/connector/contract.ts'
import { mapTexts } from '../../../src/connector/json.ts'
import { CordboardError } from '../../../src/errors.ts'
import { analysisOf, ask, type Schemas, shown } from '../client.ts'
import { savedFilters } from '../schema.ts'
import { toCriteria, toQuery } from './criteria.ts'
import { code, docs, given, id, operation, page, text } from './operation.ts'

/** Tasks of every kind, and how they are made by hand. */

const directoryId = id('number of the directory').optional()
const fileLang = z
  .string()
  .min(1)
  .max(16)
  .optional()
  .describe('language of the audio; default the connection’s')

/** What a call task may be told. */
const call = {
  directoryId,
  operatorName: text('name of the operator', 256).optional(),
  clientId: text('id of the customer', 256).optional(),
  callType: text('inbound or outbound', 32).optional(),
  callDate: z.iso.date().optional().describe('day of the call'),
  callDatetime: z.iso
    .datetime({ offset: true })
    .optional()
    .describe('time of the call with its offset, as 2025-10-20T10:00:00+03:00'),
  processingType: text('queue mode; default the connection’s', 64).optional(),
}

type CallInput = z.output<z.ZodObject<typeof call>>

function callFields(input: CallInput, processingType: string): Schemas['CallFields'] {
  return given({
    directory_id: input.directoryId,
    operator_name: input.operatorName,
    client_id: input.clientId,
    call_type: input.callType,
    call_date: input.callDate,
    call_datetime: input.callDatetime,
    processing_type: input.processingType ?? processingType,
  })
}

async function opened(file: GivenFile) {
  return { fileName: file.name, contentType: file.contentType, bytes: file.bytes, body: await file.open() }
}

export const tasks = {
  list: operation({
    says: 'tasks by any criterion of the filter, last updated first',
    docs,
    input: z.object({
      where: z.array(z.string()).default([]).describe('a criterion as name=value; lists with commas'),
      filter: text('name of a saved filter instead', 256).optional(),
      ...page,
    }),
    async run({ where, filter, page, perPage }, ctx) {
      if (filter === undefined) {
        const query = { ...toQuery(toCriteria(where)), page: String(page), per_page: String(perPage) }
        return shown({ endpoint: '/tasks/filter', query, otherwise: '/user/tasks/filter' }, ctx)
      }
      const { reply } = await ask({ endpoint: '/tasks/filters/list' }, savedFilters, ctx)
      const found = reply.filters.find(({ name }) => name === filter)
      if (!found) {
        const names = reply.filters.map(({ name }) => name).join(', ')
        throw new CordboardError('bad_request', `There is no saved filter ${filter}`, {
          fix: names === '' ? 'Save one: filters save' : `Use one of: ${names}`,
        })
      }
      const json = { ...found.criteria, ...toCriteria(where), page, per_page: perPage }
      return shown({ endpoint: '/tasks/filter', json }, ctx)
    },
  }),
  show: operation({
    says: 'state and texts of a task',
    docs,
    input: z.object({ code }),
    run: ({ code }, ctx) => shown({ endpoint: '/gettask', query: { task_code: code } }, ctx),
  }),
  analysis: operation({
    says: 'the analysis of a call or chat, as the vendor gives it',
    docs,
    input: z.object({ code }),
    run: ({ code }, ctx) => shown(analysisOf(code), ctx),
  }),
}

export const calls = {
  add: operation({
    says: 'a call task from a recording (--file)',
    docs,
    changes: 'costs',
    input: z.object(call),
    run: async (input, ctx) => {
      const fields = { ...callFields(input, ctx.config.processingType) }
      return shown({ endpoint: '/addtaskcall', form: { fields, file: await opened(ctx.file()) } }, ctx)
    },
  }),
  link: operation({
    says: 'a call task from a link to the recording',
    docs,
    changes: 'costs',
    input: z.object({ url: z.url().describe('direct link to the audio'), ...call }),
    run: ({ url, ...input }, ctx) => {
      const json: Schemas['CallByUrl'] = { ...callFields(input, ctx.config.processingType), file_url: url }
      return shown({ endpoint: '/addtaskcallbyurl', json }, ctx)
    },
  }),
}

export const audio = {
  add: operation({
    says: 'a transcript of any audio file (--file)',
    docs,
    changes: 'costs',
    input: z.object({ directoryId, fileLang }),
    run: async ({ directoryId, fileLang = '' }, ctx) => {
      const fields = {
        ...(directoryId === undefined ? {} : { directory_id: directoryId }),
        file_lang: fileLang || ctx.config.fileLang,
      }
      return shown({ endpoint: '/addtaskaudio', form: { fields, file: await opened(ctx.file()) } }, ctx)
    },
  }),
}

export const video = {
  add: operation({
    says: 'a transcript of a video on YouTube, VK, TikTok and the like',
    docs,
    changes: 'costs',
    input: z.object({ url: z.url().describe('link to the video'), directoryId, fileLang }),
    run: ({ url, directoryId, fileLang }, ctx) => {
      const json: Schemas['VideoLink'] = {
        file_path: url,
        ...(directoryId === undefined ? {} : { directory_id: directoryId }),
        file_lang: fileLang ?? ctx.config.fileLang,
      }
      return shown({ endpoint: '/addtaskyoutube', json }, ctx)
    },
  }),
}

export const chat = {
  add: operation({
    says: 'an analysis of a conversation in writing (--text, --chunks or --file)',
    docs,
    changes: 'costs',
    input: z.object({
      text: text('the conversation', 2_000_000).optional(),
      chunks: text('a JSON list; the vendor does not document its elements', 2_000_000).optional(),
      operatorName: text('name of the operator', 256).optional(),
      callDate: z.iso.date().optional().describe('day of the conversation'),
    }),
    run: async ({ text, chunks, operatorName, callDate }, ctx) => {
      const list = chunks === undefined ? null : jsonList(chunks)
      const words = text ?? (list === null ? await textOf(ctx.file()) : null)
      const json: Schemas['Chat'] = {
        text: words === null ? null : ctx.redact(words),
        chunks: list?.map((chunk) => mapTexts(chunk, ctx.redact)) ?? null,
        ...(operatorName === undefined ? {} : { operator_name: operatorName }),
        ...(callDate === undefined ? {} : { call_date: callDate }),
      }
      return shown({ endpoint: '/add_chat_analysis_task', json }, ctx)
    },
  }),
}

const MOST_TEXT = 2_000_000

async function textOf(file: GivenFile): Promise<string> {
  if (file.bytes > MOST_TEXT) {
    throw new CordboardError('bad_request', `${file.name} has ${file.bytes} bytes, ${MOST_TEXT} are accepted`)
  }
  return new Response(await file.open()).text()
}

function jsonList(text: string): unknown[] {
  try {
    const list: unknown = JSON.parse(text)
    if (Array.isArray(list)) return list
  } catch {
    // The same is said of both.
  }
  throw new CordboardError('bad_request', '--chunks is no JSON list', {
    fix: 'Write it as --chunks \'["…", "…"]\'',
  })
}
