import { newId } from '../call/ids.ts'
import { type Columns, readColumns } from '../call/intake-row.ts'
import { createCsvReader } from '../connector/csv-read.ts'
import { createByteReader } from '../connector/zip-bytes.ts'
import { findDirectory } from '../connector/zip-read.ts'
import { CordboardError } from '../errors.ts'
import { isUniqueViolation } from '../store/port.ts'
import type { ImportRow } from '../store/schema-imports.ts'
import { type Actor, auditRow } from './audit.ts'
import type { Deps } from './deps.ts'
import { importRow } from './import.ts'
import { archiveOf, csvOf, mediaId, sizeOf } from './import-files.ts'
import { bellsOf, insertSteps, newStep } from './step.ts'

/** An import until its first row: its row comes before its files, so that nothing lies in the media store that nobody knows of. */

/** Bytes of a CSV at most; its rows are read by ranges. */
export const MOST_CSV = 2 * 1024 ** 3
/** A million rows and more; ten gigabytes are all that D1 holds, of everything. */
const MOST_ON_D1 = 100 * 1024 ** 2
/** As much as one PUT to S3 takes. */
export const MOST_ZIP = 5 * 1024 ** 3
const MOST_HEAD = 64 * 1024

/** An import as it is announced, before its files are there. */
export interface NewImport {
  connection: string
  actor: string
  /** Of the sender; without one nothing is the same again. */
  key: string | undefined
  archive: boolean
}

/** Makes its row; the same key for the same connection gives the import that is there. */
export async function createImport(deps: Deps, given: NewImport): Promise<ImportRow> {
  const now = deps.now()
  const id = newId('imp', now, deps.random)
  const none = { csv_bytes: 0, archive_bytes: 0, place: 0, line: 1, taken: 0, known: 0, refused: 0, files: 0 }
  const row: ImportRow = {
    ...none,
    id,
    connection: given.connection,
    key: given.key === undefined ? id : `k:${given.key}`,
    actor: given.actor,
    state: 'uploading',
    archive: given.archive ? 1 : 0,
    columns: null,
    strays: 0,
    unpacked: 0,
    reason: null,
    created_at: now,
    updated_at: now,
    ended_at: null,
  }
  try {
    await deps.store.atomic([], [deps.store.db.insertInto('imports').values(row)])
    return row
  } catch (error) {
    if (!isUniqueViolation(error)) throw error
    const before = await deps.store.db
      .selectFrom('imports')
      .selectAll()
      .where('connection', '=', row.connection)
      .where('key', '=', row.key)
      .executeTakeFirstOrThrow()
    if (Number(before.archive) === row.archive) return before
    throw new CordboardError('conflict', 'Another batch was begun with this key before')
  }
}

/** Takes one of its files into the media store, bounded and counted while it comes. */
export async function putFile(
  deps: Deps,
  row: ImportRow,
  part: 'csv' | 'zip',
  body: ReadableStream<Uint8Array>,
): Promise<void> {
  needsUploads(row)
  if (part === 'zip' && Number(row.archive) !== 1)
    throw new CordboardError('bad_request', 'This batch was begun without an archive')
  try {
    await deps.media.put(mediaId(row, part), body, part === 'csv' ? MOST_CSV : MOST_ZIP)
  } catch (error) {
    if (error instanceof CordboardError) throw error
    throw new CordboardError('bad_request', 'The body broke off before its end', { cause: error })
  }
}

function needsUploads({ state }: ImportRow): void {
  if (state === 'uploading') return
  throw new CordboardError('conflict', 'The files of this batch are taken already', {
    fix: 'Begin another batch: rows that were taken make no second call',
  })
}

/** Looks at what was uploaded, as far as that can be seen at once, and has it worked on. Where that is under way, nothing happens. */
export async function startImport(deps: Deps, id: string): Promise<ImportRow> {
  const { store } = deps
  const row = await importRow(deps, id)
  if (row.state !== 'uploading') {
    await goOn(deps, row)
    return row
  }
  const [csvBytes, zipBytes] = await Promise.all([
    sizeOf(deps, mediaId(row, 'csv')),
    Number(row.archive) === 1 ? sizeOf(deps, mediaId(row, 'zip')) : 0,
  ])
  const missing = [csvBytes === null && 'csv', zipBytes === null && 'zip'].filter((one) => one !== false)
  if (csvBytes === null || zipBytes === null)
    throw new CordboardError('bad_request', `Files: expected ${missing.join(' and ')}, seen none`, {
      fix: 'Upload what is missing, then start again',
    })
  const mostCsv = store.dialect === 'd1' ? MOST_ON_D1 : MOST_CSV
  if (csvBytes > mostCsv) throw tooLarge('CSV', mostCsv)
  if (zipBytes > MOST_ZIP) throw tooLarge('Archive', MOST_ZIP)
  const sized = { ...row, csv_bytes: csvBytes, archive_bytes: zipBytes }
  const { columns, place } = await headOf(deps, sized)
  const isArchived = Number(row.archive) === 1
  if (isArchived) await findDirectory(archiveOf(deps, sized))
  // The rows begin where the header ends, and the directory is read before them: its place is found anew.
  const state = isArchived ? 'reading' : 'taking'
  const begun = {
    state,
    csv_bytes: csvBytes,
    archive_bytes: zipBytes,
    columns: JSON.stringify({ ...columns, place }),
    place: isArchived ? 0 : place,
    updated_at: deps.now(),
  } as const
  const step = newStep(deps, {
    kind: 'import',
    subject: id,
    callId: null,
    connection: row.connection,
    generation: 0,
    flow: null,
  })
  await store.atomic(
    [],
    [
      store.db.updateTable('imports').set(begun).where('id', '=', id).where('state', '=', 'uploading'),
      ...insertSteps(deps, [step]),
    ],
  )
  deps.queue.wake(bellsOf([step]))
  return { ...row, ...begun }
}

