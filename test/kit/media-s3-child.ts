/** Run as a process by test/media-s3.test.ts: puts a stream, or bytes, until it is killed; or passes 300 MB through. */
import { type ChildProcess, spawn } from 'node:child_process'
import { writeSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { openS3Media, type S3Settings } from '../../src/media/s3.ts'
import { createHttpFetch } from '../../src/node/http-fetch.ts'

const MB = 1024 * 1024
const FILE = fileURLToPath(import.meta.url)

export interface Told {
  put: number
  got: number
  intact: boolean
  /** Highest resident memory above that of the process at rest. */
  putGrowthMb: number
  gotGrowthMb: number
}

export function child(job: string, settings: S3Settings): { process: ChildProcess; said: Promise<string> } {
  const started = spawn(process.execPath, ['--expose-gc', FILE, job, JSON.stringify(settings)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  return { process: started, said: new Response(started.stdout as never).text() }
}

if (process.argv[1] === FILE) {
  const [job, settings = ''] = process.argv.slice(2)
  const media = await openS3Media({ ...JSON.parse(settings), http: createHttpFetch() })
  if (job === 'stream') await media.put('a', striped(Number.POSITIVE_INFINITY), 1024 * MB)
  else if (job === 'bytes') await media.put('a', new Uint8Array(64 * MB), 64 * MB)
  else {
    // Once through everything first: the memory of the code is not that of the bytes.
    await media.put('warm', striped(65_536), 65_536)
    await drain('warm')
    const [putGrowthMb, { bytes: put }] = await growth(() => media.put('large', striped(300 * MB), 300 * MB))
    const [gotGrowthMb, { bytes: got, intact }] = await growth(() => drain('large'))
    await media.delete(['warm', 'large'])
    writeSync(1, JSON.stringify({ put, got, intact, putGrowthMb, gotGrowthMb } satisfies Told))
  }

  async function drain(id: string) {
    let bytes = 0
    let intact = true
    for await (const chunk of (await media.get(id))?.body ?? []) {
      // First and last byte of every chunk: comparing all of them would be the slowest part.
      intact &&= chunk[0] === stripe(bytes) && chunk.at(-1) === stripe(bytes + chunk.byteLength - 1)
      bytes += chunk.byteLength
    }
    return { bytes, intact }
  }
}

async function growth<T>(work: () => Promise<T>): Promise<[number, T]> {
  globalThis.gc?.()
  const rest = process.memoryUsage.rss()
  let most = rest
  let ticks = 0
  const watch = setInterval(() => {
    // What is needed is meant, and not what nobody has swept up yet on a busy machine.
    if (++ticks % 10 === 0) globalThis.gc?.()
    most = Math.max(most, process.memoryUsage.rss())
  }, 5)
  const result = await work()
  clearInterval(watch)
  return [Math.round((most - rest) / MB), result]
}

function stripe(at: number): number {
  return Math.floor(at / 65_536) % 251
}

/** Gives the same memory again and again: a source that leaves its own behind would be measured too. */
function striped(bytes: number): ReadableStream<Uint8Array> {
  const chunk = new Uint8Array(65_536)
  let at = 0
  return new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        if (at >= bytes) return controller.close()
        controller.enqueue(chunk.fill(stripe(at)))
        at += chunk.byteLength
      },
    },
    { highWaterMark: 0 },
  )
}
