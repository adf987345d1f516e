import type {
  AssociationSpecAssociationCategoryEnum,
  FilterOperatorEnum,
} from '@hubspot/api-client/lib/codegen/crm/objects/index.js'
import { z } from 'zod'
import type { ConnectorContext } from '../../src/connector/contract.ts'
import { CordboardError } from '../../src/errors.ts'
import type { createRecords } from './client/records.ts'
import { ask, credentials, exchange, isRefusal, read, segment } from './client/requests.ts'
import { type Activity, ASSOCIATIONS, OBJECTS } from './map.ts'
import {
  type Account,
  account,
  associations,
  type Config,
  type CrmObject,
  crmObject,
  crmObjects,
  crmPage,
  type Owner,
  owner,
  owners,
  type Property,
  property,
  properties as propertyList,
  type Search,
} from './schema.ts'

/**
 * HubSpot's API for one step's context. Records (create, read, update, batch, search) go through @hubspot/api-client,
 * which knows their bodies; it is taken by a deep import (about 18 KiB instead of 906) of the part that serves every
 * object type, and sends through `ctx.fetch`: its own fetch, retries and limiter never run. Version 14.0.1 writes
 * `/crm/v3/…`, unsupported after September 2027, so its paths are turned into dated ones. Associations,
 * owners, properties, files and the account have no dated form in it: they use `ctx.fetch` directly.
 * https://developers.hubspot.com/changelog/legacy-apis-and-legacy-apps-whats-going-unsupported-and-when (2026-11-20)
 */
