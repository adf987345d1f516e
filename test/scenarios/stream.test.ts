import { expect, test } from 'vitest'
import type { Connection } from '../../src/config/model.ts'
import type { Heard, TelephonyRole } from '../../src/connector/contract.ts'
import { CordboardError } from '../../src/errors.ts'
import type { Deps } from '../../src/pipeline/deps.ts'
import { listen } from '../../src/pipeline/listen.ts'
import { GENERIC, sandboxVendors } from './company.ts'
import { type Installation, install } from './installation.ts'

// A vendor tells of calls by a stream that somebody must hold open. What it says is stored before its place in the stream
// moves on: whatever dies in between, the same is heard again, and counts once.

const PBX = { vendors: { ...GENERIC, ...sandboxVendors('xosum', 'hubspot') } }

const heard = (nth: number, says?: Heard['says']): Heard => ({
  key: `event-${nth}`,
  mark: `mark-${nth}`,
  says: says ?? {
    events: [
      {
        key: `c${nth}:ended`,
        callId: `c${nth}`,
        phase: 'ended',
        facts: {
          direction: 'inbound',
          result: 'no_answer',
          startedAt: '2026-11-20T11:58:00.000Z',
          from: { phone: `+3363998000${nth}`, phoneRaw: `063998000${nth}` },
        },
      },
    ],
  },
})

type Listen = NonNullable<TelephonyRole<unknown>['listen']>
type Session = (from: string | null, take: (one: Heard) => Promise<void>) => Promise<CordboardError>

/** Listens until the sessions are used up: what each says, and what it breaks off with. */
async function listening(
  it: Installation,
  sessions: readonly Session[],
  { deps = it.deps, lookUp }: { deps?: Deps; lookUp?: TelephonyRole<unknown>['lookUp'] } = {},
): Promise<{ froms: (string | null)[]; pauses: number[] }> {
  const known = it.deps.config.connections.get('pbx')
  if (!known) throw new Error('there is no phone system')
  const controller = new AbortController()
  const froms: (string | null)[] = []
  const pauses: number[] = []
  const speak: Listen = async (from, take) => {
    const session = sessions[froms.length]
    froms.push(from)
    const error = await session?.(from, take)
    if (froms.length >= sessions.length) controller.abort()
    throw error ?? new Error('nobody is there')
  }
  const telephony = { ...known.connector.telephony, listen: speak, ...(lookUp ? { lookUp } : {}) }
  const connection: Connection = { ...known, connector: { ...known.connector, telephony } }
  // The workers know it the same way.
  const connections = new Map([...it.deps.config.connections, ['pbx', connection]])
  it.deps.config = { ...it.deps.config, connections }
  const wait = async (ms: number) => {
    pauses.push(ms)
  }
  await listen({ ...deps, wait }, connection, controller.signal)
  return { froms, pauses }
}

const gone = () => new CordboardError('vendor_down', 'the stream ended')
const says =
  (...all: Heard[]): Session =>
  async (_, take) => {
    for (const one of all) await take(one)
    return gone()
  }
const delivered = async (it: Installation) =>
  it.store.db.selectFrom('deliveries').select(['role', 'repeats']).orderBy('id').execute()

test('what a stream says goes the way of a delivery, and it goes on behind its mark after a restart', async () => {
  await using it = await install(PBX)
  const { froms } = await listening(it, [says(heard(1), heard(2, { ignored: 'no call' })), says(heard(3))])
  expect(froms).toEqual([null, 'mark-2'])
  // What says nothing is no delivery, and is not heard again.
  expect(await delivered(it)).toHaveLength(2)
  await it.settle()
  expect(await it.calls()).toEqual([
    ['done', null],
    ['done', null],
  ])
  expect(await listening(it, [says(heard(4))])).toMatchObject({ froms: ['mark-3'] })
})

test('a crash between storing and moving on has the same heard again: it is one delivery', async () => {
  await using it = await install(PBX)
  let isAway = true
  const store: Deps['store'] = {
    ...it.deps.store,
    atomic: async (guards, queries) => {
      if (isAway) throw new CordboardError('storage_unavailable', 'the store is away')
      return it.deps.store.atomic(guards, queries)
    },
  }
  const spoken: string[] = []
  const first: Session = async (_, take) => {
    const error = await take(heard(1)).then(
      () => gone(),
      (thrown: unknown) => thrown,
    )
    isAway = false
    if (error instanceof CordboardError) spoken.push(error.code)
    return gone()
  }
  const { froms } = await listening(it, [first, says(heard(1), heard(2))], { deps: { ...it.deps, store } })
  expect([froms, spoken]).toEqual([[null, null], ['storage_unavailable']])
  expect((await delivered(it)).map(({ repeats }) => repeats)).toEqual([1, 0])
  await it.settle()
  expect(await it.calls()).toHaveLength(2)
})

test('what a stream only names is looked up', async () => {
  await using it = await install(PBX)
  const asked: string[][] = []
  const told = heard(1).says
  const lookUp: NonNullable<TelephonyRole<unknown>['lookUp']> = async (ids) => {
    asked.push([...ids])
    return 'events' in told ? told.events : []
  }
  await listening(it, [says(heard(9, { events: [], lookUp: ['c1'] }))], { lookUp })
  await it.settle()
  expect([asked, await it.calls()]).toEqual([[['c1']], [['done', null]]])
})

test('a stream that breaks off is opened again, later each time, and at once when it had said something', async () => {
  await using it = await install(PBX)
  const silent: Session = async () => gone()
  const { pauses } = await listening(it, [silent, silent, silent, says(heard(1)), silent])
  const [first = 0, second = 0, third = 0, fourth = 0] = pauses
  expect(pauses).toHaveLength(4)
  expect(first).toBeLessThanOrEqual(1_000)
  expect(second).toBeGreaterThan(first)
  expect(third).toBeGreaterThan(second)
  expect(fourth).toBeLessThanOrEqual(1_000)
  const refused: Session = async () => new CordboardError('forbidden', 'not allowed')
  expect((await listening(it, [refused, silent])).pauses).toEqual([300_000])
  expect(it.logged.join()).toContain('the stream broke off')
})

test('what can never be opened is an error', async () => {
  await using it = await install(PBX)
  const wrong: Session = async () => new CordboardError('config', 'not configured')
  await expect(listening(it, [wrong, wrong])).rejects.toMatchObject({ code: 'config' })
})
