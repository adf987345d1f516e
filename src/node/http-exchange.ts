import got, { RequestError } from 'got'
import { framingHeaders, type Payload } from '../connector/payload.ts'
import type { HttpRequest } from '../connector/platform.ts'
import { asCordboardError, CordboardError } from '../errors.ts'
import { type Agents, isRefusal } from './address-guard.ts'
import { type Upload, upload } from './http-body.ts'
import { tend } from './socket-care.ts'

/** A connection that is not there after this long will not come; the rest of the time is for the answer. */
const LONGEST_CONNECT_MS = 10_000
/** Read ahead of the consumer, so that a small answer nobody reads still gives its socket back. */
const READ_AHEAD_BYTES = 65_536

type Stream = ReturnType<typeof got.stream>

/** One request over got and its answer: no retries, no redirects. Messages name the host only: paths carry tokens. */
export function exchange(
  url: URL,
  request: HttpRequest,
  payload: Payload | null,
  agents: Agents,
): Promise<Response> {
  const { signal, timeoutMs, method } = request
  if (signal.aborted) return Promise.reject(asCordboardError(signal.reason))
  const bodyless = method === 'GET' || method === 'HEAD'
  if (payload && bodyless) {
    return Promise.reject(new CordboardError('config', `A ${method} request carries no body`))
  }
  const { headers, length } = framingHeaders(request.headers, payload)
  const connectMs = Math.min(timeoutMs, LONGEST_CONNECT_MS)
  const stream = got.stream(url, {
    method: method as 'GET',
    headers,
    agent: agents,
    retry: { limit: 0 },
    followRedirect: false,
    throwHttpErrors: false,
    enableUnixSockets: false,
    timeout: { lookup: connectMs, connect: connectMs, secureConnect: connectMs, response: timeoutMs },
  })

  return new Promise<Response>((resolve, reject) => {
    let failure: CordboardError | undefined
    let sending: Upload | undefined
    let cutShort = false
    let answer: Body | undefined

    const release = () => {
      clearTimeout(deadline)
      signal.removeEventListener('abort', onAbort)
    }
    const fail = (error: CordboardError) => {
      if (failure) return
      failure = error
      release()
      sending?.stop()
      stream.destroy()
      reject(error)
      answer?.fail(error)
    }
    const onAbort = () => fail(asCordboardError(signal.reason))
    const deadline = setTimeout(() => fail(late(url, timeoutMs)), timeoutMs)
    signal.addEventListener('abort', onAbort, { once: true })
    stream.on('error', (error) => fail(explained(error, url, answer !== undefined)))

    // Chunks go to the request below got's own writable side: there, a write that an early answer cut off would fail the
    // exchange and take the answer with it. got still ends the request, and times the answer from then.
    stream.once('request', (native) => {
      native.on('error', () => undefined)
      native.once('socket', tend)
      if (!payload) {
        if (!bodyless) stream.end()
        return
      }
      // An upload that moves is not late.
      sending = upload(payload, length, native, () => deadline.refresh())
      sending.done.then(
        (end) => {
          if (end === 'sent') stream.end()
        },
        (error: unknown) => fail(asCordboardError(error)),
      )
    })

    stream.once('response', (message) => {
      const deliver = () => {
        if (failure) return
        clearTimeout(deadline)
        const status = message.statusCode
        if (status < 200 || status > 599) {
          fail(new CordboardError('vendor_down', `${url.host} answered with the unknown status ${status}`))
          return
        }
        // A request that was not sent to its end leaves a connection that cannot be used again.
        const finish = () => {
          release()
          if (cutShort) stream.destroy()
        }
        const init = { status, headers: toHeaders(message.headers) }
        if (method === 'HEAD' || status === 204 || status === 205 || status === 304) {
          stream.once('end', finish).resume()
          resolve(new Response(null, init))
          return
        }
        answer = boundedBody(stream, url, request, init.headers, finish, fail)
        resolve(new Response(answer.stream, init))
      }
      if (!sending) return deliver()
      sending.done.then(
        (end) => {
          cutShort = end === 'stopped'
          deliver()
        },
        () => undefined,
      )
      // A refusal ends the upload; who says yes wants the rest first (curl draws the same line).
      if (message.statusCode >= 300) sending.stop()
    })
  })
}

