import { type ChildProcess, fork } from 'node:child_process'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { multipart } from '../../src/connector/multipart.ts'
import { zipStored } from '../../src/connector/zip.ts'
import { createHttpFetch } from '../../src/node/http-fetch.ts'

/**
 * How much memory a recording costs on its way from the phone system to the analysis service. Source and sink are
 * processes of their own; each size is carried by a fresh process, whose resident memory is sampled and compared with
 * what it had before its first request. Bytes are counted at the sink. With `--zip` they are an archive of 20 recordings.
 */

const SELF = fileURLToPath(import.meta.url)
const MB = 1024 * 1024
const ROUNDS = 3
const FILES = 20

interface Carried {
  growthMb: number
  seconds: number
  cpuSeconds: number
}

export async function run(args: string[]): Promise<void> {
  const say = (text: string) => process.stderr.write(`${text}\n`)
  const rounds = Number(args.find((arg) => arg.startsWith('--rounds='))?.slice(9) ?? ROUNDS)
  const files = args.includes('--zip') ? FILES : 1
  const servers = [start('source'), start('sink')]
  try {
    const [source, sink] = await Promise.all(servers.map((server) => next<number>(server)))
    const measured: Record<number, number[]> = { 300: [], 1200: [] }
    for (let round = 1; round <= rounds; round += 1) {
      for (const mb of [300, 1200]) {
        const child = start('relay', String(source), String(sink), String(mb * MB), String(files))
        const carried = await next<Carried>(child)
        measured[mb]?.push(carried.growthMb)
        const { growthMb, seconds, cpuSeconds } = carried
        say(`round ${round}: ${mb} MB, +${growthMb} MB resident, ${seconds} s, ${cpuSeconds} s CPU`)
      }
    }
    const growthMb300 = median(measured[300] ?? [])
    const growthMb1200 = median(measured[1200] ?? [])
    const worst = Math.max(...(measured[300] ?? []), ...(measured[1200] ?? []))
    const extraMb = round1(growthMb1200 - growthMb300)
    const result = { growthMb300, growthMb1200, extraMb, worstMb: worst, rounds, node: process.version }
    process.stdout.write(`${JSON.stringify(result)}\n`)
    if (growthMb300 >= 128 || extraMb > (files === 1 ? 20 : 64)) process.exitCode = 1
  } finally {
    for (const server of servers) server.kill()
  }
}

export function start(...args: string[]): ChildProcess {
  return fork(SELF, ['--role', ...args], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
}

export function next<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    child.once('message', (message) => resolve(message as T))
    child.once('exit', (code) => reject(new Error(`a process of the bench ended with ${code}`)))
  })
}

const round1 = (value: number) => Math.round(value * 10) / 10
const median = (values: number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0

// ── The processes ───────────────────────────────────────────────────────────────────────────────────────────────────

function listen(handler: http.RequestListener): void {
  const server = http.createServer(handler).listen(0, '127.0.0.1', () => {
    process.send?.((server.address() as AddressInfo).port)
  })
}

/** The phone system: `GET /<bytes>`. */
function source(): void {
  const chunk = Buffer.alloc(65_536, 7)
  listen((request, response) => {
    let left = Number(request.url?.slice(1))
    response.writeHead(200, { 'content-type': 'audio/wav', 'content-length': left })
    const more = () => {
      while (left > 0) {
        const part = left < chunk.length ? chunk.subarray(0, left) : chunk
        left -= part.length
        if (!response.write(part)) {
          response.once('drain', more)
          return
        }
      }
      response.end()
    }
    more()
  })
}

/** The analysis service: counts what it gets. */
function sink(): void {
  listen((request, response) => {
    let bytes = 0
    request.on('data', (part: Buffer) => {
      bytes += part.length
    })
    request.on('end', () => response.end(JSON.stringify({ bytes })))
  })
}

/** Us. */
async function relay(from: number, to: number, bytes: number, files: number): Promise<void> {
  const fetch = createHttpFetch()
  const request = {
    headers: {},
    signal: new AbortController().signal,
    timeoutMs: 30_000,
    maxBytes: 4096 * MB,
    redirects: 0,
    allowPrivate: ['127.0.0.1'],
  }
  const base = process.memoryUsage.rss()
  const before = process.resourceUsage()
  let peak = base
  const sampler = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage.rss())
  }, 3)
  const startedAt = performance.now()

  const open = async (size: number) => {
    const url = new URL(`http://127.0.0.1:${from}/${size}`)
    const { body } = await fetch(url, { ...request, method: 'GET' })
    if (!body) throw new Error('the source sent no body')
    return body
  }
  const form = files === 1 ? oneFile(bytes, await open(bytes)) : archiveOf(files, bytes, open)
  const answer = await fetch(new URL(`http://127.0.0.1:${to}/`), {
    ...request,
    method: 'POST',
    headers: { 'content-type': form.contentType, 'content-length': String(form.contentLength) },
    body: form.body,
  })
  const got = (await answer.json()) as { bytes: number }
  if (got.bytes !== form.contentLength) throw new Error(`the sink counted ${got.bytes} bytes`)

  clearInterval(sampler)
  const after = process.resourceUsage()
  // The kernel's own high-water mark, where the transfer raised it above what loading the program had reached.
  if (after.maxRSS > before.maxRSS) peak = Math.max(peak, after.maxRSS * 1024)
  const cpu = after.userCPUTime + after.systemCPUTime - before.userCPUTime - before.systemCPUTime
  const carried: Carried = {
    growthMb: round1((peak - base) / MB),
    seconds: round1((performance.now() - startedAt) / 1000),
    cpuSeconds: round1(cpu / 1e6),
  }
  process.send?.(carried, () => process.exit(0))
}

function oneFile(bytes: number, body: ReadableStream<Uint8Array>) {
  const file = { name: 'file', fileName: 'call.wav', contentType: 'audio/wav', body, bytes }
  return multipart({ language: 'uz' }, file, 'cordboard-bench')
}

function archiveOf(
  files: number,
  bytes: number,
  open: (size: number) => Promise<ReadableStream<Uint8Array>>,
) {
  const size = Math.floor(bytes / files)
  const entries = Array.from({ length: files }, (_, i) => ({
    name: `call_${i}.wav`,
    bytes: size,
    open: () => open(size),
  }))
  const { bytes: contentLength, body } = zipStored(entries)
  return { contentType: 'application/zip', contentLength, body }
}

const [flag, role, ...numbers] = process.argv.slice(2)
if (flag === '--role' && process.send) {
  if (role === 'source') source()
  if (role === 'sink') sink()
  if (role === 'relay') {
    const [from = 0, to = 0, bytes = 0, files = 1] = numbers.map(Number)
    await relay(from, to, bytes, files)
  }
} else if (process.argv[1] === SELF) await run(process.argv.slice(2))
