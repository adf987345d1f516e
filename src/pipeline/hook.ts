import type { Config, Connection } from '../config/model.ts'
import type { WebhookSide } from '../connector/contract.ts'
import type { DeliveryRow } from '../store/schema.ts'

/** The connection of a path under /hooks, and what stands behind its id. Null when none has that id. */
export function findConnection(
  config: Config,
  target: string,
): { connection: Connection; path: string } | null {
  const [path = ''] = target.split('?', 1)
  const rest = path.slice('/hooks/'.length)
  const slash = rest.indexOf('/')
  const id = slash < 0 ? rest : rest.slice(0, slash)
  const connection = config.connections.get(id)
  return connection === undefined ? null : { connection, path: slash < 0 ? '' : rest.slice(slash) }
}

const ROLES = ['telephony', 'analysis', 'crm'] as const

/** Which side of a connection a path belongs to. */
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
