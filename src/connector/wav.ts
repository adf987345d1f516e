import { CordboardError } from '../errors.ts'

/** One track of a two-track WAV, split off while it streams. */
export interface WavTrack {
  body: ReadableStream<Uint8Array>
  /** Null when the size of the whole is not known. */
  bytes: number | null
}

/** Chunks before the sound hold titles and markers; longer ones than this are no recording's. */
const MOST_HEAD = 512 * 1024
const MOST_CHUNKS = 64
/** PCM, floats, A-law, µ-law: a sample has its own bytes. In packed forms both tracks share them. */
const PLAIN = [1, 3, 6, 7]
const EXTENSIBLE = 0xfffe
const UNKNOWN_SIZE = 0xffff_ffff

type Reader = ReadableStreamDefaultReader<Uint8Array>

/**
 * Null for what is no WAV of two plain tracks; its body is then cancelled. The head stays as it is but for what says how
 * many tracks there are. `bytes`: of the whole WAV, null when that is not known.
 */
export async function wavTrack(
  wav: ReadableStream<Uint8Array>,
  side: 'left' | 'right',
  bytes: number | null,
): Promise<WavTrack | null> {
  const reader = wav.getReader()
  const { head, rest, format } = await readHead(reader)
  if (!format) {
    await reader.cancel()
    return null
  }
  const { fmtAt, frame } = format
  const view = new DataView(head.buffer)
  const said = view.getUint32(head.length - 4, true)
  const isSaid = said !== 0 && said < UNKNOWN_SIZE - frame
  // What was recorded live often says nothing, or too much; the length of the answer is no guess.
  const there = bytes === null ? null : bytes - head.length
  const whole = there === null ? (isSaid ? said : null) : isSaid ? Math.min(said, there) : there
  const length = whole === null ? null : Math.floor(whole / frame) * (frame / 2)

  view.setUint16(fmtAt + 2, 1, true)
  view.setUint32(fmtAt + 8, view.getUint32(fmtAt + 8, true) / 2, true)
  view.setUint16(fmtAt + 12, frame / 2, true)
  if (view.getUint16(fmtAt, true) === EXTENSIBLE) view.setUint32(fmtAt + 20, 0, true)
  view.setUint32(head.length - 4, length ?? UNKNOWN_SIZE, true)
  view.setUint32(4, length === null ? UNKNOWN_SIZE : head.length - 8 + length, true)
  return {
    body: halved(reader, { head, rest, frame, at: side === 'left' ? 0 : frame / 2, most: whole }),
    bytes: length === null || bytes === null ? null : head.length + length,
  }
}

interface Head {
  /** Up to and with the size of the sound; the array is our own. */
  head: Uint8Array<ArrayBuffer>
  /** Of the sound, as far as it was read with it. */
  rest: Uint8Array
  format: { fmtAt: number; frame: number } | null
}

async function readHead(reader: Reader): Promise<Head> {
  let room = new Uint8Array(4_096)
  let length = 0
  for (;;) {
    const seen = room.subarray(0, length)
    const found = soundIn(seen)
    if (found !== 'more') {
      const at = found?.soundAt ?? length
      return { head: seen.slice(0, at), rest: seen.subarray(at), format: found }
    }
    const { done, value } = await reader.read()
    if (done || length > MOST_HEAD) return { head: seen, rest: new Uint8Array(0), format: null }
    if (length + value.length > room.length) {
      const larger = new Uint8Array(2 * (length + value.length))
      larger.set(seen)
      room = larger
    }
    room.set(value, length)
    length += value.length
  }
}

/** Where the sound begins and how it is laid out; null when it is not of two plain tracks. */
function soundIn(bytes: Uint8Array): { fmtAt: number; frame: number; soundAt: number } | 'more' | null {
  if (bytes.length < 12) return 'more'
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const name = (at: number) => String.fromCharCode(...bytes.subarray(at, at + 4))
  if (name(0) !== 'RIFF' || name(8) !== 'WAVE') return null
  let fmt: { fmtAt: number; frame: number } | null = null
  for (let at = 12, chunks = 0; at + 8 <= bytes.length; chunks++) {
    const size = view.getUint32(at + 4, true)
    if (name(at) === 'data') return fmt && { ...fmt, soundAt: at + 8 }
    if (size > MOST_HEAD || chunks > MOST_CHUNKS) return null
    if (name(at) === 'fmt ') {
      if (at + 8 + size > bytes.length) return 'more'
      fmt = twoTracks(view, at + 8, size)
      if (!fmt) return null
    }
    at += 8 + size + (size % 2)
  }
  return 'more'
}

function twoTracks(view: DataView, fmtAt: number, size: number): { fmtAt: number; frame: number } | null {
  if (size < 16) return null
  const tag = view.getUint16(fmtAt, true)
  const kind = tag === EXTENSIBLE && size >= 40 ? view.getUint16(fmtAt + 24, true) : tag
  const frame = view.getUint16(fmtAt + 12, true)
  const bits = view.getUint16(fmtAt + 14, true)
  const isPlain = PLAIN.includes(kind) && view.getUint16(fmtAt + 2, true) === 2
  return isPlain && bits > 0 && frame === 2 * Math.ceil(bits / 8) ? { fmtAt, frame } : null
}

interface Halving {
  head: Uint8Array
  rest: Uint8Array
  /** Bytes of both samples of one moment; the wanted one begins at `at`. */
  frame: number
  at: number
  /** Bytes of sound that count; behind them stand chunks that say other things. */
  most: number | null
}

function halved(reader: Reader, { head, rest, frame, at, most }: Halving): ReadableStream<Uint8Array> {
  let left = most ?? Number.POSITIVE_INFINITY
  let begun: Uint8Array = new Uint8Array(0)
  const half = (chunk: Uint8Array): Uint8Array => {
    const sound = chunk.subarray(0, Math.min(chunk.length, left))
    left -= sound.length
    const all = new Uint8Array(begun.length + sound.length)
    all.set(begun)
    all.set(sound, begun.length)
    const frames = Math.floor(all.length / frame)
    begun = all.subarray(frames * frame)
    const track = new Uint8Array((frames * frame) / 2)
    for (let n = 0; n < frames; n++) {
      for (let k = 0; k < frame / 2; k++) track[(n * frame) / 2 + k] = all[n * frame + at + k] ?? 0
    }
    return track
  }
  let first: Uint8Array | null = head
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        if (first) {
          controller.enqueue(first)
          first = null
          const track = half(rest)
          if (track.length > 0) controller.enqueue(track)
          return
        }
        for (;;) {
          if (left === 0) {
            await reader.cancel()
            return controller.close()
          }
          const { done, value } = await reader.read()
          if (done) {
            if (most !== null) throw new CordboardError('vendor_down', 'The recording broke off on its way')
            return controller.close()
          }
          const track = half(value)
          if (track.length === 0) continue
          return controller.enqueue(track)
        }
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  )
}
