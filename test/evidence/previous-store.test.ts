import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it as test } from 'vitest'
import { rerunCall } from '../../src/pipeline/rerun.ts'
import { loadRecording } from '../../src/sandbox/recordings-node.ts'
import { MIGRATIONS } from '../../src/store/migrations.ts'
import { GENERIC, sandboxVendors } from '../scenarios/company.ts'
import { type Installation, install, sampleCall } from '../scenarios/installation.ts'
import { root } from './checkout.ts'

/** An update meets a store in which work is under way, and a server of the version before may still run beside it. */

const FOLDER = join(root, 'test/fixtures/previous-store')
const [PBX, SERVICE, CRM] = ['pbx', 'sandbox-transcripto', 'sandbox-hubspot']
const LATER_MS = 60_000

const vendors: {
  at: number
  tasks: { code: string; fields: Record<string, string> }[]
  inCrm: { method: string; path: string; body: string; answered: string }[]
} = JSON.parse(readFileSync(join(FOLDER, 'vendors.json'), 'utf8'))

const WITH_RECORDING = ['submitted-unseen', 'analysed', 'submitted-again', 'unread']

/** Today's code on a copy of that store, with stand-ins that hold what the vendors held when it was left. */
async function goOn(): Promise<Installation> {
  const it = await install({
    vendors: { ...GENERIC, ...sandboxVendors('transcripto', 'hubspot') },
    flows: [{ name: 'all', from: [PBX], analyze: [SERVICE], write: [CRM], unknownCaller: 'create' }],
    settings: { [CRM]: { indexLagMs: 30_000 } },
    goesOn: { store: join(FOLDER, 'store.db'), at: vendors.at + LATER_MS },
  })
  for (const id of WITH_RECORDING) it.place(PBX, await sampleCall(it.now(), { id }))
  const ids = new Map([...(await inService(it)), ...(await inCrm(it))])
  const { db } = it.store
  for (const [was, is] of ids) {
    await it.store.atomic(
      [],
      [
        db.updateTable('submissions').set({ ref: is }).where('ref', '=', was),
        db.updateTable('writebacks').set({ target_id: is }).where('target_id', '=', was),
        db.updateTable('writeback_parts').set({ external_id: is }).where('external_id', '=', was),
        db.updateTable('people').set({ external_id: is }).where('external_id', '=', was),
      ],
    )
  }
  return it
}

/** Hands it the same files once more. Answers which of its codes stands for which of then. */
async function inService(it: Installation): Promise<[string, string][]> {
  const { token } = sandboxVendors('transcripto')[SERVICE]?.settings ?? {}
  const audio = await loadRecording('support-invoice.mp3')
  const made: [string, string][] = []
  for (const { code, fields } of vendors.tasks) {
    const { fileName = '', status: _status, bytes: _bytes, ...said } = fields
    const form = new FormData()
    form.set('file', new File([new Uint8Array(audio)], fileName))
    for (const [name, value] of Object.entries(said)) form.set(name, value)
    const headers = { authorization: `Bearer ${token}` }
    const request = new Request('https://service/addtaskcall', { method: 'POST', headers, body: form })
    const answer = await it.vendor(SERVICE).app.fetch(request)
    made.push([code, ((await answer.json()) as { code: string }).code])
  }
  return made
}

/** Writes the same records once more, on each other as they were. */
async function inCrm(it: Installation): Promise<[string, string][]> {
  const { token } = sandboxVendors('hubspot')[CRM]?.settings ?? {}
  const made: [string, string][] = []
  const today = (text: string) => made.reduce((all, [was, is]) => all.replaceAll(`"${was}"`, `"${is}"`), text)
  for (const { method, path, body, answered } of vendors.inCrm) {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
    const answer = await it
      .vendor(CRM)
      .app.fetch(new Request(`https://crm${path}`, { method, headers, body: today(body) }))
    expect(answer.status).toBe(201)
    made.push([JSON.parse(answered).id, ((await answer.json()) as { id: string }).id])
  }
  return made
}

