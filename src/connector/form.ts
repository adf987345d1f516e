import { CordboardError } from '../errors.ts'

const MAX_BYTES = 1024 * 1024
const MAX_FIELDS = 1000
const MAX_PART_HEAD = 4096

/**
 * The fields of a form body: urlencoded, or the text fields of multipart/form-data. Empty and repeated fields are kept, in
 * order. A body that says it is something else (JSON, XML) has none. Throws `invalid_payload` beyond the bounds.
 */
export function parseForm(body: Uint8Array, contentType: string | null): URLSearchParams {
  const type = contentType ?? ''
  if (/^\s*(?:multipart\/form-data)\b/i.test(type)) return parseMultipart(textOf(body), type)
  // Some phone systems post forms without a content type, or as text/plain.
  if (type !== '' && !/^\s*(?:application\/x-www-form-urlencoded|text\/plain)\b/i.test(type)) {
    return new URLSearchParams()
  }
  const text = textOf(body)
  let fields = 1
  for (let at = text.indexOf('&'); at >= 0; at = text.indexOf('&', at + 1)) checkCount(++fields)
  // A leading "?" would be taken for the mark of a query string and dropped; the "&" keeps it.
  return new URLSearchParams(text.startsWith('?') ? `&${text}` : text)
}

function textOf(body: Uint8Array): string {
  if (body.length > MAX_BYTES) {
    throw new CordboardError('invalid_payload', `The form has ${body.length} bytes, ${MAX_BYTES} are read`)
  }
  return new TextDecoder('utf-8', { fatal: false, ignoreBOM: true }).decode(body)
}

function checkCount(fields: number): void {
  if (fields > MAX_FIELDS) {
    throw new CordboardError('invalid_payload', `The form has more than ${MAX_FIELDS} fields`)
  }
}

/**
 * Lenient on purpose. Zadarma posts multipart bodies whose delimiter lines have two dashes more or fewer than the
 * boundary of the content type, and strict parsers return nothing. So a delimiter is any
 * line of dashes, the boundary without its leading dashes, and perhaps dashes; what is missing at the end is forgiven.
 */
function parseMultipart(text: string, contentType: string): URLSearchParams {
  const fields = new URLSearchParams()
  const core = boundaryOf(contentType).replace(/^-+/, '')
  if (core === '') throw new CordboardError('invalid_payload', 'The multipart body has no usable boundary')
  let count = 0
  let start = nextDelimiter(text, core, 0)
  while (start && !start.last) {
    const end = nextDelimiter(text, core, start.after)
    const field = readPart(text.slice(start.after, end?.at ?? text.length), end === null, core)
    if (field) {
      checkCount(++count)
      fields.append(field.name, field.value)
    }
    start = end
  }
  return fields
}

function boundaryOf(contentType: string): string {
  const match = /;\s*boundary=(?:"([^"]{1,200})"|([^\s;"]{1,200}))/i.exec(contentType)
  return match?.[1] ?? match?.[2] ?? ''
}

/** `at` is where the line before it ends, `after` the first character behind it. */
function nextDelimiter(text: string, core: string, from: number) {
  for (let found = text.indexOf(core, from); found >= 0; found = text.indexOf(core, found + core.length)) {
    let lineStart = found
    while (lineStart > from && text[lineStart - 1] === '-') lineStart--
    const opensLine = lineStart === 0 || text[lineStart - 1] === '\n'
    const rest = /^-*[ \t]*(\r?\n|$)/.exec(text.slice(found + core.length, found + core.length + 64))
    if (!opensLine || !rest) continue
    let at = Math.max(from, lineStart - 1)
    if (text[at - 1] === '\r' && at > from) at--
    // Dashes behind the boundary do not end the form: they may be the damage. The rest has no head then.
    return { at, after: found + core.length + rest[0].length, last: rest[1] === '' }
  }
  return null
}

/** Files are left out: no webhook that we read carries one. */
function readPart(part: string, isCutOff: boolean, core: string): { name: string; value: string } | null {
  const head = /\r?\n\r?\n/.exec(part.slice(0, MAX_PART_HEAD))
  if (!head) return null
  const disposition = /^content-disposition:(.*)$/im.exec(part.slice(0, head.index))?.[1] ?? ''
  const name = /;\s*name=(?:"([^"]*)"|([^\s;"]+))/i.exec(disposition)
  if (!name || /;\s*filename\*?=/i.test(disposition)) return null
  const value = part.slice(head.index + head[0].length)
  return { name: name[1] ?? name[2] ?? '', value: isCutOff ? withoutBrokenEnd(value, core) : value }
}

/** The last line of a body that breaks off, when it is the beginning of a delimiter. */
function withoutBrokenEnd(value: string, core: string): string {
  const lineStart = value.lastIndexOf('\n') + 1
  const last = value.slice(lineStart)
  const isBroken =
    lineStart > 0 && (last === '' || (last.startsWith('--') && core.startsWith(last.replace(/^-+/, ''))))
  return isBroken ? value.slice(0, lineStart - 1).replace(/\r$/, '') : value
}
