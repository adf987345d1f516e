import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import pg from 'pg'
import { expect, test } from 'vitest'
import { STORE_FILE } from '../../src/node/open.ts'
import { prepare } from '../../src/node/prepare.ts'
import { EMBEDDED, type Services } from '../../src/node/services.ts'
import { read, root, run } from '../evidence/checkout.ts'
import { sectionOf } from '../evidence/pages.ts'
import { seeded } from '../scenarios/installation.ts'
import { binaries, POSTGRES } from '../services/binaries.ts'
import { freshDatabase } from '../services/postgres.ts'
import { compare, READ } from './books.ts'
import type { Child, ChildOptions } from './child.ts'
import { type Company, openCompany, post } from './company.ts'
import { createSender, type Sender } from './sender.ts'
import { until } from './within.ts'

// The drill of docs/operate.md: calls come in, a copy is made in the middle, everything that was done after it is lost with
// the store, the copy is put back. In the vendors' own books nothing may stand twice.

const PROGRAM = join(root, 'bin/cordboard.js')

const CALLS = 60
const CALL_EVERY_MS = 150
const SEED = Number(process.env.CORDBOARD_SEED ?? 1)
/** HubSpot's index is waited for that long; its stand-in's lags a little less. */
const LAG_MS = { expected: 2_000, real: 1_500 }
const SETTLED_MS = 120_000
/** Nothing but a call that waits for its recording is due as late as this. */
const WAITS_MS = 20_000

type Rows = Record<string, unknown>[]

/** Where an installation keeps what it knows. */
interface Home {
  /** Of the processes that make it up; they are ready when they listen. */
  roles: readonly Partial<ChildOptions>[]
  backup(): Promise<void>
  /** Everything is gone, and the copy takes its place. */
  putBack(): Promise<void>
  rows(sql: string): Promise<Rows>
}

const openCalls = () =>
  openCompany({
    settings: {
      'sandbox-hubspot': {
        requestsPer10s: 1_000_000,
        searchPerSecond: 1_000_000,
        indexLagMs: LAG_MS.real,
      },
      // A result that was told of and acknowledged after the copy is not told of again: it is asked for.
      'sandbox-xosum': { results: 'polling', pollMs: 1_000 },
    },
  })

async function begin(company: Company, { roles }: Home): Promise<Child[]> {
  const children = await Promise.all(
    roles.map((role) => company.child({ crmLagMs: LAG_MS.expected, vendorTimeoutMs: 5_000, ...role })),
  )
  for (const child of children) await child.go()
  return children
}

async function nothingLeft(left: () => Promise<Rows>): Promise<void> {
  try {
    await until('everything is done', async () => (await left()).length === 0, SETTLED_MS)
  } catch (error) {
    throw new Error(`left: ${JSON.stringify(await left(), null, 1)}`, { cause: error })
  }
}

const done = ({ rows }: Home) =>
  nothingLeft(async () => [...(await rows(READ.steps)), ...(await rows(READ.calls))])

/** But for calls whose end or recording was told of in what is lost. */
const doneWithWhatIsKnown = ({ rows }: Home) =>
  nothingLeft(async () => {
    const steps = await rows(READ.steps)
    return steps.filter(({ due_at }) => Number(due_at) < Date.now() + WAITS_MS)
  })

async function reckon(company: Company, sender: Sender, { rows }: Home) {
  const [deliveries, keys, stuck] = await Promise.all([
    rows(READ.deliveries),
    rows(READ.keys),
    rows(READ.stuck),
  ])
  const { world } = company.sandbox
  const found = compare(world, sender, { deliveries, keys, stuck })
  const answered = sender.calls.filter(
    ({ connection, call }) => connection === 'sandbox-zadarma' && call.audio !== undefined,
  )
  const tasks = world.vendor('sandbox-transcripto').book()
  return { ...found, toTranscripto: { calls: answered.length, tasks: tasks.length } }
}

/** Calls whose record stands more than once, whatever is written on it. */
function twiceInCrm(company: Company): number {
  const calls = company.sandbox.world
    .vendor('sandbox-hubspot')
    .book()
    .filter(({ kind }) => kind === 'call')
  const seen = calls.map(({ fields }) =>
    JSON.stringify([fields.hs_timestamp, fields.hs_call_from_number, fields.hs_call_to_number]),
  )
  return seen.length - new Set(seen).size
}

/** Every webhook once more, as from a vendor's own log. */
async function sendAgain(company: Company, sender: Sender): Promise<void> {
  for (const { connection, call } of sender.calls) {
    for (const webhook of company.sandbox.world.vendor(connection).place?.(call) ?? []) {
      const signed = await company.sandbox.sign(connection, webhook)
      await until('it is taken', async () => (await post(signed.url, signed)) < 300, 10_000)
    }
  }
}

