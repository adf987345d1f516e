import { type Context, Hono } from 'hono'
import type { components } from '../../openapi/transcripto.d.ts'
import { parseTranscript } from '../../src/call/roles.ts'
import { type CreateSandbox, createFaults, type SampleTranscript } from '../../src/connector/sandbox.ts'
import { config } from './schema.ts'

type Schemas = components['schemas']

/**
 * A stand-in of Transcripto, written from its page: business errors with HTTP 200, duplicates by file name, tasks that
 * go from pending over processing to completed. What is not documented is as plain as can be: the customer's label is
 * `Client`, a bare date in a filter is inclusive, a task made from a link is called like the last piece of its path.
 */
interface Task {
  id: number
  code: string
  fileName: string
  status: string
  createdAt: number
  updatedAt: number
  fields: Record<string, string>
  bytes: number
  sample: SampleTranscript | null
  byUrl: boolean
}

const NO_SAMPLE = 'This audio carries no sample transcript.'
const LABELS = { agent: 'Operator', customer: 'Client', other: 'Speaker' }
const SHORTEST_MS = 2000
const FIRST_ID = 100

export const createSandbox: CreateSandbox = (options) => {
  const { token } = config.parse({ baseUrl: options.baseUrl, ...options.account })
  const faults = createFaults()
  const tasks: Task[] = []
  const byCode = new Map<string, Task>()
  const fileNames = new Set<string>()
  let minutesLeft = 9655
  const app = new Hono()
  app.use(faults.middleware)
  app.use(async (c, next) => {
    const given = c.req.header('authorization')
    if (given === `Bearer ${token}`) return next()
    return given ? refuse(c, 4012, 'Token is invalid or has expired') : refuse(c, 4023, 'Unauthorized')
  })

  app.get('/user/tariff', (c) => {
    const remaining_resources = { available_call_minutes: minutesLeft }
    const tariff = { name: 'Sandbox', days_left: 64, calls_enabled: true, remaining_resources }
    return c.json({ success: true, errorcode: 0, tariff } satisfies Schemas['Tariff'])
  })

  app.post('/addtaskcall', async (c) => {
    const form = await c.req.formData().catch(() => null)
    const file = form?.get('file')
    if (!form || !(file instanceof File) || file.size === 0) return refuse(c, 4024, 'File not provided')
    if (fileNames.has(file.name)) return refuse(c, 4091, 'Duplicate file')
    const audio = new Uint8Array(await file.arrayBuffer())
    const fields: Record<string, string> = {}
    for (const [name, value] of form) if (typeof value === 'string') fields[name] = value
    return add(c, audio, file.name, fields, false)
  })

  app.post('/addtaskcallbyurl', async (c) => {
    const { file_url: url, ...said } = (await c.req.json().catch(() => ({}))) as Record<string, unknown>
    if (typeof url !== 'string' || !URL.canParse(url)) return refuse(c, 4002, 'file_url not provided')
    const audio = (await options.download?.(url)) ?? null
    if (audio === null) return refuse(c, 4024, 'Failed to download the file')
    const fields = Object.fromEntries(Object.entries(said).map(([name, value]) => [name, String(value)]))
    return add(c, audio, new URL(url).pathname.split('/').at(-1) ?? '', fields, true)
  })

  function add(c: Context, audio: Uint8Array, fileName: string, fields: Task['fields'], byUrl: boolean) {
    const at = fields.call_datetime
    if (at !== undefined && !/(?:Z|[+-]\d\d:\d\d)$/.test(at))
      return refuse(c, 4001, 'call_datetime without TZ')
    if (!byUrl && !/\.(?:wav|mp3|ogg)$/i.test(fileName)) return refuse(c, 4025, 'Unsupported file format')
    const sample = options.transcriptOf(audio)
    if (sample && sample.durationMs < SHORTEST_MS) return refuse(c, 4092, 'Audio is too short')
    const minutes = Math.ceil((sample?.durationMs ?? 0) / 60_000)
    if (minutes > minutesLeft) return refuse(c, 4050, 'Not enough plan minutes')
    minutesLeft -= minutes
    const now = options.now()
    const task: Task = {
      id: FIRST_ID + tasks.length,
      code: uuid(options.random),
      fileName,
      status: 'pending',
      createdAt: now,
      updatedAt: now,
      fields,
      bytes: audio.length,
      sample,
      byUrl,
    }
    tasks.push(task)
    byCode.set(task.code, task)
    fileNames.add(fileName)
    const become = (status: string) => {
      task.status = status
      task.updatedAt = options.now()
    }
    options.later(500, () => become('processing'))
    options.later(1000 + 1000 * options.random(), () => become('completed'))
    return c.json({ id: task.id, error_code: 0, code: task.code } satisfies Schemas['TaskCreated'])
  }

  app.post('/tasks/filter', async (c) => {
    const asked = (await c.req.json().catch(() => ({}))) as Schemas['TaskFilter']
    const { page = 1, per_page = 10 } = asked
    const found = tasks.filter((task) => fits(task, asked)).sort((a, b) => b.updatedAt - a.updatedAt)
    const total_pages = Math.ceil(found.length / per_page)
    return c.json({
      tasks: found.slice((page - 1) * per_page, page * per_page).map(summary),
      pagination: { current_page: page, per_page, total_tasks: found.length, total_pages },
    } satisfies Schemas['TaskPage'])
  })

  app.get('/gettask', (c) => {
    const code = c.req.query('task_code')
    if (!code) return refuse(c, 4020, 'task_code is required')
    const task = byCode.get(code)
    return task ? c.json(details(task)) : refuse(c, 4021, 'Task not found')
  })

  app.get('/api/calls_analysis_v2/:code', (c) => {
    const task = byCode.get(c.req.param('code'))
    if (!task) return refuse(c, 4021, 'Task not found')
    return task.status === 'completed' ? c.json(analysisOf(task)) : refuse(c, 4057, 'No analysis data')
  })

  app.get('/checklist/answer/:id', (c) => {
    const isKnown = tasks[Number(c.req.param('id')) - FIRST_ID] !== undefined
    const data = [{ checklist_id: 1, question: 'Was the reason for the call named?', answer: 'Yes' }]
    if (!isKnown) return refuse(c, 4053, 'Record not found')
    return c.json({ success: true, error_code: 0, data } satisfies Schemas['ChecklistAnswers'])
  })

  return {
    app,
    fail: faults.fail,
    book: () =>
      tasks.map(({ code, fileName, byUrl, status, bytes, fields }) => ({
        kind: 'submission',
        id: code,
        // A link says nothing of our submission id.
        key: byUrl ? null : fileName.replace(/\.\w+$/, ''),
        fields: { ...fields, status, bytes, fileName },
      })),
  }
}

