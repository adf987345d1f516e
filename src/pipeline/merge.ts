import { type CallEvent, callEvent } from '../call/facts.ts'
import { newId } from '../call/ids.ts'
import { foldEvents, progressOf } from '../call/merge.ts'
import type { InboundRequest, Received, WebhookSide } from '../connector/contract.ts'
import { CordboardError } from '../errors.ts'
import type { Guard, Query } from '../store/port.ts'
import type { CallRow, DeliveryRow, StepRow } from '../store/schema.ts'
import { searchable } from './call-row.ts'
import { readDelivery, settle } from './delivery.ts'
import { openIssue } from './issues.ts'
import { planCall } from './plan.ts'
import { insertSteps, type Outcome, type Running } from './step.ts'

/**
 * merge: what a delivery says becomes events; the events of a call are folded into the Call; when it is ready, the next
 * steps are made. All in one batch, guarded by the call's version: the loser of two merges folds again.
 */
export async function merge(running: Running): Promise<Outcome> {
  const { step } = running
  if (!step.subject.startsWith('dlv_'))
    return mergeCalls(running, [{ callId: step.subject, events: [] }], null)

  const { row, request } = await readDelivery(running)
  const read = readEvents(running, row, request)
  if ('ignored' in read) {
    return { done: `ignored: ${read.ignored}`, queries: [settle(running, row, 'ignored', read.ignored)] }
  }
  if ('unreadable' in read) {
    const { deps } = running
    const issue = openIssue(
      deps,
      { kind: 'merge', connection: row.connection, delivery_id: row.id, step_id: step.id },
      read.unreadable,
    )
    return {
      done: `unreadable: ${read.unreadable.message}`,
      queries: [settle(running, row, 'unreadable', read.unreadable.message), issue],
    }
  }
  return mergeCalls(running, await resolve(running, read.events), row)
}

/** What the connector makes of the bytes. Authentic but unreadable deliveries are kept and marked. */
function readEvents({ connection }: Running, row: DeliveryRow, request: InboundRequest) {
  const { connector, settings, region } = connection
  const side: WebhookSide<unknown, CallEvent> | undefined =
    row.role === 'crm' ? connector.crm?.callback : connector.telephony?.webhook
  if (!side) return { ignored: `the connector ${connector.id} reads no ${row.role} webhooks` }
  let received: Received<CallEvent>
  try {
    received = side.receive(request, { connection: connection.id, config: settings, region })
  } catch (error) {
    if (error instanceof CordboardError) return { unreadable: error }
    return {
      unreadable: new CordboardError('invalid_payload', 'The connector failed on this delivery', {
        cause: error,
      }),
    }
  }
  if ('ignored' in received) return received
  for (const event of received.events) {
    const checked = callEvent.safeParse(event)
    if (!checked.success) {
      const [first] = checked.error.issues
      return {
        unreadable: new CordboardError(
          'invalid_payload',
          `The field ${first?.path.join('.')} of an event: ${first?.message}`,
        ),
      }
    }
  }
  return received
}

interface Group {
  /** Null: a call nobody has heard of. */
  callId: string | null
  /** Calls that turn out to be the same one: they are joined into `callId`. */
  joined?: string[]
  /** External ids that point at a call already. */
  known?: ReadonlyMap<string, string>
  events: CallEvent[]
}

/** Which calls the events belong to. An event may know several ids of one call: then the oldest call takes the others in. */
async function resolve({ deps, connection }: Running, events: readonly CallEvent[]): Promise<Group[]> {
  const ids = [...new Set(events.flatMap(idsOf))]
  const known = await deps.store.db
    .selectFrom('call_keys')
    .select(['external_id', 'call_id'])
    .where('connection', '=', connection.id)
    .where('external_id', 'in', ids)
    .execute()
  const callOfId = new Map(known.map((row) => [row.external_id, row.call_id]))
  const groups: Array<Group & { ids: Set<string>; calls: Set<string> }> = []
  for (const event of events) {
    const mine = { ids: new Set(idsOf(event)), calls: new Set<string>(), events: [event], callId: null }
    for (const id of mine.ids) {
      const call = callOfId.get(id)
      if (call !== undefined) mine.calls.add(call)
    }
    // Events that share an id or a call are one group.
    for (const other of groups.filter((group) => overlap(group, mine))) {
      groups.splice(groups.indexOf(other), 1)
      mine.events.unshift(...other.events)
      for (const id of other.ids) mine.ids.add(id)
      for (const call of other.calls) mine.calls.add(call)
    }
    groups.push(mine)
  }
  return groups.map(({ events: own, calls }) => {
    const [oldest, ...joined] = [...calls].sort()
    return { callId: oldest ?? null, joined, events: own, known: callOfId }
  })
}

type Overlapping = { ids: Set<string>; calls: Set<string> }
const overlap = (a: Overlapping, b: Overlapping) =>
  [...b.ids].some((id) => a.ids.has(id)) || [...b.calls].some((call) => a.calls.has(call))

const idsOf = (event: CallEvent) => [event.callId, ...(event.alsoKnownAs ?? [])]

async function mergeCalls(
  running: Running,
  groups: readonly Group[],
  delivery: DeliveryRow | null,
): Promise<Outcome> {
  const { deps } = running
  const queries: Query[] = []
  const guards: Guard[] = []
  const next: StepRow[] = []
  const says: string[] = []
  for (const group of groups) {
    const merged = await mergeOne(running, group, delivery)
    queries.push(...merged.queries)
    guards.push(...merged.guards)
    next.push(...merged.next)
    says.push(merged.says)
  }
  if (delivery) queries.push(settle(running, delivery, 'used', null))
  // The steps come after the calls they belong to, so that a batch reads in the order things happened.
  queries.push(...insertSteps(deps, next))
  return { done: says.join('; ') || 'nothing to do', queries, guards, next }
}

