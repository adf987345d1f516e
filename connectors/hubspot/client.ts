import {
  type AssociationSpecAssociationCategoryEnum,
  BasicApi,
  BatchApi,
  createConfiguration,
  type FilterOperatorEnum,
  RequestContext,
  ResponseContext,
  SearchApi,
  wrapHttpLibrary,
} from '@hubspot/api-client/lib/codegen/crm/objects/index.js'
import { z } from 'zod'
import { nationalForm } from '../../src/call/phone.ts'
import type { ConnectorContext, FetchInit } from '../../src/connector/contract.ts'
import { failOn, readBounded } from '../../src/connector/fail-on.ts'
import { CordboardError, type ErrorCode, type Retry } from '../../src/errors.ts'
import { type Activity, ASSOCIATIONS, COMPANY_PROPERTIES, CONTACT_PROPERTIES, OBJECTS } from './map.ts'
import {
  type Account,
  account,
  type Config,
  type CrmObject,
  crmObject,
  crmObjects,
  type ErrorBody,
  errorBody,
  type Filter,
  owners,
  property,
  type Search,
} from './schema.ts'

/**
 * HubSpot's API for one step's context. Records (create, read, update, batch, search) go through @hubspot/api-client,
 * which knows their bodies; it is taken by a deep import (about 18 KiB instead of 906) of the part that serves every
 * object type, and sends through `ctx.fetch`: its own fetch, retries and limiter never run. Version 14.0.1 writes
 * `/crm/v3/…`, unsupported after September 2027, so its paths are turned into dated ones. Owners, default associations,
 * properties and the account are one plain request each and have no dated form in it: they use `ctx.fetch` directly.
 * https://developers.hubspot.com/changelog/legacy-apis-and-legacy-apps-whats-going-unsupported-and-when (2026-11-20)
 */
