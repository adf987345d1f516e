import { Hono } from 'hono'
import type { components } from '../../openapi/generated/xosum.d.ts'
import { parseTranscript } from '../../src/call/roles.ts'
import { type CreateSandbox, createFaults, type SampleTranscript } from '../../src/connector/sandbox.ts'
import { isByWebhook } from './map.ts'
import { config } from './schema.ts'

type Schemas = components['schemas']

/**
 * A stand-in of Xosum, written from its pages. Where they are silent it does the plainest thing: 400, 401 and 404 with
 * `{error}`, `processing` for a job under way, and a failed job for an upload that is no MP3 (a pre-signed store looks
 * at no content). An `Authorization` at the upload URL is refused, as pre-signed stores do.
 */
interface Job {
  docId: string
  token: string
  createdAt: number
  asked: Schemas['CreateTranscription']
  status: string
  bytes: number
  uploads: number
  result: { text: string; title: string; summary: string; language: string; durationMs: number } | null
}

const NO_SAMPLE = 'This audio carries no sample transcript.'
const UPLOAD_URL_MS = 3_600_000
const DELIVERY_TRIES = 3
/** Samples carry their transcript before the audio; the rest is only counted. */
const HEAD_BYTES = 262_144

export const createSandbox: CreateSandbox = (options) => {
  const account = config.parse(options.account)
  const secret = account.webhookSecret?.[0] ?? ''
  const faults = createFaults()
  const jobs = new Map<string, Job>()
  const window = { minute: -1, count: 0 }
  const app = new Hono()
  app.use(faults.middleware)
  app.use('/api/*', async (c, next) => {
    if (c.req.header('authorization') === `Bearer ${account.apiKey}`) return next()
    return c.json({ error: 'Unauthorized' }, 401)
  })

  app.post('/api/createTranscription', async (c) => {
    const asked = (await c.req.json().catch(() => ({}))) as Schemas['CreateTranscription']
    if (asked.type !== 'phone_call' && asked.type !== 'single_voice') {
      return c.json({ error: 'type is required' }, 400)
    }
    const docId = randomId(options.random)
    const token = randomId(options.random)
    const createdAt = options.now()
    jobs.set(docId, { docId, token, createdAt, asked, status: 'created', bytes: 0, uploads: 0, result: null })
    const uploadUrl = `${options.baseUrl}/upload/${docId}-${token}`
    return c.json({ docId, uploadUrl } satisfies Schemas['CreatedTranscription'])
  })

  app.put('/upload/:path', async (c) => {
    const [docId = '', token] = c.req.param('path').split('-')
    const job = jobs.get(docId)
    if (job?.token !== token || !job) return c.text('SignatureDoesNotMatch', 403)
    if (options.now() >= job.createdAt + UPLOAD_URL_MS) return c.text('Request has expired', 403)
    if (c.req.header('authorization')) return c.text('Only one auth mechanism allowed', 400)
    const { head, bytes } = await readHead(c.req.raw.body)
    job.uploads++
    if (job.status !== 'created') return c.body(null, 200)
    job.status = 'processing'
    job.bytes = bytes
    options.later(1000 + 1000 * options.random(), () => finish(job, head))
    return c.body(null, 200)
  })

  app.get('/api/getTranscription', (c) => {
    const minute = Math.floor(options.now() / 60_000)
    window.count = window.minute === minute ? window.count + 1 : 1
    window.minute = minute
    if (window.count > account.requestsPerMinute) {
      const seconds = Math.ceil(((minute + 1) * 60_000 - options.now()) / 1000)
      return c.json({ error: 'Too many requests' }, 429, { 'retry-after': String(seconds) })
    }
    const job = jobs.get(c.req.query('docId') ?? '')
    return job ? c.json(reply(job)) : c.json({ error: 'Not found' }, 404)
  })

  async function finish(job: Job, head: Uint8Array): Promise<void> {
    if (!isMp3(head)) {
      job.status = 'failed'
      return
    }
    const sample = options.transcriptOf(head)
    job.result = resultOf(sample, job.asked.type)
    job.status = 'transcribed'
    if (!isByWebhook(account) || !options.hookUrl) return
    await send(transcriptReady(job, secret), DELIVERY_TRIES)
    if (!job.asked.checklistId) return
    options.later(500, () => send(analysisReady(job, secret), DELIVERY_TRIES))
  }

  async function send(body: unknown, tries: number): Promise<void> {
    const headers = { 'content-type': 'application/json' }
    const request = { url: options.hookUrl ?? '', method: 'POST', headers, body: JSON.stringify(body) }
    const answer = await options.deliver(request).catch(() => ({ status: 0 }))
    const isTaken = answer.status >= 200 && answer.status < 300
    if (!isTaken && tries > 1) options.later(5000, () => send(body, tries - 1))
  }

  return {
    app,
    fail: faults.fail,
    book: () =>
      [...jobs.values()].map(({ docId, asked, status, bytes, uploads }) => ({
        // A job without audio is never worked on, so it is no submission anybody pays for.
        kind: uploads > 0 ? 'submission' : 'unused job',
        id: docId,
        key: typeof asked.metadata?.submission === 'string' ? asked.metadata.submission : null,
        fields: { status, bytes, uploads, type: asked.type, checklistId: asked.checklistId ?? null },
      })),
  }
}

