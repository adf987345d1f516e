import { CordboardError } from '../errors.ts'

/** XML that a stranger sent. No document types, so no entity can grow or reach outside; bounded like JSON (json.ts). */
export interface XmlElement {
  name: string
  attributes: Readonly<Record<string, string>>
  children: readonly XmlElement[]
  /** What stands in it beside its elements, put together. */
  text: string
}

const MAX_CHARS = 8 * 1024 * 1024
const MAX_DEPTH = 64
const MAX_ELEMENTS = 100_000
/** Of one element. */
const MAX_ATTRIBUTES = 1_000

const NAME = String.raw`[\p{L}_:][\p{L}\p{N}_:.-]*`
/** What begins with `<`, in the order of the groups: skipped (declaration, comment), character data, end, start. */
const TAG = new RegExp(
  String.raw`<(?:(\?[^?]*(?:\?(?!>)[^?]*)*\?|!--(?:(?!--)[^])*--)|!\[CDATA\[((?:(?!\]\]>)[^])*)\]\]|/(${NAME})\s*|(${NAME})((?:\s+${NAME}\s*=\s*(?:"[^"<]*"|'[^'<]*'))*)\s*(/?))>`,
  'uy',
)
const ATTRIBUTE = new RegExp(String.raw`(${NAME})\s*=\s*(?:"([^"]*)"|'([^']*)')`, 'gu')

interface Open extends XmlElement {
  children: Open[]
}

/** The root element. Throws `invalid_payload` when the text is not well-formed, has a document type or is out of bounds. */
export function parseXml(source: string): XmlElement {
  if (source.length > MAX_CHARS) throw invalid(`it has ${source.length} characters, ${MAX_CHARS} are read`)
  const holder: Open = { name: '', attributes: {}, children: [], text: '' }
  const open: Open[] = [holder]
  let count = 0
  let at = source.startsWith('\uFEFF') ? 1 : 0
  while (at < source.length) {
    const within = open.at(-1) ?? holder
    const next = source.indexOf('<', at)
    const text = source.slice(at, next < 0 ? source.length : next)
    within.text += unescaped(text)
    if (within === holder && text.trim() !== '') throw invalid('there is text outside of its root element')
    if (next < 0) break
    TAG.lastIndex = next
    const tag = TAG.exec(source)
    if (!tag) throw invalid(`what begins at character ${next} is no element`)
    at = TAG.lastIndex
    const [, skipped, data, end, start, attributes = '', isEmpty] = tag
    if (skipped !== undefined) continue
    if (data !== undefined) {
      if (within === holder) throw invalid('there is text outside of its root element')
      within.text += data
    } else if (end !== undefined) {
      if (open.pop()?.name !== end || open.length === 0)
        throw invalid(`an element ends at character ${next} that did not begin`)
    } else if (start !== undefined) {
      if (++count > MAX_ELEMENTS) throw invalid(`it holds more than ${MAX_ELEMENTS} elements`)
      if (open.length > MAX_DEPTH) throw invalid(`it is nested deeper than ${MAX_DEPTH} levels`)
      if (within === holder && holder.children.length > 0) throw invalid('it has more than one root element')
      const element: Open = { name: start, attributes: attributesOf(attributes), children: [], text: '' }
      within.children.push(element)
      if (!isEmpty) open.push(element)
    }
  }
  const [root] = holder.children
  if (open.length > 1 || !root) throw invalid('it breaks off')
  return root
}

/** The first child of that name. */
export const childOf = (element: XmlElement | undefined, name: string): XmlElement | undefined =>
  element?.children.find((child) => child.name === name)

function attributesOf(text: string): Record<string, string> {
  const attributes: Record<string, string> = Object.create(null)
  let count = 0
  for (const [, name = '', double, single] of text.matchAll(ATTRIBUTE)) {
    if (++count > MAX_ATTRIBUTES) throw invalid(`an element has more than ${MAX_ATTRIBUTES} attributes`)
    if (name in attributes) throw invalid('an attribute is there twice')
    attributes[name] = unescaped(double ?? single ?? '')
  }
  return attributes
}

const NAMED: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

const ENTITY = /&(?:#(\d{1,7});|#x([\da-f]{1,6});|(\w{1,8});)/iy

/** One after the other: a replacement would find all of millions before the first is looked at. */
function unescaped(text: string): string {
  const pieces: string[] = []
  let from = 0
  for (let at = text.indexOf('&'); at >= 0; at = text.indexOf('&', from)) {
    ENTITY.lastIndex = at
    pieces.push(text.slice(from, at), meant(ENTITY.exec(text)))
    from = ENTITY.lastIndex
  }
  return pieces.length === 0 ? text : pieces.join('') + text.slice(from)
}

function meant(entity: RegExpExecArray | null): string {
  const [, decimal, hex, name] = entity ?? []
  const code = decimal === undefined ? Number.parseInt(hex ?? '', 16) : Number(decimal)
  if (code > 0 && code <= 0x10ffff) return String.fromCodePoint(code)
  if (name !== undefined && Object.hasOwn(NAMED, name)) return NAMED[name] ?? ''
  throw invalid('an entity is in it that XML itself does not have')
}

const invalid = (why: string) => new CordboardError('invalid_payload', `The XML cannot be read: ${why}`)
