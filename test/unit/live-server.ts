import { generateKeyPairSync, sign } from 'node:crypto'
import http from 'node:http'
import type net from 'node:net'
import type { AddressInfo } from 'node:net'
import { expect } from 'vitest'
import type { HttpRequest } from '../../src/connector/platform.ts'
import { CordboardError } from '../../src/errors.ts'
import { createHttpFetch } from '../../src/node/http-fetch.ts'

/** Real servers on loopback, and requests to them, for the tests of the HTTP client. */

export const MB = 1024 * 1024

// ── Servers ─────────────────────────────────────────────────────────────────────────────────────────────────────────

const closing: (() => Promise<void>)[] = []
export async function closeServers(): Promise<void> {
  for (const close of closing.splice(0)) await close()
}

export interface Live {
  base: string
  /** Connections since the start, and those open now. */
  accepted: () => number
  open: () => number
}

export async function listening(server: net.Server, scheme: string): Promise<Live> {
  const sockets = new Set<net.Socket>()
  let accepted = 0
  server.on('connection', (socket: net.Socket) => {
    accepted += 1
    sockets.add(socket)
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  closing.push(
    () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  )
  const base = `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}`
  return { base, accepted: () => accepted, open: () => sockets.size }
}

export const serve = (handler: http.RequestListener) => listening(http.createServer(handler), 'http')

const collected = async (request: http.IncomingMessage) => {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

/** Answers what it was asked, as JSON. */
export const echo: http.RequestListener = (request, response) => {
  const { method, url, headers } = request
  collected(request).then(
    (body) => response.end(JSON.stringify({ method, url, headers, body: body.toString() })),
    () => response.destroy(),
  )
}
export interface Echo {
  method: string
  url: string
  headers: Record<string, string>
  body: string
}

const plain = createHttpFetch()

/** One request with sensible defaults; loopback and vendor.test are listed as ours. */
export const ask = (url: string, given: Partial<HttpRequest> = {}, fetch = plain) =>
  fetch(new URL(url), {
    method: 'GET',
    headers: {},
    signal: new AbortController().signal,
    timeoutMs: 5000,
    maxBytes: MB,
    redirects: 0,
    allowPrivate: ['127.0.0.1', 'vendor.test'],
    ...given,
  })

export const errorOf = async (work: Promise<unknown>): Promise<CordboardError> => {
  const thrown = await work.then(
    () => new Error('it did not fail'),
    (error: unknown) => error,
  )
  if (thrown instanceof CordboardError) return thrown
  throw thrown
}

/** A source whose chunks and whose end the test sees. */
export function source(next: (n: number) => Uint8Array | null | Promise<Uint8Array>) {
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

export const until = async (condition: () => boolean) => {
  for (let turn = 0; turn < 2000 && !condition(); turn += 1) {
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
  expect(condition()).toBe(true)
}

/** A fresh certificate for one name: nothing that looks like a key lies in the repository. */
export function selfSigned(name: string): { key: string; cert: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const der = (tag: number, ...parts: (Uint8Array | string)[]): Buffer => {
    const body = Buffer.concat(parts.map((part) => Buffer.from(part as Uint8Array)))
    const { length } = body
    const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255]
    return Buffer.concat([Buffer.from([tag, ...size]), body])
  }
  const oid = (hex: string) => der(6, Buffer.from(hex, 'hex'))
  const ecdsaWithSha256 = der(0x30, oid('2a8648ce3d040302'))
  const subject = der(0x30, der(0x31, der(0x30, oid('550403'), der(0x0c, name))))
  const extension = (id: string, value: Buffer) => der(0x30, oid(id), der(4, value))
  const body = der(
    0x30,
    der(0xa0, der(2, Buffer.from([2]))),
    der(2, Buffer.from([1])),
    ecdsaWithSha256,
    subject,
    der(0x30, der(0x17, '200101000000Z'), der(0x18, '21200101000000Z')),
    subject,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(
      0xa3,
      der(
        0x30,
        extension('551d13', der(0x30, der(1, Buffer.from([255])))),
        extension('551d11', der(0x30, der(0x82, name))),
      ),
    ),
  )
  const signature = sign('sha256', body, privateKey)
  const cert = der(0x30, body, ecdsaWithSha256, der(3, Buffer.from([0]), signature)).toString('base64')
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    cert: `-----BEGIN CERTIFICATE-----\n${cert}\n-----END CERTIFICATE-----\n`,
  }
}
