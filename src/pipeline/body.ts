import { CordboardError } from '../errors.ts'

/** Ordinary webhooks have a few kilobytes. Larger bodies are counted together while they come. */
const ORDINARY_BYTES = 16 * 1024
/** Of all large bodies under way. They come from anybody: nobody is verified before the whole body is there. */
const MOST_BYTES_AT_ONCE = 128 * 1024 * 1024

/** How bodies of strangers are read: bounded each, and all together. */
export interface Bodies {
  /**
   * The body of a request, never more of it than allowed; null when there is more. Rejects with `overloaded` when too much
   * is under way already. `release` when the request has been answered.
   */
  read(request: Request, most: number): Promise<{ body: Uint8Array; release(): void } | null>
}

/** Counts the large bodies under way of one process. */
export function createBodies(mostAtOnce = MOST_BYTES_AT_ONCE): Bodies {
  let under = 0
  return {
    async read(request, most) {
      if (request.method === 'GET' || request.method === 'HEAD') return small(new Uint8Array())
      const length = request.headers.get('content-length')
      const announced = length !== null && /^\d+$/.test(length) ? Number(length) : null
      if (announced !== null && announced > most) return null
      if (announced !== null && announced <= ORDINARY_BYTES) {
        const body = new Uint8Array(await whole(request.arrayBuffer()))
        return body.byteLength > most ? null : small(body)
      }
      let taken = 0
      const release = () => {
        under -= taken
        taken = 0
      }
      const take = (bytes: number) => {
        if (under + bytes > mostAtOnce)
          throw new CordboardError('overloaded', 'Too many large bodies are under way')
        under += bytes
        taken += bytes
      }
      try {
        const body = await whole(collect(request, most, take))
        if (body !== null) return { body, release }
      } catch (error) {
        release()
        throw error
      }
      release()
      return null
    },
  }
}

/** Senders hang up in the middle all the time: that is no failure of ours. */
async function whole<T>(reading: Promise<T>): Promise<T> {
  try {
    return await reading
  } catch (cause) {
    if (cause instanceof CordboardError) throw cause
    throw new CordboardError('bad_request', 'The body broke off before its end', { cause })
  }
}

const small = (body: Uint8Array) => ({ body, release: () => undefined })

/** Counted as it comes: what was announced is not there yet, and may never be. */
async function collect(
  request: Request,
  most: number,
  take: (bytes: number) => void,
): Promise<Uint8Array | null> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of request.body ?? []) {
    size += chunk.byteLength
    if (size > most) return null
    take(chunk.byteLength)
    chunks.push(chunk)
  }
  const body = new Uint8Array(size)
  let at = 0
  for (const chunk of chunks) {
    body.set(chunk, at)
    at += chunk.byteLength
  }
  return body
}
