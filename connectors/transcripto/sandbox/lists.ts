import type { Context, Hono } from 'hono'
import type { SandboxOptions, SandboxRecord } from '../../../src/connector/sandbox.ts'
import { iso, refuse, type Schemas } from './task.ts'

const good = { success: true, error_code: 0 } as const

/** Lists of the account: questions, directories, categories, filters, scripts. */
export function mountLists(
  app: Hono,
  { now }: Pick<SandboxOptions, 'now'>,
  isTask: (id: number) => boolean,
): { book(): SandboxRecord[] } {
  const questions: Schemas['ChecklistQuestion'][] = []
  const directories: Schemas['Directory'][] = []
  const at = iso(now())
  const categories: Schemas['Category'][] = [
    { id: 1, name: 'Support', description: null, parent_id: null, created_at: at, updated_at: at },
  ]
  const filters: Schemas['SavedFilters']['filters'] = []
  const scripts: Schemas['Script'][] = []
  /** Answers belong to wordings: a question with answers keeps its own. */
  const answered = new Set<number>()

  app.get('/checklist', (c) => c.json(active()))
  app.get('/checklist/:id{\\d+}', (c) => c.json(active()))
  const active = (): Schemas['Checklist'] => ({ ...good, data: questions.filter((one) => one.is_active) })

  app.post('/checklist', async (c) => {
    const { question = '' } = await jsonOf<Schemas['Question']>(c)
    if (!question.trim()) return refuse(c, 4045, 'Required fields are missing')
    if (questions.some((one) => one.question === question))
      return refuse(c, 4054, 'Duplicate checklist question')
    const data = { id: questions.length + 1, question, is_active: true }
    questions.push(data)
    return c.json({ ...good, message: 'Checklist question created', data } satisfies Schemas['QuestionSaved'])
  })
  app.post('/checklist/:id{\\d+}', async (c) => {
    const { question = '' } = await jsonOf<Schemas['Question']>(c)
    const data = byId(questions, c)
    if (!data) return refuse(c, 4053, 'Checklist not found')
    if (answered.has(data.id)) return refuse(c, 4055, 'Cannot edit, answers already exist')
    data.question = question
    return c.json({ ...good, message: 'Checklist question updated', data } satisfies Schemas['QuestionSaved'])
  })
  app.post('/checklist/delete/:id{\\d+}', (c) => {
    const data = byId(questions, c)
    if (!data) return refuse(c, 4053, 'Checklist not found')
    data.is_active = false
    const message = 'Checklist question deleted'
    return c.json({ ...good, message, id: data.id } satisfies Schemas['QuestionDeleted'])
  })
  app.get('/checklist/answer/:id{\\d+}', (c) => {
    if (!isTask(Number(c.req.param('id')))) return refuse(c, 4053, 'Record not found')
    const asked = questions.filter((one) => one.is_active)
    for (const { id } of asked) answered.add(id)
    const data = asked.map(({ id, question }) => ({ checklist_id: id, question, answer: 'Yes' }))
    if (data.length === 0) {
      data.push({ checklist_id: 0, question: 'Was the reason for the call named?', answer: 'Yes' })
    }
    return c.json({ ...good, data } satisfies Schemas['ChecklistAnswers'])
  })

  app.get('/user/directories', (c) => c.json({ ...good, directories } satisfies Schemas['Directories']))
  app.post('/user/directories', async (c) => {
    const { name = '' } = await jsonOf<Schemas['Named']>(c)
    const directory = { id: (directories.at(-1)?.id ?? 69) + 1, name }
    directories.push(directory)
    return c.json({ ...good, directory } satisfies Schemas['DirectoryCreated'])
  })
  app.delete('/user/directories/delete/:id{\\d+}', (c) => {
    if (!remove(directories, c)) return refuse(c, 4041, 'Resource is unavailable')
    return c.json({
      error_code: 0,
      message: 'Directory deleted successfully',
    } satisfies Schemas['DirectoryDeleted'])
  })

  app.post('/user/call_categories/list', async (c) => {
    const { q = '', parent_id, page = 1, per_page = 20 } = await jsonOf<Schemas['CategorySearch']>(c)
    const found = categories.filter(
      (one) => one.name.includes(q) && (parent_id == null || one.parent_id === parent_id),
    )
    const items = found
      .slice((page - 1) * per_page, page * per_page)
      .map((one) => ({ ...one, children_count: children(one.id).length }))
    return c.json({ ...good, items, total: found.length, page, per_page } satisfies Schemas['CategoryPage'])
  })
  const children = (id: number) => categories.filter((one) => one.parent_id === id)
  app.post('/user/call_categories/create', async (c) => {
    const { name = '', description = null, parent_id = null } = await jsonOf<Schemas['CategoryNew']>(c)
    const times = { created_at: iso(now()), updated_at: iso(now()) }
    const data = { id: (categories.at(-1)?.id ?? 0) + 1, name, description, parent_id, ...times }
    categories.push(data)
    return c.json({ ...good, success_message: 'Saved successfully', data } satisfies Schemas['CategorySaved'])
  })
  app.post('/user/call_categories/edit/:id{\\d+}', async (c) => {
    const { category_id: _, ...changes } = await jsonOf<Schemas['CategoryEdit']>(c)
    const data = byId(categories, c)
    if (!data) return refuse(c, 4059, 'Category not found')
    Object.assign(data, changes, { updated_at: iso(now()) })
    return c.json({ ...good, success_message: 'Saved successfully', data } satisfies Schemas['CategorySaved'])
  })
  app.post('/user/call_categories/delete/:id{\\d+}', (c) => {
    if (children(Number(c.req.param('id'))).length > 0) return refuse(c, 4045, 'It has child records')
    if (!remove(categories, c)) return refuse(c, 4059, 'Category not found')
    return c.json({ ...good, message: 'Deleted successfully' } satisfies Schemas['Deleted'])
  })

  app.post('/tasks/filters/save', async (c) => {
    const { name, criteria } = await jsonOf<Schemas['FilterSaved']>(c)
    if (!name || !criteria) return refuse(c, 4045, 'Required fields are missing')
    const known = filters.find((one) => one.name === name)
    if (known) known.criteria = criteria
    else filters.push({ id: filters.length + 42, name, criteria, created_at: iso(now()).slice(0, 19) })
    return c.json({ success: true, message: 'Filter created or updated' } satisfies Schemas['Said'])
  })
  app.get('/tasks/filters/list', (c) =>
    c.json({ success: true, count: filters.length, filters } satisfies Schemas['SavedFilters']),
  )
  app.post('/tasks/filters/delete/:id{\\d+}', (c) => {
    if (!remove(filters, c)) return refuse(c, 4066, 'Filter not found')
    return c.json({ success: true, message: 'Filter deleted' } satisfies Schemas['Said'])
  })

  app.post('/user/call_check_scripts/list', async (c) => {
    const { q = '', only_active, page = 1, per_page = 20 } = await jsonOf<Schemas['ScriptSearch']>(c)
    const found = scripts.filter(
      (one) => `${one.identifier} ${one.title}`.includes(q) && (!only_active || one.is_active),
    )
    const items = found.slice((page - 1) * per_page, page * per_page)
    return c.json({ ...good, total: found.length, page, per_page, items } satisfies Schemas['ScriptPage'])
  })
  app.post('/user/call_check_scripts/create', async (c) => {
    const asked = await jsonOf<Schemas['ScriptNew']>(c)
    const { identifier = '', title = '', script_body = '' } = asked
    if (!identifier || !title || !script_body) return refuse(c, 4045, 'Required fields are missing')
    if (scripts.some((one) => one.identifier === identifier)) return refuse(c, 4001, 'identifier is taken')
    const { description = null, is_active = true, version = 1 } = asked
    const times = { created_at: iso(now()), updated_at: iso(now()) }
    const id = (scripts.at(-1)?.id ?? 10) + 1
    const data = { id, identifier, title, description, is_active, version, script_body, ...times }
    scripts.push(data)
    return c.json({ ...good, success_message: 'Saved successfully', data } satisfies Schemas['ScriptSaved'])
  })
  app.post('/user/call_check_scripts/edit/:id{\\d+}', async (c) => {
    const { script_id: _, ...changes } = await jsonOf<Schemas['ScriptEdit']>(c)
    const data = byId(scripts, c)
    if (!data) return refuse(c, 4053, 'Record not found')
    Object.assign(data, changes, { updated_at: iso(now()) })
    return c.json({ ...good, success_message: 'Saved successfully', data } satisfies Schemas['ScriptSaved'])
  })
  app.post('/user/call_check_scripts/delete/:id{\\d+}', (c) => {
    if (!remove(scripts, c)) return refuse(c, 4053, 'Record not found')
    return c.json({ ...good, message: 'Deleted successfully' } satisfies Schemas['Deleted'])
  })

  const booked = (kind: string, all: readonly { id: number; [field: string]: unknown }[]): SandboxRecord[] =>
    all.map(({ id, ...fields }) => ({ kind, id: `${kind} ${id}`, key: null, fields }))
  return {
    book: () => [
      ...booked('question', questions),
      ...booked('directory', directories),
      ...booked('script', scripts),
    ],
  }
}

async function jsonOf<Body>(c: Context): Promise<Partial<Body>> {
  return (await c.req.json().catch(() => ({}))) as Partial<Body>
}

function byId<One extends { id: number }>(all: One[], c: Context): One | undefined {
  return all.find(({ id }) => id === Number(c.req.param('id')))
}

function remove(all: { id: number }[], c: Context): boolean {
  const at = all.findIndex(({ id }) => id === Number(c.req.param('id')))
  if (at >= 0) all.splice(at, 1)
  return at >= 0
}
