import { CordboardError } from '../errors.ts'

type Range = { start: number; end?: number } | undefined

/** The contents of a good answer: exactly as many bytes as it announced, or an error. */
export async function wholeBody(
  response: Response,
  host: string,
  range: Range,
): Promise<{ body: ReadableStream<Uint8Array>; bytes: number }> {
  const bytes = sizeOf(response, range)
  if (bytes === null || response.body === null) {
    await response.body?.cancel()
    throw new CordboardError('storage_unavailable', `The S3 server ${host} answers unexpectedly`, {
      why: 'It sends other bytes than it was asked for, or does not say how many',
    })
  }
  return { body: counted(response.body, bytes, host), bytes }
}

/** Null when it cannot be told, or when the answer does not begin where it was asked to. */
function sizeOf({ status, headers }: Response, range: Range): number | null {
  const start = range?.start ?? 0
  const most = (range?.end ?? Number.POSITIVE_INFINITY) + 1 - start
  if (status === 206) {
    const [, first, last] = /^bytes (\d+)-(\d+)\//.exec(headers.get('content-range') ?? '') ?? []
    if (first === undefined || Number(first) !== start) return null
    return Math.min(Number(last) + 1 - start, most)
  }
  const length = headers.get('content-length')
  if (length === null || start > 0) return null
  return Math.min(Number(length), most)
}

/** What a server sends beyond the asked range is left out. */
function counted(
  source: ReadableStream<Uint8Array>,
  bytes: number,
  host: string,
): ReadableStream<Uint8Array> {
  const reader = source.getReader()
  let left = bytes
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        // A pull that brings nothing is not repeated: whoever reads would wait for ever.
        for (let wanted = 0; wanted === 0; ) {
          const { done, value } = await reader.read().catch((cause: unknown) => {
            throw brokenOff(host, cause)
          })
          if (done && left > 0) throw brokenOff(host)
          if (done) return controller.close()
          wanted = Math.min(left, value.byteLength)
          left -= wanted
          if (wanted > 0) controller.enqueue(value.subarray(0, wanted))
          if (wanted < value.byteLength) {
            await reader.cancel()
            return controller.close()
          }
        }
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  )
}

function brokenOff(host: string, cause?: unknown): CordboardError {
  const message = `The S3 server ${host} broke off in the middle of an object`
  return new CordboardError('storage_unavailable', message, { cause })
}
