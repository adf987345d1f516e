import { Zip, ZipPassThrough } from 'fflate'
import { CordboardError } from '../errors.ts'
import { utf8 } from './encoding.ts'
import { isPlainName } from './zip-read.ts'

/** A file of an archive. */
export interface ZipEntry {
  /** Of a file and no folder. */
  name: string
  /** Exact: the archive's size follows from it. */
  bytes: number
  open(): Promise<ReadableStream<Uint8Array>>
}

export interface ZipBody {
  /** Of the whole archive, known before anything is read: presigned uploads want a length. */
  bytes: number
  body: ReadableStream<Uint8Array>
}

const LOCAL_HEADER = 30
const DESCRIPTOR = 16
const CENTRAL_HEADER = 46
const END = 22
/** Beyond these an archive needs ZIP64, which not every reader knows. */
const MOST_BYTES = 0xffff_ffff
const MOST_ENTRIES = 0xffff
/** Archives carry a date. This one says nothing, and makes the same files the same archive. */
const DATE = new Date(1980, 0, 1)

/**
 * A ZIP archive of stored files, made while it is read: one file after the other is opened, and nothing is held. Audio is
 * compressed already, and only stored files tell the archive's size beforehand.
 */
export function zipStored(entries: readonly ZipEntry[]): ZipBody {
  const bytes = entries.reduce((sum, { name, bytes: size }) => {
    if (!isPlainName(name)) throw unfit('The name of a file is not plain')
    return sum + LOCAL_HEADER + DESCRIPTOR + CENTRAL_HEADER + 2 * utf8(name).length + size
  }, END)
  if (bytes > MOST_BYTES || entries.length > MOST_ENTRIES)
    throw unfit('The files are too many for one archive')
  const chunks = archive(entries)
  return {
    bytes,
    body: new ReadableStream<Uint8Array>(
      {
        async pull(controller) {
          const { done, value } = await chunks.next()
          if (done) controller.close()
          else controller.enqueue(value)
        },
        cancel: async () => void (await chunks.return(undefined)),
      },
      // Nothing is read ahead of the one who reads us.
      { highWaterMark: 0 },
    ),
  }
}

async function* archive(entries: readonly ZipEntry[]): AsyncGenerator<Uint8Array, undefined> {
  let made: Uint8Array[] = []
  const zip = new Zip((error, chunk) => {
    if (error) throw error
    if (chunk.length > 0) made.push(chunk)
  })
  const take = () => {
    const taken = made
    made = []
    return taken
  }
  for (const entry of entries) {
    const file = new ZipPassThrough(entry.name)
    file.mtime = DATE
    zip.add(file)
    let left = entry.bytes
    // Leaving the loop early, by an error or because nobody reads on, cancels the file's stream.
    for await (const chunk of await entry.open()) {
      left -= chunk.byteLength
      if (left < 0) break
      file.push(chunk)
      yield* take()
    }
    if (left !== 0) throw changed(entry, left)
    file.push(new Uint8Array(), true)
    yield* take()
  }
  zip.end()
  yield* take()
}

function changed({ bytes }: ZipEntry, left: number): CordboardError {
  return new CordboardError('vendor_down', 'The recording has not the size that was announced', {
    why: left < 0 ? `More than the ${bytes} bytes came` : `${bytes - left} of ${bytes} bytes came`,
  })
}

const unfit = (message: string) => new CordboardError('invalid_payload', message)