/** Business errors come with HTTP 200. */
function refuse(c: Context, error_code: number, error_message: string) {
  return c.json({ success: false, error_code, error_message } satisfies Schemas['Failure'])
}

function fits(task: Task, { date_from, date_to, task_type, operator_name }: Schemas['TaskFilter']): boolean {
  const day = (task.fields.call_datetime ? utc(task.fields.call_datetime) : iso(task.createdAt)).slice(0, 10)
  return (
    (!task_type || task_type === 'call') &&
    (!date_from || day >= date_from.slice(0, 10)) &&
    (!date_to || day <= date_to.slice(0, 10)) &&
    (!operator_name || operatorOf(task).toLowerCase().includes(operator_name.toLowerCase()))
  )
}

function summary(task: Task): Schemas['TaskSummary'] {
  const at = task.fields.call_datetime
  return {
    id: task.id,
    type: 'call',
    status: task.status,
    file_name: task.fileName,
    created_at: iso(task.createdAt),
    updated_at: iso(task.updatedAt),
    operator_name: operatorOf(task),
    call_time: at ? utc(at) : null,
    call_type: task.fields.call_type ?? null,
    error_message: null,
    task_length: minutesOf(task),
    task_code: task.code,
  }
}

function details(task: Task): Schemas['Task'] {
  const turns = parseTranscript(task.sample?.transcript ?? '')
  const text = turns.map((turn) => `${LABELS[turn.party]}: ${turn.text}`).join('\n')
  const isDone = task.status === 'completed'
  return {
    success: true,
    error_code: 0,
    error_message: null,
    id: task.id,
    type: 'call',
    status: task.status,
    file_name: task.fileName,
    created_at: iso(task.createdAt),
    updated_at: iso(task.updatedAt),
    task_code: task.code,
    task_length: minutesOf(task),
    task_result: isDone
      ? { blog_post: null, image_prompt: null, normalized_text: null, original_text: text || NO_SAMPLE }
      : null,
  }
}

function analysisOf(task: Task): Schemas['CallAnalysis'] {
  const { sample } = task
  const csat = { positive: 9, neutral: 6, negative: 3 }[sample?.sentiment ?? 'neutral']
  return {
    success: true,
    error_code: 0,
    task_code: task.code,
    call_datetime: task.fields.call_datetime ? utc(task.fields.call_datetime) : iso(task.createdAt),
    call_type: task.fields.call_type ?? 'inbound',
    duration_sec: Math.round((sample?.durationMs ?? 0) / 1000),
    transcript: sample ? { language: sample.language, turns: parseTranscript(sample.transcript).length } : {},
    analysis: sample
      ? {
          summary: sample.summary,
          sentiment: sample.sentiment,
          scores: { csat },
          actions: sample.actions,
          tags: sample.topics,
          analysis_notes: { reason_for_contact: sample.title },
        }
      : { summary: NO_SAMPLE },
    call_checklists: [],
    category_ids: [],
    customer_satisfaction_score: sample ? csat : null,
  }
}

const operatorOf = (task: Task): string => task.fields.operator_name ?? 'global'
const minutesOf = (task: Task): number => (task.sample?.durationMs ?? 0) / 60_000
const iso = (ms: number): string => new Date(ms).toISOString().replace('Z', '+00:00')
const utc = (instant: string): string => iso(Date.parse(instant))

function uuid(random: () => number): string {
  const hex = Array.from({ length: 32 }, () => Math.floor(random() * 16).toString(16)).join('')
  return hex.replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12})$/, '$1-$2-4$3-8$4-$5')
}
