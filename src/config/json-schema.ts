import { z } from 'zod'
import type { Connector } from '../connector/contract.ts'
import { type JsonSchema, ownSchema } from './own-keys.ts'
import { commonKeys, jsonFile } from './schema.ts'

const SECRET_REF = { $ref: '#/$defs/secret' }

/** JSON Schema of cordboard.config.json, with every connector's own keys, told apart by `use`. */
export function configJsonSchema(connectors: readonly Connector[]): JsonSchema {
  const file = z.toJSONSchema(jsonFile, { io: 'input', unrepresentable: 'any' }) as JsonSchema
  const common = z.toJSONSchema(z.object({ ...commonKeys, use: z.string() }), { io: 'input' }) as JsonSchema
  const connections = { ...file.properties?.connections, additionalProperties: undefined }
  return {
    ...file,
    title: 'Configuration of Cordboard',
    properties: {
      ...file.properties,
      connections: {
        ...connections,
        additionalProperties: { oneOf: connectors.flatMap((one) => connectionSchemas(one, common)) },
      },
    },
    $defs: { secret: secretSchema() },
  }
}

/** One schema per connector; several where its keys come in alternatives. */
function connectionSchemas(connector: Connector, common: JsonSchema): JsonSchema[] {
  const own = ownSchema(connector)
  const alternatives = own.anyOf ?? own.oneOf ?? [own]
  return alternatives.map((schema) => {
    const { baseUrl: _, use: __, ...shared } = common.properties ?? {}
    return {
      type: 'object',
      title: connector.name,
      properties: {
        use: { const: connector.id, description: connector.docs },
        ...shared,
        ...withReferences(schema).properties,
      },
      required: ['use', ...(schema.required ?? [])],
      additionalProperties:
        typeof schema.additionalProperties === 'object' ? schema.additionalProperties : false,
    }
  })
}

/** Secrets are references in a file, whatever the connector makes of their values. */
function withReferences(schema: JsonSchema): JsonSchema {
  if (schema.secret === true) {
    const { description } = schema
    return { ...SECRET_REF, ...(description === undefined ? {} : { description }) }
  }
  const changed: JsonSchema = { ...schema }
  if (schema.properties) changed.properties = mapValues(schema.properties, withReferences)
  if (schema.items) changed.items = withReferences(schema.items)
  for (const keyword of ['anyOf', 'oneOf', 'allOf'] as const) {
    const some = schema[keyword]
    if (some) changed[keyword] = some.map(withReferences)
  }
  // Any free text may also come from the environment, so that account ids need not stand in the file.
  return schema.type === 'string' && !schema.enum ? { anyOf: [changed, SECRET_REF] } : changed
}

function secretSchema(): JsonSchema {
  const name = { type: 'string', pattern: '^[A-Za-z_]\\w*$' }
  return {
    type: 'object',
    description: 'a secret by the name of its environment variable; a list names the newest first',
    properties: { $secret: { anyOf: [name, { type: 'array', items: name, minItems: 1 }] } },
    required: ['$secret'],
    additionalProperties: false,
  }
}

function mapValues(record: Record<string, JsonSchema>, change: (schema: JsonSchema) => JsonSchema) {
  return Object.fromEntries(Object.entries(record).map(([key, schema]) => [key, change(schema)]))
}
