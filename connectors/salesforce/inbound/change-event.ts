import { z } from 'zod'
import type { CallEvent } from '../../../src/call/facts.ts'
import type { Heard, Received } from '../../../src/connector/contract.ts'
import type { CrmChange } from '../../../src/connector/crm-role.ts'
import { readAs } from '../../../src/connector/read.ts'
import { changeOf } from './change.ts'
import { kindOf, longId } from './id.ts'
import { type Row, rowOf } from './row.ts'
import type { InboundConfig } from './schema.ts'
import { isCall, isOurs, taskFields } from './task.ts'

/**
 * Change Data Capture. Of an update only the fields that changed are told, of a gap none: the record is read.
 * https://developer.salesforce.com/docs/atlas.en-us.260.0.change_data_capture.meta/change_data_capture/cdc_event_fields_header.htm
 * (read 2026-11-27)
 */
const changeEvent = z.object({
  payload: z.looseObject({
    ChangeEventHeader: z.object({
      entityName: z.string(),
      /** Of one kind, with the same change; `001*` where nobody counted them. */
      recordIds: z.array(z.string()),
      /** CREATE, UPDATE, DELETE, UNDELETE, and the same with GAP_ before them. */
      changeType: z.string(),
      changedFields: z.array(z.string()).optional(),
    }),
  }),
  event: z.object({
    replayId: z.union([z.number(), z.string()]),
    /** The replay id may be another's after the org has moved; this one may not. */
    EventUuid: z.string().optional(),
  }),
})

/** What a change event says: which calls are to be read, which records are gone. */
export function heardOf(data: unknown, config: InboundConfig): Heard {
  const { payload, event } = readAs(changeEvent, data, 'Salesforce: the change event')
  const mark = String(event.replayId)
  return { key: event.EventUuid ?? `replay-${mark}`, mark, says: saidBy(payload, config) }
}

type Payload = z.output<typeof changeEvent>['payload']

function saidBy(payload: Payload, config: InboundConfig): Received<CallEvent> {
  const { entityName, recordIds, changeType } = payload.ChangeEventHeader
  const change = changeType.replace(/^GAP_/, '')
  const ids = recordIds.map(longId).filter((id) => id !== null)
  if (entityName === 'Task') {
    const why = whyNotRead(payload, change, config)
    const tasks = ids.filter((id) => kindOf(id) === 'Task')
    if (why !== null || tasks.length === 0) return { ignored: `Task: ${why ?? 'no id is told'}` }
    return { events: [], lookUp: tasks }
  }
  const gone: CrmChange[] = []
  if (change === 'DELETE')
    gone.push(...ids.flatMap((id) => changeOf({ change: 'deleted', id, into: null }) ?? []))
  if (gone.length === 0) return { ignored: `${entityName}: it says nothing that a call needs` }
  return { events: [], changes: gone }
}

/** Null: the tasks are to be read. */
function whyNotRead(payload: Payload, change: string, config: InboundConfig): string | null {
  const { calls } = config
  if (!calls) return 'this connection takes no calls from Salesforce (`calls`)'
  if (change === 'DELETE') return 'it was deleted'
  const { changeType, changedFields } = payload.ChangeEventHeader
  // Empty fields are not told here: one that is there still says what it is.
  const row: Row = rowOf(payload)
  if (isOurs(row, config) === true) return 'Cordboard wrote it'
  if (changeType === 'CREATE' && row.TaskSubtype && !isCall({ CallType: null, ...row }))
    return 'it is no call'
  if (changeType !== 'UPDATE' || changedFields === undefined) return null
  // Whatever Cordboard adds to a call that somebody logged is such a change.
  const read = new Set([...taskFields(config, calls), 'Status'])
  for (const name of ['LastModifiedDate', config.externalIdField]) if (name !== undefined) read.delete(name)
  return changedFields.some((name) => read.has(name)) ? null : 'what is read of a call did not change'
}
