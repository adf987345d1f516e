import { type Context, Hono } from 'hono'
import { parseTranscript } from '../../src/call/roles.ts'
import { type CreateSandbox, createFaults, type SampleTranscript } from '../../src/connector/sandbox.ts'
import { mountFiles } from './sandbox/files.ts'
import { mountLists } from './sandbox/lists.ts'
import { iso, refuse, type Schemas, type Task, utc } from './sandbox/task.ts'
import { config } from './schema.ts'

/**
 * A stand-in of Transcripto, written from its page: business errors with HTTP 200, duplicates by file name, tasks that
 * go from pending over processing to completed. What is not documented is as plain as can be: the customer's label is
 * `Client`, a bare date in a filter is inclusive, a task made from a link is called like the last piece of its path, the
 * text of a chat comes back as it was, and a report has one file, which `file_name` names.
 */

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
  const left = { call: 9655, audio: 4994 }
  const app = new Hono()
  app.use(faults.middleware)
  app.post('/auth/login', async (c) => {
    const { email, password_hash, captcha_token } = await jsonOf(c)
    if (!email || !password_hash || !captcha_token) return refuse(c, 4030, 'Fields are missing')
    const reply: Schemas['LoggedIn'] = {
      message: 'Login successful',
      error_code: 0,
      token,
      locale: 'en',
      user_id: 83,
      email: String(email),
      directories: [],
      last_tasks: [],
      call_activity_tree: {},
    }
    return c.json(reply)
  })
  app.use(async (c, next) => {
    // A report is for whoever knows its code.
    if (c.req.path === '/user/callreport/file') return next()
    const given = c.req.header('authorization')
    if (given === `Bearer ${token}`) return next()
    return given ? refuse(c, 4012, 'Token is invalid or has expired') : refuse(c, 4023, 'Unauthorized')
  })

  app.get('/user/tariff', (c) => {
    const remaining_resources = { available_call_minutes: left.call, available_audio_minutes: left.audio }
    const tariff = { name: 'Sandbox', days_left: 64, calls_enabled: true, remaining_resources }
    return c.json({ success: true, errorcode: 0, tariff } satisfies Schemas['Tariff'])
  })

  app.post('/addtaskcall', async (c) => {
    const { file, fields } = await formOf(c)
    if (!file) return refuse(c, 4024, 'File not provided')
    if (fileNames.has(file.name)) return refuse(c, 4091, 'Duplicate file')
    return fromAudio(c, 'call', new Uint8Array(await file.arrayBuffer()), file.name, fields)
  })

  app.post('/addtaskaudio', async (c) => {
    const { file, fields } = await formOf(c)
    if (!file) return refuse(c, 4024, 'File not provided')
    return fromAudio(c, 'audio', new Uint8Array(await file.arrayBuffer()), file.name, fields)
  })

  app.post('/addtaskcallbyurl', async (c) => {
    const { file_url: url, ...said } = await jsonOf(c)
    if (typeof url !== 'string' || !URL.canParse(url)) return refuse(c, 4002, 'file_url not provided')
    const audio = (await options.download?.(url)) ?? null
    if (audio === null) return refuse(c, 4024, 'Failed to download the file')
    const name = new URL(url).pathname.split('/').at(-1) ?? ''
    return fromAudio(c, 'call', audio, name, textsOf(said), true)
  })

  app.post('/addtaskyoutube', async (c) => {
    const { file_path: url, ...said } = await jsonOf(c)
    if (typeof url !== 'string' || !URL.canParse(url)) return refuse(c, 4017, 'Invalid URL')
    const task = add({
      kind: 'youtubenew',
      fileName: url,
      fields: textsOf(said),
      text: 'The words of a video.',
    })
    return c.json({
      id: task.id,
      error_code: 0,
      code: task.code,
      demo: false,
    } satisfies Schemas['VideoTaskCreated'])
  })

  app.post('/add_chat_analysis_task', async (c) => {
    const { text, chunks, ...said } = await jsonOf(c)
    if (!text && !Array.isArray(chunks)) return refuse(c, 4001, 'Neither text nor chunks')
    const words = typeof text === 'string' ? text : JSON.stringify(chunks)
    const task = add({ kind: 'chat', fileName: null, fields: textsOf(said), text: words })
    const success_message = 'Chat analysis task created'
    const reply = { success: true, error_code: 0, success_message, task_code: task.code } as const
    return c.json(reply satisfies Schemas['ChatTaskCreated'])
  })

  function fromAudio(
    c: Context,
    kind: 'call' | 'audio',
    audio: Uint8Array,
    fileName: string,
    fields: Task['fields'],
    byUrl = false,
  ) {
    const at = fields.call_datetime
    if (at !== undefined && !/(?:Z|[+-]\d\d:\d\d)$/.test(at))
      return refuse(c, 4001, 'call_datetime without TZ')
    if (!byUrl && !/\.(?:wav|mp3|ogg)$/i.test(fileName)) return refuse(c, 4025, 'Unsupported file format')
    const sample = options.transcriptOf(audio)
    if (sample && sample.durationMs < SHORTEST_MS) return refuse(c, 4092, 'Audio is too short')
    const minutes = Math.ceil((sample?.durationMs ?? 0) / 60_000)
    if (minutes > left[kind]) return refuse(c, 4050, 'Not enough plan minutes')
    left[kind] -= minutes
    if (kind === 'call') fileNames.add(fileName)
    const task = add({ kind, fileName, fields, text: textOf(sample), audio, sample, byUrl })
    return c.json({ id: task.id, error_code: 0, code: task.code } satisfies Schemas['TaskCreated'])
  }

  function add(
    what: Pick<Task, 'kind' | 'fileName' | 'fields' | 'text'> &
      Partial<Pick<Task, 'audio' | 'sample' | 'byUrl'>>,
  ): Task {
    const now = options.now()
    const task: Task = {
      audio: null,
      sample: null,
      byUrl: false,
      ...what,
      id: FIRST_ID + tasks.length,
      code: uuid(options.random),
      status: 'pending',
      createdAt: now,
      updatedAt: now,
    }
    tasks.push(task)
    byCode.set(task.code, task)
    const become = (status: Task['status']) => {
      task.status = status
      task.updatedAt = options.now()
    }
    options.later(500, () => become('processing'))
    options.later(1000 + 1000 * options.random(), () => become('completed'))
    return task
  }

  app.post('/tasks/filter', async (c) => c.json(pageOf(await jsonOf(c))))
  app.get('/tasks/filter', (c) => {
    const { page, per_page, task_id, ...rest } = c.req.query()
    const numbers = Object.fromEntries(
      Object.entries({ page, per_page, task_id }).flatMap(([name, value]) =>
        value === undefined ? [] : [[name, Number(value)]],
      ),
    )
    return c.json(pageOf({ ...rest, ...numbers }))
  })

  function pageOf(asked: Schemas['TaskFilter']): Schemas['TaskPage'] {
    const { page = 1, per_page = 10 } = asked
    const found = tasks.filter((task) => fits(task, asked)).sort((a, b) => b.updatedAt - a.updatedAt)
    const total_pages = Math.ceil(found.length / per_page)
    return {
      tasks: found.slice((page - 1) * per_page, page * per_page).map(summary),
      pagination: { current_page: page, per_page, total_tasks: found.length, total_pages },
    }
  }

  app.get('/gettask', (c) => {
    const code = c.req.query('task_code')
    if (!code) return refuse(c, 4020, 'task_code is required')
    const task = byCode.get(code)
    return task ? c.json(details(task)) : refuse(c, 4021, 'Task not found')
  })

  app.get('/api/calls_analysis_v2/:code', (c) => {
    const task = byCode.get(c.req.param('code'))
    if (!task) return refuse(c, 4021, 'Task not found')
    const isThere = task.status === 'completed' && (task.kind === 'call' || task.kind === 'chat')
    return isThere ? c.json(analysisOf(task)) : refuse(c, 4057, 'No analysis data')
  })

  const lists = mountLists(app, options, (id) => tasks[id - FIRST_ID] !== undefined)
  mountFiles(app, { add, task: (code) => byCode.get(code) })

  return {
    app,
    fail: faults.fail,
    book: () => [
      ...tasks.map(({ code, kind, fileName, byUrl, status, audio, fields }) => ({
        kind: kind === 'callreport' ? 'report' : 'submission',
        id: code,
        // A link, and a chat, say nothing of our submission id.
        key: byUrl || fileName === null ? null : fileName.replace(/\.\w+$/, ''),
        fields: { ...fields, type: kind, status, bytes: audio?.length ?? 0, fileName },
      })),
      ...lists.book(),
    ],
  }
}

