import { sql } from 'kysely'
import { type Columns, readRow } from '../call/intake-row.ts'
import { type CsvRecord, createCsvReader } from '../connector/csv-read.ts'
import { CordboardError } from '../errors.ts'
import type { Query } from '../store/port.ts'
import type { ImportRow } from '../store/schema-imports.ts'
import type { Deps } from './deps.ts'
import { csvOf, forgetFiles, mediaOf, readArchive } from './import-files.ts'
import { takeRows, writeVerdicts } from './import-rows.ts'
import { CORE_LANE, type Outcome, type Running } from './step.ts'

/** One row may be so long; transcripts are. */
export const MOST_ROW_BYTES = 6 * 1024 * 1024
/** Rows that share a commit: at most so many, and about so many bytes. */
const ROWS = 256
const ROW_BYTES = 4 * 1024 * 1024
/** An invocation on Cloudflare may ask D1 and R2 a thousand times, and each row with a recording asks six times. */
const ROWS_ON_D1 = 50
/** One execution; then whatever else is due in this lane has its turn. */
const TURN_MS = 10_000
/** Where so many deliveries wait to be read, those that come in now go first. */
const MOST_WAITING = 1_000
const PAUSE_MS = 50

/**
 * import: takes the rows of a CSV one after the other, each as if it had been handed in by itself. How far it came is
 * committed with the verdicts; what a dead worker had taken beyond that is known again by its key.
 */
export async function importStep(running: Running): Promise<Outcome> {
  const { deps, step } = running
  const row = await importRow(deps, step.subject)
  if (row.state === 'uploading') return { done: 'nothing was uploaded' }
  if (row.state === 'done' || row.state === 'failed') return clear(running, row)
  try {
    return row.state === 'reading' ? await read(running, row) : await take(running, row)
  } catch (thrown) {
    // Whatever else was thrown is not about what was sent.
    if (!(thrown instanceof CordboardError) || thrown.code !== 'bad_request') throw thrown
    const { message, why } = thrown
    return end(running, 'failed', why === undefined ? message : `${message}: ${why}`)
  }
}

/** The import of this id, or `unknown_object`. */
export async function importRow({ store }: Pick<Deps, 'store'>, id: string): Promise<ImportRow> {
  const row = await store.db.selectFrom('imports').selectAll().where('id', '=', id).executeTakeFirst()
  if (row) return row
  throw new CordboardError('unknown_object', `There is no batch ${id}`)
}

/** The archive's directory, before the first row: rows name its files in any order. */
async function read(running: Running, row: ImportRow): Promise<Outcome> {
  const { deps, signal, commit } = running
  const until = deps.now() + TURN_MS
  for await (const { queries, place, files, strays } of readArchive(deps, row)) {
    const then: Partial<ImportRow> =
      place === null ? { state: 'taking', place: columnsOf(row).place } : { place }
    await commit([...queries, updated(deps, row.id, { files, strays, ...then })])
    if (signal.aborted || deps.now() >= until || deps.store.dialect === 'd1') break
  }
  return { again: deps.now(), says: 'the archive’s directory is read' }
}

async function take(running: Running, row: ImportRow): Promise<Outcome> {
  const { deps, signal, commit } = running
  const columns = columnsOf(row)
  const at = Number(row.place)
  const { delimiter } = columns
  const reader = createCsvReader(await csvOf(deps, row, at), { delimiter, at, mostBytes: MOST_ROW_BYTES })
  const until = deps.now() + TURN_MS
  let state = { ...row }
  try {
    for (;;) {
      if (await isBusy(deps)) return { again: deps.now() + PAUSE_MS, says: 'what comes in goes first' }
      const { records, stopped } = await some(reader, deps.store.dialect === 'd1' ? ROWS_ON_D1 : ROWS)
      let line = Number(state.line)
      const rows = records.flatMap(({ cells, fault }) => {
        line += 1
        if (fault !== undefined) return [{ line, read: { wrong: fault } }]
        return cells.every((cell) => cell.trim() === '') ? [] : [{ line, read: readRow(columns, cells) }]
      })
      const { verdicts, unpacked, queries } = await takeRows(running, state, rows)
      const counted = (verdict: string) => verdicts.filter((one) => one.verdict === verdict).length
      const next = {
        line,
        place: records.at(-1)?.end ?? state.place,
        taken: Number(state.taken) + counted('taken'),
        known: Number(state.known) + counted('known'),
        refused: Number(state.refused) + counted('refused'),
        unpacked,
      }
      await commit([...writeVerdicts(deps, row.id, verdicts), ...queries, updated(deps, row.id, next)])
      state = { ...state, ...next }
      if (stopped === 'end') return end(running, 'done', null)
      if (stopped)
        throw new CordboardError('bad_request', `Line ${line + 1}: ${stopped.message}`, whyOf(stopped))
      if (signal.aborted || deps.now() >= until || deps.store.dialect === 'd1')
        return { again: deps.now(), says: `${next.line - 1} lines were read` }
    }
  } finally {
    await reader.cancel()
  }
}

/** The columns, and the byte behind the line that names them. */
const columnsOf = ({ columns }: ImportRow) => JSON.parse(columns ?? '{}') as Columns & { place: number }

const whyOf = ({ why }: CordboardError) => (why === undefined ? {} : { why })

/** A few records. `stopped`: no more come, or none that can be told from the others. */
async function some(
  reader: { next(): Promise<CsvRecord | null> },
  most: number,
): Promise<{ records: CsvRecord[]; stopped: null | 'end' | CordboardError }> {
  const records: CsvRecord[] = []
  let characters = 0
  while (records.length < most && characters < ROW_BYTES) {
    try {
      const record = await reader.next()
      if (record === null) return { records, stopped: 'end' }
      records.push(record)
      for (const cell of record.cells) characters += cell.length
    } catch (thrown) {
      if (!(thrown instanceof CordboardError) || thrown.code !== 'bad_request') throw thrown
      return { records, stopped: thrown }
    }
  }
  return { records, stopped: null }
}

/** Webhooks that come in are read in turn with rows: a million of these must not stand before them. */
async function isBusy({ store, now }: Deps): Promise<boolean> {
  const waiting = await store.db
    .selectFrom('steps')
    .select('id')
    .where('lane', '=', CORE_LANE)
    .where('state', '=', sql.lit('waiting'))
    .where('due_at', '<=', now())
    .orderBy('due_at')
    .offset(MOST_WAITING)
    .limit(1)
    .executeTakeFirst()
  return waiting !== undefined
}

function updated({ store, now }: Deps, id: string, fields: Partial<ImportRow>): Query {
  return store.db
    .updateTable('imports')
    .set({ ...fields, updated_at: now() })
    .where('id', '=', id)
}

/** It has ended for whoever waits for it; its files go next. */
function end({ deps, step }: Running, state: 'done' | 'failed', reason: string | null): Outcome {
  const ended = updated(deps, step.subject, {
    state,
    reason: reason?.slice(0, 500) ?? null,
    ended_at: deps.now(),
  })
  return { again: deps.now(), says: 'it has ended; its files are erased', queries: [ended] }
}

async function clear(running: Running, row: ImportRow): Promise<Outcome> {
  const { deps, signal, commit } = running
  await deps.media.delete(mediaOf(row))
  for (;;) {
    const [gone = []] = await commit([forgetFiles(deps, row.id)])
    if (gone.length === 0) return { done: `${row.taken} calls were taken, ${row.refused} rows refused` }
    if (signal.aborted || deps.store.dialect === 'd1')
      return { again: deps.now(), says: 'its files are erased' }
  }
}
