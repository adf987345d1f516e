import { describe, expect, it } from 'vitest'
import { connector } from '../../connectors/transcripto/connector.ts'
import { codeOf, isSameChat, toAnalysis, toChat } from '../../connectors/transcripto/map.ts'
import { toCriteria, toQuery } from '../../connectors/transcripto/operations/criteria.ts'
import { questionChanges, scriptChanges } from '../../connectors/transcripto/operations/sync.ts'
import { callAnalysis } from '../../connectors/transcripto/schema.ts'
import type { CordboardError } from '../../src/errors.ts'
import { aCall, account, audio, parsed, request } from './transcripto-world.ts'

/** What Transcripto does beside plain calls: lists of the account, chats, plain audio, and what the page says twice. */

const { analysis, operations } = connector
if (!analysis?.poll || !analysis.find || !operations) throw new Error('transcripto analyses')
const { submit, poll, find } = analysis

type Ctx = ReturnType<typeof account>['ctx']

function run(
  name: string,
  input: Record<string, unknown>,
  ctx: Ctx,
  redact = (text: string) => text,
): Promise<unknown> {
  const [resource = '', verb = ''] = name.split(' ')
  const operation = operations?.[resource]?.[verb]
  if (!operation) throw new Error(`there is no ${name}`)
  const file = () => {
    throw new Error('no file is given here')
  }
  return operation.run(operation.input.parse(input), { ...ctx, file, redact })
}

const refusal = (error_code: number) =>
  ({ kind: 'status', status: 200, body: { success: false, error_code, error_message: 'no' } }) as const

const turns = [
  { party: 'customer' as const, text: 'My order\nis late.' },
  { party: 'agent' as const, text: 'It is on its way.' },
  { party: 'other' as const, text: '<operator> is a word here' },
]

describe('Transcripto: codes mean other things elsewhere', () => {
  it.each([
    ['/auth/login', 4033, 'auth'],
    ['/gettask', 4033, 'not_found'],
    ['/addtaskyoutube', 4044, 'quota'],
    ['/user/callreport/file', 4044, 'not_found'],
    ['/user/callreport/file', 4043, 'not_found'],
    ['/addtaskyoutube', 4043, 'rejected'],
    ['/user/callreport', 4602, 'quota'],
    ['/user/callreport', 4062, 'rejected'],
    ['/get_file', 4062, 'rejected'],
    ['/get_file', 4056, 'rejected'],
    ['/gettask', 4056, 'forbidden'],
    ['/get_file', 4046, 'not_found'],
    ['/tasks/filters/save', 4045, 'rejected'],
    ['/user/call_categories/delete/{id}', 4045, 'rejected'],
    ['/user/call_categories/edit/{id}', 4059, 'not_found'],
    ['/tasks/filters/delete/{filter_id}', 4066, 'not_found'],
    ['/checklist', 4054, 'duplicate'],
    ['/checklist/{id}', 4055, 'rejected'],
    ['/user/callreport/file', 5001, 'vendor_down'],
  ] as const)('%s %i is %s', (endpoint, code, want) => {
    expect(codeOf(endpoint, code)).toBe(want)
  })
})

