import { request } from 'node:http'
import { expect, test } from 'vitest'
import { seeded } from '../scenarios/installation.ts'
import { done, expectExactlyOnce } from './books.ts'
import { type Company, openCompany } from './company.ts'
import { gate } from './gate.ts'
import { createSender } from './sender.ts'
import { until } from './within.ts'

// Somebody stops the program while steps are under way and webhooks come in. What is under way is finished, what was
// begun is answered, and the next start goes on where this one ended.

const CRM = 'sandbox-hubspot'
const CREATES_CALL = { method: 'POST', path: /^\/crm\/objects\/[^/]+\/calls$/ }
const SETTLED_MS = 90_000
const CALLS = 40

test('SIGTERM lets steps and requests under way finish, and loses and doubles nothing', {
  timeout: 150_000,
}, async () => {
  await using company = await openCompany()
  const sender = createSender(company, seeded(2))
  const first = await company.child({ graceMs: 20_000 })
  await first.go()
  const held = gate(company.sandbox.world.vendor(CRM), CREATES_CALL)
  const playing = playMany(sender, CALLS)
  await held.reached()
  const half = await beginRequest(company)
  expect((await first.stats()).running).toBeGreaterThan(0)

  const stoppedAt = Date.now()
  first.signal('SIGTERM')
  await refuses(company)
  const answered = half.finish()
  held.open()
  expect(await answered).toBe(200)
  expect(await first.ended).toBe(0)
  const drainMs = Date.now() - stoppedAt
  expect(drainMs).toBeLessThan(20_000)
  expect(company.rows("select id from steps where state = 'working'")).toEqual([])
  // Every part it had begun is known: nobody has to ask the CRM what became of it.
  expect(company.rows('select part from writeback_parts where intent_at is not null')).toEqual([])

  const second = await company.child()
  await second.go()
  await playing
  await done(company, SETTLED_MS)
  const found = expectExactlyOnce(company, sender)
  console.log(JSON.stringify({ drainMs, ...found }))
})

test('steps that do not end in time go back, and the next start finds out what the vendor did', {
  timeout: 120_000,
}, async () => {
  await using company = await openCompany()
  const sender = createSender(company, seeded(3))
  const first = await company.child({ graceMs: 1_000 })
  await first.go()
  const held = gate(company.sandbox.world.vendor(CRM), CREATES_CALL)
  await sender.play('sandbox-twilio', { result: 'no_answer' })
  await held.reached()

  const stoppedAt = Date.now()
  first.signal('SIGTERM')
  expect(await first.ended).toBe(0)
  const drainMs = Date.now() - stoppedAt
  expect(drainMs).toBeGreaterThan(900)
  expect(drainMs).toBeLessThan(8_000)
  expect(company.rows("select id from steps where state = 'working'")).toEqual([])
  expect(company.rows("select state from steps where kind = 'write'")).toEqual([{ state: 'waiting' }])

  const second = await company.child()
  await second.go()
  await done(company, SETTLED_MS)
  expectExactlyOnce(company, sender)
})

test('a second SIGTERM ends it at once, and the next start finishes the work', {
  timeout: 150_000,
}, async () => {
  await using company = await openCompany()
  const sender = createSender(company, seeded(4))
  const first = await company.child({ graceMs: 60_000 })
  await first.go()
  const held = gate(company.sandbox.world.vendor(CRM), CREATES_CALL)
  const playing = playMany(sender, CALLS)
  await held.reached()

  first.signal('SIGTERM')
  await refuses(company)
  const forcedAt = Date.now()
  first.signal('SIGTERM')
  expect(await first.ended).toBe(130)
  expect(Date.now() - forcedAt).toBeLessThan(2_000)

  const second = await company.child()
  await second.go()
  await playing
  await done(company, SETTLED_MS)
  const found = expectExactlyOnce(company, sender)
  console.log(JSON.stringify(found))
})

async function playMany(sender: ReturnType<typeof createSender>, calls: number): Promise<void> {
  const playing = Array.from({ length: calls }, (_, at) =>
    sender.play(
      at % 2 === 0 ? 'sandbox-twilio' : 'sandbox-zadarma',
      at % 3 === 0 ? {} : { result: 'no_answer' },
    ),
  )
  await Promise.all(playing)
}

/** No connection is taken any more. */
async function refuses(company: Company): Promise<void> {
  await until(
    'it takes no connection',
    () =>
      new Promise<boolean>((resolve) => {
        const asked = request(`${company.publicUrl}/healthz`, { agent: false }, (response) => {
          response.resume().once('end', () => resolve(false))
        })
        asked.once('error', () => resolve(true))
        asked.end()
      }),
    10_000,
  )
}

/** A webhook of which half is sent. It is about no call. */
async function beginRequest(company: Company): Promise<{ finish(): Promise<number> }> {
  const { url, method, headers, body } = await company.sandbox.sign('sandbox-twilio', {
    says: 'half',
    method: 'POST',
    path: '/status',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: 'AccountSid=AC5a0db0c0000000000000000000000001&Says=nothing',
  })
  const asked = request(url, { method, agent: false, headers: { ...headers, 'content-length': body.length } })
  const answered = new Promise<number>((resolve, reject) => {
    asked.once('response', (response) =>
      response.resume().once('end', () => resolve(response.statusCode ?? 0)),
    )
    asked.once('error', reject)
  })
  answered.catch(() => undefined)
  await new Promise<void>((resolve, reject) => {
    asked.write(body.slice(0, 10), (error) => (error ? reject(error) : resolve()))
  })
  return {
    finish() {
      asked.end(body.slice(10))
      return answered
    },
  }
}
