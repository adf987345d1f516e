import { expect } from 'vitest'
import { connector } from '../../connectors/kommo/connector.ts'
import type { Analysis } from '../../src/call/analysis.ts'
import type { Call } from '../../src/call/call.ts'
import type { CrmRecord, PlannedPart, WritePart } from '../../src/connector/crm-role.ts'
import { loadSubject } from '../kit/connector/fixtures.ts'
import { readFolder } from '../kit/connector/folder.ts'
import { CUSTOMER, SAMPLE_ANALYSIS } from '../kit/connector/samples.ts'
import { openWorld, type World } from '../kit/connector/world.ts'
import { recordOn } from './crm-record.ts'

export { books, fieldsOf, fresh } from './crm-record.ts'

export type Settings = Record<string, unknown>
export type Context = Parameters<typeof connector.check>[0]

export const subject = loadSubject(connector, readFolder(new URL('../../connectors/kommo/', import.meta.url)))
export const crm = connector.crm ?? expect.fail('kommo is a CRM')
export const telephony = connector.telephony ?? expect.fail('kommo tells of calls')
export const BASE = 'https://kommo.example.com'
export const OAUTH = {
  clientId: 'integration',
  clientSecret: 'stand-in-client-secret',
  refreshToken: 'stand-in-refresh-0',
  redirectUri: 'https://hooks.example.com/oauth',
}
export const CUSTOM_FIELDS = [
  { of: 'contacts', id: 71, name: 'Score', code: 'SCORE', type: 'numeric' },
  { of: 'contacts', id: 72, name: 'Mood', code: null, type: 'select', enums: [{ id: 721, value: 'Good' }] },
  { of: 'leads', id: 73, name: 'Called', code: null, type: 'date' },
  { of: 'leads', id: 74, name: 'Place', code: null, type: 'smart_address' },
]

export const open = (settings: Settings = {}) =>
  openWorld({ ...subject, settings: { ...subject.settings, ...settings } })
export const ctxOf = (world: World) => world.context() as Context
export const mapContext = (settings: Settings = {}) => ({
  connection: 'acme',
  config: connector.config.parse({ ...subject.settings, ...settings }),
  region: 'FR',
})
export const recordOf = (
  call: Partial<Call>,
  analysis: Analysis | null = null,
  more: Partial<CrmRecord> = {},
) => recordOn({ type: 'contact', id: '1' }, call, { analysis, ...more })
export const planned = (record: CrmRecord, settings: Settings = {}) => crm.plan(record, mapContext(settings))
export const keysOf = (parts: PlannedPart[]) => parts.map(({ key }) => key)
export const tell = (world: World, method: string, path: string, body: unknown) =>
  world.context().fetch(`${BASE}${path}`, {
    method,
    headers: { authorization: 'Bearer stand-in-long-lived-token-1', 'content-type': 'application/json' },
    ...(method === 'GET' ? {} : { body: JSON.stringify(body) }),
  })
export async function post(world: World, list: string, body: Settings): Promise<string> {
  const response = await tell(world, 'POST', `/api/v4/${list}`, [body])
  const reply = (await response.json()) as { _embedded: Record<string, { id: number }[]> }
  return String(reply._embedded[list]?.[0]?.id)
}
export const withPhone = (value: string) => [{ field_code: 'PHONE', values: [{ value }] }]
export async function ready(settings: Settings = {}, more: Partial<CrmRecord> = {}) {
  const world = await open(settings)
  const id = world.sandbox.addContact?.({ name: 'Jean', phone: CUSTOMER }) ?? ''
  const record = recordOf({}, SAMPLE_ANALYSIS, { target: { type: 'contact', id }, ...more })
  const parts = () => crm.plan(record, { connection: 'acme', config: ctxOf(world).config, region: 'FR' })
  const part = (key: string) => parts().find((one) => one.key === key) ?? expect.fail(`no part ${key}`)
  const write = (one: WritePart) => crm.write(one, record, {}, ctxOf(world))
  return { world, id, record, parts, part, write }
}
