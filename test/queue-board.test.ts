import { appRoutes } from '@bull-board/api/dist/routes.js'
import { Queue } from 'bullmq'
import { Hono } from 'hono'
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { ROLES, type Role, type Token } from '../src/http/auth.ts'
import { type BullBoardOptions, mountBullBoard } from '../src/node/bull-board.ts'
import { createSigner } from '../src/node/signer.ts'
import { createBullQueue } from '../src/queue/bullmq.ts'
import { type RedisServer, startRedis } from './services/redis.ts'

const TOKENS: Record<Role, string> = {
  viewer: 'viewer-token-0123456789',
  ingest: 'ingest-token-0123456789',
  operator: 'operator-token-0123456789',
  admin: 'admin-token-0123456789',
}
const tokens: Token[] = ROLES.map((role) => ({ role, token: TOKENS[role] }))
const LANES = ['core', 'twilio-main', 'hubspot-eu']
const PREFIX = 'test-board'
const BASE = '/admin/queues'

const basic = (password: string, user = 'anyone') => `Basic ${btoa(`${user}:${password}`)}`

interface Board {
  get(path: string, as?: Role | null): Promise<Response>
  send(path: string, init: RequestInit): Promise<Response>
  logged: string[]
  close(): Promise<void>
}

function openBoard(url: string, more: Partial<BullBoardOptions> = {}): Board {
  const app = new Hono()
  const logged: string[] = []
  const note = (message: string, fields = {}) => void logged.push(`${message} ${JSON.stringify(fields)}`)
  const { close } = mountBullBoard(app, {
    redis: url,
    prefix: PREFIX,
    lanes: LANES,
    tokens,
    signer: createSigner(),
    log: { debug: note, info: note, warn: note, error: note },
    ...more,
  })
  const send = async (path: string, init: RequestInit) => app.request(`http://board.test${path}`, init)
  return {
    send,
    get: (path, as = 'admin') =>
      send(path, as === null ? {} : { headers: { authorization: basic(TOKENS[as]) } }),
    logged,
    close,
  }
}

/** What is in the database, whatever the names. */
async function everything(redis: Redis): Promise<Record<string, string>> {
  const keys = (await redis.keys('*')).sort()
  return Object.fromEntries(
    await Promise.all(keys.map(async (key) => [key, (await redis.dumpBuffer(key))?.toString('hex') ?? ''])),
  )
}

async function pidOf({ url }: RedisServer): Promise<number> {
  const client = new Redis(url)
  const info = await client.info('server')
  client.disconnect()
  return Number(/process_id:(\d+)/.exec(info)?.[1])
}

let server: RedisServer
let redis: Redis
beforeAll(async () => {
  server = await startRedis()
  redis = new Redis(server.url)
})
afterAll(async () => {
  redis?.disconnect()
  await server?.drop()
})

