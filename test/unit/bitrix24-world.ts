import { expect } from 'vitest'
import { connector } from '../../connectors/bitrix24/connector.ts'
import type { Call } from '../../src/call/call.ts'
import type { CrmRecord } from '../../src/connector/crm-role.ts'
import { loadSubject } from '../kit/connector/fixtures.ts'
import { readFolder } from '../kit/connector/folder.ts'
import { CUSTOMER, commonCall, SAMPLE_ANALYSIS } from '../kit/connector/samples.ts'
import { openWorld, type World } from '../kit/connector/world.ts'
import { books, recordOn } from './crm-record.ts'

export { books, fresh } from './crm-record.ts'

/** One portal for the tests of the connector of Bitrix24. */

export type Settings = Record<string, unknown>
export type Context = Parameters<typeof connector.check>[0]

export const subject = loadSubject(
  connector,
  readFolder(new URL('../../connectors/bitrix24/', import.meta.url)),
)
export const crm = connector.crm ?? expect.fail('Bitrix24 is a CRM')
export const open = (settings: Settings = {}, options = {}) =>
  openWorld({ ...subject, settings: { ...subject.settings, ...settings } }, options)
export const ctxOf = (world: World) => world.context() as Context
export const mapContext = (settings: Settings = {}) => ({
  connection: 'acme',
  config: connector.config.parse({ ...subject.settings, ...settings }),
  region: 'FR',
})

export const recordOf = (call: Partial<Call>, more: Partial<CrmRecord> = {}) =>
  recordOn({ type: 'contact', id: '7' }, call, more)
export const said = (world: World, kind: string) => books(world, kind).map(({ fields }) => fields)

/** A world with a contact of the customer, and a record of a call on it. */
export async function ready(settings: Settings = {}, more: Partial<CrmRecord> = {}, options = {}) {
  const world = await open(settings, options)
  const id = world.sandbox.addContact?.({ name: 'Jean Dupont', phone: CUSTOMER }) ?? expect.fail('no contact')
  await crm.match(commonCall(), ctxOf(world), [])
  const record = recordOf({}, { target: { type: 'contact', id }, analysis: SAMPLE_ANALYSIS, ...more })
  const parts = crm.plan(record, { ...mapContext(), config: world.config as Context['config'] })
  const part = (key: string) => parts.find((one) => one.key === key) ?? expect.fail(`no part ${key}`)
  return { world, id, record, parts, part }
}
