import type { CallEvent } from '../../../src/call/facts.ts'
import type { Received } from '../../../src/connector/contract.ts'
import type { CrmChange } from '../../../src/connector/crm-role.ts'
import { asCordboardError } from '../../../src/errors.ts'
import { kindOf, longId } from './id.ts'
import type { Query } from './read.ts'
import { rowOf } from './row.ts'

/**
 * A change event tells of a merge as the deletion of the record that lost. The record itself knows: "When a record is deleted
 * after losing a merge operation, its MasterRecordId field is set to the ID of the winning record"
 * https://developer.salesforce.com/docs/atlas.en-us.apexcode.meta/apexcode/apex_triggers_merge_statements.htm (2026-11-27)
 */

/** Ids in one question. */
const AT_ONCE = 100

/** What is said, with deletions that were merges told as such. `query` must find what was deleted. */
export async function withMerges(
  says: Received<CallEvent>,
  query: Query,
  warn: (code: string) => void,
): Promise<Received<CallEvent>> {
  if ('ignored' in says) return says
  const { changes = [] } = says
  const gone = changes.filter(({ change }) => change === 'deleted').map(({ id }) => id)
  if (gone.length === 0) return says
  let masters: ReadonlyMap<string, string>
  try {
    masters = await mastersOf(gone, query)
  } catch (thrown) {
    const { code } = asCordboardError(thrown)
    // Only what will be refused again is given up: otherwise the stream is heard again from here on.
    if (code !== 'forbidden' && code !== 'rejected') throw thrown
    warn(code)
    return says
  }
  const told = changes.map((one): CrmChange => {
    const into = one.change === 'deleted' ? masters.get(one.id) : undefined
    return into === undefined ? one : { ...one, change: 'merged', into }
  })
  return { ...says, changes: told }
}

async function mastersOf(ids: readonly string[], query: Query): Promise<ReadonlyMap<string, string>> {
  const masters = new Map<string, string>()
  for (const [kind, some] of Map.groupBy(new Set(ids), kindOf)) {
    for (let at = 0; at < some.length; at += AT_ONCE) {
      // Letters and digits by now: nothing in them ends a string.
      const named = some.slice(at, at + AT_ONCE).map((id) => `'${id}'`)
      const soql = `SELECT Id, MasterRecordId FROM ${kind} WHERE Id IN (${named.join(',')}) AND MasterRecordId != null`
      for await (const page of query(soql)) {
        for (const { Id, MasterRecordId } of page.map(rowOf)) {
          const [id, into] = [longId(Id), longId(MasterRecordId)]
          if (id !== null && into !== null) masters.set(id, into)
        }
      }
    }
  }
  return masters
}
