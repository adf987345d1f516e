import type { Reply } from '../../../src/connector/contract.ts'
import { childOf, parseXml, type XmlElement } from '../../../src/connector/xml.ts'
import { CordboardError } from '../../../src/errors.ts'
import { longId } from './id.ts'
import type { Row } from './row.ts'

/**
 * Outbound messages: SOAP 1.1, one to a hundred notifications.
 * https://developer.salesforce.com/docs/platform/api/guide/sforce-api-om-outboundmessaging-wsdl.html (read 2026-11-20)
 */

/** Anything else, `false` among it, and Salesforce sends it again, for 24 hours. */
export const ACKNOWLEDGED: Reply = {
  status: 200,
  headers: { 'content-type': 'text/xml' },
  body: '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body><notificationsResponse xmlns="http://soap.sforce.com/2005/09/outbound"><Ack>true</Ack></notificationsResponse></soapenv:Body></soapenv:Envelope>',
}

export interface Notification {
  id: string
  /** `Task`, `Contact`, `Call__c` */
  object: string
  row: Row
}

/** Throws `invalid_payload` when it is no outbound message, or one of another organisation. */
export function readOutboundMessage(body: Uint8Array, orgId: string | undefined): Notification[] {
  const root = byLocalName(parseXml(new TextDecoder().decode(body)))
  const message = childOf(childOf(root, 'Body'), 'notifications')
  if (root.name !== 'Envelope' || !message) throw unreadable('it has no notifications')
  const sender = longId(textOf(message, 'OrganizationId'))
  if (sender === null || sender !== longId(orgId)) {
    throw unreadable('it is not of the organisation that is configured', {
      fix: 'Set orgId to the Organization ID of Setup, Company Information; then replay what came meanwhile',
    })
  }
  const notifications = message.children.filter(({ name }) => name === 'Notification')
  if (notifications.length === 0) throw unreadable('it has no notification')
  return notifications.map((notification) => {
    const record = childOf(notification, 'sObject')
    const type = record?.attributes.type
    const id = textOf(notification, 'Id')
    if (!record || !type || !/^\w{1,80}$/.test(type))
      throw unreadable('a notification names no kind of record')
    if (id === '' || id.length > 40) throw unreadable('a notification has no id')
    return { id, object: type, row: fieldsOf(record) }
  })
}

function fieldsOf({ children }: XmlElement): Row {
  const row: Record<string, string | null> = Object.create(null)
  for (const { name, attributes, children: within, text } of children)
    if (within.length === 0) row[name] = attributes.nil === 'true' || text === '' ? null : text
  return row
}

const textOf = (element: XmlElement, name: string): string => childOf(element, name)?.text.trim() ?? ''

const local = (name: string): string => name.slice(name.indexOf(':') + 1)

/** Which prefix stands for which namespace is the sender's choice, and no two of those used here share a name. */
function byLocalName(element: XmlElement): XmlElement {
  const attributes: Record<string, string> = Object.create(null)
  // Of values only `xsi:type` holds a prefix.
  for (const [name, value] of Object.entries(element.attributes))
    if (!name.startsWith('xmlns')) attributes[local(name)] = local(name) === 'type' ? local(value) : value
  return { ...element, name: local(element.name), attributes, children: element.children.map(byLocalName) }
}

const unreadable = (why: string, options: { fix?: string } = {}) =>
  new CordboardError('invalid_payload', `Salesforce: the outbound message cannot be read: ${why}`, options)
