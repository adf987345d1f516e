import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Redis } from 'ioredis'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { binaries, installed, type Places, POSTGRES, REDIS } from './binaries.ts'
import { freshDatabase, startPostgres } from './postgres.ts'
import { freshRedis, startRedis } from './redis.ts'

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cordboard-services-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const program = async (file: string, script = 'exit 1') => {
  await mkdir(join(file, '..'), { recursive: true })
  await writeFile(file, `#!/bin/sh\n${script}\n`)
  await chmod(file, 0o755)
  return file
}

describe('programs of the servers', () => {
  const nowhere = (): Places => ({
    path: '',
    root: join(folder, 'empty'),
    cache: join(folder, 'cache'),
    apt: null,
  })

  it('fails with one sentence that says what is missing, elsewhere than on Debian', async () => {
    await expect(binaries(POSTGRES, nowhere())).rejects.toThrow(
      /^PostgreSQL is missing: install initdb, or set DATABASE_URL to a server that tests may use$/,
    )
    await expect(binaries(REDIS, nowhere())).rejects.toThrow(
      /^Redis or Valkey is missing: install redis-server or valkey-server, or set REDIS_URL to a server that tests may use$/,
    )
  })

  it('fails with that sentence and the cause, when Debian cannot be reached', async () => {
    const apt = await program(join(folder, 'apt-get'), 'echo "cannot resolve mirror.example" >&2; exit 100')
    const failed = binaries(REDIS, { ...nowhere(), apt })
    await expect(failed).rejects.toThrow(/^Redis or Valkey is missing: .*could not be fetched$/)
    await expect(failed).rejects.toMatchObject({ cause: { stderr: 'cannot resolve mirror.example\n' } })
  })

  it('takes the newest version that Debian keeps outside of the PATH', async () => {
    const root = join(folder, 'debian')
    for (const version of ['9', '15', '17']) {
      await program(join(root, 'usr/lib/postgresql', version, 'bin/initdb'))
      if (version !== '17') await program(join(root, 'usr/lib/postgresql', version, 'bin/postgres'))
    }
    // 17 has no server: half an installation is none.
    expect(installed(POSTGRES, { ...nowhere(), root })?.paths.postgres).toBe(
      join(root, 'usr/lib/postgresql/15/bin/postgres'),
    )
  })

  it('takes Valkey where there is no Redis', async () => {
    const file = await program(join(folder, 'valkey/valkey-server'))
    expect(installed(REDIS, { ...nowhere(), path: join(folder, 'valkey') })?.paths).toEqual({
      'valkey-server': file,
    })
  })
})

describe('a PostgreSQL of one’s own', () => {
  it('keeps what was committed through a crash, and removes everything at the end', {
    timeout: 60_000,
  }, async () => {
    const server = await startPostgres()
    const read = async (sql: string) => {
      const client = new pg.Client({ connectionString: server.url })
      await client.connect()
      try {
        return (await client.query(sql)).rows
      } finally {
        await client.end()
      }
    }
    await read('create table kept as select 7 as n')
    const [data] = await read('show data_directory')
    await server.restart('immediate')
    expect(await read('select n from kept')).toEqual([{ n: 7 }])
    expect(await read('show fsync')).toEqual([{ fsync: 'on' }])
    await server.stop()
    await expect(read('select 1')).rejects.toThrow('ECONNREFUSED')
    await server.drop()
    expect(existsSync(data.data_directory)).toBe(false)
  })
})

describe('a Redis of one’s own', () => {
  it.each([
    { appendonly: true, kept: '7' },
    { appendonly: false, kept: null },
  ])('after a kill, with appendonly $appendonly, answers $kept', async ({ appendonly, kept }) => {
    const server = await startRedis({ appendonly })
    const once = async (use: (client: Redis) => Promise<unknown>) => {
      const client = new Redis(server.url, { lazyConnect: true, retryStrategy: () => null })
      await client.connect()
      return use(client).finally(() => client.disconnect())
    }
    await once((client) => client.set('n', '7'))
    await server.kill()
    await server.start()
    expect(await once((client) => client.get('n'))).toBe(kept)
    await server.drop()
  })
})

describe('the servers that tests share', () => {
  it('gives every asker an empty database, and drops it with those who are still in it', async () => {
    const [one, other] = await Promise.all([freshDatabase(), freshDatabase()])
    expect(one.url).not.toBe(other.url)
    const client = new pg.Client({ connectionString: one.url })
    client.on('error', () => undefined)
    await client.connect()
    expect((await client.query("select * from pg_tables where schemaname = 'public'")).rows).toEqual([])
    await Promise.all([one.drop(), other.drop()])
    await expect(client.query('select 1')).rejects.toThrow()
    const again = new pg.Client({ connectionString: one.url })
    await expect(again.connect()).rejects.toThrow('does not exist')
  })

  it('removes the keys with the prefix and no others', async () => {
    const [one, other] = await Promise.all([freshRedis(), freshRedis()])
    const client = new Redis(one.url)
    await client.mset(`${one.prefix}:a`, '1', `{${one.prefix}}:b`, '1', `${other.prefix}:a`, '1')
    await one.drop()
    expect(await client.keys(`*${one.prefix}*`)).toEqual([])
    expect(await client.keys(`*${other.prefix}*`)).toEqual([`${other.prefix}:a`])
    await other.drop()
    client.disconnect()
  })
})

it('servers end with the process that started them, even by kill -9', { timeout: 60_000 }, async () => {
  const child = spawn(process.execPath, [fileURLToPath(new URL('abandon.ts', import.meta.url))], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const line = await new Promise<string>((resolve) =>
    child.stdout.once('data', (data) => resolve(String(data))),
  )
  const { ports, folders } = JSON.parse(line) as { ports: number[]; folders: string[] }
  expect(await Promise.all(ports.map(isOpen))).toEqual([true, true])
  expect(folders.map((path) => existsSync(path))).toEqual([true, true])
  child.kill('SIGKILL')
  const left = async () =>
    folders.filter((path) => existsSync(path)).length +
    (await Promise.all(ports.map(isOpen))).filter(Boolean).length
  await expect.poll(left, { timeout: 30_000, interval: 50 }).toBe(0)
})

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })
}
