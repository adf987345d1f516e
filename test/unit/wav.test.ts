import fc from 'fast-check'
import { expect, test } from 'vitest'
import { wavTrack } from '../../src/connector/wav.ts'
import { joined, stereoWav } from '../kit/tone.ts'

/** The bytes in pieces of any size, and whether the rest was given up. */
function pieces(bytes: Uint8Array, size: number) {
  let at = 0
  const state = { isCancelled: false }
  const stream = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        if (at >= bytes.length) return controller.close()
        controller.enqueue(bytes.slice(at, at + size))
        at += size
      },
      cancel: () => {
        state.isCancelled = true
      },
    },
    { highWaterMark: 0 },
  )
  return { stream, state }
}

const read = (stream: ReadableStream<Uint8Array>) => new Response(stream).bytes()
const soundOf = (wav: Uint8Array) => wav.subarray(wav.length - 8_000)

test('each track comes out as a WAV of its own, whatever the pieces it came in', async () => {
  const wav = stereoWav({ seconds: 0.05, extra: true })
  const whole = await wavTrack(pieces(wav, wav.length).stream, 'right', wav.length)
  const expected = await read(whole?.body ?? new ReadableStream())
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 700 }), async (size) => {
      const track = await wavTrack(pieces(wav, size).stream, 'right', wav.length)
      expect(await read(track?.body ?? new ReadableStream())).toEqual(expected)
      expect(track?.bytes).toBe(expected.length)
    }),
    { numRuns: 40 },
  )
  const view = new DataView(expected.buffer)
  const fmt = new TextDecoder('latin1').decode(expected).indexOf('fmt ') + 8
  // Tracks, bytes a second, bytes a moment; and what the heads say of what follows them.
  expect([
    view.getUint16(fmt + 2, true),
    view.getUint32(fmt + 8, true),
    view.getUint16(fmt + 12, true),
  ]).toEqual([1, 16_000, 2])
  expect(view.getUint32(4, true)).toBe(expected.length - 8)
})

test('left is left and right is right', async () => {
  const wav = stereoWav({ seconds: 1, bits: 8 })
  for (const [side, byte] of [
    ['left', 0x11],
    ['right', 0x22],
  ] as const) {
    const track = await wavTrack(pieces(wav, 999).stream, side, wav.length)
    const sound = soundOf(await read(track?.body ?? new ReadableStream()))
    expect(sound.length).toBe(8_000)
    expect(new Set(sound)).toEqual(new Set([byte]))
  }
})

test.each([
  ['nothing', 0],
  ['the greatest number', 0xffff_ffff],
  ['more than there is', 1_000_000],
])('a head that says %s of its length: the length of the answer counts, or the end', async (_, says) => {
  const wav = stereoWav({ seconds: 1, says })
  const known = await wavTrack(pieces(wav, 4_096).stream, 'left', wav.length)
  const bytes = await read(known?.body ?? new ReadableStream())
  expect([known?.bytes, bytes.length]).toEqual([44 + 16_000, 44 + 16_000])
  expect(new DataView(bytes.buffer).getUint32(40, true)).toBe(16_000)
  if (says === 1_000_000) return
  const unknown = await wavTrack(pieces(wav, 4_096).stream, 'left', null)
  expect(unknown?.bytes).toBeNull()
  expect(await read(unknown?.body ?? new ReadableStream())).toHaveLength(44 + 16_000)
})

test('a recording that ends too early is not taken for a whole one', async () => {
  const wav = stereoWav({ seconds: 1 })
  const track = await wavTrack(pieces(wav.subarray(0, 9_000), 4_096).stream, 'left', wav.length)
  await expect(read(track?.body ?? new ReadableStream())).rejects.toMatchObject({ code: 'vendor_down' })
})

const mono = stereoWav({ seconds: 1 })
new DataView(mono.buffer).setUint16(22, 1, true)
const packed = stereoWav({ seconds: 1 })
new DataView(packed.buffer).setUint16(20, 0x31, true)

test.each([
  ['one track', mono],
  ['a packed form', packed],
  ['an MP3', new Uint8Array(5_000).fill(0xff)],
  ['nothing at all', new Uint8Array(0)],
  ['no sound', stereoWav({ seconds: 0 }).subarray(0, 36)],
  ['a head without end', joined([stereoWav({ seconds: 0 }).subarray(0, 12), new Uint8Array(3_000_000)])],
])('%s is no WAV of two tracks: null, and the rest is not read', async (_, bytes) => {
  const { stream, state } = pieces(bytes, 1_000)
  expect(await wavTrack(stream, 'left', bytes.length)).toBeNull()
  expect(state.isCancelled || bytes.length < 2_000).toBe(true)
})

test('nothing is read ahead of whoever reads it', async () => {
  let given = 0
  const head = stereoWav({ seconds: 0, says: 0xffff_ffff })
  const endless = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        controller.enqueue(given++ === 0 ? head : new Uint8Array(65_536))
      },
    },
    { highWaterMark: 0 },
  )
  const track = await wavTrack(endless, 'left', null)
  const reader = track?.body.getReader()
  for (let n = 0; n < 4; n++) await reader?.read()
  expect(given).toBeLessThanOrEqual(5)
  await reader?.cancel()
})
