import { inject } from 'vitest'
import type { HttpRequest } from '../../src/connector/platform.ts'
import { CordboardError } from '../../src/errors.ts'
import { type Connections, createConnections } from '../../src/worker/connections.ts'
import { createWorkerFetch } from '../../src/worker/http-fetch.ts'

/** What asks the servers of loopback.ts. */

export const { near, far } = inject('loopback')
export const MB = 1024 * 1024

export const ask = (
  url: string,
  given: Partial<HttpRequest> = {},
  connections: Connections = createConnections(),
) =>
  createWorkerFetch({ connections })(new URL(url), {
    method: 'GET',
    headers: {},
    signal: new AbortController().signal,
    timeoutMs: 5000,
    maxBytes: 8 * MB,
    redirects: 0,
    allowPrivate: ['127.0.0.1'],
    ...given,
  })

interface Echo {
  method: string
  url: string
  headers: Record<string, string>
  body: string
}
export const echoed = async (response: Promise<Response>) => (await (await response).json()) as Echo

export async function errorOf(work: Promise<unknown>): Promise<CordboardError> {
  const thrown = await work.then(
    () => new Error('it did not fail'),
    (error: unknown) => error,
  )
  if (thrown instanceof CordboardError) return thrown
  throw thrown
}

/** A source whose chunks and whose end the test sees. */
export function source(next: (n: number) => Uint8Array | null | Promise<Uint8Array | null>) {
  const state = { pulled: 0, cancelled: false }
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const chunk = await next(state.pulled)
        state.pulled += 1
        if (chunk === null) controller.close()
        else controller.enqueue(chunk)
      },
      cancel() {
        state.cancelled = true
      },
    },
    { highWaterMark: 0 },
  )
  return { body, state }
}
export const endless = () => source(() => new Uint8Array(65_536))

export const sized = (bytes: number) => ({ 'content-length': String(bytes) })
