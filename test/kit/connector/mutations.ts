import { utf8 } from '../../../src/connector/encoding.ts'
import type { RawRequest } from '../../../src/connector/request.ts'

/** One way to spoil a request, told by numbers only, so that it can be repeated and made smaller. */
export interface Mutation {
  kind: (typeof MUTATIONS)[number]
  /** Which byte, field or header: taken modulo how many there are. */
  where: number
  /** What is put there. */
  what: number
}

export const MUTATIONS = [
  'flip',
  'cut',
  'insert',
  'repeat',
  'drop',
  'duplicate',
  'retype',
  'nest',
  'encode',
  'query',
  'header',
  'method',
] as const

/** Values of other types, of other sizes, and such as code for things it does not expect. */
const VALUES: readonly unknown[] = [
  null,
  true,
  0,
  -1,
  1.5,
  2 ** 53 + 2,
  1e308,
  -0,
  '',
  ' ',
  '0',
  '-1',
  'NaN',
  '9'.repeat(400),
  'a'.repeat(5_000),
  '\u0000',
  '\ud800',
  '٣٤٥',
  '‮',
  '__proto__',
  'constructor',
  '2026-02-30T25:61:61Z',
  '0000-00-00 00:00:00',
  '+',
  'sip:a@b;c="',
  'https://[',
  '../../etc',
  [],
  [null],
  {},
  { length: -1 },
  [[[[{}]]]],
]
const BYTES: readonly Uint8Array[] = [
  new Uint8Array([0]),
  new Uint8Array([0xff, 0xfe]),
  new Uint8Array([0xc3, 0x28]),
  new Uint8Array([0xef, 0xbb, 0xbf]),
  utf8('}'),
  utf8('&='),
  utf8('"'),
  utf8('%zz'),
  utf8('1e999'),
  utf8('9'.repeat(300)),
  utf8('['.repeat(100)),
  utf8('\r\n--x\r\n'),
]
const DEEPEST = 70

/** Changes a request as a sender, a proxy or somebody hostile might. */
export function mutate(raw: RawRequest, { kind, where, what }: Mutation): RawRequest {
  const { body } = raw
  const at = body.length === 0 ? 0 : where % body.length
  switch (kind) {
    case 'flip': {
      const flipped = new Uint8Array(body)
      if (flipped.length > 0) flipped[at] = (flipped[at] ?? 0) ^ (1 + (what % 255))
      return { ...raw, body: flipped }
    }
    case 'cut':
      return { ...raw, body: what % 2 === 0 ? body.slice(0, at) : body.slice(at) }
    case 'insert':
      return { ...raw, body: joined(body.slice(0, at), BYTES[what % BYTES.length], body.slice(at)) }
    case 'repeat':
      return { ...raw, body: joined(body, body.slice(at)) }
    case 'encode':
      return { ...raw, body: encoded(body, what) }
    case 'query':
      return withQuery(raw, where, what)
    case 'header':
      return withHeader(raw, where, what)
    case 'method':
      return { ...raw, method: ['GET', 'POST', 'PUT', 'HEAD', 'DELETE'][what % 5] ?? 'GET' }
    default:
      return { ...raw, body: withField(body, kind, where, what) }
  }
}

function joined(...parts: (Uint8Array | undefined)[]): Uint8Array {
  const known = parts.filter((part) => part !== undefined)
  const all = new Uint8Array(known.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of known) {
    all.set(part, at)
    at += part.length
  }
  return all
}

/** Another encoding than the one that is said. */
function encoded(body: Uint8Array, what: number): Uint8Array {
  if (what % 3 === 0) return joined(...[...body].map((byte) => new Uint8Array([byte, 0])))
  if (what % 3 === 1) return body.map((byte) => (byte > 0x60 ? byte | 0x80 : byte))
  return utf8(encodeURIComponent(new TextDecoder().decode(body)))
}

