import {
  findDirectory,
  openFile,
  readDirectory,
  type ZipFile,
  type ZipSource,
} from '../connector/zip-read.ts'
import { CordboardError } from '../errors.ts'
import type { Query } from '../store/port.ts'
import type { ImportFileRow, ImportRow } from '../store/schema-imports.ts'
import { MOST_FILE } from './audio-file.ts'
import type { Deps } from './deps.ts'

/** The two files of an import, in the media store; and what stands in its archive, in a table, so that none of it is held. */

const MOST_FILES = 1_000_000
/** Files of the directory that share a commit; and a statement, which has ten parameters for each, and a hundred at most. */
const FILES = 500
const FILES_ON_D1 = 200
const PER_STATEMENT = 9
const ERASED_AT_ONCE = 5_000

type Part = 'csv' | 'zip'

/** Where a file of an import lies: known beforehand, so that nothing has to be listed to erase it. */
export const mediaId = ({ id }: Pick<ImportRow, 'id'>, part: Part): string => `${id}_${part}`

/** All that an import has in the media store. */
export const mediaOf = (row: Pick<ImportRow, 'id' | 'archive'>): string[] => [
  mediaId(row, 'csv'),
  ...(Number(row.archive) === 1 ? [mediaId(row, 'zip')] : []),
]

/** How many bytes of it there are; null when there are none. */
export async function sizeOf({ media }: Deps, id: string): Promise<number | null> {
  const found = await media.get(id)
  await found?.body.cancel()
  return found?.bytes ?? null
}

/** The CSV from a place on. */
export async function csvOf(deps: Deps, row: ImportRow, at: number): Promise<ReadableStream<Uint8Array>> {
  if (at >= Number(row.csv_bytes)) return new Blob([]).stream()
  return open(deps, mediaId(row, 'csv'), at, Number(row.csv_bytes))
}

/** The archive, to be read by ranges. */
export function archiveOf(deps: Deps, row: Pick<ImportRow, 'id' | 'archive_bytes'>): ZipSource {
  const bytes = Number(row.archive_bytes)
  return { bytes, open: (start, end) => open(deps, mediaId(row, 'zip'), start, end) }
}

async function open(
  { media }: Deps,
  id: string,
  start: number,
  end: number,
): Promise<ReadableStream<Uint8Array>> {
  const found = await media.get(id, { start, end: end - 1 })
  if (found) return ours(found.body)
  throw new CordboardError('bad_request', 'A file of this batch is not in the media store any more')
}

/** That the media store cannot be read now is nothing that a row could be refused for. */
function ours(body: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
  const reader = body.getReader()
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await reader.read().catch((cause: unknown) => {
          if (cause instanceof CordboardError) throw cause
          throw new CordboardError('storage_unavailable', 'The media store cannot be read', { cause })
        })
        if (done) controller.close()
        else controller.enqueue(value)
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  )
}

interface Read {
  queries: Query[]
  /** Where to go on; null at the end of the directory. */
  place: number | null
  files: number
  strays: number
}

/** The archive's directory, some of it at a time, from where it was left. */
export async function* readArchive(deps: Deps, row: ImportRow): AsyncGenerator<Read, void> {
  const source = archiveOf(deps, row)
  const directory = await findDirectory(source)
  const most = deps.store.dialect === 'd1' ? FILES_ON_D1 : FILES
  let files = Number(row.files)
  let strays = Number(row.strays)
  let some = new Map<string, ImportFileRow>()
  let count = 0
  for await (const { file, next } of readDirectory(source, directory, Number(row.place) || directory.start)) {
    count += 1
    if (file.name === null) strays += file.isFolder ? 0 : 1
    else {
      const known = some.get(file.name)
      if (known) known.fault = TWICE
      else {
        some.set(file.name, rowOf(row.id, file.name, file))
        files += 1
      }
    }
    if (files + strays > MOST_FILES)
      throw new CordboardError('bad_request', `Archive: expected at most ${MOST_FILES} files, seen more`)
    if (count < most) continue
    yield { queries: inserting(deps, [...some.values()]), place: next, files, strays }
    some = new Map()
    count = 0
  }
  yield { queries: inserting(deps, [...some.values()]), place: null, files, strays }
}

const TWICE = 'it is there twice under this name'

function rowOf(id: string, name: string, file: ZipFile): ImportFileRow {
  const { packed, bytes, method, crc } = file
  // What is no place and no size would be no number of any database.
  const [at, size, length] = [file.at, bytes, packed].map((one) =>
    Math.min(one, Number.MAX_SAFE_INTEGER),
  ) as [number, number, number]
  const fault =
    file.fault ?? (size > MOST_FILE ? `expected at most ${MOST_FILE / 1024 / 1024} MB, seen more` : null)
  return { import_id: id, name, at, packed: length, bytes: size, method, crc, fault, line: null, hash: null }
}

function inserting({ store: { db } }: Deps, rows: readonly ImportFileRow[]): Query[] {
  const queries: Query[] = []
  for (let at = 0; at < rows.length; at += PER_STATEMENT)
    queries.push(
      db
        .insertInto('import_files')
        .values(rows.slice(at, at + PER_STATEMENT))
        .onConflict((conflict) => conflict.columns(['import_id', 'name']).doUpdateSet({ fault: TWICE })),
    )
  return queries
}

/** One file of the archive, unpacked and counted while it is read. */
export function openArchived(
  deps: Deps,
  row: ImportRow,
  file: ImportFileRow,
): Promise<ReadableStream<Uint8Array>> {
  const { name, fault, method } = file
  const [at, packed, bytes, crc] = [file.at, file.packed, file.bytes, file.crc].map(Number) as [
    number,
    number,
    number,
    number,
  ]
  const entry = { name, isFolder: false, at, packed, bytes, method: Number(method), crc, fault }
  return openFile(archiveOf(deps, row), entry)
}

/** Those that rows name. */
export async function filesNamed(
  { store }: Deps,
  id: string,
  names: readonly string[],
): Promise<Map<string, ImportFileRow>> {
  const found = new Map<string, ImportFileRow>()
  for (let at = 0; at < names.length; at += 90) {
    const rows = await store.db
      .selectFrom('import_files')
      .selectAll()
      .where('import_id', '=', id)
      .where('name', 'in', names.slice(at, at + 90))
      .execute()
    for (const row of rows) found.set(row.name, row)
  }
  return found
}

/** Some of them, answering which. */
export function forgetFiles({ store: { db } }: Deps, id: string): Query {
  const some = db.selectFrom('import_files').select('name').where('import_id', '=', id).limit(ERASED_AT_ONCE)
  return db.deleteFrom('import_files').where('import_id', '=', id).where('name', 'in', some).returning('name')
}