async function jsonOf(c: Context): Promise<Record<string, unknown>> {
  return (await c.req.json().catch(() => ({}))) as Record<string, unknown>
}

async function formOf(c: Context): Promise<{ file: File | null; fields: Task['fields'] }> {
  const form = await c.req.formData().catch(() => new FormData())
  const file = form.get('file')
  const fields: Record<string, string> = {}
  for (const [name, value] of form) if (typeof value === 'string') fields[name] = value
  return { file: file instanceof File && file.size > 0 ? file : null, fields }
}

const textsOf = (said: Record<string, unknown>): Record<string, string> =>
  Object.fromEntries(Object.entries(said).map(([name, value]) => [name, String(value)]))

function textOf(sample: SampleTranscript | null): string {
  const turns = parseTranscript(sample?.transcript ?? '')
  return turns.map((turn) => `${LABELS[turn.party]}: ${turn.text}`).join('\n') || NO_SAMPLE
}

function fits(task: Task, asked: Schemas['TaskFilter']): boolean {
  const { date_from, date_to, task_type, status, operator_name, task_code, task_id } = asked
  const at = task.fields.call_datetime
  // "Date filters apply to the task's call_datetime": a task without one fits no date.
  const day = at ? utc(at).slice(0, 10) : null
  return (
    (!task_type || task_type === task.kind) &&
    (!status || status === task.status) &&
    (!task_code || task_code === task.code) &&
    (!task_id || task_id === task.id) &&
    (!date_from || (day !== null && day >= date_from.slice(0, 10))) &&
    (!date_to || (day !== null && day <= date_to.slice(0, 10))) &&
    (!operator_name || operatorOf(task).toLowerCase().includes(operator_name.toLowerCase()))
  )
}

