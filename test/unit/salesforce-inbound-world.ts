import { z } from 'zod'
import { longId } from '../../connectors/salesforce/inbound/id.ts'
import type { Query } from '../../connectors/salesforce/inbound/read.ts'
import { inboundKeys } from '../../connectors/salesforce/inbound/schema.ts'
import { webhook } from '../../connectors/salesforce/inbound/webhook.ts'
import { type CallEvent, callEvent } from '../../src/call/facts.ts'
import type { ConnectorContext, FetchInit } from '../../src/connector/contract.ts'
import { utf8 } from '../../src/connector/encoding.ts'
import { inboundRequest, type RawRequest } from '../../src/connector/request.ts'
import { asCordboardError, type CordboardError } from '../../src/errors.ts'

/** One org as it tells of its calls, for the tests of both ends: what is sent, and what is read then. */

export const ORG = '00D000000000001EAA'
export const TASK = longId('00T0000000000A1') ?? ''
export const CONTACT = longId('0030000000000c1') ?? ''
export const LEAD = longId('00Q0000000000L1') ?? ''
export const ACCOUNT = longId('0010000000000a1') ?? ''
export const OWNER = longId('0050000000000u1') ?? ''
export const PHONE = '+33639980142'
export const RECEIVED = '2026-03-04T11:25:00.000Z'

export const schema = z.object({
  ...inboundKeys,
  baseUrl: z.string().default('https://acme.my.salesforce.com'),
  externalIdField: z.string().optional(),
  orgId: z.string().optional(),
})
export type Settings = z.input<typeof schema>

export const TOKEN = 'wQ1kq8s0aX7d2mC5yB9zT4fH6jL3nP0r'
export const SECRET = 'k3y-of-the-hmac-0123456789abcdef'
export const MESSAGE: Settings = {
  inbound: { by: 'outbound message', token: TOKEN },
  orgId: ORG,
  externalIdField: 'Cordboard_Key__c',
  calls: {
    phoneField: 'Number__c',
    recordingField: 'Recording_URL__c',
    recordingHosts: ['media.example.com', '*.dialler.example.com'],
    dispositions: { Connected: 'answered', 'Left Voicemail': 'voicemail' },
    lookUp: false,
  },
}
const { orgId: _org, ...ANY_ORG } = MESSAGE
export const JSON_BY_HAND: Settings = { ...ANY_ORG, inbound: { by: 'signed JSON', secret: SECRET } }

export const settingsOf = (settings: Settings) => {
  const config = schema.parse(settings)
  return { connection: 'crm', config, region: 'FR' }
}

// ── What is sent ────────────────────────────────────────────────────────────────────────────────────────────────────

export type Fields = Record<string, string | null>

export const CALL: Fields = {
  Id: TASK,
  TaskSubtype: 'Call',
  CallType: 'Inbound',
  CallDurationInSeconds: '63',
  CallDisposition: 'Connected',
  IsClosed: 'true',
  WhoId: CONTACT,
  OwnerId: OWNER,
  Subject: 'Invoice &amp; delivery',
  CreatedDate: '2026-03-04T11:24:10.000Z',
  LastModifiedDate: '2026-03-04T11:24:30.000Z',
  Number__c: '06 39 98 01 42',
  Recording_URL__c: 'https://media.example.com/r/1.mp3',
  Cordboard_Key__c: null,
}

export interface Sent {
  object?: string
  fields: Fields
  id?: string
}

