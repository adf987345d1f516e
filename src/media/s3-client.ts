import { createHash } from 'node:crypto'
import { AwsV4Signer } from 'aws4fetch'
import type { HttpFetch } from '../connector/platform.ts'
import { bucketUrl } from './presign.ts'
import { type Failure, type Place, refusal, unreachable } from './s3-failure.ts'
import type { S3Settings } from './s3-settings.ts'
import { rootOf } from './s3-xml.ts'

/**
 * Signed requests to one bucket. Every one of them may be sent twice without harm, so what may pass is tried again, a few
 * times and quickly: behind them a webhook waits for its answer.
 */

export interface S3Options extends S3Settings {
  http: HttpFetch
  now?: () => number
  /** Between two tries. */
  pause?: (ms: number) => Promise<void>
}

export interface S3Request {
  method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE'
  /** With the prefix. Empty: the bucket itself. */
  key: string
  query?: Record<string, string>
  headers?: Record<string, string>
  body?: Uint8Array
  signal?: AbortSignal
  /** For what S3 thinks about before it answers. */
  silenceMs?: number
}

export type Outcome<T> = { value: T } | { failure: Failure }

export interface S3Client {
  /** For everything but contents: the answer is read, and one that carries an error under status 200 is a failure. */
  ask(request: S3Request): Promise<Outcome<{ headers: Headers; xml: string }>>
  /** For contents: the body of a good answer is the caller's to read. */
  open(request: S3Request): Promise<Outcome<Response>>
  place: Place
}

const PAUSES_MS: readonly number[] = [100, 400, 1_500]
/** After this long no further try begins. */
const LONGEST_MS = 15_000
const SILENCE_MS = 20_000
const MOST_XML = 1024 * 1024
/** An upload counts as moving with each of these, so a slow line is not taken for a dead one. */
const SLICE_BYTES = 256 * 1024
const NOTHING = new Uint8Array(0)

export function createS3Client(options: S3Options): S3Client {
  const { http, bucket, region, accessKeyId, secretAccessKey, sessionToken } = options
  const { now = Date.now, pause = asleep } = options
  const base = bucketUrl(options)
  const place: Place = { host: base.host, bucket, region, now }
  const keys = new Map<string, ArrayBuffer>()

  async function once(request: S3Request, maxBytes: number): Promise<Outcome<Response>> {
    const { method, key, query = {}, body, signal, silenceMs = SILENCE_MS } = request
    const url = new URL(base)
    if (key !== '') url.pathname = `${base.pathname.replace(/\/$/, '')}/${key}`
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value)
    const signer = new AwsV4Signer({
      method,
      url: url.href,
      // The hash makes S3 refuse what was damaged on the way.
      headers: { ...request.headers, 'x-amz-content-sha256': sha256(body ?? NOTHING) },
      accessKeyId,
      secretAccessKey,
      ...(sessionToken === undefined ? {} : { sessionToken }),
      service: 's3',
      region,
      datetime: new Date(now()).toISOString().replace(/[:-]|\.\d{3}/g, ''),
      cache: keys,
    })
    const signed = await signer.sign()
    try {
      const response = await http(signed.url, {
        method,
        // Unsigned, since proxies change it; compressed answers would not have the length they announce.
        headers: { ...Object.fromEntries(signed.headers), 'accept-encoding': 'identity', ...lengthOf(body) },
        ...(method === 'PUT' || method === 'POST' ? { body: slicesOf(body) } : {}),
        signal: signal ?? new AbortController().signal,
        timeoutMs: silenceMs,
        maxBytes,
        redirects: 0,
        // Whoever names the server trusts it, and it mostly stands in the same private network.
        allowPrivate: [`${url.hostname}:${url.port || (url.protocol === 'https:' ? '443' : '80')}`],
      })
      if (response.ok) return { value: response }
      return { failure: refusal(place, response, await textOf(response)) }
    } catch (error) {
      return { failure: unreachable(place, error) }
    }
  }

  async function tried<T>(
    attempt: () => Promise<Outcome<T>>,
    signal: AbortSignal | undefined,
  ): Promise<Outcome<T>> {
    const begun = performance.now()
    for (let n = 0; ; n += 1) {
      const outcome = await attempt()
      const pauseMs = PAUSES_MS[n]
      if ('value' in outcome || !outcome.failure.again || pauseMs === undefined) return outcome
      if (signal?.aborted || performance.now() - begun > LONGEST_MS) return outcome
      // Spread, so that those who failed together do not come back together.
      await pause(pauseMs * (0.5 + Math.random()))
    }
  }

  return {
    place,
    open: (request) => tried(() => once(request, Number.MAX_SAFE_INTEGER), request.signal),
    ask: (request) =>
      tried(async () => {
        const outcome = await once(request, MOST_XML)
        if ('failure' in outcome) return outcome
        try {
          const xml = await textOf(outcome.value)
          if (rootOf(xml) === 'Error') return { failure: refusal(place, outcome.value, xml) }
          return { value: { headers: outcome.value.headers, xml } }
        } catch (error) {
          return { failure: unreachable(place, error) }
        }
      }, request.signal),
  }
}

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

/** Given for streams only: of bytes the length is known. */
function lengthOf(body: Uint8Array | undefined): Record<string, string> {
  return body === undefined || body.byteLength === 0 ? {} : { 'content-length': String(body.byteLength) }
}

function slicesOf(bytes: Uint8Array | undefined): Uint8Array | ReadableStream<Uint8Array> {
  // S3 insists on a length, also on that of nothing.
  if (bytes === undefined || bytes.byteLength === 0) return NOTHING
  let at = 0
  return new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        controller.enqueue(bytes.subarray(at, at + SLICE_BYTES))
        at += SLICE_BYTES
        if (at >= bytes.byteLength) controller.close()
      },
    },
    { highWaterMark: 0 },
  )
}

/** Bounded also where the answer as a whole may be long. */
async function textOf({ body }: Response): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  if (body === null) return text
  // Leaving the loop early cancels the stream.
  for await (const chunk of body) {
    text += decoder.decode(chunk, { stream: true })
    if (text.length > MOST_XML) break
  }
  return text
}

const asleep = (ms: number) =>
  new Promise<void>((resolve) => {
    setTimeout(resolve, ms)
  })
