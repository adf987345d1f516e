import type { Context, Hono } from 'hono'
import { refuse, type Schemas, type Task } from './task.ts'

const DOCX = 'application/vnd.openxmlformats-officedocument.wordprocessingml.document'

interface Tasks {
  add(task: Pick<Task, 'kind' | 'fileName' | 'fields' | 'text'>): Task
  task(code: string): Task | undefined
}

/** Files of tasks, and reports. What they hold is one line that says which. */
export function mountFiles(app: Hono, tasks: Tasks): void {
  app.post('/user/callreport', async (c) => {
    const asked = (await c.req.json().catch(() => ({}))) as Partial<Schemas['ReportWanted']>
    const { start_date: from, end_date: to, report_type = 'standard' } = asked
    if (!from || !to) return refuse(c, 4060, 'start_date or end_date were not provided')
    const [start, end] = [Date.parse(from), Date.parse(to)]
    if (Number.isNaN(start) || Number.isNaN(end)) return refuse(c, 4061, 'Invalid date format')
    if (start > end) return refuse(c, 4062, 'start_date is later than end_date')
    const task = tasks.add({ kind: 'callreport', fileName: null, fields: { report_type }, text: '' })
    task.fileName = `report_${task.id}.pdf`
    const reply: Schemas['ReportTaskCreated'] = {
      success: true,
      error_code: 0,
      success_message: 'Report task created',
      report_task_code: task.code,
      ...(report_type === 'business' ? { available_report_count: 30 } : {}),
    }
    return c.json(reply)
  })

  app.get('/user/callreport/file', (c) => {
    const { task_code = '', filename = '' } = c.req.query()
    if (!task_code || !filename) return refuse(c, 4001, 'task_code and filename are required')
    if (!/^report_\d+\.(?:pdf|html)$/.test(filename)) return refuse(c, 4002, 'Invalid filename')
    const task = tasks.task(task_code)
    if (task?.kind !== 'callreport') return refuse(c, 4041, 'Task not found')
    const isThere = task.status === 'completed' && filename.startsWith(`report_${task.id}.`)
    if (!isThere) return refuse(c, 4043, 'File missing on disk')
    const type = filename.endsWith('.pdf') ? 'application/pdf' : 'text/html'
    return file(c, `sandbox report ${task.id}`, type, filename)
  })

  app.get('/get_file', (c) => {
    const { file_type: type = '', task_code = '' } = c.req.query()
    if (!task_code) return refuse(c, 4045, 'Missing task_code')
    const task = tasks.task(task_code)
    if (!task) return refuse(c, 4021, 'Task not found for the user')
    if (type === 'audio') {
      return task.audio
        ? file(c, task.audio, 'audio/mpeg', task.fileName ?? '')
        : refuse(c, 4046, 'File not found')
    }
    const [form = '', of = ''] = type.split('_')
    const isVideo = of === 'youtube'
    if (task.kind !== (isVideo ? 'youtubenew' : 'call')) {
      return refuse(c, isVideo ? 4061 : 4056, 'Invalid task type')
    }
    if (task.status !== 'completed') return refuse(c, isVideo ? 4062 : 4057, 'No data')
    const name = `${isVideo ? 'youtube' : 'call'}_report_task${task.id}.${form}`
    return file(c, `sandbox ${name}`, form === 'docx' ? DOCX : 'text/plain; charset=utf-8', name)
  })
}

function file(c: Context, body: string | Uint8Array, type: string, name: string): Response {
  const bytes = typeof body === 'string' ? body : new Uint8Array(body)
  return c.body(bytes, 200, { 'content-type': type, 'content-disposition': `attachment; filename="${name}"` })
}
