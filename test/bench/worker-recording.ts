import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { next, start } from './recording.ts'

/**
 * How much memory a recording costs inside workerd on its way from the phone system to the analysis service, with the
 * product's own HTTP and multipart. Each round has a fresh workerd, under `wrangler dev`; its resident memory is compared
 * with what it had when the Worker had carried one small recording. Linux: the kernel's own peak is read.
 */

const HERE = fileURLToPath(new URL('.', import.meta.url))
const WRANGLER = fileURLToPath(new URL('../../node_modules/wrangler/bin/wrangler.js', import.meta.url))
const MB = 1024 * 1024
const ROUNDS = 3
const MOST_GROWTH_MB = 16

export async function run(args: string[]): Promise<void> {
  const rounds = Number(args.find((arg) => arg.startsWith('--rounds='))?.slice(9) ?? ROUNDS)
  const servers = [start('source'), start('sink')]
  try {
    const [source = 0, sink = 0] = await Promise.all(servers.map((server) => next<number>(server)))
    const growth: Record<number, number[]> = { 200: [], 800: [] }
    for (let round = 1; round <= rounds; round += 1) {
      await using worker = await startWorker()
      await worker.carry(source, sink, MB)
      for (const mb of [200, 800]) {
        const carried = await worker.carry(source, sink, mb * MB)
        growth[mb]?.push(carried.growthMb)
        console.error(
          `round ${round}: ${mb} MB, +${carried.growthMb} MB resident, ${carried.seconds} s, ${carried.cpuSeconds} s CPU`,
        )
      }
    }
    const growthMb200 = median(growth[200] ?? [])
    const growthMb800 = median(growth[800] ?? [])
    const worstMb200 = Math.max(...(growth[200] ?? []))
    console.log(JSON.stringify({ growthMb200, worstMb200, growthMb800, rounds, node: process.version }))
    if (growthMb200 > MOST_GROWTH_MB) process.exitCode = 1
  } finally {
    for (const server of servers) server.kill()
  }
}

async function startWorker() {
  const dir = await mkdtemp(join(tmpdir(), 'cordboard-bench-'))
  const config = join(dir, 'wrangler.toml')
  const main = JSON.stringify(join(HERE, 'worker-recording-worker.ts'))
  await writeFile(config, `name = "bench"\nmain = ${main}\ncompatibility_date = "2026-10-23"\n`)
  const child = spawn(
    process.execPath,
    [WRANGLER, 'dev', '--config', config, '--ip', '127.0.0.1', '--port', '0'],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: {
        ...process.env,
        CLOUDFLARE_CF_FETCH_ENABLED: 'false',
        WRANGLER_SEND_METRICS: 'false',
        XDG_CONFIG_HOME: dir,
      },
    },
  )
  const base = await address(child)
  const pids = (await descendants(child.pid ?? 0)).filter(({ name }) => name === 'workerd')
  if (pids.length === 0) throw new Error('there is no workerd process')

  return {
    async carry(source: number, sink: number, bytes: number) {
      const before = await Promise.all(pids.map(({ pid }) => memory(pid)))
      await Promise.all(pids.map(({ pid }) => writeFile(`/proc/${pid}/clear_refs`, '5')))
      const cpuBefore = await cpuSeconds(pids)
      const startedAt = performance.now()
      const response = await fetch(`${base}/${source}/${sink}/${bytes}`)
      if (!response.ok) throw new Error(`the Worker failed: ${await response.text()}`)
      await response.arrayBuffer()
      const seconds = round1((performance.now() - startedAt) / 1000)
      const after = await Promise.all(pids.map(({ pid }) => memory(pid)))
      const growth = after.map(({ peakKb }, at) => peakKb - (before[at]?.residentKb ?? 0))
      return {
        // Wrangler has a second workerd in front, which sees the small request only.
        growthMb: round1(growth.reduce((sum, kb) => sum + kb, 0) / 1024),
        seconds,
        cpuSeconds: round1((await cpuSeconds(pids)) - cpuBefore),
      }
    },
    async [Symbol.asyncDispose]() {
      const ended = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGINT')
      await ended
      await rm(dir, { recursive: true })
    },
  }
}

function address(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    child.stdout?.on('data', (chunk: Buffer) => {
      text += chunk
      const base = /Ready on (http:\/\/[\d.:]+)/.exec(text)?.[1]
      if (base !== undefined) resolve(base)
    })
    child.once('exit', (code) => reject(new Error(`wrangler dev ended with ${code}: ${text}`)))
  })
}

async function descendants(root: number): Promise<{ pid: number; name: string }[]> {
  const all = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)
  const found: { pid: number; name: string; parent: number }[] = []
  for (const pid of all) {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
    const [, name = '', parent] = /^\d+ \((.*)\) \S (\d+)/.exec(stat) ?? []
    if (parent !== undefined) found.push({ pid, name, parent: Number(parent) })
  }
  const below = (pid: number): typeof found =>
    found.filter(({ parent }) => parent === pid).flatMap((one) => [one, ...below(one.pid)])
  return below(root)
}

async function memory(pid: number): Promise<{ residentKb: number; peakKb: number }> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  const kb = (field: string) => Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1])
  return { residentKb: kb('VmRSS'), peakKb: kb('VmHWM') }
}

async function cpuSeconds(pids: readonly { pid: number }[]): Promise<number> {
  const ticks = pids.map(async ({ pid }) => {
    const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).replace(/^.*\) /, '').split(' ')
    return Number(fields[11]) + Number(fields[12])
  })
  return (await Promise.all(ticks)).reduce((sum, one) => sum + one, 0) / 100
}

const round1 = (value: number) => Math.round(value * 10) / 10
const median = (values: number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
