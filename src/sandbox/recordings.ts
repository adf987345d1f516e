/**
 * The sample recordings, and the reader of the transcript that they carry in their metadata.
 *
 * The sandbox transcribes nothing: its analysis services read what a sample recording says about itself, and say so
 * for any other audio. The metadata stands before the audio, so the first 64 KiB of a file are enough for it.
 *
 * Uploads are hostile until shown otherwise: every loop advances, every count and length is bounded, nothing throws.
 */
import { z } from 'zod'

const line = z.string().max(1000)
const analysisPart = z.object({
  language: z.string().max(35),
  title: line,
  summary: z.string().max(10_000),
  sentiment: z.enum(['positive', 'neutral', 'negative']),
  topics: z.array(line).max(100),
  actions: z.array(line).max(100),
  durationMs: z.int().nonnegative(),
})
const carriedTranscript = analysisPart.extend({ transcript: z.string().min(1).max(100_000) })

/** What a sample carries. `transcript` is tagged text: `<operator> … <client> …`, one turn a line. */
export type CarriedTranscript = z.infer<typeof carriedTranscript>

/** The description of the ID3v2 frame that holds everything but the transcript (which is in USLT) as JSON. */
export const TXXX_DESCRIPTION = 'cordboard-sample'

/** In every sample the customer is on the left track and the agent on the right. */
export type Sample = {
  file: string
  contentType: 'audio/mpeg' | 'audio/wav'
  language: string
  durationMs: number
}

const mp3 = (name: string, durationMs: number, language = 'en'): Sample => ({
  file: `${name}.mp3`,
  contentType: 'audio/mpeg',
  language,
  durationMs,
})
const wav = (name: string, durationMs: number): Sample => ({
  file: `${name}.wav`,
  contentType: 'audio/wav',
  language: 'en',
  durationMs,
})

/** Made by scripts/make-recordings.sh: 24 kbit/s stereo MP3 at 16 kHz, and two as 8 kHz µ-law stereo WAV. */
export const SAMPLES: readonly Sample[] = [
  mp3('support-invoice', 17_396),
  mp3('sales-enquiry', 15_131),
  mp3('complaint-delivery', 16_749),
  mp3('appointment-change', 7566),
  wav('appointment-change', 7566),
  mp3('russian-tariff', 12_612, 'ru'),
  mp3('very-short', 3295),
  wav('very-short', 3295),
]

/** What the audio says about itself, or null for any audio that is not one of the samples. */
export function readCarriedTranscript(audio: Uint8Array): CarriedTranscript | null {
  const found = isId3(audio) ? fromId3(audio) : isWav(audio) ? fromWav(audio) : null
  const parsed = carriedTranscript.safeParse(found)
  return parsed.success ? parsed.data : null
}

/** The length of a whole WAV or MP3 (layer III, no resynchronisation) in milliseconds; null for anything else. */
export function audioDurationMs(audio: Uint8Array): number | null {
  if (isWav(audio)) {
    const chunks = wavChunks(audio)
    const format = chunks.find(({ id }) => id === 'fmt ')?.body
    const data = chunks.find(({ id }) => id === 'data')?.body
    const bytesPerSecond = format && format.length >= 12 ? view(format).getUint32(8, true) : 0
    return data && bytesPerSecond > 0 ? Math.round((data.length / bytesPerSecond) * 1000) : null
  }
  let at = isId3(audio) && audio.length >= 10 ? 10 + syncsafe(audio, 6) : 0
  let seconds = 0
  for (let frame = mp3Frame(audio, at); frame; frame = mp3Frame(audio, at)) {
    seconds += frame.seconds
    at += frame.bytes
  }
  return seconds > 0 ? Math.round(seconds * 1000) : null
}

const MAX_PARTS = 1000
const MAX_JSON_BYTES = 256 * 1024

const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
const text = (bytes: Uint8Array, label = 'utf-8'): string => new TextDecoder(label).decode(bytes)
const ascii = (bytes: Uint8Array, at: number): string => text(bytes.subarray(at, at + 4), 'latin1')
const isId3 = (audio: Uint8Array): boolean => audio.length >= 10 && ascii(audio, 0).startsWith('ID3')
const isWav = (audio: Uint8Array): boolean => ascii(audio, 0) === 'RIFF' && ascii(audio, 8) === 'WAVE'
const byte = (bytes: Uint8Array, at: number): number => bytes[at] ?? 0

/** Four bytes of seven bits, as ID3v2 writes lengths. */
function syncsafe(bytes: Uint8Array, at: number): number {
  return [0, 1, 2, 3].reduce((sum, i) => sum * 128 + (byte(bytes, at + i) & 127), 0)
}

