import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import { binaries, POSTGRES } from './binaries.ts'
import { shared } from './one-per-run.ts'
import { createHome, onFreePort, type Running, run, unprivileged } from './server.ts'

const execute = promisify(execFile)

/** `fast` ends sessions and writes everything down; `immediate` is a crash, after which the log is replayed. */
export type Mode = 'fast' | 'immediate'

export interface PostgresServer {
  url: string
  /** Does nothing when it is stopped already. */
  stop(mode?: Mode): Promise<void>
  /** On the same port, with the same data. */
  start(): Promise<void>
  restart(mode?: Mode): Promise<void>
  /** Ends it and removes its data. */
  drop(): Promise<void>
}

/** A new, empty database on DATABASE_URL's server, else on the one that all tests share. */
export async function freshDatabase(): Promise<{ url: string; drop(): Promise<void> }> {
  const server = process.env.DATABASE_URL ?? (await shared('postgres', startPostgres))
  const name = `cordboard_test_${randomBytes(6).toString('hex')}`
  const url = new URL(server)
  url.pathname = `/${name}`
  await query(server, `create database ${name}`)
  return { url: url.href, drop: () => query(server, `drop database if exists ${name} with (force)`) }
}

/** A server of one's own, for tests that break it. Commits are durable, as in production. */
export async function startPostgres(): Promise<PostgresServer> {
  const { paths, env } = await binaries(POSTGRES)
  const home = createHome('postgres', 'QUIT', unprivileged(['postgres', 'nobody']))
  const data = join(home.path, 'data')
  const password = randomBytes(12).toString('hex')
  const passwordFile = join(home.path, 'password')
  let running: Running | null = null
  let port = 0
  const url = () => `postgres://cordboard:${password}@127.0.0.1:${port}/postgres`

  async function start(): Promise<void> {
    const settings = {
      listen_addresses: '127.0.0.1',
      port: String(port),
      unix_socket_directories: '',
      max_connections: '200',
      fsync: 'on',
      synchronous_commit: 'on',
      log_min_messages: 'warning',
    }
    const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
    running ??= await run(
      home,
      [paths.postgres ?? '', '-D', data, ...flags],
      () => query(url(), 'select 1'),
      env,
    )
  }
  async function stop(mode: Mode = 'fast'): Promise<void> {
    await running?.end(mode === 'fast' ? 'SIGINT' : 'SIGQUIT')
    running = null
  }

  try {
    // Readable for the server's user and for nobody else: the folder lets only its owner in.
    writeFileSync(passwordFile, password)
    const args = [
      '-D',
      data,
      '-U',
      'cordboard',
      '-E',
      'UTF8',
      '--auth=scram-sha-256',
      `--pwfile=${passwordFile}`,
    ]
    await execute(paths.initdb ?? '', [...args, '--locale=C', '--no-sync'], {
      cwd: home.path,
      env: { ...process.env, ...env },
      ...(home.user ?? {}),
    })
    await onFreePort(async (free) => {
      port = free
      await start()
    })
  } catch (error) {
    await home.remove()
    throw error
  }
  return {
    url: url(),
    stop,
    start,
    async restart(mode) {
      await stop(mode)
      await start()
    },
    async drop() {
      await stop('immediate')
      await home.remove()
    },
  }
}

async function query(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 })
  // A connection that is cut while it ends must not end the tests.
  client.on('error', () => undefined)
  try {
    await client.connect()
    await client.query(sql)
  } finally {
    await client.end().catch(() => undefined)
  }
}
