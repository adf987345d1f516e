import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { channelsOf } from '../../src/call/audio-header.ts'
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
