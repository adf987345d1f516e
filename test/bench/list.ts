import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { newId } from '../../src/call/ids.ts'
import { phoneSearchKeys, phoneTail } from '../../src/call/phone.ts'
import { type CallPage, listCalls } from '../../src/store/list-calls.ts'
import { MIGRATIONS } from '../../src/store/migrations.ts'
import type { CallRow } from '../../src/store/schema.ts'
import { openSqliteStore } from '../../src/store/sqlite.ts'

/**
 * What the list of calls costs, at ten thousand and at a million stored calls: its first page, and the search for a
 * customer's number, through the function that HTTP and the command line use. About ten calls per number.
 */

const SELF = fileURLToPath(import.meta.url)
const PAGE = 50
const BLOCKS = 5
const RUNS = BLOCKS * 400
const WARM_UP = 100
const NOW = Date.UTC(2026, 2, 2, 9)
const YEAR_MS = 365 * 24 * 3_600_000

interface Prepared {
  calls: number
  megabytes: number
  pages: number[]
  searches: number[]
  page(): Promise<CallPage>
  search(): Promise<CallPage>
  close(): Promise<void>
}

export async function run(args: string[]): Promise<void> {
  const say = (text: string) => process.stderr.write(`${text}\n`)
  const large = Number(args.find((arg) => arg.startsWith('--calls='))?.slice(8) ?? 1_000_000)
  const folder = await mkdtemp(join(tmpdir(), 'cordboard-bench-list-'))
  try {
    const few = await prepare(folder, 10_000, say)
    const many = await prepare(folder, large, say)
    const sizes = [few, many]
    // In turns, so that whatever else the machine does meets both alike.
    for (let n = -WARM_UP; n < RUNS; n++) {
      for (const size of sizes) {
        const page = await time(() => size.page(), PAGE)
        const search = await time(() => size.search(), 1)
        if (n < 0) continue
        size.pages.push(page)
        size.searches.push(search)
      }
    }
    for (const size of sizes) await size.close()
    report(few, many, say)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function report(few: Prepared, many: Prepared, say: (text: string) => void): void {
  say('     calls     file   first page p50 / p99   phone search p50 / p99')
  for (const { calls, megabytes, pages, searches } of [few, many]) {
    const columns = [`${calls}`.padStart(10), `${megabytes} MB`.padStart(8)]
    for (const took of [pages, searches]) {
      columns.push(`${round(at(took, 0.5))} / ${round(at(took, 0.99))} ms`.padStart(22))
    }
    say(columns.join(' '))
  }
  const ratio = (share: number, of: 'pages' | 'searches') => round(at(many[of], share) / at(few[of], share))
  const result = {
    p99Ms: round(at(many.pages, 0.99)),
    searchP99Ms: round(at(many.searches, 0.99)),
    ratio: ratio(0.99, 'pages'),
    searchRatio: ratio(0.99, 'searches'),
    p50Ratio: ratio(0.5, 'pages'),
    searchP50Ratio: ratio(0.5, 'searches'),
    calls: many.calls,
    runs: RUNS,
    node: process.version,
  }
  process.stdout.write(`${JSON.stringify(result)}\n`)
  const slow = Math.max(result.p99Ms, result.searchP99Ms) > 25
  if (slow || Math.max(result.ratio, result.searchRatio) > 2) process.exitCode = 1
}

async function prepare(folder: string, calls: number, say: (text: string) => void): Promise<Prepared> {
  const file = join(folder, `${calls}.db`)
  const empty = await openSqliteStore({ file })
  await empty.migrate()
  await empty.close()
  const startedAt = performance.now()
  const megabytes = fill(file, calls)
  say(`${calls} calls stored in ${round((performance.now() - startedAt) / 1000)} s, ${megabytes} MB`)
  const store = await openSqliteStore({ file })
  const numbers = Math.max(1, Math.floor(calls / 10))
  const random = generator(7)
  return {
    calls,
    megabytes,
    pages: [],
    searches: [],
    page: () => listCalls(store.db, {}, null, PAGE),
    search() {
      const phone = phoneSearchKeys(numberOf(Math.floor(random() * numbers)))
      return listCalls(store.db, { phone }, null, PAGE)
    },
    close: () => store.close(),
  }
}

async function time(read: () => Promise<CallPage>, atLeast: number): Promise<number> {
  const startedAt = performance.now()
  const { rows } = await read()
  const took = performance.now() - startedAt
  if (rows.length < atLeast) throw new Error(`a query found only ${rows.length} calls`)
  return took
}

/** The median of the quantile over blocks of runs: one hiccup of a shared machine is not what a p99 of 0.3 ms is about. */
function at(took: readonly number[], share: number): number {
  const length = Math.ceil(took.length / BLOCKS)
  const blocks = Array.from({ length: BLOCKS }, (_, block) =>
    took.slice(block * length, (block + 1) * length),
  )
  return quantile(
    blocks.map((block) => quantile(block, share)),
    0.5,
  )
}

function quantile(values: readonly number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length * share)] ?? Number.NaN
}

