/** A stream read by counts of bytes: so many at once, or so many as a stream. */
export interface ByteReader {
  /** Good until the next call; null when fewer come. */
  take(count: number): Promise<Uint8Array | null>
  /** The next `count` bytes, in pieces of at most `piece`. Errors with what `short` makes when fewer come. */
  stream(count: number, piece: number, short: () => Error): ReadableStream<Uint8Array>
  cancel(): Promise<void>
  /** Why its source failed, if it did: what stands behind a stream may say something else. */
  failure(): unknown
}

export function createByteReader(body: ReadableStream<Uint8Array>): ByteReader {
  const reader = body.getReader()
  let held: Uint8Array = new Uint8Array(0)
  let failed: unknown
  const cancel = () => reader.cancel().catch(() => undefined)

  async function some(): Promise<boolean> {
    while (held.length === 0) {
      const { done, value } = await reader.read().catch((error: unknown) => {
        failed = error
        throw error
      })
      if (done) return false
      held = value
    }
    return true
  }
  const shift = (count: number): Uint8Array => {
    const piece = held.subarray(0, count)
    held = held.subarray(piece.length)
    return piece
  }

  return {
    cancel,
    failure: () => failed,
    async take(count) {
      if (count === 0) return new Uint8Array(0)
      if (held.length >= count) return shift(count)
      const all = new Uint8Array(count)
      for (let at = 0; at < count; ) {
        if (!(await some())) return null
        const piece = shift(count - at)
        all.set(piece, at)
        at += piece.length
      }
      return all
    },
    stream(count, piece, short) {
      let left = count
      return new ReadableStream<Uint8Array>(
        {
          async pull(controller) {
            if (left > 0) {
              if (!(await some())) {
                failed = short()
                throw failed
              }
              const next = shift(Math.min(left, piece))
              left -= next.length
              controller.enqueue(next)
            }
            if (left > 0) return
            await cancel()
            controller.close()
          },
          cancel,
        },
        { highWaterMark: 0 },
      )
    },
  }
}