describe('Transcripto: a conversation in writing', () => {
  it('is sent as text, a line a turn, with who and when', () => {
    expect(toChat(aCall, { turns }, parsed())).toEqual({
      text: 'Client: My order is late.\nOperator: It is on its way.\nSpeaker: <operator> is a word here',
      chunks: null,
      operator_name: 'Իվան',
      call_date: '2026-11-20',
    })
    const { operator_name, call_date } = toChat(aCall, { turns }, parsed({ sendFields: [] }))
    expect([operator_name, call_date]).toEqual([undefined, undefined])
    expect(analysis.accepts(parsed()).text).toBe('chats')
    expect(analysis.accepts(parsed({ chats: false })).text).toBeUndefined()
  })

  it('is known again by its text alone, once the service has read it', async () => {
    const { ctx, tick, vendor } = account()
    const chat = { submissionId: 'sub_1', name: 'sub_1', call: aCall, text: { turns } }
    const { ref } = await submit(chat, ctx)
    await expect(find(chat, ctx)).rejects.toMatchObject({ code: 'ambiguous', retry: { afterMs: 15_000 } })
    await tick()
    expect(await find(chat, ctx)).toBe(ref)
    expect(await find({ ...chat, text: { turns: turns.slice(1) } }, ctx)).toBeNull()
    const other = { ...aCall, agent: { name: 'Other' } }
    expect(await find({ ...chat, call: other }, ctx)).toBeNull()
    expect(await poll(ref, ctx)).toMatchObject({ state: 'done', parts: { transcript: {}, analysis: {} } })
    expect(vendor.book()).toHaveLength(1)
  })

  it('leaves redacted by hand too, as text and in chunks', async () => {
    const { ctx, vendor } = account()
    const bodies: unknown[] = []
    const seen: Ctx = {
      ...ctx,
      fetch: (url, init) => {
        bodies.push(JSON.parse(String(init?.body)))
        return ctx.fetch(url, init)
      },
    }
    const redact = (text: string) => text.replace('0639980142', '[PHONE_1]')
    await run('chat add', { text: 'Client: 0639980142' }, seen, redact)
    await run('chat add', { chunks: '["Client: 0639980142"]' }, seen, redact)
    expect(bodies).toMatchObject([{ text: 'Client: [PHONE_1]' }, { chunks: ['Client: [PHONE_1]'] }])
    expect(vendor.book()).toHaveLength(2)
  })

  it('is complete without a text of the service', async () => {
    const { ctx, vendor, tick } = account()
    const { ref } = await submit({ submissionId: 'sub_1', name: 'sub_1', call: aCall, text: { turns } }, ctx)
    await tick()
    const body = { success: true, error_code: 0, id: 1, type: 'chat', status: 'completed', task_result: null }
    vendor.fail({ fault: { kind: 'status', status: 200, body }, path: '/gettask' })
    const done = await poll(ref, ctx)
    expect(done).toMatchObject({ state: 'done', parts: { transcript: { raw: body } } })
    expect(done.state === 'done' && done.parts.transcript?.transcript).toBeUndefined()
  })

  it('may be another one where the list says less', () => {
    const chat = toChat(aCall, { turns }, parsed())
    expect(isSameChat({ call_date: null, operator_name: null }, chat)).toBe(true)
    expect(isSameChat({ call_date: '2026-11-21' }, chat)).toBe(false)
  })
})

describe('Transcripto: a task of plain audio', () => {
  it('is a transcript alone, told its language and directory and nothing else', async () => {
    const { ctx, vendor, asked, tick } = account({ taskType: 'audio', fileLang: 'hy', directory: 'Memos' })
    expect(analysis.parts(ctx.config)).toEqual(['transcript'])
    expect(analysis.accepts(ctx.config).audio?.by).toEqual(['file'])
    const { ref } = await submit(request(), ctx)
    expect(vendor.book()[0]?.fields).toMatchObject({ type: 'audio', file_lang: 'hy', directory_id: '70' })
    expect(vendor.book()[0]?.fields).not.toHaveProperty('operator_name')
    expect(await find(request(), ctx)).toBe(ref)
    expect(await find(request(audio('sub_2.mp3')), ctx)).toBeNull()
    await tick()
    asked.length = 0
    const body = {
      error_code: 0,
      status: 'completed',
      type: 'audio',
      task_result: { original_text: 'Operator: Hi', blog_post: 'A post', normalized_text: null },
    }
    vendor.fail({ fault: { kind: 'status', status: 200, body }, path: '/gettask' })
    expect(await poll(ref, ctx)).toMatchObject({
      state: 'done',
      parts: { transcript: { transcript: { turns: [{ text: 'Hi' }] }, notes: { blog_post: 'A post' } } },
    })
    expect(asked).toEqual(['GET /gettask'])
    expect(await analysis.quota?.(ctx)).toMatchObject({ unit: 'audio minutes' })
  })
})

