import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { renameSync, writeFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { writeSandboxConfig } from '../../src/sandbox/config-file.ts'
import { type RunningSandbox, serveSandbox } from '../../src/sandbox/serve.ts'
import { emptyFolder, run as runProgram } from '../evidence/checkout.ts'
import { offline, WRANGLER, workerSettings } from '../evidence/worker-bundle.ts'
import { callNo } from '../faults/company.ts'
import { pause, until } from '../faults/within.ts'

/**
 * What a call costs on Cloudflare, in what Cloudflare counts: invocations, rows and statements of D1, operations of Queues
 * and R2, as `wrangler dev` tells them. Two kinds: one that is analysed, with a result by webhook, and one that nobody
 * answered, which is only written. `--calls=N` of each, for others than 20.
 */
const CALLS = 20
const SWEEPS = 10
const WITHIN_MS = 180_000
/** Between calls: nobody shares a batch with somebody else for long. */
const PAUSE_MS = 400
const TOKEN = 'token-of-the-worker-bench'

/** Of one way into the Worker. `most` and `mostStatements` are the largest of one invocation so far. */
interface Count {
  invocations: number
  requests: number
  statements: number
  most: number
  mostStatements: number
  read: number
  written: number
  sent: number
  heard: number
  puts: number
  gets: number
}
type Counts = Record<'hook' | 'api' | 'queue' | 'scheduled', Count>

export async function run(args: string[]): Promise<void> {
  const calls = Number(args.find((arg) => arg.startsWith('--calls='))?.slice(8) ?? CALLS)
  using folder = emptyFolder()
  const url = `http://127.0.0.1:${await freePort()}`
  const sandbox = await serveSandbox({ port: 0, publicUrl: url })
  const worker = await startWorker(sandbox, folder.path, url)
  try {
    await play(sandbox, url, 1, { from: 0 })
    const before = await countsOf(url)
    for (let n = 0; n < SWEEPS; n += 1) await sweep(url)
    const idle = perCall(before, await countsOf(url), SWEEPS).scheduled
    const analysed = await play(sandbox, url, calls, { from: 100 })
    const missed = await play(sandbox, url, calls, { from: 1_000, result: 'no_answer' })
    for (const [kind, counts] of Object.entries({ analysed, missed })) {
      console.log(`${kind}, each call:`)
      console.table(counts)
    }
    console.log('one sweep over five connections with nothing to do:')
    console.table(idle)
    console.log(JSON.stringify({ calls, analysed, missed, idle }))
  } finally {
    const ended = once(worker, 'exit')
    worker.kill('SIGTERM')
    await ended
    await sandbox.stop()
  }
}

interface Played {
  /** Number of the first of them. */
  from: number
  result?: 'no_answer'
}

/** The counts of one call. */
async function play(sandbox: RunningSandbox, url: string, calls: number, { from, result }: Played) {
  const earlier = await doneCalls(url)
  const before = await countsOf(url)
  for (let at = from; at < from + calls; at += 1) {
    const call = await callNo(at, result === undefined ? {} : { result })
    for (const webhook of sandbox.world.vendor('sandbox-twilio').place?.(call) ?? [])
      await sandbox.send('sandbox-twilio', webhook)
    await pause(PAUSE_MS)
  }
  await until('all calls are done', async () => (await doneCalls(url)) === earlier + calls, WITHIN_MS)
  // What comes after that: results that come once more, messages that find nothing.
  await pause(5_000)
  return perCall(before, await countsOf(url), calls)
}

function perCall(before: Counts, after: Counts, calls: number): Counts {
  const each = (way: keyof Counts): [keyof Counts, Count] => {
    const keys = Object.keys(after[way]) as (keyof Count)[]
    const one = keys.map((key) => {
      if (key === 'most' || key === 'mostStatements') return [key, after[way][key]]
      return [key, Math.round(((after[way][key] - before[way][key]) / calls) * 100) / 100]
    })
    return [way, Object.fromEntries(one)]
  }
  return Object.fromEntries((['hook', 'api', 'queue', 'scheduled'] as const).map(each)) as Counts
}

async function doneCalls(url: string): Promise<number> {
  const answer = await fetch(`${url}/v1/calls?limit=200`, { headers: { authorization: `Bearer ${TOKEN}` } })
  const { items } = (await answer.json()) as { items: { state: string }[] }
  return items.filter(({ state }) => state === 'done').length
}

async function countsOf(url: string): Promise<Counts> {
  return (await (await fetch(`${url}/counts-of-the-bench`)).json()) as Counts
}

async function sweep(url: string): Promise<void> {
  const answer = await fetch(`${url}/cdn-cgi/handler/scheduled?cron=*+*+*+*+*`)
  await answer.arrayBuffer()
}

async function startWorker(sandbox: RunningSandbox, folder: string, url: string) {
  await writeSandboxConfig(sandbox.world, join(folder, 'cordboard.config.json'))
  renameSync(join(folder, '.env'), join(folder, '.dev.vars'))
  writeFileSync(join(folder, '.dev.vars'), `CORDBOARD_TOKENS=admin:${TOKEN}\nCORDBOARD_LOG=error\n`, {
    flag: 'a',
  })
  writeFileSync(join(folder, 'counted.mjs'), stripTypeScriptTypes(COUNTED))
  writeFileSync(
    join(folder, 'wrangler.toml'),
    workerSettings()
      .replace('/worker.mjs"', '/counted.mjs"')
      .replace(/^(command = ".*)"$/m, '$1 && cp counted.mjs .cordboard/worker/"'),
  )
  const env = offline(folder)
  const apply = [WRANGLER, 'd1', 'migrations', 'apply', 'DB', '--local']
  const migrated = await runProgram(process.execPath, apply, folder, env)
  if (migrated.code !== 0) throw new Error(migrated.err)
  const args = [WRANGLER, 'dev', '--local', '--ip', '127.0.0.1', '--port', new URL(url).port]
  const worker = spawn(process.execPath, args, { cwd: folder, env, stdio: 'ignore' })
  const isReady = () =>
    fetch(`${url}/readyz`).then(
      ({ ok }) => ok,
      () => false,
    )
  await until('the Worker is ready', isReady, WITHIN_MS)
  return worker
}

/** Stands before the Worker and counts what each invocation asks of its bindings. */
const COUNTED = `import worker from './worker.mjs'

const none = () => ({ invocations: 0, requests: 0, statements: 0, most: 0, mostStatements: 0, read: 0, written: 0, sent: 0, heard: 0, puts: 0, gets: 0 })
const counts = { hook: none(), api: none(), queue: none(), scheduled: none() }

function counted(env: any, count: ReturnType<typeof none>) {
  let here = 0
  let statements = 0
  count.invocations += 1
  const told = (results: any[]) => {
    count.requests += 1
    count.statements += results.length
    here += 1
    statements += results.length
    count.most = Math.max(count.most, here)
    count.mostStatements = Math.max(count.mostStatements, statements)
    for (const { meta } of results) {
      count.read += meta.rows_read
      count.written += meta.rows_written
    }
    return results
  }
  const wrapped = (raw: any) => ({
    raw,
    bind: (...values: unknown[]) => wrapped(raw.bind(...values)),
    all: async () => told([await raw.all()])[0],
  })
  const DB = {
    prepare: (text: string) => wrapped(env.DB.prepare(text)),
    batch: async (list: any[]) => told(await env.DB.batch(list.map(({ raw }) => raw))),
  }
  const queue = (binding: any) => ({
    sendBatch(messages: any[]) {
      count.sent += messages.length
      return binding.sendBatch(messages)
    },
  })
  const MEDIA = new Proxy(env.MEDIA, {
    get(bucket, name) {
      if (name === 'put' || name === 'list' || name === 'createMultipartUpload') count.puts += 1
      if (name === 'get' || name === 'head') count.gets += 1
      return typeof bucket[name] === 'function' ? bucket[name].bind(bucket) : bucket[name]
    },
  })
  return { ...env, DB, MEDIA, STEPS: queue(env.STEPS), MEDIA_STEPS: queue(env.MEDIA_STEPS) }
}

export default {
  fetch(request: any, env: any, context: any) {
    const { pathname } = new URL(request.url)
    if (pathname === '/counts-of-the-bench') return Response.json(counts)
    return worker.fetch(request, counted(env, pathname.startsWith('/hooks/') ? counts.hook : counts.api), context)
  },
  queue(batch: any, env: any, context: any) {
    counts.queue.heard += batch.messages.length
    return worker.queue(batch, counted(env, counts.queue), context)
  },
  scheduled(controller: any, env: any, context: any) {
    return worker.scheduled(controller, counted(env, counts.scheduled), context)
  },
}
`

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const address = probe.address()
  probe.close()
  return typeof address === 'object' && address !== null ? address.port : 0
}
