import { copyFile, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, test } from 'vitest'
import { STORE_FILE } from '../../src/node/open.ts'
import { seeded } from '../scenarios/installation.ts'
import { done, expectExactlyOnce, integrity, stepsDone } from './books.ts'
import { TOKEN } from './child.ts'
import { type Company, openCompany } from './company.ts'
import { type GateOptions, gate } from './gate.ts'
import { createSender } from './sender.ts'
import { pause } from './within.ts'

// Two phone systems send webhooks without a pause while Cordboard is killed with SIGKILL and started again. The phone
// systems keep their own log of what was answered with a 2xx, the vendors keep their books; at the end everything is
// compared: acknowledged means stored, and every call stands in the CRM once.

const KILLS = Number(process.env.CORDBOARD_KILLS ?? 50)
const SEED = Number(process.env.CORDBOARD_SEED ?? 1)
const LIVES_MS = { least: 100, most: 600 }
const CALL_EVERY_MS = 300
/** On a slow machine the lives are as short and the calls as many. */
const CALLS_PER_KILL = 2
const CHECK_EVERY = 10
/** HubSpot's index may lag 30 s: after an end that nobody saw, a record is looked for that long. */
const LAG_MS = 30_000
/** Steps whose worker died three times are tried apart from the others, up to this many of the short leases later. */
const APART_MS = 30_000
const SETTLED_MS = LAG_MS + 2 * APART_MS + 30_000

test(`killed ${KILLS} times at random moments it loses no accepted delivery and writes nothing twice`, {
  timeout: 180_000 + KILLS * 3_000,
}, async () => {
  await using company = await openCompany()
  const random = seeded(SEED)
  const sender = createSender(company, random)
  let child = await company.child()
  await child.go()
  sender.start(CALL_EVERY_MS, KILLS * CALLS_PER_KILL)
  let next = company.child()
  for (let kill = 1; kill <= KILLS; kill += 1) {
    const lifeMs = LIVES_MS.least + random() * (LIVES_MS.most - LIVES_MS.least)
    await pause(lifeMs)
    await child.kill()
    if (kill % CHECK_EVERY === 0) await expectSound(company)
    child = await next
    await child.go()
    next = company.child()
  }
  await sender.finish()
  await stepsDone(company, SETTLED_MS)
  const putAside = await runPutAsideAgain(company)
  await done(company, SETTLED_MS)
  await child.kill()
  const found = expectExactlyOnce(company, sender)
  expect(integrity(company)).toEqual(['ok'])
  console.log(JSON.stringify({ kills: KILLS, putAside, ...found }))
})

const CRM = 'sandbox-hubspot'
/** Xosum's results hold no tasks: those calls go to Transcripto. */
const creates = (kind: string): Point => ({
  what: `a ${kind}`,
  vendor: CRM,
  connection: 'sandbox-zadarma',
  at: { method: 'POST', path: new RegExp(`^/crm/objects/[^/]+/${kind}s$`) },
})

interface Point {
  what: string
  vendor: string
  connection: string
  at: GateOptions
}
const POINTS: readonly Point[] = [
  creates('call'),
  creates('note'),
  creates('task'),
  {
    what: 'a submission with its file',
    vendor: 'sandbox-transcripto',
    connection: 'sandbox-zadarma',
    at: { method: 'POST', path: /^\/addtaskcall$/ },
  },
  {
    what: 'a job',
    vendor: 'sandbox-xosum',
    connection: 'sandbox-twilio',
    at: { method: 'POST', path: /^\/api\/createTranscription$/ },
  },
  {
    what: 'an upload',
    vendor: 'sandbox-xosum',
    connection: 'sandbox-twilio',
    at: { method: 'PUT', path: /^\/upload\// },
  },
  // The last: contacts are found through the index only, which is waited for.
  creates('contact'),
]

test('killed between the vendor’s commit and its own, at each kind of request, it does nothing twice', {
  timeout: 200_000,
}, async () => {
  await using company = await openCompany()
  const sender = createSender(company, seeded(SEED))
  let child = await company.child()
  await child.go()
  const settledMs: Record<string, number> = {}
  for (const { what, vendor, connection, at } of POINTS) {
    const next = company.child()
    const held = gate(company.sandbox.world.vendor(vendor), at)
    await sender.play(connection)
    await held.reached()
    await child.kill()
    const killedAt = Date.now()
    child = await next
    await child.go()
    await done(company, SETTLED_MS)
    settledMs[what] = Date.now() - killedAt
  }
  const found = expectExactlyOnce(company, sender)
  // A job whose answer nobody read cannot be found again, for Xosum lists none. It never gets audio, so nobody pays.
  expect(found.unusedJobs).toBe(1)
  expect(found.submittedTwice.xosum).toBe(0)
  console.log(JSON.stringify({ settledMs, ...found }))
})

/**
 * A step that was hit by six kills in a row is taken for what took the worker down, and waits for a person: here is one.
 * Leases of a second make that likelier than it is in life, where its last tries are ten minutes apart. Answers how many.
 */
async function runPutAsideAgain(company: Company): Promise<number> {
  const steps = company.rows(
    "select kind, subject, call_id from steps where state = 'dead' and code = 'poisoned'",
  )
  for (const { kind, subject, call_id } of steps) {
    const [path, body] =
      call_id === null
        ? [`deliveries/${subject}/replay`, {}]
        : [`calls/${call_id}/rerun`, { from: kind === 'poll' || kind === 'callback' ? 'submit' : kind }]
    const response = await fetch(`${company.publicUrl}/v1/${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    expect(response.status).toBe(202)
  }
  return steps.length
}

/** On a copy of the files as the kill left them: the check itself would tidy up. */
async function expectSound(company: Company): Promise<void> {
  const copy = join(company.dataDir, 'copy')
  await mkdir(copy)
  for (const end of ['', '-wal']) {
    await copyFile(join(company.dataDir, STORE_FILE + end), join(copy, STORE_FILE + end))
  }
  const db = new DatabaseSync(join(copy, STORE_FILE))
  expect(db.prepare('pragma integrity_check').all()).toEqual([{ integrity_check: 'ok' }])
  db.close()
  await rm(copy, { recursive: true })
}