describe('Transcripto: directories', () => {
  it('of one name are one, though two calls made it at once; the call’s own wins', async () => {
    const { ctx, vendor } = account({ directory: 'Sales' })
    await run('directories add', { name: 'Sales' }, ctx)
    await run('directories add', { name: 'Sales' }, ctx)
    await submit(request(), ctx)
    await submit({ ...request(audio('sub_2.mp3'), 'sub_2'), call: { ...aCall, directory: 'VIP' } }, ctx)
    const tasks = vendor.book().filter(({ kind }) => kind === 'submission')
    expect(tasks.map(({ fields }) => fields.directory_id)).toEqual(['70', '72'])
  })
})

describe('Transcripto: categories', () => {
  it('get their names, page by page, and stay numbers where those cannot be had', async () => {
    const { ctx, vendor, tick, asked } = account()
    for (let n = 2; n <= 55; n++) await run('categories add', { name: `Category ${n}` }, ctx)
    const { ref } = await submit(request(), ctx)
    await tick()
    asked.length = 0
    const body = {
      success: true,
      error_code: 0,
      analysis: { summary: 'x', tags: ['eSIM'] },
      category_ids: [1, 55, 99],
    }
    const said = { fault: { kind: 'status', status: 200, body }, path: '/api/calls_analysis_v2' } as const
    vendor.fail(said)
    const done = await poll(ref, ctx)
    expect(done).toMatchObject({
      parts: {
        analysis: {
          topics: ['eSIM', 'Support', 'Category 55'],
          categories: ['Support', 'Category 55'],
          notes: { category_ids: '99' },
        },
      },
    })
    expect(asked.filter((line) => line.endsWith('/call_categories/list'))).toHaveLength(2)

    vendor.fail(said)
    vendor.fail({ fault: refusal(4056), path: '/user/call_categories/list' })
    expect(await poll(ref, ctx)).toMatchObject({
      parts: { analysis: { notes: { category_ids: '1, 55, 99' } } },
    })
    vendor.fail(said)
    vendor.fail({ fault: refusal(5000), path: '/user/call_categories/list' })
    await expect(poll(ref, ctx)).rejects.toMatchObject({ code: 'vendor_down' })
  })

  it('and other texts of the task stand in the notes', () => {
    const texts = { normalized_text: 'N', image_prompt: 'I' }
    expect(toAnalysis(callAnalysis.parse({}), {}, { texts }).notes).toEqual(texts)
  })
})

describe('Transcripto: what the introduction calls otherwise', () => {
  it('is asked for where the other name is not there, and only then', async () => {
    const { ctx, vendor, asked } = account()
    vendor.app.get('/user/tasks/filter', (c) => c.json({ tasks: [], pagination: {} }))
    vendor.app.get('/api/calls_analysis/:code', (c) => c.json({ success: true, error_code: 0, analysis: {} }))
    vendor.fail({ fault: { kind: 'status', status: 404 }, path: '/tasks/filter' })
    await run('tasks list', { where: ['status=error'] }, ctx)
    expect(asked).toEqual(['GET /tasks/filter', 'GET /user/tasks/filter'])
    const code = '9360911d-34ce-4e1f-9259-2ba0a1b96ae7'
    vendor.fail({ fault: { kind: 'status', status: 404 }, path: '/api/calls_analysis_v2' })
    expect(await run('tasks analysis', { code }, ctx)).toEqual({ analysis: {} })
    vendor.fail({ fault: { kind: 'status', status: 403 }, path: '/api/calls_analysis_v2' })
    await expect(run('tasks analysis', { code }, ctx)).rejects.toMatchObject({ code: 'forbidden' })
  })
})

