import { expect } from 'vitest'
import { connector } from '../../connectors/zoho/connector.ts'
import type { Call } from '../../src/call/call.ts'
import type { CrmRecord } from '../../src/connector/crm-role.ts'
import { readPlacedId } from '../../src/connector/placed-id.ts'
import { loadSubject } from '../kit/connector/fixtures.ts'
import { readFolder } from '../kit/connector/folder.ts'
import { CUSTOMER, commonCall, SAMPLE_ANALYSIS } from '../kit/connector/samples.ts'
import { openWorld, type World } from '../kit/connector/world.ts'
import { recordOn } from './crm-record.ts'

export { fresh } from './crm-record.ts'

/** One organization for the tests of the connector of Zoho. */

export type Settings = Record<string, unknown>
export type Context = Parameters<typeof connector.check>[0]

export const subject = loadSubject(connector, readFolder(new URL('../../connectors/zoho/', import.meta.url)))
export const crm = connector.crm ?? expect.fail('Zoho is a CRM')
export const open = (settings: Settings = {}) =>
  openWorld({ ...subject, settings: { ...subject.settings, ...settings } })
export const ctxOf = (world: World) => world.context() as Context
export const mapContext = (settings: Settings = {}) => ({
  connection: 'acme',
  config: connector.config.parse({ ...subject.settings, ...settings }),
  region: 'FR',
})
export const ALICE = '5545974000000000012'

export const recordOf = (call: Partial<Call>, more: Partial<CrmRecord> = {}) =>
  recordOn({ type: 'contact', id: '7' }, call, more)
export const said = (world: World, kind: string) =>
  world.sandbox
    .book()
    .filter((entry) => entry.kind === kind)
    .map(({ id, fields }): Settings => ({ ...fields, id: readPlacedId(id).id }))

/** Whatever stands in Zoho by other hands. */
export async function post(world: World, module: string, fields: Settings): Promise<string> {
  const { data } = await tell(world, 'POST', module, fields)
  return data[0]?.details.id ?? expect.fail('nothing was made')
}

export const put = (world: World, path: string, fields: Settings) => tell(world, 'PUT', path, fields)

async function tell(world: World, method: string, path: string, fields: Settings) {
  const ctx = ctxOf(world)
  const access = await ctx.token('access', async () => expect.fail('the connector has a token by now'))
  const response = await ctx.fetch(`https://zoho.example.com/crm/v8/${path}`, {
    method,
    headers: { authorization: `Zoho-oauthtoken ${access.split(' ')[1]}`, 'content-type': 'application/json' },
    body: JSON.stringify({ data: [fields] }),
  })
  return (await response.json()) as { data: { details: { id: string } }[] }
}

export async function ready(settings: Settings = {}, more: Partial<CrmRecord> = {}) {
  const world = await open(settings)
  const id = world.sandbox.addContact?.({ name: 'Jean Dupont', phone: CUSTOMER }) ?? expect.fail('no contact')
  await crm.match(commonCall(), ctxOf(world), [])
  const record = recordOf({}, { target: { type: 'contact', id }, analysis: SAMPLE_ANALYSIS, ...more })
  const parts = crm.plan(record, { ...mapContext(), config: ctxOf(world).config })
  const part = (key: string) => parts.find((one) => one.key === key) ?? expect.fail(`no part ${key}`)
  return { world, id, record, parts, part }
}
