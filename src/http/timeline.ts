import { z } from '@hono/zod-openapi'
import type { Config } from '../config/model.ts'
import { maskSecrets } from '../connector/mask.ts'
import type { Store } from '../store/port.ts'
import { at, instantOf } from './responses.ts'

/** What happened to a call, in order of time: what was received, what it said, what was done about it. */
export const timelineEntry = z
  .object({
    at,
    kind: z.string().describe('`delivery`, `event`, `note`, or the kind of the step that ran'),
    connection: z.string(),
    outcome: z.string().describe('`received`, `said`, or how the attempt ended'),
    code: z.string().nullable(),
    says: z.string(),
    tookMs: z.int().nullable(),
    deliveryId: z.string().nullable(),
    stepId: z.string().nullable(),
  })
  .openapi('TimelineEntry')

type Entry = z.infer<typeof timelineEntry>

/** The newest of each kind are shown; a call with more than this is polled or replayed without end. */
const MOST = 500

export async function readTimeline(
  { store, config }: { store: Pick<Store, 'db'>; config: Config },
  callIds: readonly string[],
): Promise<{ timeline: Entry[]; timelineTruncated: boolean }> {
  const [events, attempts] = await Promise.all([readEvents(store, callIds), readAttempts(store, callIds)])
  const deliveries = new Map<string, Entry>()
  const said: Entry[] = []
  for (const row of events.slice(0, MOST)) {
    const none = {
      connection: row.connection,
      code: null,
      tookMs: null,
      stepId: null,
      deliveryId: row.delivery_id,
    }
    if (row.delivery_id !== null && row.delivered_at !== null) {
      const secrets = config.connections.get(row.connection)?.secrets
      const path = secrets ? maskSecrets(row.path ?? '', secrets) : ''
      const again = row.repeats ? `, sent again ${row.repeats} ×` : ''
      deliveries.set(row.delivery_id, {
        ...none,
        at: instantOf(row.delivered_at),
        kind: 'delivery',
        outcome: 'received',
        says: `${row.method} ${path === '' ? '/' : path}, ${row.bytes} bytes${again}`,
      })
    }
    said.push({ ...none, at: instantOf(row.received_at), kind: 'event', outcome: 'said', says: row.phase })
  }
  const done = attempts.slice(0, MOST).map(
    (row): Entry => ({
      at: instantOf(row.at),
      kind: row.outcome === 'note' ? 'note' : row.kind,
      connection: row.connection,
      outcome: row.outcome,
      code: row.code,
      says: row.says,
      tookMs: row.outcome === 'note' ? null : row.took_ms,
      deliveryId: null,
      stepId: row.step_id,
    }),
  )
  // Received, then said, then done: the sort is stable, so this order holds within one millisecond.
  const timeline = [...deliveries.values(), ...said.reverse(), ...done.reverse()].sort((a, b) =>
    a.at < b.at ? -1 : a.at > b.at ? 1 : 0,
  )
  return { timeline, timelineTruncated: events.length > MOST || attempts.length > MOST }
}

function readEvents({ db }: Pick<Store, 'db'>, callIds: readonly string[]) {
  return db
    .selectFrom('events')
    .leftJoin('deliveries', 'deliveries.id', 'events.delivery_id')
    .select([
      'events.connection',
      'events.phase',
      'events.received_at',
      'events.delivery_id',
      'deliveries.received_at as delivered_at',
      'deliveries.method',
      'deliveries.path',
      'deliveries.bytes',
      'deliveries.repeats',
    ])
    .where('events.call_id', 'in', callIds)
    .orderBy('events.received_at', 'desc')
    .orderBy('events.event_key', 'desc')
    .limit(MOST + 1)
    .execute()
}

function readAttempts({ db }: Pick<Store, 'db'>, callIds: readonly string[]) {
  return db
    .selectFrom('attempts')
    .select(['at', 'kind', 'connection', 'outcome', 'code', 'says', 'took_ms', 'step_id'])
    .where('call_id', 'in', callIds)
    .orderBy('id', 'desc')
    .limit(MOST + 1)
    .execute()
}
