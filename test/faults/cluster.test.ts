import { afterAll, beforeAll, expect, test } from 'vitest'
import { seeded } from '../scenarios/installation.ts'
import { type Cluster, openCluster } from './cluster.ts'
import { FAULTS } from './cluster-faults.ts'
import { type Round, round } from './rounds.ts'

// The cluster as it is run: a web process and two workers on a PostgreSQL and a Redis of their own, vendors that fail one
// request in ten. Faults strike one after the other while calls cross it. What became of the calls is counted in the
// sender's log and the vendors' books; of Cordboard's own tables only the inbox is looked at.

const SEED = Number(process.env.CORDBOARD_SEED ?? 3)
const CALLS = Number(process.env.CORDBOARD_CALLS ?? 60)
const EVERY_MS = 30
const FAILING = 0.1
const DRAIN_MS = 120_000

const random = seeded(SEED)
const rounds: Round[] = []
let cluster: Cluster

beforeAll(async () => {
  cluster = await openCluster({ random, failing: FAILING })
}, 120_000)

afterAll(async () => {
  for (const found of rounds) console.log(JSON.stringify(found))
  await cluster?.[Symbol.asyncDispose]()
}, 60_000)

test.each(FAULTS.map((fault) => [fault.name, fault] as const))(
  '%s: nothing lost, missing, twice or paid twice',
  { timeout: DRAIN_MS + 120_000 },
  async (_, fault) => {
    const found = await round(cluster, fault, random, { calls: CALLS, everyMs: EVERY_MS, drainMs: DRAIN_MS })
    rounds.push(found)
    expect(found).toMatchObject({ calls: CALLS, lost: 0, missing: 0, twice: 0, paidTwice: 0, stuck: 0 })
    // The fault has struck: a number of what it did that is zero would prove nothing.
    expect(Object.values(found.did).every((count) => count > 0)).toBe(true)
  },
)
