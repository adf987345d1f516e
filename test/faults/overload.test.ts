import { Agent, request } from 'node:http'
import { createConnection, type Socket } from 'node:net'
import { expect, test } from 'vitest'
import type { SignedWebhook } from '../../src/sandbox/webhook.ts'
import { type Company, openCompany } from './company.ts'
import { pause, until, within } from './within.ts'

// Far more senders than one machine can serve. Nobody's connection is reset, nobody waits in vain: whoever cannot be
// stored is told to come back, and whoever was told 2xx is stored.

const PHONE_SYSTEM = 'sandbox-zadarma'
const SENDERS = Number(process.env.CORDBOARD_SENDERS ?? 2_000)
const REQUESTS = Number(process.env.CORDBOARD_REQUESTS ?? 12_000)
/** As src/pipeline/receive.ts has it: more are told to come back before their bodies are read. */
const MOST_AT_ONCE = 4_000
const MOST_GROWTH_BYTES = 400 * 1024 * 1024
/** Vendors hang up after three to five seconds. The promise is one; a busy machine gets some more. */
const LARGE_BODIES = 300
const LARGE_BODY_BYTES = 4 * 1024 * 1024
const LATE_MS = 3_000

test('with thousands of senders at once, every 2xx is stored, and everybody is answered', {
  timeout: 120_000,
}, async () => {
  await using company = await openCompany()
  const child = await company.child()
  await child.go()
  const webhooks = await ringing(company, REQUESTS)
  const agent = new Agent({ keepAlive: true, maxSockets: SENDERS, maxFreeSockets: SENDERS })
  const base = (await child.stats()).rssBytes
  let peak = base
  const watch = setInterval(() => {
    child.stats().then(
      ({ rssBytes }) => {
        peak = Math.max(peak, rssBytes)
      },
      () => undefined,
    )
  }, 100)
  const answers: Answer[] = []
  const startedAt = performance.now()
  let next = 0
  const sender = async () => {
    for (let webhook = webhooks[next++]; webhook; webhook = webhooks[next++]) {
      answers.push(await send(agent, webhook))
    }
  }
  await Promise.all(Array.from({ length: SENDERS }, sender))
  const seconds = (performance.now() - startedAt) / 1000
  clearInterval(watch)
  agent.destroy()

  const count = (status: number) => answers.filter((answer) => answer.status === status).length
  const took = answers.map(({ ms }) => ms).sort((a, b) => a - b)
  const at = (share: number) => Math.round(took[Math.floor((took.length - 1) * share)] ?? 0)
  const figures = {
    senders: SENDERS,
    perSecond: Math.round(answers.length / seconds),
    accepted: count(200),
    toldToComeBack: count(503),
    reset: count(0),
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    worstMs: at(1),
    grewMb: Math.round((peak - base) / 1024 / 1024),
  }
  console.log(JSON.stringify(figures))
  expect(figures.accepted + figures.toldToComeBack).toBe(REQUESTS)
  expect(answers.filter(({ status, retryAfter }) => status === 503 && retryAfter === undefined)).toEqual([])
  const [stored] = company.rows('select count(*) as n from deliveries')
  expect(stored?.n).toBe(figures.accepted)
  expect(figures.p99Ms).toBeLessThan(LATE_MS)
  expect(peak - base).toBeLessThan(MOST_GROWTH_BYTES)
})

test('beyond what it takes at once it says so without a wait, and those it has begun with are served', {
  timeout: 60_000,
}, async () => {
  await using company = await openCompany()
  const child = await company.child()
  await child.go()
  const webhooks = await ringing(company, MOST_AT_ONCE + 1)
  const extra = webhooks.pop()
  if (!extra) throw new Error('there is no webhook')

  const slow = await Promise.all(webhooks.map((webhook) => beginSlowly(company.port, webhook)))
  // When the first refusal comes, all places are taken.
  await until('all places are taken', async () => (await send(undefined, extra)).status === 503, 20_000)
  const startedAt = performance.now()
  const refused = await send(undefined, extra)
  expect(performance.now() - startedAt).toBeLessThan(1_000)
  expect(refused).toMatchObject({ status: 503, retryAfter: '2' })

  const statuses = await Promise.all(slow.map((one) => one.finish()))
  expect(statuses.filter((status) => status === 200)).toHaveLength(MOST_AT_ONCE)
  expect((await send(undefined, extra)).status).toBe(200)
  const [stored] = company.rows('select count(*) as n from deliveries')
  expect(stored?.n).toBeGreaterThanOrEqual(MOST_AT_ONCE)
})