function reply(job: Job): Schemas['Transcription'] {
  return {
    docId: job.docId,
    status: job.status,
    createdAt: new Date(job.createdAt).toISOString(),
    type: job.asked.type,
    duration: (job.result?.durationMs ?? 0) / 1000,
    metadata: job.asked.metadata ?? {},
    ...(job.result && {
      transcription: job.result.text,
      title: job.result.title,
      resolution: job.result.summary,
      languageCode: job.result.language,
    }),
    ...(job.status === 'failed' && { error: 'Only MP3 audio is accepted' }),
  }
}

function transcriptReady(job: Job, secret: string): Schemas['TranscriptReady'] {
  return {
    event_type: 'transcript_ready',
    secret,
    docId: job.docId,
    transcription: job.result?.text ?? '',
    metadata: job.asked.metadata ?? {},
    title: job.result?.title ?? '',
    resolution: job.result?.summary ?? '',
    link: `https://app.xosum.am/sandbox/${job.docId}`,
  }
}

/** The members of an entry are not documented: those here are the stand-in's own, and nothing may rely on them. */
function analysisReady(job: Job, secret: string): Schemas['AnalysisReady'] {
  return {
    event_type: 'analysis_ready',
    secret,
    docId: job.docId,
    analysisId: `a${job.docId}`,
    metadata: job.asked.metadata ?? {},
    checklistId: job.asked.checklistId ?? null,
    checklistName: 'Sandbox checklist',
    results: { 'sandbox-question-1': { sandbox: job.result?.summary ?? NO_SAMPLE } },
    link: `https://app.xosum.am/sandbox/${job.docId}`,
  }
}

function resultOf(sample: SampleTranscript | null, type: string): NonNullable<Job['result']> {
  if (!sample) {
    return { text: NO_SAMPLE, title: 'Unknown audio', summary: NO_SAMPLE, language: 'und', durationMs: 0 }
  }
  const turns = parseTranscript(sample.transcript)
  const speakers = [...new Set(turns.map((turn) => turn.party))]
  const label = type === 'phone_call'
  const text = turns.map((turn) => {
    return label ? `Խոսնակ ${Math.min(speakers.indexOf(turn.party), 1) + 1}: ${turn.text}` : turn.text
  })
  const { title, summary, language, durationMs } = sample
  return { text: text.join(label ? '\n' : ' '), title, summary, language, durationMs }
}

async function readHead(body: ReadableStream<Uint8Array> | null) {
  const head = new Uint8Array(HEAD_BYTES)
  let bytes = 0
  for await (const chunk of body ?? []) {
    if (bytes < HEAD_BYTES) head.set(chunk.subarray(0, HEAD_BYTES - bytes), bytes)
    bytes += chunk.byteLength
  }
  return { head: head.subarray(0, Math.min(bytes, HEAD_BYTES)), bytes }
}

/** An ID3 tag, or the sync bits of an MPEG audio frame of layer III. */
function isMp3([a = 0, b = 0, c = 0]: Uint8Array): boolean {
  return (a === 0x49 && b === 0x44 && c === 0x33) || (a === 0xff && (b & 0xe0) === 0xe0 && (b & 6) === 2)
}

function randomId(random: () => number): string {
  const chars = 'ABCDEFGHJKMNPQRSTVWXYZabcdefghjkmnpqrstvwxyz23456789'
  return Array.from({ length: 20 }, () => chars[Math.floor(random() * chars.length)]).join('')
}