async function drill(company: Company, home: Home): Promise<void> {
  const sender = createSender(company, seeded(SEED))
  const children = await begin(company, home)
  const inCrm = () => company.sandbox.world.vendor('sandbox-hubspot').book().length
  const taken = () => sender.log.filter((sent) => sent.acknowledged > 0).length
  sender.start(CALL_EVERY_MS, CALLS / 2)
  await until('some are written', () => inCrm() >= 10, SETTLED_MS)
  await sender.placed()
  await home.backup()
  const before = { taken: taken(), written: inCrm() }
  sender.start(CALL_EVERY_MS, CALLS)
  const gone = () => Math.min(taken() - before.taken, inCrm() - before.written)
  await until('as many have come and been written since', () => gone() >= 20, SETTLED_MS)
  const lost = { taken: taken() - before.taken, written: inCrm() - before.written }
  for (const child of children) child.signal('SIGKILL')
  await Promise.all(children.map((child) => child.ended))
  await home.putBack()
  const [{ count: kept } = {}] = await home.rows('select count(*) as count from calls')
  await begin(company, home)
  await sender.placed()
  await sender.finish()
  await doneWithWhatIsKnown(home)

  // What was acknowledged after the copy is gone; nothing is there twice for all that.
  const put = await reckon(company, sender, home)
  const nothing = { call: 0, note: 0, task: 0, contact: 0, strange: 0 }
  expect(put).toMatchObject({ twice: nothing, submittedTwice: { transcripto: 0 }, dead: [] })
  expect(twiceInCrm(company)).toBe(0)
  expect(put.lost).toBeGreaterThan(0)
  const [{ count: known } = {}] = await home.rows('select count(*) as count from writebacks')
  const unwritten = await home.rows("select id from writebacks where state <> 'written'")
  expect([unwritten, Number(known) >= Number(kept)]).toEqual([[], true])

  // With what the phone systems have in their logs nothing is missing either.
  await sendAgain(company, sender)
  await done(home)
  const all = await reckon(company, sender, home)
  expect(all).toMatchObject({
    lost: 0,
    missing: 0,
    twice: nothing,
    submittedTwice: { transcripto: 0 },
    dead: [],
    crm: { call: CALLS },
  })
  expect(twiceInCrm(company)).toBe(0)
  expect(all.toTranscripto.tasks).toBe(all.toTranscripto.calls)
  console.log(JSON.stringify({ kept: Number(kept), forgotten: lost, lostAtFirst: put.lost, ...all }))
}

/** What docs/operate.md tells people to type, in its order. */
function typed(): { backup: string; putBack: string; dump: string; restore: string } {
  const section = sectionOf(read('docs/operate.md'), 'Back it up, and put it back')
  const [backup = '', putBack = '', dump = '', restore = ''] = [
    ...section.matchAll(/^```sh\n(.*?)^```$/gms),
  ].map(([, text]) => text)
  return { backup, putBack, dump, restore }
}

/** A folder with the program in it, as npm puts it there. */
async function openFolder(env: NodeJS.ProcessEnv) {
  const path = await mkdtemp(join(tmpdir(), 'cordboard-restore-'))
  await mkdir(join(path, 'node_modules/.bin'), { recursive: true })
  await symlink(PROGRAM, join(path, 'node_modules/.bin/cordboard'))
  return {
    dataDir: join(path, '.data'),
    async type(text: string) {
      const { code, out, err } = await run('sh', ['-euc', text], path, env)
      expect(code, `${text}\n${out}\n${err}`).toBe(0)
    },
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  }
}

test('a SQLite store is lost and an older copy put back: nothing is written or paid for twice', {
  timeout: 400_000,
}, async () => {
  await using folder = await openFolder({})
  await using company = await openCalls()
  const { dataDir } = folder
  await drill(company, {
    roles: [{ dataDir }],
    backup: () => folder.type(typed().backup),
    putBack: () => folder.type(typed().putBack),
    async rows(sql) {
      const db = new DatabaseSync(join(dataDir, STORE_FILE), { readOnly: true, timeout: 5_000 })
      try {
        return db.prepare(sql).all()
      } finally {
        db.close()
      }
    },
  })
})

test('a PostgreSQL store is lost and an older dump put back: nothing is written or paid for twice', {
  timeout: 400_000,
}, async () => {
  const { paths, env } = await binaries({ ...POSTGRES, programs: [['pg_dump', 'pg_restore']] })
  const database = await freshDatabase()
  const pool = new pg.Pool({ connectionString: database.url, max: 1 })
  pool.on('error', () => undefined)
  try {
    const programs = [process.execPath, paths.pg_dump ?? ''].map((program) => dirname(program))
    const path = [...programs, process.env.PATH ?? ''].join(delimiter)
    await using folder = await openFolder({ ...env, PATH: path, DATABASE_URL: database.url })
    await using company = await openCalls()
    const services: Services = { ...EMBEDDED, databaseUrl: database.url }
    const { dataDir } = folder
    await prepare(services, dataDir)
    await drill(company, {
      roles: [
        { services, dataDir, role: 'web' },
        { services, dataDir, role: 'worker' },
      ],
      backup: () => folder.type(typed().dump),
      async putBack() {
        const all =
          'deliveries, events, call_keys, calls, steps, submissions, results, writebacks, writeback_parts'
        await pool.query(`truncate ${all}, people`)
        await folder.type(typed().restore)
      },
      rows: async (sql) => (await pool.query(sql)).rows,
    })
  } finally {
    await pool.end()
    await database.drop()
  }
})
