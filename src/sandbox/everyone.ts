import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { connectorIds, connectorInfo } from '../../connectors/index.ts'
import { CordboardError } from '../errors.ts'
import { OWN_PHONE, SANDBOX_CONNECTIONS, type SandboxConnection } from './world.ts'

/**
 * The sandbox company and its neighbours: one connection of every vendor there is. The neighbours have the account that
 * their fixtures were made for, whose keys open nothing either.
 */

/** Handed in over our own API: there is no vendor, and nothing to serve. */
const NO_VENDOR = 'intake'

const account = z.object({ config: z.record(z.string(), z.unknown()), region: z.string().optional() })

/** Connection id → connector and keys: the company first, so that its ports stay the same. */
export function everyone(only?: readonly string[]): Record<string, SandboxConnection> {
  const company = Object.entries(SANDBOX_CONNECTIONS)
  const isInCompany = (id: string) => company.some(([, { use }]) => use === id)
  const neighbours = connectorIds
    .filter((id) => id !== NO_VENDOR && !isInCompany(id))
    .map((id): [string, SandboxConnection] => [`sandbox-${id}`, neighbour(id)])
  const all = [...company, ...neighbours]
  if (!only) return Object.fromEntries(all)
  const strange = only.find((id) => !all.some(([, { use }]) => use === id))
  if (strange !== undefined) {
    throw new CordboardError('bad_request', `There is no stand-in of ${JSON.stringify(strange)}`, {
      fix: `Use some of: ${all.map(([, { use }]) => use).join(', ')}`,
    })
  }
  return Object.fromEntries(all.filter(([, { use }]) => only.includes(use)))
}

function neighbour(id: string): SandboxConnection {
  // Beside the code in a checkout, and beside the compiled code in the published package.
  const file = new URL(`../../connectors/${id}/fixtures/connection.json`, import.meta.url)
  const { config, region } = account.parse(JSON.parse(readFileSync(file, 'utf8')))
  const own = 'ownNumbers' in config ? { ownNumbers: [OWN_PHONE] } : {}
  return { use: id, settings: { ...config, ...own }, ...(region === undefined ? {} : { region }) }
}

/** From every phone system to every service and CRM: the company's own flows are taken from it first. */
export function flowOfAll(connections: Readonly<Record<string, SandboxConnection>>) {
  const rolesOf = new Map<string, readonly string[]>(connectorIds.map((id) => [id, connectorInfo[id].roles]))
  const withRole = (role: string) =>
    Object.entries(connections)
      .filter(([, { use }]) => rolesOf.get(use)?.includes(role))
      .map(([id]) => id)
  const isCompany = (id: string) => Object.hasOwn(SANDBOX_CONNECTIONS, id)
  return {
    name: 'all-other-calls',
    from: withRole('telephony').filter((id) => !isCompany(id)),
    // Those of the company have work enough; and of the others the first by name is asked for its results once a minute.
    analyze: withRole('analysis')
      .toReversed()
      .toSorted((a, b) => Number(isCompany(a)) - Number(isCompany(b))),
    write: withRole('crm'),
    unknownCaller: 'create',
  }
}
