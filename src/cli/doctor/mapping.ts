import type { MappedField } from '../../config/mapping.ts'
import type { Config, Connection } from '../../config/model.ts'
import type { ConnectorContext } from '../../connector/contract.ts'
import type { CrmField } from '../../connector/crm-role.ts'
import { maskSecrets } from '../../connector/mask.ts'
import { asCordboardError } from '../../errors.ts'
import type { Finding } from './finding.ts'

/** Whether the fields that flows map to a CRM are there and take what they are given, by the CRM's own description. */
export async function mappingFindings(
  { flows }: Pick<Config, 'flows'>,
  { id, connector, secrets }: Connection,
  ctx: ConnectorContext,
): Promise<Finding[]> {
  const mapped = flows.flatMap(({ name: flow, fields }) =>
    (fields.get(id)?.names ?? []).map((field) => ({ flow, ...field })),
  )
  if (mapped.length === 0 || !connector.crm?.fields) return []
  const about = { area: connector.id, connection: id }
  let known: ReadonlyMap<string, CrmField>
  try {
    known = new Map((await connector.crm.fields(ctx)).map((field) => [field.name, field]))
  } catch (thrown) {
    const { message, fix } = asCordboardError(thrown)
    const mask = (text: string) => maskSecrets(text, secrets)
    return [
      { ...about, level: 'warning', says: mask(`its fields cannot be read: ${message}`), fix: mask(fix) },
    ]
  }
  const findings = mapped.flatMap(({ flow, name, ...given }): Finding[] => {
    const fault = faultOf(known.get(name), given)
    const fix = known.has(name)
      ? `Map another field in the flow ${flow}`
      : `Make it (cordboard crm setup ${id}), or correct its name in the flow ${flow}`
    return fault === null ? [] : [{ ...about, level: 'problem', says: `the field ${name} ${fault}`, fix }]
  })
  if (findings.length > 0) return findings
  const count = new Set(mapped.map(({ name }) => name)).size
  const says = count === 1 ? 'the field of your own is there' : `${count} fields of your own are there`
  return [{ ...about, level: 'ok', says: `${says} and can be written` }]
}

function faultOf(
  field: CrmField | undefined,
  { type, isInstant }: Pick<MappedField, 'type' | 'isInstant'>,
): string | null {
  if (!field) return 'is not there, or cannot be seen with these credentials'
  if (field.readOnly !== undefined) return `cannot be written: ${field.readOnly}`
  if (isInstant && (field.type === 'date' || field.type === 'datetime')) return null
  if (type === 'text' && field.type !== 'text' && field.type !== 'choice')
    return `holds a ${field.type}, and is given text`
  if (type === 'number' && field.type !== 'number' && field.type !== 'text')
    return `holds a ${field.type}, and is given a number`
  return null
}
