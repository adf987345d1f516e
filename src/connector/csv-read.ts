import { CordboardError } from '../errors.ts'

/** Reading CSV (RFC 4180) as it comes: one record after the other, with the place behind each, so that reading can go on there. */

export interface CsvRecord {
  cells: string[]
  /** Byte behind the record and its line break. */
  end: number
  /** Why its cells cannot be relied on. */
  fault?: string
}

export interface CsvReader {
  /** Null at the end. Throws `bad_request` when no later record can be found either. */
  next(): Promise<CsvRecord | null>
  cancel(): Promise<void>
}

export interface CsvOptions {
  delimiter: string
  /** The byte of the file that the body begins with. */
  at: number
  /** A record may have so many bytes. */
  mostBytes: number
}

const ROOM_BYTES = 64 * 1024
const LF = 0x0a
const CR = 0x0d
const QUOTE = 0x22
const BOM = '\ufeff'

const CELL = 0
const PLAIN = 1
const QUOTED = 2
/** A quote within quotes: the first of a pair, or the end. */
const BEHIND = 3

/**
 * Line breaks end a record unless they stand in quotes, which are open from the beginning of a cell only: a quote somewhere
 * else is a character. Of what is malformed the record is told and the next line read, as long as there is one.
 */
export function createCsvReader(body: ReadableStream<Uint8Array>, options: CsvOptions): CsvReader {
  const { delimiter, mostBytes } = options
  const divider = delimiter.charCodeAt(0)
  const reader = body.getReader()
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  let held = new Uint8Array(ROOM_BYTES)
  let [from, to] = [0, 0]
  /** Of the file: the byte at `from`. */
  let place = options.at
  let isOver = false

  async function more(): Promise<boolean> {
    const { done, value } = await reader.read()
    if (done) {
      isOver = true
      return false
    }
    const size = to - from
    if (size + value.length > held.length) {
      const larger = new Uint8Array(Math.max(2 * held.length, size + value.length))
      larger.set(held.subarray(from, to))
      held = larger
    } else if (from > 0) held.copyWithin(0, from, to)
    held.set(value, size)
    from = 0
    to = size + value.length
    return true
  }

  /** The record from `from` to before `end`; what is read next begins behind `behind`. */
  function record(end: number, behind: number, isPlain: boolean, fault?: string): CsvRecord {
    if (end - from > mostBytes) throw tooLong(mostBytes, false)
    const bytes = held.subarray(from, end)
    const isFirst = place === 0
    place += behind - from
    from = behind
    try {
      const text = decoder.decode(bytes)
      const content = isFirst && text.startsWith(BOM) ? text.slice(1) : text
      const cells = isPlain ? content.split(delimiter) : cellsOf(content, delimiter)
      return { cells, end: place, ...(fault === undefined ? {} : { fault }) }
    } catch (error) {
      if (!(error instanceof TypeError)) throw error
      return { cells: [], end: place, fault: 'expected UTF-8, seen other bytes' }
    }
  }

  return {
    async next() {
      let state = CELL
      let isPlain = true
      let fault: string | undefined
      // Relative to `from`: what is held moves while more comes.
      let seen = place === 0 ? await bomLength() : 0
      for (;;) {
        while (from + seen < to) {
          const byte = held[from + seen]
          if (state === QUOTED) {
            const quote = held.indexOf(QUOTE, from + seen)
            if (quote < 0 || quote >= to) {
              seen = to - from
              break
            }
            seen = quote - from + 1
            state = BEHIND
            continue
          }
          if (byte === LF || byte === CR) {
            if (byte === CR && from + seen + 1 === to && !isOver && (await more())) continue
            const end = from + seen
            const pair = byte === CR && end + 1 < to && held[end + 1] === LF
            return record(end, end + (pair ? 2 : 1), isPlain, fault)
          }
          if (byte === divider) state = CELL
          else if (byte === QUOTE && state === CELL) {
            state = QUOTED
            isPlain = false
          } else if (byte === QUOTE && state === BEHIND) state = QUOTED
          else {
            if (state === BEHIND) fault = 'expected a separator behind the closing quote, seen something else'
            state = PLAIN
          }
          seen += 1
        }
        if (seen > mostBytes) throw tooLong(mostBytes, state === QUOTED)
        if (!isOver && (await more())) continue
        if (to === from) return null
        if (state === QUOTED) throw unclosed()
        return record(to, to, isPlain, fault)
      }
    },
    cancel: () => reader.cancel().catch(() => undefined),
  }

  async function bomLength(): Promise<number> {
    while (to - from < 3 && !isOver) await more()
    return held[from] === 0xef && held[from + 1] === 0xbb && held[from + 2] === 0xbf && to - from >= 3 ? 3 : 0
  }
}

/** Cells of a record in which at least one is quoted. */
function cellsOf(text: string, delimiter: string): string[] {
  const cells: string[] = []
  for (let at = 0; ; ) {
    let cell = ''
    if (text[at] === '"') {
      at += 1
      for (;;) {
        const quote = text.indexOf('"', at)
        cell += text.slice(at, quote < 0 ? text.length : quote)
        at = quote < 0 ? text.length : quote + 1
        if (text[at] !== '"') break
        cell += '"'
        at += 1
      }
    }
    const end = text.indexOf(delimiter, at)
    cell += text.slice(at, end < 0 ? text.length : end)
    cells.push(cell)
    if (end < 0) return cells
    at = end + 1
  }
}

const unclosed = () =>
  new CordboardError('bad_request', 'A quote is opened here and never closed', {
    fix: 'Close it, or double quotes that are part of the text',
  })

const tooLong = (most: number, isQuoted: boolean) =>
  new CordboardError('bad_request', `A row has more than ${Math.floor(most / 1024 / 1024)} MB`, {
    why: isQuoted
      ? 'A quote is opened in it and not closed for that long'
      : 'It has no line break for that long',
    fix: 'Close the quote, or shorten the row',
  })
