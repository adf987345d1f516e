import { expect } from 'vitest'
import { connector } from '../../connectors/hubspot/connector.ts'
import type { Analysis } from '../../src/call/analysis.ts'
import type { Call } from '../../src/call/call.ts'
import type { PlannedPart } from '../../src/connector/crm-role.ts'
import { loadSubject } from '../kit/connector/fixtures.ts'
import { readFolder } from '../kit/connector/folder.ts'
import { openWorld, type World } from '../kit/connector/world.ts'
import { recordOn } from './crm-record.ts'

export { books, fresh } from './crm-record.ts'

/** One HubSpot account for the tests of its connector. */

export type Settings = Record<string, unknown>
export type Context = Parameters<typeof connector.check>[0]

const loaded = loadSubject(connector, readFolder(new URL('../../connectors/hubspot/', import.meta.url)))
/** Notes as they are unless the operator says otherwise. */
const { note: _, ...settings } = loaded.settings
export const subject = { ...loaded, settings }
export const crm = connector.crm ?? expect.fail('hubspot is a CRM')
export const telephony = connector.telephony ?? expect.fail('hubspot is a source')

export const open = (settings: Settings = {}) =>
  openWorld({ ...subject, settings: { ...subject.settings, ...settings } })
export const ctxOf = (world: World) => world.context() as Context
export const mapContext = (settings: Settings = {}) => ({
  connection: 'acme',
  config: connector.config.parse({ ...subject.settings, ...settings }),
  region: 'FR',
})

export const recordOf = (call: Partial<Call>, analysis: Analysis | null = null) =>
  recordOn(null, call, { analysis })
export const partOf = (parts: readonly PlannedPart[], key: string): PlannedPart =>
  parts.find((part) => part.key === key) ?? expect.fail(`no part ${key}`)

/** A request as somebody else in the account would make it. */
export async function ask(world: World, method: string, path: string, body?: unknown): Promise<Response> {
  return world.context().fetch(`https://hubspot.example.com${path}`, {
    method,
    headers: { authorization: `Bearer ${subject.settings.token}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
}

export async function post(
  world: World,
  type: string,
  properties: Record<string, string>,
  on: { id: string; typeId: number }[] = [],
): Promise<string> {
  const associations = on.map(({ id, typeId }) => ({
    to: { id },
    types: [{ associationCategory: 'HUBSPOT_DEFINED', associationTypeId: typeId }],
  }))
  const response = await ask(world, 'POST', `/crm/objects/2026-03/${type}`, { properties, associations })
  expect(response.status).toBe(201)
  return ((await response.json()) as { id: string }).id
}

/** What was asked of HubSpot: `POST /crm/…`, in order. */
export function spied(world: World): { ctx: Context; asked: string[] } {
  const ctx = ctxOf(world)
  const asked: string[] = []
  return {
    asked,
    ctx: {
      ...ctx,
      fetch: (url, init) => {
        asked.push(`${init?.method ?? 'GET'} ${new URL(url).pathname}`)
        return ctx.fetch(url, init)
      },
    },
  }
}

/** What the check tells an operator to do. */
export async function connectorCheck(world: World): Promise<string[]> {
  const { warnings = [] } = await connector.check(ctxOf(world))
  return warnings.map(({ fix }) => fix)
}
