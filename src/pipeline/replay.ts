import type { DeliveryRow } from '../store/schema.ts'
import { type Actor, auditRow } from './audit.ts'
import type { Deps } from './deps.ts'
import { bellsOf, CORE_LANE, insertSteps, newStep } from './step.ts'

export interface ReplayFilter {
  ids?: readonly string[]
  connection?: string
  state?: DeliveryRow['state']
  /** Received at or after, ms since 1970. */
  since?: number
}

export interface Replayed {
  matched: number
  replayed: number
  /** Ids of the first few. */
  sample: string[]
}

const PAGE = 90
/** Replayed deliveries stand in the same lane as what comes in now: so many a second leave it room. */
const PER_SECOND = 200

/**
 * Sends stored deliveries through today's code. The same events have the same keys and calls their ids, so nothing is
 * written twice. Works page by page in order of receipt; `dryRun` only counts.
 */
export async function replayDeliveries(
  deps: Deps,
  filter: ReplayFilter,
  options: Actor & { dryRun: boolean },
): Promise<Replayed> {
  const select = () => {
    let query = deps.store.db.selectFrom('deliveries').where('id', '>', '')
    if (filter.ids) query = query.where('id', 'in', [...filter.ids])
    if (filter.connection !== undefined) query = query.where('connection', '=', filter.connection)
    if (filter.state !== undefined) query = query.where('state', '=', filter.state)
    if (filter.since !== undefined) query = query.where('received_at', '>=', filter.since)
    return query
  }
  const counted = await select()
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .executeTakeFirst()
  const first = await select().select('id').orderBy('id').limit(5).execute()
  const answer = { matched: Number(counted?.count ?? 0), replayed: 0, sample: first.map((row) => row.id) }
  if (options.dryRun || answer.matched === 0) return answer

  const { ids, ...others } = filter
  const subject = ids === undefined ? 'filter' : ids.slice(0, 5).join(' ')
  const detail = JSON.stringify({ ...others, matched: answer.matched })
  await deps.store.atomic([], [auditRow(deps, options.actor, 'replay', subject, detail)])
  // What comes in from now on is not part of it.
  const last = await select()
    .select((eb) => eb.fn.max('id').as('id'))
    .executeTakeFirst()
  let after = ''
  for (;;) {
    const page = await select()
      .select(['id', 'connection', 'role'])
      .where('id', '>', after)
      .where('id', '<=', last?.id ?? '')
      .orderBy('id')
      .limit(PAGE)
      .execute()
    if (page.length === 0) return answer
    await replayPage(deps, page, answer.replayed)
    answer.replayed += page.length
    after = page.at(-1)?.id ?? after
  }
}

async function replayPage(
  deps: Deps,
  page: readonly Pick<DeliveryRow, 'id' | 'connection' | 'role'>[],
  before: number,
): Promise<void> {
  const { db } = deps.store
  const ids = page.map((row) => row.id)
  const last = await db
    .selectFrom('steps')
    .select(['subject', (eb) => eb.fn.max('generation').as('generation')])
    .where('kind', 'in', ['merge', 'callback'])
    .where('subject', 'in', ids)
    .groupBy('subject')
    .execute()
  const generations = new Map(last.map((row) => [row.subject, Number(row.generation)]))
  const steps = page.map((row, at) =>
    newStep(deps, {
      kind: row.role === 'analysis' ? 'callback' : 'merge',
      subject: row.id,
      callId: null,
      connection: row.connection,
      generation: (generations.get(row.id) ?? -1) + 1,
      flow: null,
      lane: CORE_LANE,
      dueAt: deps.now() + Math.floor((before + at) / PER_SECOND) * 1_000,
    }),
  )
  await deps.store.atomic(
    [],
    [
      // One that is stuck is taken over by the replay.
      db
        .updateTable('steps')
        .set({ state: 'done', reason: 'replayed', updated_at: deps.now() })
        .where('kind', 'in', ['merge', 'callback'])
        .where('subject', 'in', ids)
        .where('state', 'in', ['parked', 'dead']),
      db.updateTable('deliveries').set({ state: 'new', reason: null }).where('id', 'in', ids),
      ...insertSteps(deps, steps),
    ],
  )
  deps.queue.wake(bellsOf(steps))
}
