import { readFileSync } from 'node:fs'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { parse } from 'yaml'
import { utf8 } from '../../src/connector/encoding.ts'

/**
 * Holds what is sent and answered against an OpenAPI 3.1 document: by a JSON Schema validator that knows nothing of our
 * types. What the document does not name is a problem in a request, and a status or a content type in an answer.
 */

export interface Message {
  headers: Headers
  body: Uint8Array
}
export type Asked = Message & { method: string; url: URL }
export type Answered = Message & { status: number }

interface Content {
  content?: Record<string, { schema?: object }>
  required?: boolean
}
interface Parameter {
  name: string
  in: 'query' | 'path' | 'header'
  required?: boolean
}
interface Operation {
  operationId: string
  parameters?: (Parameter | { $ref: string })[]
  requestBody?: Content
  responses: Record<string, Content>
  security?: unknown[]
  /** Of its own: at the address that an answer hands out, which its one parameter stands for. */
  servers?: unknown[]
  'x-not-tried'?: string
}
interface Document {
  paths: Record<string, Record<string, Operation>>
  webhooks?: Record<string, Record<string, Operation>>
  components?: { parameters?: Record<string, Parameter> }
  security?: unknown[]
}

const METHODS = ['get', 'put', 'post', 'delete', 'patch', 'head', 'options']
const API = 'api'

