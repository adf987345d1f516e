import { type CallEvent, callEvent } from '../call/facts.ts'
import { ID_PREFIXES, idTime, newId } from '../call/ids.ts'
import { foldEvents, progressOf } from '../call/merge.ts'
import { CordboardError } from '../errors.ts'
import type { Guard, Query } from '../store/port.ts'
import type { DeliveryRow, StepRow } from '../store/schema.ts'
import { searchable } from './call-row.ts'
import { crmChanges } from './crm-change.ts'
import { readDelivery, receiveWith, settleDelivery, unreadable } from './delivery.ts'
import { markErased } from './erased.ts'
import { joinInto } from './join.ts'
import { isPast } from './keep.ts'
import { callRows, isUnderway, newKeys, saveEvent, storedEvents } from './known-call.ts'
import { readTold } from './listed.ts'
import { countMissed } from './missed.ts'
import { planCall } from './plan.ts'
import { type Group, idsOf, resolve } from './resolve.ts'
import { type Follow, newStep, type Outcome, type Running } from './step.ts'
import { noteOnce } from './timeline.ts'

/**
 * merge: what a delivery says becomes events; the events of a call are folded into the Call; when it is ready, the next
 * steps are made. All in one batch, guarded by the call's version: the loser of two merges folds again.
 */
export async function merge(running: Running): Promise<Outcome> {
  const { step, connection } = running
  if (!step.subject.startsWith('dlv_')) {
    // The wait for the recording is over.
    const {
      says,
      isNews: _,
      ...merged
    } = await mergeOne(running, { callIds: [step.subject], events: [], known: new Set() }, null)
    return { done: says, ...merged }
  }
  const { row, request } = await readDelivery(running)
  const { connector } = connection
  const { webhook, intake } = connector.telephony ?? {}
  const side = row.role === 'crm' ? connector.crm?.callback : (webhook ?? intake)
  const isList = row.role === 'list'
  const received = isList ? readTold(request) : receiveWith<CallEvent>(connection, side, request)
  if ('unreadable' in received) return unreadable(running, row, received.unreadable)
  if ('ignored' in received) {
    const { ignored } = received
    return { done: `ignored: ${ignored}`, queries: [settleDelivery(running, row, 'ignored', ignored)] }
  }
  const fault = received.events.map(faultOf).find((error) => error !== null)
  if (fault) return unreadable(running, row, fault)

  const { events, lookUp = [], changes = [] } = received
  const changed = await crmChanges(running, changes)
  const merged = await mergeEvents(running, events, row, 'missed' in received && received.missed === true)
  const next = [...merged.next]
  const saysNothing = merged.isErased && lookUp.length === 0 && changes.length === 0
  const says = [...changed.says, ...(merged.says ? [merged.says] : [])]
  if (lookUp.length > 0) {
    says.push(`${lookUp.length} calls are looked up`)
    next.push(lookUpStep(running, row))
  }
  const settled = saysNothing
    ? settleDelivery(running, row, 'ignored', merged.says)
    : settleDelivery(running, row, 'used', null)
  const queries = [...changed.queries, ...merged.queries, settled]
  return { done: says.join('; ') || 'nothing to do', queries, guards: merged.guards, next }
}

function lookUpStep({ deps, step, connection }: Running, row: DeliveryRow): StepRow {
  const { generation } = step
  return newStep(deps, {
    kind: 'look_up',
    subject: row.id,
    callId: null,
    connection: connection.id,
    generation,
    flow: null,
  })
}

interface MergedEvents extends Required<Pick<Follow, 'queries' | 'guards' | 'next'>> {
  says: string
  /** All of them are of calls that somebody had erased. */
  isErased: boolean
}

/** Events of a delivery, each folded into its call. */
export async function mergeEvents(
  running: Running,
  events: readonly CallEvent[],
  row: DeliveryRow,
  missed = false,
): Promise<MergedEvents> {
  const queries: Query[] = []
  const guards: Guard[] = []
  const next: StepRow[] = []
  const says: string[] = []
  const { groups, erased } = await resolve(running, events)
  for (const group of groups) {
    const merged = await mergeOne(running, group, row)
    queries.push(...merged.queries)
    guards.push(...merged.guards)
    next.push(...merged.next)
    says.push(merged.says)
    if (missed && merged.isNews) queries.push(countMissed(running.deps, running.connection.id))
  }
  if (erased.size > 0) {
    const names = [...erased].map((id) => ({ connection: running.connection.id, of: 'call' as const, id }))
    queries.push(...(await markErased(running.deps, names)))
    says.push('of a call that was erased: not taken again')
  }
  const isErased = erased.size > 0 && groups.length === 0
  return { queries, guards, next, says: says.join('; '), isErased }
}

