import { z } from 'zod'
import {
  type ConnectorContext,
  type OperationContext,
  type Operations,
  operationFor,
} from '../../src/connector/contract.ts'
import { utf8 } from '../../src/connector/encoding.ts'
import { asObject, mapTexts, parseJson } from '../../src/connector/json.ts'
import { readJson } from '../../src/connector/read.ts'
import { CordboardError } from '../../src/errors.ts'
import { addCall, addCallByUrl, postForm, postJson } from './client.ts'
import type { Config } from './schema.ts'

/** What Resonaa does beside taking calls. No fields are documented for most of it: the operator's JSON goes as it is. */

const operation = operationFor<Config>()

const docs = 'https://resonaa.com/developer'
const text = z.string().min(1).max(1000)
const fields = z.string().min(2).max(1_000_000).describe('JSON object with the fields that Resonaa gave you')

export const operations: Operations<Config> = {
  calls: {
    add: operation({
      says: 'a recording of yours (--file), or one that Resonaa downloads (--url)',
      docs,
      changes: 'costs',
      input: z.object({
        url: z.url().max(4096).optional().describe('instead of a file'),
        customerName: text.optional().describe('display name of the customer'),
        userId: text.optional().describe('UUID of the agent at Resonaa'),
        extensionId: text.optional().describe('the agent’s id elsewhere'),
        orderId: text.optional().describe('your own id of the call'),
      }),
      async run({ url, customerName, userId, extensionId, orderId }, ctx) {
        const named = {
          customer_name: customerName,
          user_id: userId,
          extension_id: extensionId,
          order_id: orderId,
        }
        const fields = Object.fromEntries(Object.entries(named).filter(([, value]) => value !== undefined))
        if (url !== undefined) return shown(await addCallByUrl(fields, url, ctx), ctx)
        const file = ctx.file()
        const audio = { fileName: file.name, contentType: file.contentType, bytes: file.bytes }
        return shown(await addCall(fields, { ...audio, body: await file.open() }, ctx), ctx)
      },
    }),
  },
  customers: {
    add: operation({
      says: 'one customer, with the fields that you give',
      docs,
      changes: 'changes',
      input: z.object({ fields }),
      run: async (input, ctx) => shown(await postJson('/api/crm/customers', given(input.fields), ctx), ctx),
    }),
    'add-many': operation({
      says: 'several customers, as an array',
      docs,
      changes: 'changes',
      input: z.object({ fields: fields.describe('JSON array of customers') }),
      async run(input, ctx) {
        const customers = parsed(input.fields)
        if (!Array.isArray(customers)) throw unfit('an array of customers')
        return shown(await postJson('/api/crm/customers', { customers }, ctx), ctx)
      },
    }),
    csv: operation({
      says: 'the customers of a CSV file (--file)',
      docs,
      changes: 'changes',
      input: z.object({
        as: z.enum(['file', 'text']).default('file').describe('text: as the field csv of a JSON body'),
        field: z
          .string()
          .regex(/^\w{1,64}$/)
          .default('csv')
          .describe('name of the form’s field, which is not documented'),
      }),
      async run(input, ctx) {
        const file = ctx.file()
        if (input.as === 'text')
          return shown(await postJson('/api/crm/customers', { csv: await textOf(ctx) }, ctx), ctx)
        const part = { name: input.field, fileName: file.name, contentType: 'text/csv' }
        const upload = { ...part, bytes: file.bytes, body: await file.open() }
        return shown(await postForm('/api/crm/customers', {}, upload, ctx), ctx)
      },
    }),
  },
  sheets: {
    upload: operation({
      says: 'one phase of a sheet: create a job, send rows, or finalise it',
      docs,
      changes: 'costs',
      input: z.object({ fields }),
      run: async (input, ctx) => shown(await postJson('/api/resona/upload', given(input.fields), ctx), ctx),
    }),
  },
  tickets: {
    upload: operation({
      says: 'a conversation as text',
      docs,
      changes: 'costs',
      input: z.object({ fields }),
      run: async (input, ctx) => {
        const fields = asObject(mapTexts(given(input.fields), ctx.redact)) ?? {}
        return shown(await postJson('/api/tickets/upload', fields, ctx), ctx)
      },
    }),
  },
  chat: {
    ask: operation({
      says: 'a question about calls, tickets or reports, with the message and its context',
      docs,
      changes: 'costs',
      input: z.object({
        about: z
          .string()
          .regex(/^[a-z][a-z-]{0,63}$/)
          .describe('what stands for the star in /api/*/chat'),
        fields,
      }),
      run: async (input, ctx) =>
        shown(await postJson(`/api/${input.about}/chat`, given(input.fields), ctx), ctx),
    }),
  },
}

/** The largest CSV that is sent as a text; a file has no limit of ours. */
const MOST_TEXT_BYTES = 5_000_000

async function textOf(ctx: OperationContext<Config>): Promise<string> {
  const file = ctx.file()
  if (file.bytes > MOST_TEXT_BYTES) {
    throw new CordboardError('too_large', `${file.bytes} bytes are too many for one text`, {
      fix: 'Send it as a file: --as file',
    })
  }
  return new Response(await file.open()).text()
}

function parsed(value: unknown): unknown {
  try {
    return parseJson(utf8(String(value)))
  } catch (cause) {
    throw new CordboardError('bad_request', '--fields is no JSON that can be read', { cause })
  }
}

function given(value: unknown): Record<string, unknown> {
  const object = asObject(parsed(value))
  if (!object) throw unfit('an object')
  return object
}

const unfit = (expected: string) => new CordboardError('bad_request', `--fields is not ${expected}`)

/** The reply as it came; nothing of it is documented. */
async function shown(response: Response, ctx: ConnectorContext<Config>): Promise<unknown> {
  const isJson = /\bjson\b/i.test(response.headers.get('content-type') ?? '')
  ctx.log.debug('a reply of Resonaa', { status: response.status, json: isJson })
  return isJson ? readJson(response, 'Resonaa') : response
}