export function openapiValidator(file: URL) {
  const document = parse(readFileSync(file, 'utf8')) as Document
  const strict = ajvFor(document, false)
  /** Forms and queries are text: `5` is a number there. */
  const ofText = ajvFor(document, true)
  const seen = new Set<string>()
  /** URLs that an answer handed out: what is sent there belongs to no path, or to an operation at an address of its own. */
  const handedOut = new Set<string>()

  const all = (group: Document['paths'] = {}) =>
    Object.entries(group).flatMap(([path, methods]) =>
      METHODS.flatMap((method) => {
        const operation = methods[method]
        return operation ? [{ path, method, operation, at: `${pointer(path)}/${method}` }] : []
      }),
    )
  const operations = all(document.paths).map((one) => ({ ...one, at: `/paths/${one.at}` }))
  const webhooks = all(document.webhooks).map((one) => ({ ...one, at: `/webhooks/${one.at}` }))

  function check(ajv: Ajv2020, at: string, value: unknown, what: string): string[] {
    const validate: ValidateFunction | undefined = ajv.getSchema(`${API}#${at}`)
    if (!validate) throw new Error(`the document has no ${at}`)
    if (validate(value)) return []
    return (validate.errors ?? []).map(
      ({ instancePath, message, params }) => `${what}${instancePath}: ${message} ${JSON.stringify(params)}`,
    )
  }

  function find({ method, url }: Asked) {
    const fits = operations.filter((one) => {
      if (one.operation.servers) return one.method === method.toLowerCase() && handedOut.has(url.href)
      const pattern = one.path.replaceAll(/[.*+?^$()|[\]\\]/g, '\\$&').replaceAll(/\{[^}]+\}/g, '[^/]+')
      return one.method === method.toLowerCase() && new RegExp(`^${pattern}$`).test(url.pathname)
    })
    // A path without a parameter wins over one with.
    return fits.sort((a, b) => a.path.split('{').length - b.path.split('{').length)[0]
  }

  function parameterProblems({ operation, at, path }: (typeof operations)[number], { url, headers }: Asked) {
    const names = path.split('/')
    const isWhole = operation.servers !== undefined
    const values = isWhole ? ['', url.href.slice(url.origin.length + 1)] : url.pathname.split('/')
    const declared = (operation.parameters ?? []).map((one, index) => {
      if (!('$ref' in one)) return { ...one, schema: `${at}/parameters/${index}/schema` }
      const ref = one.$ref.slice(1)
      const name = ref.split('/').at(-1) ?? ''
      return { ...(document.components?.parameters?.[name] as Parameter), schema: `${ref}/schema` }
    })
    const unknown = [...url.searchParams.keys()].filter(
      (name) => !isWhole && !declared.some((one) => one.in === 'query' && one.name === name),
    )
    return [
      ...unknown.map((name) => `query ${name} is not in the document`),
      ...declared.flatMap((one) => {
        const inPath = decodeURIComponent(values[names.indexOf(`{${one.name}}`)] ?? '')
        const value = { query: url.searchParams.get(one.name), header: headers.get(one.name), path: inPath }[
          one.in
        ]
        if (value === null) return one.required ? [`${one.in} ${one.name} is missing`] : []
        return check(ofText, one.schema, value, `${one.in} ${one.name}`)
      }),
    ]
  }

  async function requestProblems(found: (typeof operations)[number], asked: Asked): Promise<string[]> {
    const { operation, at } = found
    const problems = parameterProblems(found, asked)
    const isOpen = (operation.security ?? document.security ?? []).length === 0
    if (isOpen === asked.headers.has('authorization')) {
      problems.push(isOpen ? 'credentials are sent where none are wanted' : 'no credentials are sent')
    }
    const isEmpty = asked.body.length === 0
    if (!operation.requestBody)
      return isEmpty ? problems : [...problems, 'a body is sent where none is described']
    if (isEmpty) return operation.requestBody.required ? [...problems, 'the body is missing'] : problems
    return [
      ...problems,
      ...(await contentProblems(operation.requestBody, `${at}/requestBody`, asked, 'request')),
    ]
  }

  async function contentProblems(described: Content, at: string, { headers, body }: Message, what: string) {
    const type = (headers.get('content-type') ?? '').split(';')[0]?.trim() ?? ''
    const named = Object.keys(described.content ?? {}).find(
      (one) => one === type || (one.endsWith('/*') && type.startsWith(one.slice(0, -1))),
    )
    if (named === undefined) return [`${what}: ${type || 'no content type'} is not in the document`]
    const schema = `${at}/content/${pointer(named)}/schema`
    if (/json/.test(named)) return check(strict, schema, JSON.parse(new TextDecoder().decode(body)), what)
    if (!/form-data|urlencoded/.test(named)) return body.length > 0 ? [] : [`${what}: an empty ${named}`]
    const form = await new Response(new Uint8Array(body), { headers }).formData()
    const fields = Object.fromEntries(
      [...form].map(([name, value]) => [name, typeof value === 'string' ? value : '']),
    )
    return check(ofText, schema, fields, what)
  }

  async function answerProblems(found: (typeof operations)[number], answered: Answered): Promise<string[]> {
    const { operation, at } = found
    const status = [String(answered.status), 'default'].find((one) => one in operation.responses)
    if (status === undefined) return [`status ${answered.status} is not in the document`]
    const described = operation.responses[status] ?? {}
    if (!described.content) return []
    return contentProblems(described, `${at}/responses/${status}`, answered, `answer ${status}`)
  }

  return {
    /** operationIds that were used. */
    seen,
    /** operationIds that nothing used, though the document gives no reason why. */
    unused: () =>
      [...operations, ...webhooks]
        .filter(({ operation }) => !seen.has(operation.operationId) && operation['x-not-tried'] === undefined)
        .map(({ operation }) => operation.operationId),

    async exchange(asked: Asked, answered: Answered): Promise<string[]> {
      const named = `${asked.method} ${asked.url.pathname}`
      for (const url of urlsIn(answered)) handedOut.add(url)
      const found = find(asked)
      if (!found) {
        if (!handedOut.has(asked.url.href)) return [`${named}: is not in the document`]
        return asked.headers.has('authorization')
          ? [`${named}: credentials are sent to a URL that is one`]
          : []
      }
      seen.add(found.operation.operationId)
      const problems = [...(await requestProblems(found, asked)), ...(await answerProblems(found, answered))]
      return problems.map((problem) => `${named}: ${problem}`)
    },

    /** What a vendor sent by itself fits one of its webhooks. */
    async webhook(message: Message): Promise<string[]> {
      const tried: string[] = []
      for (const { operation, at } of webhooks) {
        const problems = await contentProblems(
          operation.requestBody ?? {},
          `${at}/requestBody`,
          message,
          'webhook',
        )
        if (problems.length === 0) {
          seen.add(operation.operationId)
          return []
        }
        tried.push(...problems.map((problem) => `${operation.operationId}: ${problem}`))
      }
      return tried.length > 0 ? tried : ['the document has no webhooks']
    },
  }
}

function ajvFor(document: Document, coerceTypes: boolean): Ajv2020 {
  // Not strict: an OpenAPI document holds words that are no JSON Schema.
  const ajv = new Ajv2020({ strict: false, allErrors: true, coerceTypes, validateSchema: false })
  addFormats.default(ajv)
  return ajv.addSchema(document, API)
}

function urlsIn({ headers, body }: Message): string[] {
  if (!/json/.test(headers.get('content-type') ?? '')) return []
  const text = new TextDecoder().decode(body)
  return [...text.matchAll(/"(https?:[^"]+)"/g)].map(([all]) => String(JSON.parse(all)))
}

const pointer = (name: string): string => encodeURIComponent(name.replaceAll('~', '~0').replaceAll('/', '~1'))

export const textMessage = (body: string, contentType: string): Message => ({
  headers: new Headers(contentType === '' ? {} : { 'content-type': contentType }),
  body: utf8(body),
})
