/** Run as a process by test/store.test.ts: `migrate <file>`, or `append <file> <prefix>` until it is killed. */
import { writeSync } from 'node:fs'
import { openSqliteStore } from '../../src/store/sqlite.ts'
import { entry } from './rows.ts'

const [job = '', file = '', prefix = ''] = process.argv.slice(2)
const store = await openSqliteStore({ file })

if (job === 'migrate') {
  writeSync(1, JSON.stringify(await store.migrate()))
  await store.close()
} else {
  let next = 0
  const worker = async (): Promise<never> => {
    for (;;) {
      const { id } = await store.append(entry(`${prefix}-${next++}`))
      // Synchronous: what stands in the pipe was acknowledged, whatever happens to this process next.
      writeSync(1, `${id}\n`)
    }
  }
  await Promise.all(Array.from({ length: 16 }, worker))
}