/**
 * Takes no more rows of it: those before are taken, its files are erased, and its key is free for another try. Whoever has
 * its step in hand loses it. Null when it is not under way.
 */
export async function stopImport(deps: Deps, id: string, { actor }: Actor): Promise<ImportRow | null> {
  const { state, line } = await importRow(deps, id)
  if (state !== 'reading' && state !== 'taking') return null
  const now = deps.now()
  const reason = 'It was stopped: the rows before are taken'
  const { db } = deps.store
  const [stopped = []] = (await deps.store.atomic(
    [],
    [
      db
        .updateTable('imports')
        .set({ state: 'failed', reason, key: id, ended_at: now, updated_at: now })
        .where('id', '=', id)
        .where('state', 'in', ['reading', 'taking'])
        .returning('id'),
      // It comes once more, to erase the files.
      db
        .updateTable('steps')
        .set({ state: 'waiting', due_at: now, lease: null, lease_until: null, awaiting: null })
        .where('kind', '=', 'import')
        .where('subject', '=', id)
        .where('state', '!=', 'done'),
      auditRow(deps, actor, 'stop batch', id, JSON.stringify({ line: Number(line) })),
    ],
  )) as Record<string, unknown>[][]
  const row = await importRow(deps, id)
  deps.queue.wake([{ step: '', lane: row.connection, dueAt: now, kind: 'import' }])
  return stopped.length > 0 ? row : null
}

/** Of one whose step was given up. */
async function goOn(deps: Deps, { id, connection }: ImportRow): Promise<void> {
  const due_at = deps.now()
  const [steps = []] = (await deps.store.atomic(
    [],
    [
      deps.store.db
        .updateTable('steps')
        .set({ state: 'waiting', due_at, attempts: 0, crashes: 0, code: null, reason: null })
        .where('kind', '=', 'import')
        .where('subject', '=', id)
        .where('state', 'in', ['dead', 'parked'])
        .returning('id'),
    ],
  )) as Record<string, unknown>[][]
  deps.queue.wake(
    steps.map((step) => ({ step: String(step.id), lane: connection, dueAt: due_at, kind: 'import' })),
  )
}

async function headOf(deps: Deps, row: ImportRow): Promise<{ columns: Columns; place: number }> {
  const size = Math.min(Number(row.csv_bytes), MOST_HEAD)
  const source = createByteReader(await csvOf(deps, row, 0))
  const head = (await source.take(size)) ?? new Uint8Array(0)
  await source.cancel()
  const kind = String.fromCharCode(...head.subarray(0, 4))
  if (/^(?:\xff\xfe|\xfe\xff)/.test(kind)) throw noCsv('UTF-16')
  if (kind.startsWith('PK')) throw noCsv('a workbook or an archive')
  const reader = createCsvReader(new Blob([head.slice()]).stream(), {
    delimiter: ',',
    at: 0,
    mostBytes: size,
  })
  const first = await reader.next().catch(() => null)
  if (!first || (first.end === size && size < Number(row.csv_bytes))) throw noCsv('none')
  if (first.fault !== undefined) throw noCsv('other bytes than UTF-8')
  const line = new TextDecoder().decode(head.subarray(0, first.end))
  const columns = readColumns(line.replace(/(?:\r\n|[\r\n])$/, ''))
  if (!('wrong' in columns)) return { columns, place: first.end }
  throw new CordboardError('bad_request', `CSV: ${columns.wrong}`, { fix: columns.fix })
}

const tooLarge = (what: string, most: number) =>
  new CordboardError('too_large', `${what}: expected at most ${most / 1024 ** 2} MB, seen more`, {
    fix: 'Hand it in in several batches',
  })

const noCsv = (seen: string) =>
  new CordboardError(
    'bad_request',
    `CSV: expected UTF-8 text that begins with the names of the columns, seen ${seen}`,
    {
      fix: 'In a spreadsheet: save it as “CSV UTF-8”',
    },
  )
