/**
 * A body on its way, seen chunk by chunk and held nowhere. A source that fills its reader's buffer (on Workers bodies do)
 * is read that way, through any number of relays: one buffer then carries the whole body, where a new chunk for every
 * read would pile up faster than it is collected. Other sources hand over their chunks as they are.
 */

export interface Stops {
  /** Comes before the source's bytes. */
  head?: Uint8Array
  /** Before each read of the source. This and the next two may throw: the body then fails with that. */
  asked?(): void
  /** These bytes came with this read; they are the reader's as soon as this has returned. */
  seen?(chunk: Uint8Array): void
  /** The source has ended: what comes after its bytes. */
  end?(): Uint8Array | undefined
  /** The source has failed: what the body fails with. */
  failed?(thrown: unknown): unknown
  /** Once: the body has ended, failed or was cancelled. */
  over?(): void
}

/** For readers that bring no buffer to a source that wants one. */
const ROOM_BYTES = 64 * 1024

/** Nothing is read ahead of the one who reads the relay. */
export function relay(source: ReadableStream<Uint8Array>, stops: Stops): ReadableStream<Uint8Array> {
  const filling = fillingReader(source)
  return filling ? filled(filling, stops) : handedOver(source.getReader(), stops)
}

/** A reader whose buffer the source fills; null when the source hands over chunks of its own. */
export function fillingReader(source: ReadableStream<Uint8Array>): ReadableStreamBYOBReader | null {
  try {
    return source.getReader({ mode: 'byob' })
  } catch (error) {
    if (source.locked) throw error
    return null
  }
}

function handedOver(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  stops: Stops,
): ReadableStream<Uint8Array> {
  const { over, fail, cancel } = ends(reader, stops)
  let { head } = stops
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        let isReading = false
        try {
          if (head) {
            controller.enqueue(head)
            head = undefined
            return
          }
          stops.asked?.()
          isReading = true
          const { done, value } = await reader.read()
          isReading = false
          if (!done) {
            stops.seen?.(value)
            controller.enqueue(value)
            return
          }
          const tail = stops.end?.()
          if (tail) controller.enqueue(tail)
          over()
          controller.close()
        } catch (thrown) {
          throw fail(thrown, isReading)
        }
      },
      cancel,
    },
    { highWaterMark: 0 },
  )
}

function filled(reader: ReadableStreamBYOBReader, stops: Stops): ReadableStream<Uint8Array> {
  const { over, fail, cancel } = ends(reader, stops)
  /** What was not given yet of the head or the tail. */
  let own = stops.head ?? new Uint8Array(0)
  let ended = false
  return new ReadableStream({
    type: 'bytes',
    // With it there is a buffer to fill at every pull: the reader's, or one of this size.
    autoAllocateChunkSize: ROOM_BYTES,
    async pull(controller) {
      let isReading = false
      try {
        const request = controller.byobRequest
        if (!request?.view) throw new TypeError('There is no buffer to fill')
        const { buffer, byteOffset, byteLength } = request.view
        let room = new Uint8Array(buffer, byteOffset, byteLength)
        if (own.byteLength === 0 && !ended) {
          stops.asked?.()
          isReading = true
          // What stands beside `done` differs between the types of the runtimes.
          const { done, value } = (await reader.read(room)) as { done: boolean; value?: typeof room }
          isReading = false
          // Cancelled in the meantime: the buffer does not come back.
          if (!value) return
          if (!done) {
            stops.seen?.(value)
            request.respondWithNewView(value)
            return
          }
          ended = true
          own = stops.end?.() ?? own
          room = new Uint8Array(value.buffer, byteOffset, byteLength)
        }
        const given = own.subarray(0, byteLength)
        own = own.subarray(given.byteLength)
        room.set(given)
        if (given.byteLength === 0) {
          over()
          controller.close()
        }
        request.respondWithNewView(room.subarray(0, given.byteLength))
      } catch (thrown) {
        throw fail(thrown, isReading)
      }
    },
    cancel,
  })
}

function ends(reader: { cancel(reason?: unknown): Promise<void> }, stops: Stops) {
  let isOver = false
  const over = () => {
    if (isOver) return
    isOver = true
    stops.over?.()
  }
  return {
    over,
    /** What the body fails with. */
    fail(thrown: unknown, isReading: boolean): unknown {
      const error = isReading && stops.failed ? stops.failed(thrown) : thrown
      over()
      // Whoever reads is told what happened first, not how the source takes its end.
      reader.cancel(error).catch(() => undefined)
      return error
    },
    cancel(reason: unknown): Promise<void> {
      over()
      return reader.cancel(reason)
    },
  }
}