export function hubspot(ctx: ConnectorContext<Config>) {
  const { config } = ctx
  const version = config.apiVersion
  const configuration = createConfiguration({
    baseServer: {
      makeRequestContext: (endpoint, method) =>
        new RequestContext(config.baseUrl + dated(endpoint, version), method),
    },
    authMethods: { oauth2: { accessToken: config.token } },
    httpApi: wrapHttpLibrary({
      async send(request) {
        const url = request.getUrl()
        const body = request.getBody()
        const { status, text } = await exchange(ctx, url, {
          method: request.getHttpMethod(),
          headers: request.getHeaders(),
          ...(typeof body === 'string' ? { body } : {}),
          ...(url.endsWith('/search') ? { bucket: 'search' } : {}),
        })
        // The client reads a body by its type; that this one is JSON has been seen by now.
        return new ResponseContext(
          status,
          { 'content-type': 'application/json' },
          {
            text: async () => text,
            binary: () => Promise.reject(new TypeError('HubSpot records are no files')),
          },
        )
      },
    }),
  })
  const basic = new BasicApi(configuration)
  const batch = new BatchApi(configuration)
  const searching = new SearchApi(configuration)

  async function plain<Schema extends z.ZodType>(schema: Schema, method: string, path: string) {
    const url = config.baseUrl + path
    const { text } = await exchange(ctx, url, {
      method,
      headers: { authorization: `Bearer ${config.token}`, accept: 'application/json' },
    })
    return read(schema, JSON.parse(text))
  }

  return {
    async search(type: keyof typeof OBJECTS, request: Search): Promise<CrmObject[]> {
      const filterGroups = request.filterGroups.map(({ filters }) => ({
        filters: filters.map(({ operator, highValue, ...filter }) => ({
          ...filter,
          operator: operator as FilterOperatorEnum,
          ...(highValue === undefined ? {} : { highValue }),
        })),
      }))
      const found = await searching.doSearch(OBJECTS[type], { ...request, filterGroups })
      return read(crmObjects, found).results
    },

    /** One record by its id or by a unique property; null when there is none. */
    async get(
      type: keyof typeof OBJECTS,
      id: string,
      options: { properties: string[]; associations?: (keyof typeof OBJECTS)[]; idProperty?: string },
    ): Promise<CrmObject | null> {
      const associations = options.associations?.map((other) => OBJECTS[other])
      try {
        const found = await basic.getById(
          OBJECTS[type],
          id,
          options.properties,
          undefined,
          associations,
          undefined,
          options.idProperty,
        )
        return read(crmObject, found)
      } catch (error) {
        if (error instanceof CordboardError && error.code === 'not_found') return null
        throw error
      }
    },

    async readMany(type: keyof typeof OBJECTS, ids: readonly string[], properties: string[]) {
      const inputs = ids.map((id) => ({ id }))
      const found = await batch.read(OBJECTS[type], { inputs, properties, propertiesWithHistory: [] })
      return read(crmObjects, found).results
    },

    /** Proves that a kind of record may be read. */
    async peek(type: keyof typeof OBJECTS): Promise<void> {
      await basic.getPage(OBJECTS[type], 1)
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
      return read(crmObject, await basic.create(OBJECTS[kind], { properties, associations })).id
    },

    async update(kind: Activity, id: string, properties: Record<string, string>): Promise<void> {
      await basic.update(OBJECTS[kind], id, { properties })
    },

    /** Creates or updates by a unique property; takes no associations. */
    async upsert(kind: Activity, idProperty: string, id: string, properties: Record<string, string>) {
      const done = await batch.upsert(OBJECTS[kind], {
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
      await plain(z.unknown(), 'PUT', path)
    },

    /** The owner id of an e-mail address; null when nobody in the account has it. */
    async ownerOf(email: string): Promise<string | null> {
      const query = new URLSearchParams({ email, limit: '2' })
      const { results } = await plain(owners, 'GET', `/crm/owners/${version}?${query}`)
      const same = results.find((owner) => owner.email?.toLowerCase() === email.toLowerCase())
      return same?.id ?? null
    },

    async mayReadOwners(): Promise<void> {
      await plain(owners, 'GET', `/crm/owners/${version}?limit=1`)
    },

    account: (): Promise<Account> => plain(account, 'GET', `/account-info/${version}/details`),

    callProperty: (name: string) =>
      plain(property, 'GET', `/crm/properties/${version}/calls/${segment(name)}`),
  }
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

/** `/crm/v3/objects/calls/1` → `/crm/objects/2026-03/calls/1` */
function dated(endpoint: string, version: string): string {
  return endpoint.replace(/^\/crm\/v3\/objects\//, `/crm/objects/${version}/`)
}

function segment(value: string): string {
  return encodeURIComponent(value)
}

function read<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  // Nobody knows what was done: `later` asks first (find), then tries again.
  throw new CordboardError('vendor_down', 'HubSpot: an answer in a form that is not documented', {
    why: parsed.error.issues
      .map(({ path, message }) => `${path.join('.')}: ${message}`)
      .slice(0, 3)
      .join('; '),
  })
}

// ── Requests and refusals ───────────────────────────────────────────────────────────────────────────────────────────

async function exchange(ctx: ConnectorContext<Config>, url: string, init: FetchInit) {
  const response = await ctx.fetch(url, init)
  // Without the query: it may hold an address.
  const what = `HubSpot: ${init.method} ${new URL(url).pathname}`
  if (!response.ok) throw await refusal(response, what, ctx.now)
  const text = (await response.text()) || 'null'
  if (!isJson(text)) throw new CordboardError('vendor_down', `${what}: the answer is no JSON`)
  return { status: response.status, text }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

async function refusal(response: Response, what: string, now: () => number): Promise<CordboardError> {
  const { status, headers } = response
  const text = await readBounded(response, 16_384)
  const said = errorBody.safeParse(isJson(text) ? JSON.parse(text) : null).data ?? {}
  const failed = failOn(new Response(text || null, { status, headers }), {
    what,
    now,
    codeOf: () => codeOf(status, said),
  })
  const error = await failed.then(
    () => new CordboardError('internal', `${what}: HTTP ${status}`),
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof CordboardError)) throw error
  const scopes = status === 403 ? missingScopes(said) : []
  const existing = /Existing ID:\s*(\d{1,20})/i.exec(said.message ?? '')?.[1]
  return new CordboardError(error.code, error.message, {
    retry: headers.has('retry-after') ? error.retry : (pauseOf(status, said) ?? error.retry),
    ...(error.vendorSaid === undefined ? {} : { vendorSaid: error.vendorSaid }),
    ...(scopes.length === 0
      ? {}
      : {
          why: `It lacks ${scopes.length > 1 ? 'one of the scopes' : 'the scope'} ${scopes.join(', ')}`,
          fix: `Grant ${scopes.join(' or ')} to the service key or app in HubSpot, then rerun the call`,
        }),
    ...(status === 409 && existing !== undefined ? { cause: { existingId: existing } } : {}),
  })
}

/** https://developers.hubspot.com/docs/api-reference/error-handling (read 2026-11-20) */
function codeOf(status: number, { policyName }: ErrorBody): ErrorCode | undefined {
  if (status === 429) return policyName === 'DAILY' ? 'quota' : 'rate_limited'
  // The account is being moved to another data centre; Retry-After says how long, up to a day.
  if (status === 477) return 'vendor_down'
  return undefined
}

/** Where HubSpot sends no Retry-After (it documents none for 429): a rolling window has passed by then. */
function pauseOf(status: number, { policyName }: ErrorBody): Retry | undefined {
  if (status === 423) return { afterMs: 2000 }
  if (status !== 429 || policyName === 'DAILY') return undefined
  return { afterMs: policyName === 'TEN_SECONDLY_ROLLING' ? 10_000 : 1000 }
}

/** The names stand under several keys: https://github.com/HubSpot/hubspot-api-nodejs/issues/268 */
function missingScopes({ errors = [] }: ErrorBody): string[] {
  const named = errors
    .flatMap(({ context = {} }) => [context.requiredGranularScopes, context.requiredScopes])
    .flat()
  return named
    .filter((name): name is string => typeof name === 'string' && /^[\w.-]{3,80}$/.test(name))
    .slice(0, 5)
}

/** The record that a refused creation would have doubled. */
export function existingId(error: unknown): string | null {
  if (!(error instanceof CordboardError) || error.code !== 'duplicate') return null
  return z.object({ existingId: z.string() }).safeParse(error.cause).data?.existingId ?? null
}

// ── Searches ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Far more than share one number; beyond it nobody could choose anyhow. */
const MAX_FOUND = 100

const search = (filters: Filter[], properties: string[], limit = MAX_FOUND): Search => ({
  filterGroups: filters.map((filter) => ({ filters: [filter] })),
  properties,
  limit,
})

/**
 * Every spelling of a number, in the five groups a search may have. HubSpot indexes numbers as area code and local
 * number without the country code (search guide); the property names of that index are only known from other users,
 * so `plain` searches without them. https://developers.hubspot.com/docs/api-reference/latest/crm/search-the-crm
 */
export function contactSearch(e164: string, spelling: 'indexed' | 'plain'): Search {
  const national = nationalForm(e164) ?? e164.slice(1)
  // With a wildcard, for whoever wrote the trunk 0 and was not understood.
  const indexed: Filter[] = [
    {
      propertyName: 'hs_searchable_calculated_phone_number',
      operator: 'CONTAINS_TOKEN',
      value: `*${national}`,
    },
    {
      propertyName: 'hs_searchable_calculated_mobile_number',
      operator: 'CONTAINS_TOKEN',
      value: `*${national}`,
    },
  ]
  const mobile: Filter[] = [{ propertyName: 'mobilephone', operator: 'EQ', value: e164 }]
  return search(
    [
      { propertyName: 'phone', operator: 'CONTAINS_TOKEN', value: `*${national}` },
      { propertyName: 'mobilephone', operator: 'CONTAINS_TOKEN', value: `*${national}` },
      { propertyName: 'phone', operator: 'EQ', value: e164 },
      ...(spelling === 'indexed' ? indexed : mobile),
    ],
    CONTACT_PROPERTIES,
  )
}

export function companySearch(e164: string): Search {
  const national = nationalForm(e164) ?? e164.slice(1)
  return search(
    [
      { propertyName: 'phone', operator: 'EQ', value: e164 },
      { propertyName: 'phone', operator: 'CONTAINS_TOKEN', value: `*${national}` },
    ],
    COMPANY_PROPERTIES,
  )
}

export function emailSearch(email: string): Search {
  return search([{ propertyName: 'email', operator: 'EQ', value: email }], CONTACT_PROPERTIES)
}

/** Activities of one instant: it is ours to choose, so few others share it, and no word has to be indexed. */
export function instantSearch(at: string, properties: string[]): Search {
  const ms = Date.parse(at)
  return search(
    [
      {
        propertyName: 'hs_timestamp',
        operator: 'BETWEEN',
        value: String(ms - 1000),
        highValue: String(ms + 1000),
      },
    ],
    properties,
    200,
  )
}
