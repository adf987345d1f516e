import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { sql } from 'kysely'
import { ID_PREFIXES } from '../call/ids.ts'
import { spreadsheetLine } from '../connector/csv.ts'
import { utf8 } from '../connector/encoding.ts'
import { CordboardError } from '../errors.ts'
import { createBodies } from '../pipeline/body.ts'
import type { Deps } from '../pipeline/deps.ts'
import { dropImport } from '../pipeline/erase-imports.ts'
import { importRow } from '../pipeline/import.ts'
import { createImport, putFile, startImport, stopImport } from '../pipeline/import-begin.ts'
import { mediaId } from '../pipeline/import-files.ts'
import type { ImportRow, ImportVerdictRow } from '../store/schema-imports.ts'
import { type Api, needs } from './auth.ts'
import { connectionFor, fitting, headers, query } from './intake.ts'
import { readJsonBody } from './intake-body.ts'
import { readMultipart } from './multipart.ts'
import { exactly, idCursor, idOf, limit } from './parameters.ts'
import { always, at, bounded, conflicts, instantOf, json, pageOf, unknown } from './responses.ts'

/** Many calls in one CSV, with their recordings in a ZIP: what the pipeline calls an import. */

/** Uploads under way at once. */
const MOST_AT_ONCE = 16
const PARTS = ['csv', 'zip'] as const
const VERDICTS = ['taken', 'known', 'refused'] as const
const UPLOAD_MS = 3_600_000
/** Of a download, read together. */
const PAGE = 1_000

const upload = z.object({
  part: z.enum(PARTS),
  url: z
    .string()
    .describe('where to PUT the file: presigned by the media store where that can, else our own'),
  headers: z.record(z.string(), z.string()).describe('to be sent with it'),
  expiresAt: at.nullable(),
  direct: z.string().describe('our own path, which takes the file in any case'),
})

const batch = z
  .object({
    id: z.string(),
    connection: z.string(),
    state: z.enum(['uploading', 'reading', 'taking', 'done', 'failed']),
    reason: z.string().nullable().describe('why it failed: the rows before that are taken'),
    rows: z.object({
      taken: z.int().describe('a call was made of it'),
      known: z.int().describe('had been handed in before: no second call'),
      refused: z.int(),
    }),
    line: z.int().describe('of the CSV, read last; the names of the columns are line 1'),
    files: z.object({
      found: z.int().describe('of the archive, which a row can name'),
      strays: z.int().describe('in folders, or with names that are not UTF-8'),
    }),
    bytes: z.object({ csv: z.int(), read: z.int() }).describe('of the CSV'),
    waits: z
      .object({ code: z.string(), says: z.string().nullable() })
      .nullable()
      .describe('what its work has met; `POST /v1/batches/{id}/start` lets go what was given up'),
    createdAt: at,
    endedAt: at.nullable(),
    uploads: z.array(upload).optional().describe('while `uploading`'),
  })
  .openapi('Batch')

const verdict = z
  .object({
    line: z.int().describe('of the CSV, as spreadsheets count'),
    verdict: z.enum(VERDICTS),
    callId: z.string().nullable(),
    code: z.string().nullable(),
    says: z.string().nullable().describe('by column, without what stands in the cells'),
  })
  .openapi('RowVerdict')

const binary = (description: string) => z.any().openapi({ type: 'string', format: 'binary', description })
const wanted = exactly({
  archive: z.boolean().default(false).describe('recordings will come in a ZIP'),
}).openapi('NewBatch')
const params = z.object({ id: idOf(ID_PREFIXES.import, 'a batch') })

const begin = createRoute({
  ...needs('ingest'),
  method: 'post',
  path: '/v1/batches',
  operationId: 'takeBatch',
  tags: ['Batches'],
  summary: 'Hand in many calls: a CSV, with their recordings in a ZIP',
  description:
    'As a form with both files, or as JSON: then the answer says where to PUT them, and `/start` follows. The same ' +
    'Idempotency-Key is the same batch.',
  request: {
    query: exactly(query),
    headers,
    body: {
      required: true,
      content: {
        'application/json': { schema: wanted },
        'multipart/form-data': {
          schema: z.object({ csv: binary('the rows'), zip: binary('the recordings').optional() }),
        },
      },
    },
  },
  responses: {
    ...always,
    ...bounded,
    ...conflicts,
    201: json(batch, 'Its files are to be uploaded'),
    202: json(batch, 'It is worked on'),
  },
})

