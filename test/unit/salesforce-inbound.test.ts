import { createHmac } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { longId } from '../../connectors/salesforce/inbound/id.ts'
import { ACKNOWLEDGED } from '../../connectors/salesforce/inbound/outbound-message.ts'
import { listCalls, lookUpCalls, type Query } from '../../connectors/salesforce/inbound/read.ts'
import { fetchRecording } from '../../connectors/salesforce/inbound/recording.ts'
import { inboundKeys } from '../../connectors/salesforce/inbound/schema.ts'
import { sourceWarnings } from '../../connectors/salesforce/inbound/warnings.ts'
import { webhook } from '../../connectors/salesforce/inbound/webhook.ts'
import { type CallEvent, callEvent } from '../../src/call/facts.ts'
import { foldEvents, progressOf } from '../../src/call/merge.ts'
import type { ConnectorContext, FetchInit } from '../../src/connector/contract.ts'
import { utf8 } from '../../src/connector/encoding.ts'
import { inboundRequest, type RawRequest } from '../../src/connector/request.ts'
import { signRaw } from '../../src/connector/sign.ts'
import { verifyRequest } from '../../src/connector/verify.ts'
import { parseXml } from '../../src/connector/xml.ts'
import { asCordboardError, type CordboardError } from '../../src/errors.ts'
import { testSigner, verifier } from '../kit/signer.ts'

const ORG = '00D000000000001EAA'
const TASK = longId('00T0000000000A1') ?? ''
const CONTACT = longId('0030000000000c1') ?? ''
const LEAD = longId('00Q0000000000L1') ?? ''
const ACCOUNT = longId('0010000000000a1') ?? ''
const OWNER = longId('0050000000000u1') ?? ''
const PHONE = '+33639980142'
const RECEIVED = '2026-03-04T11:25:00.000Z'

const schema = z.object({
  ...inboundKeys,
  baseUrl: z.string().default('https://acme.my.salesforce.com'),
  externalIdField: z.string().optional(),
  orgId: z.string().optional(),
})
type Settings = z.input<typeof schema>