async function mergeOne(running: Running, group: Group, delivery: DeliveryRow | null) {
  const { deps, connection, step } = running
  const { db } = deps.store
  const joined = group.joined ?? []
  const callIds = group.callId === null ? [] : [group.callId, ...joined]
  const rows =
    callIds.length === 0 ? [] : await db.selectFrom('calls').selectAll().where('id', 'in', callIds).execute()
  const row = rows.find((candidate) => candidate.id === group.callId) ?? null
  const heardAt = row ? row.started_at : (delivery?.received_at ?? deps.now())
  const id = group.callId ?? newId('call', heardAt, deps.random)

  const stored =
    callIds.length === 0
      ? []
      : (await db.selectFrom('events').select('event').where('call_id', 'in', callIds).execute()).map(
          ({ event }) => JSON.parse(event) as CallEvent,
        )
  const knownKeys = new Set(stored.map((event) => event.key))
  const fresh = group.events.filter((event) => !knownKeys.has(event.key))
  const events = [...stored, ...fresh]
  if (events.length === 0) return { queries: [], guards: [], next: [], says: 'nothing is known of this call' }

  const externalId = row?.external_id ?? events[0]?.callId ?? ''
  const call = foldEvents(events, { id, connection: connection.id, callId: externalId })
  const progress = progressOf(events)
  const columns = searchable(call, heardAt)
  const changed = row?.call !== columns.call
  const waited = step.subject === id ? 1 : (row?.waited ?? 0)
  const plan = await planCall(deps, connection, {
    call,
    progress,
    row: row && { ...row, waited },
    changed,
    underway: row !== null && (await isUnderway(running, callIds)),
    closed: await closedConnections(running),
  })

  const values = {
    ...columns,
    state: plan.state,
    reason: plan.reason,
    generation: plan.generation,
    flow: plan.flow?.name ?? row?.flow ?? null,
    flow_version: plan.flow?.version ?? row?.flow_version ?? null,
    updated_at: deps.now(),
    wait_until: plan.waitUntil,
    waited,
    submit_hash: plan.submitHash,
  }
  const queries: Query[] = [
    ...newKeys(running, id, group),
    ...fresh.map((event) =>
      db
        .insertInto('events')
        .values({
          connection: connection.id,
          event_key: event.key,
          call_id: id,
          delivery_id: delivery?.id ?? null,
          phase: event.phase,
          received_at: delivery?.received_at ?? deps.now(),
          event: JSON.stringify(event),
        })
        .onConflict((conflict) => conflict.doNothing()),
    ),
    row
      ? db
          .updateTable('calls')
          .set({ ...values, version: row.version + 1 })
          .where('id', '=', id)
      : db.insertInto('calls').values({
          id,
          connection: connection.id,
          external_id: externalId,
          version: 1,
          analysis: null,
          joined_into: null,
          fence: 0,
          ...values,
        }),
    ...rows.filter((other) => other.id !== id).flatMap((other) => joinInto(running, other, id)),
  ]
  const guards: Guard[] = (row ? rows : [{ id, version: 0 }]).map(({ id: callId, version }) => ({
    call: callId,
    version,
  }))
  return { queries, guards, next: plan.next, says: describe(fresh, plan.state, joined.length) }
}

/** Ids nobody knew point at the call from now on; plain inserts, so that of two merges that invent one, the second folds again. */
function newKeys({ deps, connection }: Running, callId: string, group: Group): Query[] {
  const ids = new Set(group.events.flatMap(idsOf).filter((id) => !group.known?.has(id)))
  return [...ids].map((externalId) =>
    deps.store.db
      .insertInto('call_keys')
      .values({ connection: connection.id, external_id: externalId, call_id: callId }),
  )
}

/** The younger call becomes a pointer to the older; its waiting work is taken over by the plan of the joined call. */
function joinInto({ deps }: Running, other: CallRow, id: string): Query[] {
  const { db } = deps.store
  return [
    db.updateTable('events').set({ call_id: id }).where('call_id', '=', other.id),
    db.updateTable('call_keys').set({ call_id: id }).where('call_id', '=', other.id),
    db
      .updateTable('calls')
      .set({
        joined_into: id,
        state: 'done',
        reason: 'joined into another call',
        version: other.version + 1,
        wait_until: null,
      })
      .where('id', '=', other.id),
    db
      .updateTable('steps')
      .set({ state: 'done', reason: 'its call was joined into another', updated_at: deps.now() })
      .where('call_id', '=', other.id)
      .where('state', 'in', ['waiting', 'parked']),
  ]
}

async function isUnderway({ deps }: Running, callIds: readonly string[]): Promise<boolean> {
  const found = await deps.store.db
    .selectFrom('steps')
    .select('id')
    .where('call_id', 'in', callIds)
    .where('kind', 'in', ['submit', 'poll'])
    .where('state', 'in', ['waiting', 'working'])
    .limit(1)
    .execute()
  return found.length > 0
}

async function closedConnections({ deps }: Running): Promise<ReadonlySet<string>> {
  const open = await deps.store.db
    .selectFrom('breakers')
    .select('connection')
    .where('state', '=', 'open')
    .execute()
  return new Set(open.map((row) => row.connection))
}

function describe(fresh: readonly CallEvent[], state: CallRow['state'], joined: number): string {
  const heard = fresh.length === 0 ? 'nothing new' : fresh.map((event) => event.phase).join(', ')
  return `${heard} → ${state}${joined > 0 ? `, ${joined} call joined` : ''}`
}
