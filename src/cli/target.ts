import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Config } from '../config/model.ts'
import { CordboardError, ERRORS, type ErrorCode } from '../errors.ts'
import { runningServer } from '../node/lock.ts'
import { createLog } from '../node/log.ts'
import { openDeps, STORE_FILE, secretsIn } from '../node/open.ts'
import { EMBEDDED, type Services, secretsOfServices } from '../node/services.ts'
import { readAdminToken } from '../node/tokens.ts'
import { dataDirOf, emptyConfig, readConfigured, servicesHere } from './configured.ts'
import type { Io } from './io.ts'
import { type FileToSend, putFile } from './put-file.ts'

/** The JSON API: of a running server, or of the data folder without one. The same requests, the same answers. */
export interface Target {
  /** `accept`: another form of the same, also JSON. */
  get<Answer>(path: string, query?: Record<string, string | undefined>, accept?: string): Promise<Answer>
  post<Answer>(path: string, body: object, headers?: Record<string, string>): Promise<Answer>
  /** A file of a known length, as it is read. */
  put(
    path: string,
    file: { bytes: number; body: ReadableStream<Uint8Array> },
    signal: AbortSignal,
  ): Promise<void>
  /** Where it is, for people. */
  says: string
  /** False when nothing works on what is asked for until a server starts. */
  works: boolean
  /** Of a data folder without a server: works on one lane from here. Answers how to stop. */
  workOn?(lane: string): Promise<() => Promise<void>>
  close(): Promise<void>
}

export interface TargetFlags {
  url?: string
  token?: string
  data?: string
  config?: string
}

/** Throws when there is neither a server nor a store; a number is the exit code of a wrong configuration. */
export async function openTarget(flags: TargetFlags, io: Io): Promise<Target | number> {
  const url = flags.url ?? (flags.data === undefined ? io.env.CORDBOARD_URL : undefined)
  const token = flags.token ?? io.env.CORDBOARD_TOKEN
  const dataDir = resolve(io.cwd, dataDirOf(flags.data, io))
  if (url !== undefined) {
    const base = URL.parse(url)
    if (!base)
      throw new CordboardError('bad_request', `${url} is no URL`, {
        fix: 'Write it as http://127.0.0.1:8080',
      })
    const kept = readAdminToken(dataDir)
    // The token of our data folder is for the server on our data folder, and for no other.
    const isOurs = kept !== null && runningServer(dataDir)?.url === base.origin
    return remote(base, token ?? (isOurs ? kept : undefined))
  }
  if (flags.data === undefined && (await servicesHere(io)).databaseUrl !== null) {
    const configured = await readConfigured(flags.config, io)
    if (typeof configured === 'number') return configured
    return local(dataDir, configured?.config ?? emptyConfig, configured?.services ?? (await servicesHere(io)))
  }
  if (!existsSync(join(dataDir, STORE_FILE))) {
    throw new CordboardError('unknown_object', `There is no store in ${dataDirOf(flags.data, io)}`, {
      fix: 'Name the data folder with --data DIR or a running server with --url URL; start one: cordboard serve',
    })
  }
  const configured = await readConfigured(flags.config, io)
  if (typeof configured === 'number') return configured
  return local(dataDir, configured?.config ?? emptyConfig, EMBEDDED)
}

function remote(base: URL, token: string | undefined): Target {
  const send = (request: Request) =>
    fetch(request).catch((cause: unknown) => {
      throw new CordboardError('no_server', `Nothing answers at ${base.origin}`, {
        fix: 'Start it: cordboard serve, or correct --url',
        cause,
      })
    })
  const target = requests(base.href.replace(/\/+$/, ''), token, send, putFile)
  return { ...target, says: base.origin, works: true, close: async () => undefined }
}

async function local(dataDir: string, config: Config, services: Services): Promise<Target> {
  const { createApp } = await import('../app.ts')
  const secrets = [...secretsIn(config), ...secretsOfServices(services)]
  const log = createLog({ level: 'warn', secrets })
  // Workers look for themselves every few seconds: a command that is over at once rings no bell.
  const quiet = { ...services, redisUrl: null }
  const deps = await openDeps({ config, dataDir, services: quiet, works: false, log })
  const token = randomBytes(24).toString('hex')
  const app = createApp({ ...deps, tokens: [{ role: 'admin', token, label: 'cli' }] })
  const send = async (request: Request) => app.fetch(request)
  const target = requests('http://cordboard', token, send, async ({ url, headers, body, signal }) =>
    send(new Request(url, { method: 'PUT', headers, body, signal, duplex: 'half' } as RequestInit)),
  )
  const isShared = services.databaseUrl !== null
  const close = async () => {
    await deps.queue.stop(0)
    await deps.close()
  }
  // Workers of a database may be anywhere; those of a folder are here or nowhere.
  const works = isShared || runningServer(dataDir) !== null
  const workOn = async (lane: string) => (await import('./work-on.ts')).workOn(deps, lane)
  return { ...target, says: isShared ? 'the database of DATABASE_URL' : dataDir, works, workOn, close }
}

function requests(
  base: string,
  token: string | undefined,
  send: (request: Request) => Promise<Response>,
  sendFile: (file: FileToSend) => Promise<Response>,
) {
  const headers = {
    accept: 'application/json',
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  }
  return {
    async get<Answer>(
      path: string,
      query: Record<string, string | undefined> = {},
      accept = 'application/json',
    ): Promise<Answer> {
      const given = Object.entries(query).flatMap(([name, value]) =>
        value === undefined ? [] : [[name, value]],
      )
      const search = new URLSearchParams(given).toString()
      const request = new Request(`${base}${path}${search && `?${search}`}`, {
        headers: { ...headers, accept },
      })
      return answer(await send(request))
    },
    async post<Answer>(path: string, body: object, further: Record<string, string> = {}): Promise<Answer> {
      const init = { method: 'POST', body: JSON.stringify(body) }
      return answer(
        await send(
          new Request(`${base}${path}`, {
            ...init,
            headers: { ...headers, ...further, 'content-type': 'application/json' },
          }),
        ),
      )
    },
    async put(
      path: string,
      { bytes, body }: { bytes: number; body: ReadableStream<Uint8Array> },
      signal: AbortSignal,
    ): Promise<void> {
      await answer(await sendFile({ url: `${base}${path}`, headers, bytes, body, signal }))
    },
  }
}

/** The answer as the API documents it; its problems become errors of the same code. */
async function answer<Answer>(response: Response): Promise<Answer> {
  const text = await response.text()
  const content = parsed(text)
  if (response.ok && content !== undefined) return content as Answer
  const problem = typeof content === 'object' && content !== null ? (content as Record<string, unknown>) : {}
  const code = String(problem.code)
  if (!Object.hasOwn(ERRORS, code)) {
    throw new CordboardError('internal', `The server answered ${response.status}`, {
      why: 'The answer is not one of Cordboard’s',
      fix: 'Check that --url names a Cordboard server',
    })
  }
  throw new CordboardError(code as ErrorCode, String(problem.detail), {
    ...(typeof problem.why === 'string' ? { why: problem.why } : {}),
    ...(typeof problem.fix === 'string' ? { fix: problem.fix } : {}),
  })
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
