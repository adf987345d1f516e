import { unzipSync } from 'fflate'
import { expect, test } from 'vitest'
import { csvLine } from '../../src/connector/csv.ts'
import { zipStored } from '../../src/connector/zip.ts'

const KB = 1024
/** A file of so many chunks; counts those that were asked for, and whether it was let go. */
function source(chunks: number, byte: number) {
  const seen = { chunks: 0, cancelled: false }
  const open = async () =>
    new ReadableStream<Uint8Array>(
      {
        pull(controller) {
          if (seen.chunks === chunks) return controller.close()
          seen.chunks += 1
          controller.enqueue(new Uint8Array(KB).fill(byte))
        },
        cancel: () => {
          seen.cancelled = true
        },
      },
      { highWaterMark: 0 },
    )
  return { seen, open, bytes: chunks * KB }
}

const whole = async (body: ReadableStream<Uint8Array>) =>
  new Uint8Array(await new Response(body).arrayBuffer())

test('an archive has the size that was told before, and holds every file as it was', async () => {
  const entries = [source(3, 1), source(0, 2), source(70, 3)].map((one, i) => ({
    ...one,
    name: `call_${i}.wav`,
  }))
  const { bytes, body } = zipStored(entries)
  const archive = await whole(body)
  expect(archive.length).toBe(bytes)
  const files = Object.entries(unzipSync(archive)).map(([name, file]) => [name, file.length, file.at(-1)])
  expect(files).toEqual([
    ['call_0.wav', 3 * KB, 1],
    ['call_1.wav', 0, undefined],
    ['call_2.wav', 70 * KB, 3],
  ])
})

test('the same files make the same archive', async () => {
  const make = () => whole(zipStored([{ ...source(2, 1), name: 'a.mp3' }]).body)
  expect(await make()).toEqual(await make())
})

test('nothing is read ahead of the one who reads, and one who stops lets the files go', async () => {
  const files = [source(100, 1), source(100, 2)]
  const reader = zipStored(files.map((one, i) => ({ ...one, name: `${i}.mp3` }))).body.getReader()
  for (let i = 0; i < 10; i++) await reader.read()
  expect(files.map(({ seen }) => seen.chunks)).toEqual([expect.toSatisfy((n: number) => n <= 10), 0])
  await reader.cancel()
  expect(files.map(({ seen }) => seen.cancelled)).toEqual([true, false])
})

test.each([
  ['shorter', 5, /5120 of 6144/],
  ['longer', 7, /More than/],
])('a file that is %s than announced ends the archive', async (_, chunks, why) => {
  const file = { ...source(chunks, 1), bytes: 6 * KB, name: 'a.mp3' }
  await expect(whole(zipStored([file]).body)).rejects.toMatchObject({
    code: 'vendor_down',
    why: expect.stringMatching(why),
  })
})

test.each(['../a.mp3', 'a/b.mp3', 'a\\b.mp3', 'a\n.mp3', ''])(
  'the name %j is none for an archive',
  (name) => {
    expect(() => zipStored([{ ...source(1, 1), name }])).toThrow('not plain')
  },
)

test('a name in any letters is counted by its bytes', async () => {
  const { bytes, body } = zipStored([{ ...source(1, 1), name: 'один é.mp3' }])
  expect((await whole(body)).length).toBe(bytes)
})

test('what needs a larger format is refused', () => {
  expect(() => zipStored([{ ...source(1, 1), name: 'a', bytes: 2 ** 32 }])).toThrow('too many')
})

test('a line of a table quotes what must be quoted and has one line', () => {
  expect(csvLine(['a', 'b, c', 'say "x"', 'two\r\nlines', ' edge', '', 'NUL\0'])).toBe(
    'a,"b, c","say ""x""",two lines," edge",,NUL\r\n',
  )
})