function summary(task: Task): Schemas['TaskSummary'] {
  const at = task.fields.call_datetime
  return {
    ...common(task),
    file_name: task.fileName,
    operator_name: operatorOf(task),
    call_time: at ? utc(at) : null,
    call_type: task.fields.call_type ?? null,
    customer_satisfaction_score: null,
  }
}

function details(task: Task): Schemas['Task'] {
  const original_text = task.kind === 'callreport' ? null : task.text
  const isDone = task.status === 'completed'
  return {
    success: true,
    error_code: 0,
    ...common(task),
    task_result: isDone
      ? { blog_post: null, image_prompt: null, normalized_text: null, original_text }
      : null,
  }
}

const common = (task: Task) => ({
  id: task.id,
  type: task.kind,
  status: task.status,
  file_name: task.fileName,
  created_at: iso(task.createdAt),
  updated_at: iso(task.updatedAt),
  call_date: task.fields.call_date ?? null,
  error_message: null,
  directory_id: Number(task.fields.directory_id) || null,
  task_length: (task.sample?.durationMs ?? 0) / 60_000,
  task_code: task.code,
  report_type: task.fields.report_type ?? null,
})

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
      : { summary: task.kind === 'chat' ? `A conversation of ${task.text.length} characters.` : NO_SAMPLE },
    call_checklists: [],
    category_ids: sample ? [1] : [],
    customer_satisfaction_score: sample ? csat : null,
  }
}

const operatorOf = (task: Task): string => task.fields.operator_name ?? 'global'

function uuid(random: () => number): string {
  const hex = Array.from({ length: 32 }, () => Math.floor(random() * 16).toString(16)).join('')
  return hex.replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12})$/, '$1-$2-4$3-8$4-$5')
}