const puts = PARTS.map((part) => ({
  part,
  route: createRoute({
    ...needs('ingest'),
    method: 'put',
    path: `/v1/batches/{id}/${part}`,
    operationId: part === 'csv' ? 'putBatchCsv' : 'putBatchZip',
    tags: ['Batches'],
    summary: `Upload the ${part === 'csv' ? 'rows' : 'recordings'} of a batch to us`,
    request: {
      params,
      body: { required: true, content: { 'application/octet-stream': { schema: binary('the file') } } },
    },
    responses: { ...always, ...unknown, ...bounded, ...conflicts, 200: json(batch, 'Stored') },
  }),
}))

const start = createRoute({
  ...needs('ingest'),
  method: 'post',
  path: '/v1/batches/{id}/start',
  operationId: 'startBatch',
  tags: ['Batches'],
  summary: 'Have the uploaded files worked on; once, however often it is asked for',
  request: { params },
  responses: { ...always, ...unknown, ...bounded, 202: json(batch, 'It is worked on') },
})

const stop = createRoute({
  ...needs('operator'),
  method: 'post',
  path: '/v1/batches/{id}/stop',
  operationId: 'stopBatch',
  tags: ['Batches'],
  summary: 'Take no more rows of a batch; those before are taken, and its key may be used again',
  request: { params },
  responses: { ...always, ...unknown, ...bounded, 200: json(batch, 'As far as it came') },
})

const one = createRoute({
  ...needs('ingest'),
  method: 'get',
  path: '/v1/batches/{id}',
  operationId: 'getBatch',
  tags: ['Batches'],
  summary: 'How far a batch is',
  request: { params },
  responses: { ...always, ...unknown, 200: json(batch, 'The batch') },
})

const list = createRoute({
  ...needs('ingest'),
  method: 'get',
  path: '/v1/batches',
  operationId: 'listBatches',
  tags: ['Batches'],
  summary: 'Batches, newest first',
  request: { query: exactly({ cursor: idCursor(ID_PREFIXES.import).optional(), limit }) },
  responses: { ...always, 200: json(pageOf(batch, 'BatchPage'), 'A page of batches') },
})

const rows = createRoute({
  ...needs('ingest'),
  method: 'get',
  path: '/v1/batches/{id}/rows',
  operationId: 'listBatchRows',
  tags: ['Batches'],
  summary: 'What became of each row',
  description:
    'With `Accept: text/csv` all of them at once, as a file that is safe to open in a spreadsheet.',
  request: {
    params,
    query: exactly({
      verdict: z.enum(VERDICTS).optional(),
      cursor: z
        .string()
        .regex(/^\d{1,15}$/, { error: 'expected `next` of the page before' })
        .optional()
        .openapi({ description: '`next` of the page before' }),
      limit,
    }),
  },
  responses: {
    ...always,
    ...unknown,
    200: {
      description: 'A page of rows, in the order of the CSV',
      content: {
        'application/json': { schema: pageOf(verdict, 'RowVerdictPage') },
        'text/csv': { schema: z.string() },
      },
    },
  },
})

