import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { newId } from '../../src/call/ids.ts'
import { STORE_FILE } from '../../src/node/open.ts'
import { newStep } from '../../src/pipeline/step.ts'
import { MIGRATIONS } from '../../src/store/migrations.ts'
import type { DeliveryRow, StepRow } from '../../src/store/schema.ts'
import { openSqliteStore } from '../../src/store/sqlite.ts'
import { type Company, openCompany } from '../faults/company.ts'
import { until } from '../faults/within.ts'

/**
 * How long a start takes when a million deliveries wait to be read, a thousand of them held by a worker that is gone. The
 * whole program in a process of its own; times are counted from the moment the process is made. `--steps=N` for others.
 */
const STEPS = 1_000_000
const HELD = 1_000
const CONNECTION = 'sandbox-zadarma'
const READY_MS = 10_000
const FIRST_STEP_MS = 15_000
const LOOK_AFTER_MS = 10_000

export async function run(args: string[]): Promise<void> {
  const steps = Number(args.find((arg) => arg.startsWith('--steps='))?.slice(8) ?? STEPS)
  await using company = await openCompany()
  const file = join(company.dataDir, STORE_FILE)
  const empty = await openSqliteStore({ file })
  await empty.migrate()
  await empty.close()
  const fillingAt = performance.now()
  const megabytes = fill(file, steps, company.publicUrl)
  console.error(`${steps} steps stored in ${seconds(fillingAt)} s, ${megabytes} MB`)

  const startedAt = performance.now()
  const child = await company.child({ leaseMs: 20_000, sweepMs: 2_000, log: 'error' })
  await child.go()
  const listeningMs = Math.round(performance.now() - startedAt)
  await until(
    'it is ready',
    async () => (await fetch(`${company.publicUrl}/readyz`).catch(() => null))?.status === 200,
    60_000,
  )
  const readyMs = Math.round(performance.now() - startedAt)
  await until('the first step is done', () => doneSteps(company) > 0, 60_000)
  const firstStepMs = Math.round(performance.now() - startedAt)
  await new Promise((resolve) => setTimeout(resolve, LOOK_AFTER_MS))
  const stepsPerSecond = Math.round(doneSteps(company) / ((performance.now() - startedAt) / 1000))
  const held = heldSteps(company)
  const rssMb = Math.round((await child.stats()).rssBytes / 1024 / 1024)
  console.error(
    `listening after ${listeningMs} ms, ready after ${readyMs} ms, first step after ${firstStepMs} ms`,
  )
  console.error(`then ${stepsPerSecond} steps/s; ${held} still held by the worker that is gone; ${rssMb} MB`)
  const result = { steps, megabytes, listeningMs, readyMs, firstStepMs, stepsPerSecond, held, rssMb }
  console.log(JSON.stringify({ ...result, node: process.version }))
  if (readyMs > READY_MS || firstStepMs > FIRST_STEP_MS) process.exitCode = 1
}

function doneSteps(company: Company): number {
  // The attempts are few, the steps are many.
  return Number(company.rows('select count(*) as n from attempts')[0]?.n)
}

function heldSteps(company: Company): number {
  return Number(company.rows("select count(*) as n from steps where lease = 'gone'")[0]?.n)
}

const seconds = (since: number) => Math.round((performance.now() - since) / 100) / 10

/** Writes past the store; indexes are made at the end, which is faster. Answers the megabytes of the file. */
function fill(file: string, steps: number, publicUrl: string): number {
  const db = new DatabaseSync(file)
  db.exec('pragma synchronous = off; pragma cache_size = -262144')
  const indexes = MIGRATIONS.flatMap(({ statements }) =>
    statements.flatMap((statement) => {
      const name = /^create (?:unique )?index ((?:deliveries|steps)_\w+)/.exec(statement)?.[1]
      return name === undefined ? [] : [{ name, statement }]
    }),
  )
  for (const { name } of indexes) db.exec(`drop index ${name}`)
  const now = Date.now()
  const insert = (table: string, sample: DeliveryRow | StepRow) => {
    const names = Object.keys(sample)
    return db.prepare(
      `insert into ${table} (${names.join(', ')}) values (${names.map(() => '?').join(', ')})`,
    )
  }
  const [first, firstStep] = pair(0, now - steps, publicUrl)
  const deliveries = insert('deliveries', first)
  const waiting = insert('steps', firstStep)
  for (let next = 0; next < steps; ) {
    db.exec('begin')
    for (const end = Math.min(next + 20_000, steps); next < end; next += 1) {
      const [delivery, step] = pair(next, now - steps + next, publicUrl)
      deliveries.run(...Object.values<string | number | Uint8Array | null>({ ...delivery }))
      waiting.run(...Object.values<string | number | null>({ ...step }))
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

const HEADERS = new TextEncoder().encode(
  JSON.stringify([
    ['content-type', 'application/x-www-form-urlencoded'],
    ['signature', 'MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nw=='],
    ['user-agent', 'a phone system'],
  ]),
)

/** The beginning of a call nobody has heard of, and the step that reads it. */
function pair(at: number, receivedAt: number, publicUrl: string): [DeliveryRow, StepRow] {
  const id = newId('dlv', receivedAt, Math.random)
  const body = new TextEncoder().encode(
    new URLSearchParams({
      event: 'NOTIFY_START',
      call_start: '2026-11-20 12:00:00',
      pbx_call_id: `in_${String(at).padStart(40, '0')}`,
      caller_id: '33639981234',
      called_did: '33199000100',
    }).toString(),
  )
  const step = newStep(
    { now: () => receivedAt, random: Math.random },
    {
      kind: 'merge',
      subject: id,
      callId: null,
      connection: CONNECTION,
      generation: 0,
      flow: null,
      lane: 'core',
    },
  )
  return [
    {
      id,
      connection: CONNECTION,
      role: 'telephony',
      received_at: receivedAt,
      method: 'POST',
      url: `${publicUrl}/hooks/${CONNECTION}`,
      path: '',
      headers: HEADERS,
      body,
      media_id: null,
      bytes: body.byteLength,
      dedupe_key: `bench-${at}`,
      repeats: 0,
      state: 'new',
      reason: null,
    },
    at < HELD ? { ...step, state: 'working', lease: 'gone', lease_until: receivedAt } : step,
  ]
}
