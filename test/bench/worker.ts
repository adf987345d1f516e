import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { emptyFolder, read, root } from '../evidence/checkout.ts'
import { bundleWorker, THREE_CONNECTORS } from '../evidence/worker-bundle.ts'

/**
 * The size of a Worker with three connectors, and how much longer it takes to start than an empty one: from the making of
 * the process until it listens, and until its first answer. Both take turns on this machine, and the best of each counts,
 * since whatever else runs here only makes it slower. `--rounds=N` for others than 15.
 */
const ROUNDS = 15
const MOST_KB = 400
const MOST_MS = 80
const WORKERD = join(root, 'node_modules/workerd/bin/workerd')
const EMPTY = 'export default { fetch() { return new Response() } }\n'

interface Start {
  listeningMs: number
  answerMs: number
  cpuMs: number
}

export async function run(args: string[]): Promise<void> {
  const rounds = Number(args.find((arg) => arg.startsWith('--rounds='))?.slice(9) ?? ROUNDS)
  using bundle = await bundleWorker(THREE_CONNECTORS)
  const gzipKb = Math.round(gzipSync(bundle.text).length / 1024)
  const kb = (names: Iterable<string>) =>
    Math.round([...names].reduce((sum, name) => sum + statSync(join(bundle.folder, name)).size, 0) / 1024)
  say(
    `${gzipKb} KB gzip, ${kb(bundle.modules)} KB, ${kb(bundle.atStart)} KB of them evaluated at the start; parts:`,
  )
  for (const [name, bytes] of largest(bundle.parts)) say(`  ${Math.round(bytes / 1024)} KB ${name}`)

  using folder = emptyFolder()
  for (const name of bundle.modules) copyFileSync(join(bundle.folder, name), join(folder.path, name))
  writeFileSync(join(folder.path, 'empty.js'), EMPTY)
  writeFileSync(join(folder.path, 'empty.capnp'), serving(['empty.js']))
  writeFileSync(join(folder.path, 'full.capnp'), serving(bundle.modules))
  const starts: Record<'empty' | 'full', Start[]> = { empty: [], full: [] }
  for (let round = 0; round < rounds; round += 1) {
    starts.empty.push(await start('empty', folder.path))
    starts.full.push(await start('full', folder.path))
  }
  const over = (key: keyof Start) => Math.round(least(starts.full, key) - least(starts.empty, key))
  const startMs = over('listeningMs')
  say(`${startMs} ms over an empty Worker until it listens, ${over('answerMs')} ms until its first answer`)
  console.log(
    JSON.stringify({
      gzipKb,
      startMs,
      firstAnswerMs: over('answerMs'),
      startCpuMs: over('cpuMs'),
      emptyMs: Math.round(least(starts.empty, 'listeningMs')),
      rounds,
    }),
  )
  if (gzipKb > MOST_KB || startMs > MOST_MS) process.exitCode = 1
}

const say = (text: string) => console.error(text)
const least = (starts: readonly Start[], key: keyof Start) => Math.min(...starts.map((one) => one[key]))

/** What the bundle is made of, by library and by folder of ours. */
function largest(parts: ReadonlyMap<string, number>): [string, number][] {
  const sums = new Map<string, number>()
  for (const [path, bytes] of parts) {
    const library = /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1]
    const own = /(?:connectors|src)\/[\w-]+/.exec(path)?.[0]
    const name = library ?? own ?? path
    sums.set(name, (sums.get(name) ?? 0) + bytes)
  }
  return [...sums].sort(([, a], [, b]) => b - a).slice(0, 12)
}

/** workerd's own configuration of one Worker, with the date of wrangler.toml. */
function serving(names: readonly string[]): string {
  const date = /compatibility_date = "([\d-]+)"/.exec(read('wrangler.toml'))?.[1] ?? ''
  const modules = names.map((name) => `(name = "${name}", esModule = embed "${name}")`).join(', ')
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = (
    modules = [${modules}],
    compatibilityDate = "${date}",
  ))],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
`
}

async function start(name: string, cwd: string): Promise<Start> {
  const startedAt = performance.now()
  const child = spawn(WORKERD, ['serve', `${name}.capnp`, '--control-fd=3'], {
    cwd,
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
  })
  try {
    const control = child.stdio[3]
    if (!control || !('setEncoding' in control)) throw new Error('workerd has no control pipe')
    control.setEncoding('utf8')
    let said = ''
    for await (const chunk of control) {
      said += chunk
      if (said.includes('"port":')) break
    }
    const listeningMs = performance.now() - startedAt
    const cpuMs = cpuOf(child.pid)
    const port = /"port":(\d+)/.exec(said)?.[1]
    if (port === undefined) throw new Error(`workerd did not start: ${said}`)
    const answer = await fetch(`http://127.0.0.1:${port}/healthz`)
    await answer.arrayBuffer()
    return { listeningMs, answerMs: performance.now() - startedAt, cpuMs }
  } finally {
    const ended = child.exitCode === null ? once(child, 'exit') : null
    child.kill('SIGKILL')
    await ended
  }
}

/** Time on a processor so far, which a busy machine changes less than the clock; 0 where the system does not tell. */
function cpuOf(pid: number | undefined): number {
  if (process.platform !== 'linux') return 0
  return Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[0]) / 1e6
}
