import type { StoredFile } from '../call/intake.ts'
import type { IntakeRow } from '../call/intake-row.ts'
import { isPlainName } from '../connector/zip-read.ts'
import { asCordboardError, CordboardError, type ErrorCode } from '../errors.ts'
import type { Query } from '../store/port.ts'
import type { ImportFileRow, ImportRow, ImportVerdictRow } from '../store/schema-imports.ts'
import { keepFile, newIds } from './audio-file.ts'
import type { Deps } from './deps.ts'
import { hashOf } from './hash.ts'
import { filesNamed, openArchived } from './import-files.ts'
import { keyOf, type TakenIn, takeIn } from './intake.ts'
import type { Running } from './step.ts'
import { dropUploads } from './uploads.ts'

/** Rows of an import, taken in like calls that are handed in one by one. */

/** Recordings under way at once: each is read and written. A Worker has six connections in all. */
const FILES_AT_ONCE = 4
const FILES_ON_D1 = 2
/** What may come out of an archive: more than audio ever shrinks, and far less than a bomb holds. */
const MOST_GROWTH = 100
const MOST_SMALL = 64 * 1024 * 1024
const PER_STATEMENT = 16

/** What says no to a row; everything else says it of ourselves, and is tried again. */
const OF_THE_ROW: ReadonlySet<ErrorCode> = new Set([
  'bad_request',
  'too_large',
  'conflict',
  'invalid_payload',
])

/** A row of the CSV with its number, or what is wrong with it. */
export interface Line {
  line: number
  read: IntakeRow | { wrong: string }
}

type Verdict = Omit<ImportVerdictRow, 'import_id'>

interface Taken {
  verdicts: Verdict[]
  unpacked: number
  /** What is known of the archive's files now. */
  queries: Query[]
}

/** Side by side, but for those that say the same or name the same file: of these the first counts. */
export async function takeRows(running: Running, of: ImportRow, lines: readonly Line[]): Promise<Taken> {
  const { deps } = running
  const names = new Set(
    lines.flatMap(({ read }) => ('file' in read && read.file !== undefined ? [read.file] : [])),
  )
  const plain = [...names].filter(isPlainName)
  const files =
    plain.length > 0 && Number(of.archive) === 1 ? await filesNamed(deps, of.id, plain) : new Map()
  const archive: Archive = {
    of,
    files,
    changed: new Set(),
    unpacked: Number(of.unpacked),
    room: createRoom(deps.store.dialect === 'd1' ? FILES_ON_D1 : FILES_AT_ONCE),
  }
  const turns = new Map<string, Promise<unknown>>()
  const ends = await Promise.allSettled(
    lines.map(async ({ line, read }): Promise<Verdict> => {
      if ('wrong' in read) return refused(line, new CordboardError('bad_request', read.wrong))
      const { call, file } = read
      const same = call.externalId === undefined ? `row ${JSON.stringify(read)}` : `id ${call.externalId}`
      const sameAs = [same, ...(file === undefined ? [] : [`file ${file}`])]
      const before = Promise.all(sameAs.map((one) => turns.get(one)))
      const mine = before.then(() => takeRow(running, archive, line, read))
      const settled = mine.catch(() => undefined)
      for (const one of sameAs) turns.set(one, settled)
      return mine
    }),
  )
  const verdicts = ends.map((one) => {
    if (one.status === 'rejected') throw one.reason
    return one.value
  })
  const { db } = deps.store
  const queries = [...archive.changed].map(({ name, line, hash, fault }) =>
    db
      .updateTable('import_files')
      .set({ line, hash, fault })
      .where('import_id', '=', of.id)
      .where('name', '=', name),
  )
  return { verdicts, unpacked: archive.unpacked, queries }
}

interface Archive {
  of: ImportRow
  files: Map<string, ImportFileRow>
  changed: Set<ImportFileRow>
  unpacked: number
  room: <T>(work: () => Promise<T>) => Promise<T>
}

