/**
 * Makes test/fixtures/previous-store with the code of an earlier version: `node scripts/make-previous-store.ts <checkout>`,
 * a checkout of that version with its node_modules. In the store that it leaves, work is under way in every state in which
 * a process may die; beside it stands what the vendors hold by then.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import type { FaultRule, SampleCall } from '../src/connector/sandbox.ts'

const checkout = resolve(process.argv[2] ?? '.')
const target = fileURLToPath(new URL('../test/fixtures/previous-store/', import.meta.url))
const load = (path: string) => import(join(checkout, path))
const { install, sampleCall } = (await load(
  'test/scenarios/installation.ts',
)) as typeof import('../test/scenarios/installation.ts')
const { GENERIC, sandboxVendors } = (await load(
  'test/scenarios/company.ts',
)) as typeof import('../test/scenarios/company.ts')

const [PBX, SERVICE, CRM] = ['pbx', 'sandbox-transcripto', 'sandbox-hubspot']

/** What was written into the CRM, in order; ids in later ones are those that were answered to earlier ones. */
interface Sent {
  method: string
  path: string
  body: string
  answered: string
}

{
  await using it = await install({
    vendors: { ...GENERIC, ...sandboxVendors('transcripto', 'hubspot') },
    flows: [{ name: 'all', from: [PBX], analyze: [SERVICE], write: [CRM], unknownCaller: 'create' }],
    settings: { [CRM]: { indexLagMs: 30_000 } },
  })
  const inCrm: Sent[] = []
  const { http } = it.wire
  it.deps.http = async (url, request) => {
    const isWrite =
      url.hostname.startsWith(CRM) && request.method !== 'GET' && !/search|read/.test(url.pathname)
    if (!isWrite || typeof request.body !== 'string') return http(url, request)
    // Whatever the network makes of it afterwards: what the CRM did and said is noted here.
    const before = it.vendor(CRM).book().length
    const entry: Sent = { method: request.method, path: url.pathname, body: request.body, answered: '' }
    const at = inCrm.push(entry) - 1
    const noted = http(url, request).then(async (response) => {
      if (response.ok) entry.answered = await response.clone().text()
      return response
    })
    await new Promise((resolve) => setImmediate(resolve))
    const made = it.vendor(CRM).book().slice(before)[0]
    if (entry.answered === '' && made) entry.answered = JSON.stringify({ id: made.id })
    else if (entry.answered === '') inCrm.splice(at, 1)
    return noted
  }
  let number = 0
  const call = async (id: string, change: Partial<SampleCall> = {}) => {
    number += 1
    return sampleCall(it.now(), { id, customerPhone: `+3363998${1_000 + number}`, ...change })
  }
  const play = async (id: string, change?: Partial<SampleCall>) => it.play(PBX, await call(id, change))
  const fail = (connection: string, path: string, fault: FaultRule['fault'], method = 'POST') =>
    it.fail(connection, { method, path, fault })

  await play('written')
  await it.settle()

  fail(CRM, '/calls$', { kind: 'status', status: 400 })
  await play('refused')
  await it.settle()

  fail(CRM, '/calls$', { kind: 'commit_then_hang' })
  await play('written-unseen')
  await it.settle(20_000)

  fail(SERVICE, '/addtaskcall$', { kind: 'commit_then_hang' })
  await play('submitted-unseen')
  await it.work()

  await play('analysed')
  await it.work()

  fail(SERVICE, '/addtaskcall$', { kind: 'status', status: 503 })
  await play('submitted-again')
  await it.work()

  const unrecorded = it.place(PBX, await call('unrecorded'))
  for (const webhook of unrecorded.filter(({ says }) => says !== 'recorded')) await it.send(PBX, webhook)
  await it.work()

  fail(CRM, '', { kind: 'status', status: 401 })
  await play('parked', { result: 'no_answer' })
  await it.work()

  await play('unread')
  await it.crash()

  const states = await it.store.db
    .selectFrom('steps')
    .innerJoin('call_keys', 'call_keys.call_id', 'steps.call_id')
    .select(['external_id', 'kind', 'state', 'code', 'lease'])
    .where('state', '!=', 'done')
    .orderBy('steps.id')
    .execute()
  for (const row of states) process.stdout.write(`${JSON.stringify(row)}\n`)

  mkdirSync(target, { recursive: true })
  const whole = `${it.file}.whole`
  await it.store.backup(whole)
  const copy = new DatabaseSync(whole)
  copy.exec('pragma journal_mode = delete')
  // Most of its tables hold a few rows: with small pages it is a quarter of the size.
  copy.exec('pragma page_size = 1024')
  rmSync(join(target, 'store.db'), { force: true })
  copy.prepare('vacuum into ?').run(join(target, 'store.db'))
  copy.close()
  const tasks = it.held(SERVICE, 'submission').map(({ id, fields }) => ({ code: id, fields }))
  const vendors = { at: it.now(), phones: number, tasks, inCrm }
  writeFileSync(join(target, 'vendors.json'), `${JSON.stringify(vendors, null, 1)}\n`)
}
