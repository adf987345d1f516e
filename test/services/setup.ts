import { execFile } from 'node:child_process'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { binaries, FFMPEG, POSTGRES, REDIS } from './binaries.ts'
import { DOOR, endShared, once, type Shared } from './one-per-run.ts'
import { startPostgres } from './postgres.ts'
import { startRedis } from './redis.ts'

const start: Record<string, () => Promise<Shared>> = { postgres: startPostgres, redis: startRedis }

/** Called by vitest, in its own process, around each run. */
export default async function setup(): Promise<() => Promise<void>> {
  await Promise.all([fetchMissing(), compile()])
  const door = createServer((request, response) => {
    const name = request.url?.slice(1) ?? ''
    const begin = start[name]
    if (!begin) return void response.writeHead(404).end()
    once(name, begin).then(
      ({ url }) => response.end(url),
      (error: unknown) => response.writeHead(500).end(error instanceof Error ? error.message : String(error)),
    )
  })
  await new Promise<void>((resolve) => {
    door.listen(0, '127.0.0.1', resolve)
  })
  process.env[DOOR] = `http://127.0.0.1:${(door.address() as AddressInfo).port}`
  return async () => {
    delete process.env[DOOR]
    door.close()
    door.closeAllConnections()
    await endShared()
  }
}

/** Before the first test, because a download would not fit into a test's time. Who then needs what is missing says so. */
async function fetchMissing(): Promise<void> {
  const wanted = [POSTGRES, REDIS, FFMPEG].filter(
    ({ variable }) => variable === null || process.env[variable] === undefined,
  )
  await Promise.allSettled(wanted.map((one) => binaries(one)))
}

/** Into NODE_COMPILE_CACHE, which is written when a process ends by itself: those that the tests kill never would. */
async function compile(): Promise<void> {
  const program = ['serve', 'work'].map((name) => `import './src/node/${name}.ts'`).join(';')
  const cwd = fileURLToPath(new URL('../../', import.meta.url))
  await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program], { cwd })
}
