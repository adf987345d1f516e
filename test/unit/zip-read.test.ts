import { crc32 as known } from 'node:zlib'
import { zipSync } from 'fflate'
import { describe, expect, it } from 'vitest'
import { crc32 } from '../../src/connector/crc32.ts'
import {
  findDirectory,
  isPlainName,
  openFile,
  readDirectory,
  type ZipFile,
  type ZipSource,
} from '../../src/connector/zip-read.ts'
import { type MadeFile, makeZip } from '../kit/zip.ts'

const text = (content: string) => new TextEncoder().encode(content)
const HELLO = text('hello, hello, hello')

function sourceOf(bytes: Uint8Array): ZipSource & { read: number } {
  const source = {
    bytes: bytes.length,
    read: 0,
    open: async (start: number, end: number) => {
      let at = start
      return new ReadableStream<Uint8Array>(
        {
          pull(controller) {
            if (at >= end) return controller.close()
            const piece = bytes.slice(at, Math.min(end, at + 4096))
            source.read += piece.length
            at += 4096
            controller.enqueue(piece)
          },
        },
        { highWaterMark: 0 },
      )
    },
  }
  return source
}

async function filesOf(bytes: Uint8Array): Promise<ZipFile[]> {
  const source = sourceOf(bytes)
  const directory = await findDirectory(source)
  const files: ZipFile[] = []
  for await (const { file } of readDirectory(source, directory, directory.start)) files.push(file)
  return files
}

async function contentOf(bytes: Uint8Array, file: ZipFile): Promise<string> {
  const stream = await openFile(sourceOf(bytes), file)
  return new TextDecoder().decode(await new Response(stream).arrayBuffer())
}

const first = async (made: MadeFile) => {
  const bytes = makeZip([made])
  const [file] = await filesOf(bytes)
  if (!file) throw new Error('no file')
  return { bytes, file }
}

