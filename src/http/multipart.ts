import { CordboardError } from '../errors.ts'

/** A part of a multipart/form-data body, read as it comes. Its body must be read before the next part is asked for. */
export interface Part {
  name: string
  /** Only that there is one: what a sender calls a file names nothing here. */
  isFile: boolean
  body: ReadableStream<Uint8Array>
}

const MOST_HEAD = 8 * 1024
/** What may stand before the first boundary and behind the last. */
const MOST_AROUND = 1024
/** RFC 2046 §5.1.1. */
const BOUNDARY = /^[\w'()+,./:=? -]{0,69}[\w'()+,./:=?-]$/

/**
 * The parts of a body, one after the other (RFC 7578). Holds one piece of the body and never a file; throws `bad_request` at
 * whatever is no such body. Own code because the libraries there are hold the parts, need Node’s streams, or lose their place
 * when a boundary falls between two pieces.
 */
export async function* readMultipart(
  body: ReadableStream<Uint8Array>,
  contentType: string,
  mostParts: number,
): AsyncGenerator<Part, void> {
  const boundary = boundaryOf(contentType)
  const scanner = createScanner(body)
  const delimiter = wanted(`\r\n--${boundary}`)
  try {
    await skip(scanner, delimiter)
    for (let count = 0; !(await isEnd(scanner)); count += 1) {
      if (count === mostParts) throw unfit(`at most ${mostParts} parts`, 'more')
      const head = headOf(await text(scanner, HEAD_END))
      const part = streamOf(scanner, delimiter)
      yield { ...head, body: part.body }
      await part.rest()
    }
    await scanner.drain(MOST_AROUND)
  } finally {
    await scanner.cancel()
  }
}

function boundaryOf(contentType: string): string {
  const [, quoted, plain] =
    /^multipart\/form-data\s*;(?:[^"]*;)?\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))\s*(?:;|$)/i.exec(
      contentType.slice(0, 500),
    ) ?? []
  const boundary = quoted ?? plain
  if (boundary !== undefined && BOUNDARY.test(boundary)) return boundary
  throw unfit('Content-Type: multipart/form-data with its boundary', 'none that can be read')
}

/** Behind a boundary: a line break begins a part, two dashes end the body. */
async function isEnd(scanner: Scanner): Promise<boolean> {
  const after = await scanner.take(2)
  if (after === '--') return true
  if (after === '\r\n') return false
  throw unfit('a line break after each boundary', 'something else')
}

async function skip(scanner: Scanner, delimiter: Wanted): Promise<void> {
  let skipped = 0
  for (let piece = await scanner.next(delimiter); piece !== null; piece = await scanner.next(delimiter)) {
    skipped += piece.length
    if (skipped > MOST_AROUND) throw unfit('a body that begins with its boundary', 'something else')
  }
}

async function text(scanner: Scanner, end: Wanted): Promise<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false })
  let result = ''
  let bytes = 0
  try {
    for (let piece = await scanner.next(end); piece !== null; piece = await scanner.next(end)) {
      bytes += piece.length
      if (bytes > MOST_HEAD) throw unfit(`at most ${MOST_HEAD} bytes of headers of a part`, 'more')
      result += decoder.decode(piece, { stream: true })
    }
    return result + decoder.decode()
  } catch (error) {
    if (error instanceof TypeError) throw unfit('headers of a part in UTF-8', 'other bytes')
    throw error
  }
}

function headOf(head: string): { name: string; isFile: boolean } {
  const lines = head.split('\r\n').filter((line) => /^content-disposition\s*:/i.test(line))
  const [line = ''] = lines
  const [, disposition, rest = ''] = /^[^:]+:\s*([\w-]+)\s*(.*)$/.exec(line) ?? []
  if (lines.length !== 1 || disposition?.toLowerCase() !== 'form-data')
    throw unfit('one Content-Disposition: form-data in each part', 'another, or none')
  const parameters = new Map<string, string>()
  for (const [, key = '', quoted, plain] of rest.matchAll(
    /;\s*([\w*-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))/g,
  )) {
    if (parameters.has(key.toLowerCase())) throw unfit('each parameter of a part once', 'one twice')
    parameters.set(key.toLowerCase(), quoted ?? plain ?? '')
  }
  const name = parameters.get('name')
  if (name === undefined) throw unfit('a name of each part', 'none')
  return { name, isFile: parameters.has('filename') || parameters.has('filename*') }
}

