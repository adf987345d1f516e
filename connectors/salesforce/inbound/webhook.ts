import type { CallEvent } from '../../../src/call/facts.ts'
import type { InboundRequest, MapContext, Received, WebhookSide } from '../../../src/connector/contract.ts'
import { crc32 } from '../../../src/connector/crc32.ts'
import type { CrmChange } from '../../../src/connector/crm-role.ts'
import { utf8 } from '../../../src/connector/encoding.ts'
import { readAs } from '../../../src/connector/read.ts'
import type { Verification } from '../../../src/connector/verification.ts'
import { CordboardError } from '../../../src/errors.ts'
import { changeOf } from './change.ts'
import { kindOf, longId } from './id.ts'
import { ACKNOWLEDGED, readOutboundMessage } from './outbound-message.ts'
import { instantOf, type Row, rowOf } from './row.ts'
import { type InboundConfig, notice } from './schema.ts'
import { hasEnded, isCall, isOurs, toEvent } from './task.ts'

type Context = MapContext<InboundConfig>

/** The way in. What is sent says which task or record it is; `lookUp` reads what the task holds, and whom it names. */
export const webhook: WebhookSide<InboundConfig, CallEvent> = {
  verify: verification,
  // For both ways in: whoever sends JSON looks at the status.
  reply: ACKNOWLEDGED,
  receive(request, ctx) {
    const { inbound, orgId } = ctx.config
    if (!inbound) return { ignored: 'this connection takes nothing in: `inbound` is not configured' }
    const told = inbound.by === 'outbound message' ? byMessage(request, orgId) : byNotice(request, orgId)
    return sorted(told, request, ctx)
  },
}

function verification({ inbound }: InboundConfig): Verification {
  if (inbound?.by === 'signed JSON') {
    const timestamp = 'x-cordboard-timestamp'
    return {
      scheme: 'hmac',
      hash: 'sha256',
      encoding: ['hex', 'base64'],
      header: 'x-cordboard-signature',
      signed: [{ header: timestamp }, { text: '.' }, { body: true }],
      secrets: inbound.secret,
      freshness: { header: timestamp, unit: 's', toleranceMs: 300_000 },
    }
  }
  // Outbound messages are not signed: what is secret is the end of the URL. Without one nothing verifies.
  return { scheme: 'token', place: { path: true }, secrets: inbound?.token ?? [] }
}

/** One thing that a request says. */
type Told =
  | { object: string; id: string | null; row: Row; key: string }
  | { change: CrmChange['change']; id: string; into: string | null }

function byMessage({ body }: InboundRequest, orgId: string | undefined): Told[] {
  return readOutboundMessage(body, orgId).map(({ id, object, row }) => ({
    object,
    id: longId(row.Id),
    row,
    // Sent until it is acknowledged, at times twice: the notification's id stays.
    key: `notification:${id}`,
  }))
}

function byNotice(request: InboundRequest, orgId: string | undefined): Told[] {
  const { organizationId, tasks, records } = readAs(notice, request.json(), 'Salesforce: the signed JSON')
  if (orgId !== undefined && organizationId !== undefined && longId(organizationId) !== longId(orgId)) {
    throw new CordboardError('invalid_payload', 'Salesforce: the signed JSON is of another organisation', {
      fix: 'Set orgId to the Organization ID of Setup, Company Information; then replay what came meanwhile',
    })
  }
  return [
    ...tasks.map((task): Told => {
      const row: Row = typeof task === 'string' ? { Id: task } : rowOf(task)
      const sum = crc32(utf8(JSON.stringify(Object.entries(row).sort(([a], [b]) => (a < b ? -1 : 1)))))
      return { object: 'Task', id: longId(row.Id), row, key: `told:${sum.toString(16)}` }
    }),
    ...records.map(({ change, id, into }): Told => ({ change, id, into: longId(into) })),
  ]
}

function sorted(all: readonly Told[], { receivedAt }: InboundRequest, ctx: Context): Received<CallEvent> {
  const { calls } = ctx.config
  const events: CallEvent[] = []
  const lookUp = new Set<string>()
  const changes: CrmChange[] = []
  const idle: string[] = []
  for (const told of all) {
    if ('change' in told) {
      const change = changeOf(told)
      if (change) changes.push(change)
      else idle.push(`a record that no call is written on was ${told.change}`)
      continue
    }
    const { object, id, row, key } = told
    if (object !== 'Task') {
      const change = deletionOf(row)
      if (change) changes.push(change)
      else idle.push(`${object}: it says nothing that a call needs`)
    } else if (id === null || kindOf(id) !== 'Task') idle.push('Task: its id is not told')
    else if (!calls) idle.push('Task: this connection takes no calls from Salesforce (`calls`)')
    else {
      const what = whyNot(row, ctx.config)
      if (what !== null) idle.push(`Task: ${what}`)
      else {
        const at = instantOf(row.LastModifiedDate) ?? receivedAt
        if (calls.lookUp || !isWhole(row, ctx.config)) lookUp.add(id)
        else events.push(toEvent(row, id, { key: `${id}:${key}`, at }, calls, ctx))
      }
    }
  }
  if (events.length + lookUp.size + changes.length === 0) return { ignored: named(idle) }
  return {
    events,
    ...(lookUp.size > 0 ? { lookUp: [...lookUp] } : {}),
    ...(changes.length > 0 ? { changes } : {}),
  }
}

/** Why a task is no call of ours; null: it is one, or only reading it will tell. */
function whyNot(row: Row, config: InboundConfig): string | null {
  if (isCall(row) === false) return 'it is no call'
  if (hasEnded(row) === false) return 'the call is planned, not made'
  return isOurs(row, config) === true ? 'Cordboard wrote it' : null
}

/** Only what says that it is a call, made, and by somebody else, is believed without reading it. */
const isWhole = (row: Row, config: InboundConfig): boolean =>
  isCall(row) === true && hasEnded(row) === true && isOurs(row, config) === false

// ── Records that are gone ───────────────────────────────────────────────────────────────────────────────────────────

/**
 * "When a record is deleted after losing a merge operation, its MasterRecordId field is set to the ID of the winning record"
 * https://developer.salesforce.com/docs/atlas.en-us.apexcode.meta/apexcode/apex_triggers_merge_statements.htm (2026-11-27)
 */
function deletionOf({ Id, IsDeleted, MasterRecordId }: Row): CrmChange | null {
  const into = longId(MasterRecordId)
  if (IsDeleted !== 'true' && into === null) return null
  return changeOf({ change: into === null ? 'deleted' : 'merged', id: Id ?? '', into })
}

/** "Task: it is no call (3); Case: it says nothing that a call needs" */
function named(idle: readonly string[]): string {
  const counts = Map.groupBy(idle, (what) => what)
  const texts = [...counts]
    .slice(0, 5)
    .map(([what, { length }]) => (length > 1 ? `${what} (${length})` : what))
  return texts.join('; ').slice(0, 400) || 'it names no task and no record'
}
