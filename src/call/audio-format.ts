import type { Recording } from './call.ts'
import { readWavHeader } from './wav.ts'

type Format = NonNullable<Recording['format']>

/** So many bytes of a file are looked at. */
export const HEAD_BYTES = 4096

/** What kind of audio a file is, by its first bytes and not by its name; null when it is none that we know. */
export function audioFormat(head: Uint8Array): { format: Format; channels?: number } | null {
  const name = (at: number, length = 4) => String.fromCharCode(...head.subarray(at, at + length))
  if (name(0) === 'RIFF' && name(8) === 'WAVE') {
    const channels = readWavHeader(head)?.channels
    return { format: 'wav', ...(channels !== undefined && channels <= 8 ? { channels } : {}) }
  }
  if (name(0) === 'OggS') return { format: 'ogg' }
  if (name(0) === 'fLaC') return { format: 'flac' }
  if (name(0) === '.snd') return { format: 'au' }
  if (name(0) === 'FORM' && /^AIF[FC]$/.test(name(8))) return { format: 'aiff' }
  if (name(0) === '\x1aE\xdf\xa3') return { format: 'webm' }
  if (name(4) === 'ftyp') return { format: /^M4[AB]/.test(name(8)) ? 'm4a' : 'mp4' }
  // An ID3 tag, or the frame header of an MPEG stream: eleven bits set, then a layer and a rate that exist.
  const [first = 0, second = 0, third = 0] = head
  const isFrame =
    first === 0xff && (second & 0xe0) === 0xe0 && (second & 0x06) !== 0 && (third & 0xf0) !== 0xf0
  return name(0, 3) === 'ID3' || isFrame ? { format: 'mp3' } : null
}
