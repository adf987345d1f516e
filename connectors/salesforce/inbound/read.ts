import type { CallEvent } from '../../../src/call/facts.ts'
import type { ConnectorContext } from '../../../src/connector/contract.ts'
import { kindOf, longId } from './id.ts'
import { strangeHost } from './recording.ts'
import { instantOf, type Row, rowOf } from './row.ts'
import type { CallSource, InboundConfig } from './schema.ts'
import { hasEnded, isCall, isOurs, taskFields, toEvent } from './task.ts'

type Context = ConnectorContext<InboundConfig>

/** SOQL, page by page. */
export type Query = (soql: string) => AsyncIterable<readonly unknown[]>

/** Ids in one question: with them the longest URL stays under 4 KB, and comments of 32,000 characters under 4 MB. */
const AT_ONCE = 100

/** Tasks by their ids, as calls. What is deleted, planned, no call, or ours, is left out. */
export async function lookUpCalls(ids: readonly string[], query: Query, ctx: Context): Promise<CallEvent[]> {
  const { calls } = ctx.config
  if (!calls) return []
  const wanted = [...new Set(ids.map(longId))]
    .filter((id) => id !== null)
    .filter((id) => kindOf(id) === 'Task')
  const fields = taskFields(ctx.config, calls)
  const tasks: Row[] = []
  for (let at = 0; at < wanted.length; at += AT_ONCE)
    tasks.push(
      ...(await all(
        query,
        `SELECT ${fields} FROM Task WHERE Id IN (${quoted(wanted.slice(at, at + AT_ONCE))})`,
      )),
    )
  return asEvents(tasks, calls, query, ctx)
}

/**
 * Calls that began in this span, as far as `startField` says, in pages. Those without a beginning are in no list: they come
 * when Salesforce tells of them.
 */
export async function* listCalls(
  since: string,
  query: Query,
  ctx: Context,
  until?: string,
): AsyncIterable<CallEvent[]> {
  const { calls } = ctx.config
  if (!calls) return
  const { startField } = calls
  const soql = [
    `SELECT ${taskFields(ctx.config, calls)} FROM Task`,
    `WHERE (TaskSubtype = 'Call' OR CallType != null) AND IsClosed = true`,
    // Dates of SOQL are not quoted.
    `AND ${startField} >= ${since}${until === undefined ? '' : ` AND ${startField} < ${until}`}`,
    `ORDER BY ${startField} ASC`,
  ].join(' ')
  for await (const page of query(soql)) yield await asEvents(page.map(rowOf), calls, query, ctx)
}

async function asEvents(
  tasks: readonly Row[],
  calls: CallSource,
  query: Query,
  ctx: Context,
): Promise<CallEvent[]> {
  const taken = tasks.flatMap((task) => {
    const id = longId(task.Id)
    const isTaken = isCall(task) && hasEnded(task) && isOurs(task, ctx.config) === false
    return id !== null && isTaken ? [{ id, task }] : []
  })
  if (taken.length === 0) return []
  const people = await peopleOf(
    taken.flatMap(({ task: { WhoId, OwnerId } }) => [longId(WhoId), longId(OwnerId)]),
    query,
  )
  return taken.map(({ id, task }) => {
    const host = strangeHost(task, calls)
    if (host !== null)
      ctx.log.warn('a recording is left out: its host is not named in calls.recordingHosts', {
        task: id,
        host,
      })
    const at = instantOf(task.LastModifiedDate)
    const { [longId(task.WhoId) ?? '']: who, [longId(task.OwnerId) ?? '']: owner } = people
    return toEvent(task, id, { key: `${id}:${at ?? 'read'}`, at, people: { who, owner } }, calls, ctx)
  })
}

const PEOPLE: Readonly<Record<string, string>> = {
  Contact: 'Id, Name, Email, Phone, MobilePhone, HomePhone, OtherPhone',
  Lead: 'Id, Name, Email, Phone, MobilePhone',
  User: 'Id, Name, Email, Extension',
}

/** The records that tasks name, by their ids: one question for each kind of them. */
async function peopleOf(
  ids: readonly (string | null)[],
  query: Query,
): Promise<Readonly<Record<string, Row>>> {
  const kinds = Map.groupBy(new Set(ids), kindOf)
  const people: Record<string, Row> = Object.create(null)
  for (const [kind, fields] of Object.entries(PEOPLE)) {
    const wanted = (kinds.get(kind) ?? []).filter((id) => id !== null)
    for (let at = 0; at < wanted.length; at += AT_ONCE) {
      const some = quoted(wanted.slice(at, at + AT_ONCE))
      for (const row of await all(query, `SELECT ${fields} FROM ${kind} WHERE Id IN (${some})`)) {
        const id = longId(row.Id)
        if (id !== null) people[id] = row
      }
    }
  }
  return people
}

async function all(query: Query, soql: string): Promise<Row[]> {
  const rows: Row[] = []
  for await (const page of query(soql)) rows.push(...page.map(rowOf))
  return rows
}

/** Ids are letters and digits by now: nothing in them ends a string. */
const quoted = (ids: readonly string[]): string => ids.map((id) => `'${id}'`).join(',')
