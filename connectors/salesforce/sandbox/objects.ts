/** The objects of the stand-in's org: their fields as `describe` tells of them, and what they refuse. */

export type Value = string | number | boolean | null
export interface Row {
  Id: string
  [field: string]: Value
}

export interface Column {
  name: string
  type: string
  length: number
  createable: boolean
  updateable: boolean
  filterable: boolean
  isRequired: boolean
  externalId: boolean
  unique: boolean
  restrictedPicklist: boolean
  picklistValues: string[]
}

export interface Objection {
  status: number
  errorCode: string
  message: string
  fields?: string[]
}

/** The first three characters of an id, which name its object. */
export const PREFIXES: Readonly<Record<string, string>> = {
  Account: '001',
  Contact: '003',
  User: '005',
  Opportunity: '006',
  Lead: '00Q',
  Task: '00T',
  OpportunityContactRole: '00K',
  ContentVersion: '068',
  ContentDocumentLink: '06A',
  TaskStatus: '01Q',
}

const column = (name: string, type: string, more: Partial<Column> = {}): Column => ({
  name,
  type,
  length:
    { string: 255, phone: 40, email: 80, combobox: 255, picklist: 255, reference: 18, id: 18 }[type] ?? 0,
  createable: true,
  updateable: true,
  filterable: type !== 'textarea' && type !== 'base64',
  isRequired: false,
  externalId: false,
  unique: false,
  restrictedPicklist: false,
  picklistValues: [],
  ...more,
})
const fixed: Partial<Column> = { createable: false, updateable: false }
const choice = (...picklistValues: string[]): Partial<Column> => ({
  picklistValues,
  restrictedPicklist: true,
})
const suggested = (...picklistValues: string[]): Partial<Column> => ({ picklistValues })
const phones = (...names: string[]) => names.map((name) => column(name, 'phone'))

const OF_ALL = [
  column('Id', 'id', fixed),
  column('CreatedDate', 'datetime', fixed),
  column('OwnerId', 'reference'),
]
const OF_PEOPLE = [
  column('LastName', 'string', { length: 80, isRequired: true }),
  column('FirstName', 'string', { length: 40 }),
  column('Name', 'string', { length: 121, ...fixed }),
  column('Email', 'email'),
  column('LastActivityDate', 'date', fixed),
]

/**
 * Task: the reference and the lengths of its fields; `TaskSubtype` is for creation only.
 * https://developer.salesforce.com/docs/atlas.en-us.252.0.object_reference.meta/object_reference/sforce_api_objects_task.htm
 */
const TASK = [
  ...OF_ALL,
  column('Subject', 'combobox'),
  column('TaskSubtype', 'picklist', {
    ...choice('Task', 'Email', 'LinkedIn', 'List Email', 'Cadence', 'Call'),
    updateable: false,
  }),
  column('Type', 'picklist', suggested('Call', 'Meeting', 'Other')),
  column('Status', 'picklist', suggested('Not Started', 'In Progress', 'Completed', 'Deferred')),
  column('Priority', 'picklist', suggested('High', 'Normal', 'Low')),
  column('ActivityDate', 'date'),
  column('CompletedDateTime', 'datetime', fixed),
  column('IsClosed', 'boolean', fixed),
  column('LastModifiedDate', 'datetime', fixed),
  column('CallType', 'picklist', choice('Inbound', 'Internal', 'Outbound')),
  column('CallDurationInSeconds', 'int'),
  column('CallDisposition', 'string'),
  column('CallObject', 'string'),
  column('Description', 'textarea', { length: 32_000 }),
  column('WhoId', 'reference'),
  column('WhatId', 'reference'),
  column('AccountId', 'reference', fixed),
  column('IsReminderSet', 'boolean'),
  column('ReminderDateTime', 'datetime'),
  // Fields of the org's own, of each kind.
  column('Call_Score__c', 'double'),
  column('Turns__c', 'int'),
  column('Upsell__c', 'boolean'),
  column('Topic__c', 'string', { length: 40 }),
  column('Mood__c', 'picklist', choice('good', 'bad')),
  column('Began_At__c', 'datetime'),
  column('Follow_Up_On__c', 'date'),
  column('Number__c', 'phone'),
  column('Recording_URL__c', 'string'),
  column('Badge__c', 'string', { length: 20, unique: true }),
]

export interface OrgShape {
  externalIdField?: string | undefined
  uniqueKey: boolean
  personAccounts: boolean
  /** `Task.CallType`: not there for this user. */
  hidden: readonly string[]
  /** There, and read-only for this user. */
  readOnly: readonly string[]
}

