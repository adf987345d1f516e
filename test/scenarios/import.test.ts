import { readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { createApp } from '../../src/app.ts'
import { CordboardError } from '../../src/errors.ts'
import { importStep } from '../../src/pipeline/import.ts'
import { stopImport } from '../../src/pipeline/import-begin.ts'
import { enforceRetention } from '../../src/pipeline/retention.ts'
import { CORE_LANE, insertSteps, newStep, type Running } from '../../src/pipeline/step.ts'
import { loadRecording } from '../../src/sandbox/recordings-node.ts'
import { makeZip } from '../kit/zip.ts'
import { sandboxVendors, UPLOADS } from './company.ts'
import { type Installation, type InstallOptions, install } from './installation.ts'

// Many calls in one CSV with their recordings in a ZIP: each row goes the way of a call that is handed in by itself, once,
// whoever dies in between and however often the file is sent; and each has its verdict.

const TOKEN = 'ingest-token-0123456789'
const XOSUM = 'sandbox-xosum'
const company: InstallOptions = {
  vendors: { ...UPLOADS, ...sandboxVendors('xosum', 'hubspot') },
  flows: [
    { name: 'f', from: ['uploads'], analyze: [XOSUM], write: ['sandbox-hubspot'], unknownCaller: 'create' },
  ],
}

/** Where only what is taken in counts. */
const bare: InstallOptions = { vendors: UPLOADS, flows: [] }

const HEAD =
  'audio_file_name,client_phone_number,operator_name,start_time,segment_type,right_channel,left_channel,direction,partner_call_id'
const ROWS = [
  'one.mp3,+33639980001,Jane Roe,2026-11-20T10:30:00,sales,client,operator,inbound,CALL-1',
  'two.mp3,+33639980002,Jane Roe,2026-11-20 10:40:00,sales,client,operator,outbound,CALL-2',
  'three.mp3,+33639980003,Jane Roe,1763635800,sales,client,operator,inbound,CALL-3',
]
const csv = (...rows: string[]) => new TextEncoder().encode([HEAD, ...rows, ''].join('\r\n'))
const archive = async () =>
  makeZip([
    { name: 'one.mp3', content: await loadRecording('support-invoice.mp3') },
    { name: 'two.mp3', content: await loadRecording('sales-enquiry.mp3'), deflate: true },
    { name: 'three.mp3', content: await loadRecording('complaint-delivery.mp3') },
  ])

function api(it: Installation) {
  const app = createApp({ ...it.deps, tokens: [{ role: 'ingest', token: TOKEN }] })
  const ask = async (method: string, path: string, init: RequestInit = {}) => {
    const headers = { authorization: `Bearer ${TOKEN}`, ...(init.headers as object) }
    const response = await app.fetch(
      new Request(`https://calls.example.com${path}`, { ...init, method, headers }),
    )
    const text = await response.text()
    return { status: response.status, text, body: text.startsWith('{') ? JSON.parse(text) : null }
  }
  const json = (path: string, body: object, headers = {}) =>
    ask('POST', path, {
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json', ...headers },
    })
  return {
    ask,
    json,
    form: (csv: Uint8Array, zip?: Uint8Array) => {
      const form = new FormData()
      form.set('csv', new File([new Uint8Array(csv)], 'calls.csv'))
      if (zip) form.set('zip', new File([new Uint8Array(zip)], '../calls.zip'))
      return ask('POST', '/v1/batches', { body: form })
    },
    rows: async (id: string, query = '') => (await ask('GET', `/v1/batches/${id}/rows${query}`)).body.items,
    batch: async (id: string) => (await ask('GET', `/v1/batches/${id}`)).body,
  }
}

const media = (it: Installation) =>
  readdirSync(join(dirname(it.file), 'media')).map((name) => name.slice(0, 3))
const outcome = async (it: Installation) => [
  await it.calls(),
  it.held(XOSUM, 'submission').length,
  it.crm('call'),
  it.crm('note'),
]
const DONE = (count: number) => [Array(count).fill(['done', null]), count, count, count]

test('each row becomes a call in the CRM, and has its verdict', async () => {
  await using it = await install(company)
  const { form, batch, rows } = api(it)
  const sent = await form(csv(...ROWS), await archive())
  expect(sent).toMatchObject({ status: 202, body: { state: 'reading', connection: 'uploads' } })
  await it.settle()

  expect(await outcome(it)).toEqual(DONE(3))
  expect(await batch(sent.body.id)).toMatchObject({
    state: 'done',
    line: 4,
    rows: { taken: 3, known: 0, refused: 0 },
    files: { found: 3, strays: 0 },
  })
  const verdicts = await rows(sent.body.id)
  expect(verdicts).toMatchObject(
    [2, 3, 4].map((line) => ({ line, verdict: 'taken', callId: expect.stringMatching(/^call_/) })),
  )
  // The recordings stay with their calls, the files that they came in go.
  expect(media(it)).toEqual(['med', 'med', 'med'])
  const files = await it.store.db.selectFrom('import_files').select('name').execute()
  expect(files).toEqual([])
  const { call } = await it.store.db
    .selectFrom('calls')
    .select('call')
    .where('external_id', '=', 'CALL-1')
    .executeTakeFirstOrThrow()
  expect(JSON.parse(call)).toMatchObject({
    direction: 'inbound',
    startedAt: '2026-11-20T10:30:00.000Z',
    segment: 'sales',
    customer: { phone: '+33639980001' },
    agent: { name: 'Jane Roe' },
    recordings: [{ format: 'mp3', tracks: { left: 'agent', right: 'customer' } }],
  })
})

test('sent again, with rows that are new, only these make calls; rows without an id are known by what they say', async () => {
  await using it = await install(company)
  const { form, json, rows } = api(it)
  const nameless = ROWS.map((row) => row.replace(/CALL-\d$/, ''))
  const first = await form(csv(...nameless.slice(0, 2)), await archive())
  await it.settle()
  const second = await form(csv(...nameless), await archive())
  await it.settle()
  expect(await outcome(it)).toEqual(DONE(3))
  expect(media(it)).toEqual(['med', 'med', 'med'])
  const [before, after] = [await rows(first.body.id), await rows(second.body.id)]
  expect(after.map((row: { verdict: string }) => row.verdict)).toEqual(['known', 'known', 'taken'])
  expect(after[0].callId).toBe(before[0].callId)
  // A call that came alone is known to a batch as well, and the other way round.
  const link = {
    externalId: 'CALL-9',
    recordingUrl: 'https://uploads.example.com/recordings/9',
    direction: 'inbound',
  }
  const alone = await json('/v1/calls', link)
  const third = await form(
    new TextEncoder().encode(
      `partner_call_id;recording_url;direction\n${link.externalId};${link.recordingUrl};inbound\n`,
    ),
  )
  await it.work()
  expect(await rows(third.body.id)).toMatchObject([{ verdict: 'known', callId: alone.body.id }])
  expect(await json('/v1/calls', { ...link, direction: 'outbound' })).toMatchObject({ status: 409 })
})

test('what is wrong with a row is told by row, and fails only that', async () => {
  await using it = await install(company)
  const { form, batch, rows, ask } = api(it)
  const audio = await loadRecording('very-short.mp3')
  const zip = makeZip([
    { name: 'good.mp3', content: audio },
    { name: '../../etc/passwd', content: audio },
    { name: 'folder/inside.mp3', content: audio },
    { name: 'locked.mp3', content: audio, encrypted: true },
    { name: 'odd.mp3', content: audio, method: 14 },
    { name: 'bomb.mp3', content: new Uint8Array(200_000), deflate: true, claims: 100 },
    { name: 'broken.mp3', content: audio, crc: 1 },
    { name: 'text.mp3', content: new TextEncoder().encode('hello') },
    { name: 'twin.mp3', content: audio },
    { name: 'twin.mp3', content: audio },
  ])
  const row = (file: string, id: string, time = '2026-11-20T10:30:00') =>
    `${file},=1+1,"@Roe, ""J""",${time},sales,client,operator,inbound,${id}`
  const lines = [
    row('good.mp3', 'a'),
    row('good.mp3', 'a'),
    row('good.mp3', 'b'),
    '',
    row('../../etc/passwd', 'c'),
    row('inside.mp3', 'd'),
    row('locked.mp3', 'e'),
    row('odd.mp3', 'f'),
    row('bomb.mp3', 'g'),
    row('bomb.mp3', 'g2'),
    row('broken.mp3', 'h'),
    row('text.mp3', 'i'),
    row('twin.mp3', 'j'),
    row('Good.mp3', 'k'),
    row('good.mp3', 'l', '2026-02-30T10:00:00'),
    row('', 'm'),
    '"a"b,c',
    'a,b,c,d,e,f,g,h,i,j',
  ]
  const sent = await form(csv(...lines), zip)
  await it.work()
  const found: { line: number; verdict: string; says: string | null }[] = await rows(sent.body.id)
  const told = found.map(({ line, verdict, says }) => `${line} ${verdict} ${says ?? ''}`.trim())
  expect(told).toEqual([
    '2 taken',
    '3 known the same as line 2',
    '4 refused this file belongs to line 2: expected one of its own',
    '6 refused audio_file_name: expected the plain name of a file, seen a folder in it, or characters that no name has',
    expect.stringMatching(
      /^7 refused .*at the root of the archive with exactly this name, seen none; 2 files of it are in folders/,
    ),
    '8 refused audio_file_name: it is encrypted: expected a file without a password',
    '9 refused audio_file_name: it is compressed by LZMA: expected stored or deflate',
    '10 refused This file of the archive is not taken: more comes out of it than the directory says',
    '11 refused audio_file_name: This file of the archive is not taken: more comes out of it than the directory says',
    '12 refused This file of the archive is not taken: its checksum is another',
    '13 refused File: expected audio, seen something else',
    '14 refused audio_file_name: it is there twice under this name',
    expect.stringMatching(/^15 refused .*exactly this name, seen none/),
    '16 refused start_time: expected an ISO 8601 time (UTC where it names no offset), or Unix seconds',
    '17 refused audio_file_name, recording_url, anonymized_text or result, seen none'.replace(
      'refused ',
      'refused expected ',
    ),
    '18 refused expected a separator behind the closing quote, seen something else',
    '19 refused expected 9 cells, seen 10',
  ])
  expect(await batch(sent.body.id)).toMatchObject({ rows: { taken: 1, known: 1, refused: 15 } })
  // A cell that a spreadsheet would run is a text like any other.
  await it.settle()
  const { call } = await it.store.db.selectFrom('calls').select('call').executeTakeFirstOrThrow()
  expect(JSON.parse(call)).toMatchObject({
    customer: { phone: null, phoneRaw: '=1+1' },
    agent: { name: '@Roe, "J"' },
  })
  // Paged, by verdict, and as a file.
  expect(await rows(sent.body.id, '?verdict=refused&limit=2')).toMatchObject([{ line: 4 }, { line: 6 }])
  expect(await rows(sent.body.id, '?cursor=17')).toMatchObject([{ line: 18 }, { line: 19 }])
  const file = await ask('GET', `/v1/batches/${sent.body.id}/rows?verdict=known`, {
    headers: { accept: 'text/csv' },
  })
  expect(file.text).toMatch(/^line,verdict,call,code,says\r\n3,known,call_\w+,,the same as line 2\r\n$/)
  expect(media(it)).toEqual(['med'])
})

test('killed in the middle it goes on, and no row makes a second call', async () => {
  await using it = await install(bare)
  const { form, rows, batch } = api(it)
  const links = Array.from({ length: 280 }, (_, n) => `c-${n},no_answer,+33639980001`)
  const sent = await form(
    new TextEncoder().encode(`partner_call_id,result,client_phone_number\n${links.join('\n')}\n`),
  )
  // The store takes what was handed in, and dies before it takes the second piece’s verdicts.
  const { atomic } = it.store
  let verdicts = 0
  it.store.atomic = async (guards, queries) => {
    const isPiece = queries.some((query) => query.compile().sql.includes('into "import_rows"'))
    if (isPiece) verdicts += 1
    if (isPiece && verdicts === 2) throw new CordboardError('storage_unavailable', 'The disk is full')
    return atomic(guards, queries)
  }
  await it.work()
  const deliveries = () => it.store.db.selectFrom('deliveries').select('id').execute()
  expect([(await batch(sent.body.id)).rows.taken, (await deliveries()).length]).toEqual([256, 280])
  expect((await batch(sent.body.id)).waits).toMatchObject({ code: 'storage_unavailable' })

  await it.crash()
  await it.settle()
  expect((await deliveries()).length).toBe(280)
  expect((await batch(sent.body.id)).rows).toEqual({ taken: 280, known: 0, refused: 0 })
  expect((await rows(sent.body.id, '?limit=200&cursor=257')).length).toBe(24)
  expect((await it.calls()).length).toBe(280)
})

test('stopped in the middle it takes no more rows, erases its files, and leaves its key to another try', async () => {
  await using it = await install(bare)
  const { json, ask, batch, rows } = api(it)
  const key = { 'idempotency-key': 'monday' }
  const lines = Array.from({ length: 600 }, (_, n) => `c-${n},no_answer,+33639980001`)
  const file = new TextEncoder().encode(`partner_call_id,result,client_phone_number\n${lines.join('\n')}\n`)
  const begin = async () => {
    const { body } = await json('/v1/batches', { archive: false }, key)
    await ask('PUT', `/v1/batches/${body.id}/csv`, { body: file })
    await ask('POST', `/v1/batches/${body.id}/start`)
    return String(body.id)
  }
  const id = await begin()
  // Somebody stops it while a worker is about to commit the second piece.
  const { atomic } = it.store
  let pieces = 0
  it.store.atomic = async (guards, queries) => {
    const isPiece = queries.some((query) => query.compile().sql.includes('into "import_rows"'))
    if (isPiece) pieces += 1
    if (isPiece && pieces === 2) {
      expect(await stopImport(it.deps, id, { actor: 'operator ops' })).toMatchObject({ id, state: 'failed' })
    }
    return atomic(guards, queries)
  }
  await it.settle()
  expect(pieces).toBe(2)
  expect(await batch(id)).toMatchObject({
    state: 'failed',
    reason: expect.stringContaining('stopped'),
    rows: { taken: 256, known: 0, refused: 0 },
  })
  expect((await rows(id, '?limit=200&cursor=257')).length).toBe(0)
  expect(media(it)).toEqual([])
  expect(await stopImport(it.deps, id, { actor: 'operator ops' })).toBeNull()
  const steps = await it.store.db.selectFrom('steps').select('state').where('subject', '=', id).execute()
  expect(steps).toEqual([{ state: 'done' }])

  const again = await begin()
  expect(again).not.toBe(id)
  await it.settle()
  const { rows: counts, state } = await batch(again)
  expect(state).toBe('done')
  // Rows of the piece that nobody committed are known as well: they were handed in before.
  expect(counts).toMatchObject({ refused: 0 })
  expect(counts.taken + counts.known).toBe(600)
  expect(await it.calls()).toHaveLength(600)
})

test('files that are uploaded one by one start when all are there; the same key is the same batch', async () => {
  await using it = await install(company)
  const { json, ask, batch } = api(it)
  const key = { 'idempotency-key': 'monday' }
  const { body, status } = await json('/v1/batches', { archive: true }, key)
  expect([status, body.state, body.uploads.map((one: { direct: string }) => one.direct)]).toEqual([
    201,
    'uploading',
    [`/v1/batches/${body.id}/csv`, `/v1/batches/${body.id}/zip`],
  ])
  const put = (part: string, bytes: Uint8Array) =>
    ask('PUT', `/v1/batches/${body.id}/${part}`, { body: new Uint8Array(bytes) })
  const start = () => ask('POST', `/v1/batches/${body.id}/start`)
  expect(await put('csv', csv('x'))).toMatchObject({ status: 200 })
  expect(await start()).toMatchObject({ status: 400, body: { detail: 'Files: expected zip, seen none' } })
  await put('zip', new TextEncoder().encode('not a ZIP'))
  expect(await start()).toMatchObject({
    status: 400,
    body: { detail: 'Archive: expected a ZIP, seen something else' },
  })
  await put('zip', await archive())
  await put('csv', new TextEncoder().encode('audio_filename,direction\n'))
  expect(await start()).toMatchObject({
    status: 400,
    body: {
      detail: 'CSV: expected columns that are known, seen “audio_filename”',
      fix: expect.stringMatching(/^Did you mean audio_file_name\?/),
    },
  })
  await put('csv', csv(...ROWS))
  expect(await json('/v1/batches', { archive: true }, key)).toMatchObject({
    status: 201,
    body: { id: body.id },
  })
  expect(await json('/v1/batches', {}, key)).toMatchObject({ status: 409 })
  expect([await start(), await start()]).toMatchObject([{ status: 202 }, { status: 202 }])
  expect(await put('csv', csv())).toMatchObject({ status: 409, body: { code: 'conflict' } })
  await it.settle()
  expect(await outcome(it)).toEqual(DONE(3))
  expect((await batch(body.id)).rows.taken).toBe(3)
})

test('a quote that is never closed ends it where it stands; what was before is taken', async () => {
  await using it = await install(company)
  const { form, batch } = api(it)
  const text = 'partner_call_id,result,outcome\na,busy,\nb,busy,"open\nc,busy,\n'
  const sent = await form(new TextEncoder().encode(text))
  await it.settle()
  expect(await batch(sent.body.id)).toMatchObject({
    state: 'failed',
    reason: 'Line 3: A quote is opened here and never closed',
    rows: { taken: 1, known: 0, refused: 0 },
  })
  expect(media(it)).toEqual([])
})

test('what came in meanwhile is read before further rows; verdicts go with the deliveries', async () => {
  await using it = await install({ ...bare, config: { keep: { deliveries: '30 days' } } })
  const { form, json, batch, ask } = api(it)
  const due = Array.from({ length: 1_100 }, (_, n) =>
    newStep(it.deps, {
      kind: 'merge',
      subject: `dlv_gone-${n}`,
      callId: null,
      connection: 'uploads',
      generation: 0,
      flow: null,
      lane: CORE_LANE,
    }),
  )
  await it.store.atomic([], insertSteps(it.deps, due))
  const sent = await form(new TextEncoder().encode('partner_call_id,result\na,busy\n'))
  const step = await it.store.db
    .selectFrom('steps')
    .selectAll()
    .where('kind', '=', 'import')
    .executeTakeFirstOrThrow()
  const running = { deps: it.deps, step } as Running
  expect(await importStep(running)).toMatchObject({ again: it.now() + 50, says: 'what comes in goes first' })
  await it.store.atomic([], [it.store.db.deleteFrom('steps').where('lane', '=', CORE_LANE)])
  const unstarted = await json('/v1/batches', {})
  await it.settle()
  expect((await batch(sent.body.id)).rows.taken).toBe(1)
  it.advance(31 * 86_400_000)
  await enforceRetention(it.deps)
  expect(await ask('GET', `/v1/batches/${sent.body.id}`)).toMatchObject({ status: 404 })
  expect(await ask('GET', `/v1/batches/${unstarted.body.id}`)).toMatchObject({ status: 404 })
  expect(await it.store.db.selectFrom('import_rows').selectAll().execute()).toEqual([])
})
