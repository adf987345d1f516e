import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { channelsOf } from '../../src/call/audio-header.ts'
import { wavLengthMs } from '../../src/call/wav.ts'
import { SAMPLES } from '../../src/sandbox/recordings.ts'

const read = (file: string) =>
  new Uint8Array(readFileSync(new URL(`../../src/sandbox/recordings/${file}`, import.meta.url)))
const bytes = (...parts: (string | readonly number[])[]) =>
  new Uint8Array(
    parts.flatMap((part) => (typeof part === 'string' ? [...part].map((c) => c.charCodeAt(0)) : [...part])),
  )
const id3 = (size: number) => bytes('ID3', [4, 0, 0, 0, 0, size >> 7, size & 127], Array(size).fill(0x20))
const frame = (mode: number) => [0xff, 0xfb, 0x90, mode << 6]

test.each(SAMPLES.map(({ file }) => file))('%s has two tracks', (file) => {
  expect(channelsOf(read(file).subarray(0, 65_536))).toBe(2)
})

test.each([
  ['an MP3 in mono', bytes(frame(3)), 1],
  ['an MP3 in joint stereo', bytes(frame(1)), 2],
  ['an MP3 in mono behind its tag and some zeros', new Uint8Array([...id3(300), 0, 0, 0, ...frame(3)]), 1],
  ['a tag that is longer than what is there', id3(300).subarray(0, 50), null],
  [
    'a WAV in mono behind another chunk',
    bytes('RIFF____WAVEJUNK', [3, 0, 0, 0], '____fmt ', [16, 0, 0, 0, 1, 0, 1, 0]),
    1,
  ],
  ['a WAV with two', bytes('RIFF____WAVEfmt ', [16, 0, 0, 0, 1, 0, 2, 0]), 2],
  ['a WAV of nonsense', bytes('RIFF____WAVEfmt ', [16, 0, 0, 0, 1, 0, 255, 255]), null],
  ['a WAV that breaks off', bytes('RIFF____WAVEfmt '), null],
  ['an OGG', bytes('OggS', Array(60).fill(0)), null],
  ['nothing', bytes(), null],
])('%s', (_, head, channels) => {
  expect(channelsOf(head)).toBe(channels)
})

test('whatever the bytes are, it answers', () => {
  const starts = fc.constantFrom(bytes('RIFF____WAVE'), bytes('ID3'), bytes([0xff]), bytes())
  fc.assert(
    fc.property(starts, fc.uint8Array({ maxLength: 300 }), (start, rest) => {
      const channels = channelsOf(new Uint8Array([...start, ...rest]))
      expect(channels === null || (channels >= 1 && channels <= 64)).toBe(true)
    }),
  )
})

test('the length of a WAV follows from its head and its size, and from nothing that cannot be', () => {
  const head = (rate: number, said: number, bits = 16, tag = 1) => {
    const bytes = new Uint8Array(44)
    const view = new DataView(bytes.buffer)
    const name = (at: number, text: string) => bytes.set(new TextEncoder().encode(text), at)
    name(0, 'RIFF')
    name(8, 'WAVEfmt ')
    view.setUint32(16, 16, true)
    view.setUint16(20, tag, true)
    view.setUint16(22, 2, true)
    view.setUint32(24, rate, true)
    view.setUint16(34, bits, true)
    name(36, 'data')
    view.setUint32(40, said, true)
    return bytes
  }
  expect(wavLengthMs(head(8_000, 64_000), 64_044)).toBe(2_000)
  // Recorded live: it says nothing, or more than there is.
  expect(wavLengthMs(head(8_000, 0), 32_044)).toBe(1_000)
  expect(wavLengthMs(head(8_000, 0xffff_fff0), 32_044)).toBe(1_000)
  expect(wavLengthMs(head(8_000, 64_000), 10)).toBeUndefined()
  expect(wavLengthMs(head(8_000, 64_000, 0), 64_044)).toBeUndefined()
  expect(wavLengthMs(head(8_000, 64_000, 4, 2), 64_044)).toBeUndefined()
  expect(wavLengthMs(head(1, 0), 1024 ** 4)).toBeUndefined()
})
