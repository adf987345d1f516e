import { expect } from 'vitest'
import { connector } from '../../connectors/pipedrive/connector.ts'
import type { Analysis } from '../../src/call/analysis.ts'
import type { Call } from '../../src/call/call.ts'
import type { CrmRecord, WritePart } from '../../src/connector/crm-role.ts'
import { loadSubject } from '../kit/connector/fixtures.ts'
import { readFolder } from '../kit/connector/folder.ts'
import { CUSTOMER, SAMPLE_ANALYSIS } from '../kit/connector/samples.ts'
import { openWorld, type World } from '../kit/connector/world.ts'
import { recordOn } from './crm-record.ts'

export { books, fieldsOf, fresh } from './crm-record.ts'

export type Settings = Record<string, unknown>
export type Context = Parameters<typeof connector.check>[0]

export const subject = loadSubject(
  connector,
  readFolder(new URL('../../connectors/pipedrive/', import.meta.url)),
)
export const crm = connector.crm ?? expect.fail('pipedrive is a CRM')
export const telephony = connector.telephony ?? expect.fail('pipedrive tells of calls')
export const BASE = 'https://pipedrive.example.com'
export const OAUTH = {
  clientId: 'app',
  clientSecret: 'stand-in-client-secret',
  refreshToken: 'stand-in-refresh-0',
}
export const SCORE = 'a'.repeat(40)
export const MOOD = 'b'.repeat(40)
export const CUSTOM_FIELDS = [
  { of: 'person', field_code: SCORE, field_name: 'Score', field_type: 'double' },
  {
    of: 'person',
    field_code: MOOD,
    field_name: 'Mood',
    field_type: 'enum',
    options: [
      { id: 31, label: 'Good' },
      { id: 32, label: 'Bad' },
    ],
  },
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
) => recordOn({ type: 'person', id: '1' }, call, { analysis, ...more })
export const planned = (record: CrmRecord, settings: Settings = {}) => crm.plan(record, mapContext(settings))
export const tell = (world: World, method: string, path: string, body: Settings) =>
  world.context().fetch(`${BASE}${path}`, {
    method,
    headers: { 'x-api-token': 'stand-in-api-token-0001', 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
export async function post(world: World, path: string, body: Settings): Promise<string> {
  const response = await tell(world, 'POST', path, body)
  return String(((await response.json()) as { data: { id: number } }).data.id)
}
export async function ready(settings: Settings = {}, more: Partial<CrmRecord> = {}) {
  const world = await open(settings)
  const id = world.sandbox.addContact?.({ name: 'Jean', phone: CUSTOMER }) ?? ''
  const record = recordOf({}, SAMPLE_ANALYSIS, { target: { type: 'person', id }, ...more })
  const parts = () => crm.plan(record, { connection: 'acme', config: ctxOf(world).config, region: 'FR' })
  const part = (key: string) => parts().find((one) => one.key === key) ?? expect.fail(`no part ${key}`)
  const write = (one: WritePart, written: Record<string, string> = {}) =>
    crm.write(one, record, written, ctxOf(world))
  return { world, id, record, parts, part, write }
}
