import { readdir, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { sql } from 'kysely'
import { type Actor, auditRow } from '../../src/pipeline/audit.ts'
import { replayDeliveries } from '../../src/pipeline/replay.ts'
import { rerunCall } from '../../src/pipeline/rerun.ts'
import { GENERIC, sandboxVendors } from '../scenarios/company.ts'
import { genericWebhook } from '../scenarios/generic.ts'
import { type Installation, install, sampleCall } from '../scenarios/installation.ts'

/**
 * Does the disk stay flat? Two simulated weeks of calls, with everything that besides them leaves rows: repetitions,
 * deliveries of no interest and unreadable ones, forged requests, unknown callers, large bodies, replays and reruns. Calls are
 * kept for a week, so from the eighth day on each day must leave as much as the one before, within a tenth of their mean.
 */
const DAYS = 14
const KEPT_DAYS = 7
const DAY_MS = 86_400_000
const HOUR_MS = 3_600_000
const TOLERANCE = 0.1
const OPERATOR: Actor & { dryRun: boolean } = { actor: 'operator', dryRun: false }
const MB = 1024 * 1024

interface Day {
  day: number
  rows: number
  /** Of the database with its log. */
  megabytes: number
  media: number
  tables: Record<string, number>
}

export async function run(args: string[]): Promise<void> {
  const say = (text: string) => process.stderr.write(`${text}\n`)
  const perDay = Number(args.find((arg) => arg.startsWith('--calls='))?.slice(8) ?? 48)
  await using it = await install({
    vendors: { ...GENERIC, ...sandboxVendors('twilio', 'xosum', 'hubspot') },
    config: { keep: { deliveries: '2 days', transcript: '2 days', calls: '7 days' } },
  })
  const days: Day[] = []
  say(`${perDay} calls a day`)
  say(' day     rows       file      media')
  for (let day = 1; day <= DAYS; day++) {
    for (let hour = 0; hour < 24; hour++) await anHour(it, day * 24 + hour, Math.ceil(perDay / 24))
    const one = await measure(it, day)
    days.push(one)
    const columns = [`${one.rows}`.padStart(8), `${one.megabytes.toFixed(2)} MB`.padStart(10)]
    say(`${String(day).padStart(4)} ${columns.join(' ')} ${`${(one.media / MB).toFixed(2)} MB`.padStart(10)}`)
  }
  report(days, perDay, say)
}

/** An hour's calls, each by a number that nobody knows yet, and what else an hour brings. */
async function anHour(it: Installation, hour: number, calls: number): Promise<void> {
  for (let n = 0; n < calls; n++) {
    const number = (hour * calls + n) % 10_000
    const customerPhone = `+33${['63998', '19900', '26191', '35301'][number % 4]}${String(number).padStart(4, '0')}`
    if (n % 2 === 0) {
      await it.play('sandbox-twilio', await sampleCall(it.now(), { customerPhone }))
      continue
    }
    const facts = { direction: 'inbound', result: 'busy', from: customerPhone }
    const webhook = genericWebhook([{ key: `${hour}-${n}`, callId: `${hour}-${n}`, phase: 'ended', facts }])
    await it.send('pbx', webhook)
    await it.send('pbx', webhook)
  }
  await it.send('pbx', { ...genericWebhook([]), body: '{"type":"of no interest"}' })
  await it.send('pbx', genericWebhook([{ key: `${hour}`, callId: `${hour}`, phase: 'singing', facts: {} }]))
  await it.send(
    'pbx',
    genericWebhook([{ key: `l${hour}`, callId: `l${hour}`, phase: 'ringing', facts: {} }], {
      padding: 'x'.repeat(300_000),
    }),
  )
  for (const path of ['/hooks/sandbox-twilio/status', `/hooks/made-up-${hour}`])
    await it.receive(new Request(`https://hooks.example.com${path}`, { method: 'POST', body: 'forged' }))
  if (hour % 24 === 0) await anOperator(it)
  await it.pass(HOUR_MS)
}

async function anOperator(it: Installation): Promise<void> {
  await replayDeliveries(it.deps, { connection: 'pbx', since: it.now() - HOUR_MS }, OPERATOR)
  const last = it.store.db.selectFrom('calls').select('id').where('state', '=', 'done')
  const call = await last.where('joined_into', 'is', null).orderBy('started_at', 'desc').executeTakeFirst()
  if (call) await rerunCall(it.deps, call.id, { from: 'match', ...OPERATOR })
  // As they were made two years ago: what of them is still there must not add up.
  const then = { ...it.deps, now: () => it.now() - 2.1 * 365 * DAY_MS }
  await it.store.atomic([], [auditRow(then, 'operator', 'replay', 'filter', '')])
}

async function measure(it: Installation, day: number): Promise<Day> {
  const { rows: names } = await sql<{ name: string }>`select name from sqlite_schema where type = 'table'
    and name not like 'sqlite_%'`.execute(it.store.db)
  const tables: Record<string, number> = {}
  for (const { name } of names) {
    const { rows } = await sql<{ count: number }>`select count(*) as count from ${sql.table(name)}`.execute(
      it.store.db,
    )
    tables[name] = Number(rows[0]?.count)
  }
  const sizes = await Promise.all(
    [it.file, `${it.file}-wal`].map((file) =>
      stat(file).then(
        ({ size }) => size,
        () => 0,
      ),
    ),
  )
  return {
    day,
    rows: Object.values(tables).reduce((sum, count) => sum + count, 0),
    megabytes: sizes.reduce((sum, size) => sum + size, 0) / MB,
    media: await bytesUnder(join(dirname(it.file), 'media')),
    tables,
  }
}

async function bytesUnder(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile())
  const sizes = await Promise.all(
    files.map(async ({ parentPath, name }) => (await stat(join(parentPath, name))).size),
  )
  return sizes.reduce((sum, size) => sum + size, 0)
}

function report(days: readonly Day[], perDay: number, say: (text: string) => void): void {
  const after = days.filter(({ day }) => day > KEPT_DAYS)
  const last = after.at(-1)
  for (const [table, count] of Object.entries(last?.tables ?? {})) {
    const values = after.map(({ tables }) => tables[table] ?? 0)
    if (count > 0) say(`${table.padEnd(18)} ${values.map((value) => String(value).padStart(7)).join('')}`)
  }
  const result = {
    callsPerDay: perDay,
    days: DAYS,
    rows: last?.rows,
    megabytes: last?.megabytes,
    rowsOff: off(after.map(({ rows }) => rows)),
    fileOff: off(after.map(({ megabytes }) => megabytes)),
    mediaOff: off(after.map(({ media }) => media)),
    node: process.version,
  }
  process.stdout.write(`${JSON.stringify(result)}\n`)
  if (Math.max(result.rowsOff, result.fileOff, result.mediaOff) > TOLERANCE) process.exitCode = 1
}

/** How far the day that differs most is from the mean, as a share of it. */
function off(values: readonly number[]): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  const most = Math.max(...values.map((value) => Math.abs(value - mean)))
  return mean === 0 ? 0 : Math.round((most / mean) * 1_000) / 1_000
}
