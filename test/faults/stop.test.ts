import type { Server } from 'node:http'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { createAdaptorServer } from '@hono/node-server'
import { expect, test } from 'vitest'
import type { SampleCall } from '../../src/connector/sandbox.ts'
import { openDeps, STORE_FILE } from '../../src/node/open.ts'
import { createReceiver } from '../../src/pipeline/receive.ts'
import { listen, stopServer } from '../../src/sandbox/serve.ts'
import { seeded } from '../scenarios/installation.ts'
import { done, expectExactlyOnce } from './books.ts'
import type { Child } from './child.ts'
import { type Company, openCompany } from './company.ts'
import { type GateOptions, gate } from './gate.ts'
import { readPlainConfig } from './plain-config.ts'
import { createSender } from './sender.ts'
import { pause, until, within } from './within.ts'

// Two workers on one store. The first is stopped by SIGSTOP while it waits for a vendor that has already done what it
// asked for. Its lease runs out, the second finishes the step. Then the first goes on, the vendor's answer in its hand,
// and must commit nothing.

const STOPS = Number(process.env.CORDBOARD_STOPS ?? 20)
const LEASE_MS = 1_000
const SWEEP_MS = 200

const crm = (kind: string) => ({
  vendor: 'sandbox-hubspot',
  method: 'POST',
  path: new RegExp(`^/crm/objects/[^/]+/${kind}$`),
})
const TWILIO = { connection: 'sandbox-twilio' }
const ZADARMA = { connection: 'sandbox-zadarma' }
const MISSED = { result: 'no_answer' } as const
interface Moment extends GateOptions {
  kind: string
  connection: string
  vendor: string
  call?: Partial<SampleCall>
}
const MOMENTS: readonly Moment[] = [
  { kind: 'write', ...TWILIO, ...crm('contacts'), call: MISSED },
  { kind: 'write', ...ZADARMA, ...crm('calls'), call: MISSED },
  { kind: 'submit', ...ZADARMA, vendor: 'sandbox-transcripto', method: 'POST', path: /^\/addtaskcall$/ },
  { kind: 'write', ...ZADARMA, ...crm('contacts'), call: MISSED },
  { kind: 'write', ...TWILIO, ...crm('notes') },
  { kind: 'submit', ...TWILIO, vendor: 'sandbox-xosum', method: 'PUT', path: /^\/upload\// },
  { kind: 'write', ...TWILIO, ...crm('calls'), call: MISSED },
  { kind: 'match', ...TWILIO, ...crm('contacts/search'), call: MISSED },
  { kind: 'write', ...ZADARMA, ...crm('tasks') },
  {
    kind: 'submit',
    ...TWILIO,
    vendor: 'sandbox-xosum',
    method: 'POST',
    path: /^\/api\/createTranscription$/,
  },
]

test.skipIf(process.platform === 'win32')(
  `a worker that was stopped ${STOPS} times past its lease commits nothing when it goes on`,
  { timeout: 60_000 + STOPS * 8_000 },
  async () => {
    // The stand-in's searches do not lag here: what it has done can be found at once.
    await using company = await openCompany({
      settings: {
        'sandbox-hubspot': { requestsPer10s: 1_000_000, searchPerSecond: 1_000_000, indexLagMs: 0 },
      },
    })
    await using _inbox = await openInbox(company)
    const sender = createSender(company, seeded(1))
    const worker = async () => {
      const child = await company.child({ role: 'worker', leaseMs: LEASE_MS, sweepMs: SWEEP_MS })
      await child.go()
      return child
    }
    const [first, second] = await Promise.all([worker(), worker()])
    let tookOver = 0
    for (let stop = 0; stop < STOPS; stop += 1) {
      const moment = MOMENTS[stop % MOMENTS.length]
      if (!moment) break
      await freeze(company, second)
      const answer = gate(company.sandbox.world.vendor(moment.vendor), moment)
      await within('the webhooks are taken', sender.play(moment.connection, moment.call), 30_000)
      await answer.reached()
      await freeze(company, first)
      const [held] = company.rows("select * from steps where state = 'working'")
      expect(held).toMatchObject({ kind: moment.kind })

      second.signal('SIGCONT')
      await done(company, 60_000)
      const before = everything(company)
      expect(before.steps.find(({ id }) => id === held?.id)).toMatchObject({ state: 'done', lease: null })
      tookOver += 1

      // The answer lies in its socket when it wakes.
      answer.open()
      await pause(20)
      first.signal('SIGCONT')
      await until('the first worker has let go', async () => (await first.stats()).running === 0, 10_000)
      expect(everything(company)).toEqual(before)
    }
    const found = expectExactlyOnce(company, sender)
    expect(tookOver).toBe(STOPS)
    console.log(JSON.stringify({ stops: STOPS, tookOver, ...found }))
  },
)

/** All that a worker could have written. */
function everything(company: Company) {
  const of = (table: string) => company.rows(`select * from ${table} order by 1, 2`)
  return {
    steps: of('steps'),
    attempts: of('attempts'),
    calls: of('calls'),
    submissions: of('submissions'),
    results: of('results'),
    writebacks: of('writebacks'),
    parts: of('writeback_parts'),
    people: of('people'),
    issues: of('issues'),
  }
}

/** Stopped, but not in the middle of a commit: whoever holds SQLite's lock then stops everybody. */
async function freeze(company: Company, child: Child): Promise<void> {
  for (;;) {
    child.signal('SIGSTOP')
    await pause(10)
    const db = new DatabaseSync(join(company.dataDir, STORE_FILE), { timeout: 500 })
    try {
      db.exec('begin immediate; rollback')
      return
    } catch {
      child.signal('SIGCONT')
      await pause(20)
    } finally {
      db.close()
    }
  }
}

/** Takes webhooks and works on nothing. */
async function openInbox(company: Company): Promise<AsyncDisposable> {
  const config = await readPlainConfig(company.configFile)
  const deps = await openDeps({ config, dataDir: company.dataDir })
  const server = createAdaptorServer({ fetch: createReceiver(deps) }) as Server
  await listen(server, company.port, '127.0.0.1')
  return {
    async [Symbol.asyncDispose]() {
      await stopServer(server)
      await deps.close()
    },
  }
}