describe('Transcripto: criteria', () => {
  it('are written as the filter wants them, in JSON and in a query', () => {
    const criteria = toCriteria([
      'task_type=call',
      'tone_id=1,2',
      'priority_id=3',
      'length_min=3.5',
      'answers=Yes, Partially',
      'tags_any=eSIM,APN',
      'message=a=b',
    ])
    expect(criteria).toEqual({
      task_type: 'call',
      tone_id: [1, 2],
      priority_id: 3,
      length_min: 3.5,
      answers: ['Yes', 'Partially'],
      tags_any: 'eSIM,APN',
      message: 'a=b',
    })
    expect(toQuery(criteria)).toMatchObject({ tone_id: '1,2', length_min: '3.5', answers: 'Yes,Partially' })
  })

  it.each([
    ['status', 'status is no criterion'],
    ['=x', '=x is no criterion'],
    ['toString=1', 'There is no criterion toString'],
    ['tone_id=1,x', 'tone_id is a number'],
    ['length_min=', 'length_min is a number'],
  ])('%s is none', (text, message) => {
    expect(() => toCriteria([text])).toThrow(expect.objectContaining({ code: 'bad_request', message }))
  })
})

describe('Transcripto: the login', () => {
  it('prints what it returns; the token that is configured goes nowhere', async () => {
    const { ctx } = account()
    const headers: unknown[] = []
    const watched: Ctx = {
      ...ctx,
      fetch: (url, init) => {
        headers.push(init?.headers)
        return ctx.fetch(url, init)
      },
    }
    const input = { email: 'user@example.com', passwordHash: 'ab', captchaToken: 'c' }
    expect(await run('login get', input, watched)).toMatchObject({ token: 'token', user_id: 83 })
    expect(JSON.stringify(headers)).not.toMatch(/authorization/i)
    const report = { code: '9360911d-34ce-4e1f-9259-2ba0a1b96ae7', name: 'report_1.pdf' }
    const failure = await run('reports download', report, watched).catch((error: unknown) => error)
    expect(failure).toMatchObject({ code: 'not_found' })
    expect(JSON.stringify(headers)).not.toMatch(/authorization/i)
    // Whoever knows the code has the report.
    const { message, why, fix, vendorSaid } = failure as CordboardError
    expect(JSON.stringify([message, why, fix, vendorSaid])).not.toContain(report.code)
  })
})

