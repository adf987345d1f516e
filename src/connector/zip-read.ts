import { CordboardError } from '../errors.ts'
import { crc32 } from './crc32.ts'
import { createByteReader } from './zip-bytes.ts'

/**
 * Reading a ZIP archive that lies somewhere else, by ranges: its directory in pieces, its files one by one. Nothing is
 * believed because it stands there: what comes out of a file is counted and held against what the directory says.
 */

export interface ZipSource {
  bytes: number
  /** The bytes from `start` to before `end`. */
  open(start: number, end: number): Promise<ReadableStream<Uint8Array>>
}

export interface ZipDirectory {
  start: number
  end: number
  files: number
}

/** A file as the directory has it. */
export interface ZipFile {
  /** At the root of the archive, in NFC; null where it stands in a folder, is one, or has a name that cannot be read. */
  name: string | null
  isFolder: boolean
  at: number
  packed: number
  bytes: number
  method: number
  crc: number
  /** Why it cannot be opened. */
  fault: string | null
}

const END = 22
const LOCATOR = 20
const END64 = 56
const CENTRAL = 46
const LOCAL = 30
const MOST_COMMENT = 0xffff
/** Unsigned 32 bits that say: look into the ZIP64 fields. */
const ELSEWHERE = 0xffff_ffff
/** What is stored goes on as it is; a packed piece this small cannot become more than 16 MB. */
const STORED_PIECE = 256 * 1024
const PACKED_PIECE = 16 * 1024
const STORED = 0
const DEFLATED = 8
const METHODS: Readonly<Record<number, string>> = {
  9: 'Deflate64',
  12: 'bzip2',
  14: 'LZMA',
  93: 'Zstandard',
  95: 'XZ',
  99: 'AES encryption',
}

/** Where the directory stands. It must be where its end says, with nothing in between: no two readers may see two archives. */
export async function findDirectory(source: ZipSource): Promise<ZipDirectory> {
  const tail = Math.min(source.bytes, END + MOST_COMMENT + LOCATOR + END64)
  const base = source.bytes - tail
  const reader = createByteReader(await source.open(base, source.bytes))
  const bytes = await reader.take(tail)
  await reader.cancel()
  if (!bytes) throw noArchive('It breaks off')
  const view = viewOf(bytes)
  let at = tail - END
  while (
    at >= 0 &&
    !(view.getUint32(at, true) === 0x06054b50 && at + END + view.getUint16(at + 20, true) === tail)
  )
    at -= 1
  if (at < 0) throw noArchive('It does not end like one')
  const [disk, first, here] = [4, 6, 8].map((field) => view.getUint16(at + field, true))
  let files = view.getUint16(at + 10, true)
  let size = view.getUint32(at + 12, true)
  let start = view.getUint32(at + 16, true)
  let end = base + at
  const is64 = at >= LOCATOR && view.getUint32(at - LOCATOR, true) === 0x07064b50
  if (is64) {
    const place = eightBytes(view, at - LOCATOR + 8) - base
    if (place !== at - LOCATOR - END64 || place < 0 || view.getUint32(place, true) !== 0x06064b50)
      throw noArchive('Its ZIP64 end is not where it should be')
    if (view.getUint32(place + 16, true) !== 0 || view.getUint32(place + 20, true) !== 0) throw inParts()
    files = eightBytes(view, place + 32)
    size = eightBytes(view, place + 40)
    start = eightBytes(view, place + 48)
    end = base + place
  } else if (disk !== 0 || first !== 0 || here !== files) throw inParts()
  if (start + size !== end) throw noArchive('Its directory is not where its end says')
  return { start, end, files }
}

/** The files of a directory from a place on, each with the place of the next. */
export async function* readDirectory(
  source: ZipSource,
  { end }: ZipDirectory,
  from: number,
): AsyncGenerator<{ file: ZipFile; next: number }, void> {
  if (from >= end) return
  const reader = createByteReader(await source.open(from, end))
  let place = from
  try {
    while (place < end) {
      const head = await reader.take(CENTRAL)
      if (!head || viewOf(head).getUint32(0, true) !== 0x02014b50) throw noArchive('Its directory is damaged')
      const view = viewOf(head.slice())
      const [nameBytes = 0, extraBytes = 0, commentBytes = 0] = [28, 30, 32].map((at) =>
        view.getUint16(at, true),
      )
      const rest = await reader.take(nameBytes + extraBytes + commentBytes)
      if (!rest) throw noArchive('Its directory breaks off')
      place += CENTRAL + rest.length
      yield {
        file: fileOf(view, rest.subarray(0, nameBytes), rest.subarray(nameBytes, nameBytes + extraBytes)),
        next: place,
      }
    }
  } finally {
    await reader.cancel()
  }
}