function withQuery(raw: RawRequest, where: number, what: number): RawRequest {
  const [base = '', query = ''] = raw.url.split('?', 2)
  const pairs = query.split('&').filter(Boolean)
  const value = String(VALUES[what % VALUES.length])
  const name = pairs[where % Math.max(1, pairs.length)]?.split('=')[0] ?? 'x'
  const added = what % 2 === 0 ? `${name}=${encodeURIComponent(value.replaceAll('\ud800', ''))}` : '%zz=%=&&'
  return { ...raw, url: `${base}?${[...pairs, added].join('&')}` }
}

/** The body is said to be something else, or a header is gone or twice as long. */
function withHeader(raw: RawRequest, where: number, what: number): RawRequest {
  const headers = [...new Headers([...raw.headers] as [string, string][])]
  const [name = 'content-type', value = ''] = headers[where % Math.max(1, headers.length)] ?? []
  const others = headers.filter(([other]) => other !== name)
  const types = [
    'application/json',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'text/plain',
  ]
  if (what % 4 === 0) return { ...raw, headers: others }
  if (what % 4 === 1) return { ...raw, headers: [...others, [name, `${value}${value}x`]] }
  if (what % 4 === 2) return { ...raw, headers: [...others, [name, '9'.repeat(1 + (what % 40))]] }
  const rest = headers.filter(([other]) => other !== 'content-type')
  return { ...raw, headers: [...rest, ['content-type', types[where % types.length] ?? 'text/plain']] }
}

type Change = 'drop' | 'duplicate' | 'retype' | 'nest'

function withField(body: Uint8Array, kind: Change, where: number, what: number): Uint8Array {
  const text = new TextDecoder().decode(body)
  let tree: unknown
  try {
    tree = JSON.parse(text)
  } catch {
    return withPair(text, kind, where, what)
  }
  const places = placesOf(tree)
  const place = places[where % Math.max(1, places.length)]
  if (!place) return utf8(JSON.stringify(VALUES[what % VALUES.length]))
  const { parent, key } = place
  const value = (parent as Record<string, unknown>)[key]
  if (kind === 'drop') delete (parent as Record<string, unknown>)[key]
  else if (kind === 'duplicate' && Array.isArray(parent)) parent.push(...parent)
  else if (kind === 'duplicate') return twice(tree, key, value, what)
  else if (kind === 'retype') (parent as Record<string, unknown>)[key] = VALUES[what % VALUES.length]
  else (parent as Record<string, unknown>)[key] = nested(value, 1 + (what % DEEPEST))
  return utf8(JSON.stringify(tree) ?? '')
}

/** The same name twice in one object: readers differ in which one counts. */
function twice(tree: unknown, key: string, value: unknown, what: number): Uint8Array {
  const text = JSON.stringify(tree)
  const said = `${JSON.stringify(key)}:${JSON.stringify(value)}`
  return utf8(
    text.replace(
      said,
      () => `${said},${JSON.stringify(key)}:${JSON.stringify(VALUES[what % VALUES.length])}`,
    ),
  )
}

function nested(value: unknown, depth: number): unknown {
  let inner = value
  for (let n = 0; n < depth; n += 1) inner = n % 2 === 0 ? [inner] : { x: inner }
  return inner
}

interface Field {
  parent: object
  key: string
}

function placesOf(value: unknown): Field[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, inner]) => [{ parent: value, key }, ...placesOf(inner)])
}

/** Of a form; what is no form either is treated as one. */
function withPair(text: string, kind: Change, where: number, what: number): Uint8Array {
  const pairs = text.split('&')
  const at = where % pairs.length
  const pair = pairs[at] ?? ''
  const name = pair.split('=')[0] ?? ''
  const value = VALUES[what % VALUES.length]
  const said = typeof value === 'string' ? value.replaceAll('\ud800', '') : JSON.stringify(value)
  if (kind === 'drop') pairs.splice(at, 1)
  else if (kind === 'duplicate') pairs.splice(what % pairs.length, 0, pair)
  else if (kind === 'retype') pairs[at] = `${name}=${encodeURIComponent(said)}`
  else pairs[at] = `${name}${'[x]'.repeat(1 + (what % DEEPEST))}=${pair.slice(name.length + 1)}`
  return utf8(pairs.join('&'))
}
