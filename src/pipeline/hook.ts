import type { Config, Connection } from '../config/model.ts'
import type { WebhookSide } from '../connector/contract.ts'
import { CordboardError } from '../errors.ts'
import type { DeliveryRow } from '../store/schema.ts'

/** The connection of a path under /hooks, and what stands behind its id. */
export function findConnection(config: Config, target: string): { connection: Connection; path: string } {
  const [path = ''] = target.split('?', 1)
  const rest = path.slice('/hooks/'.length)
  const slash = rest.indexOf('/')
  const id = slash < 0 ? rest : rest.slice(0, slash)
  const connection = config.connections.get(id)
  // The id is not repeated in the answer: it is whatever the sender made up.
  if (!connection) throw new CordboardError('unknown_connection', 'No connection has the id in this path')
  return { connection, path: slash < 0 ? '' : rest.slice(slash) }
}

const ROLES = ['telephony', 'analysis', 'crm'] as const

export interface Found {
  side: WebhookSide<unknown, unknown>
  role: DeliveryRow['role']
}

/** The webhook side of a connection; one with several is told apart by the first part of the path. */
export function sideOf({ connector }: Connection, path: string): Found | null {
  const sides = {
    telephony: connector.telephony?.webhook,
    analysis: connector.analysis?.callback,
    crm: connector.crm?.callback,
  }
  const there = ROLES.flatMap((role) => {
    const side = sides[role]
    return side ? [{ role, side: side as WebhookSide<unknown, unknown> }] : []
  })
  return there.find(({ role }) => path.startsWith(`/${role}`)) ?? there[0] ?? null
}
