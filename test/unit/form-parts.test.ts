import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CordboardError } from '../../src/errors.ts'
import { readMultipart } from '../../src/http/multipart.ts'

/** The reader of multipart forms, byte by byte: with whatever a stranger may send. */

const TYPE = 'multipart/form-data; boundary=XbX'
const bytes = (text: string) => new Uint8Array(Buffer.from(text, 'latin1'))

interface Seen {
  name: string
  isFile: boolean
  text: string
}

function streamOf(pieces: readonly Uint8Array[]) {
  const state = { pulled: 0, cancelled: false }
  const body = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const piece = pieces[state.pulled]
        state.pulled += 1
        if (piece) controller.enqueue(piece)
        else controller.close()
      },
      cancel: () => {
        state.cancelled = true
      },
    },
    { highWaterMark: 0 },
  )
  return { body, state }
}

async function partsOf(pieces: readonly Uint8Array[], type = TYPE, most = 8): Promise<Seen[]> {
  const seen: Seen[] = []
  for await (const { name, isFile, body } of readMultipart(streamOf(pieces).body, type, most)) {
    const chunks: Uint8Array[] = []
    for await (const chunk of body) chunks.push(chunk)
    seen.push({ name, isFile, text: Buffer.concat(chunks).toString('latin1') })
  }
  return seen
}

const part = (head: string, content: string) => `--XbX\r\n${head}\r\n\r\n${content}\r\n`
const field = (name: string, content: string) =>
  part(`Content-Disposition: form-data; name="${name}"`, content)
const file = (content: string, name = 'a.mp3') =>
  part(`Content-Disposition: form-data; name="file"; filename="${name}"\r\nContent-Type: audio/mpeg`, content)
const END = '--XbX--\r\n'

/** A body cut at the given places. */
function cut(body: Uint8Array, places: readonly number[]): Uint8Array[] {
  const at = [...new Set(places.map((place) => place % (body.length + 1)))].sort((a, b) => a - b)
  return [0, ...at]
    .map((from, index) => body.subarray(from, at[index] ?? body.length))
    .filter(({ length }) => length > 0)
}

