import { z } from 'zod'
import { type Operations, operationFor } from '../../src/connector/contract.ts'
import { CordboardError } from '../../src/errors.ts'
import { createTranscription, getTranscription, upload } from './client.ts'
import type { Config } from './schema.ts'

const operation = operationFor<Config>()

/** `name=value` texts as an object. */
const metadata = z
  .array(z.string().regex(/^[^=]+=/, 'write it as name=value'))
  .max(50)
  .default([])
  .describe('a field that comes back with the result, as name=value')

const jobs = {
  show: operation({
    says: 'state and result of a job',
    docs: 'https://docs.xosum.am/api-reference/endpoint/get-transcription',
    input: z.object({ docId: z.string().min(1).max(400).describe('id of the job') }),
    async run({ docId }, ctx) {
      const [, reply] = await getTranscription(docId, ctx)
      return reply
    },
  }),
  add: operation({
    says: 'a transcript of any MP3 file (--file)',
    docs: 'https://docs.xosum.am/api-reference/endpoint/create-transcription',
    changes: 'costs',
    input: z.object({
      type: z.enum(['phone_call', 'single_voice']).optional().describe('default the connection’s'),
      checklistId: z.string().min(1).max(256).optional().describe('QA checklist to run on it'),
      metadata,
    }),
    async run({ type, checklistId, metadata }, ctx) {
      const file = ctx.file()
      if (file.contentType !== 'audio/mpeg') {
        throw new CordboardError('bad_request', `${file.name} is no MP3 file`, {
          fix: 'Xosum takes nothing else',
        })
      }
      const job = await createTranscription(
        {
          type: type ?? ctx.config.type,
          ...(metadata.length > 0 ? { metadata: Object.fromEntries(metadata.map(pair)) } : {}),
          ...(checklistId === undefined ? {} : { checklistId }),
        },
        ctx,
      )
      await upload(job.uploadUrl, { open: async () => ({ body: await file.open(), bytes: file.bytes }) }, ctx)
      // The upload URL is a permission of its own: it is shown to nobody.
      return { docId: job.docId }
    },
  }),
}

const pair = (text: string): [string, string] => {
  const at = text.indexOf('=')
  return [text.slice(0, at), text.slice(at + 1)]
}

/** Jobs that belong to no call. Everything else that Xosum's documents list is done for calls by itself. */
export const operations: Operations<Config> = { jobs }
