import type { OpenApiDocument } from './document.ts'

/** The part of an OpenAPI document that the reference page shows, flat and typed. */

export interface Schema {
  $ref?: string
  type?: string | string[]
  format?: string
  description?: string
  enum?: unknown[]
  const?: unknown
  default?: unknown
  example?: unknown
  items?: Schema
  prefixItems?: Schema[]
  properties?: Record<string, Schema>
  required?: string[]
  additionalProperties?: boolean | Schema
  anyOf?: Schema[]
  oneOf?: Schema[]
  allOf?: Schema[]
}

interface Parameter {
  name: string
  in: string
  required?: boolean
  description?: string
  schema: Schema
}

type Content = Record<string, { schema?: Schema }>

export interface Operation {
  id: string
  method: string
  path: string
  tag: string
  summary: string
  description: string
  /** Null where no token is needed. */
  role: string | null
  parameters: Parameter[]
  body: Schema | null
  responses: { status: string; description: string; type: string | null; schema: Schema | null }[]
}

export interface Reference {
  title: string
  description: string
  tags: { name: string; description: string; operations: Operation[] }[]
  schemas: Record<string, Schema>
}

interface RawOperation {
  operationId: string
  tags?: string[]
  summary?: string
  description?: string
  parameters?: Parameter[]
  requestBody?: { content?: Content }
  responses: Record<string, { description?: string; content?: Content }>
  'x-cordboard-role'?: string
}

interface Raw {
  info: { title: string; description?: string }
  tags: { name: string; description?: string }[]
  paths: Record<string, Record<string, RawOperation>>
  components: { schemas?: Record<string, Schema> }
}

export function referenceOf(document: OpenApiDocument): Reference {
  // Through JSON: what is shown is what /openapi.json says, and the generator's wide types become the few used here.
  const { info, tags, paths, components } = JSON.parse(JSON.stringify(document)) as Raw
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, raw]) => operationOf(path, method, raw)),
  )
  return {
    title: info.title,
    description: info.description ?? '',
    tags: tags.map(({ name, description = '' }) => ({
      name,
      description,
      operations: operations.filter(({ tag }) => tag === name),
    })),
    schemas: components.schemas ?? {},
  }
}

function operationOf(path: string, method: string, raw: RawOperation): Operation {
  return {
    id: raw.operationId,
    method: method.toUpperCase(),
    path,
    tag: raw.tags?.[0] ?? '',
    summary: raw.summary ?? '',
    description: raw.description ?? '',
    role: raw['x-cordboard-role'] ?? null,
    parameters: raw.parameters ?? [],
    body: Object.values(raw.requestBody?.content ?? {})[0]?.schema ?? null,
    responses: Object.entries(raw.responses).map(([status, { description = '', content = {} }]) => {
      const [type = null, media] = Object.entries(content)[0] ?? []
      return { status, description, type, schema: media?.schema ?? null }
    }),
  }
}
