import { randomBytes } from 'node:crypto'
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { CordboardError } from '../errors.ts'
import type { Media } from './port.ts'

/**
 * Media as files of one folder, named by their ids. What is being written has another name until all of it is on the
 * disk, so that nobody ever reads half of it.
 */

const ID = /^[a-z0-9_-]{1,64}$/i
const UNFINISHED = /^\..*\.part$/
/** Older ones were left behind; younger ones may be another process's, which writes to the same folder. */
const LEFT_BEHIND_MS = 3_600_000
const CHUNK_BYTES = 256 * 1024

export async function openFolderMedia(dir: string): Promise<Media> {
  await mkdir(dir, { recursive: true, mode: 0o700 })
  await sweepLeftovers(dir)

  return {
    async put(id, body, maxBytes) {
      const target = pathOf(dir, id)
      const part = join(dir, `.${id}.${randomBytes(6).toString('hex')}.part`)
      const stream = body instanceof Uint8Array ? [body] : body
      try {
        const file = await onDisk(open(part, 'wx', 0o600))
        let bytes = 0
        try {
          // Leaving the loop early cancels the stream.
          for await (const chunk of stream) {
            bytes += chunk.byteLength
            if (bytes > maxBytes) {
              throw new CordboardError('too_large', `The body is larger than ${maxBytes} bytes`)
            }
            await onDisk(writeAll(file, chunk))
          }
          await onDisk(file.sync())
        } finally {
          await onDisk(file.close())
        }
        await onDisk(rename(part, target))
        await onDisk(syncFolder(dir))
        return { bytes }
      } catch (error) {
        await rm(part, { force: true })
        throw error
      }
    },

    async get(id, range) {
      const file = await openIfThere(pathOf(dir, id))
      if (file === null) return null
      try {
        const { size } = await file.stat()
        const start = Math.min(range?.start ?? 0, size)
        const end = Math.min(range?.end ?? size - 1, size - 1)
        return { body: streamOf(file, start, end + 1), bytes: Math.max(0, end + 1 - start) }
      } catch (error) {
        await file.close()
        throw error
      }
    },

    async delete(ids) {
      for (const id of ids) await rm(pathOf(dir, id), { force: true })
    },

    async check() {
      const probe = join(dir, `.check.${randomBytes(6).toString('hex')}.part`)
      try {
        const file = await onDisk(open(probe, 'wx', 0o600))
        try {
          await onDisk(writeAll(file, new Uint8Array(1)))
          await onDisk(file.sync())
        } finally {
          await file.close()
        }
      } finally {
        await rm(probe, { force: true })
      }
    },
  }
}

/** Ids come from requests too: what could name another folder is no id. */
function pathOf(dir: string, id: string): string {
  if (!ID.test(id)) throw new CordboardError('bad_request', 'This is no id of a stored file')
  return join(dir, id)
}

async function writeAll(file: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let at = 0; at < chunk.byteLength; ) {
    const { bytesWritten } = await file.write(chunk, at)
    at += bytesWritten
  }
}

/** Reads only as fast as it is read from; closes the file at the end, on an error and when it is cancelled. */
function streamOf(file: FileHandle, start: number, end: number): ReadableStream<Uint8Array> {
  let at = start
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const buffer = new Uint8Array(Math.min(CHUNK_BYTES, Math.max(0, end - at)))
          const { bytesRead } = await file.read(buffer, 0, buffer.length, at)
          if (bytesRead === 0) {
            await file.close()
            controller.close()
            return
          }
          at += bytesRead
          controller.enqueue(buffer.subarray(0, bytesRead))
        } catch (error) {
          await file.close().catch(() => undefined)
          throw error
        }
      },
      cancel: () => file.close(),
    },
    { highWaterMark: 0 },
  )
}

async function openIfThere(path: string): Promise<FileHandle | null> {
  try {
    return await open(path, 'r')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
    throw error
  }
}

/** A rename is durable when its folder is; Windows cannot open a folder and needs no such thing. */
async function syncFolder(dir: string): Promise<void> {
  if (process.platform === 'win32') return
  const folder = await open(dir, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

async function sweepLeftovers(dir: string): Promise<void> {
  for (const name of await readdir(dir)) {
    if (!UNFINISHED.test(name)) continue
    const path = join(dir, name)
    const found = await stat(path).catch(() => null)
    if (found !== null && Date.now() - found.mtimeMs > LEFT_BEHIND_MS) await rm(path, { force: true })
  }
}

/** The folder's failures in our words; those of the body's source stay as they are. */
async function onDisk<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    throw unavailable(error)
  }
}

function unavailable(cause: unknown): CordboardError {
  return new CordboardError('storage_unavailable', 'The media folder cannot be written', {
    cause,
    ...(cause instanceof Error ? { why: cause.message } : {}),
  })
}
