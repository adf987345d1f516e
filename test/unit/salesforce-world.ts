import { expect } from 'vitest'
import { salesforce, type Values } from '../../connectors/salesforce/client.ts'
import { connector } from '../../connectors/salesforce/connector.ts'
import type { Analysis } from '../../src/call/analysis.ts'
import type { Call } from '../../src/call/call.ts'
import type { CrmRecord, PlannedPart } from '../../src/connector/crm-role.ts'
import { loadSubject } from '../kit/connector/fixtures.ts'
import { readFolder } from '../kit/connector/folder.ts'
import { CUSTOMER, SAMPLE_ANALYSIS } from '../kit/connector/samples.ts'
import { openWorld, type World, type WorldOptions } from '../kit/connector/world.ts'
import { fresh, recordOn } from './crm-record.ts'

export { books, fresh } from './crm-record.ts'

/** One org for the tests of the connector of Salesforce. */

export type Settings = Record<string, unknown>
export type Context = Parameters<typeof connector.check>[0]

const loaded = loadSubject(connector, readFolder(new URL('../../connectors/salesforce/', import.meta.url)))
/** Calls that are logged in the org have tests of their own: salesforce-inbound.test.ts. */
const { calls: _calls, inbound: _inbound, ...written } = loaded.settings
const subject = { ...loaded, settings: written }
export const SETTINGS = subject.settings
export const crm = connector.crm ?? expect.fail('salesforce is a CRM')

export const open = (settings: Settings = {}, options: WorldOptions = {}) =>
  openWorld({ ...subject, settings: { ...subject.settings, ...settings } }, options)
export const ctxOf = (world: World, signal?: AbortSignal) => world.context(signal) as Context
export const mapContext = (settings: Settings = {}) => ({
  connection: 'acme',
  config: connector.config.parse({ ...subject.settings, ...settings }),
  region: 'FR',
})

export const recordOf = (call: Partial<Call>, analysis: Analysis | null = null) =>
  recordOn(null, call, { analysis })
export const partOf = (parts: readonly PlannedPart[], key: string): PlannedPart =>
  parts.find((part) => part.key === key) ?? expect.fail(`no part ${key}`)
export const callOf = (record: CrmRecord, settings: Settings = {}) =>
  partOf(crm.plan(record, mapContext(settings)), 'call')
export const bookOf = (world: World, id: string) =>
  world.sandbox.book().find((entry) => entry.id === id)?.fields ?? expect.fail(`no record ${id}`)

/** As somebody else in the org would make it. */
export const make = (world: World, type: string, values: Values) =>
  salesforce(ctxOf(world)).create(type, values)

export interface Asked {
  method: string
  path: string
  query: string
  headers: Record<string, string>
  body: unknown
}

/** What was asked of Salesforce, in order. */
export function spied(world: World): { ctx: Context; asked: Asked[] } {
  const ctx = ctxOf(world)
  const asked: Asked[] = []
  return {
    asked,
    ctx: {
      ...ctx,
      fetch: (url, init) => {
        const { pathname, searchParams } = new URL(url)
        const { method = 'GET', headers = {}, body } = init ?? {}
        asked.push({
          method,
          path: pathname.replace('/services/data/v67.0', ''),
          query: searchParams.get('q') ?? '',
          headers,
          body: typeof body === 'string' ? JSON.parse(body) : body,
        })
        return ctx.fetch(url, init)
      },
    },
  }
}

/** A refusal as Salesforce words it. */
export const refusing = (status: number, errorCode: string, message = 'stand-in refusal') => ({
  kind: 'status' as const,
  status,
  body: [{ message, errorCode, fields: [] }],
})

/** An org with a contact who carries the customer’s number, and a call of that contact. */
export async function ready(settings: Settings = {}) {
  const world = await open(settings)
  const id = world.sandbox.addContact?.({ name: 'Jean', phone: CUSTOMER }) ?? ''
  const record: CrmRecord = { ...recordOf({}, SAMPLE_ANALYSIS), target: { type: 'contact', id } }
  const part = (key: string) => partOf(crm.plan(record, mapContext(settings)), key)
  const writeCall = (more: Partial<CrmRecord> = {}, externalId: string | null = null) => {
    const told = { ...record, ...more }
    return crm.write(fresh(callOf(told, settings), externalId), told, {}, ctxOf(world))
  }
  return { world, record, part, id, writeCall }
}
/** The activities that carry our key. */
export const task = (world: World, key = 'wbk_1-call') =>
  world.sandbox
    .book()
    .filter((entry) => entry.key === key)
    .map(({ fields }) => fields)
