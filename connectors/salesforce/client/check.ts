import type { CheckResult, ConnectorContext } from '../../../src/connector/contract.ts'
import type { CrmField, SetUp, WantedField } from '../../../src/connector/crm-role.ts'
import { salesforce } from '../client.ts'
import { asCrmField, CALL_FIELDS, isSameId } from '../map.ts'
import type { Config, Field } from '../schema.ts'

type Context = ConnectorContext<Config>
type Warning = { what: string; fix: string }

export async function check(ctx: Context): Promise<CheckResult> {
  const api = salesforce(ctx)
  const { config } = ctx
  // First alone: refused credentials are said once.
  const identity = await api.identity()
  const task = await api.describe('Task')
  const account = await api.describe('Account')
  const usage = api.usage()
  const warnings: Warning[] = [
    ...keyWarnings(task, config),
    ...callWarnings(task),
    ...usageWarnings(usage),
    ...orgWarnings(identity?.org, config),
  ]
  const isPersonal = account.some(({ name }) => name === 'IsPersonAccount')
  if (isPersonal !== config.personAccounts) {
    warnings.push(
      isPersonal
        ? {
            what: 'The org has person accounts, which are not matched as persons',
            fix: 'Set personAccounts to true',
          }
        : { what: 'The org has no person accounts: searches would fail', fix: 'Remove personAccounts' },
    )
  }
  if (ctx.region === undefined) {
    warnings.push({
      what: 'Numbers that Salesforce holds without a country code are not matched',
      fix: 'Set region to the country of this org, such as "DE"',
    })
  }
  const says = [
    identity ? `org ${identity.org} as user ${identity.user}` : 'org not named',
    ...(usage ? [`${usage.used} of ${usage.limit} API requests used in 24 hours`] : []),
  ]
  return { says: says.join(', '), warnings }
}

function keyWarnings(task: readonly Field[], { externalIdField: name }: Config): Warning[] {
  if (name === undefined) {
    const isWritable = task.some((one) => one.name === 'CallObject' && one.createable)
    const what = isWritable
      ? 'Calls are told apart by CallObject, which Salesforce lets stand twice: a race could write one twice'
      : 'Neither externalIdField is set nor may CallObject be written: no call can be written'
    return [
      {
        what,
        fix: 'Make an External ID field of activities as the README says, and name it in externalIdField',
      },
    ]
  }
  const field = task.find((one) => one.name === name)
  const wrong = field ? whatIsWrong(field) : 'is not there, or is hidden from this user'
  return wrong === null ? [] : [{ what: `The field ${name} of activities ${wrong}`, fix: byHand(name) }]
}

function whatIsWrong({ externalId, unique, createable, updateable }: Field): string | null {
  if (!externalId) return 'is no External ID: calls cannot be written by it'
  if (!createable) return 'may not be written by this user'
  if (!unique) return 'is not unique: a race could write a call twice'
  return updateable ? null : 'may not be updated by this user'
}

function callWarnings(task: readonly Field[]): Warning[] {
  const wanted = [
    'TaskSubtype',
    'CallType',
    'CallDurationInSeconds',
    'CallDisposition',
    'Description',
    'WhoId',
    'WhatId',
  ]
  const missing = wanted.filter((name) => !task.some((one) => one.name === name && one.createable))
  if (missing.length === 0) return []
  return [
    {
      what: `These fields of activities may not be written and are left out: ${missing.join(', ')}`,
      fix: 'Show them to the integration user (field-level security); the call fields come with a Call Center',
    },
  ]
}

function usageWarnings(usage: { used: number; limit: number } | undefined): Warning[] {
  if (!usage || usage.used < usage.limit * 0.8) return []
  const share = Math.floor((100 * usage.used) / usage.limit)
  return [
    {
      what: `${share} % of the org’s API requests are used`,
      fix: 'Set requestsPerDay, or buy more requests',
    },
  ]
}

function orgWarnings(org: string | undefined, { orgId }: Config): Warning[] {
  if (org === undefined || orgId === undefined || isSameId(org, orgId)) return []
  return [{ what: 'The credentials are those of another org than orgId says', fix: `Set orgId to "${org}"` }]
}

// ── Fields ──────────────────────────────────────────────────────────────────────────────────────────────────────────

export async function fields(ctx: Context): Promise<CrmField[]> {
  const all = await salesforce(ctx).describe('Task')
  const own = [
    ...CALL_FIELDS,
    ...(ctx.config.externalIdField === undefined ? [] : [ctx.config.externalIdField]),
  ]
  return all.map((field) => asCrmField(field, own))
}

/**
 * Fields are made by a person: for it the API wants the permission “Customize Application”, which no integration user should
 * have, and to make one visible takes a permission set besides.
 */
export async function setUp(wanted: readonly WantedField[], ctx: Context): Promise<SetUp[]> {
  const api = salesforce(ctx)
  // What was made a minute ago counts.
  api.forget()
  const all = await api.describe('Task')
  const { externalIdField } = ctx.config
  const key: SetUp[] =
    externalIdField === undefined
      ? [
          {
            what: 'an External ID field of activities',
            state: 'by hand',
            fix: `${byHand('Cordboard_Id__c')}; then set externalIdField to "Cordboard_Id__c"`,
          },
        ]
      : [keySetUp(externalIdField, all)]
  return [...key, ...wanted.map((one) => fieldSetUp(one, all))]
}

function keySetUp(name: string, all: readonly Field[]): SetUp {
  const what = `the field ${name} of activities`
  const field = all.find((one) => one.name === name)
  return field && whatIsWrong(field) === null
    ? { what, state: 'was there' }
    : { what, state: 'by hand', fix: byHand(name) }
}

function fieldSetUp({ name, label, type }: WantedField, all: readonly Field[]): SetUp {
  const what = `the field ${name} of activities`
  if (all.some((one) => one.name === name && one.createable && one.updateable))
    return { what, state: 'was there' }
  const kinds = {
    text: 'Text of length 255',
    number: 'Number of length 16 with 2 decimal places',
    boolean: 'Checkbox',
  }
  const steps = [
    `${NEW_FIELD}, ${kinds[type]}, label “${label}”, name ${bare(name)}`,
    'then show it to the integration user, read and edit (field-level security)',
  ]
  return { what, state: 'by hand', fix: steps.join('; ') }
}

const NEW_FIELD = 'In Salesforce, Setup → Object Manager → Activity → Fields & Relationships → New'

const byHand = (name: string): string =>
  `${NEW_FIELD}, Text of length 64, name ${bare(name)}, tick “External ID” and “Unique” (case sensitive); then show it to the integration user, read and edit (field-level security)`

const bare = (name: string): string => name.replace(/__c$/, '')