/** The bytes up to the delimiter, as fast as they are asked for. `rest` passes over what nobody read. */
function streamOf(scanner: Scanner, delimiter: Wanted) {
  let isDone = false
  const next = async (): Promise<Uint8Array | null> => {
    const piece = isDone ? null : await scanner.next(delimiter)
    isDone ||= piece === null
    return piece
  }
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const piece = await next()
        if (piece === null) controller.close()
        else controller.enqueue(piece)
      },
    },
    { highWaterMark: 0 },
  )
  const rest = async () => {
    while ((await next()) !== null);
  }
  return { body, rest }
}

type Scanner = ReturnType<typeof createScanner>

function createScanner(body: ReadableStream<Uint8Array>) {
  const reader = body.getReader()
  // The first boundary has no line break before it.
  let held: Uint8Array = ascii('\r\n')
  let isOver = false

  async function more(): Promise<boolean> {
    const { done, value } = await reader.read().catch((cause: unknown) => {
      throw new CordboardError('bad_request', 'The body broke off before its end', { cause })
    })
    if (done) {
      isOver = true
      return false
    }
    const both = new Uint8Array(held.length + value.length)
    both.set(held)
    both.set(value, held.length)
    held = held.length === 0 ? value : both
    return true
  }
  const shift = (length: number): Uint8Array => {
    const piece = held.subarray(0, length)
    held = held.subarray(length)
    return piece
  }
  const brokenOff = () => unfit('a body that ends with its boundary', 'an end before it')

  return {
    /** What stands before the delimiter, piece by piece; null at the delimiter, which is passed over. */
    async next(delimiter: Wanted): Promise<Uint8Array | null> {
      for (;;) {
        const at = indexOf(held, delimiter)
        if (at > 0) return shift(at)
        if (at === 0) {
          shift(delimiter.bytes.length)
          return null
        }
        // The rest may be the beginning of a delimiter.
        const safe = held.length - delimiter.bytes.length + 1
        if (safe > 0) return shift(safe)
        if (!(await more())) throw brokenOff()
      }
    },
    async take(length: number): Promise<string> {
      while (held.length < length) if (!(await more())) throw brokenOff()
      return String.fromCharCode(...shift(length))
    },
    async drain(most: number): Promise<void> {
      for (let seen = held.length; ; seen += held.length) {
        if (seen > most) throw unfit('nothing behind the last boundary', 'more')
        held = held.subarray(held.length)
        if (isOver || !(await more())) return
      }
    },
    cancel: () => reader.cancel().catch(() => undefined),
  }
}

interface Wanted {
  bytes: Uint8Array
  /** How much of it stands at its own beginning and right before each place: what a mismatch there leaves. */
  kept: Uint8Array
}

function wanted(text: string): Wanted {
  const bytes = ascii(text)
  const kept = new Uint8Array(bytes.length)
  for (let at = 1, same = 0; at < bytes.length; at += 1) {
    while (same > 0 && bytes[at] !== bytes[same]) same = kept[same - 1] ?? 0
    if (bytes[at] === bytes[same]) same += 1
    kept[at] = same
  }
  return { bytes, kept }
}

/** Knuth, Morris and Pratt’s search: linear, whatever boundary and content somebody has thought out. */
function indexOf(held: Uint8Array, { bytes, kept }: Wanted): number {
  const [first = 0] = bytes
  let same = 0
  for (let at = 0; at < held.length; at += 1) {
    if (same === 0 && held[at] !== first) {
      at = held.indexOf(first, at)
      if (at < 0) return -1
    }
    while (same > 0 && held[at] !== bytes[same]) same = kept[same - 1] ?? 0
    if (held[at] === bytes[same]) same += 1
    if (same === bytes.length) return at - same + 1
  }
  return -1
}

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text)

const HEAD_END = wanted('\r\n\r\n')

const unfit = (expected: string, seen: string) =>
  new CordboardError('bad_request', `Body: expected ${expected}; seen ${seen}`)
