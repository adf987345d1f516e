import type { Agent, Direction } from '../../../src/call/call.ts'
import type { CallEvent, Facts } from '../../../src/call/facts.ts'
import { normalisePhone, type Phone } from '../../../src/call/phone.ts'
import type { MapContext } from '../../../src/connector/contract.ts'
import { kindOf, longId } from './id.ts'
import { recordingOf } from './recording.ts'
import { instantOf, type Row } from './row.ts'
import type { CallSource, InboundConfig } from './schema.ts'

type Context = Pick<MapContext<InboundConfig>, 'connection' | 'config' | 'region'>

/**
 * A Task as a call. Fields of Task:
 * https://developer.salesforce.com/docs/atlas.en-us.252.0.object_reference.meta/object_reference/sforce_api_objects_task.htm
 * (read 2026-11-20)
 */

/** What is read of a task; `Id` first. */
export function taskFields({ externalIdField }: InboundConfig, calls: CallSource): string[] {
  const own = [calls.startField, calls.phoneField, calls.recordingField ?? 'Description', externalIdField]
  return [
    ...new Set([
      'Id',
      'Subject',
      'TaskSubtype',
      'CallType',
      'CallDurationInSeconds',
      'CallDisposition',
      'CallObject',
      'IsClosed',
      'WhoId',
      'WhatId',
      'AccountId',
      'OwnerId',
      'CreatedDate',
      'LastModifiedDate',
      ...own.filter((name) => name !== undefined),
    ]),
  ]
}

/** Null: the fields that would say so were not told. */
export function isCall({ TaskSubtype, CallType }: Row): boolean | null {
  if (TaskSubtype === 'Call' || CallType) return true
  return TaskSubtype === undefined || CallType === undefined ? null : false
}

/** An open one is a call that somebody plans. */
export const hasEnded = ({ IsClosed }: Row): boolean | null =>
  IsClosed === undefined ? null : IsClosed === 'true'

/** What Cordboard wrote there of a call that another connection told of must not come back as a call of its own. */
export function isOurs(task: Row, { externalIdField = 'CallObject' }: InboundConfig): boolean | null {
  const carries = (name: string) => /^wbk_/.test(task[name] ?? '')
  if (carries(externalIdField) || carries('CallObject')) return true
  return task[externalIdField] === undefined ? null : false
}

/** Whom a task names: the rows of its contact or lead, and of its owner, where they were read. */
export interface People {
  who?: Row | undefined
  owner?: Row | undefined
}

const DIRECTIONS: Readonly<Record<string, Direction>> = {
  Inbound: 'inbound',
  Outbound: 'outbound',
  Internal: 'internal',
}

export function toEvent(
  task: Row,
  id: string,
  said: { key: string; at: string | undefined; people?: People },
  calls: CallSource,
  ctx: Context,
): CallEvent {
  const facts: Facts = {}
  const way = task.CallType ?? ''
  const direction = Object.hasOwn(DIRECTIONS, way) ? DIRECTIONS[way] : undefined
  if (direction) facts.direction = direction
  Object.assign(facts, timesOf(task, calls))

  const disposition = task.CallDisposition?.trim()
  if (disposition) {
    facts.outcome = disposition.slice(0, 255)
    const result = Object.hasOwn(calls.dispositions, disposition)
      ? calls.dispositions[disposition]
      : undefined
    if (result) facts.result = result
  }

  const phone = phoneOf(task, said.people?.who, calls, ctx.region)
  const party = phone && { phone: phone.e164, phoneRaw: phone.raw.slice(0, 256) }
  if (party && direction === 'inbound') facts.from = party
  if (party && direction === 'outbound') facts.dialed = party
  const record = recordOf(task)
  const { Name: name, Email: email } = said.people?.who ?? {}
  const customer: NonNullable<Facts['customer']> = {
    ...party,
    ...(name ? { name: name.slice(0, 256) } : {}),
    ...(email ? { email: email.slice(0, 320) } : {}),
    ...(record ? { crm: { [ctx.connection]: record } } : {}),
  }
  if (direction !== 'internal' && Object.keys(customer).length > 0) facts.customer = customer
  const agent = agentOf(task, said.people?.owner)
  if (agent) facts.agent = agent

  const recording = recordingOf(task, id, calls)
  if (recording) facts.recordings = [recording]
  else if (calls.recordingHosts.length === 0) facts.recordingExpected = false
  const { Subject: subject, CallObject: callObject, WhatId: whatId } = task
  const meta = Object.entries({ subject, callObject, whatId }).filter(([, value]) => value)
  if (meta.length > 0)
    facts.meta = Object.fromEntries(meta.map(([name, value]) => [name, String(value).slice(0, 1000)]))
  return { key: said.key, callId: id, phase: 'ended', ...(said.at ? { at: said.at } : {}), facts }
}

/** The platform keeps no time of a call's own: only a field that somebody fills with its beginning gives its end as well. */
function timesOf(task: Row, { startField }: CallSource): Facts {
  const facts: Facts = {}
  const seconds = Number(task.CallDurationInSeconds ?? Number.NaN)
  const talkMs = Number.isInteger(seconds) && seconds >= 0 && seconds < 1_000_000 ? seconds * 1000 : undefined
  if (talkMs) facts.talkMs = talkMs
  const startedAt = instantOf(task[startField])
  if (startedAt) facts.startedAt = startedAt
  if (startedAt && startField !== 'CreatedDate' && talkMs !== undefined)
    facts.endedAt = new Date(Date.parse(startedAt) + talkMs).toISOString()
  return facts
}

const PHONES = ['Phone', 'MobilePhone', 'HomePhone', 'OtherPhone']

/** The task's own field, else the record's first number: which of several was called is not said. */
function phoneOf(
  task: Row,
  who: Row | undefined,
  calls: CallSource,
  region: string | undefined,
): Phone | undefined {
  const own = calls.phoneField === undefined ? null : task[calls.phoneField]
  const raw = own ?? PHONES.map((name) => who?.[name]).find((number) => number)
  return raw ? normalisePhone(raw, region) : undefined
}

/** The record that the call stands on: whose it is need not be searched by number. */
function recordOf({ WhoId, WhatId, AccountId }: Row): string | null {
  return longId(WhoId) ?? (kindOf(WhatId) === 'Account' ? longId(WhatId) : null) ?? longId(AccountId)
}

/** Tasks may belong to a queue, which is nobody. */
function agentOf({ OwnerId }: Row, owner: Row | undefined): Agent | undefined {
  const id = longId(OwnerId)
  if (id === null || kindOf(id) !== 'User') return undefined
  const { Name: name, Email: email, Extension: extension } = owner ?? {}
  return {
    id,
    ...(name ? { name: name.slice(0, 256) } : {}),
    ...(email ? { email: email.slice(0, 320) } : {}),
    ...(extension ? { extension: extension.slice(0, 64) } : {}),
  }
}
