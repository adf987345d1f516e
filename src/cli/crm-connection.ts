import type { Connection } from '../config/model.ts'
import { suggest } from '../config/suggest.ts'
import type { CrmRole } from '../connector/crm-role.ts'
import type { Configured } from './configured.ts'
import { wrong } from './parse.ts'

export interface CrmConnection {
  connection: Connection
  crm: CrmRole<unknown>
}

/** The connections with a CRM behind them, or the one that was named. */
export function crmConnections(
  { config }: Pick<Configured, 'config'>,
  id: string | undefined,
  command: string,
): CrmConnection[] {
  const all = [...config.connections.values()].flatMap((connection): CrmConnection[] => {
    const { crm } = connection.connector
    return crm ? [{ connection, crm }] : []
  })
  if (all.length === 0) throw wrong(command, 'No connection of the configuration is a CRM', 'Add one')
  if (id === undefined) return all
  const found = all.find(({ connection }) => connection.id === id)
  if (found) return [found]
  const ids = all.map(({ connection }) => connection.id)
  const meant = suggest(id, ids)
  throw wrong(
    command,
    `${id} is no CRM connection`,
    meant ? `Did you mean ${meant}?` : `Use one of: ${ids.join(', ')}`,
  )
}