export function soap(sent: readonly Sent[], orgId = ORG): string {
  const notifications = sent.map(
    ({ object = 'Task', fields, id = '04l000000000001AAA' }) =>
      `<Notification><Id>${id}</Id><sObject xsi:type="sf:${object}" xmlns:sf="urn:sobject.enterprise.soap.sforce.com">${Object.entries(
        fields,
      )
        .map(([name, value]) =>
          value === null ? `<sf:${name} xsi:nil="true"/>` : `<sf:${name}>${value}</sf:${name}>`,
        )
        .join('')}</sObject></Notification>`,
  )
  return `<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body><notifications xmlns="http://soap.sforce.com/2005/09/outbound"><OrganizationId>${orgId}</OrganizationId><ActionId>04k000000000001AAA</ActionId><SessionId xsi:nil="true"/><EnterpriseUrl>https://acme.my.salesforce.com/services/Soap/c/67.0/00D000000000001</EnterpriseUrl><PartnerUrl>https://acme.my.salesforce.com/services/Soap/u/67.0/00D000000000001</PartnerUrl>${notifications.join('')}</notifications></soapenv:Body></soapenv:Envelope>`
}

export const raw = (body: string, type = 'text/xml', path = `/${TOKEN}`): RawRequest => ({
  method: 'POST',
  url: `https://hooks.example.com/hooks/crm${path}`,
  path,
  headers: [['content-type', type]],
  body: utf8(body),
  receivedAt: RECEIVED,
})

export const read = (body: string, settings = MESSAGE) =>
  webhook.receive(inboundRequest(raw(body)), settingsOf(settings))
export const readJson = (body: unknown, settings = JSON_BY_HAND) =>
  webhook.receive(inboundRequest(raw(JSON.stringify(body), 'application/json', '')), settingsOf(settings))

export function failure(work: () => unknown): CordboardError {
  try {
    work()
  } catch (error) {
    return asCordboardError(error)
  }
  throw new Error('nothing failed')
}

export const eventsIn = (received: ReturnType<typeof read>): CallEvent[] => {
  if (!('events' in received)) throw new Error(received.ignored)
  for (const event of received.events) callEvent.parse(event)
  return received.events
}
export const without = (...names: string[]): Fields =>
  Object.fromEntries(Object.entries(CALL).filter(([name]) => !names.includes(name)))

export const PEOPLE: Record<string, Record<string, unknown>> = {
  [CONTACT]: { Id: CONTACT, Name: 'Jean Dupont', Email: 'jean@example.com', Phone: null, MobilePhone: PHONE },
  [LEAD]: { Id: LEAD, Name: 'Léa', Email: null, Phone: '01 99 00 12 34' },
  [OWNER]: { Id: OWNER, Name: 'Alice Martin', Email: 'alice.martin@example.com', Extension: '101' },
}

/** As the REST API writes them. */
export const TASK_ROW: Record<string, unknown> = {
  attributes: { type: 'Task', url: `/services/data/v67.0/sobjects/Task/${TASK}` },
  ...CALL,
  CallDurationInSeconds: 63,
  IsClosed: true,
  Number__c: null,
  CreatedDate: '2026-03-04T11:24:10.000+0000',
  LastModifiedDate: '2026-03-04T12:24:30.000+0100',
}

export function org(tasks: readonly Record<string, unknown>[]) {
  const asked: string[] = []
  const query: Query = async function* (soql) {
    asked.push(soql)
    const object = /FROM (\w+)/.exec(soql)?.[1]
    const ids = [...soql.matchAll(/'(\w{18})'/g)].map(([, id]) => id)
    const all = object === 'Task' ? tasks : Object.values(PEOPLE)
    yield ids.length > 0 ? all.filter(({ Id }) => ids.includes(String(Id))) : all
  }
  return { asked, query }
}

export const warned: Record<string, unknown>[] = []
export function context(
  settings: Settings,
  answer?: (url: URL, init?: FetchInit) => Response,
): ConnectorContext<z.output<typeof schema>> {
  const silent = () => undefined
  return {
    ...settingsOf(settings),
    hookUrl: undefined,
    fetch: async (url, init) => answer?.(new URL(url), init) ?? new Response(null, { status: 404 }),
    token: () => Promise.reject(new Error('no token is asked for')),
    now: () => Date.parse(RECEIVED),
    random: () => 0,
    log: { debug: silent, info: silent, error: silent, warn: (_, fields) => void warned.push(fields ?? {}) },
    signal: new AbortController().signal,
  }
}
