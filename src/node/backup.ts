import { chmodSync, closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync } from 'node:fs'
import { backup, DatabaseSync } from 'node:sqlite'
import { CordboardError } from '../errors.ts'
import { COPY } from './notice-restored.ts'

/** As many as the API takes: in one step, a commit meanwhile does not make the copy start over. */
const ALL_PAGES = 2 ** 31 - 1
const BUSY_MS = 5_000

/**
 * A consistent copy of a store's file while a server uses it, for its owner only. It says of itself that it is a copy, so
 * that the server that it is put back for takes nothing for undone. Answers its size.
 */
export async function backupStore(file: string, toFile: string): Promise<{ bytes: number }> {
  if (existsSync(toFile)) {
    throw new CordboardError('bad_request', `${toFile} is there already`, {
      fix: 'Name a file that is not there: a copy that was good is not written over',
    })
  }
  // Under another name until it is whole: what bears the name can be put back.
  const partial = `${toFile}.partial`
  rmSync(partial, { force: true })
  closeSync(openSync(partial, 'wx', 0o600))
  try {
    const source = new DatabaseSync(file, { readOnly: true, timeout: BUSY_MS })
    try {
      await backup(source, partial, { rate: ALL_PAGES })
    } finally {
      source.close()
    }
    const bytes = mark(partial)
    chmodSync(partial, 0o600)
    sync(partial)
    renameSync(partial, toFile)
    return { bytes }
  } catch (error) {
    rmSync(partial, { force: true })
    throw error
  }
}

function mark(file: string): number {
  const copy = new DatabaseSync(file)
  try {
    // One file without companions; the server goes back to the log of its own when it opens it.
    copy.exec('pragma journal_mode = delete')
    const now = Date.now()
    copy
      .prepare('insert or replace into settings (name, value, updated_at) values (?, ?, ?)')
      .run(COPY, String(now), now)
    const [pages, size] = ['page_count', 'page_size'].map((name) =>
      Number(Object.values(copy.prepare(`pragma ${name}`).get() ?? {})[0]),
    )
    return (pages ?? 0) * (size ?? 0)
  } finally {
    copy.close()
  }
}

function sync(file: string): void {
  const handle = openSync(file, 'r+')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}