const statesOf = async ({ store }: Installation) => {
  const rows = await store.db
    .selectFrom('call_keys')
    .innerJoin('calls', 'calls.id', 'call_keys.call_id')
    .select(['call_keys.external_id', 'calls.state'])
    .execute()
  return Object.fromEntries(rows.map((row) => [row.external_id, row.state]))
}

const keysOf = (it: Installation, kind: string) => it.held(CRM, kind).map(({ key }) => key)

describe('a store that the version before left in the middle of its work', () => {
  test('is brought up to date, and everything in it is finished, once', async () => {
    await using it = await goOn()
    const ran = await it.store.db.selectFrom('migrations').select('name').orderBy('name').execute()
    expect(ran.map(({ name }) => name)).toEqual(MIGRATIONS.map(({ name }) => name).sort())
    const before = { calls: keysOf(it, 'call').length, tasks: it.held(SERVICE, 'submission').length }
    expect(before).toEqual({ calls: 2, tasks: 5 })

    await it.settle()
    const done = [
      'written',
      'written-unseen',
      'submitted-unseen',
      'analysed',
      'submitted-again',
      'unrecorded',
      'parked',
      'unread',
    ]
    expect(await statesOf(it)).toEqual({
      ...Object.fromEntries(done.map((id) => [id, 'done'])),
      refused: 'attention',
    })
    const { call_id } = await it.store.db
      .selectFrom('call_keys')
      .select('call_id')
      .where('external_id', '=', 'refused')
      .executeTakeFirstOrThrow()
    await rerunCall(it.deps, call_id, { from: 'write', actor: 'operator' })
    await it.settle()
    expect((await statesOf(it)).refused).toBe('done')

    // What had got through without an answer was found: two analyses more, for the two calls that had none.
    expect(it.held(SERVICE, 'submission')).toHaveLength(before.tasks + 2)
    const keys = [...keysOf(it, 'call'), ...keysOf(it, 'note'), ...keysOf(it, 'task')]
    expect(new Set(keys).size).toBe(keys.length)
    expect(keysOf(it, 'call')).toHaveLength(done.length + 1)
    const phones = it.held(CRM, 'contact').map(({ fields }) => fields.phone)
    expect(new Set(phones).size).toBe(phones.length)
  })
})

/** What an older server, which knows nothing of it, goes on with: all it takes are the columns and keys it knows. */
const EXPANDS = [
  /^create table \w+ \(/,
  /^create index \w+ on \w+ /,
  /^alter table \w+ add column \w+ \w+(?: default (?:'[^']*'|-?\d+)| not null default (?:'[^']*'|-?\d+))?$/,
]

/** The statements of migrations that an older server could stumble over, or that take something away. */
function takingAway(migrations: typeof MIGRATIONS): string[] {
  return migrations.flatMap(({ name, statements }) => {
    const own = statements.flatMap((text) => /^create table (\w+)/.exec(text)?.[1] ?? [])
    return statements
      .filter((text) => {
        // A rule about what is in a table binds those who filled it before.
        const unique = /^create unique index \w+ on (\w+)/.exec(text)?.[1]
        return unique === undefined ? !EXPANDS.some((form) => form.test(text)) : !own.includes(unique)
      })
      .map((text) => `${name}: ${text}`)
  })
}

describe('migrations', () => {
  test('only add what the version before can do without', () => {
    expect(takingAway(MIGRATIONS)).toEqual([])
  })

  test.each([
    'drop table calls',
    'alter table calls drop column fence',
    'alter table calls rename column fence to gate',
    'alter table calls alter column version type text',
    'alter table calls add column tone text not null',
    'create unique index calls_once on calls (external_id)',
    'drop index steps_due',
    'update calls set version = 1',
    'delete from attempts',
  ])('that say “%s” are found out', (statement) => {
    expect(takingAway([{ name: 'bad', statements: [statement] }])).toHaveLength(1)
  })

  test.each([
    'alter table calls add column tone text',
    "alter table calls add column tone text not null default ''",
    'alter table calls add column tone integer default 0',
    'create table tokens (id text primary key)',
    'create index calls_tone on calls (tone)',
  ])('may say “%s”', (statement) => {
    expect(takingAway([{ name: 'good', statements: [statement] }])).toEqual([])
  })
})
