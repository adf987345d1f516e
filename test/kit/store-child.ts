/**
 * Run as a process by the tests of the stores: `migrate <file or url>`, or `append <file or url> <prefix>` until it is
 * killed.
 */
import { writeSync } from 'node:fs'
import { openPostgresStore } from '../../src/store/postgres.ts'
import { openSqliteStore } from '../../src/store/sqlite.ts'
import { entry } from './rows.ts'

/**
 * Synchronous: what stands in the pipe was acknowledged, whatever happens to this process next. A pipe that its reader has
 * let fill up is waited for, as it does not block by itself.
 */
function say(line: string): void {
  for (;;) {
    try {
      writeSync(1, line)
      return
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5)
    }
  }
}

const [job = '', target = '', prefix = ''] = process.argv.slice(2)
const store = target.startsWith('postgres:')
  ? await openPostgresStore({ url: target })
  : await openSqliteStore({ file: target })

if (job === 'migrate') {
  writeSync(1, JSON.stringify(await store.migrate()))
  await store.close()
} else {
  let next = 0
  const worker = async (): Promise<never> => {
    for (;;) {
      const { id } = await store.append(entry(`${prefix}-${next++}`))
      say(`${id}\n`)
    }
  }
  await Promise.all(Array.from({ length: 16 }, worker))
}