function json(bytes: Uint8Array | string): unknown {
  if (bytes.length > MAX_JSON_BYTES) return null
  try {
    return JSON.parse(typeof bytes === 'string' ? bytes : text(bytes).replace(/\0+$/, ''))
  } catch {
    return null
  }
}

function fromId3(audio: Uint8Array): unknown {
  const version = byte(audio, 3)
  // Neither unsynchronisation nor an extended header: the samples have none.
  if ((version !== 3 && version !== 4) || (byte(audio, 5) & 0xc0) !== 0) return null
  const tag = audio.subarray(10, 10 + syncsafe(audio, 6))
  let transcript: string | undefined
  let rest: unknown
  for (let at = 0, parts = 0; at + 10 <= tag.length && parts < MAX_PARTS; parts++) {
    const id = ascii(tag, at)
    if (!/^[A-Z0-9]{4}$/.test(id)) break
    const size = version === 4 ? syncsafe(tag, at + 4) : view(tag).getUint32(at + 4)
    const body = tag.subarray(at + 10, at + 10 + size)
    // USLT has three bytes of language between the encoding and the description.
    if (id === 'USLT') transcript ??= described(body, 4).value
    if (id === 'TXXX') {
      const { description, value } = described(body, 1)
      if (description === TXXX_DESCRIPTION) rest ??= json(value)
    }
    at += 10 + size
  }
  const parsed = analysisPart.safeParse(rest)
  return parsed.success ? { ...parsed.data, transcript } : null
}

/** A description, a zero, a value: in one of ID3v2's four encodings. */
function described(body: Uint8Array, from: number): { description: string; value: string } {
  const label = ['latin1', 'utf-16le', 'utf-16be', 'utf-8'][byte(body, 0)] ?? 'latin1'
  // UTF-16 with a byte order mark may be either; the mark decides.
  const isBigEndian = label === 'utf-16le' && byte(body, from) === 0xfe && byte(body, from + 1) === 0xff
  const whole = text(body.subarray(from, from + MAX_JSON_BYTES), isBigEndian ? 'utf-16be' : label)
  const zero = whole.indexOf('\0')
  const clean = (part: string): string => part.replace(/^\ufeff/, '').replace(/\0+$/, '')
  return zero < 0
    ? { description: '', value: '' }
    : { description: clean(whole.slice(0, zero)), value: clean(whole.slice(zero + 1)) }
}

function fromWav(audio: Uint8Array): unknown {
  const list = wavChunks(audio).find(({ id, body }) => id === 'LIST' && ascii(body, 0) === 'INFO')
  const comment = list && chunks(list.body, 4).find(({ id }) => id === 'ICMT')
  return comment ? json(comment.body) : null
}

type Chunk = { id: string; body: Uint8Array }

const wavChunks = (audio: Uint8Array): Chunk[] => chunks(audio, 12)

/** RIFF chunks from an offset on; the last one may be cut short, as in a file that was streamed. */
function chunks(bytes: Uint8Array, from: number): Chunk[] {
  const found: Chunk[] = []
  for (let at = from; at + 8 <= bytes.length && found.length < MAX_PARTS; ) {
    const size = view(bytes).getUint32(at + 4, true)
    found.push({ id: ascii(bytes, at), body: bytes.subarray(at + 8, at + 8 + size) })
    at += 8 + size + (size % 2)
  }
  return found
}

const MPEG1_KBITS = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320]
const MPEG2_KBITS = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160]
/** By the two version bits: MPEG 2.5, reserved, MPEG 2, MPEG 1. */
const SAMPLE_RATES = [[11025, 12000, 8000], [], [22050, 24000, 16000], [44100, 48000, 32000]]

/** One layer III frame at an offset, or null where there is none. */
function mp3Frame(audio: Uint8Array, at: number): { bytes: number; seconds: number } | null {
  const [first, second, third] = [byte(audio, at), byte(audio, at + 1), byte(audio, at + 2)]
  const version = (second >> 3) & 3
  if (first !== 0xff || (second & 0xe0) !== 0xe0 || ((second >> 1) & 3) !== 1) return null
  const rate = SAMPLE_RATES[version]?.[(third >> 2) & 3]
  const kbits = (version === 3 ? MPEG1_KBITS : MPEG2_KBITS)[third >> 4]
  if (!rate || !kbits) return null
  const samples = version === 3 ? 1152 : 576
  const bytes = Math.floor((samples * 125 * kbits) / rate) + ((third >> 1) & 1)
  return { bytes, seconds: samples / rate }
}
