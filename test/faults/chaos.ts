/**
 * `npm run chaos -- [--seed N] [--calls N] [--json]`: every fault of the catalogue at random moments and in a random order, with
 * at least 2,000 calls, until the calls are through; then how the other lanes fare beside a black hole. The last line sums up.
 */
import { parseArgs } from 'node:util'
import { seeded } from '../scenarios/installation.ts'
import { besideBlackHole } from './black-hole.ts'
import { openCluster } from './cluster.ts'
import { FAULTS } from './cluster-faults.ts'
import { round } from './rounds.ts'

const { values } = parseArgs({
  options: { seed: { type: 'string' }, calls: { type: 'string' }, json: { type: 'boolean' } },
})
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31))
const calls = Number(values.calls ?? 2_000)
const FAILING = 0.1
const EVERY_MS = 40
const CALLS_A_ROUND = 170
const DRAIN_MS = 300_000

const say = (line: string) => process.stdout.write(`${line}\n`)
const random = seeded(seed)
say(values.json ? JSON.stringify({ seed }) : `seed ${seed}`)

let placed = 0
let faults = 0
const total = { lost: 0, missing: 0, twice: 0, paidTwice: 0, stuck: 0 }
{
  await using cluster = await openCluster({ random, failing: FAILING })
  let left: (typeof FAULTS)[number][] = []
  while (placed < calls) {
    // All of them, shuffled, before one comes again.
    if (left.length === 0) left = [...FAULTS].sort(() => random() - 0.5)
    const fault = left.pop()
    if (!fault) break
    const options = { calls: CALLS_A_ROUND, everyMs: EVERY_MS, drainMs: DRAIN_MS }
    const found = await round(cluster, fault, random, options)
    placed += found.calls
    faults += 1
    // Counted over everything since the start: the last round's figures are the sum.
    const { lost, missing, twice, paidTwice, stuck } = found
    Object.assign(total, { lost, missing, twice, paidTwice, stuck })
    say(values.json ? JSON.stringify(found) : line(found))
  }
}
const beside = await besideBlackHole(random)
say(values.json ? JSON.stringify(beside) : `beside a black hole: ${beside.ratio} of the baseline`)
say(JSON.stringify({ calls: placed, faults, ...total, besideBlackHole: beside.ratio, seed }))
process.exitCode =
  total.lost + total.missing + total.twice + total.paidTwice === 0 && beside.ratio >= 0.8 ? 0 : 1

function line(found: Awaited<ReturnType<typeof round>>): string {
  const { fault, calls: n, lost, missing, twice, paidTwice, drainMs } = found
  return `${fault.padEnd(52)} ${n} calls, lost ${lost}, missing ${missing}, twice ${twice}, paid twice ${paidTwice}, drained in ${Math.round(drainMs / 100) / 10} s`
}
