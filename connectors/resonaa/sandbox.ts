import { type Context, Hono } from 'hono'
import type { components } from '../../openapi/generated/resonaa.d.ts'
import { type CreateSandbox, createFaults } from '../../src/connector/sandbox.ts'
import { config } from './schema.ts'

type Schemas = components['schemas']

/**
 * A stand-in of Resonaa, written from its page. Where that is silent it does the plainest thing: 401 for a wrong key, 400
 * for what is missing or unfit, both with `success` and `message`; the same 201 for a link as for a file; it keeps what it
 * was given as sheet, ticket, customer or chat, whatever the fields are.
 */
interface Kept {
  kind: 'submission' | 'customers' | 'sheet' | 'ticket' | 'chat'
  id: string
  fields: Record<string, unknown>
}

const FORMATS = /\.(?:mp3|wav|m4a|webm|mp4)$/i
const MOST_BYTES = 500_000_000

export const createSandbox: CreateSandbox = (options) => {
  const { apiKey } = config.parse({ baseUrl: options.baseUrl, ...options.account })
  const faults = createFaults()
  const kept: Kept[] = []
  const app = new Hono()
  app.use(faults.middleware)

  const keep = (kind: Kept['kind'], { api_key: _, ...fields }: Record<string, unknown>): string => {
    const id = uuid(options.random)
    kept.push({ kind, id, fields })
    return id
  }

  const queued = (c: Context, fields: Record<string, unknown>, audio: Uint8Array | null) => {
    const sample = audio && options.transcriptOf(audio)
    const id = keep('submission', { ...fields, bytes: audio?.length ?? null })
    return c.json(
      {
        success: true,
        call_id: id,
        message: 'Call uploaded successfully and queued for processing',
        audio_url: `${options.baseUrl}/media/${id}`,
        duration_seconds: Math.round((sample?.durationMs ?? 0) / 1000),
        processing_time_ms: 12,
      } satisfies Schemas['CallAdded'],
      201,
    )
  }

  app.post('/api/add-calls', async (c) => {
    const form = await c.req.formData().catch(() => null)
    if (!form) return refuse(c, 400, 'multipart/form-data expected')
    if (form.get('api_key') !== apiKey) return refuse(c, 401, 'Invalid API key')
    const fields = Object.fromEntries([...form].filter(([, value]) => typeof value === 'string'))
    const file = form.get('call')
    if (file instanceof File) {
      if (!FORMATS.test(file.name)) return refuse(c, 400, 'Unsupported format')
      if (file.size > MOST_BYTES) return refuse(c, 413, 'File too large')
      return queued(c, { ...fields, fileName: file.name }, new Uint8Array(await file.arrayBuffer()))
    }
    if (typeof fields.audio_url !== 'string') return refuse(c, 400, 'call or audio_url is required')
    return downloaded(c, fields, fields.audio_url)
  })

  app.post('/api/addcallurl', async (c) => {
    const body = await json(c)
    if (body.api_key !== apiKey) return refuse(c, 401, 'Invalid API key')
    if (typeof body.call_url !== 'string') return refuse(c, 400, 'call_url is required')
    return downloaded(c, body, body.call_url)
  })

  async function downloaded(c: Context, fields: Record<string, unknown>, url: string) {
    const audio = URL.canParse(url) ? ((await options.download?.(url)) ?? null) : null
    return queued(c, fields, audio)
  }

  app.post('/api/crm/customers', async (c) => {
    const isForm = /^multipart\/form-data/i.test(c.req.header('content-type') ?? '')
    const form = isForm ? await c.req.formData().catch(() => new FormData()) : null
    const body: Record<string, unknown> = form ? Object.fromEntries(form) : await json(c)
    if (body.api_key !== apiKey) return refuse(c, 401, 'Invalid API key')
    const texts = Object.entries(body).map(async ([name, value]) => [
      name,
      value instanceof File ? await value.text() : value,
    ])
    keep('customers', Object.fromEntries(await Promise.all(texts)))
    return c.json({ success: true })
  })

  for (const [path, kind] of [
    ['/api/resona/upload', 'sheet'],
    ['/api/tickets/upload', 'ticket'],
    ['/api/:about/chat', 'chat'],
  ] as const) {
    app.post(path, async (c) => {
      const body = await json(c)
      if (body.api_key !== apiKey) return refuse(c, 401, 'Invalid API key')
      keep(kind, { ...body, ...c.req.param() })
      return c.json({ success: true })
    })
  }

  return {
    app,
    fail: faults.fail,
    book: () =>
      kept.map(({ kind, id, fields }) => {
        const key = typeof fields.order_id === 'string' ? fields.order_id : null
        return { kind, id, key, fields }
      }),
  }
}

async function json(c: Context): Promise<Record<string, unknown>> {
  return (await c.req.json().catch(() => ({}))) as Record<string, unknown>
}

function refuse(c: Context, status: 400 | 401 | 413, message: string) {
  return c.json({ success: false, message }, status)
}

function uuid(random: () => number): string {
  const hex = Array.from({ length: 32 }, () => Math.floor(random() * 16).toString(16)).join('')
  return hex.replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12})$/, '$1-$2-4$3-8$4-$5')
}
