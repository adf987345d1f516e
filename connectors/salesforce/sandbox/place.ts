import type { SampleCall, SandboxWebhook } from '../../../src/connector/sandbox.ts'
import type { Config } from '../schema.ts'
import { ORG } from './oauth.ts'
import type { Row, Value } from './objects.ts'

/** What a dialler inside the CRM would log, and what Salesforce tells of it. */
interface Org {
  account: Config
  baseUrl: string
  insert(type: string, values: Record<string, Value>): Row
  find(type: string, field: string, value: string): Row | undefined
}

const DISPOSITIONS = { answered: 'Connected', no_answer: 'No answer', busy: 'Busy' }

export function logCall(call: SampleCall, org: Org): SandboxWebhook[] {
  const { customerPhone: Phone, agent } = call
  const who = org.find('Contact', 'Phone', Phone) ?? org.insert('Contact', { LastName: 'Dupont', Phone })
  const Email = `agent.${agent.extension}@example.com`
  const owner =
    org.find('User', 'Email', Email) ??
    org.insert('User', {
      Email,
      Name: agent.name,
      Extension: agent.extension,
      IsActive: true,
      TimeZoneSidKey: 'UTC',
    })
  const task = org.insert('Task', {
    Subject: 'Call',
    TaskSubtype: 'Call',
    Status: 'Completed',
    Priority: 'Normal',
    CallType: call.direction === 'inbound' ? 'Inbound' : 'Outbound',
    CallDurationInSeconds: call.result === 'answered' ? Math.round(call.talkMs / 1000) : 0,
    CallDisposition: DISPOSITIONS[call.result],
    WhoId: who.Id,
    OwnerId: owner.Id,
    Number__c: Phone,
    // Diallers write to the second.
    Began_At__c: `${new Date(call.startedAt).toISOString().slice(0, 19)}.000+0000`,
    Recording_URL__c: call.audio ? `${org.baseUrl}/recordings/${call.id}.${call.audio.format}` : null,
  })
  return told(task, org)
}

function told(task: Row, { account: { inbound, calls, orgId = ORG } }: Org): SandboxWebhook[] {
  if (!inbound || !calls) return []
  if (inbound.by === 'signed JSON') {
    const headers = { 'content-type': 'application/json' }
    const body = JSON.stringify({ organizationId: orgId, tasks: [task.Id] })
    return [{ says: 'signed JSON', method: 'POST', path: '', headers, body }]
  }
  const headers = { 'content-type': 'text/xml; charset=utf-8', soapaction: '""' }
  const path = `/${inbound.token[0]}`
  return [
    { says: 'outbound message', method: 'POST', path, headers, body: outboundMessage('Task', task, orgId) },
  ]
}

/** https://developer.salesforce.com/docs/platform/api/guide/sforce-api-om-outboundmessaging-wsdl.html (read 2026-11-20) */
function outboundMessage(object: string, row: Row, orgId: string): string {
  const fields = Object.entries(row).map(([name, value]) =>
    value === null
      ? `<sf:${name} xsi:nil="true"/>`
      : `<sf:${name}>${escaped(String(value).replace(/\+0000$/, 'Z'))}</sf:${name}>`,
  )
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">',
    '<soapenv:Body><notifications xmlns="http://soap.sforce.com/2005/09/outbound">',
    `<OrganizationId>${orgId}</OrganizationId><ActionId>04k000000000001AAA</ActionId><SessionId xsi:nil="true"/>`,
    '<EnterpriseUrl>https://stand-in.my.salesforce.com/services/Soap/c/67.0</EnterpriseUrl>',
    '<PartnerUrl>https://stand-in.my.salesforce.com/services/Soap/u/67.0</PartnerUrl>',
    `<Notification><Id>04l${row.Id.slice(3)}</Id>`,
    `<sObject xsi:type="sf:${object}" xmlns:sf="urn:sobject.enterprise.soap.sforce.com">${fields.join('')}</sObject>`,
    '</Notification></notifications></soapenv:Body></soapenv:Envelope>',
  ].join('\n')
}

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
