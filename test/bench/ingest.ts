import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freshDatabase, startPostgres } from '../services/postgres.ts'

/**
 * How fast authentic webhooks are accepted durably, as a share of the same server whose store forgets: signature checked
 * over 1.5 KB, delivery and step committed with `synchronous=FULL`, then the 2xx. Rounds of both kinds alternate, because
 * a shared machine changes its speed; the ratio is the median over pairs. Rows are counted against 2xx afterwards.
 *
 * `--profile cluster`: the same with PostgreSQL and `synchronous_commit=on`, on the server of DATABASE_URL or one started
 * for it, which then takes its share of the same cores.
 */
const ROUNDS = 5
const CONNECTIONS = 64
const SECONDS = 4
const MOST_PER_SECOND = 24_000
const SECRET = `whsec_${Buffer.from('bench-ingest-secret-0001').toString('base64')}`

interface Round {
  /** CPU of the server process, all threads, per accepted request. */
  cpuUs: number
  accepted: number
  other: number
  seconds: number
  p50Ms: number
  p99Ms: number
}

export async function run(args: string[]): Promise<void> {
  const dataDir = await mkdtemp(join(tmpdir(), 'cordboard-bench-'))
  const isCluster = args.join(' ').includes('--profile cluster')
  const database = isCluster ? await openDatabase() : null
  const server = start('ingest-server.ts', dataDir, SECRET, database?.url ?? '')
  try {
    const { port } = (await answer(server)) as { port: number }
    const load = start('ingest-load.ts', String(port), SECRET, String(CONNECTIONS), String(SECONDS))
    const pairs: { durable: Round; storeless: Round }[] = []
    let acknowledged = 0
    const round = async (durable: boolean): Promise<Round> => {
      await ask(load, { prepare: MOST_PER_SECOND * SECONDS })
      await ask(server, { durable })
      const sent = (await ask(load, { run: true })) as Omit<Round, 'cpuUs'>
      const { cpuUs } = (await ask(server, { cpu: true })) as { cpuUs: number }
      const result = { ...sent, cpuUs: cpuUs / sent.accepted }
      if (result.other > 0) throw new Error(`${result.other} requests were not accepted`)
      if (durable) acknowledged += result.accepted
      return result
    }
    // One pair to warm up, which counts only for the rows.
    await round(false)
    await round(true)
    for (let index = 0; index < ROUNDS; index += 1) {
      // Which kind goes first alternates as well.
      const first = await round(index % 2 === 0)
      const second = await round(index % 2 !== 0)
      pairs.push(
        index % 2 === 0 ? { durable: first, storeless: second } : { durable: second, storeless: first },
      )
      console.error(line(index, pairs.at(-1)))
    }
    const counted = (await ask(server, { count: true })) as { rows: number; rss: number }
    if (counted.rows !== acknowledged)
      throw new Error(`${acknowledged} acknowledged, ${counted.rows} in the store`)
    const ratios = pairs.map((pair) => rate(pair.durable) / rate(pair.storeless))
    const result = {
      ratio: round2(median(ratios)),
      storeless: Math.round(median(pairs.map((pair) => rate(pair.storeless)))),
      durable: Math.round(median(pairs.map((pair) => rate(pair.durable)))),
      p50Ms: round2(median(pairs.map((pair) => pair.durable.p50Ms))),
      p99Ms: round2(median(pairs.map((pair) => pair.durable.p99Ms))),
      spread: round2(Math.max(...ratios) - Math.min(...ratios)),
      cpuUs: Math.round(median(pairs.map((pair) => pair.durable.cpuUs))),
      storelessCpuUs: Math.round(median(pairs.map((pair) => pair.storeless.cpuUs))),
      rssMb: Math.round(counted.rss / 1e6),
    }
    if (!args.includes('--json')) {
      console.log(
        `${result.durable} durable of ${result.storeless} storeless requests/s: ${result.ratio} (aim ≥ ${isCluster ? '0.5' : '0.75'}); rows = 2xx: ${counted.rows}`,
      )
    }
    console.log(JSON.stringify(result))
    load.disconnect()
    server.send({ stop: true })
    await once(server, 'exit')
  } finally {
    server.kill()
    await database?.drop()
    await rm(dataDir, { recursive: true, force: true })
  }
}

function openDatabase(): Promise<{ url: string; drop(): Promise<void> }> {
  return process.env.DATABASE_URL === undefined ? startPostgres() : freshDatabase()
}

function start(file: string, ...args: string[]): ChildProcess {
  return fork(fileURLToPath(new URL(file, import.meta.url)), args, {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
}

async function answer(child: ChildProcess): Promise<unknown> {
  const [message] = (await once(child, 'message')) as unknown[]
  return message
}

function ask(child: ChildProcess, message: object): Promise<unknown> {
  const answered = answer(child)
  child.send(message)
  return answered
}

const rate = (round: Round) => round.accepted / round.seconds
const round2 = (value: number) => Math.round(value * 100) / 100

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}

function line(index: number, pair: { durable: Round; storeless: Round } | undefined): string {
  if (!pair) return ''
  const { durable, storeless } = pair
  return `round ${index + 1}: durable ${Math.round(rate(durable))}/s (p99 ${durable.p99Ms.toFixed(1)} ms, ${Math.round(durable.cpuUs)} µs CPU), storeless ${Math.round(rate(storeless))}/s (p99 ${storeless.p99Ms.toFixed(1)} ms, ${Math.round(storeless.cpuUs)} µs CPU)`
}