/** Writes the rows without the store: only reading is measured. Indexes are made at the end, which is faster. */
function fill(file: string, calls: number): number {
  const db = new DatabaseSync(file)
  db.exec('pragma synchronous = off; pragma cache_size = -262144')
  const indexes = MIGRATIONS.flatMap(({ statements }) =>
    statements.flatMap((statement) => {
      const name = /^create index (calls_\w+)/.exec(statement)?.[1]
      return name === undefined ? [] : [{ name, statement }]
    }),
  )
  for (const { name } of indexes) db.exec(`drop index ${name}`)
  const random = generator(calls)
  const names = Object.keys(row(0, calls, random))
  const insert = db.prepare(
    `insert into calls (${names.join(', ')}) values (${names.map(() => '?').join(', ')})`,
  )
  for (let next = 0; next < calls; ) {
    db.exec('begin')
    for (const end = Math.min(next + 20_000, calls); next < end; next++) {
      insert.run(...Object.values<string | number | null>({ ...row(next, calls, random) }))
    }
    db.exec('commit')
  }
  for (const { statement } of indexes) db.exec(statement)
  db.exec('pragma wal_checkpoint(truncate)')
  const pages = db.prepare('select page_count * page_size as bytes from pragma_page_count, pragma_page_size')
  const bytes = Number(pages.get()?.bytes)
  db.close()
  return Math.round(bytes / 1024 / 1024)
}

/** From the British numbers reserved for fiction onwards. */
const numberOf = (customer: number): string => `+4477009${String(customer).padStart(5, '0')}`

/** One of `calls` calls of the past year, oldest first; a twentieth of them is only a pointer to another. */
function row(at: number, calls: number, random: () => number): CallRow {
  const startedAt = NOW - YEAR_MS + Math.floor((YEAR_MS * at) / calls)
  const id = newId('call', startedAt, random)
  const phone = numberOf(Math.floor(random() * Math.max(1, Math.floor(calls / 10))))
  const talkMs = Math.floor(random() * 600_000)
  const connection = random() < 0.7 ? 'support-paris' : 'sales-lyon'
  const direction = random() < 0.6 ? 'inbound' : 'outbound'
  const result = random() < 0.8 ? 'answered' : 'no_answer'
  const state = random() < 0.95 ? 'done' : 'attention'
  const agent = { id: '17', name: 'Noor Haddad', extension: '117', group: 'Support' }
  const iso = (ms: number) => new Date(ms).toISOString()
  const call = {
    id,
    medium: 'voice',
    source: { connection, callId: `CA${at.toString(16).padStart(32, '0')}` },
    direction,
    result,
    startedAt: iso(startedAt),
    answeredAt: iso(startedAt + 7_000),
    endedAt: iso(startedAt + 7_000 + talkMs),
    ringMs: 7_000,
    talkMs,
    totalMs: talkMs + 7_000,
    customer: { phone, phoneRaw: phone, name: 'Ingrid Bergström' },
    agent,
    legs: [
      { agent, from: phone, to: '117', startedAt: iso(startedAt), endedAt: iso(startedAt + talkMs), result },
    ],
    recordings: [
      {
        url: `https://api.example.com/recordings/RE${at.toString(16).padStart(32, '0')}.mp3`,
        format: 'mp3',
        durationMs: talkMs,
        tracks: { left: 'agent', right: 'customer' },
      },
    ],
    language: 'en',
    tags: ['billing', 'renewal'],
    meta: { trunk: 'paris-1', codec: 'opus', queueWait: '4' },
  }
  return {
    id,
    connection,
    external_id: call.source.callId,
    state,
    reason: null,
    version: 3,
    generation: 1,
    flow: 'support',
    flow_version: '5f2c',
    started_at: startedAt,
    ended_at: startedAt + 7_000 + talkMs,
    updated_at: startedAt + 900_000,
    wait_until: null,
    waited: 0,
    direction,
    result,
    customer_phone: phone,
    customer_tail: phoneTail(phone),
    agent_extension: '117',
    submit_hash: '9a7d1c',
    call: JSON.stringify(call),
    analysis: '{"language":"en","summary":"The customer asked about an invoice and was called back."}',
    joined_into: random() < 0.05 ? 'call_another' : null,
    fence: 3,
  }
}

const round = (value: number): number => Math.round(value * 100) / 100

/** Mulberry32: the same rows every time. */
function generator(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

if (process.argv[1] === SELF) await run(process.argv.slice(2))