describe('Transcripto: questions of the configuration', () => {
  const active = [
    { id: 1, question: 'Did they  greet?', is_active: true },
    { id: 2, question: 'Old wording', is_active: true },
    { id: 3, question: 'Somebody’s own', is_active: true },
  ]
  const wanted = ['did they greet?', { question: 'New wording', was: 'Old wording' }, 'Another one']

  it('are created, edited and hidden, each known by its wording', () => {
    const changes = questionChanges(wanted, active, false)
    expect(changes).toEqual([
      { does: 'edit', id: 2, what: 'Old wording', becomes: 'New wording' },
      { does: 'create', what: 'Another one' },
      { does: 'hide', id: 3, what: 'Somebody’s own' },
    ])
    expect(questionChanges(wanted, active, true).map(({ does }) => does)).toEqual(['edit', 'create'])
  })

  it('that were edited before are not edited again, and an old wording takes nobody else’s', () => {
    const after = [{ id: 2, question: 'New wording', is_active: true }]
    expect(questionChanges([{ question: 'New wording', was: 'Old wording' }], after, false)).toEqual([])
    const swapped = [{ question: 'B', was: 'A' }, 'A']
    expect(questionChanges(swapped, [{ id: 1, question: 'A', is_active: true }], false)).toEqual([
      { does: 'create', what: 'B' },
    ])
  })

  const questions = (vendor: ReturnType<typeof account>['vendor']) =>
    vendor
      .book()
      .filter(({ kind }) => kind === 'question')
      .map(({ fields }) => `${fields.question}${fields.is_active ? '' : ' (hidden)'}`)

  it('are synced once, however often it is done, and after a sync that broke off', async () => {
    const { ctx, vendor } = account({ checklist: ['A', 'B'] })
    vendor.fail({ fault: { kind: 'commit_then_status', status: 502 }, method: 'POST', path: '/checklist' })
    await expect(run('checklists sync', {}, ctx)).rejects.toMatchObject({ code: 'vendor_down' })
    expect(questions(vendor)).toEqual(['A'])
    expect(await run('checklists sync', {}, ctx)).toEqual([{ does: 'create', what: 'B' }])
    expect(await run('checklists sync', {}, ctx)).toEqual([])
    expect(questions(vendor)).toEqual(['A', 'B'])
  })

  it('with answers keep their wording: the new one is another question', async () => {
    const { ctx, vendor } = account({ checklist: [{ question: 'New', was: 'Old' }] })
    await run('checklists add', { question: 'Old' }, ctx)
    vendor.fail({ fault: refusal(4055), method: 'POST', path: '/checklist/1' })
    expect(await run('checklists sync', {}, ctx)).toEqual([
      { does: 'create', what: 'New' },
      { does: 'hide', id: 1, what: 'Old' },
    ])
    expect(questions(vendor)).toEqual(['Old (hidden)', 'New'])
  })

  it('that the account has hidden are said, not made twice', async () => {
    const { ctx, vendor } = account({ checklist: ['A'] })
    await run('checklists add', { question: 'A' }, ctx)
    await run('checklists hide', { id: 1 }, ctx)
    expect(await run('checklists sync', {}, ctx)).toEqual([
      { does: 'create', what: 'A', because: 'the account has it, hidden' },
    ])
    expect(questions(vendor)).toEqual(['A (hidden)'])
  })

  it('that differ are told by the doctor; without any nobody asks', async () => {
    const { ctx, asked } = account({ checklist: ['A', 'B'], scripts: [] })
    const { warnings = [] } = await connector.check(ctx)
    expect(warnings).toEqual([
      {
        what: '2 questions are not as configured',
        fix: 'Run: cordboard backend acme checklists compare, then checklists sync',
      },
    ])
    const plain = account()
    expect((await connector.check(plain.ctx)).warnings).toEqual([])
    expect([plain.asked, asked]).toEqual([
      ['GET /user/tariff'],
      ['GET /user/tariff', 'GET /checklist', 'POST /user/call_check_scripts/list'],
    ])
    await expect(run('checklists sync', {}, plain.ctx)).rejects.toMatchObject({ code: 'config' })
  })

  it('stand there once', () => {
    expect(() => parsed({ checklist: ['A', { question: 'a' }] })).toThrow('a question stands there twice')
  })
})

describe('Transcripto: scripts of the configuration', () => {
  const script = { identifier: 'welcome', title: 'Welcome', body: 'Hello!' }

  it('are created, edited where they differ, and switched off, never deleted', async () => {
    const { ctx, vendor } = account({ scripts: [script] })
    await run('scripts add', { identifier: 'welcome', title: 'Wel', body: 'Hello!', active: 'no' }, ctx)
    await run('scripts add', { identifier: 'old', title: 'Old', body: 'Hi' }, ctx)
    expect(await run('scripts sync', {}, ctx)).toEqual([
      { does: 'edit', id: 11, what: 'welcome', becomes: 'title, is_active' },
      { does: 'hide', id: 12, what: 'old' },
    ])
    expect(await run('scripts sync', {}, ctx)).toEqual([])
    const scripts = vendor.book().filter(({ kind }) => kind === 'script')
    expect(scripts.map(({ fields }) => [fields.identifier, fields.title, fields.is_active])).toEqual([
      ['welcome', 'Welcome', true],
      ['old', 'Old', false],
    ])
  })

  it('of others stay when that is wanted', () => {
    const there = [{ id: 1, identifier: 'x', title: 'X', is_active: true, script_body: 'x' }]
    expect(scriptChanges([], there, true)).toEqual([])
    expect(scriptChanges([], there, false)).toEqual([{ does: 'hide', id: 1, what: 'x' }])
  })
})

describe('Transcripto: a plan', () => {
  it('that is down to its reserve is told by the doctor', async () => {
    const { ctx } = account({ reserveMinutes: 9655 })
    const { warnings = [] } = await connector.check(ctx)
    expect(warnings).toEqual([
      {
        what: 'Nothing is submitted: reserveMinutes keeps the last 9655',
        fix: expect.stringContaining('Buy minutes'),
      },
    ])
  })
})
