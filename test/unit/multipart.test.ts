import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type MultipartFile, multipart } from '../../src/connector/multipart.ts'

const utf8 = (text: string) => new TextEncoder().encode(text)

function streamOf(...chunks: string[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(utf8(chunk))
      controller.close()
    },
  })
}

const audio = (body = streamOf('RIFF', 'data')): MultipartFile => ({
  name: 'file',
  fileName: 'call_1.wav',
  contentType: 'audio/wav',
  body,
  bytes: 8,
})

const read = ({ contentType, body }: ReturnType<typeof multipart>) =>
  new Response(body, { headers: { 'content-type': contentType } }).formData()

describe('a multipart body', () => {
  it('is what a form parser reads back', async () => {
    const form = await read(multipart({ language: 'uz', note: 'ikki\nqator “ёзув”' }, audio(), 'b-1'))
    expect(form.get('language')).toBe('uz')
    expect(form.get('note')).toBe('ikki\nqator “ёзув”')
    const file = form.get('file') as File
    expect([file.name, file.type, await file.text()]).toEqual(['call_1.wav', 'audio/wav', 'RIFFdata'])
  })

  it('knows its length when the file’s is known, to the byte', async () => {
    const made = multipart({ ключ: 'значение' }, { ...audio(), fileName: 'звонок.wav' }, 'b-1')
    expect((await new Response(made.body).bytes()).byteLength).toBe(made.contentLength)
    expect(multipart({}, { ...audio(), bytes: null }, 'b-1').contentLength).toBeNull()
  })

  it('holds nothing: the file is asked for a chunk only when the reader asks', async () => {
    let asked = 0
    const endless = new ReadableStream<Uint8Array>(
      {
        pull(controller) {
          asked += 1
          controller.enqueue(new Uint8Array(10))
        },
      },
      { highWaterMark: 0 },
    )
    const reader = multipart({}, { ...audio(endless), bytes: null }, 'b-1').body.getReader()
    expect(asked).toBe(0)
    await reader.read()
    expect(asked).toBe(0)
    await reader.read()
    expect(asked).toBe(1)
    await reader.read()
    expect(asked).toBe(2)
    await reader.cancel()
  })

  it('cancels the file when its reader goes away', async () => {
    let cancelled: unknown
    const body = new ReadableStream<Uint8Array>({
      cancel(reason) {
        cancelled = reason
      },
    })
    await multipart({}, audio(body), 'b-1').body.cancel('gone')
    expect(cancelled).toBe('gone')
  })

  it('fails like the file fails', async () => {
    const broken = new ReadableStream<Uint8Array>({
      pull: () => Promise.reject(new Error('the line broke')),
    })
    await expect(read(multipart({}, audio(broken), 'b-1'))).rejects.toThrow()
    await expect(new Response(multipart({}, audio(streamOf('x')), 'b').body).text()).rejects.toMatchObject({
      code: 'vendor_down',
    })
  })

  it.each([
    ['shorter', streamOf('1234567')],
    ['longer', streamOf('1234567', '89', 'never read')],
  ])('fails when the file is %s than announced', async (_, body) => {
    const reader = multipart({}, audio(body), 'b-1').body.getReader()
    const all = async () => {
      while (!(await reader.read()).done);
    }
    await expect(all()).rejects.toMatchObject({ code: 'vendor_down' })
  })

  it('lets no name, file name or value write a header or a part', async () => {
    const hostile = fc.string({
      unit: fc.constantFrom('"', '\r', '\n', ';', '-', '--b1', 'a', 'é', 'Content-Type: x', '%22', '\\'),
      maxLength: 12,
    })
    await fc.assert(
      fc.asyncProperty(hostile, hostile, hostile, async (name, value, fileName) => {
        fc.pre(!name.includes('--b1') && !value.includes('b1'))
        const made = multipart({ [name]: value, after: '1' }, { ...audio(), fileName }, 'b1b1b1')
        const text = await new Response(made.body).text()
        const parts = text.split('--b1b1b1')
        expect(parts).toHaveLength(5)
        const heads = parts.slice(1, 4).map((part) => part.slice(2, part.indexOf('\r\n\r\n')).split('\r\n'))
        expect(heads.map((lines) => lines.length)).toEqual([1, 1, 2])
        for (const [disposition = ''] of heads) {
          expect(disposition).toMatch(
            /^Content-Disposition: form-data; name="[^"\r\n]*"(; filename="[^"\r\n]*")?$/,
          )
        }
      }),
    )
  })

  it('refuses what cannot be escaped', () => {
    const refused = { code: 'invalid_payload' }
    const make = (fields: Record<string, string>, file: Partial<MultipartFile> = {}, boundary = 'b-1') =>
      expect(() => multipart(fields, { ...audio(), ...file }, boundary))
    make({ 'a\0b': '1' }).toThrow(expect.objectContaining(refused))
    make({}, { fileName: 'a\0.wav' }).toThrow(expect.objectContaining(refused))
    make({}, { contentType: 'audio/wav\r\nX-Evil: 1' }).toThrow(expect.objectContaining(refused))
    make({}, { contentType: '' }).toThrow(expect.objectContaining(refused))
    make({ a: 'x\r\n--b-1\r\n' }).toThrow(expect.objectContaining(refused))
    make({}, {}, 'b"1').toThrow(expect.objectContaining(refused))
    make({}, {}, '').toThrow(expect.objectContaining(refused))
  })
})
