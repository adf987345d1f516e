import { unzipSync } from 'fflate'
import { type Context, Hono } from 'hono'
import type { components } from '../../openapi/generated/cyberdev.d.ts'
import { channelsOf } from '../../src/call/audio-header.ts'
import { type CreateSandbox, createFaults, type SampleTranscript } from '../../src/connector/sandbox.ts'
import { AGENT_TAGS, CUSTOMER_TAGS, config, STATUSES } from './schema.ts'

type Schemas = components['schemas']
type Failure = Schemas['Failure']

/**
 * A stand-in of CyberDev, written from its pages: three steps over presigned URLs, files that are refused whole, a list as
 * the only way to results. Where the pages are silent it does the plainest thing: 400 for what it refuses, the search
 * looks at every field, and the fields of a call are its own, so that nothing may rely on them but by configured paths.
 */
interface StoredCall {
  id: string
  row: Record<string, string>
  status: string
  text: string
  sample: SampleTranscript | null
}

/** What was put at presigned URLs. */
interface Stored {
  contentType: string
  until: number
  body: Uint8Array | null
}

const URLS_S = 3600
const MOST_BYTES = 50 * 1024 * 1024
const FORMATS = /\.(?:wav|mp3|flac|ogg|aiff|au)$/i
const AUDIO = [
  'audio_file_name',
  'client_phone_number',
  'operator_name',
  'start_time',
  'segment_type',
  'right_channel',
  'left_channel',
]
const TEXT = [
  'client_phone_number',
  'operator_name',
  'duration',
  'anonymized_text',
  'start_time',
  'segment_type',
]