const TOKEN = 'wQ1kq8s0aX7d2mC5yB9zT4fH6jL3nP0r'
const SECRET = 'k3y-of-the-hmac-0123456789abcdef'
const MESSAGE: Settings = {
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
const JSON_BY_HAND: Settings = { ...ANY_ORG, inbound: { by: 'signed JSON', secret: SECRET } }

const settingsOf = (settings: Settings) => {
  const config = schema.parse(settings)
  return { connection: 'crm', config, region: 'FR' }
}

// ── What is sent ────────────────────────────────────────────────────────────────────────────────────────────────────

type Fields = Record<string, string | null>

const CALL: Fields = {
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

interface Sent {
  object?: string
  fields: Fields
  id?: string
}

function soap(sent: readonly Sent[], orgId = ORG): string {
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

const raw = (body: string, type = 'text/xml', path = `/${TOKEN}`): RawRequest => ({
  method: 'POST',
  url: `https://hooks.example.com/hooks/crm${path}`,
  path,
  headers: [['content-type', type]],
  body: utf8(body),
  receivedAt: RECEIVED,
})

const read = (body: string, settings = MESSAGE) =>
  webhook.receive(inboundRequest(raw(body)), settingsOf(settings))
const readJson = (body: unknown, settings = JSON_BY_HAND) =>
  webhook.receive(inboundRequest(raw(JSON.stringify(body), 'application/json', '')), settingsOf(settings))

function failure(work: () => unknown): CordboardError {
  try {
    work()
  } catch (error) {
    return asCordboardError(error)
  }
  throw new Error('nothing failed')
}

const eventsIn = (received: ReturnType<typeof read>): CallEvent[] => {
  if (!('events' in received)) throw new Error(received.ignored)
  for (const event of received.events) callEvent.parse(event)
  return received.events
}
const without = (...names: string[]): Fields =>
  Object.fromEntries(Object.entries(CALL).filter(([name]) => !names.includes(name)))

describe('an outbound message', () => {
  it('that says all of a call is a call, where nobody wants to read more', () => {
    const received = read(soap([{ fields: CALL }]))
    const [event] = eventsIn(received)
    expect(event).toEqual({
      key: `${TASK}:notification:04l000000000001AAA`,
      callId: TASK,
      phase: 'ended',
      at: '2026-03-04T11:24:30.000Z',
      facts: {
        direction: 'inbound',
        result: 'answered',
        outcome: 'Connected',
        startedAt: '2026-03-04T11:24:10.000Z',
        talkMs: 63_000,
        from: { phone: PHONE, phoneRaw: '06 39 98 01 42' },
        customer: { phone: PHONE, phoneRaw: '06 39 98 01 42', crm: { crm: CONTACT } },
        agent: { id: OWNER },
        recordings: [{ key: TASK, state: 'ready', url: 'https://media.example.com/r/1.mp3', format: 'mp3' }],
        meta: { subject: 'Invoice & delivery' },
      },
    })
    expect(received).not.toHaveProperty('lookUp')
    expect(received).not.toHaveProperty('changes')
  })

  it('is looked up, whatever it says, unless that is switched off', () => {
    const { lookUp: _, ...calls } = MESSAGE.calls ?? {}
    const other = { ...CALL, Id: '00T0000000000B2' }
    expect(
      read(soap([{ fields: CALL }, { fields: CALL }, { fields: other }]), { ...MESSAGE, calls }),
    ).toEqual({
      events: [],
      lookUp: [TASK, longId('00T0000000000B2')],
    })
  })

  it.each([
    ['which field holds our key', 'Cordboard_Key__c'],
    ['whether the call was made', 'IsClosed'],
  ])('that does not tell %s is only looked up', (_, name) => {
    expect(read(soap([{ fields: without(name) }]))).toEqual({ events: [], lookUp: [TASK] })
  })

  it('with nothing but an id is looked up', () => {
    expect(read(soap([{ fields: { Id: '00T0000000000A1' } }]))).toEqual({ events: [], lookUp: [TASK] })
  })

  it.each([
    ['Cordboard wrote it', { Cordboard_Key__c: 'wbk_01KJT0QZ5M-call' }],
    ['Cordboard wrote it', { CallObject: 'wbk_01KJT0QZ5M-call' }],
    ['the call is planned, not made', { IsClosed: 'false' }],
    ['it is no call', { TaskSubtype: 'Email', CallType: null }],
    ['its id is not told', { Id: null }],
  ])('of a task is ignored: %s', (why, fields) => {
    expect(read(soap([{ fields: { ...CALL, ...fields } }]))).toEqual({ ignored: `Task: ${why}` })
  })

  it('is ignored by name where no calls are taken, and where the object is of no interest', () => {
    const { calls: _, ...none } = MESSAGE
    expect(read(soap([{ fields: CALL }]), none)).toEqual({
      ignored: 'Task: this connection takes no calls from Salesforce (`calls`)',
    })
    const cases = { object: 'Case', fields: { Id: '5000000000000c1' } }
    expect(read(soap([cases, cases]))).toEqual({ ignored: 'Case: it says nothing that a call needs (2)' })
  })

  it('has up to a hundred notifications, and other prefixes than usual are the same to it', () => {
    const many = Array.from({ length: 100 }, (_, n) => ({
      id: `04l${String(n).padStart(15, '0')}`,
      fields: { ...CALL, Id: longId(`00T${String(n).padStart(12, '0')}`) },
    }))
    const body = soap(many).replaceAll('soapenv:', 's:').replaceAll('sf:', 'x:').replaceAll('xsi:', 'i:')
    const events = eventsIn(read(body))
    expect(new Set(events.map(({ key }) => key)).size).toBe(100)
    expect(events[0]?.facts.recordings).toHaveLength(1)
    expect(events[0]?.facts.customer?.crm).toEqual({ crm: CONTACT })
  })

  it('sent twice says the same, whatever came with it', () => {
    const again = [{ id: '04l000000000002AAA', fields: { ...CALL, Id: '00T0000000000B2' } }, { fields: CALL }]
    const [first] = eventsIn(read(soap([{ fields: CALL }])))
    expect(eventsIn(read(soap(again)))[1]).toEqual(first)
  })

  it('is answered by exactly the envelope that acknowledges it', () => {
    expect(ACKNOWLEDGED).toMatchObject({ status: 200, headers: { 'content-type': 'text/xml' } })
    expect(webhook.reply).toBe(ACKNOWLEDGED)
    const envelope = parseXml(ACKNOWLEDGED.body ?? '')
    expect(envelope.name).toBe('soapenv:Envelope')
    expect(envelope.children[0]?.children[0]).toMatchObject({
      name: 'notificationsResponse',
      attributes: { xmlns: 'http://soap.sforce.com/2005/09/outbound' },
      children: [{ name: 'Ack', text: 'true' }],
    })
  })

  it('of another organisation is kept, unread; both forms of an id are the same one', () => {
    const other = failure(() => read(soap([{ fields: CALL }], '00D000000000002EAA')))
    expect(other).toMatchObject({ code: 'invalid_payload' })
    expect(other.fix).toContain('orgId')
    expect(eventsIn(read(soap([{ fields: CALL }], '00D000000000001')))).toHaveLength(1)
    const short = { ...MESSAGE, orgId: '00D000000000001' }
    expect(eventsIn(read(soap([{ fields: CALL }]), short))).toHaveLength(1)
    // Case counts in the form of 15.
    expect(failure(() => read(soap([{ fields: CALL }], '00d000000000001')))).toMatchObject({
      code: 'invalid_payload',
    })
  })

  it.each([
    [
      'a document type',
      soap([{ fields: CALL }]).replace('?>', '?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'),
    ],
    ['an entity of its own', soap([{ fields: { ...CALL, Subject: '&e;' } }])],
    ['no notification', soap([])],
    ['no body', '<Envelope/>'],
    ['no XML', 'Id=1'],
    ['a record of no type', soap([{ fields: CALL }]).replace('xsi:type="sf:Task"', '')],
    ['a notification without an id', soap([{ fields: CALL, id: '' }])],
  ])('with %s is unreadable', (_, body) => {
    expect(failure(() => read(body))).toMatchObject({ code: 'invalid_payload' })
  })

  it('tells of records that are gone', () => {
    const contact = { object: 'Contact', fields: { Id: CONTACT, IsDeleted: 'true', MasterRecordId: null } }
    const merged = { object: 'Lead', fields: { Id: LEAD, MasterRecordId: longId('00Q0000000000L2') } }
    const there = { object: 'Account', fields: { Id: ACCOUNT, IsDeleted: 'false' } }
    expect(read(soap([contact, merged, there]))).toEqual({
      events: [],
      changes: [
        { change: 'deleted', type: 'contact', id: CONTACT },
        { change: 'merged', type: 'lead', id: LEAD, into: longId('00Q0000000000L2') },
      ],
    })
  })

  it('is let in by the end of its path alone', async () => {
    const verify = (path: string) =>
      verifyRequest(
        inboundRequest(raw(soap([{ fields: CALL }]), 'text/xml', path)),
        webhook.verify(schema.parse(MESSAGE)),
        { now: Date.parse(RECEIVED), signer: verifier },
      )
    expect(await verify(`/${TOKEN}`)).toMatchObject({ ok: true })
    expect(await verify(`/soap/${TOKEN}`)).toMatchObject({ ok: true })
    for (const path of ['', '/', '/soap', `/${TOKEN}x`, `/${TOKEN}/`])
      expect(await verify(path)).toMatchObject({ ok: false })
  })
})

describe('signed JSON', () => {
  it('names tasks by their ids, or tells what they say; the same said twice has one key', () => {
    expect(readJson({ tasks: ['00T0000000000A1', TASK] })).toEqual({ events: [], lookUp: [TASK] })
    const body = {
      tasks: [{ attributes: { type: 'Task' }, ...CALL, CallDurationInSeconds: 63, IsClosed: true }],
    }
    const [event] = eventsIn(readJson(body))
    expect(event?.facts).toMatchObject({ direction: 'inbound', talkMs: 63_000 })
    const [task] = body.tasks
    const other = { ...task, CallDisposition: 'Left Voicemail' }
    const [again, later] = [readJson(body), readJson({ tasks: [other] })].map((told) => eventsIn(told)[0])
    expect(again?.key).toBe(event?.key)
    expect(later?.key).not.toBe(event?.key)
    expect(later?.facts.result).toBe('voicemail')
  })

  it('tells of records that were deleted, merged and erased', () => {
    const records = [
      { change: 'deleted', id: CONTACT },
      { change: 'merged', id: '00Q0000000000L1', into: '00Q0000000000L2' },
      { change: 'merged', id: ACCOUNT, into: null },
      { change: 'erased', id: CONTACT },
      { change: 'deleted', id: TASK },
    ]
    expect(readJson({ records })).toEqual({
      events: [],
      changes: [
        { change: 'deleted', type: 'contact', id: CONTACT },
        { change: 'merged', type: 'lead', id: LEAD, into: longId('00Q0000000000L2') },
        { change: 'deleted', type: 'account', id: ACCOUNT },
        { change: 'erased', type: 'contact', id: CONTACT },
      ],
    })
  })

  it('that says nothing is ignored, what is in another form is unreadable', () => {
    expect(readJson({})).toEqual({ ignored: 'it names no task and no record' })
    expect(readJson({ tasks: ['0030000000000c1'] })).toEqual({ ignored: 'Task: its id is not told' })
    for (const body of [[], 'x', { tasks: 'x' }, { records: [{ change: 'lost', id: CONTACT }] }])
      expect(failure(() => readJson(body))).toMatchObject({ code: 'invalid_payload' })
  })

  it('of another organisation is kept, unread', () => {
    const settings: Settings = { ...MESSAGE, inbound: { by: 'signed JSON', secret: SECRET } }
    expect(readJson({ organizationId: ORG.slice(0, 15), tasks: [TASK] }, settings)).toHaveProperty('lookUp')
    expect(
      failure(() => readJson({ organizationId: '00D000000000009', tasks: [TASK] }, settings)),
    ).toMatchObject({
      code: 'invalid_payload',
    })
  })

  it('is signed over its time, a point and the body, in hex or base64; five minutes', async () => {
    const now = Date.parse(RECEIVED)
    const verification = webhook.verify(schema.parse(JSON_BY_HAND))
    const body = '{"tasks":["00T0000000000A1"]}'
    const signed = await signRaw(raw(body, 'application/json', ''), verification, { now, signer: testSigner })
    const { headers } = inboundRequest(signed)
    const macIn = (encoding: 'hex' | 'base64') =>
      createHmac('sha256', SECRET)
        .update(`${headers.get('x-cordboard-timestamp')}.${body}`)
        .digest(encoding)
    const [hex, base64] = [macIn('hex'), macIn('base64')]
    const verify = (signature: string, at = now, sent = body) => {
      const changed = new Headers(headers)
      changed.set('x-cordboard-signature', signature)
      return verifyRequest(
        inboundRequest({ ...signed, body: utf8(sent), headers: [...changed] }),
        verification,
        {
          now: at,
          signer: verifier,
        },
      )
    }
    expect(await verify(hex)).toMatchObject({ ok: true })
    expect(await verify(base64)).toMatchObject({ ok: true })
    expect(await verify(hex, now + 299_000)).toMatchObject({ ok: true })
    expect(await verify(hex, now + 302_000)).toMatchObject({ ok: false })
    expect(await verify(hex, now, `${body} `)).toMatchObject({ ok: false })
  })
})

it('nothing is taken in where `inbound` is not configured', async () => {
  const { inbound: _, ...none } = MESSAGE
  expect(read(soap([{ fields: CALL }]), none)).toHaveProperty('ignored')
  const request = inboundRequest(raw(soap([{ fields: CALL }])))
  const verifying = verifyRequest(request, webhook.verify(schema.parse(none)), { now: 0, signer: verifier })
  await expect(verifying).rejects.toMatchObject({ code: 'config' })
})

// ── What is read ────────────────────────────────────────────────────────────────────────────────────────────────────

const PEOPLE: Record<string, Record<string, unknown>> = {
  [CONTACT]: { Id: CONTACT, Name: 'Jean Dupont', Email: 'jean@example.com', Phone: null, MobilePhone: PHONE },
  [LEAD]: { Id: LEAD, Name: 'Léa', Email: null, Phone: '01 99 00 12 34' },
  [OWNER]: { Id: OWNER, Name: 'Alice Martin', Email: 'alice.martin@example.com', Extension: '101' },
}

/** As the REST API writes them. */
const TASK_ROW: Record<string, unknown> = {
  attributes: { type: 'Task', url: `/services/data/v67.0/sobjects/Task/${TASK}` },
  ...CALL,
  CallDurationInSeconds: 63,
  IsClosed: true,
  Number__c: null,
  CreatedDate: '2026-03-04T11:24:10.000+0000',
  LastModifiedDate: '2026-03-04T12:24:30.000+0100',
}

function org(tasks: readonly Record<string, unknown>[]) {
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

const warned: Record<string, unknown>[] = []
function context(
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

describe('looking up', () => {
  it('asks once for many tasks, and once for each kind of people', async () => {
    const second = { ...TASK_ROW, Id: longId('00T0000000000B2'), WhoId: LEAD, CallType: 'Outbound' }
    const { asked, query } = org([TASK_ROW, second])
    const events = await lookUpCalls([TASK, '00T0000000000B2', TASK.slice(0, 15)], query, context(MESSAGE))
    expect(asked).toHaveLength(4)
    expect(asked[0]).toContain('Recording_URL__c,Cordboard_Key__c')
    expect(asked.map((soql) => /FROM (\w+)/.exec(soql)?.[1])).toEqual(['Task', 'Contact', 'Lead', 'User'])
    for (const event of events) callEvent.parse(event)
    expect(events).toHaveLength(2)
    expect(events[0]).toMatchObject({
      key: `${TASK}:2026-03-04T11:24:30.000Z`,
      callId: TASK,
      at: '2026-03-04T11:24:30.000Z',
      facts: {
        direction: 'inbound',
        result: 'answered',
        from: { phone: PHONE },
        customer: { phone: PHONE, name: 'Jean Dupont', email: 'jean@example.com', crm: { crm: CONTACT } },
        agent: { id: OWNER, name: 'Alice Martin', email: 'alice.martin@example.com', extension: '101' },
        startedAt: '2026-03-04T11:24:10.000Z',
      },
    })
    expect(events[1]?.facts).toMatchObject({
      direction: 'outbound',
      dialed: { phone: '+33199001234' },
      customer: { name: 'Léa', crm: { crm: LEAD } },
    })
    expect(events[1]?.facts).not.toHaveProperty('from')
  })

  it('adds to what the message said, and contradicts none of it', async () => {
    const told = eventsIn(read(soap([{ fields: CALL }])))
    const found = await lookUpCalls([TASK], org([TASK_ROW]).query, context(MESSAGE))
    const base = { id: 'call_1', connection: 'crm', callId: TASK }
    const call = foldEvents([...told, ...found], base)
    expect(call).toEqual(foldEvents([...found, ...told], base))
    expect(call).toMatchObject({
      source: { connection: 'crm', callId: TASK },
      result: 'answered',
      talkMs: 63_000,
      customer: { phone: PHONE, name: 'Jean Dupont', crm: { crm: CONTACT } },
      agent: { id: OWNER, extension: '101' },
    })
    expect(call.recordings).toHaveLength(1)
    expect(progressOf(found)).toEqual({ ended: true, recording: 'ready' })
  })

  it.each([
    ['ours by the external id', { Cordboard_Key__c: 'wbk_01KJT0QZ5M-call' }],
    ['ours by CallObject', { CallObject: 'wbk_01KJT0QZ5M-call' }],
    ['planned', { IsClosed: false }],
    ['no call', { TaskSubtype: 'Task', CallType: null }],
  ])('leaves out what is %s', async (_, fields) => {
    const { asked, query } = org([{ ...TASK_ROW, ...fields }])
    expect(await lookUpCalls([TASK], query, context(MESSAGE))).toEqual([])
    expect(asked).toHaveLength(1)
  })

  it('asks for nothing that is no id of a task, nor where no calls are taken', async () => {
    const { asked, query } = org([TASK_ROW])
    const strange = ["' OR Id != '", '', CONTACT, 'x'.repeat(400)]
    expect(await lookUpCalls(strange, query, context(MESSAGE))).toEqual([])
    const { calls: _, ...none } = MESSAGE
    expect(await lookUpCalls([TASK], query, context(none))).toEqual([])
    for await (const page of listCalls(RECEIVED, query, context(none))) expect(page).toEqual([])
    expect(asked).toEqual([])
  })

  it('a call on an account, of a queue, without a number: nothing is made up', async () => {
    const queue = longId('00G0000000000q1')
    const fields = {
      WhoId: null,
      WhatId: ACCOUNT,
      OwnerId: queue,
      CallDisposition: 'Wrong person',
      CallType: null,
    }
    const [event] = await lookUpCalls([TASK], org([{ ...TASK_ROW, ...fields }]).query, context(MESSAGE))
    expect(event?.facts.customer).toEqual({ crm: { crm: ACCOUNT } })
    expect(event?.facts).toMatchObject({ outcome: 'Wrong person', meta: { whatId: ACCOUNT } })
    for (const name of ['agent', 'from', 'dialed', 'result', 'direction', 'endedAt'])
      expect(event?.facts).not.toHaveProperty(name)
  })

  it('a field of the operator’s own says when the call began, and so when it ended', async () => {
    const settings: Settings = { ...MESSAGE, calls: { ...MESSAGE.calls, startField: 'Began__c' } }
    const row = { ...TASK_ROW, Began__c: '2026-03-04T11:22:33.000+0000' }
    const [event] = await lookUpCalls([TASK], org([row]).query, context(settings))
    expect(event?.facts).toMatchObject({
      startedAt: '2026-03-04T11:22:33.000Z',
      endedAt: '2026-03-04T11:23:36.000Z',
    })
  })
})

describe('listing', () => {
  it('asks for the calls that began in the span, in their order', async () => {
    const { asked, query } = org([TASK_ROW, { ...TASK_ROW, Id: longId('00T0000000000B2'), IsClosed: false }])
    const events: CallEvent[] = []
    for await (const page of listCalls(
      '2026-03-04T00:00:00.000Z',
      query,
      context(MESSAGE),
      '2026-03-05T00:00:00.000Z',
    ))
      events.push(...page)
    expect(asked[0]).toMatch(
      / FROM Task WHERE \(TaskSubtype = 'Call' OR CallType != null\) AND IsClosed = true AND CreatedDate >= 2026-03-04T00:00:00.000Z AND CreatedDate < 2026-03-05T00:00:00.000Z ORDER BY CreatedDate ASC$/,
    )
    expect(events.map(({ callId }) => callId)).toEqual([TASK])
    const [found] = await lookUpCalls([TASK], org([TASK_ROW]).query, context(MESSAGE))
    expect(events[0]).toEqual(found)
  })
})

// ── Recordings ──────────────────────────────────────────────────────────────────────────────────────────────────────

const linked = async (fields: Record<string, unknown>, calls: Settings['calls'] = MESSAGE.calls) => {
  const found = await lookUpCalls(
    [TASK],
    org([{ ...TASK_ROW, ...fields }]).query,
    context({ ...MESSAGE, calls }),
  )
  return found[0]?.facts
}
const HOSTS = { recordingHosts: ['media.example.com', '*.dialler.example.com'] }

describe('a recording', () => {
  it.each([
    ['https://eu.dialler.example.com/a.wav?x=1', 'wav'],
    ['https://media.example.com/listen/1', undefined],
  ])('is the link %s', async (url, format) => {
    const [recording] = (await linked({ Recording_URL__c: url }))?.recordings ?? []
    expect(recording).toEqual({ key: TASK, state: 'ready', url, ...(format ? { format } : {}) })
  })

  it.each([
    'http://media.example.com/1.mp3',
    'https://media.example.com.evil.example/1.mp3',
    'https://evil.example/media.example.com',
    'https://dialler.example.com/1.mp3',
    'https://media.example.com:8443/1.mp3',
    'https://user:pass@media.example.com/1.mp3',
    'javascript:alert(1)',
    'recording 17',
  ])('is not %s', async (url) => {
    const facts = await linked({ Recording_URL__c: url })
    expect(facts).not.toHaveProperty('recordings')
    // It may come later, and is waited for.
    expect(facts).not.toHaveProperty('recordingExpected')
  })

  it('of a host that is not named is said once in the log, without its path', async () => {
    warned.length = 0
    await linked({ Recording_URL__c: 'https://evil.example/1.mp3?token=x' })
    expect(warned).toEqual([{ task: TASK, host: 'evil.example' }])
  })

  it('is the first link of the description that is of a named host, where there is no field', async () => {
    const Description =
      'See https://example.org/x. Recording (https://media.example.com/r/7.mp3).\nhttps://media.example.com/8'
    const facts = await linked({ Description }, HOSTS)
    expect(facts?.recordings?.[0]?.url).toBe('https://media.example.com/r/7.mp3')
  })

  it('is not expected where no host is named', async () => {
    expect(await linked({ Description: 'https://media.example.com/8' }, {})).toMatchObject({
      recordingExpected: false,
    })
  })

  const CALL_OF = foldEvents([], { id: 'call_1', connection: 'crm', callId: TASK })
  const recording = { key: TASK, state: 'ready' as const, url: 'https://media.example.com/r/7.mp3' }
  const fetched = (calls: Settings['calls'], answer: () => Response, url = recording.url) => {
    const sent: { url: string; authorization: string | undefined }[] = []
    const ctx = context({ ...MESSAGE, calls }, (to, init) => {
      sent.push({ url: to.href, authorization: init?.headers?.authorization })
      return answer()
    })
    return fetchRecording({ ...recording, url }, CALL_OF, ctx).then(
      async (response) => ({ sent, text: await response.text(), code: null }),
      (error) => ({ sent, text: null, code: asCordboardError(error).code }),
    )
  }
  const audio = () => new Response('ID3', { headers: { 'content-type': 'audio/mpeg' } })

  it.each([
    [{ by: 'none' as const }, undefined],
    [{ by: 'bearer' as const, token: 'abc' }, 'Bearer abc'],
    [{ by: 'basic' as const, user: 'u', password: 'pé' }, 'Basic dTpww6k='],
  ])('is fetched with the credentials of its host: $by', async (recordingAuth, authorization) => {
    expect(await fetched({ ...HOSTS, recordingAuth }, audio)).toEqual({
      sent: [{ url: recording.url, authorization }],
      text: 'ID3',
      code: null,
    })
  })

  it('is fetched from named hosts only, also where the list has changed since', async () => {
    expect(await fetched({ recordingHosts: ['other.example.com'] }, audio)).toMatchObject({
      sent: [],
      code: 'rejected',
    })
    expect(await fetched(HOSTS, audio, 'http://media.example.com/1')).toMatchObject({
      sent: [],
      code: 'rejected',
    })
    expect(await fetched(undefined, audio)).toMatchObject({ sent: [], code: 'rejected' })
  })

  it.each([
    [401, 'forbidden'],
    [402, 'forbidden'],
    [403, 'forbidden'],
    [404, 'not_found'],
    [429, 'rate_limited'],
    [500, 'vendor_down'],
  ])('HTTP %i of its host is %s: Salesforce itself is not held back', async (status, code) => {
    expect(await fetched(HOSTS, () => new Response('', { status }))).toMatchObject({ code })
  })

  it('is no page to log in', async () => {
    const page = () => new Response('<html>', { headers: { 'content-type': 'text/html; charset=utf-8' } })
    expect(await fetched(HOSTS, page)).toMatchObject({ code: 'forbidden' })
  })
})

describe('the check', () => {
  const { config } = settingsOf(MESSAGE)
  const names = (fields: readonly string[]) => fields.map((name) => ({ name }))
  const all = names([
    ...'Id Subject TaskSubtype CallType CallDurationInSeconds CallDisposition CallObject IsClosed WhoId WhatId'.split(
      ' ',
    ),
    ...'AccountId OwnerId CreatedDate LastModifiedDate Number__c Recording_URL__c Cordboard_Key__c'.split(
      ' ',
    ),
  ])
  const whats = (task: { name: string }[], settings: Settings) =>
    sourceWarnings(task, schema.parse(settings)).map(({ what }) => what)

  it('says nothing where all is well, and where no calls are taken', () => {
    expect(sourceWarnings(all, config)).toEqual([])
    const { calls: _, ...none } = MESSAGE
    expect(whats([], none)).toEqual([])
  })

  it('names fields that are not there, that nothing tells of calls, and that no host is named', () => {
    const hidden = all.filter(({ name }) => !['Number__c', 'CallType'].includes(name))
    expect(whats(hidden, MESSAGE)).toEqual([expect.stringMatching(/hidden: CallType, Number__c$/)])
    const { inbound: _, ...deaf } = MESSAGE
    expect(whats(all, deaf)).toEqual([expect.stringContaining('Nothing tells of calls')])
    const { recordingHosts: __, ...calls } = MESSAGE.calls ?? {}
    expect(whats(all, { ...MESSAGE, calls })).toEqual([expect.stringContaining('No recording is fetched')])
  })
})
