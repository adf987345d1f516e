import { type ChildProcess, fork } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import http from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { connectorIds, loadConnector } from '../../connectors/index.ts'
import { createApp } from '../../src/app.ts'
import { loadConfig } from '../../src/config/load.ts'
import { listen } from '../../src/node/listen.ts'
import { createLog } from '../../src/node/log.ts'
import { openDeps } from '../../src/node/open.ts'

/**
 * How much memory a file costs that is handed in: a server of its own for each size, whose resident memory is sampled while
 * the file comes over a socket, and compared with what it had before.
 */

const SELF = fileURLToPath(import.meta.url)
const MB = 1024 * 1024
const TOKEN = 'bench-token-0123456789'

export async function run(args: string[]): Promise<void> {
  const rounds = Number(args.find((arg) => arg.startsWith('--rounds='))?.slice(9) ?? 3)
  const growth: Record<number, number[]> = { 30: [], 300: [] }
  for (let round = 1; round <= rounds; round += 1) {
    for (const mb of [30, 300]) {
      const dir = await mkdtemp(join(tmpdir(), 'cordboard-upload-'))
      const server = fork(SELF, ['--server', dir], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
      try {
        const port = await next<number>(server)
        const startedAt = performance.now()
        const status = await upload(port, mb * MB)
        const seconds = round1((performance.now() - startedAt) / 1000)
        server.send('how much?')
        const growthMb = await next<number>(server)
        growth[mb]?.push(growthMb)
        process.stderr.write(`round ${round}: ${mb} MB, ${status}, +${growthMb} MB resident, ${seconds} s\n`)
        if (status !== 202) process.exitCode = 1
      } finally {
        server.kill()
        await rm(dir, { recursive: true, force: true })
      }
    }
  }
  const [growthMb30, growthMb300] = [median(growth[30] ?? []), median(growth[300] ?? [])]
  process.stdout.write(`${JSON.stringify({ growthMb30, growthMb300, rounds, node: process.version })}\n`)
  if (growthMb300 >= 128) process.exitCode = 1
}

const round1 = (value: number) => Math.round(value * 10) / 10
const median = (values: number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0

function next<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    child.once('message', (message) => resolve(message as T))
    child.once('exit', (code) => reject(new Error(`the server ended with ${code}`)))
  })
}

function upload(port: number, bytes: number): Promise<number> {
  const head =
    '--bench\r\nContent-Disposition: form-data; name="file"; filename="a.mp3"\r\nContent-Type: audio/mpeg\r\n\r\nID3'
  const tail = '\r\n--bench--\r\n'
  return new Promise((resolve, reject) => {
    const request = http.request(
      {
        port,
        host: '127.0.0.1',
        method: 'POST',
        path: '/v1/calls',
        headers: {
          authorization: `Bearer ${TOKEN}`,
          'content-type': 'multipart/form-data; boundary=bench',
          'content-length': head.length + bytes + tail.length,
        },
      },
      (response) => {
        response.resume()
        resolve(response.statusCode ?? 0)
      },
    )
    request.once('error', reject)
    request.write(head)
    const chunk = Buffer.alloc(65_536, 7)
    let left = bytes
    const more = () => {
      while (left > 0) {
        const part = left < chunk.length ? chunk.subarray(0, left) : chunk
        left -= part.length
        if (!request.write(part)) {
          request.once('drain', more)
          return
        }
      }
      request.end(tail)
    }
    more()
  })
}

async function serve(dataDir: string): Promise<void> {
  const file = {
    connections: { uploads: { use: 'intake' } },
    flows: [{ from: ['uploads'], analyze: [], write: [] }],
  }
  const loaded = await loadConfig(file, {
    connectors: { ids: connectorIds, load: loadConnector },
    resolveSecret: () => undefined,
  })
  if ('problems' in loaded) throw new Error(JSON.stringify(loaded.problems))
  const deps = await openDeps({
    config: loaded.config,
    dataDir,
    works: false,
    log: createLog({ level: 'error', secrets: [] }),
  })
  const app = createApp({ ...deps, tokens: [{ role: 'ingest', token: TOKEN }] })
  const { url } = await listen({ fetch: app.fetch, host: '127.0.0.1', port: 0 })
  const base = process.memoryUsage.rss()
  let peak = base
  setInterval(() => {
    peak = Math.max(peak, process.memoryUsage.rss())
  }, 3)
  process.on('message', () => process.send?.(round1((peak - base) / MB)))
  process.send?.(Number(new URL(url).port))
}

const [flag, dir = ''] = process.argv.slice(2)
if (flag === '--server' && process.send) await serve(dir)
else if (process.argv[1] === SELF) await run(process.argv.slice(2))