interface Body {
  stream: ReadableStream<Uint8Array>
  fail(error: CordboardError): void
}

/** The answer's body: counted, timed between its chunks, read as its consumer reads. */
function boundedBody(
  source: Stream,
  url: URL,
  { maxBytes, timeoutMs }: HttpRequest,
  headers: Headers,
  finish: () => void,
  fail: (error: CordboardError) => void,
): Body {
  const chunks = source.iterator({ destroyOnReturn: true })
  const announced = Number(headers.get('content-length') ?? 0)
  const tooLarge = () =>
    new CordboardError('too_large', `The answer of ${url.host} is larger than ${maxBytes} bytes`)
  let seen = 0
  let ended = false
  let waiting = false
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined
  // One timer for all chunks. It counts only while we wait: a consumer that takes its time is nobody's silence.
  const idle = setTimeout(() => {
    if (waiting) fail(late(url, timeoutMs))
  }, timeoutMs).unref()
  const stream = new ReadableStream<Uint8Array>(
    {
      start(given) {
        controller = given
      },
      async pull(given) {
        if (announced > maxBytes) return fail(tooLarge())
        idle.refresh()
        waiting = true
        try {
          const { done, value } = await chunks.next()
          if (ended) return
          if (done) {
            ended = true
            clearTimeout(idle)
            given.close()
            finish()
            return
          }
          // A Node whose parser hands on no copies would make `tend` empty this chunk: loud beats silent.
          if (value.buffer.detached)
            return fail(new CordboardError('internal', 'A chunk was freed too early'))
          seen += value.byteLength
          if (seen > maxBytes) return fail(tooLarge())
          given.enqueue(value)
        } catch (error) {
          fail(explained(error, url, true))
        } finally {
          waiting = false
        }
      },
      cancel() {
        ended = true
        clearTimeout(idle)
        finish()
        source.destroy()
      },
    },
    new ByteLengthQueuingStrategy({ highWaterMark: READ_AHEAD_BYTES }),
  )
  return {
    stream,
    fail(error) {
      if (ended) return
      ended = true
      clearTimeout(idle)
      controller?.error(error)
    },
  }
}

function toHeaders(given: Record<string, string | string[] | undefined>): Headers {
  const headers = new Headers()
  for (const [name, value] of Object.entries(given)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined) headers.append(name, one)
    }
  }
  return headers
}

const late = (url: URL, ms: number) =>
  new CordboardError('timeout', `${url.host} was silent for more than ${ms} ms`)

/** What went wrong below HTTP. Only the system's own error is kept: got's hold headers and URLs, the parser's bytes. */
export function explained(thrown: unknown, url: URL, answered: boolean): CordboardError {
  if (thrown instanceof CordboardError) return thrown
  let root = thrown
  while (root instanceof Error && root.cause instanceof Error) root = root.cause
  const code = root instanceof Error && 'code' in root ? String(root.code) : 'unknown reason'
  const cause = root instanceof RequestError || code.startsWith('HPE_') ? undefined : root
  if (isRefusal(thrown)) {
    return new CordboardError('blocked_address', `${url.hostname || 'The URL'} is no public web address`, {
      cause,
    })
  }
  if (code === 'ETIMEDOUT') {
    const phase = root instanceof Error && 'event' in root ? ` (${String(root.event)})` : ''
    return new CordboardError('timeout', `${url.host} did not answer in time${phase}`, { cause })
  }
  const what = answered ? `The answer of ${url.host} broke off` : `No connection to ${url.host}`
  return new CordboardError('vendor_down', `${what}: ${code}`, { cause })
}
