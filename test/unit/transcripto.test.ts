import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { connector } from '../../connectors/transcripto/connector.ts'
import {
  codeOf,
  isSameTask,
  toAnalysis,
  toFields,
  toFilter,
  toTranscript,
} from '../../connectors/transcripto/map.ts'
import { callAnalysis, checklistAnswers, task, taskPage } from '../../connectors/transcripto/schema.ts'
import { analysis as analysisSchema } from '../../src/call/analysis.ts'
import { aCall, account, audio, parsed, request, sample } from './transcripto-world.ts'

const read = (name: string): unknown =>
  JSON.parse(
    readFileSync(new URL(`../../connectors/transcripto/fixtures/api/${name}.json`, import.meta.url), 'utf8'),
  ).body

const { analysis } = connector
if (!analysis?.poll || !analysis.find || !analysis.quota) throw new Error('transcripto analyses')
const { submit, poll, find, quota } = analysis

describe('Transcripto: what is sent', () => {
  it('has the time with its offset and only documented call types', () => {
    expect(toFields(aCall, parsed({ directoryId: 7 }))).toEqual({
      operator_name: 'Իվան',
      client_id: 'C-42',
      call_type: 'inbound',
      call_datetime: '2026-11-20T08:59:30+00:00',
      directory_id: 7,
      processing_type: 'analysis',
    })
    expect(toFields({ ...aCall, direction: 'internal' }, parsed()).call_type).toBeUndefined()
    expect(toFields(aCall, parsed({ sendFields: [] }))).toEqual({ processing_type: 'analysis' })
  })

  it('is looked for by whole days around the call, and by a name that is no SQL pattern', () => {
    const fields = toFields(aCall, parsed())
    const days = { task_type: 'call', date_from: '2026-11-19', date_to: '2026-11-21' }
    expect(toFilter(fields)).toEqual({ ...days, operator_name: 'Իվան' })
    expect(toFilter({ ...fields, operator_name: '100%' })).toEqual(days)
    expect(toFilter({})).toEqual({ task_type: 'call' })
  })

  it.each([
    ['its own file name', 'sub_1.mp3', null, null, true],
    ['another file name', 'sub_2.mp3', null, null, false],
    ['no file name', null, null, null, false],
    ['the name in the link and the same time', 'rec.mp3', 'https://pbx.test/a/rec.mp3', '08:59:30', true],
    ['the name in the link at another time', 'rec.mp3', 'https://pbx.test/a/rec.mp3', '08:58:30', false],
    ['the name in the link and no time', 'rec.mp3', 'https://pbx.test/a/rec.mp3', null, false],
  ])('is known again by %s: %s', (_, file_name, url, time, want) => {
    const one = { file_name, call_time: time && `2026-11-20T${time}Z` }
    expect(isSameTask(one, 'sub_1.mp3', url, toFields(aCall, parsed()))).toBe(want)
  })
})

describe('Transcripto: errors in HTTP 200', () => {
  it.each([
    ['/addtaskcall', 4001, 'rejected'],
    ['/addtaskcall', 4012, 'auth'],
    ['/addtaskcall', 4023, 'auth'],
    ['/addtaskcall', 4024, 'rejected'],
    ['/addtaskcall', 4025, 'rejected'],
    ['/addtaskcall', 4044, 'quota'],
    ['/addtaskcall', 4050, 'quota'],
    ['/addtaskcall', 4091, 'duplicate'],
    ['/addtaskcall', 4092, 'rejected'],
    ['/addtaskcallbyurl', 4091, 'rejected'],
    ['/gettask', 4021, 'not_found'],
    ['/gettask', 4056, 'forbidden'],
    ['/gettask', 5000, 'vendor_down'],
    ['/gettask', 5002, 'vendor_down'],
    ['/gettask', 9999, 'rejected'],
  ] as const)('%s %i is %s', (endpoint, code, want) => {
    expect(codeOf(endpoint, code)).toBe(want)
  })

  it('are thrown with the vendor’s words, those of /user/tariff too', async () => {
    const { vendor, ctx } = account()
    const body = { success: false, error_code: 4050, error_message: 'No minutes for +37400000000' }
    vendor.fail({ fault: { kind: 'status', status: 200, body } })
    await expect(submit(request(), ctx)).rejects.toMatchObject({
      code: 'quota',
      vendorSaid: 'No minutes for <number>',
    })
    vendor.fail({ fault: { kind: 'status', status: 200, body: { errorcode: 4044 } } })
    await expect(connector.check(ctx)).rejects.toMatchObject({ code: 'quota' })
    const wrong = { ...ctx, config: parsed({ token: 'other' }) }
    await expect(connector.check(wrong)).rejects.toMatchObject({ code: 'auth' })
  })
})

