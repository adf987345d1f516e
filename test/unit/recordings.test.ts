import { readdir } from 'node:fs/promises'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseTranscript } from '../../src/call/roles.ts'
import {
  audioDurationMs,
  type CarriedTranscript,
  readCarriedTranscript,
  SAMPLES,
} from '../../src/sandbox/recordings.ts'
import { loadRecording } from '../../src/sandbox/recordings-node.ts'

const files = SAMPLES.map(({ file }) => file)
const folder = new URL('../../src/sandbox/recordings/', import.meta.url)
const bytes = (...parts: (string | number[])[]): Uint8Array =>
  Uint8Array.from(
    parts.flatMap((part) => (typeof part === 'string' ? [...new TextEncoder().encode(part)] : part)),
  )

/** Splices bytes over bytes, to damage one place of a good file. */
function damaged(audio: Uint8Array, at: number, patch: Uint8Array): Uint8Array {
  const copy = audio.slice()
  copy.set(patch.subarray(0, Math.max(0, copy.length - at)), Math.min(at, copy.length))
  return copy
}

describe('the sample recordings', () => {
  it('are all listed, and small', async () => {
    expect((await readdir(folder)).sort()).toEqual([...files].sort())
    const sizes = await Promise.all(files.map(async (file) => (await loadRecording(file)).length))
    expect(sizes.reduce((sum, size) => sum + size)).toBeLessThanOrEqual(600 * 1024)
  })

  it.each(SAMPLES)(
    'carry their transcript within the first 64 KiB: $file',
    async ({ file, language, durationMs }) => {
      const audio = await loadRecording(file)
      const carried = readCarriedTranscript(audio.subarray(0, 64 * 1024)) as CarriedTranscript
      expect(carried).toMatchObject({ language, durationMs })
      expect(carried.title).not.toBe('')
      expect(carried.summary).not.toBe('')
      const parties = parseTranscript(carried.transcript).map((turn) => turn.party)
      expect(parties.length).toBeGreaterThan(1)
      expect(parties).toEqual(parties.map((_, i) => (i % 2 === 0 ? 'agent' : 'customer')))
    },
  )

  it.each(SAMPLES)('are as long as the list says: $file', async ({ file, durationMs }) => {
    // An MP3 is padded to whole frames and with the encoder's delay: up to 0.2 s more.
    const found = audioDurationMs(await loadRecording(file)) ?? 0
    expect(found).toBeGreaterThanOrEqual(durationMs - 1)
    expect(found).toBeLessThanOrEqual(durationMs + 200)
  })

  it('say the same as MP3 and as WAV', async () => {
    for (const name of ['appointment-change', 'very-short']) {
      const [mp3, wav] = await Promise.all([loadRecording(`${name}.mp3`), loadRecording(`${name}.wav`)])
      expect(readCarriedTranscript(mp3)).toEqual(readCarriedTranscript(wav))
    }
  })

  it('hold no phone number but those reserved for fiction', async () => {
    for (const file of files) {
      const digits = JSON.stringify({ ...readCarriedTranscript(await loadRecording(file)), durationMs: 0 })
      expect(digits).not.toMatch(/\d{4}/)
    }
  })

  it.each(['../recordings.ts', 'nothing.mp3', ''])('are not a way to read other files: %j', async (file) => {
    await expect(loadRecording(file)).rejects.toThrow(RangeError)
  })
})

describe('a tag rewritten by another tool', () => {
  it.each<[string, boolean]>([
    ['little-endian', false],
    ['big-endian', true],
  ])('as ID3v2.3 in UTF-16, %s, is read the same', async (_, isBig) => {
    const want = readCarriedTranscript(await loadRecording('russian-tariff.mp3')) as CarriedTranscript
    const { transcript, ...rest } = want
    const utf16 = (text: string) =>
      [...`\ufeff${text}`].flatMap((c) => {
        const pair = [c.charCodeAt(0) & 255, c.charCodeAt(0) >> 8]
        return isBig ? pair.reverse() : pair
      })
    const frame = (id: string, body: number[]) => [
      ...bytes(id),
      0,
      0,
      body.length >> 8,
      body.length & 255,
      0,
      0,
      ...body,
    ]
    const body = [
      ...frame('TIT2', [1, ...utf16('x')]),
      ...frame('TXXX', [1, ...utf16('cordboard-sample'), 0, 0, ...utf16(JSON.stringify(rest))]),
      ...frame('USLT', [1, ...bytes('rus'), ...utf16(''), 0, 0, ...utf16(transcript)]),
    ]
    const audio = bytes('ID3', [3, 0, 0, 0, 0, body.length >> 7, body.length & 127], body)
    expect(readCarriedTranscript(audio)).toEqual(want)
  })
})

