import type { CheckResult, ConnectorContext } from '../../../src/connector/contract.ts'
import type { CrmField, SetUp, WantedField } from '../../../src/connector/crm-role.ts'
import { CordboardError } from '../../../src/errors.ts'
import { get } from '../client.ts'
import { type Config, type FieldMeta, fieldList, found, userList } from '../schema.ts'

/** What there is in the account: fields of calls, and what the token may do. */

type Context = ConnectorContext<Config>

const TYPES: Readonly<Record<string, CrmField['type']>> = {
  text: 'text',
  textarea: 'text',
  website: 'text',
  email: 'text',
  phone: 'text',
  integer: 'number',
  bigint: 'number',
  double: 'number',
  currency: 'number',
  percent: 'number',
  boolean: 'boolean',
  date: 'date',
  datetime: 'datetime',
  picklist: 'choice',
}

const callFields = async (ctx: Context): Promise<FieldMeta[]> =>
  (await get('/settings/fields', { module: 'Calls' }, fieldList, 'read the fields of calls', ctx))?.fields ??
  []

/** "Layouts differ": the account's own fields of calls, as it describes them. */
export async function describeFields(ctx: Context): Promise<readonly CrmField[]> {
  return (await callFields(ctx)).flatMap((field) => {
    const type = TYPES[field.data_type]
    if (!field.custom_field || type === undefined) return []
    const choices = field.pick_list_values?.map(
      ({ actual_value, display_value }) => actual_value ?? display_value,
    )
    return [
      {
        name: field.api_name,
        label: field.field_label ?? field.api_name,
        type,
        ...(field.length === undefined ? {} : { maxLength: field.length }),
        ...(choices && choices.length > 0 ? { choices } : {}),
        ...(field.read_only || field.field_read_only ? { readOnly: 'it is read-only in Zoho' } : {}),
      },
    ]
  })
}

const KINDS = { text: 'Single Line', number: 'Decimal', boolean: 'Checkbox' }
const WHERE = 'in Setup → Modules and Fields → Calls'

/** Which API name a field gets is for Zoho to say: a person makes it, and looks. */
export async function setUpFields(wanted: readonly WantedField[], ctx: Context): Promise<readonly SetUp[]> {
  const fields = await callFields(ctx)
  const own = ctx.config.externalIdField
  const unique = own === undefined ? [] : [{ name: own, label: 'Cordboard id', type: 'text' as const }]
  return [...unique, ...wanted].map(({ name, label, type }) => {
    const what = `the field ${name} of calls`
    if (fields.some(({ api_name }) => api_name === name)) return { what, state: 'was there' }
    const not = name === own ? ', with “do not allow duplicate values”' : ''
    return {
      what,
      state: 'by hand',
      fix: `Make “${label}” ${WHERE} as ${KINDS[type]}${not}, with this API name`,
    }
  })
}

export async function checkAccount(ctx: Context): Promise<CheckResult> {
  const { config } = ctx
  const warnings: { what: string; fix: string }[] = []
  const warn = (what: string, fix: string) => warnings.push({ what, fix })
  async function allowed<Answer>(
    asking: Promise<Answer>,
    what: string,
    scope: string,
  ): Promise<Answer | null> {
    try {
      return await asking
    } catch (error) {
      if (!(error instanceof CordboardError) || error.code !== 'forbidden') throw error
      warn(what, `Make a refresh token with the scope ${scope}`)
      return null
    }
  }
  // First alone: a refused token is said once.
  const fields = await allowed(
    callFields(ctx),
    'The fields of calls cannot be read',
    'ZohoCRM.settings.fields.READ',
  )
  const one = { fields: 'id', per_page: '1' }
  for (const module of ['Contacts', 'Leads', 'Accounts', 'Calls']) {
    const reading = get(`/${module}`, one, found, `read ${module}`, ctx)
    await allowed(reading, `${module} cannot be read`, `ZohoCRM.modules.${module.toLowerCase()}.READ`)
  }
  const users = get('/users', { type: 'ActiveUsers', per_page: '1' }, userList, 'read the users', ctx)
  await allowed(users, 'Users cannot be read: calls go to owners.fallback', 'ZohoCRM.users.READ')
  for (const name of [config.externalIdField, config.statusField, config.recordingField]) {
    const field = fields?.find(({ api_name }) => api_name === name)
    if (!fields || name === undefined) continue
    if (!field) warn(`Calls have no field ${name}`, `Make it ${WHERE}, or correct the connection`)
    else if (name === config.externalIdField && !Object.keys(field.unique ?? {}).length)
      warn(`The field ${name} of calls is not unique`, `Do not allow duplicate values of it, ${WHERE}`)
  }
  if (config.calls && config.notificationToken === undefined)
    warn('Notifications are refused: there is no notificationToken', 'Set it to a random text of your own')
  if (ctx.region === undefined)
    warn('Numbers that Zoho holds without a country code are not matched', 'Set region, such as "DE"')
  return { says: `${fields?.length ?? 0} fields of calls`, warnings }
}
