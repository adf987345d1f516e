/**
 * How many tracks a recording has, from its first bytes: WAV and MP3. Null when they do not say. Hostile until shown
 * otherwise: every offset is checked, every loop advances.
 */
export function channelsOf(head: Uint8Array): number | null {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength)
  if (tag(view, 0) === RIFF) return wavChannels(view)
  return mp3Channels(view)
}

/** So much of a file is enough for nearly all; an MP3 may stand behind a larger picture of its cover. */
export const HEADER_BYTES = 65_536

const RIFF = 0x52494646
const WAVE = 0x57415645
const FMT = 0x666d7420
const ID3 = 0x494433

/** Chunks of a RIFF file until the format; the number of channels is its second field. */
function wavChannels(view: DataView): number | null {
  if (tag(view, 8) !== WAVE) return null
  for (let at = 12; at + 12 <= view.byteLength; ) {
    if (tag(view, at) === FMT) return inRange(view.getUint16(at + 10, true))
    const size = view.getUint32(at + 4, true)
    at += 8 + size + (size % 2)
  }
  return null
}

/** An ID3 tag is passed by; the first frame says whether its mode is mono. */
function mp3Channels(view: DataView): number | null {
  let at = 0
  if (view.byteLength >= 10 && tag(view, 0) >>> 8 === ID3) {
    const size = [6, 7, 8, 9].reduce((sum, i) => (sum << 7) | (view.getUint8(i) & 0x7f), 0)
    const footer = (view.getUint8(5) & 0x10) === 0 ? 0 : 10
    at = 10 + size + footer
  }
  // Some writers leave zeros between the tag and the audio.
  while (at < view.byteLength && view.getUint8(at) === 0) at += 1
  if (at + 4 > view.byteLength) return null
  const frame = view.getUint32(at)
  const isFrame =
    frame >>> 21 === 0x7ff && // eleven bits of sync
    ((frame >>> 19) & 3) !== 1 && // a version that is reserved
    ((frame >>> 17) & 3) === 1 && // layer III
    ((frame >>> 12) & 15) !== 15 && // a bit rate that is forbidden
    ((frame >>> 10) & 3) !== 3 // a sample rate that is reserved
  if (!isFrame) return null
  return ((frame >>> 6) & 3) === 3 ? 1 : 2
}

const inRange = (channels: number): number | null => (channels >= 1 && channels <= 64 ? channels : null)

const tag = (view: DataView, at: number): number => (at + 4 <= view.byteLength ? view.getUint32(at) : 0)