describe('a ZIP archive', () => {
  it.each([
    ['stored', makeZip([{ name: 'a', content: HELLO }])],
    ['deflated', makeZip([{ name: 'a', content: HELLO, deflate: true }])],
    ['of another maker', zipSync({ a: HELLO })],
    ['with its sizes in ZIP64', makeZip([{ name: 'a', content: HELLO, wide: true }])],
    ['with its end in ZIP64', makeZip([{ name: 'a', content: HELLO }], { zip64: true })],
    ['with a comment', makeZip([{ name: 'a', content: HELLO }], { comment: 'PK\u0005\u0006 in words' })],
  ])('%s', async (_, bytes) => {
    const files = await filesOf(bytes)
    expect(files).toMatchObject([{ name: 'a', bytes: HELLO.length, fault: null }])
    expect(await contentOf(bytes, files[0] as ZipFile)).toBe('hello, hello, hello')
  })

  it('is read in pieces that go on where the last one ended', async () => {
    const bytes = makeZip(['a', 'b', 'c'].map((name) => ({ name, content: HELLO })))
    const source = sourceOf(bytes)
    const directory = await findDirectory(source)
    const places: number[] = []
    for await (const { next } of readDirectory(source, directory, directory.start)) places.push(next)
    const rest: (string | null)[] = []
    for await (const { file } of readDirectory(source, directory, places[0] ?? 0)) rest.push(file.name)
    expect([rest, places.at(-1)]).toEqual([['b', 'c'], directory.end])
  })

  it.each([
    '../../etc/passwd',
    '/etc/passwd',
    '..\\..\\windows',
    'C:\\a.wav',
    'folder/a.wav',
    'folder/',
    '..',
    '.',
    '',
    'a\u0000.wav',
    'a\u202e.wav',
    'a\n.wav',
    'x'.repeat(256),
  ])('a file named %j can be named by no row', async (name) => {
    expect(isPlainName(name)).toBe(false)
    expect((await first({ name, content: HELLO })).file.name).toBeNull()
  })

  it('names are the same however their accents are written; those that are not UTF-8 are none', async () => {
    expect((await first({ name: 'e\u0301.wav', content: HELLO })).file.name).toBe('\u00e9.wav')
    expect((await first({ name: new Uint8Array([0x8a, 0x2e]), content: HELLO })).file.name).toBeNull()
  })

  it.each<[string, Partial<MadeFile>, RegExp]>([
    ['encrypted', { encrypted: true }, /encrypted/],
    ['of another method', { method: 12 }, /bzip2/],
    ['of an unknown method', { method: 77 }, /method 77/],
    ['with a wrong checksum', { crc: 7 }, /checksum/],
    ['that inflates to more than it says', { deflate: true, claims: 3 }, /more comes out/],
    ['that inflates to less than it says', { deflate: true, claims: 3000 }, /less comes out/],
    ['that is not deflated at all', { method: 8 }, /cannot be unpacked|comes out/],
    ['whose sizes contradict each other', { claims: 3 }, /contradict/],
    ['that stands elsewhere', { at: 5 }, /not where the directory says/],
    ['behind the end', { at: 100_000 }, /behind the end/],
    ['beyond all numbers', { at: Number.MAX_SAFE_INTEGER, wide: true }, /behind the end/],
  ])('a file %s is refused', async (_, wrong, message) => {
    const { bytes, file } = await first({ name: 'a', content: HELLO, ...wrong })
    await expect(contentOf(bytes, file)).rejects.toMatchObject({
      code: 'bad_request',
      message: expect.stringMatching(message),
    })
  })

  it('a bomb is left as soon as more comes out than it says', async () => {
    const zeros = new Uint8Array(96 * 1024 * 1024)
    const { bytes, file } = await first({ name: 'a', content: zeros, deflate: true, claims: 1000 })
    const before = process.memoryUsage().rss
    await expect(contentOf(bytes, file)).rejects.toMatchObject({ message: expect.stringMatching('more comes out') })
    expect(process.memoryUsage().rss - before).toBeLessThan(32 * 1024 * 1024)
  })

  it('what breaks off within a file says so', async () => {
    const { bytes, file } = await first({ name: 'a', content: new Uint8Array(50_000), deflate: false })
    const short = { ...sourceOf(bytes.slice(0, 20_000)), bytes: bytes.length }
    const stream = await openFile({ ...short, open: (start) => short.open(start, 20_000) }, file)
    await expect(new Response(stream).arrayBuffer()).rejects.toMatchObject({ message: expect.stringMatching('breaks off') })
  })

  it.each([
    ['text', text('hello '.repeat(20))],
    ['nothing', new Uint8Array(0)],
    ['a cut-off archive', makeZip([{ name: 'a', content: HELLO }]).slice(0, -1)],
    ['something before it', Buffer.concat([text('MZ'), makeZip([{ name: 'a', content: HELLO }])])],
    ['something behind it', Buffer.concat([makeZip([{ name: 'a', content: HELLO }]), text('x')])],
  ])('%s is none', async (_, bytes) => {
    await expect(filesOf(new Uint8Array(bytes))).rejects.toMatchObject({ code: 'bad_request' })
  })

  it('bytes changed anywhere lead to a refusal or to the same content, never to another', async () => {
    const whole = makeZip([{ name: 'a', content: HELLO, deflate: true }], { zip64: true })
    for (let at = 0; at < whole.length; at += 1) {
      const bytes = whole.slice()
      bytes[at] = (bytes[at] ?? 0) ^ 0x41
      try {
        for (const file of await filesOf(bytes))
          if (file.name !== null) expect(await contentOf(bytes, file)).toBe('hello, hello, hello')
      } catch (error) {
        expect(error).toMatchObject({ code: 'bad_request' })
      }
    }
  })
})

it('a checksum is that of the whole, however it comes', () => {
  const bytes = Uint8Array.from({ length: 1001 }, (_, n) => (n * 31) & 0xff)
  for (const cut of [0, 1, 2, 3, 500, 1001])
    expect(crc32(bytes.subarray(cut), crc32(bytes.subarray(0, cut)))).toBe(known(bytes))
})
