import type { Kysely } from 'kysely'
import { sql } from 'kysely'
import { oldestWaiting, STILL_MS } from '../../pipeline/standstill.ts'
import { CORE_LANE } from '../../pipeline/step.ts'
import { sinceSweep } from '../../pipeline/turn.ts'
import type { BreakerRow, Schema } from '../../store/schema.ts'
import type { Patient } from './diagnose.ts'
import type { Finding } from './finding.ts'

type Needs = Pick<Patient, 'configured' | 'now' | 'running'>

const AREA = 'work'
/** Causes of one kind are told so often; the rest is counted. */
const MOST_TOLD = 5

/**
 * Does everything move, and if not, why: nobody works, a lane's breaker is open, its connection is gone, its places are
 * taken, nobody takes its steps; and what is parked waits for whom.
 */
export async function movementFindings(db: Kysely<Schema>, patient: Needs): Promise<Finding[]> {
  const clock = sql<number>`cast(${Math.trunc(patient.now())} as bigint)`
  const [swept, oldest, working, breakers] = await Promise.all([
    sweepFinding(db, patient),
    oldestWaiting({ db, clock }),
    db
      .selectFrom('steps')
      .select((eb) => ['lane', eb.fn.countAll<number>().as('count')])
      .where('state', '=', sql.lit('working'))
      .groupBy('lane')
      .execute(),
    db.selectFrom('breakers').selectAll().where('state', '=', 'open').execute(),
  ])
  const still = oldest.filter(({ dueForMs }) => dueForMs > STILL_MS)
  const busy = new Map(working.map(({ lane, count }) => [lane, Number(count)]))
  const open = new Map(breakers.map((row) => [row.connection, row]))
  // Where nobody works nothing else is the cause.
  const lanes = swept.some(({ level }) => level === 'problem')
    ? []
    : still.map(({ lane, dueForMs }) =>
        laneFinding(patient, { lane, dueForMs, busy: busy.get(lane) ?? 0, open }),
      )
  return [...swept, ...lanes, ...(await stuckFindings(db))]
}

async function sweepFinding(db: Kysely<Schema>, { running, now, configured }: Needs): Promise<Finding[]> {
  const clock = sql<number>`cast(${Math.trunc(now())} as bigint)`
  const ms = await sinceSweep({ db, clock })
  const isShared = configured.services.databaseUrl !== null
  // A data folder on which no server runs: that is its own finding, and nothing is expected to move.
  if (!isShared && !running) return []
  // A server on a folder sweeps when it starts; no row there means that none of this version has run on it yet.
  if (ms === null ? !isShared : ms <= STILL_MS) return []
  const says =
    ms === null ? 'no worker has ever looked for work' : `no worker has looked for work for ${spanOf(ms)}`
  const fix = isShared
    ? 'Start one: cordboard work; if one runs, look at its log: can it reach the database?'
    : 'Look at the log of the server, then restart it'
  return [{ level: 'problem', area: AREA, says, fix }]
}

interface Lane {
  lane: string
  dueForMs: number
  busy: number
  open: ReadonlyMap<string, BreakerRow>
}

function laneFinding({ configured, now }: Needs, { lane, dueForMs, busy, open }: Lane): Finding {
  const { connections } = configured.config
  const waits = `due steps wait, the oldest for ${spanOf(dueForMs)}`
  const about = lane === CORE_LANE ? { area: AREA } : { area: AREA, connection: lane }
  const breaker = open.get(lane)
  if (lane !== CORE_LANE && !connections.has(lane)) {
    const fix = 'Add the connection back, or restart the workers, which then park its steps'
    return { ...about, level: 'problem', says: `${waits}: the configuration has no such connection`, fix }
  }
  if (breaker) {
    const since = spanOf(now() - Number(breaker.opened_at ?? now()))
    const says = `${waits}: its breaker has been open for ${since} (${breaker.code ?? 'unknown'})`
    const fix = `Put right what cordboard issues says of ${lane}; then they go on by themselves`
    return { ...about, level: 'warning', says, fix }
  }
  if (busy > 0) {
    const fix =
      lane === CORE_LANE
        ? 'Start another worker, or give this machine more'
        : `Raise concurrency of ${lane} if the vendor allows it, or start another worker`
    return { ...about, level: 'warning', says: `${waits}: ${busy} of its steps are under way`, fix }
  }
  const fix = 'Look at the log of the workers and compare their configuration, then restart them'
  return { ...about, level: 'problem', says: `${waits}: no worker takes them`, fix }
}

/** What waits for a person, by what it waits for. Through the index of what is stuck. */
async function stuckFindings(db: Kysely<Schema>): Promise<Finding[]> {
  const rows = await db
    .selectFrom('steps')
    .select((eb) => ['connection', 'code', 'state', eb.fn.countAll<number>().as('count')])
    .where(sql<boolean>`state in ('parked', 'dead')`)
    .groupBy(['connection', 'code', 'state'])
    .execute()
  const all = rows.map((row) => ({ ...row, count: Number(row.count) })).toSorted((a, b) => b.count - a.count)
  const told = all.slice(0, MOST_TOLD).map(({ connection, code, state, count }): Finding => {
    const what = count === 1 ? '1 step' : `${count} steps`
    const says = `${what} ${state === 'parked' ? 'parked' : 'failed for good'} (${code ?? 'unknown'})`
    return { level: 'warning', area: AREA, connection, says, fix: 'cordboard issues' }
  })
  const others = all.slice(MOST_TOLD).reduce((sum, { count }) => sum + count, 0)
  if (others === 0) return told
  return [
    ...told,
    { level: 'warning', area: AREA, says: `${others} more steps are stuck`, fix: 'cordboard issues' },
  ]
}

/** `14 min`: as exact as it matters here. */
function spanOf(ms: number): string {
  const s = Math.max(0, Math.round(ms / 1_000))
  if (s < 120) return `${s} s`
  return s < 7_200 ? `${Math.round(s / 60)} min` : `${Math.round(s / 3_600)} h`
}
