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

/** What became of requests, by the `tag` in their query; asked for at `/seen?tag=`. */
const seen = new Map<string, { bytes: number; end: 'whole' | 'cut off' | 'open' }>()

const WAYS: Record<string, (url: URL, request: http.IncomingMessage, response: http.ServerResponse) => void> = {
  '/echo': async (_, request, response) => {
    const { method, url, headers } = request
    const body = await collected(request).catch(() => null)
    if (body) response.end(JSON.stringify({ method, url, headers, body: body.toString('latin1') }))
  },
  '/moved': (url, _, response) => {
    const to = url.searchParams.get('to') ?? ''
    response.writeHead(Number(url.searchParams.get('status')), { location: Buffer.from(to).toString('latin1') })
    response.end('moved')
  },
  '/hang': () => undefined,
  '/first': (_, __, response) => {
    response.write('first')
  },
  '/drip': (_, __, response) => {
    let left = 12
    const timer = setInterval(() => {
      response.write('.')
      left -= 1
      if (left === 0) response.end()
      if (left === 0) clearInterval(timer)
    }, 25)
    response.on('close', () => clearInterval(timer))
  },
  '/endless': (_, __, response) => {
    const more = () => {
      while (response.write(Buffer.alloc(65_536)));
      response.once('drain', more)
    }
    more()
  },
  '/bytes': (url, _, response) => {
    const bytes = Number(url.searchParams.get('bytes'))
    if (url.searchParams.has('sized')) response.setHeader('content-length', bytes)
    for (let at = 0; at < bytes; at += 40_009) {
      response.write(Buffer.from(Array.from({ length: Math.min(40_009, bytes - at) }, (_, n) => (at + n) % 251)))
    }
    response.end()
  },
  '/cut': (url, _, response) => {
    if (url.searchParams.has('sized')) response.setHeader('content-length', 1000)
    response.write('only this')
    setTimeout(() => response.destroy(), 20)
  },
  '/gzip': (_, __, response) => {
    response.setHeader('content-encoding', 'gzip')
    response.end(gzipSync('hello '.repeat(1000)))
  },
  '/status': (url, _, response) => {
    response.writeHead(Number(url.searchParams.get('status')), { 'set-cookie': ['a=1', 'b=2'] }).end()
  },
  '/odd-status': (_, request) => {
    request.socket.end('HTTP/1.1 999 No\r\nContent-Length: 0\r\n\r\n')
  },
  '/refuse': (_, __, response) => {
    response.writeHead(401).end('no')
  },
  '/slow-taker': (_, request, response) => {
    const timer = setInterval(() => request.read(), 10)
    request.on('close', () => clearInterval(timer)).on('end', () => response.end('taken'))
  },
  '/ignore': () => undefined,
  '/seen': (url, _, response) => {
    response.end(JSON.stringify(seen.get(url.searchParams.get('tag') ?? '') ?? null))
  },
}

function handle(request: http.IncomingMessage, response: http.ServerResponse): void {
  const url = new URL(request.url ?? '/', 'http://127.0.0.1')
  const tag = url.searchParams.get('tag')
  if (tag !== null && url.pathname !== '/seen') {
    const one: { bytes: number; end: 'whole' | 'cut off' | 'open' } = { bytes: 0, end: 'open' }
    seen.set(tag, one)
    if (url.pathname !== '/ignore') {
      request.on('data', (chunk: Buffer) => {
        one.bytes += chunk.length
      })
    }
    request.on('end', () => {
      one.end = 'whole'
    })
    request.on('error', () => {
      one.end = 'cut off'
    })
    response.on('close', () => {
      if (one.end === 'open') one.end = 'cut off'
    })
  }
  const way = WAYS[url.pathname]
  if (way) way(url, request, response)
  else response.writeHead(404).end()
}

async function collected(request: http.IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}
