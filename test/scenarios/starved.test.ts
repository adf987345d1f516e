import { expect, test } from 'vitest'
import { createBreakers } from '../../src/pipeline/breaker.ts'
import { createIssueWatch } from '../../src/pipeline/issues.ts'
import { createSweep } from '../../src/pipeline/sweep.ts'
import type { StepRow } from '../../src/store/schema.ts'
import { callRow, stepRow } from '../unit/http-world.ts'
import { install as begin, type Installation } from './installation.ts'

// A sweep looks at so many of a kind at once. What has to stay as it is must not fill that room for ever: those behind it
// would never be looked at.

const CRM = 'sandbox-hubspot'
const ROOM = 3

/** The first sweep of its own worker is over. */
async function install(): Promise<Installation> {
  const it = await begin()
  await it.worker.sweep()
  return it
}

const sweeper = ({ deps }: Installation) =>
  createSweep(deps, { breakers: createBreakers(deps), issues: createIssueWatch(deps) }, 20_000, {
    room: ROOM,
  })

/** Steps of no call of their own, parked for `code`. */
async function park(it: Installation, count: number, code: string, fields: Partial<StepRow> = {}) {
  const rows = Array.from({ length: count }, (_, n) =>
    stepRow({
      id: `stp_${code}${n}`,
      kind: 'write',
      lane: CRM,
      connection: CRM,
      subject: `call_${code}${n}`,
      call_id: null,
      flow: null,
      state: 'parked',
      code,
      updated_at: it.now(),
      ...fields,
    }),
  )
  await it.store.atomic(
    [],
    rows.map((row) => it.store.db.insertInto('steps').values(row)),
  )
}

async function parked(it: Installation, code: string): Promise<number> {
  const { db } = it.store
  const rows = db.selectFrom('steps').select('id').where('code', '=', code).where('state', '=', 'parked')
  return (await rows.execute()).length
}

test('steps whose flow stays gone do not keep others of their connection parked', async () => {
  await using it = await install()
  await park(it, ROOM + 2, 'flow_gone', { flow: 'nobody has this flow' })
  await park(it, 2, 'quota')
  await sweeper(it)()
  expect([await parked(it, 'quota'), await parked(it, 'flow_gone')]).toEqual([0, ROOM + 2])
})

test('a submission whose phone system stays gone does not either', async () => {
  await using it = await install()
  const call = callRow({ id: 'call_gone', connection: 'no-such-connection' })
  await it.store.atomic([], [it.store.db.insertInto('calls').values(call)])
  await park(it, ROOM + 2, 'connection_gone', { kind: 'submit', call_id: call.id })
  await park(it, 2, 'quota')
  await sweeper(it)()
  expect([await parked(it, 'quota'), await parked(it, 'connection_gone')]).toEqual([0, ROOM + 2])
})

test('all that another configuration may have put right is tried once more, however many there are', async () => {
  await using it = await install()
  await park(it, 2 * ROOM + 1, 'config')
  it.advance(1_000)
  const sweep = sweeper(it)
  it.advance(1_000)
  for (const left of [ROOM + 1, 1, 0]) {
    await sweep()
    expect(await parked(it, 'config')).toBe(left)
  }
  // What fails with this configuration as well stays where it is.
  await park(it, 1, 'blocked_address')
  await sweep()
  expect(await parked(it, 'blocked_address')).toBe(1)
})

test('calls whose merge is stuck do not keep the waits of others from ending', async () => {
  await using it = await install()
  const { db } = it.store
  const waits = (n: number, connection: string) =>
    callRow({ id: `call_${n}`, connection, external_id: `c${n}`, state: 'waiting', wait_until: 1_000 + n })
  const stuck = Array.from({ length: ROOM }, (_, n) => waits(n, 'no-such-connection'))
  const merges = stuck.map(({ id, connection, version }) =>
    stepRow({
      id: `stp_${id}`,
      kind: 'merge',
      lane: 'core',
      subject: id,
      call_id: id,
      connection,
      generation: version,
      state: 'parked',
      code: 'connection_gone',
    }),
  )
  const other = waits(ROOM, 'sandbox-twilio')
  await it.store.atomic(
    [],
    [
      ...[...stuck, other].map((row) => db.insertInto('calls').values(row)),
      ...merges.map((row) => db.insertInto('steps').values(row)),
    ],
  )
  await sweeper(it)()
  const merge = db.selectFrom('steps').select('kind').where('subject', '=', other.id)
  expect(await merge.execute()).toEqual([{ kind: 'merge' }])
})
