import { createReadStream, createWriteStream, existsSync, statSync } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { basename, extname, resolve } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { ReadableStream as NodeReadable } from 'node:stream/web'
import type { GivenFile } from '../connector/contract.ts'
import { CordboardError } from '../errors.ts'
import type { Io } from './io.ts'

const TYPES: Record<string, string> = {
  '.wav': 'audio/wav',
  '.mp3': 'audio/mpeg',
  '.ogg': 'audio/ogg',
  '.opus': 'audio/ogg',
  '.m4a': 'audio/mp4',
  '.flac': 'audio/flac',
  '.csv': 'text/csv',
  '.txt': 'text/plain',
  '.json': 'application/json',
  '.zip': 'application/zip',
}

/** The file that `--file` names, read as it is sent. */
export function givenFile(path: string, { cwd }: Pick<Io, 'cwd'>): GivenFile {
  const full = resolve(cwd, path)
  const found = statSync(full, { throwIfNoEntry: false })
  if (!found?.isFile()) {
    throw new CordboardError('bad_request', `There is no file ${path}`, {
      fix: 'Name a file with --file PATH',
    })
  }
  return {
    name: basename(full),
    contentType: TYPES[extname(full).toLowerCase()] ?? 'application/octet-stream',
    bytes: found.size,
    open: async () => Readable.toWeb(createReadStream(full)) as ReadableStream<Uint8Array>,
  }
}

/** Where an answer goes that is a file. */
export interface Destination {
  /** Answers the bytes that were written. What breaks off leaves nothing behind. */
  write(body: ReadableStream<Uint8Array>): Promise<number>
  path: string
}

/** Asked for before anything is sent: a file that stands there stays, unless `overwrite`. */
export function destination(path: string, overwrite: boolean, { cwd }: Pick<Io, 'cwd'>): Destination {
  const full = resolve(cwd, path)
  if (existsSync(full) && !overwrite) throw standsThere(path)
  return {
    path,
    async write(body) {
      const target = overwrite ? `${full}.${process.pid}.part` : full
      const file = createWriteStream(target, { flags: 'wx', mode: 0o600 })
      file.once('error', () => undefined)
      let isOurs = false
      file.once('open', () => {
        isOurs = true
      })
      try {
        await pipeline(Readable.fromWeb(body as NodeReadable<Uint8Array>), file)
        if (overwrite) await rename(target, full)
        return file.bytesWritten
      } catch (error) {
        if (isOurs) await rm(target, { force: true })
        throw isOurs || codeOf(error) !== 'EEXIST' ? error : standsThere(path)
      }
    },
  }
}

const codeOf = (error: unknown): unknown => (error as NodeJS.ErrnoException | null)?.code

function standsThere(path: string): CordboardError {
  return new CordboardError('bad_request', `${path} is there already`, {
    fix: 'Name another file, or add --yes to replace it',
  })
}