export function objectsOf(shape: OrgShape): Map<string, Column[]> {
  const { externalIdField, uniqueKey, personAccounts } = shape
  const key =
    externalIdField === undefined
      ? []
      : [column(externalIdField, 'string', { length: 64, externalId: true, unique: uniqueKey })]
  const persons = [
    column('IsPersonAccount', 'boolean', fixed),
    column('PersonContactId', 'reference', fixed),
    ...phones('PersonMobilePhone', 'PersonHomePhone', 'PersonOtherPhone'),
  ]
  const bin = [column('IsDeleted', 'boolean', fixed), column('MasterRecordId', 'reference', fixed)]
  const objects: Record<string, Column[]> = {
    Task: [...TASK, ...key],
    Contact: [
      ...OF_ALL,
      ...bin,
      ...OF_PEOPLE,
      ...phones('Phone', 'MobilePhone', 'HomePhone', 'OtherPhone'),
      column('AccountId', 'reference'),
    ],
    Lead: [
      ...OF_ALL,
      ...bin,
      ...OF_PEOPLE,
      ...phones('Phone', 'MobilePhone'),
      column('Company', 'string', { isRequired: true }),
      column('IsConverted', 'boolean', fixed),
      column('ConvertedContactId', 'reference', fixed),
    ],
    Account: [
      ...OF_ALL,
      ...bin,
      column('Name', 'string', { isRequired: true }),
      ...phones('Phone'),
      column('LastActivityDate', 'date', fixed),
      ...(personAccounts ? persons : []),
    ],
    Opportunity: [
      ...OF_ALL,
      column('Name', 'string'),
      column('AccountId', 'reference'),
      column('IsClosed', 'boolean'),
    ],
    OpportunityContactRole: [
      ...OF_ALL,
      column('ContactId', 'reference'),
      column('OpportunityId', 'reference'),
      column('Opportunity.IsClosed', 'boolean', fixed),
    ],
    User: [
      ...OF_ALL,
      column('Email', 'email', fixed),
      column('IsActive', 'boolean', fixed),
      column('Name', 'string', fixed),
      column('Extension', 'phone', fixed),
      column('TimeZoneSidKey', 'picklist', fixed),
    ],
    TaskStatus: [
      column('Id', 'id', fixed),
      column('ApiName', 'string', fixed),
      column('IsClosed', 'boolean', fixed),
    ],
    ContentVersion: [
      ...OF_ALL,
      column('Title', 'string'),
      column('PathOnClient', 'string', { length: 500 }),
      column('VersionData', 'base64', { isRequired: true }),
      column('FirstPublishLocationId', 'reference'),
    ],
    ContentDocumentLink: [
      column('Id', 'id', fixed),
      column('LinkedEntityId', 'reference', fixed),
      column('ContentDocument.Title', 'string', fixed),
      column('ContentDocument.LatestPublishedVersionId', 'reference', fixed),
    ],
  }
  return new Map(
    Object.entries(objects).map(([type, columns]) => [
      type,
      columns
        .filter(({ name }) => !shape.hidden.includes(`${type}.${name}`))
        .map((one) => (shape.readOnly.includes(`${type}.${one.name}`) ? { ...one, ...fixed } : one)),
    ]),
  )
}

/** What Salesforce would say against these values; null when it takes them. */
export function objectionTo(
  type: string,
  columns: readonly Column[],
  values: Readonly<Record<string, unknown>>,
  way: 'createable' | 'updateable',
): Objection | null {
  const known = new Map(columns.map((one) => [one.name, one]))
  for (const [name, value] of Object.entries(values)) {
    const one = known.get(name)
    if (!one) return refuse('INVALID_FIELD', `No such column '${name}' on sobject of type ${type}`, name)
    if (!one[way]) {
      const message = `Unable to create/update fields: ${name}. Please check the security settings of this field`
      return refuse('INVALID_FIELD_FOR_INSERT_UPDATE', message, name)
    }
    const wrong = value === null ? null : objectionToValue(one, value)
    if (wrong) return wrong
  }
  const missing = columns.filter(
    ({ name, isRequired }) => isRequired && way === 'createable' && !values[name],
  )
  if (missing.length === 0) return null
  const names = missing.map(({ name }) => name)
  return {
    ...refuse('REQUIRED_FIELD_MISSING', `Required fields are missing: [${names.join(', ')}]`),
    fields: names,
  }
}

const FORMS: Readonly<Record<string, (value: unknown) => boolean>> = {
  int: (value) => Number.isSafeInteger(value),
  double: (value) => typeof value === 'number',
  boolean: (value) => typeof value === 'boolean',
  date: (value) => typeof value === 'string' && /^\d{4}-\d\d-\d\d$/.test(value),
  datetime: (value) =>
    typeof value === 'string' && /^\d{4}-\d\d-\d\dT/.test(value) && !Number.isNaN(Date.parse(value)),
  reference: (value) => typeof value === 'string' && /^[A-Za-z\d]{15}(?:[A-Za-z\d]{3})?$/.test(value),
}

function objectionToValue(one: Column, value: unknown): Objection | null {
  const { name, type, length, restrictedPicklist, picklistValues } = one
  const isOfForm = FORMS[type] ?? ((held: unknown) => typeof held === 'string')
  if (!isOfForm(value))
    return refuse('INVALID_TYPE_ON_FIELD_IN_RECORD', `${name}: value not of required type`, name)
  if (length > 0 && typeof value === 'string' && value.length > length) {
    return refuse('STRING_TOO_LONG', `${name}: data value too large: (max length=${length})`, name)
  }
  if (restrictedPicklist && typeof value === 'string' && !picklistValues.includes(value)) {
    const message = `${name}: bad value for restricted picklist field: ${value}`
    return refuse('INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST', message, name)
  }
  return null
}

export function refuse(errorCode: string, message: string, ...fields: string[]): Objection {
  return { status: 400, errorCode, message, fields }
}

/** As `describe` tells of it. */
export function describedColumn({ isRequired, picklistValues, ...one }: Column): Record<string, unknown> {
  return {
    ...one,
    label: one.name.replace(/__c$/, '').replaceAll('_', ' '),
    custom: one.name.endsWith('__c'),
    nillable: !isRequired,
    picklistValues: picklistValues.map((value) => ({
      value,
      label: value,
      active: true,
      defaultValue: false,
    })),
  }
}