describe('other audio', () => {
  const v3Frame = (id: string, body: number[]) => [...bytes(id), 0, 0, 0, body.length, 0, 0, ...body]
  const id3 = (version: number, flags: number, body: number[]) =>
    bytes('ID3', [version, 0, flags, 0, 0, 0, body.length], body)
  const v3 = v3Frame('USLT', [0, ...bytes('eng'), 0, ...bytes('la la')])

  it.each<[string, Uint8Array]>([
    ['no bytes at all', bytes()],
    ['a bare MP3 frame', bytes([0xff, 0xfb, 0x90, 0])],
    ['lyrics of a song', id3(3, 0, v3)],
    ['a tag with unsynchronisation', id3(4, 0x80, v3)],
    ['ID3v2.2', id3(2, 0, v3)],
    ['a tag longer than the file', bytes('ID3', [4, 0, 0, 127, 127, 127, 127], 'USLT')],
    ['a WAV without comment', bytes('RIFF', [0, 0, 0, 0], 'WAVEfmt ', [2, 0, 0, 0, 1, 0])],
    [
      'a comment that is no JSON',
      bytes('RIFF', [0, 0, 0, 0], 'WAVELIST', [14, 0, 0, 0], 'INFOICMT', [2, 0, 0, 0], '{"'),
    ],
    [
      'a comment of the wrong shape',
      bytes('RIFF', [0, 0, 0, 0], 'WAVELIST', [14, 0, 0, 0], 'INFOICMT', [2, 0, 0, 0], '{}'),
    ],
    ['a chunk of four gigabytes', bytes('RIFF', [0, 0, 0, 0], 'WAVELIST', [255, 255, 255, 255], 'INFOICMT')],
  ])('carries nothing: %s', (_, audio) => {
    expect(readCarriedTranscript(audio)).toBeNull()
  })

  it('never throws, whatever the bytes', () => {
    const head = fc.constantFrom(
      '',
      'ID3\u0003\0\0',
      'ID3\u0004\0\0\0\0\u007f\u007f',
      'RIFF\0\0\0\0WAVE',
      'RIFF\0\0\0\0WAVELIST',
    )
    fc.assert(
      fc.property(head, fc.uint8Array({ maxLength: 300 }), (start, rest) => {
        const audio = bytes(start, [...rest])
        expect(readCarriedTranscript(audio)).toBeNull()
        const durationMs = audioDurationMs(audio)
        expect(durationMs === null || durationMs >= 0).toBe(true)
      }),
      { numRuns: 1000 },
    )
  })

  it('never throws on a sample that was damaged or cut', async () => {
    const samples = await Promise.all(['very-short.mp3', 'very-short.wav'].map(loadRecording))
    const place = fc.nat({ max: 1500 })
    fc.assert(
      fc.property(
        fc.constantFrom(...samples),
        place,
        fc.uint8Array({ maxLength: 8 }),
        fc.nat(),
        (good, at, patch, cut) => {
          for (const audio of [damaged(good, at, patch), good.subarray(0, cut % good.length)]) {
            const carried = readCarriedTranscript(audio)
            expect(carried === null || typeof carried.transcript === 'string').toBe(true)
            const durationMs = audioDurationMs(audio)
            expect(durationMs === null || durationMs >= 0).toBe(true)
          }
        },
      ),
      { numRuns: 300 },
    )
  })

  it('is looked through in bounded steps when it is made of empty chunks or frames', () => {
    const many = (piece: Uint8Array, start: Uint8Array) => {
      const audio = new Uint8Array(2_000_000)
      audio.set(start)
      for (let at = start.length; at + piece.length <= audio.length; at += piece.length) audio.set(piece, at)
      return audio
    }
    expect(
      readCarriedTranscript(many(bytes('LISX', [0, 0, 0, 0]), bytes('RIFF', [0, 0, 0, 0], 'WAVE'))),
    ).toBeNull()
    const tag = bytes('ID3', [4, 0, 0, 0, 127, 127, 127])
    expect(readCarriedTranscript(many(bytes('TXXX', [0, 0, 0, 0, 0, 0]), tag))).toBeNull()
  })
})
