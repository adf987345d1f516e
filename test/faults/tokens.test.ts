import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { sql } from 'kysely'
import { describe, expect, it } from 'vitest'
import type { Store } from '../../src/store/port.ts'
import { openPostgresStore } from '../../src/store/postgres.ts'
import { openSqliteStore } from '../../src/store/sqlite.ts'
import { freshDatabase } from '../services/postgres.ts'
import type { TokenChildAsk, TokenChildSays } from './tokens-child.ts'
import { within } from './within.ts'

// Three processes with ten steps each want a new token of the same account at once. The vendor gives out a new refresh
// token with every answer, and takes each of them once.

const SCRIPT = fileURLToPath(new URL('./tokens-child.ts', import.meta.url))
const COMPILED = join(tmpdir(), 'cordboard-test-compiled')
const PATIENCE_MS = 15_000

interface Opened {
  target: string
  store: Store
  drop(): Promise<void>
}

async function sqlite(): Promise<Opened> {
  const directory = await mkdtemp(join(tmpdir(), 'cordboard-tokens-'))
  const target = join(directory, 'cordboard.db')
  const store = await openSqliteStore({ file: target })
  await store.migrate()
  const drop = () => store.close().then(() => rm(directory, { recursive: true, force: true }))
  return { target, store, drop }
}

async function postgres(): Promise<Opened> {
  const { url, drop } = await freshDatabase()
  const store = await openPostgresStore({ url, maxConnections: 3 })
  await store.migrate()
  return { target: url, store, drop: () => store.close().then(drop) }
}

/** A token endpoint that answers only when it is told to. */
async function openEndpoint() {
  const given: { from: number; refreshToken: string; status: number }[] = []
  const asking: { from: number; refreshToken: string; response: ServerResponse }[] = []
  let arrived = Promise.withResolvers<void>()
  let valid = 0
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString()
    })
    request.on('end', () => {
      const from = Number(request.headers['x-process'])
      asking.push({ from, refreshToken: new URLSearchParams(body).get('refresh_token') ?? '', response })
      arrived.resolve()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`,
    given,
    /** Processes whose requests were not answered. */
    get waiting() {
      return asking.map(({ from }) => from)
    },
    async arrival() {
      if (asking.length === 0) await within('somebody asks for a token', arrived.promise, PATIENCE_MS)
    },
    answer() {
      arrived = Promise.withResolvers<void>()
      for (const { from, refreshToken, response } of asking.splice(0)) {
        const isGood = refreshToken === `refresh-${valid}`
        if (isGood) valid += 1
        const status = isGood ? 200 : 400
        given.push({ from, refreshToken, status })
        response.writeHead(status, { 'content-type': 'application/json' })
        response.end(
          JSON.stringify(
            isGood
              ? { access_token: `access-${valid}`, refresh_token: `refresh-${valid}` }
              : { error: 'invalid_grant' },
          ),
        )
      }
    },
    /** Its processes are gone: nobody reads an answer. */
    forget() {
      arrived = Promise.withResolvers<void>()
      for (const { response } of asking.splice(0)) response.destroy()
    },
    close() {
      server.close()
      server.closeAllConnections()
    },
  }
}

function startChild(target: string, endpoint: string) {
  const child: ChildProcess = fork(SCRIPT, [target, endpoint], {
    execArgv: [],
    env: { ...process.env, NODE_COMPILE_CACHE: COMPILED, NODE_OPTIONS: '' },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const next = async () => {
    const [message] = (await within('a process answers', once(child, 'message'), PATIENCE_MS)) as [
      TokenChildSays,
    ]
    return message
  }
  return {
    pid: child.pid ?? 0,
    ready: next(),
    /** Resolves when all ten have asked. */
    async ask(ask: TokenChildAsk): Promise<{ answers: Promise<string[]> }> {
      const asked = next()
      child.send(ask)
      expect(await asked).toBe('asked')
      return { answers: next() as Promise<string[]> }
    },
    async kill() {
      if (child.exitCode !== null || child.signalCode !== null) return
      const exit = once(child, 'exit')
      child.kill('SIGKILL')
      await exit
    },
  }
}

describe.each([
  ['SQLite', sqlite],
  ['PostgreSQL', postgres],
])('on %s', (_, open) => {
  it('three processes with ten workers each refresh once, again and again, and survive one that is killed', async () => {
    const { target, store, drop } = await open()
    const endpoint = await openEndpoint()
    const children = [0, 1, 2].map(() => startChild(target, endpoint.url))
    try {
      await Promise.all(children.map(({ ready }) => ready))
      const askAll = (ask: TokenChildAsk = {}) => Promise.all(children.map((child) => child.ask(ask)))
      const all = async (asked: readonly { answers: Promise<string[]> }[]) =>
        (await Promise.all(asked.map(({ answers }) => answers))).flat()
      /** As if the token had been in use for a while: only then is a refusal of it believed. */
      const age = (set: { issued_at?: number; lease_until?: number }) =>
        store.atomic(
          [],
          [
            store.db
              .updateTable('tokens')
              .set(
                Object.fromEntries(
                  Object.entries(set).map(([column, ms]) => [column, sql`${sql.ref(column)} - ${ms}`]),
                ),
              ),
          ],
        )

      const first = await askAll()
      await endpoint.arrival()
      endpoint.answer()
      expect(await all(first)).toEqual(Array(30).fill('access-1'))
      expect(endpoint.given).toHaveLength(1)

      await age({ issued_at: 60_000 })
      const second = await askAll({ refused: 'access-1' })
      await endpoint.arrival()
      endpoint.answer()
      expect(await all(second)).toEqual(Array(30).fill('access-2'))
      expect(endpoint.given).toHaveLength(2)

      await age({ issued_at: 60_000 })
      const third = await askAll({ refused: 'access-2' })
      await endpoint.arrival()
      const [dying] = endpoint.waiting
      await children.find(({ pid }) => pid === dying)?.kill()
      endpoint.forget()
      // Until its lease has ended, nobody takes over.
      await age({ lease_until: 60_000 })
      await endpoint.arrival()
      endpoint.answer()
      const survivors = third.filter((_, at) => children[at]?.pid !== dying)
      expect(await all(survivors)).toEqual(Array(20).fill('access-3'))

      expect(endpoint.waiting).toEqual([])
      expect(endpoint.given.map(({ refreshToken, status }) => [refreshToken, status])).toEqual([
        ['refresh-0', 200],
        ['refresh-1', 200],
        ['refresh-2', 200],
      ])
      const row = await store.db.selectFrom('tokens').selectAll().executeTakeFirstOrThrow()
      expect(new TextDecoder('latin1').decode(row.sealed ?? undefined)).not.toMatch(/access|refresh/)
    } finally {
      await Promise.all(children.map((child) => child.kill()))
      endpoint.close()
      await drop()
    }
  }, 60_000)
})