describe('Transcripto: a task', () => {
  it('made from a file is polled until both parts are there', async () => {
    const { vendor, ctx, tick } = account()
    const { ref } = await submit(request(), ctx)
    expect(vendor.book()).toMatchObject([
      {
        id: ref,
        key: 'sub_1',
        fields: { bytes: sample.length, operator_name: 'Իվան', call_datetime: '2026-11-20T08:59:30+00:00' },
      },
    ])
    expect(await poll(ref, ctx)).toEqual({ state: 'working', afterMs: 15_000 })
    await tick()
    const done = await poll(ref, ctx)
    expect(done).toMatchObject({
      state: 'done',
      parts: {
        transcript: { transcript: { turns: expect.any(Array) } },
        analysis: { language: 'en', summary: expect.any(String), checklist: [{ answer: 'Yes' }] },
      },
    })
    const turns = done.state === 'done' ? (done.parts.transcript?.transcript?.turns ?? []) : []
    expect(new Set(turns.map((turn) => turn.party))).toEqual(new Set(['agent', 'customer']))
  })

  it('brings its transcript before its analysis when that is late', async () => {
    const { vendor, ctx, tick } = account()
    const { ref } = await submit(request(), ctx)
    await tick()
    const body = { success: false, error_code: 4057, error_message: 'No analysis data' }
    vendor.fail({ fault: { kind: 'status', status: 200, body }, path: '/api/calls_analysis_v2' })
    const partly = await poll(ref, ctx)
    expect(partly).toMatchObject({ state: 'partly', afterMs: 15_000 })
    expect(partly.state === 'partly' && Object.keys(partly.parts)).toEqual(['transcript'])
  })

  it.each(['pending', 'processing', 'audio_completed', 'completed2', 'something new'])(
    'that is %s is under way',
    async (status) => {
      const { vendor, ctx } = account()
      const { ref } = await submit(request(), ctx)
      vendor.fail({
        fault: { kind: 'status', status: 200, body: { error_code: 0, status } },
        path: '/gettask',
      })
      expect(await poll(ref, ctx)).toEqual({ state: 'working', afterMs: 15_000 })
    },
  )

  it('that failed says why', async () => {
    const { vendor, ctx } = account()
    vendor.fail({ fault: { kind: 'status', status: 200, body: read('task-error') }, path: '/gettask' })
    expect(await poll('x', ctx)).toEqual({ state: 'failed', reason: 'File decoding error' })
  })

  it('is a duplicate the second time, and is found by its file name', async () => {
    const { vendor, ctx } = account()
    vendor.fail({ fault: { kind: 'commit_then_status', status: 502 } })
    await expect(submit(request(), ctx)).rejects.toMatchObject({ code: 'vendor_down' })
    await expect(submit(request(), ctx)).rejects.toMatchObject({ code: 'duplicate' })
    expect(await find(request(), ctx)).toBe(vendor.book()[0]?.id)
    expect(await find(request(audio('sub_2.mp3')), ctx)).toBeNull()
    expect(vendor.book()).toHaveLength(1)
  })

  it('is found behind the first page, and in front again when it moved there meanwhile', async () => {
    const { vendor, ctx, asked, tick } = account()
    const { ref } = await submit(request(), ctx)
    await tick()
    for (let i = 2; i <= 60; i++) await submit(request(audio(`sub_${i}.mp3`), `sub_${i}`), ctx)
    asked.length = 0
    expect(await find(request(), ctx)).toBe(ref)
    expect(asked).toHaveLength(2)
    const page = { tasks: [], pagination: { total_pages: 2 } }
    vendor.fail({ fault: { kind: 'status', status: 200, body: page }, times: 2 })
    expect(await find(request(audio('sub_2.mp3')), ctx)).toBe(vendor.book()[1]?.id)
  })

  it('is made from a link when the connection says so', async () => {
    const { vendor, ctx } = account({ submitBy: 'url' })
    const link = 'https://pbx.example.com/rec_7.mp3'
    expect(analysis.accepts(ctx.config).audio?.by).toEqual(['url'])
    const { ref } = await submit(request(audio('sub_1.mp3', link)), ctx)
    expect(vendor.book()).toMatchObject([{ id: ref, key: null }])
    expect(await find(request(audio('sub_1.mp3', link)), ctx)).toBe(ref)
    await expect(submit(request(audio('sub_1.mp3', null)), ctx)).rejects.toMatchObject({ code: 'rejected' })
    const gone = audio('sub_1.mp3', 'https://pbx.example.com/gone.mp3')
    await expect(submit(request(gone), ctx)).rejects.toMatchObject({ code: 'rejected', retry: 'later' })
  })

  it('costs minutes of the plan', async () => {
    const { ctx } = account()
    expect(await quota(ctx)).toEqual({ left: 9655, unit: 'call minutes', reserve: 0 })
    await submit(request(), ctx)
    expect(await quota(ctx)).toEqual({ left: 9654, unit: 'call minutes', reserve: 0 })
    expect(await connector.check(ctx)).toEqual({
      says: 'plan Sandbox, 64 days and 9654 call minutes left',
      warnings: [],
    })
  })
})

