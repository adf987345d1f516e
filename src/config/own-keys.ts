import { z } from 'zod'
import type { Connector } from '../connector/contract.ts'

/** What of a JSON Schema is looked at here. */
export interface JsonSchema {
  type?: string
  properties?: Record<string, JsonSchema>
  required?: string[]
  additionalProperties?: boolean | JsonSchema
  items?: JsonSchema
  anyOf?: JsonSchema[]
  oneOf?: JsonSchema[]
  allOf?: JsonSchema[]
  secret?: boolean
  [keyword: string]: unknown
}

/**
 * A connector's keys as its schema declares them. Read from its JSON Schema, the one public description of a zod
 * schema that looks the same through optional, default, pipe and union.
 */
export function ownSchema(connector: Connector): JsonSchema {
  return z.toJSONSchema(connector.config, { io: 'input', unrepresentable: 'any' }) as JsonSchema
}

/** The schema itself and its alternatives, flat. */
function branches(schema: JsonSchema): JsonSchema[] {
  return [
    schema,
    ...[schema.anyOf, schema.oneOf, schema.allOf].flatMap((some) => some ?? []).flatMap(branches),
  ]
}

/** Schemas of the property `key`, from every alternative that declares it. */
export function property(schemas: readonly JsonSchema[], key: string | number): JsonSchema[] {
  return schemas.flatMap(branches).flatMap((schema): JsonSchema[] => {
    const { properties = {}, items, additionalProperties: rest } = schema
    if (typeof key === 'number') return items ? [items] : []
    const own = Object.hasOwn(properties, key) ? properties[key] : rest
    return typeof own === 'object' ? [own] : []
  })
}

/** The keys there are; `open` when others are allowed too. */
export function declaredKeys(schema: JsonSchema): { keys: string[]; open: boolean } {
  const all = branches(schema)
  const open = all.some(
    ({ additionalProperties: more }) => more === true || (typeof more === 'object' && more !== null),
  )
  return { keys: [...new Set(all.flatMap((one) => Object.keys(one.properties ?? {})))], open }
}

/** Is a secret kept here, and may it be a list (several valid at once)? */
export function secretKind(schemas: readonly JsonSchema[]): 'one' | 'list' | null {
  const marked = schemas.flatMap(branches).filter((schema) => schema.secret === true)
  if (marked.length === 0) return null
  return marked.flatMap(branches).some(({ type }) => type === 'array') ? 'list' : 'one'
}
