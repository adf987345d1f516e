import { createHmac } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { longId } from '../../connectors/salesforce/inbound/id.ts'
import { ACKNOWLEDGED } from '../../connectors/salesforce/inbound/outbound-message.ts'
import { webhook } from '../../connectors/salesforce/inbound/webhook.ts'
import { utf8 } from '../../src/connector/encoding.ts'
import { inboundRequest } from '../../src/connector/request.ts'
import { signRaw } from '../../src/connector/sign.ts'
import { verifyRequest } from '../../src/connector/verify.ts'
import { parseXml } from '../../src/connector/xml.ts'
import { testSigner, verifier } from '../kit/signer.ts'
import {
  ACCOUNT,
  CALL,
  CONTACT,
  eventsIn,
  failure,
  JSON_BY_HAND,
  LEAD,
  MESSAGE,
  ORG,
  OWNER,
  PHONE,
  RECEIVED,
  raw,
  read,
  readJson,
  SECRET,
  type Settings,
  schema,
  soap,
  TASK,
  TOKEN,
  without,
} from './salesforce-inbound-world.ts'

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