describe('Transcripto: results', () => {
  it('are mapped from the vendor’s samples', () => {
    const body = read('analysis')
    const result = toAnalysis(callAnalysis.parse(body), body)
    expect(analysisSchema.parse(result)).toEqual(result)
    const { raw, summary, notes, ...rest } = result
    expect(raw).toBe(body)
    expect(summary).toMatch(/^The customer wants/)
    expect(notes).toMatchObject({ root_cause: 'technical', category_ids: '101, 202' })
    expect(rest).toEqual({
      language: 'en',
      sentiment: 'positive',
      scores: {
        csat: { value: 9, scale: { min: 0, max: 10 } },
        politeness: { value: 0.95 },
        empathy: { value: 0.86 },
        'checklist Greeting script': { value: 0.9 },
      },
      checklist: [
        { question: 'Operator introduced themselves', answer: 'yes' },
        { question: 'Verified customer details', answer: 'yes' },
      ],
      topics: ['eSIM', 'APN', 'Static IP', 'Remote access'],
      actions: [
        'Send an SMS with eSIM activation instructions',
        'Provide APN parameters for a stable connection',
        "Check whether there are outages in the customer's area",
      ],
      salesSignals: ['upsell'],
    })
    const done = read('task-completed')
    expect(toTranscript(task.parse(done), done)?.transcript?.turns).toEqual([
      { party: 'agent', text: 'Hello, Smile Telecom, my name is Olga...' },
    ])
    expect(taskPage.parse(read('tasks')).pagination?.total_pages).toBe(3)
  })

  it('with fields of other types lose those fields only', () => {
    const body = read('analysis-odd')
    const { raw: _, ...rest } = toAnalysis(callAnalysis.parse(body), body)
    expect(rest).toEqual({
      language: 'en',
      summary: 'Short.',
      checklist: [{ question: 'Did they state the plan conditions?', answer: 'Yes' }],
    })
  })

  it('take the answers of the checklist chapter when the analysis has none', () => {
    const answers = checklistAnswers.parse(read('answers')).data ?? []
    expect(toAnalysis(callAnalysis.parse({}), {}, { answers }).checklist).toEqual([
      { question: 'Did the operator introduce themselves?', answer: 'Yes' },
      { question: 'Did the operator clarify the purpose of the call?', answer: 'No' },
    ])
  })
})
