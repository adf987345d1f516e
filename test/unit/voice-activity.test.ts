import { describe, expect, it } from 'vitest'
import { conversationOf } from '../../src/call/conversation.ts'
import { voicesOfWav } from '../../src/call/voice-activity.ts'
import { CordboardError } from '../../src/errors.ts'

const RATE = 8_000

interface Wav {
  tag?: number
  bits?: number
  channels?: number
  /** Written before the samples. */
  extra?: Uint8Array
  dataBytes?: number
}

/** A WAV of some seconds, each track at a loudness (0 to 1) that depends on the time. */
function wav(
  seconds: number,
  tracks: ((second: number) => number)[],
  { tag = 1, bits = 16, extra, dataBytes, channels = tracks.length }: Wav = {},
) {
  const frames = seconds * RATE
  const size = bits / 8
  const data = new DataView(new ArrayBuffer(frames * tracks.length * size))
  for (let frame = 0; frame < frames; frame += 1) {
    for (const [track, loudness] of tracks.entries()) {
      const value = Math.sin(frame * 0.7) * loudness(frame / RATE) * 0.9
      const at = (frame * tracks.length + track) * size
      if (tag === 3) data.setFloat32(at, value, true)
      else if (tag === 7) data.setUint8(at, muLaw(value))
      else if (bits === 8) data.setUint8(at, Math.round(value * 127) + 128)
      else data.setInt16(at, Math.round(value * 32_767), true)
    }
  }
  const head = new DataView(new ArrayBuffer(36))
  const text = (at: number, word: string, into = head) => {
    for (const [n, letter] of [...word].entries()) into.setUint8(at + n, letter.charCodeAt(0))
  }
  text(0, 'RIFF')
  text(8, 'WAVE')
  text(12, 'fmt ')
  head.setUint32(16, 16, true)
  head.setUint16(20, tag, true)
  head.setUint16(22, channels, true)
  head.setUint32(24, RATE, true)
  head.setUint16(34, bits, true)
  const start = new DataView(new ArrayBuffer(8))
  text(0, 'data', start)
  start.setUint32(4, dataBytes ?? data.byteLength, true)
  return new Uint8Array(
    Buffer.concat(
      [head, extra ?? new Uint8Array(), start, data].map((part) => Buffer.from(part.buffer ?? part)),
    ),
  )
}

/** ITU-T G.711, by its definition and not by a table of ours. */
function muLaw(value: number): number {
  const magnitude = Math.log(1 + 255 * Math.abs(value)) / Math.log(256)
  return ~((value < 0 ? 0x80 : 0) | Math.round(magnitude * 127)) & 0xff
}

function streamOf(bytes: Uint8Array, chunk = bytes.length) {
  let at = 0
  return new ReadableStream<Uint8Array>({
    pull(controller) {
      if (at >= bytes.length) return controller.close()
      controller.enqueue(bytes.slice(at, at + chunk))
      at += chunk
    },
  })
}

const between =
  (from: number, to: number, loud = 0.5, quiet = 0) =>
  (second: number) =>
    second >= from && second < to ? loud : quiet
const TRACKS = { left: 'agent', right: 'customer' } as const
const near = (ms: number) => expect.toSatisfy((seen: number) => Math.abs(seen - ms) <= 40)

describe('who spoke when in a stereo WAV', () => {
  const kinds: [string, Wav][] = [
    ['16 bit', {}],
    ['8 bit', { bits: 8 }],
    ['float', { tag: 3, bits: 32 }],
    ['µ-law', { tag: 7, bits: 8 }],
    ['a stream of unknown length', { dataBytes: 0xffffffff }],
    [
      'other chunks before its samples',
      { extra: new Uint8Array([0x4c, 0x49, 0x53, 0x54, 3, 0, 0, 0, 1, 2, 3, 0]) },
    ],
  ]
  it.each(kinds)('is found by the energy of the tracks: %s', async (_, kind) => {
    const bytes = wav(6, [between(1, 3), between(2.5, 5)], kind)
    expect(await voicesOfWav(streamOf(bytes), TRACKS)).toEqual([
      { party: 'agent', spans: [{ startMs: near(1_000), endMs: near(3_000) }] },
      { party: 'customer', spans: [{ startMs: near(2_500), endMs: near(5_000) }] },
    ])
  })

  it('is the same however the bytes are cut', async () => {
    const bytes = wav(3, [between(0.5, 1), between(1, 2)])
    const whole = await voicesOfWav(streamOf(bytes), TRACKS)
    for (const chunk of [1, 7, 45, 4_096])
      expect(await voicesOfWav(streamOf(bytes, chunk), TRACKS)).toEqual(whole)
    expect(conversationOf(whole)?.customer?.interruptions).toBe(0)
  })

  it('takes steady noise for silence, and speech above it for speech', async () => {
    const [left, right] = await voicesOfWav(streamOf(wav(8, [between(4, 5, 0.4, 0.01), () => 0.01])), TRACKS)
    expect(left?.spans).toEqual([{ startMs: near(4_000), endMs: near(5_000) }])
    expect(right?.spans).toEqual([])
  })

  it('does not guess who is on a track', async () => {
    const voices = await voicesOfWav(streamOf(wav(2, [between(0, 1), between(1, 2)])), { left: 'both' })
    expect(voices.map(({ party }) => party)).toEqual(['other', 'other'])
    expect(conversationOf(voices)).toMatchObject({ overlapMs: 0 })
    expect(conversationOf(voices)?.agent).toBeUndefined()
  })

  const wrong: [string, Uint8Array][] = [
    ['one track', wav(1, [between(0, 1)])],
    ['no WAV', new TextEncoder().encode('ID3'.repeat(50_000))],
    ['nothing', new Uint8Array()],
    ['a head and no end', wav(1, [between(0, 1), between(0, 1)]).subarray(0, 40)],
    ['samples of 24 bits', wav(1, [between(0, 1), between(0, 1)], { bits: 24 as 16 }).subarray(0, 100)],
    [
      'a chunk that announces four gigabytes',
      wav(1, [], { extra: new Uint8Array([65, 65, 65, 65, 255, 255, 255, 255]) }),
    ],
  ]
  it.each(wrong)('is refused with what was seen: %s', async (_, bytes) => {
    const failed = await voicesOfWav(streamOf(bytes)).catch((error: unknown) => error)
    expect(failed).toBeInstanceOf(CordboardError)
    expect(failed).toMatchObject({ code: 'invalid_payload' })
  })

  it('holds hardly more of an hour than of a minute', async () => {
    const minute = wav(60, [between(0, 30), between(30, 60)]).subarray(44)
    const head = wav(1, [between(0, 1), between(0, 1)], { dataBytes: 0 }).subarray(0, 44)
    let sent = 0
    let held = 0
    const hour = new ReadableStream<Uint8Array>(
      {
        pull(controller) {
          if (sent === 0) controller.enqueue(head)
          if (sent > 10) held = Math.max(held, process.memoryUsage().arrayBuffers)
          controller.enqueue(minute)
          if (++sent === 60) controller.close()
        },
      },
      { highWaterMark: 0 },
    )
    const before = process.memoryUsage().arrayBuffers
    const [left] = await voicesOfWav(hour, TRACKS)
    expect(left?.spans.length).toBe(60)
    expect(held - before).toBeLessThan(8 * minute.length)
  })
})