test('senders nobody knows cannot fill its memory with bodies they never end', {
  timeout: 60_000,
}, async () => {
  await using company = await openCompany()
  const child = await company.child()
  await child.go()
  const [ordinary] = await ringing(company, 1)
  if (!ordinary) throw new Error('there is no webhook')
  const base = (await child.stats()).rssBytes
  const body = 'x'.repeat(LARGE_BODY_BYTES)
  const sending = Array.from({ length: LARGE_BODIES }, () =>
    beginSlowly(company.port, { ...ordinary, body }).catch(() => null),
  )
  await pause(3_000)
  const { rssBytes } = await child.stats()
  const grewMb = Math.round((rssBytes - base) / 1024 / 1024)
  console.log(JSON.stringify({ sentMb: Math.round((LARGE_BODIES * LARGE_BODY_BYTES) / 1024 / 1024), grewMb }))
  expect(rssBytes - base).toBeLessThan(MOST_GROWTH_BYTES)
  for (const one of await Promise.all(sending)) one?.cut()
  await until('others are served', async () => (await send(undefined, ordinary)).status === 200, 10_000)
})

/** Calls that begin to ring, each a different one. */
function ringing(company: Company, calls: number): Promise<SignedWebhook[]> {
  return Promise.all(
    Array.from({ length: calls }, (_, at) =>
      company.sandbox.sign(PHONE_SYSTEM, {
        says: 'NOTIFY_START',
        method: 'POST',
        path: '',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: new URLSearchParams({
          event: 'NOTIFY_START',
          call_start: '2026-11-20 12:00:00',
          pbx_call_id: `in_${String(at).padStart(40, '0')}`,
          caller_id: '33639981234',
          called_did: '33199000100',
        }).toString(),
      }),
    ),
  )
}

interface Answer {
  /** 0: the connection broke. */
  status: number
  retryAfter: string | undefined
  ms: number
}

function send(agent: Agent | undefined, { url, method, headers, body }: SignedWebhook): Promise<Answer> {
  const startedAt = performance.now()
  return new Promise((resolve) => {
    const end = (status: number, retryAfter?: string) =>
      resolve({ status, retryAfter, ms: performance.now() - startedAt })
    const asked = request(url, {
      method,
      agent: agent ?? false,
      headers: { ...headers, 'content-length': Buffer.byteLength(body) },
    })
    asked.once('response', (response) => {
      response.resume().once('end', () => end(response.statusCode ?? 0, response.headers['retry-after']))
      response.once('error', () => end(0))
    })
    asked.once('error', () => end(0))
    asked.end(body)
  })
}

/** Sends all but the last byte of a webhook. */
function beginSlowly(
  port: number,
  { url, method, headers, body }: SignedWebhook,
): Promise<{ finish(): Promise<number>; cut(): void }> {
  const { host, pathname, search } = new URL(url)
  const lines = Object.entries({ ...headers, host, 'content-length': Buffer.byteLength(body) })
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  return new Promise((resolve, reject) => {
    const socket: Socket = createConnection(port, '127.0.0.1', () => {
      socket.write(`${method} ${pathname}${search} HTTP/1.1\r\n${head}\r\n${body.slice(0, -1)}`)
      resolve({
        finish() {
          const status = new Promise<number>((answered) => {
            socket.once('data', (data) => {
              answered(Number(data.toString('latin1', 9, 12)))
              socket.destroy()
            })
            socket.once('close', () => answered(0))
          })
          socket.write(body.slice(-1))
          return within('a slow request is answered', status, 20_000)
        },
        cut: () => socket.destroy(),
      })
    })
    socket.once('error', reject)
  })
}