export const createSandbox: CreateSandbox = (options) => {
  const { token, segmentType } = config.parse(options.account)
  const segments = [segmentType, 'sales', 'support']
  const faults = createFaults()
  const calls: StoredCall[] = []
  const files = new Map<string, Stored>()
  const processed: { id: string; calls: number; bytes: number }[] = []
  const app = new Hono()
  app.use(faults.middleware)
  app.use('/api/*', async (c, next) => {
    const given = c.req.header('authorization')
    if (given === `Bearer ${token}`) return next()
    return given
      ? refuse(c, 401, 'AUTH_INVALID_TOKEN', 'Invalid or expired token')
      : refuse(c, 401, 'AUTH_MISSING_TOKEN', 'No token')
  })

  app.post('/api/v1/audio/upload', async (c) => {
    const form = await c.req.formData().catch(() => null)
    const file = form?.get('audio_file')
    const row = asRow(form?.get('metadata'))
    if (!(file instanceof File) || !row) return refuse(c, 400, 'VALIDATION_ERROR', 'Missing required field.')
    const audio = new Uint8Array(await file.arrayBuffer())
    const wrong = wrongRow(row, AUDIO) ?? wrongAudio(row, file.name, audio)
    if (wrong) return refuse(c, 400, ...wrong)
    const audio_id = add(row, options.transcriptOf(audio)).id
    const message = 'Audio and metadata uploaded successfully'
    return c.json({ status: 'ok', audio_id, message } satisfies Schemas['AudioUploaded'])
  })

  app.post('/api/v1/calls/upload', async (c) => {
    const asked = (await c.req.json().catch(() => ({}))) as Partial<Schemas['UploadRequest']>
    if (!asked.metadata_filename) {
      const details = { field: 'metadata_filename', error: 'Field required' }
      return refuse(c, 400, 'VALIDATION_ERROR', 'Missing required field.', details)
    }
    const place = `kz/sandbox/${uuid(options.random)}`
    const open = (name: string, contentType: string) => {
      const key = `${place}/${name}`
      files.set(key, { contentType, until: options.now() + URLS_S * 1000, body: null })
      return { key, url: `${options.baseUrl}/store/${key}?X-Amz-Signature=${uuid(options.random)}` }
    }
    const metadata = open(asked.metadata_filename, 'text/csv')
    const audio = asked.audios_filename ? open(asked.audios_filename, 'application/zip') : null
    return c.json({
      status: 'success',
      data: {
        metadata_upload_url: metadata.url,
        metadata_key: metadata.key,
        ...(audio ? { audio_upload_url: audio.url, audio_key: audio.key } : {}),
        expires_in: URLS_S,
      },
    } satisfies Schemas['UploadUrls'])
  })

  app.put('/store/*', async (c) => {
    const file = files.get(c.req.path.slice('/store/'.length))
    if (!file || !c.req.query('X-Amz-Signature')) return c.text('AccessDenied', 403)
    if (options.now() >= file.until) return c.text('Request has expired', 403)
    if (c.req.header('authorization')) return c.text('Only one auth mechanism allowed', 400)
    if (c.req.header('content-type') !== file.contentType) return c.text('SignatureDoesNotMatch', 403)
    // Stores of this kind take no upload without a length.
    const length = c.req.header('content-length')
    if (length === undefined) return c.text('MissingContentLength', 411)
    const body = new Uint8Array(await c.req.arrayBuffer())
    if (body.length !== Number(length)) return c.text('IncompleteBody', 400)
    file.body = body
    return c.body(null, 200)
  })

  app.post('/api/v1/calls/process-upload', async (c) => {
    const asked = (await c.req.json().catch(() => ({}))) as Partial<Schemas['ProcessUpload']>
    const metadata = files.get(asked.metadata_key ?? '')?.body
    const archive = asked.audios_key === undefined ? null : files.get(asked.audios_key)?.body
    if (!metadata || archive === undefined) return refuse(c, 404, 'FILE_NOT_FOUND', 'File not found in S3')
    const read = readFile(metadata, archive)
    if ('wrong' in read) return refuse(c, 400, ...read.wrong)
    for (const { row, sample } of read.rows) add(row, sample)
    const bytes = metadata.length + (archive?.length ?? 0)
    processed.push({ id: asked.metadata_key ?? '', calls: read.rows.length, bytes })
    const message = 'Files validated and queued for processing'
    return c.json({ status: 'success', data: { message } } satisfies Schemas['ProcessingBegun'])
  })

  app.get('/api/v1/calls', (c) => {
    const { status, search_query: search = '' } = c.req.query()
    const [offset, limit] = [Number(c.req.query('offset') ?? 0), Number(c.req.query('limit') ?? 10)]
    if (!(limit >= 1 && limit <= 100 && offset >= 0) || (status && !STATUSES.some((one) => one === status)))
      return refuse(c, 400, 'VALIDATION_ERROR', 'Invalid query')
    const found = calls.filter((call) => {
      const isMeant = status === undefined || call.status === status
      return isMeant && JSON.stringify(shown(call)).toLowerCase().includes(search.toLowerCase())
    })
    const data = found.slice(offset, offset + limit).map(shown)
    return c.json({
      status: 'success',
      data,
      total: found.length,
      offset,
      limit,
    } satisfies Schemas['CallPage'])
  })

  /** Rows with what their audio says of itself, or why the files are refused, whole. */
  function readFile(
    metadata: Uint8Array,
    archive: Uint8Array | null,
  ): { rows: { row: StoredCall['row']; sample: SampleTranscript | null }[] } | { wrong: Wrong } {
    const [header = [], ...lines] = readCsv(new TextDecoder().decode(metadata))
    if (lines.length === 0) return { wrong: ['METADATA_EMPTY', 'No rows'] }
    const required = archive ? AUDIO : TEXT
    if (required.some((column) => !header.includes(column)))
      return { wrong: ['MISSING_COLUMNS', 'Required columns are missing'] }
    let audios: Record<string, Uint8Array> = {}
    try {
      if (archive) audios = unzipSync(archive)
    } catch {
      return { wrong: ['INVALID_ARCHIVE_FORMAT', 'Only .zip is supported'] }
    }
    const rows: { row: StoredCall['row']; sample: SampleTranscript | null }[] = []
    for (const line of lines) {
      const row = Object.fromEntries(header.map((column, i) => [column, line[i] ?? '']))
      const name = row.audio_file_name ?? ''
      const audio = archive ? audios[name] : null
      const wrong = wrongRow(row, required) ?? (audio === null ? null : wrongAudio(row, name, audio))
      if (wrong) return { wrong }
      rows.push({ row, sample: audio ? options.transcriptOf(audio) : null })
    }
    return { rows }
  }

  function wrongRow(row: StoredCall['row'], required: readonly string[]): Wrong | null {
    const empty = required.find((column) => !row[column])
    if (empty) return ['EMPTY_CELL', `${empty} is empty`]
    if (!/^\+?\d{7,15}$/.test(row.client_phone_number ?? '')) return ['INVALID_PHONE_NUMBER', 'Phone format']
    if (!/^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d$|^\d{9,11}$/.test(row.start_time ?? ''))
      return ['INVALID_DATETIME', 'start_time']
    if (!segments.includes(row.segment_type ?? '')) return ['VALIDATION_ERROR', 'Unknown segment_type']
    if (row.direction && !/^(?:in|out)bound$/.test(row.direction)) return ['VALIDATION_ERROR', 'direction']
    if (required === AUDIO) {
      const isSide = (side = '') => side === 'operator' || side === 'client'
      return isSide(row.right_channel) && isSide(row.left_channel) ? null : ['VALIDATION_ERROR', 'channels']
    }
    if (!/^\d+$/.test(row.duration ?? '')) return ['VALIDATION_ERROR', 'duration']
    return isTagged(row.anonymized_text ?? '') ? null : ['INVALID_ANONYMIZED_TEXT', 'Role tags']
  }

  function add(row: StoredCall['row'], sample: SampleTranscript | null): StoredCall {
    const text = row.anonymized_text ?? sample?.transcript ?? ''
    const call: StoredCall = { id: uuid(options.random), row, status: 'pending', text, sample }
    calls.push(call)
    const working = STATUSES.filter((status) => status !== 'completed' && status !== 'failed')
    for (const [i, status] of working.entries()) {
      options.later(i * 5_000, () => {
        call.status = status
      })
    }
    // Audio that says nothing of itself cannot be transcribed here.
    options.later(working.length * 5_000, () => {
      call.status = text === '' ? 'failed' : 'completed'
    })
    return call
  }

  return {
    app,
    fail: faults.fail,
    book: () => [
      ...calls.map(({ id, row, status }) => ({
        kind: 'submission',
        id,
        key: row.partner_call_id ?? null,
        fields: { ...row, status },
      })),
      ...processed.map(({ id, ...fields }) => ({ kind: 'file', id, key: null, fields })),
    ],
  }
}