function fileOf(view: DataView, name: Uint8Array, extra: Uint8Array): ZipFile {
  const flags = view.getUint16(8, true)
  const method = view.getUint16(10, true)
  const crc = view.getUint32(16, true)
  let [packed, bytes, at] = [20, 24, 42].map((place) => view.getUint32(place, true)) as [
    number,
    number,
    number,
  ]
  const wide = wideField(extra)
  let isWhole = true
  const widened = (value: number): number => {
    if (value !== ELSEWHERE) return value
    const found = wide.shift()
    isWhole &&= found !== undefined
    return found ?? value
  }
  // In the order in which the format has them.
  bytes = widened(bytes)
  packed = widened(packed)
  at = widened(at)
  const text = textOf(name)
  const isFolder = text?.endsWith('/') ?? false
  const faults = [
    !isWhole && 'its sizes cannot be read',
    (flags & 0x2041) !== 0 && 'it is encrypted: expected a file without a password',
    method !== STORED &&
      method !== DEFLATED &&
      `it is compressed by ${METHODS[method] ?? `method ${method}`}: expected stored or deflate`,
    method === STORED && packed !== bytes && 'its sizes contradict each other',
  ]
  const fault = faults.find((one) => typeof one === 'string') ?? null
  const isPlain = text !== null && isPlainName(text)
  return { name: isPlain ? text : null, isFolder, at, packed, bytes, method, crc, fault }
}

/** The numbers of the ZIP64 field. */
function wideField(extra: Uint8Array): number[] {
  const view = viewOf(extra)
  for (let at = 0; at + 4 <= extra.length; ) {
    const size = view.getUint16(at + 2, true)
    const end = at + 4 + size
    if (end > extra.length) return []
    if (view.getUint16(at, true) === 0x0001)
      return Array.from({ length: Math.min(3, size >> 3) }, (_, n) => eightBytes(view, at + 4 + 8 * n))
    at = end
  }
  return []
}

/** The name of a file and nothing more: no folder, nothing that another system takes for one, nothing that cannot be seen. */
export const isPlainName = (name: string): boolean =>
  name !== '' &&
  name !== '.' &&
  name !== '..' &&
  name.length <= 255 &&
  !/[/\\\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(name)

function textOf(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes).normalize('NFC')
  } catch {
    return null
  }
}

/** What a file holds. Errors with `bad_request` where that is not what the directory says, or as soon as it is more. */
export async function openFile(source: ZipSource, file: ZipFile): Promise<ReadableStream<Uint8Array>> {
  if (file.fault !== null) throw damaged(file.fault)
  // The header before it has a length of its own, up to this.
  const end = Math.min(source.bytes, file.at + LOCAL + 2 * 0xffff + file.packed)
  if (file.at + LOCAL > end) throw damaged('it stands behind the end of the archive')
  const reader = createByteReader(await source.open(file.at, end))
  try {
    const head = await reader.take(LOCAL)
    if (!head || viewOf(head).getUint32(0, true) !== 0x04034b50)
      throw damaged('it is not where the directory says')
    const view = viewOf(head)
    const skipped = view.getUint16(26, true) + view.getUint16(28, true)
    if (!(await reader.take(skipped))) throw damaged('it breaks off')
  } catch (error) {
    await reader.cancel()
    throw error
  }
  const isStored = file.method === STORED
  const packed = reader.stream(file.packed, isStored ? STORED_PIECE : PACKED_PIECE, () =>
    damaged('it breaks off'),
  )
  return checked(isStored ? packed : inflated(packed), file, () => reader.failure())
}

function inflated(packed: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
  const inflate = new DecompressionStream('deflate-raw') as unknown as TransformStream<Uint8Array, Uint8Array>
  return packed.pipeThrough(inflate)
}

function checked(
  content: ReadableStream<Uint8Array>,
  { bytes, crc }: ZipFile,
  failure: () => unknown,
): ReadableStream<Uint8Array> {
  const reader = content.getReader()
  let came = 0
  let sum = 0
  const refuse = async (why: string) => {
    const error = damaged(why)
    reader.cancel(error).catch(() => undefined)
    throw error
  }
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await reader.read().catch(() => {
          throw failure() ?? damaged('its content cannot be unpacked')
        })
        if (!done) {
          came += value.length
          if (came > bytes) return refuse('more comes out of it than the directory says')
          sum = crc32(value, sum)
          return controller.enqueue(value)
        }
        if (came !== bytes) return refuse('less comes out of it than the directory says')
        if (sum !== crc) return refuse('its checksum is another')
        controller.close()
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  )
}

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** Beyond what a number holds exactly it is no place in any archive. */
function eightBytes(view: DataView, at: number): number {
  const value = view.getBigUint64(at, true)
  return value > BigInt(Number.MAX_SAFE_INTEGER) ? Number.POSITIVE_INFINITY : Number(value)
}

const damaged = (why: string) =>
  new CordboardError('bad_request', `This file of the archive is not taken: ${why}`)

const noArchive = (why: string) =>
  new CordboardError('bad_request', 'Archive: expected a ZIP, seen something else', {
    why,
    fix: 'Make it anew, as .zip and not as 7z, rar or tar',
  })

const inParts = () =>
  new CordboardError('bad_request', 'Archive: expected one file, seen a part of several', {
    fix: 'Make it anew in one file',
  })
