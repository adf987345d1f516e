import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { csvLine, spreadsheetLine } from '../../src/connector/csv.ts'
import { type CsvRecord, createCsvReader } from '../../src/connector/csv-read.ts'
import { CordboardError } from '../../src/errors.ts'

const bytesOf = (text: string) => new TextEncoder().encode(text)

/** The bytes in pieces of this size. */
function pieces(bytes: Uint8Array, size: number): ReadableStream<Uint8Array> {
  let at = 0
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) return controller.close()
      controller.enqueue(bytes.slice(at, at + size))
      at += size
    },
  })
}

async function read(text: string | Uint8Array, { size = 7, delimiter = ',', at = 0, mostBytes = 1000 } = {}) {
  const bytes = typeof text === 'string' ? bytesOf(text) : text
  const reader = createCsvReader(pieces(bytes.slice(at), size), { delimiter, at, mostBytes })
  const records: CsvRecord[] = []
  for (let record = await reader.next(); record; record = await reader.next()) records.push(record)
  return records
}
const cells = async (...given: Parameters<typeof read>) =>
  (await read(...given)).map((record) => record.cells)

describe('records of a CSV', () => {
  it.each([
    [
      'a,b\nc,d',
      [
        ['a', 'b'],
        ['c', 'd'],
      ],
    ],
    [
      'a,b\r\nc,d\r\n',
      [
        ['a', 'b'],
        ['c', 'd'],
      ],
    ],
    [
      'a,b\rc,d\r',
      [
        ['a', 'b'],
        ['c', 'd'],
      ],
    ],
    ['\ufeffa,b\n', [['a', 'b']]],
    ['\ufeff"a,b"\n', [['a,b']]],
    ['"a\r\nb","c""d",""\n', [['a\r\nb', 'c"d', '']]],
    ['5" screen,it"s\n', [['5" screen', 'it"s']]],
    ['a,,\n\n,b', [['a', '', ''], [''], ['', 'b']]],
    [',"é, ü"', [['', 'é, ü']]],
    ['=1+1,+44,-5,@a', [['=1+1', '+44', '-5', '@a']]],
  ])('%j', async (text, expected) => {
    for (const size of [1, 2, 3, 1000]) expect(await cells(text, { size })).toEqual(expected)
  })

  it('say where each ends, so that reading goes on there', async () => {
    const text = '\ufeffä,"x\ny"\r\nb,c\n"d",e'
    const records = await read(text)
    for (const [n, { end }] of records.entries())
      expect(await read(text, { at: end })).toEqual(records.slice(n + 1))
    expect(records.at(-1)?.end).toBe(bytesOf(text).length)
  })

  it('that are malformed are told, and the next is read', async () => {
    const records = await read('"a"b,c\nd\n')
    expect(records.map(({ fault }) => fault !== undefined)).toEqual([true, false])
    const odd = await read(new Uint8Array([0x61, 0xff, 0x0a, 0x62]))
    expect(odd).toEqual([
      { cells: [], end: 3, fault: 'expected UTF-8, seen other bytes' },
      { cells: ['b'], end: 4 },
    ])
  })

  it.each([
    ['a\n"b,c\nd', 'A quote is opened here and never closed'],
    [`a\n"${'b'.repeat(2000)}"`, 'A row has more than 0 MB'],
    [`a\n${'b'.repeat(2000)}`, 'A row has more than 0 MB'],
  ])('none can be found any more in %.8j', async (text, message) => {
    for (const size of [100, 5000]) {
      const failed = await read(text, { size }).catch((error: unknown) => error)
      expect(failed).toBeInstanceOf(CordboardError)
      expect(failed).toMatchObject({ code: 'bad_request', message })
    }
  })

  it('are those that were written, however they are cut', async () => {
    const cell = fc.string({ unit: fc.constantFrom('a', '"', ',', ';', '\n', '\r', ' ', 'é', '😀') })
    const rows = fc.array(fc.array(cell, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 5 })
    await fc.assert(
      fc.asyncProperty(rows, fc.integer({ min: 1, max: 9 }), async (table, size) => {
        const text = table
          .map((row) => row.map((one) => `"${one.replaceAll('"', '""')}"`).join(','))
          .join('\r\n')
        expect(await cells(text, { size, mostBytes: 10_000 })).toEqual(table)
      }),
      { numRuns: 200 },
    )
  })

  it('come to an end whatever the bytes, each byte in one of them', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom(0x22, 0x2c, 0x0a, 0x0d, 0x61, 0xff, 0xef, 0xbb, 0xbf), { maxLength: 40 }),
        fc.integer({ min: 1, max: 9 }),
        async (list, size) => {
          const bytes = Uint8Array.from(list)
          const whole = await read(bytes, { size: 1000 }).catch((error: Error) => error.message)
          expect(await read(bytes, { size }).catch((error: Error) => error.message)).toEqual(whole)
          if (typeof whole !== 'string' && bytes.length > 0) expect(whole.at(-1)?.end).toBe(bytes.length)
        },
      ),
      { numRuns: 300 },
    )
  })
})

describe('a line for a spreadsheet', () => {
  it.each(['=1+1', '+1', '-1', '@SUM(A1)', '\t=1', ' =1', '\u00a0@x', 'a\n=1', '\r=1', '＝1', '＠x'])(
    'keeps %j from being run',
    (value) => {
      expect(spreadsheetLine([value])).toMatch(/^"?'/)
    },
  )

  it.each(['\0=1', 'a\n\0=1', '\u0001=1', '\u200b+1', '\u202e@x', '\u00ad-1', '\u007f=1'])(
    'sees %j behind what nobody sees',
    (value) => {
      expect(spreadsheetLine([value])).toMatch(/^"?'/)
    },
  )

  it('takes no longer for a cell of a megabyte', { timeout: 5000 }, () => {
    expect(spreadsheetLine(['\n'.repeat(1_000_000)])).toMatch(/^"?'/)
    expect(spreadsheetLine(['a '.repeat(500_000)])).not.toMatch(/^"?'/)
  })

  it('leaves everything else as it is', () => {
    const plain = ['call_1', '', 'a=b', '2026-11-20', 'it’s fine']
    expect(spreadsheetLine(plain)).toBe(csvLine(plain))
  })
})