export function hubspot(ctx: ConnectorContext<Config>) {
  const { config } = ctx
  const version = config.apiVersion
  let loading: Promise<ReturnType<typeof createRecords>> | undefined
  const records = () => {
    loading ??= import('./client/records.ts').then((module) => module.createRecords(ctx))
    return loading
  }
  const callProperties = `/crm/properties/${version}/calls`

  async function page(type: Kind, request: Search) {
    const filterGroups = request.filterGroups.map(({ filters }) => ({
      filters: filters.map(({ operator, highValue, ...filter }) => ({
        ...filter,
        operator: operator as FilterOperatorEnum,
        ...(highValue === undefined ? {} : { highValue }),
      })),
    }))
    const found = await (await records()).searching.doSearch(OBJECTS[type], { ...request, filterGroups })
    const { results, total, paging } = read(crmPage, found)
    return { results, total, after: paging?.next?.after }
  }

  return {
    page,

    async search(type: Kind, request: Search): Promise<CrmObject[]> {
      return (await page(type, request)).results
    },

    /** One record by its id or by a unique property; null when there is none. */
    async get(
      type: Kind,
      id: string,
      options: { properties: string[]; associations?: Kind[]; idProperty?: string },
    ): Promise<CrmObject | null> {
      const others = options.associations?.map((other) => OBJECTS[other])
      try {
        const found = await (await records()).basic.getById(
          OBJECTS[type],
          id,
          options.properties,
          undefined,
          others,
          undefined,
          options.idProperty,
        )
        return read(crmObject, found)
      } catch (error) {
        if (isRefusal(error, 'not_found')) return null
        throw error
      }
    },

    /** Those that are there; the others are left out (HubSpot tells of them with a 207). */
    async readMany(type: Kind, ids: readonly string[], properties: string[]): Promise<CrmObject[]> {
      const all: CrmObject[] = []
      for (let at = 0; at < ids.length; at += BATCH) {
        const inputs = ids.slice(at, at + BATCH).map((id) => ({ id }))
        const found = await (await records()).batch.read(OBJECTS[type], {
          inputs,
          properties,
          propertiesWithHistory: [],
        })
        all.push(...read(crmObjects, found).results)
      }
      return all
    },

    /** What each record stands on, by its id. `isWhole`: HubSpot has named all of them. */
    async associated(from: Kind, to: Kind, ids: readonly string[]): Promise<Map<string, Associated>> {
      const found = new Map<string, Associated>()
      for (let at = 0; at < ids.length; at += BATCH) {
        const path = `/crm/associations/${version}/${OBJECTS[from]}/${OBJECTS[to]}/batch/read`
        const body = { inputs: ids.slice(at, at + BATCH).map((id) => ({ id })) }
        const { results } = await ask(ctx, associations, { method: 'POST', path, body })
        for (const { from: one, to: others, paging } of results)
          found.set(one.id, {
            ids: others.map(({ toObjectId }) => toObjectId),
            isWhole: paging?.next === undefined,
          })
      }
      return found
    },

    /** Proves that a kind of record may be read. */
    async peek(type: Kind): Promise<void> {
      await (await records()).basic.getPage(OBJECTS[type], 1)
    },

    /** With its association in the same request: there is no moment at which it hangs on nothing. */
    async create(kind: Activity | 'contact', properties: Record<string, string>, target: Target | null) {
      const types = target
        ? [
            {
              associationCategory: 'HUBSPOT_DEFINED' as AssociationSpecAssociationCategoryEnum,
              associationTypeId: associationId(kind, target),
            },
          ]
        : []
      // Optional by the guide, required by the dated definition (2026-11-20): an empty list satisfies both.
      const associations = target ? [{ to: { id: target.id }, types }] : []
      return read(
        crmObject,
        await (await records()).basic.create(OBJECTS[kind], { properties, associations }),
      ).id
    },

    async update(kind: Activity, id: string, properties: Record<string, string>): Promise<void> {
      await (await records()).basic.update(OBJECTS[kind], id, { properties })
    },

    /** Creates or updates by a unique property; takes no associations. */
    async upsert(kind: Activity, idProperty: string, id: string, properties: Record<string, string>) {
      const done = await (await records()).batch.upsert(OBJECTS[kind], {
        inputs: [{ id, idProperty, properties: { ...properties, [idProperty]: id } }],
      })
      const [record] = read(crmObjects, done).results
      if (record) return record.id
      // 207: the batch was taken, its one member was not.
      const why = 'errors' in done ? done.errors?.[0]?.message : undefined
      throw new CordboardError('rejected', `HubSpot: upsert of a ${kind} was refused`, {
        ...(why === undefined ? {} : { vendorSaid: why }),
      })
    },

    /** The unlabelled association; naming it again changes nothing. */
    async associate(kind: Activity, id: string, target: Target): Promise<void> {
      associationId(kind, target)
      const path = `/crm/objects/${version}/${kind}/${segment(id)}/associations/default/${target.type}/${segment(target.id)}`
      await ask(ctx, z.unknown(), { method: 'PUT', path })
    },

    /** The owner id of an e-mail address; null when nobody in the account has it. */
    async ownerOf(email: string): Promise<string | null> {
      const query = new URLSearchParams({ email, limit: '2' })
      const { results } = await ask(ctx, owners, { method: 'GET', path: `/crm/owners/${version}?${query}` })
      const same = results.find((one) => one.email?.toLowerCase() === email.toLowerCase())
      return same?.id ?? null
    },

    /** Whose owner id it is; null when nobody has it. */
    async owner(id: string): Promise<Owner | null> {
      try {
        return await ask(ctx, owner, { method: 'GET', path: `/crm/owners/${version}/${segment(id)}` })
      } catch (error) {
        if (isRefusal(error, 'not_found')) return null
        throw error
      }
    },

    async mayReadOwners(): Promise<void> {
      await ask(ctx, owners, { method: 'GET', path: `/crm/owners/${version}?limit=1` })
    },

    async mayUseFiles(): Promise<void> {
      await ask(ctx, z.unknown(), { method: 'GET', path: `/files/${version}/files/search?limit=1` })
    },

    /** And what is left of the day's requests, where HubSpot says it: it does not to OAuth tokens. */
    async account(): Promise<Account & { daily: { limit: number; left: number } | null }> {
      const url = `${config.baseUrl}/account-info/${version}/details`
      const { text, headers } = await exchange(ctx, url, { method: 'GET', headers: credentials(config) })
      const [limit, left] = ['', '-remaining'].map((end) =>
        Number(headers.get(`x-hubspot-ratelimit-daily${end}`) ?? Number.NaN),
      )
      const isTold = Number.isFinite(limit) && Number.isFinite(left)
      return {
        ...read(account, JSON.parse(text)),
        daily: isTold ? { limit: limit ?? 0, left: left ?? 0 } : null,
      }
    },

    callProperty: (name: string): Promise<Property> =>
      ask(ctx, property, { method: 'GET', path: `${callProperties}/${segment(name)}` }),

    async callProperties(): Promise<Property[]> {
      return (await ask(ctx, propertyList, { method: 'GET', path: callProperties })).results
    },

    async createCallProperty(definition: Record<string, unknown>): Promise<void> {
      await ask(ctx, z.unknown(), { method: 'POST', path: callProperties, body: definition })
    },

    async createGroup(name: string, label: string): Promise<void> {
      await ask(ctx, z.unknown(), { method: 'POST', path: `${callProperties}/groups`, body: { name, label } })
    },
  }
}

export type Kind = keyof typeof OBJECTS

/** Records of one batch. */
const BATCH = 100

interface Associated {
  ids: string[]
  isWhole: boolean
}

interface Target {
  type: string
  id: string
}

function associationId(kind: Activity | 'contact', target: Target): number {
  const id = ASSOCIATIONS[kind]?.[target.type]
  if (id !== undefined) return id
  throw new CordboardError(
    'rejected',
    `HubSpot: a ${kind} cannot be put on a record of the type ${target.type}`,
    {
      fix: 'Choose a contact, company, deal or ticket for this call',
    },
  )
}