export function mountBatches(app: OpenAPIHono<Api>, deps: Deps): void {
  const bodies = createBodies()
  let under = 0

  // Their bodies pass the router by, as those of single calls do.
  for (const { middleware: _, ...route } of [begin, ...puts.map((one) => one.route)])
    app.openAPIRegistry.registerPath(route)

  app.post(begin.path, begin.middleware, async (c) => {
    const given = fitting(exactly(query), c.req.query(), 'query')
    const { 'idempotency-key': key } = fitting(headers, c.req.header(), 'header')
    const { id: connection } = connectionFor(deps, given.connection)
    const { actor } = c.get('identity')
    const type = c.req.header('content-type')?.toLowerCase() ?? ''
    if (type.startsWith('multipart/form-data')) {
      const started = await oneMore(() => takeForm(c.req.raw, { connection, actor, key }))
      return c.json(await shown(started), 202, { location: `/v1/batches/${started.id}` })
    }
    if (!/^application\/json\s*(?:;|$)/.test(type))
      throw new CordboardError(
        'bad_request',
        'Content-Type: expected application/json or multipart/form-data, seen another or none',
      )
    const { archive } = fitting(wanted, await readJsonBody(bodies, c.req.raw, 64 * 1024), 'body')
    const begun = await createImport(deps, { connection, actor, key, archive })
    return c.json(await shown(begun), begun.state === 'uploading' ? 201 : 202, {
      location: `/v1/batches/${begun.id}`,
    })
  })

  for (const { part, route } of puts)
    app.put(`/v1/batches/:id/${part}`, route.middleware, async (c) => {
      const { id } = fitting(params, c.req.param(), 'path')
      const row = await importRow(deps, id)
      const { body } = c.req.raw
      if (!body) throw new CordboardError('bad_request', 'Body: expected a file, seen none')
      await oneMore(() => putFile(deps, row, part, body))
      return c.json(await shown(row), 200)
    })

  app.openapi(start, async (c) => c.json(await shown(await startImport(deps, c.req.valid('param').id)), 202))

  app.openapi(stop, async (c) => {
    const { id } = c.req.valid('param')
    const stopped = await stopImport(deps, id, c.get('identity'))
    if (!stopped) throw new CordboardError('unknown_object', `There is no batch ${id} under way`)
    return c.json(await shown(stopped), 200)
  })

  app.openapi(one, async (c) => c.json(await shown(await importRow(deps, c.req.valid('param').id)), 200))

  app.openapi(list, async (c) => {
    const { cursor, limit: size } = c.req.valid('query')
    const found = await deps.store.db
      .selectFrom('imports')
      .selectAll()
      .$if(cursor !== undefined, (some) => some.where('id', '<', cursor ?? ''))
      .orderBy('id', 'desc')
      .limit(size + 1)
      .execute()
    const items = found.slice(0, size).map((row) => plain(row, null))
    return c.json({ items, next: found.length > size ? (items.at(-1)?.id ?? null) : null }, 200)
  })

  app.openapi(rows, async (c) => {
    const { id } = c.req.valid('param')
    const { verdict: only, cursor, limit: size } = c.req.valid('query')
    await importRow(deps, id)
    if (/\btext\/csv\b/i.test(c.req.header('accept') ?? '')) {
      const headers = {
        'content-type': 'text/csv; charset=utf-8',
        'content-disposition': `attachment; filename="${id}.csv"`,
      }
      return c.body(asCsv(deps, id, only), 200, headers)
    }
    const found = await verdictsOf(deps, id, only, Number(cursor ?? 0), size + 1)
    const items = found.slice(0, size).map(shownRow)
    return c.json({ items, next: found.length > size ? String(items.at(-1)?.line) : null }, 200)
  })

  async function oneMore<T>(work: () => Promise<T>): Promise<T> {
    if (under >= MOST_AT_ONCE)
      throw new CordboardError('overloaded', `${MOST_AT_ONCE} files are being handed in already`)
    under += 1
    try {
      return await work()
    } finally {
      under -= 1
    }
  }

  /** Both files in one request. What breaks off or does not fit leaves nothing. */
  async function takeForm(
    request: Request,
    given: { connection: string; actor: string; key: string | undefined },
  ): Promise<ImportRow> {
    const { body } = request
    if (!body) throw new CordboardError('bad_request', 'Body: expected a form, seen none')
    // Whether an archive comes shows when it comes: until then it belongs to the batch, so that it goes with it.
    let row = await createImport(deps, { ...given, archive: true })
    if (row.state !== 'uploading') return row
    try {
      const seen = new Set<string>()
      for await (const part of readMultipart(body, request.headers.get('content-type') ?? '', PARTS.length)) {
        const name = PARTS.find((known) => known === part.name)
        if (!name || seen.has(name))
          throw new CordboardError(
            'bad_request',
            'Form: expected one part csv and at most one part zip, seen another',
          )
        seen.add(name)
        await putFile(deps, row, name, part.body)
      }
      if (!seen.has('zip')) row = await withoutArchive(deps, row)
      return await startImport(deps, row.id)
    } catch (error) {
      await dropImport(deps, row).catch(() => deps.log.warn('a batch was left behind', { batch: row.id }))
      throw error
    }
  }

  async function shown(row: ImportRow) {
    const step = await deps.store.db
      .selectFrom('steps')
      .select(['code', 'reason'])
      .where('kind', '=', 'import')
      .where('subject', '=', row.id)
      .where('connection', '=', row.connection)
      .where('generation', '=', 0)
      .executeTakeFirst()
    const code = step?.code ?? null
    const answer = plain(row, code === null ? null : { code, says: step?.reason ?? null })
    return row.state === 'uploading' ? { ...answer, uploads: await uploadsOf(row) } : answer
  }

  function uploadsOf(row: ImportRow) {
    const parts = PARTS.filter((part) => part === 'csv' || Number(row.archive) === 1)
    return Promise.all(
      parts.map(async (part) => {
        const direct = `/v1/batches/${row.id}/${part}`
        const presigned = await deps.media.uploadUrl?.(mediaId(row, part), UPLOAD_MS)
        if (!presigned) return { part, url: direct, headers: {}, expiresAt: null, direct }
        const { url, headers } = presigned
        return { part, url, headers, expiresAt: instantOf(deps.now() + UPLOAD_MS), direct }
      }),
    )
  }
}