async function takeRow(running: Running, archive: Archive, line: number, row: IntakeRow): Promise<Verdict> {
  const { deps, connection } = running
  const { of } = archive
  const { call } = row
  const ids = newIds(deps, connection.id)
  const idempotencyKey = call.externalId === undefined ? `row:${await hashOf(deps.signer, row)}` : undefined
  let kept: StoredFile | undefined
  try {
    const file = row.file === undefined ? undefined : fileFor(archive, row.file)
    const handed = {
      ...ids,
      connection,
      path: '/v1/batches',
      idempotencyKey,
      externalId: call.externalId,
      stored: { kind: 'call' as const, by: of.actor, call, row: { import: of.id, row: line } },
    }
    let taken: TakenIn
    if (file && file.line !== null && Number(file.line) !== line) {
      // Another row has it. That the same is said once more is no second call; that something else is, is a mistake.
      const key = keyOf({ ...handed, promise: ids.promise })
      if (!(await isKnown(deps, connection.id, key)))
        throw unfit(`this file belongs to line ${file.line}: expected one of its own`)
      taken = await takeIn(deps, { ...handed, sent: { call, file: file.hash } })
    } else {
      kept = file && (await archive.room(() => unpack(deps, archive, file, ids)))
      const stored = { ...handed.stored, ...(kept ? { file: kept } : {}) }
      taken = await takeIn(deps, { ...handed, stored, sent: { call, file: kept?.hash } })
      if (file && kept) note(archive, file, { line, hash: kept.hash })
    }
    if (taken.repeated && kept) await dropUploads(deps, [kept.mediaId])
    return verdictOf(of.id, line, taken)
  } catch (thrown) {
    const error = asCordboardError(thrown)
    if (!OF_THE_ROW.has(error.code)) throw thrown
    if (kept) await dropUploads(deps, [kept.mediaId])
    return refused(line, error)
  }
}

/** Taken before this worker, by one that died: that is taken as well. */
function verdictOf(id: string, line: number, { callId: call_id, repeated, row }: TakenIn): Verdict {
  const isOwn = row?.import === id && row.row === line
  if (!repeated || isOwn) return { line, verdict: 'taken', call_id, code: null, says: null }
  const says = row?.import === id ? `the same as line ${row.row}` : 'it was handed in before'
  return { line, verdict: 'known', call_id, code: null, says }
}

function fileFor({ of, files }: Archive, name: string): ImportFileRow {
  if (Number(of.archive) !== 1)
    throw unfit('audio_file_name: expected no file, since no archive came; seen one')
  if (!isPlainName(name))
    throw unfit(
      'audio_file_name: expected the plain name of a file, seen a folder in it, or characters that no name has',
    )
  const file = files.get(name)
  if (!file) {
    const strays =
      Number(of.strays) > 0
        ? `; ${of.strays} files of it are in folders, or have names that are not UTF-8`
        : ''
    throw unfit(
      `audio_file_name: expected a file at the root of the archive with exactly this name, seen none${strays}`,
    )
  }
  if (file.fault !== null) throw unfit(`audio_file_name: ${file.fault}`)
  return file
}

/** Out of the archive into the media store. What is wrong with it is remembered: no other row unpacks it again. */
async function unpack(
  deps: Deps,
  archive: Archive,
  file: ImportFileRow,
  ids: Parameters<typeof keepFile>[2],
): Promise<StoredFile> {
  const most = Math.max(MOST_SMALL, MOST_GROWTH * Number(archive.of.archive_bytes))
  if (archive.unpacked + Number(file.bytes) > most)
    throw new CordboardError(
      'too_large',
      `Archive: expected at most ${Math.floor(most / 1024 / 1024)} MB in all, seen more`,
    )
  archive.unpacked += Number(file.bytes)
  try {
    return await keepFile(deps, await openArchived(deps, archive.of, file), ids)
  } catch (thrown) {
    const error = asCordboardError(thrown)
    if (OF_THE_ROW.has(error.code)) note(archive, file, { fault: error.message })
    throw error
  }
}

function note(archive: Archive, file: ImportFileRow, known: Partial<ImportFileRow>): void {
  Object.assign(file, known)
  archive.changed.add(file)
}

async function isKnown({ store }: Deps, connection: string, key: string): Promise<boolean> {
  const found = store.db
    .selectFrom('deliveries')
    .select('id')
    .where('connection', '=', connection)
    .where('dedupe_key', '=', key)
  return (await found.executeTakeFirst()) !== undefined
}

function createRoom(count: number): Archive['room'] {
  const waiting: (() => void)[] = []
  let left = count
  return async (work) => {
    if (left === 0) await new Promise<void>((resolve) => waiting.push(resolve))
    else left -= 1
    try {
      return await work()
    } finally {
      const next = waiting.shift()
      if (next) next()
      else left += 1
    }
  }
}

const unfit = (message: string) => new CordboardError('bad_request', message)

const refused = (line: number, { code, message }: CordboardError): Verdict => ({
  line,
  verdict: 'refused',
  call_id: null,
  code,
  says: message.slice(0, 500),
})

/** The verdicts of rows, a few in each statement. */
export function writeVerdicts({ store: { db } }: Deps, id: string, verdicts: readonly Verdict[]): Query[] {
  const queries: Query[] = []
  for (let at = 0; at < verdicts.length; at += PER_STATEMENT)
    queries.push(
      db
        .insertInto('import_rows')
        .values(verdicts.slice(at, at + PER_STATEMENT).map((verdict) => ({ import_id: id, ...verdict }))),
    )
  return queries
}
