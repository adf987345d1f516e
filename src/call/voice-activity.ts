import { CordboardError } from '../errors.ts'
import type { Voice } from './conversation.ts'
import type { Span } from './spans.ts'
import { readWavHeader, sampleReader, type WavFormat } from './wav.ts'

/**
 * Who spoke when, from the two tracks of a stereo WAV, by their energy: for a conversation whose transcript has no times.
 * Sees the bytes as they pass and holds one frame and the spans found so far.
 */

type Tracks = { left?: 'agent' | 'customer' | 'both' | undefined; right?: Tracks['left'] }

const FRAME_MS = 20
/** Quieter than this (-50 dB of full scale) is silence, however quiet the rest is. */
const LEAST_ENERGY = 10 ** (-50 / 10)
/** Speech is this much louder (10 dB) than the noise of its line. */
const ABOVE_NOISE = 10
/** How fast the noise is taken to grow: 3 dB a second. It falls at once. */
const NOISE_GROWTH = 10 ** ((3 / 10) * (FRAME_MS / 1000))
/** Pauses between words are shorter, coughs and clicks as well. */
const JOINS_MS = 300
const SHORTEST_MS = 100
const MOST_SPANS = 50_000
/** A header with more before its samples is none of a phone system. */
const MOST_HEADER = 64 * 1024

export interface TrackListener {
  add(chunk: Uint8Array): void
  /** After the last chunk. */
  end(): Voice[]
}

/** Both throw `invalid_payload` when it is no stereo WAV whose samples can be read. The party is `other` where it is not known. */
export function listenToTracks(tracks: Tracks = {}): TrackListener {
  let head: Uint8Array = new Uint8Array()
  let reading: ReturnType<typeof createReading> | null = null
  return {
    add(chunk) {
      if (reading) return reading.add(chunk)
      head = joined(head, chunk)
      const header = readWavHeader(head)
      if (header) {
        reading = createReading(header)
        reading.add(head.subarray(header.dataAt))
      } else if (head.length > MOST_HEADER) throw unreadable('no WAV header with its samples')
    },
    end() {
      if (!reading) throw unreadable('no WAV header with its samples')
      const [left = [], right = []] = reading.end()
      return [
        { party: partyOf(tracks.left), spans: left },
        { party: partyOf(tracks.right), spans: right },
      ]
    },
  }
}

/** The same of a whole stream. */
export async function voicesOfWav(body: ReadableStream<Uint8Array>, tracks?: Tracks): Promise<Voice[]> {
  const listener = listenToTracks(tracks)
  for await (const chunk of body) listener.add(chunk)
  return listener.end()
}

const partyOf = (party: Tracks['left']): Voice['party'] =>
  party === 'agent' || party === 'customer' ? party : 'other'

function createReading(format: WavFormat) {
  if (format.channels !== 2) throw unreadable(`${format.channels} tracks, two are needed`)
  const sample = sampleReader(format)
  if (!sample) throw unreadable(`samples of the kind ${format.encoding} with ${format.bits} bits`)
  const size = (format.bits / 8) * 2
  const perFrame = Math.max(1, Math.round((format.rate * FRAME_MS) / 1000))
  const msPerFrame = (perFrame * 1000) / format.rate
  const listeners = [createListener(msPerFrame), createListener(msPerFrame)] as const
  const sums: [number, number] = [0, 0]
  let left = format.dataBytes
  let count = 0
  let rest: Uint8Array = new Uint8Array()

  return {
    add(chunk: Uint8Array): void {
      const bytes = rest.length === 0 ? chunk : joined(rest, chunk)
      const whole = Math.min(bytes.length - (bytes.length % size), left - (left % size))
      left -= whole
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      for (let at = 0; at < whole; at += size) {
        for (const track of [0, 1] as const) {
          const value = sample(view, at + (track * size) / 2)
          sums[track] += value * value
        }
        count += 1
        if (count < perFrame) continue
        for (const track of [0, 1] as const) {
          listeners[track].hear(sums[track] / count)
          sums[track] = 0
        }
        count = 0
      }
      // What stands behind the samples (tags) is none of them.
      rest = left < size ? new Uint8Array() : bytes.slice(whole)
    },
    end: () => listeners.map((listener) => listener.end()),
  }
}

/** One track: the noise of its line is followed, and what stands out of it is speech. */
function createListener(msPerFrame: number) {
  const spans: Span[] = []
  let noise = LEAST_ENERGY
  let frame = 0
  let open: Span | null = null
  const close = () => {
    if (open && open.endMs - open.startMs >= SHORTEST_MS) spans.push(open)
    open = null
  }
  return {
    hear(energy: number): void {
      const startMs = Math.round(frame * msPerFrame)
      frame += 1
      const isSpeech = energy > Math.max(LEAST_ENERGY, noise * ABOVE_NOISE)
      noise = Math.max(1e-12, Math.min(energy, noise * NOISE_GROWTH))
      if (open && startMs - open.endMs > JOINS_MS) close()
      if (!isSpeech) return
      const endMs = Math.round(frame * msPerFrame)
      if (open) open.endMs = endMs
      else if (spans.length < MOST_SPANS) open = { startMs, endMs }
      else throw unreadable(`more than ${MOST_SPANS} stretches of speech`)
    },
    end(): Span[] {
      close()
      return spans
    },
  }
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length)
  both.set(a)
  both.set(b, a.length)
  return both
}

const unreadable = (seen: string) =>
  new CordboardError('invalid_payload', `Expected a stereo WAV, seen ${seen}`, {
    fix: 'Measure another recording, or one that is converted to PCM WAV',
  })
