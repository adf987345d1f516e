/** What the head of a RIFF/WAVE file says. https://learn.microsoft.com/en-us/windows/win32/api/mmreg/ (read 2026-11-27) */
export interface WavFormat {
  encoding: 'pcm' | 'float' | 'a-law' | 'mu-law' | 'other'
  channels: number
  rate: number
  bits: number
  /** Where the samples begin, and how many bytes of them are announced; a stream may announce none. */
  dataAt: number
  dataBytes: number
}

const ENCODINGS: Readonly<Record<number, WavFormat['encoding']>> = {
  1: 'pcm',
  3: 'float',
  6: 'a-law',
  7: 'mu-law',
}
/** The encoding is the first half-word of its sub-format. */
const EXTENSIBLE = 0xfffe

/** Null when it is none, or its samples have not begun yet. */
export function readWavHeader(head: Uint8Array): WavFormat | null {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength)
  const name = (at: number) => String.fromCharCode(...head.subarray(at, at + 4))
  if (head.length < 12 || name(0) !== 'RIFF' || name(8) !== 'WAVE') return null
  let format: Omit<WavFormat, 'dataAt' | 'dataBytes'> | null = null
  for (let at = 12; at + 8 <= head.length; ) {
    const size = view.getUint32(at + 4, true)
    const content = at + 8
    if (name(at) === 'data') {
      const dataBytes = size === 0 || size === 0xffffffff ? Number.MAX_SAFE_INTEGER : size
      return format && { ...format, dataAt: content, dataBytes }
    }
    if (name(at) === 'fmt ' && size >= 16 && content + size <= head.length) {
      const tag = view.getUint16(content, true)
      const code = tag === EXTENSIBLE && size >= 26 ? view.getUint16(content + 24, true) : tag
      const [channels, rate, bits] = [
        view.getUint16(content + 2, true),
        view.getUint32(content + 4, true),
        view.getUint16(content + 14, true),
      ]
      if (channels === 0 || rate === 0) return null
      format = { encoding: ENCODINGS[code] ?? 'other', channels, rate, bits }
    }
    // Chunks of an odd size are padded.
    at = content + size + (size % 2)
  }
  return null
}

const LONGEST_MS = 7 * 86_400_000

/** How long a file of so many bytes plays, by its head; undefined where that does not say, or cannot be. */
export function wavLengthMs(head: Uint8Array, bytes: number): number | undefined {
  const found = readWavHeader(head)
  if (!found || found.encoding === 'other' || found.bits === 0) return undefined
  const { channels, rate, bits, dataAt, dataBytes } = found
  const perSecond = channels * rate * Math.ceil(bits / 8)
  const ms = Math.round((Math.min(dataBytes, bytes - dataAt) / perSecond) * 1000)
  return ms >= 0 && ms <= LONGEST_MS ? ms : undefined
}

/** Reads one sample as a number from -1 to 1; null for kinds that phone systems do not write. */
export function sampleReader({ encoding, bits }: WavFormat): ((view: DataView, at: number) => number) | null {
  if (encoding === 'pcm' && bits === 8) return (view, at) => (view.getUint8(at) - 128) / 128
  if (encoding === 'pcm' && bits === 16) return (view, at) => view.getInt16(at, true) / 32_768
  if (encoding === 'float' && bits === 32) return (view, at) => finite(view.getFloat32(at, true))
  if (bits !== 8 || (encoding !== 'a-law' && encoding !== 'mu-law')) return null
  const table = Float32Array.from({ length: 256 }, (_, code) =>
    encoding === 'a-law' ? fromALaw(code) : fromMuLaw(code),
  )
  return (view, at) => table[view.getUint8(at)] ?? 0
}

const finite = (value: number): number => (Number.isFinite(value) ? value : 0)

/** ITU-T G.711. */
function fromMuLaw(code: number): number {
  const bits = ~code & 0xff
  const magnitude = ((((bits & 0x0f) << 3) + 0x84) << ((bits & 0x70) >> 4)) - 0x84
  return (bits & 0x80 ? -magnitude : magnitude) / 32_768
}

function fromALaw(code: number): number {
  const bits = code ^ 0x55
  const exponent = (bits & 0x70) >> 4
  const base = ((bits & 0x0f) << 4) + 8
  const magnitude = exponent === 0 ? base : (base + 0x100) << (exponent - 1)
  return (bits & 0x80 ? magnitude : -magnitude) / 32_768
}