describe('the parts of a form', () => {
  it('are the same wherever the body is cut', () => {
    // Nearly the boundary, many times over, in the content.
    const nearly = fc.array(
      fc.constantFrom('\r', '\n', '-', '--', '\r\n', '\r\n--', '\r\n--Xb', 'XbX', 'a', '\0', '\xff'),
      { maxLength: 30 },
    )
    return fc.assert(
      fc.asyncProperty(nearly, fc.array(fc.nat(500), { maxLength: 12 }), async (pieces, places) => {
        const content = pieces.join('')
        fc.pre(!content.includes('\r\n--XbX'))
        const body = bytes(field('call', '{}') + file(content) + END)
        expect(await partsOf(cut(body, places))).toEqual([
          { name: 'call', isFile: false, text: '{}' },
          { name: 'file', isFile: true, text: content },
        ])
      }),
      { numRuns: 300 },
    )
  })

  it('are the same a byte at a time, and with every cut in two', async () => {
    const body = bytes(`\r\n${field('call', '{"a":1}')}${file('\r\n--Xb\r\n-')}${END}`)
    const expected = await partsOf([body])
    expect(expected.map(({ text }) => text)).toEqual(['{"a":1}', '\r\n--Xb\r\n-'])
    expect(await partsOf([...body].map((byte) => new Uint8Array([byte])))).toEqual(expected)
    for (let at = 1; at < body.length; at += 1) expect(await partsOf(cut(body, [at]))).toEqual(expected)
  })

  it('pass by without being held: no piece is asked for before the one before was read', async () => {
    const pieces = [bytes(`--XbX\r\nContent-Disposition: form-data; name="file"; filename=x\r\n\r\n`)]
    for (let n = 0; n < 1000; n += 1) pieces.push(new Uint8Array(65_536).fill(13))
    const { body, state } = streamOf([...pieces, bytes(`\r\n${END}`)])
    let read = 0
    for await (const { body: content } of readMultipart(body, TYPE, 8)) {
      for await (const chunk of content) {
        read += chunk.length
        expect(state.pulled * 65_536 - read).toBeLessThan(4 * 65_536)
      }
    }
    expect(read).toBe(1000 * 65_536)
  })

  it('take no longer to find in content that is thought out against the search', async () => {
    const size = 4 * 1024 * 1024
    const timeOf = async (boundary: string, fill: string) => {
      const head = `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename=x\r\n\r\n`
      const content = new Uint8Array(Buffer.alloc(size, fill, 'latin1'))
      const pieces = [bytes(head), ...cut(content, [1_000_000, 2_000_000]), bytes(`\r\n--${boundary}--`)]
      const startedAt = performance.now()
      const [found] = await partsOf(pieces, `multipart/form-data; boundary=${boundary}`)
      expect(found?.text.length).toBe(size)
      return performance.now() - startedAt
    }
    await timeOf('XbX', 'a')
    const usual = await timeOf('XbX', 'a\n')
    for (const [boundary, fill] of [
      ['XbX', '\r'],
      ['a'.repeat(70), 'a'],
      ['a'.repeat(70), `\r\n--${'a'.repeat(69)}`],
    ] as const)
      expect(await timeOf(boundary, fill)).toBeLessThan(usual * 20 + 500)
  })

  it('that nobody reads are passed over, and the source is let go of when nobody asks any more', async () => {
    const names: string[] = []
    for await (const { name } of readMultipart(
      streamOf([bytes(file('x') + field('call', '{}') + END)]).body,
      TYPE,
      8,
    ))
      names.push(name)
    expect(names).toEqual(['file', 'call'])
    const { body, state } = streamOf([bytes(field('call', '{}')), bytes(END)])
    for await (const _ of readMultipart(body, TYPE, 8)) break
    expect(state.cancelled).toBe(true)
  })

  const boundaries: [string, string][] = [
    ['multipart/form-data; boundary="XbX"', 'quoted'],
    ['Multipart/Form-Data; charset=utf-8; Boundary=XbX', 'behind another parameter, in capitals'],
    ['multipart/form-data; boundary=XbX; charset=utf-8', 'before another parameter'],
  ]
  it.each(boundaries)('%s: the boundary is read', async (type) => {
    expect(await partsOf([bytes(field('call', '{}') + END)], type)).toHaveLength(1)
  })

  const refused: [string, string, string?][] = [
    ['no boundary in the type', field('call', '') + END, 'multipart/form-data'],
    ['a boundary of 71 characters', END, `multipart/form-data; boundary=${'b'.repeat(71)}`],
    ['a boundary with a line break', END, 'multipart/form-data; boundary="a\r\nb"'],
    ['another type', END, 'multipart/mixed; boundary=XbX'],
    ['an empty body', ''],
    ['no end', field('call', '{}')],
    ['an end in the middle of a part', `--XbX\r\nContent-Disposition: form-data; name="file"\r\n\r\nabc`],
    ['an end in the middle of the headers', '--XbX\r\nContent-Disp'],
    ['half of the last boundary', `${field('call', '{}')}--XbX-`],
    ['headers without an end', `--XbX\r\n${'X-A: b\r\n'.repeat(2_000)}`],
    ['one header of 9 KB', part(`Content-Disposition: form-data; name="${'n'.repeat(9_000)}"`, '') + END],
    ['nine parts', field('call', '').repeat(9) + END],
    ['a part without a name', part('Content-Disposition: form-data', '') + END],
    ['a part without a disposition', part('Content-Type: text/plain', '') + END],
    ['a part without headers', `--XbX\r\n\r\nabc\r\n${END}`],
    [
      'two dispositions',
      part('Content-Disposition: form-data; name="a"\r\nContent-Disposition: form-data; name="b"', '') + END,
    ],
    ['two names', part('Content-Disposition: form-data; name="call"; name="file"', '') + END],
    ['an attachment', part('Content-Disposition: attachment; name="file"', '') + END],
    ['headers that are no UTF-8', part('Content-Disposition: form-data; name="\xff\xfe"', '') + END],
    ['much before the first boundary', 'x'.repeat(2_000) + field('call', '') + END],
    ['much behind the last', field('call', '') + END + 'x'.repeat(2_000)],
    ['something behind a boundary', '--XbXX\r\n'],
    ['another boundary', `--XbY\r\nContent-Disposition: form-data; name="call"\r\n\r\n\r\n--XbY--`],
  ]
  it.each(refused)('with %s are refused in our words', async (_, body, type) => {
    const failed = await partsOf(cut(bytes(body), [7, 100, 5_000]), type).catch((error: unknown) => error)
    expect(failed).toBeInstanceOf(CordboardError)
    expect(failed).toMatchObject({ code: 'bad_request' })
    // What was sent is in no message.
    expect(String(failed)).not.toMatch(/XbY|nnn|xxx/)
  })

  it('with names that look like paths are names and nothing else', async () => {
    const names = ['../../etc/passwd', 'C:\\\\x', 'a\\"b', '', '\0', 'x'.repeat(500)]
    for (const name of names)
      expect(await partsOf([bytes(file('abc', name) + END)])).toEqual([
        { name: 'file', isFile: true, text: 'abc' },
      ])
  })

  it('of any bytes are parts or refused', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.constantFrom(
            '--XbX',
            '\r\n',
            '\r\n\r\n',
            '--',
            'Content-Disposition: form-data',
            '; name="a"',
            ':',
            '"',
            'x',
            '\0',
          ),
        ),
        async (pieces) => {
          await partsOf([bytes(pieces.join(''))]).catch((error: unknown) =>
            expect(error).toBeInstanceOf(CordboardError),
          )
        },
      ),
      { numRuns: 300 },
    ))
})
