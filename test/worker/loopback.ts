import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import type { TestProject } from 'vitest/node'

/**
 * Real HTTP for the tests inside workerd, which cannot listen itself: two servers of another origin each, started by
 * vitest in Node.
 */

declare module 'vitest' {
  interface ProvidedContext {
    loopback: { near: string; far: string }
  }
}

export default async function setup(project: TestProject): Promise<() => void> {
  const servers = [http.createServer(handle), http.createServer(handle)]
  const [near = '', far = ''] = await Promise.all(servers.map(listen))
  project.provide('loopback', { near, far })
  return () => {
    for (const server of servers) {
      server.closeAllConnections()
      server.close()
    }
  }
}

function listen(server: http.Server): Promise<string> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
    })
  })
}

/** What came of a request, by the `tag` in its query; asked for at `/seen?tag=`. */
export interface Seen {
  bytes: number
  end: 'whole' | 'cut off' | 'open'
}
const seen = new Map<string, Seen>()

function handle(request: http.IncomingMessage, response: http.ServerResponse): void {
  const url = new URL(request.url ?? '/', 'http://127.0.0.1')
  const way = WAYS[url.pathname]
  if (!way) return void response.writeHead(404).end()
  const tag = url.searchParams.get('tag')
  if (tag !== null && url.pathname !== '/seen') {
    const one: Seen = { bytes: 0, end: 'open' }
    seen.set(tag, one)
    request.on('data', (chunk: Buffer) => {
      one.bytes += chunk.length
    })
    request.on('end', () => {
      one.end = 'whole'
    })
    response.on('close', () => {
      if (one.end === 'open') one.end = 'cut off'
    })
  }
  request.on('error', () => undefined)
  way(url.searchParams, response, request)
}

type Way = (query: URLSearchParams, response: http.ServerResponse, request: http.IncomingMessage) => void

const PATTERN = Buffer.from(Array.from({ length: 251 * 160 }, (_, n) => n % 251))

const WAYS: Record<string, Way> = {
  '/echo'(_, response, request) {
    const chunks: Buffer[] = []
    const { method, url, headers } = request
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString('latin1')
      response.end(JSON.stringify({ method, url, headers, body }))
    })
  },
  '/moved'(query, response) {
    const location = Buffer.from(query.get('to') ?? '').toString('latin1')
    response.writeHead(Number(query.get('status')), { location }).end('moved')
  },
  '/hang': () => undefined,
  '/first'(_, response) {
    response.write('first')
  },
  '/drip'(_, response) {
    let left = 12
    const timer = setInterval(() => {
      left -= 1
      if (left > 0) return void response.write('.')
      clearInterval(timer)
      response.end('.')
    }, 25)
    response.on('close', () => clearInterval(timer))
  },
  '/endless'(_, response) {
    const more = () => {
      while (response.write(PATTERN));
      response.once('drain', more)
    }
    more()
  },
  '/bytes'(query, response) {
    const bytes = Number(query.get('bytes'))
    if (query.has('sized')) response.setHeader('content-length', bytes)
    // Two sizes, so that the pieces meet nobody's boundaries.
    for (let at = 0, size = 251; at < bytes; at += size, size = PATTERN.length) {
      response.write(PATTERN.subarray(0, Math.min(size, bytes - at)))
    }
    response.end()
  },
  '/cut'(query, response) {
    if (query.has('sized')) response.setHeader('content-length', 1000)
    response.write('only this')
    setTimeout(() => response.destroy(), 20)
  },
  '/gzip'(_, response) {
    response.setHeader('content-encoding', 'gzip')
    response.end(gzipSync('hello '.repeat(1000)))
  },
  '/status'(query, response) {
    response.writeHead(Number(query.get('status')), { 'set-cookie': ['a=1', 'b=2'] }).end()
  },
  '/odd-status'(_, __, request) {
    request.socket.end('HTTP/1.1 999 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
  },
  '/refuse'(_, response) {
    response.writeHead(401).end('no')
  },
  '/seen'(query, response) {
    response.end(JSON.stringify(seen.get(query.get('tag') ?? '') ?? null))
  },
}
