import { createHash } from 'node:crypto'
import { createReadStream, openAsBlob } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { Readable } from 'node:stream'
import { type Columns, readColumns } from '../../call/intake-row.ts'
import { createCsvReader } from '../../connector/csv-read.ts'
import { type ZipEntry, zipStored } from '../../connector/zip.ts'
import { isPlainName } from '../../connector/zip-read.ts'
import { CordboardError } from '../../errors.ts'
import { MOST_ROW_BYTES } from '../../pipeline/import.ts'
import { wrong } from '../parse.ts'

/** A CSV, and its recordings in a ZIP or a folder, as batches that are uploaded one after the other. */

export interface File {
  bytes: number
  /** From the beginning, however often it is sent. */
  open(): Promise<ReadableStream<Uint8Array>>
}

export interface Part {
  /** The same files, as they are now, have the same: so an import that was cut off finds what it had begun. */
  key: string
  /** How many lines of the CSV stand before it, beside the names of the columns. */
  before: number
  csv: File
  zip: File | null
}

/** A folder is sent in pieces: what is cut off is sent again, but not what was before. */
const PIECE_BYTES = 512 * 1024 * 1024
const PIECE_FILES = 2_000
const MOST_HEAD = 64 * 1024

export async function* partsOf(csvPath: string, audio: string | undefined): AsyncGenerator<Part, void> {
  const csv = await blobOf(csvPath)
  const about = audio === undefined ? null : await stat(audio).catch(() => null)
  if (audio !== undefined && about === null) throw missing(audio)
  if (audio !== undefined && about?.isDirectory()) {
    yield* piecesOf(csv, audio)
    return
  }
  const zip = audio === undefined ? null : await blobOf(audio)
  const said = about === null ? '' : `${about.size} ${about.mtimeMs}`
  yield { key: await keyOf(csv, said), before: 0, csv: fileOf(csv), zip: zip && fileOf(zip) }
}

async function* piecesOf(csv: Blob, folder: string): AsyncGenerator<Part, void> {
  const { columns, head } = await headOf(csv)
  const column = columns.names.indexOf('audio_file_name')
  const reader = createCsvReader(csv.slice(head).stream(), {
    delimiter: columns.delimiter,
    at: head,
    mostBytes: MOST_ROW_BYTES,
  })
  let piece = newPiece(head, 0)
  let line = 0
  let end = head
  /** What no record can be told in any more goes with the last piece: whoever takes it says why. */
  const next = () => reader.next().catch(() => null)
  for (let record = await next(); record !== null; record = await next()) {
    const name = (record.cells[column] ?? '').normalize('NFC')
    const file = piece.files.has(name) ? null : await fileIn(folder, name)
    const isFull = piece.files.size >= PIECE_FILES || (file && piece.bytes + file.bytes > PIECE_BYTES)
    if (isFull && piece.files.size > 0) {
      yield await made(csv, head, { ...piece, to: end })
      piece = newPiece(end, line)
    }
    const kept = file ?? (isFull ? await fileIn(folder, name) : null)
    if (kept) {
      piece.files.set(name, kept)
      piece.bytes += kept.bytes
    }
    line += 1
    end = record.end
  }
  yield await made(csv, head, { ...piece, to: csv.size })
}

interface Piece {
  from: number
  to: number
  before: number
  files: Map<string, ZipEntry & { changedAt: number }>
  bytes: number
}

const newPiece = (from: number, before: number): Piece => ({
  from,
  to: from,
  before,
  files: new Map(),
  bytes: 0,
})

async function made(csv: Blob, head: number, { from, to, before, files }: Piece): Promise<Part> {
  const rows = from === head ? csv.slice(0, to) : new Blob([csv.slice(0, head), csv.slice(from, to)])
  const entries = [...files.values()]
  const said = entries.map(({ name, bytes, changedAt }) => `${name} ${bytes} ${changedAt}`).join('\n')
  const { bytes } = zipStored(entries)
  return {
    key: await keyOf(rows, said),
    before,
    csv: fileOf(rows),
    zip: { bytes, open: async () => zipStored(entries).body },
  }
}

/** The recording that a row names, if the folder has it. Only a plain name is looked for: a row names no other folder. */
async function fileIn(folder: string, name: string): Promise<(ZipEntry & { changedAt: number }) | null> {
  if (!isPlainName(name)) return null
  // macOS and Linux write accents differently.
  for (const spelled of new Set([name, name.normalize('NFD')])) {
    const path = join(folder, spelled)
    const about = await stat(path).catch(() => null)
    if (!about?.isFile()) continue
    const open = async () => Readable.toWeb(createReadStream(path)) as ReadableStream<Uint8Array>
    return { name, bytes: about.size, changedAt: about.mtimeMs, open }
  }
  return null
}

async function headOf(csv: Blob): Promise<{ columns: Columns; head: number }> {
  const bytes = new Uint8Array(await csv.slice(0, MOST_HEAD).arrayBuffer())
  const reader = createCsvReader(new Blob([bytes]).stream(), { delimiter: ',', at: 0, mostBytes: MOST_HEAD })
  const first = await reader.next().catch(() => null)
  const head = first?.end ?? 0
  const columns = readColumns(
    new TextDecoder().decode(bytes.subarray(0, head)).replace(/(?:\r\n|[\r\n])$/, ''),
  )
  if (!('wrong' in columns)) return { columns, head }
  throw new CordboardError('bad_request', `CSV: ${columns.wrong}`, { fix: columns.fix })
}

async function keyOf(csv: Blob, audio: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of csv.stream()) hash.update(chunk)
  return `import-${hash.update(`\0${audio}`).digest('hex')}`
}

const fileOf = (blob: Blob): File => ({
  bytes: blob.size,
  open: async () => blob.stream() as ReadableStream<Uint8Array>,
})

async function blobOf(path: string): Promise<Blob> {
  try {
    // Throws at once where there is none, and rejects later where it cannot be read.
    return await openAsBlob(path)
  } catch {
    throw missing(path)
  }
}

const missing = (path: string) =>
  wrong(
    'import',
    `There is no ${basename(path)} that can be read`,
    'Name a CSV, and with --audio a folder or a ZIP',
  )
