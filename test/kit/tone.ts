/** A WAV of two tracks that cannot be mistaken for each other: each holds its own constant tone. */
export interface Tone {
  seconds: number
  rate?: number
  /** Of a sample: 16 (PCM) or 8 (A-law). */
  bits?: 8 | 16
  /** What the head says of the length of the sound; default the truth. */
  says?: number
  /** Chunks before the sound and behind it. */
  extra?: boolean
}

export function stereoWav({ seconds, rate = 8_000, bits = 16, says, extra = false }: Tone): Uint8Array {
  const frames = Math.round(seconds * rate)
  const size = bits / 8
  const sound = new Uint8Array(frames * 2 * size)
  const view = new DataView(sound.buffer)
  for (let n = 0; n < frames; n++) {
    for (const [track, hertz] of [440, 1_000].entries()) {
      const value = Math.sin((2 * Math.PI * hertz * n) / rate)
      const at = (n * 2 + track) * size
      if (bits === 16) view.setInt16(at, Math.round(value * 12_000), true)
      // No true A-law: a byte that says which track it is of.
      else view.setUint8(at, track === 0 ? 0x11 : 0x22)
    }
  }
  const chunk = (name: string, body: Uint8Array, length = body.length) => {
    const head = new Uint8Array(8)
    head.set(new TextEncoder().encode(name))
    new DataView(head.buffer).setUint32(4, length, true)
    return [head, body]
  }
  const fmt = new DataView(new ArrayBuffer(16))
  fmt.setUint16(0, bits === 16 ? 1 : 6, true)
  fmt.setUint16(2, 2, true)
  fmt.setUint32(4, rate, true)
  fmt.setUint32(8, rate * 2 * size, true)
  fmt.setUint16(12, 2 * size, true)
  fmt.setUint16(14, bits, true)
  const list = extra ? chunk('LIST', new TextEncoder().encode('INFOISFT')) : []
  const parts = [
    new TextEncoder().encode('WAVE'),
    ...list,
    ...chunk('fmt ', new Uint8Array(fmt.buffer)),
    ...chunk('data', sound, says ?? sound.length),
    ...list,
  ]
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  return joined([...chunk('RIFF', new Uint8Array(0), length), ...parts])
}

export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}