type Wrong = [code: string, message: string]

function refuse(
  c: Context,
  status: 400 | 401 | 404,
  code: string,
  message: string,
  details?: Failure['details'],
) {
  const body: Failure = { status: 'error', code, message, ...(details ? { details } : {}) }
  return c.json(body, status)
}

function wrongAudio(row: StoredCall['row'], name: string, audio: Uint8Array | undefined): Wrong | null {
  if (!audio || row.audio_file_name !== name) return ['AUDIO_FILENAME_MISMATCH', 'No file of this name']
  if (!FORMATS.test(name)) return ['INVALID_FILE_FORMAT', 'Unsupported audio format.']
  if (audio.length > MOST_BYTES) return ['FILE_TOO_LARGE', 'More than 50 MB']
  return channelsOf(audio) === 1 ? ['INVALID_FILE_FORMAT', 'Audio must be stereo'] : null
}

/** Of no page: the stand-in's own. */
function shown({ id, row, status, text, sample }: StoredCall): Record<string, unknown> {
  const base = { id, status, external: { partner: row.partner_call_id ?? null }, segment: row.segment_type }
  if (status === 'failed') return { ...base, problem: 'Speech could not be recognised' }
  if (status !== 'completed') return base
  return {
    ...base,
    text,
    llm: {
      title: sample?.title ?? 'Uploaded transcript',
      summary: sample?.summary ?? `A conversation of ${text.split(' ').length} words.`,
      sentiment: sample?.sentiment ?? 'neutral',
      language: sample?.language ?? 'en',
      topics: sample?.topics ?? [],
      actions: sample?.actions ?? [],
    },
    scoring: { script: 87 },
  }
}

/** Every utterance with a tag before it, and text behind every tag. */
function isTagged(text: string): boolean {
  const tags: readonly string[] = [...AGENT_TAGS, ...CUSTOMER_TAGS]
  const pieces = text.split(/<([^<>]*)>/)
  return (
    pieces.length >= 3 &&
    pieces[0]?.trim() === '' &&
    pieces.every((piece, i) =>
      i % 2 === 1 ? tags.includes(piece.toLowerCase()) : i === 0 || piece.trim() !== '',
    )
  )
}

function asRow(text: unknown): StoredCall['row'] | null {
  try {
    const row: unknown = typeof text === 'string' ? JSON.parse(text) : null
    return typeof row === 'object' && row !== null ? (row as StoredCall['row']) : null
  } catch {
    return null
  }
}

/** RFC 4180. */
function readCsv(text: string): string[][] {
  const rows: string[][] = []
  let row: string[] = []
  for (const [, quoted, plain, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/g)) {
    row.push(quoted?.replaceAll('""', '"') ?? plain ?? '')
    if (end === ',') continue
    if (row.length > 1 || row[0] !== '') rows.push(row)
    row = []
  }
  return rows
}

function uuid(random: () => number): string {
  const hex = Array.from({ length: 32 }, () => Math.floor(random() * 16).toString(16)).join('')
  return hex.replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12})$/, '$1-$2-4$3-8$4-$5')
}