/** What a connector hands over is checked like what a vendor sends. */
export function faultOf(event: CallEvent): CordboardError | null {
  const { error } = callEvent.safeParse(event)
  const [first] = error?.issues ?? []
  return first
    ? new CordboardError('invalid_payload', `The field ${first.path.join('.')} of an event: ${first.message}`)
    : null
}

/** Who handed a call in has been told its id already: it is one of those that the event knows. */
function promisedId(events: readonly CallEvent[]): string | undefined {
  return events
    .flatMap(idsOf)
    .find((id) => id.startsWith(`${ID_PREFIXES.call}_`) && !Number.isNaN(idTime(id)))
}

type Merged = Required<Pick<Follow, 'queries' | 'guards' | 'next'>> & {
  says: string
  /** Nobody had told of the call before, or not of its end. */
  isNews: boolean
}

async function mergeOne(running: Running, group: Group, delivery: DeliveryRow | null): Promise<Merged> {
  const { deps, connection, step } = running
  const { db } = deps.store
  const rows = await callRows(running, group.callIds)
  const [row = null, ...others] = rows
  const heardAt = row ? row.started_at : (delivery?.received_at ?? deps.now())
  const promised = connection.connector.telephony?.intake && promisedId(group.events)
  const id = row?.id ?? (promised || newId('call', heardAt, deps.random))

  const stored = await storedEvents(running, rows)
  // A delivery that is sent through today's code again may be read differently than it was.
  const isReplay = delivery !== null && step.generation > 0
  const fresh = [...new Map(group.events.map((event) => [event.key, event])).values()].filter((event) => {
    const before = stored.get(event.key)
    return before === undefined || (isReplay && before !== JSON.stringify(event))
  })
  const before = [...stored.values()].map((event) => JSON.parse(event) as CallEvent)
  const freshKeys = new Set(fresh.map((event) => event.key))
  const events = [...before.filter((event) => !freshKeys.has(event.key)), ...fresh]
  if (events.length === 0)
    return { queries: [], guards: [], next: [], says: 'nothing is known of this call', isNews: false }

  const externalId = row?.external_id ?? events[0]?.callId ?? ''
  const folded = foldEvents(events, { id, connection: connection.id, callId: externalId })
  const { transcript: _, ...withoutTranscript } = folded
  const call = isPast(deps, heardAt) ? withoutTranscript : folded
  const columns = searchable(call, heardAt)
  const plan = await planCall(deps, connection, {
    call,
    progress: progressOf(events),
    before: before.length === 0 ? null : progressOf(before),
    rows: rows.map((one) => (step.subject === one.id ? { ...one, waited: 1 } : one)),
    isNew: row?.call !== columns.call || isReplay,
    underway: () => isUnderway(running, group.callIds),
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
    waited: plan.waited,
    submit_hash: plan.submitHash,
    ...(others.length > 0 ? { analysis: plan.analysis } : {}),
  }
  const first = {
    id,
    connection: connection.id,
    external_id: externalId,
    version: 1,
    analysis: null,
    joined_into: null,
    fence: 0,
  }
  const queries: Query[] = [
    ...newKeys(running, id, group),
    ...fresh.map((event) => saveEvent(running, id, event, delivery)),
    row
      ? db
          .updateTable('calls')
          .set({ ...values, version: row.version + 1 })
          .where('id', '=', id)
      : db.insertInto('calls').values({ ...first, ...values }),
    ...plan.queries,
    // Nothing else of the call would tell why no service has it.
    ...(plan.says === undefined ? [] : await noteOnce(running, id, plan.says)),
  ]
  let shift = row?.generation ?? 0
  for (const other of others) {
    if (row) queries.push(...(await joinInto(running, row, other, shift)))
    shift += other.generation
  }
  const guards = row
    ? rows.map((one) => ({ call: one.id, version: one.version }))
    : [{ call: id, version: 0 }]
  const heard = fresh.length === 0 ? 'nothing new' : fresh.map((event) => event.phase).join(', ')
  const joined = others.length > 0 ? `, ${others.length} joined` : ''
  return {
    queries,
    guards,
    next: plan.next,
    isNews: row === null || row.state === 'open',
    says: `${heard} → ${plan.state}${joined}${plan.says ? `; ${plan.says}` : ''}`,
  }
}
