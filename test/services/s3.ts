import { createHash, randomUUID } from 'node:crypto'
import { mkdtemp, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import http from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join, sep } from 'node:path'
import { Readable } from 'node:stream'
import type { S3Settings } from '../../src/media/s3.ts'

/**
 * An S3-compatible server of its own folder: s3rver, which checks signatures. What S3 promises and s3rver lacks is added
 * in front of it: no anonymous and no outdated requests, hashes of bodies compared, uploads aborted, parts compared with
 * what was sent, objects that appear whole.
 */

/** The part of s3rver and Koa that is used here; neither brings types. */
interface Context {
  req: http.IncomingMessage | Readable
  method: string
  url: string
  get(header: string): string
  response: { get(header: string): string | undefined }
  status: number
  type: string
  body: unknown
}
type Middleware = (ctx: Context, next: () => Promise<void>) => Promise<void>
type Put = (path: string, content: Readable | Buffer) => Promise<unknown>
interface S3rver {
  middleware: Middleware[]
  store: { putContent: Put }
  logger: { close(): void }
  configureBuckets(): Promise<unknown>
  callback(): http.RequestListener
}
const require = createRequire(import.meta.url)
const Server: new (options: object) => S3rver = require('@20minutes/s3rver')

/** True: the request is answered (or its connection is gone), and s3rver never sees it. */
export type Intercept = (request: http.IncomingMessage, response: http.ServerResponse) => boolean

export interface RunningS3 {
  settings: S3Settings & { prefix: string; pathStyle: boolean }
  /** Sees every request first; null: none. */
  intercept(handler: Intercept | null): void
  /** Keys of all objects, and `unfinished:<key>` of each upload that was neither completed nor aborted. */
  keys(): Promise<string[]>
  stop(): Promise<void>
}

const BUCKET = 'cordboard-media'
const OBJECT = '._S3rver_object'
const MOST_SKEW_MS = 15 * 60_000
const LEAST_PART_BYTES = 5 * 1024 * 1024

export async function startS3(): Promise<RunningS3> {
  const folder = await mkdtemp(join(tmpdir(), 'cordboard-s3-'))
  const uploads = join(folder, BUCKET, '._S3rver_uploads')
  const app = new Server({
    silent: true,
    directory: folder,
    configureBuckets: [{ name: BUCKET }],
  })
  app.middleware.unshift(strict(uploads))
  app.store.putContent = whole(app.store.putContent.bind(app.store))
  await app.configureBuckets()

  let handler: Intercept | null = null
  const serve = app.callback()
  const server = http.createServer((request, response) => {
    if (!handler?.(request, response)) serve(request, response)
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })

  return {
    settings: {
      endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      bucket: BUCKET,
      region: 'us-east-1',
      accessKeyId: 'S3RVER',
      secretAccessKey: 'S3RVER',
      prefix: '',
      pathStyle: true,
    },
    intercept: (given) => {
      handler = given
    },
    async keys() {
      const names = await readdir(join(folder, BUCKET), { recursive: true })
      const objects = names.filter((name) => name.endsWith(OBJECT))
      const begun = (await readdir(uploads).catch(() => [])).map((id) =>
        readFile(join(uploads, id, 'key'), 'utf8'),
      )
      return [
        ...objects.map((name) => name.slice(0, -OBJECT.length).split(sep).join('/')),
        ...(await Promise.all(begun)).map((key) => `unfinished:${key}`),
      ].sort()
    },
    async stop() {
      await new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
      app.logger.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

function strict(uploads: string): Middleware {
  return async (ctx, next) => {
    // Presigned: the server itself compares the signature and its age.
    if (new URL(ctx.url, 'http://s3').searchParams.has('X-Amz-Signature')) return next()
    if (ctx.get('authorization') === '') return refuse(ctx, 403, 'AccessDenied')
    if (Math.abs(timeOf(ctx.get('x-amz-date')) - Date.now()) > MOST_SKEW_MS) {
      return refuse(ctx, 403, 'RequestTimeTooSkewed')
    }
    const body = await bytesOf(ctx.req)
    if (ctx.get('x-amz-content-sha256') !== createHash('sha256').update(body).digest('hex')) {
      return refuse(ctx, 400, 'XAmzContentSHA256Mismatch')
    }
    const query = new URL(ctx.url, 'http://s3').searchParams
    if (query.has('delete') && ctx.get('content-md5') !== createHash('md5').update(body).digest('base64')) {
      return refuse(ctx, 400, 'InvalidDigest')
    }
    const id = query.get('uploadId')
    const upload = id === null ? null : join(uploads, id)
    if (upload !== null) {
      if ((await stat(upload).catch(() => null)) === null) return refuse(ctx, 404, 'NoSuchUpload')
      const wrong = ctx.method === 'POST' ? await wrongParts(upload, body.toString()) : null
      if (wrong !== null) return refuse(ctx, 400, wrong)
    }
    // s3rver reads the body from here and everything else from Koa's own request.
    ctx.req = Readable.from(body.byteLength === 0 ? [] : [body])
    try {
      await next()
      // No range of nothing can be satisfied; s3rver announces a byte that never comes.
      if (ctx.response.get('content-range')?.endsWith('/0')) refuse(ctx, 416, 'InvalidRange')
    } catch (error) {
      // s3rver has checked the signature when it finds that it cannot abort.
      const cannot = error instanceof Error && 'code' in error && error.code === 'MethodNotAllowed'
      if (!cannot || ctx.method !== 'DELETE' || upload === null) throw error
      await rm(upload, { recursive: true })
      ctx.status = 204
    }
  }
}

/** Of `20130524T000000Z`. */
function timeOf(text: string): number {
  return Date.parse(text.replace(/^(....)(..)(..T..)(..)(..Z)$/, '$1-$2-$3:$4:$5'))
}

async function wrongParts(upload: string, xml: string): Promise<string | null> {
  const parts = [...xml.matchAll(/<PartNumber>(\d+)<\/PartNumber><ETag>([^<]*)<\/ETag>/g)]
  for (const [n, [, number = '', tag = '']] of parts.entries()) {
    const file = join(upload, number)
    const seen = await stat(file).catch(() => null)
    if (seen === null || !tag.includes(await readFile(`${file}.md5`, 'utf8'))) return 'InvalidPart'
    if (n < parts.length - 1 && seen.size < LEAST_PART_BYTES) return 'EntityTooSmall'
  }
  return parts.length === 0 ? 'MalformedXML' : null
}

/** An object of several writers is the whole of one of them. */
function whole(put: Put): Put {
  return async (path, content) => {
    const part = `${path}.${randomUUID()}`
    try {
      const said = await put(part, content)
      await rename(part, path)
      return said
    } catch (error) {
      await rm(part, { force: true })
      throw error
    }
  }
}

async function bytesOf(source: Readable): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of source) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

function refuse(ctx: Context, status: number, code: string): void {
  ctx.status = status
  ctx.type = 'application/xml'
  ctx.body = `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>refused</Message></Error>`
}
