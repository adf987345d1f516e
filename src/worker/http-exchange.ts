import { framingHeaders, type Payload } from '../connector/payload.ts'
import type { HttpRequest } from '../connector/platform.ts'
import { relay } from '../connector/relay.ts'
import { asCordboardError, CordboardError } from '../errors.ts'
import type { Connections } from './connections.ts'
import { type Progress, upload } from './upload.ts'

/** One request over the platform's fetch, and its answer. Messages name the host only: paths carry tokens. */
export async function exchange(
  url: URL,
  request: HttpRequest,
  payload: Payload | null,
  connections: Connections,
): Promise<Response> {
  const { signal, timeoutMs, method } = request
  if (signal.aborted) throw asCordboardError(signal.reason)
  if (payload && (method === 'GET' || method === 'HEAD')) {
    throw new CordboardError('config', `A ${method} request carries no body`)
  }
  const clock = createClock(timeoutMs)
  const stop = new AbortController()
  let failure: CordboardError | undefined
  let giveBack: (() => void) | undefined
  const finish = () => {
    clock.stop()
    signal.removeEventListener('abort', onAbort)
    giveBack?.()
  }
  const fail = (error: CordboardError) => {
    failure ??= error
    finish()
    stop.abort(failure)
  }
  const onAbort = () => fail(asCordboardError(signal.reason))
  signal.addEventListener('abort', onAbort, { once: true })

  try {
    clock.start(() => fail(new CordboardError('timeout', `No connection became free for ${url.host}`)))
    giveBack = await connections.take(payload !== null && 'stream' in payload, stop.signal)
    const late = () =>
      fail(new CordboardError('timeout', `${url.host} was silent for more than ${timeoutMs} ms`))
    clock.start(late)
    const { answer, isCutShort } = await ask(url, request, payload, {
      signal: stop.signal,
      // An upload that moves is not late.
      moved: () => clock.start(late),
      broke: (error) => fail(asCordboardError(error)),
    })
    clock.stop()
    if (failure) throw failure
    if (answer.status < 200 || answer.status > 599) {
      throw new CordboardError('vendor_down', `${url.host} answered with the unknown status ${answer.status}`)
    }
    return bounded(answer, url, request, {
      asked: () => clock.start(late),
      came: clock.stop,
      failed: (thrown) => failure ?? explained(thrown, url, true),
      over() {
        finish()
        if (isCutShort) stop.abort()
      },
    })
  } catch (thrown) {
    fail(explained(thrown, url, false))
    throw failure
  }
}

async function ask(
  url: URL,
  request: HttpRequest,
  payload: Payload | null,
  { signal, ...progress }: Progress & { signal: AbortSignal },
): Promise<{ answer: Response; isCutShort: boolean }> {
  const { headers, length } = framingHeaders(request.headers, payload)
  // The platform writes it itself, and for a stream only from a stream of its own.
  delete headers['content-length']
  const init = { method: request.method, headers, redirect: 'manual', signal } as const
  if (!payload || 'bytes' in payload) {
    const body = payload && (payload.bytes as BufferSource)
    return { answer: await fetch(url, { ...init, body }), isCutShort: false }
  }
  const sending = upload(payload.stream, length, progress)
  try {
    const answer = await fetch(url, { ...init, body: sending.body })
    // A refusal ends the upload; who says yes wants the rest first.
    if (answer.status >= 300) sending.stop()
    return { answer, isCutShort: (await sending.done) === 'stopped' }
  } finally {
    sending.stop()
  }
}

interface Reading {
  asked(): void
  came(): void
  failed(thrown: unknown): unknown
  over(): void
}

/** The answer with its body counted, timed between its chunks, and read as its consumer reads. */
function bounded(answer: Response, url: URL, { method, maxBytes }: HttpRequest, reading: Reading): Response {
  const headers = new Headers(answer.headers)
  const { status, body } = answer
  if (method === 'HEAD' || status === 204 || status === 205 || status === 304 || !body) {
    reading.over()
    return new Response(null, { status, headers })
  }
  const announced = Number(headers.get('content-length') ?? 0)
  // The platform unfolds these as the body is read.
  if (/^(gzip|br)$/i.test(headers.get('content-encoding') ?? '')) {
    headers.delete('content-encoding')
    headers.delete('content-length')
  }
  let came = 0
  const fits = (bytes: number) => {
    if (bytes <= maxBytes) return
    throw new CordboardError('too_large', `The answer of ${url.host} is larger than ${maxBytes} bytes`)
  }
  const stream = relay(body, {
    asked() {
      fits(announced)
      reading.asked()
    },
    seen({ byteLength }) {
      reading.came()
      came += byteLength
      fits(came)
    },
    end() {
      reading.came()
      return undefined
    },
    failed: reading.failed,
    over: reading.over,
  })
  return new Response(stream, { status, headers })
}

/** One timer, set anew for each thing that is waited for. */
function createClock(ms: number) {
  let timer: ReturnType<typeof setTimeout> | undefined
  return {
    start(late: () => void) {
      clearTimeout(timer)
      timer = setTimeout(late, ms)
    },
    stop() {
      clearTimeout(timer)
    },
  }
}

/** What went wrong below HTTP. The platform's own words come along only where they can quote no URL. */
function explained(thrown: unknown, url: URL, answered: boolean): CordboardError {
  if (thrown instanceof CordboardError) return thrown
  const said = thrown instanceof Error ? thrown.message : ''
  const what = answered ? `The answer of ${url.host} broke off` : `No connection to ${url.host}`
  return new CordboardError('vendor_down', what, {
    ...(/^[\w ;=.,'-]{1,120}$/.test(said) ? { why: `The platform says: ${said}` } : {}),
  })
}
