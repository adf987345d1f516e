import { execFile } from 'node:child_process'
import { statSync } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { STORE_FILE } from '../../src/node/open.ts'
import { seeded } from '../scenarios/installation.ts'
import { done, expectExactlyOnce, integrity } from './books.ts'
import type { Child } from './child.ts'
import { type Company, openCompany } from './company.ts'
import { createSender } from './sender.ts'
import { pause, until } from './within.ts'

// The disk is full: no file of the process may grow any further (a limit of the system on the running process, which
// needs no rights and no disk of its own). What cannot be stored is not acknowledged; what was acknowledged stays; when
// there is room again, everything goes on by itself.

const limit = promisify(execFile)
const canLimit = await limit('prlimit', ['--version']).then(
  () => true,
  () => false,
)
const SETTLED_MS = 90_000
/** Larger bodies than a quarter of a megabyte are kept as files. */
const LARGE_BYTES = 800 * 1024
/** Nothing has to be waited for at the end: the stand-in's searches do not lag here. */
const SETTINGS = {
  'sandbox-hubspot': { requestsPer10s: 1_000_000, searchPerSecond: 1_000_000, indexLagMs: 0 },
}

test.skipIf(!canLimit)(
  'on a full disk it answers 503 with Retry-After, loses nothing, and recovers',
  {
    timeout: 150_000,
  },
  async () => {
    await using company = await openCompany({ settings: SETTINGS })
    const child = await company.child({ log: 'error' })
    await child.go()
    const sender = createSender(company, seeded(5))
    await sender.play('sandbox-twilio')
    const before = sender.log.length

    await allowGrowth(child, largestFile(company))
    sender.start(200)
    const refusal = await firstRefusal(company)
    expect(refusal).toMatchObject({ status: 503, type: 'application/problem+json' })
    expect(Number(refusal.retryAfter)).toBeGreaterThan(0)
    expect(refusal.body).toMatchObject({ code: 'storage_unavailable' })
    // It lives on and says what is wrong.
    expect((await fetch(`${company.publicUrl}/healthz`)).status).toBe(200)
    expect((await fetch(`${company.publicUrl}/readyz`)).status).toBe(503)
    await pause(2_000)
    expect(sender.log.length).toBeGreaterThan(before)
    expectStored(company, sender)

    await allowGrowth(child, 'unlimited')
    await sender.finish()
    await until(
      'it is ready',
      async () => (await fetch(`${company.publicUrl}/readyz`)).status === 200,
      10_000,
    )
    await done(company, SETTLED_MS)
    const found = expectExactlyOnce(company, sender)
    await child.kill()
    expect(integrity(company)).toEqual(['ok'])
    console.log(
      JSON.stringify({ refusedFirst: sender.log.filter(({ tries }) => tries > 1).length, ...found }),
    )
  },
)

test.skipIf(!canLimit)(
  'a body too large for a row is not acknowledged when its file cannot be written',
  {
    timeout: 60_000,
  },
  async () => {
    await using company = await openCompany({ settings: SETTINGS })
    const child = await company.child({ log: 'error' })
    await child.go()
    const large = () =>
      company.sandbox.sign('sandbox-twilio', {
        says: 'large',
        method: 'POST',
        path: '/status',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: `Padding=${'x'.repeat(LARGE_BYTES)}`,
      })
    const send = async () => {
      const { url, method, headers, body } = await large()
      const response = await fetch(url, { method, headers, body })
      await response.arrayBuffer()
      return response
    }
    await allowGrowth(child, Math.max(largestFile(company), LARGE_BYTES / 2))
    const refused = await send()
    expect(refused.status).toBe(503)
    expect(refused.headers.get('retry-after')).toMatch(/^\d+$/)
    expect(company.rows('select id from deliveries')).toEqual([])
    const media = join(company.dataDir, 'media')
    expect(await readdir(media)).toEqual([])

    await allowGrowth(child, 'unlimited')
    expect((await send()).status).toBe(200)
    const [kept] = company.rows('select media_id, bytes from deliveries')
    expect((await stat(join(media, String(kept?.media_id)))).size).toBe(kept?.bytes)
  },
)

/** No file of this process may become larger than this. */
async function allowGrowth(child: Child, bytes: number | 'unlimited'): Promise<void> {
  await limit('prlimit', ['--pid', String(child.pid), `--fsize=${bytes}:`])
}

function largestFile({ dataDir }: Company): number {
  const sizes = ['', '-wal'].map((end) => statSync(join(dataDir, STORE_FILE + end)).size)
  return Math.max(...sizes)
}

/** Sends webhooks of its own, all different, until one is refused. */
async function firstRefusal(company: Company) {
  for (let at = 0; at < 10_000; at += 1) {
    const { url, method, headers, body } = await company.sandbox.sign('sandbox-twilio', {
      says: 'unknown',
      method: 'POST',
      path: '/status',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: `Filler=${at}&Padding=${'x'.repeat(4_000)}`,
    })
    const response = await fetch(url, { method, headers, body })
    const text = await response.text()
    if (response.ok) continue
    const retryAfter = response.headers.get('retry-after')
    const type = response.headers.get('content-type')
    return { status: response.status, retryAfter, type, body: JSON.parse(text) as unknown }
  }
  throw new Error('nothing was refused')
}

/** Nothing that was acknowledged so far is missing. */
function expectStored(company: Company, sender: ReturnType<typeof createSender>): void {
  const stored = new Set(
    company
      .rows('select url, cast(body as text) as body from deliveries')
      .map(({ url, body }) => `${url}\n${body}`),
  )
  const acknowledged = sender.log.filter((sent) => sent.acknowledged > 0)
  expect(acknowledged.filter(({ url, body }) => !stored.has(`${url}\n${body}`))).toEqual([])
}