describe('the board', () => {
  let board: Board
  beforeEach(() => {
    board = openBoard(server.url)
  })
  afterEach(async () => {
    await board.close()
    await redis.flushall()
  })

  const paths: [path: string, allowed: number][] = [
    [BASE, 200],
    [`${BASE}/`, 200],
    [`${BASE}/queue/core`, 200],
    [`${BASE}/api/queues`, 200],
    [`${BASE}/api/redis/stats`, 200],
    [`${BASE}/static/images/logo.svg`, 200],
    [`${BASE}/static/js/no-such.js`, 404],
    [`${BASE}/static/..%2f..%2fpackage.json`, 404],
    [`${BASE}/api/queues/no-such/workers`, 404],
    [`${BASE}/no/such/page/at/all`, 404],
  ]
  for (const [path, allowed] of paths) {
    for (const as of [null, ...ROLES]) {
      const expected = as === null ? 401 : as === 'admin' ? allowed : 403
      it(`${path} as ${as ?? 'nobody'} answers ${expected} with strict headers`, async () => {
        const response = await board.get(path, as)
        expect(response.status).toBe(expected)
        const policy = response.headers.get('content-security-policy') ?? ''
        expect(policy).toContain("default-src 'none'")
        expect(policy).toContain("script-src 'self';")
        expect(policy).toContain("frame-ancestors 'none'")
        expect(response.headers.get('x-content-type-options')).toBe('nosniff')
        expect(response.headers.get('cache-control')).toBe('no-store')
        expect(response.headers.get('referrer-policy')).toBe('no-referrer')
        expect(response.headers.has('access-control-allow-origin')).toBe(false)
        expect(response.headers.get('www-authenticate')).toBe(
          expected === 401 ? 'Basic realm="cordboard", charset="UTF-8"' : null,
        )
        if (expected === 401 || expected === 403) {
          expect(response.headers.get('content-type')).toBe('application/problem+json')
          const problem = (await response.json()) as { code: string }
          expect(problem.code).toBe(expected === 401 ? 'unauthorized' : 'role_missing')
        }
      })
    }
  }

  const headers: [string, string, number][] = [
    ['an empty user name', basic(TOKENS.admin, ''), 200],
    ['the scheme in capitals', basic(TOKENS.admin).replace('Basic', 'BASIC'), 200],
    ['the token as a bearer', `Bearer ${TOKENS.admin}`, 200],
    ['the token as the user name', basic('', TOKENS.admin), 401],
    ['no colon', `Basic ${btoa(TOKENS.admin)}`, 401],
    ['a prefix of the token', basic(TOKENS.admin.slice(0, -1)), 401],
    ['the token and more', basic(`${TOKENS.admin}x`), 401],
    ['the token behind a colon', basic(`:${TOKENS.admin}`), 401],
    ['two tokens', basic(`${TOKENS.viewer} ${TOKENS.admin}`), 401],
    ['a line break', basic(`${TOKENS.admin}\r\nx: y`), 401],
    ['bytes that are no text', `Basic ${btoa('x:\u00ff\u0000')}`, 401],
    ['no base64', 'Basic ???', 401],
    ['nothing', 'Basic ', 401],
  ]
  for (const [what, authorization, expected] of headers) {
    it(`answers ${expected} to ${what}`, async () => {
      expect((await board.send(`${BASE}/api/queues`, { headers: { authorization } })).status).toBe(expected)
    })
  }

  it('compares the password with every token', async () => {
    let compared = 0
    const signer = createSigner()
    const equal = (a: Uint8Array, b: Uint8Array) => {
      compared += 1
      return signer.equal(a, b)
    }
    const counted = openBoard(server.url, { signer: { ...signer, equal } })
    await counted.get(BASE, 'viewer')
    expect(compared).toBe(tokens.length)
    await counted.close()
  })

  it('is a page whose files are all served from here', async () => {
    const response = await board.get(BASE)
    expect(response.headers.get('content-type')).toMatch(/^text\/html/)
    const page = await response.text()
    expect(page).toContain('Cordboard queues')
    expect(page).not.toMatch(/(?:href|src)="?(?:https?:)?\/\//)
    expect(page).toContain(`<base href="${BASE}/"`)
    const files = [...page.matchAll(/(?:href|src)="(static\/[^"]+)"/g)].map(([, file]) => file ?? '')
    expect(files.filter((file) => file.endsWith('.js')).length).toBeGreaterThan(1)
    expect(files.filter((file) => file.endsWith('.css')).length).toBeGreaterThan(0)
    for (const file of files) {
      const answer = await board.get(`${BASE}/${file}`)
      expect([file, answer.status]).toEqual([file, 200])
      expect(answer.headers.get('content-type')).toMatch(/javascript|css|svg|png/)
      expect((await answer.arrayBuffer()).byteLength).toBeGreaterThan(100)
    }
  })

  it('answers HEAD without a body', async () => {
    const response = await board.send(BASE, {
      method: 'HEAD',
      headers: { authorization: basic(TOKENS.admin) },
    })
    expect([response.status, await response.text()]).toEqual([200, ''])
  })

  it('shows every lane and its bells, for looking only, and leaves no trace in Redis', async () => {
    const queue = new Queue('hubspot-eu', { connection: redis, prefix: `{${PREFIX}}` })
    await queue.addBulk([
      { name: 'bell', data: {} },
      { name: 'bell', data: { step: 'stp_1' }, opts: { delay: 60_000 } },
    ])
    await queue.close()
    const before = await everything(redis)
    const list = await board.get(
      `${BASE}/api/queues?activeQueue=hubspot-eu&status=latest&page=1&jobsPerPage=10`,
    )
    const { queues } = (await list.json()) as {
      queues: {
        name: string
        readOnlyMode: boolean
        allowRetries: boolean
        counts: Record<string, number>
        jobs: unknown[]
      }[]
    }
    expect(queues.map(({ name }) => name).sort()).toEqual([...LANES].sort())
    for (const one of queues) expect([one.readOnlyMode, one.allowRetries]).toEqual([true, false])
    const shown = queues.find(({ name }) => name === 'hubspot-eu')
    expect(shown?.counts).toMatchObject({ waiting: 1, delayed: 1 })
    expect(shown?.jobs.length).toBe(2)
    for (const [path] of paths) await board.get(path)
    expect(await everything(redis)).toEqual(before)
  })

  it('shows the bells that the queue rings, which hold nothing but ids', async () => {
    const log = {
      debug: () => undefined,
      info: () => undefined,
      warn: () => undefined,
      error: () => undefined,
    }
    const queue = createBullQueue({ redis: server.url, lanes: LANES, prefix: PREFIX, now: Date.now, log })
    const shown = async () => {
      queue.wake([{ step: 'stp_1', lane: 'twilio-main', dueAt: Date.now() + 60_000 }])
      const list = await board.get(
        `${BASE}/api/queues?activeQueue=twilio-main&status=latest&page=1&jobsPerPage=10`,
      )
      const { queues } = (await list.json()) as { queues: { name: string; jobs: { data: object }[] }[] }
      return queues.find(({ name }) => name === 'twilio-main')?.jobs ?? []
    }
    await expect.poll(async () => (await shown()).length, { timeout: 5000 }).toBeGreaterThan(0)
    for (const { data } of await shown()) {
      for (const value of Object.values(data)) expect(String(value)).toMatch(/^(?:stp_\w+|[a-z0-9-]{1,63})$/)
    }
    await queue.stop(0)
  })

  it('refuses everything that would change a bell, and Redis stays as it is', async () => {
    const queue = new Queue('core', { connection: redis, prefix: `{${PREFIX}}` })
    const job = await queue.add('bell', {}, { delay: 60_000 })
    await queue.close()
    const before = await everything(redis)
    const changes = appRoutes.api.flatMap(({ method, route }) =>
      [method]
        .flat()
        .flatMap((verb) => (verb === 'get' ? [] : [route].flat().map((path) => ({ verb, path })))),
    )
    expect(changes.length).toBeGreaterThan(10)
    for (const { verb, path } of [...changes, { verb: 'delete', path: '/api/queues/:queueName/:jobId' }]) {
      const filled = path
        .replace(':queueName', 'core')
        .replace(':jobId', job.id ?? '')
        .replace(':queueStatus', 'delayed')
      const init = {
        method: verb.toUpperCase(),
        headers: { authorization: basic(TOKENS.admin), 'content-type': 'application/json' },
        body: '{}',
      }
      const response = await board.send(`${BASE}${filled}`, init)
      expect([verb, path, response.status]).toEqual([verb, path, 405])
      expect(response.headers.get('allow')).toBe('GET, HEAD')
      expect((await board.send(`${BASE}${filled}`, { ...init, headers: {} })).status).toBe(401)
    }
    expect(await everything(redis)).toEqual(before)
  })

  it('connects when an admin looks, not before, and lets go when it is closed', async () => {
    const clients = async () =>
      String(await redis.client('LIST'))
        .trim()
        .split('\n').length
    const before = await clients()
    await board.get(BASE, 'viewer')
    await board.get(BASE, null)
    expect(await clients()).toBe(before)
    await board.get(BASE)
    expect(await clients()).toBe(before + 1)
    await board.close()
    await expect.poll(clients, { timeout: 2000 }).toBe(before)
    expect((await board.get(BASE)).status).toBe(503)
  })
})

describe('with its Redis, which asks for a password,', () => {
  it('shows neither that, nor an address, nor a token', async () => {
    const own = await startRedis()
    const { password } = new URL(own.url)
    expect(password.length).toBeGreaterThan(8)
    const board = openBoard(own.url)
    try {
      const texts: string[] = []
      for (const path of [BASE, `${BASE}/api/queues?activeQueue=core`, `${BASE}/api/redis/stats`]) {
        const response = await board.get(path)
        expect(response.status).toBe(200)
        texts.push(await response.text())
      }
      await own.kill()
      texts.push(await (await board.get(`${BASE}/api/queues`)).text(), ...board.logged)
      for (const secret of [password, ...Object.values(TOKENS), '127.0.0.1']) {
        expect(texts.join('\n')).not.toContain(secret)
      }
    } finally {
      await board.close()
      await own.drop()
    }
  })
})

describe('while Redis is away', () => {
  let own: RedisServer
  let board: Board
  beforeEach(async () => {
    own = await startRedis()
    board = openBoard(own.url)
  })
  afterEach(async () => {
    const from = performance.now()
    await board.close()
    expect(performance.now() - from).toBeLessThan(2_500)
    await own.drop()
  })
  const away = async (path = `${BASE}/api/queues`) => {
    const from = performance.now()
    const response = await board.get(path)
    expect(performance.now() - from).toBeLessThan(2_500)
    expect(response.status).toBe(503)
    expect(response.headers.get('content-type')).toBe('application/problem+json')
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(await response.json()).toMatchObject({
      code: 'storage_unavailable',
      detail: 'Redis does not answer',
    })
  }
  const again = () =>
    expect.poll(async () => (await board.get(`${BASE}/api/queues`)).status, { timeout: 10_000 }).toBe(200)

  it('from the start, it says so, and works when Redis is there', async () => {
    await own.kill()
    await away()
    await away(BASE)
    await own.start()
    await again()
  })

  it('after it was there, it says so, and works when Redis is back', async () => {
    expect((await board.get(`${BASE}/api/queues`)).status).toBe(200)
    await own.kill()
    await away()
    await away(BASE)
    await own.start()
    await again()
  })

  it('connects once for all pages that are asked for first', async () => {
    const pages = await Promise.all(
      [BASE, `${BASE}/api/queues`, `${BASE}/api/redis/stats`].map((path) => board.get(path)),
    )
    expect(pages.map(({ status }) => status)).toEqual([200, 200, 200])
  })

  it('and its connection hangs, it says so', async () => {
    expect((await board.get(`${BASE}/api/queues`)).status).toBe(200)
    const hung = await pidOf(own)
    process.kill(hung, 'SIGSTOP')
    try {
      await away()
    } finally {
      process.kill(hung, 'SIGCONT')
    }
    await again()
  })

  it('nobody but an admin learns that', async () => {
    await own.kill()
    expect((await board.get(BASE, null)).status).toBe(401)
    expect((await board.get(BASE, 'operator')).status).toBe(403)
  })
})
