import type { Operation, Schema } from './docs-model.ts'

/** The operation as a command to paste into a shell. */
export function curlOf(operation: Operation, base: string, schemas: Record<string, Schema>): string {
  const path = operation.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    const example = operation.parameters.find((parameter) => parameter.name === name)?.schema.example
    return typeof example === 'string' ? example : `<${name}>`
  })
  const lines = [`curl ${operation.method === 'GET' ? '' : `-X ${operation.method} `}"${base}${path}"`]
  if (operation.role !== null) lines.push('-H "Authorization: Bearer $CORDBOARD_TOKEN"')
  if (operation.body !== null) {
    lines.push(
      "-H 'Content-Type: application/json'",
      `-d '${JSON.stringify(sampleOf(operation.body, schemas))}'`,
    )
  }
  return lines.join(' \\\n  ')
}

/** A value that fits: examples where there are some, the required members, one where none is required. */
function sampleOf(schema: Schema, schemas: Record<string, Schema>): unknown {
  const known = schema.$ref === undefined ? schema : (schemas[nameOf(schema.$ref)] ?? {})
  if (known.example !== undefined) return known.example
  if (known.enum !== undefined) return known.enum[0]
  if (known.default !== undefined) return known.default
  if (known.properties !== undefined) {
    const names = Object.keys(known.properties)
    const required = known.required?.length ? known.required : names.slice(0, 1)
    const dryRun = names.includes('dryRun') ? { dryRun: true } : {}
    const members = required.map((name) => [name, sampleOf(known.properties?.[name] ?? {}, schemas)])
    return { ...Object.fromEntries(members), ...dryRun }
  }
  return known.type === 'boolean' ? true : known.type === 'integer' ? 1 : 'text'
}

export const nameOf = (ref: string): string => ref.slice(ref.lastIndexOf('/') + 1)
