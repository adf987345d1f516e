import type { CrmField, WantedField } from '../../../src/connector/crm-role.ts'
import type { Property } from '../schema.ts'

/** Properties of calls: as fields that a mapping may name, and as HubSpot makes new ones. */

const TYPES: Readonly<Record<string, CrmField['type']>> = {
  string: 'text',
  phone_number: 'text',
  number: 'number',
  bool: 'boolean',
  date: 'date',
  datetime: 'datetime',
  enumeration: 'choice',
}

/** `marks`: properties in which Cordboard's own key stands. */
export function toField(property: Property, marks: readonly string[]): CrmField {
  const { name, label, type, options, calculated, modificationMetadata } = property
  const known = TYPES[type]
  const readOnly =
    (marks.includes(name) && 'Cordboard’s own key stands there') ||
    (calculated && 'HubSpot works it out itself') ||
    (modificationMetadata?.readOnlyValue && 'only HubSpot writes it') ||
    (known === undefined && `values of the type ${type} are not written`)
  const choices = options.map(({ value }) => value)
  return {
    name,
    label: label || name,
    type: known ?? 'text',
    ...(known === 'choice' && choices.length > 0 ? { choices } : {}),
    ...(readOnly ? { readOnly } : {}),
  }
}

/** The group that our properties stand in: a property must have one (properties guide, read 2026-11-20). */
export const GROUP = { name: 'cordboard', label: 'Cordboard' }

const KINDS: Record<WantedField['type'], Record<string, unknown>> = {
  // Of several lines: summaries are.
  text: { type: 'string', fieldType: 'textarea' },
  number: { type: 'number', fieldType: 'number' },
  boolean: {
    type: 'bool',
    fieldType: 'booleancheckbox',
    options: [
      { label: 'Yes', value: 'true', displayOrder: 0, hidden: false },
      { label: 'No', value: 'false', displayOrder: 1, hidden: false },
    ],
  },
}

export const definitionOf = ({ name, label, type }: WantedField): Record<string, unknown> => ({
  name,
  label,
  groupName: GROUP.name,
  ...KINDS[type],
})

export const uniqueDefinition = (name: string): Record<string, unknown> => ({
  name,
  label: 'Cordboard key',
  description: 'Written by Cordboard: by it HubSpot refuses a second record of one call',
  groupName: GROUP.name,
  type: 'string',
  fieldType: 'text',
  hasUniqueValue: true,
})
