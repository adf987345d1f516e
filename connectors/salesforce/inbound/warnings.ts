import type { CheckResult } from '../../../src/connector/contract.ts'
import type { InboundConfig } from './schema.ts'
import { taskFields } from './task.ts'

/** What keeps calls that are logged in Salesforce from being taken, as far as the fields of Task tell. */
export function sourceWarnings(
  task: readonly { name: string }[],
  config: InboundConfig,
): NonNullable<CheckResult['warnings']> {
  const { calls, inbound } = config
  if (!calls) return []
  const isThere = (name: string) => task.some((one) => one.name === name)
  // Of the key's own field the CRM's side tells.
  const missing = taskFields(config, calls).filter(
    (name) => name !== config.externalIdField && !isThere(name),
  )
  const hosts = calls.recordingHosts.length
  return [
    ...(missing.length === 0
      ? []
      : [
          {
            what: `No call can be taken in: these fields of activities are not there, or hidden: ${missing.join(', ')}`,
            fix: 'Correct the names under calls, or show the fields to the integration user (field-level security)',
          },
        ]),
    ...(inbound
      ? []
      : [
          {
            what: 'Nothing tells of calls as they are logged: they are only found when the list is compared',
            fix: 'Configure inbound, or run cordboard listen for this connection',
          },
        ]),
    ...(hosts > 0
      ? []
      : [
          {
            what: 'No recording is fetched: calls are taken in without one',
            fix: 'Name the hosts of the links under calls.recordingHosts',
          },
        ]),
  ]
}