async function withoutArchive({ store }: Deps, row: ImportRow): Promise<ImportRow> {
  await store.atomic([], [store.db.updateTable('imports').set({ archive: 0 }).where('id', '=', row.id)])
  return { ...row, archive: 0 }
}

function plain(row: ImportRow, waits: z.infer<typeof batch>['waits']): z.infer<typeof batch> {
  const count = (value: number) => Number(value)
  return {
    id: row.id,
    connection: row.connection,
    state: row.state,
    reason: row.reason,
    rows: { taken: count(row.taken), known: count(row.known), refused: count(row.refused) },
    line: count(row.line),
    files: { found: count(row.files), strays: count(row.strays) },
    // While the archive’s directory is read, the place is one of that.
    bytes: { csv: count(row.csv_bytes), read: row.state === 'reading' ? 0 : count(row.place) },
    waits,
    createdAt: instantOf(row.created_at),
    endedAt: instantOf(row.ended_at),
  }
}

function verdictsOf(
  { store }: Pick<Deps, 'store'>,
  id: string,
  only: ImportVerdictRow['verdict'] | undefined,
  after: number,
  most: number,
): Promise<ImportVerdictRow[]> {
  return (
    store.db
      .selectFrom('import_rows')
      .selectAll()
      .where('import_id', '=', id)
      .where('line', '>', after)
      // A literal: only then does the index of refused rows serve.
      .$if(only !== undefined, (found) => found.where('verdict', '=', sql.lit(only ?? 'refused')))
      .orderBy('line')
      .limit(most)
      .execute()
  )
}

const shownRow = ({ line, verdict: became, call_id, code, says }: ImportVerdictRow) => ({
  line: Number(line),
  verdict: became,
  callId: call_id,
  code,
  says,
})

/** Page by page, as fast as it is read. */
function asCsv(
  deps: Deps,
  id: string,
  only: ImportVerdictRow['verdict'] | undefined,
): ReadableStream<Uint8Array> {
  let after: number | null = null
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        if (after === null) {
          after = 0
          return controller.enqueue(utf8(spreadsheetLine(['line', 'verdict', 'call', 'code', 'says'])))
        }
        const page = await verdictsOf(deps, id, only, after, PAGE)
        const lines = page.map((row) =>
          spreadsheetLine([String(row.line), row.verdict, row.call_id ?? '', row.code ?? '', row.says ?? '']),
        )
        if (lines.length > 0) controller.enqueue(utf8(lines.join('')))
        after = Number(page.at(-1)?.line ?? after)
        if (page.length < PAGE) controller.close()
      },
    },
    { highWaterMark: 0 },
  )
}
