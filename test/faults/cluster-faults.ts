import { TOKEN } from './child.ts'
import { type Cluster, LEASE_MS } from './cluster.ts'
import { type Company, post } from './company.ts'
import { blackHole, type Unheard, unheard } from './trouble.ts'
import { pause, until } from './within.ts'

/** What befalls the cluster while calls cross it. */
export interface Fault {
  name: string
  /** Resolves when the fault is over and the cluster has what it needs again; answers what it did, in numbers. */
  strike(cluster: Cluster, random: () => number): Promise<Record<string, number>>
}

const WORKER_KILLS = 20
const DOWN_MS = 20_000
const SKEW_MS = 600_000
const CRM = 'sandbox-hubspot'
const BACKEND = 'sandbox-transcripto'

const between = (random: () => number, least: number, most: number) => least + random() * (most - least)
const oneOf = <T>(random: () => number, list: readonly [T, ...T[]]): T =>
  list[Math.floor(random() * list.length)] ?? list[0]

/** Of issue and checklist, each as it happens in life; against a PostgreSQL, a Redis and processes of its own. */
export const FAULTS: readonly Fault[] = [
  {
    name: `worker killed ${WORKER_KILLS} times`,
    async strike({ workers }, random) {
      for (let kills = 0; kills < WORKER_KILLS; kills += 1) {
        await oneOf(random, workers).kill()
        await pause(between(random, 0, 300))
      }
      return { kills: WORKER_KILLS }
    },
  },
  {
    name: 'web process killed',
    async strike({ web }, random) {
      for (let kills = 0; kills < 3; kills += 1) {
        await web.kill()
        await pause(between(random, 0, 500))
      }
      return { kills: 3 }
    },
  },
  {
    name: 'Redis FLUSHALL',
    async strike({ redis }, random) {
      for (let times = 0; times < 5; times += 1) {
        await redis.flush()
        await pause(between(random, 100, 600))
      }
      return { flushes: 5 }
    },
  },
  {
    name: 'Redis killed, back without its data',
    async strike({ redis }, random) {
      await redis.kill()
      await pause(between(random, 1_000, 4_000))
      await redis.start()
      return { kills: 1 }
    },
  },
  {
    name: 'PostgreSQL restarted, -m immediate',
    async strike({ postgres }, random) {
      for (let times = 0; times < 2; times += 1) {
        await postgres.restart('immediate')
        await pause(between(random, 500, 1_500))
      }
      return { restarts: 2 }
    },
  },
  {
    name: `PostgreSQL down for ${DOWN_MS / 1000} s`,
    async strike({ postgres, company }) {
      await postgres.stop('immediate')
      const downAt = Date.now()
      // A vendor that sends meanwhile is told when to send again.
      const answer = await probe(company.publicUrl, await company.sandbox.sign('sandbox-twilio', PROBE))
      await pause(DOWN_MS - (Date.now() - downAt))
      await postgres.start()
      return { refused: answer.status, retryAfter: Number(answer.headers.get('retry-after')) }
    },
  },
  {
    name: 'backend takes a call and cuts the connection',
    async strike({ company }) {
      const cutting = unheard(company.sandbox, BACKEND, {
        method: 'POST',
        path: /^\/addtaskcall$/,
        end: 'cut',
      })
      await struck(cutting)
      cutting.stop()
      return { cuts: cutting.count() }
    },
  },
  {
    name: 'CRM writes and never answers',
    async strike({ company }) {
      const silence = unheard(company.sandbox, CRM, {
        method: 'POST',
        path: /^\/crm\/objects\/[^/]+\/(?:calls|notes|tasks|contacts)$/,
        end: 'silence',
      })
      await struck(silence)
      silence.stop()
      return { unanswered: silence.count() }
    },
  },
  {
    name: 'a worker’s clock is wrong by ±10 min',
    async strike({ workers: [first, second] }) {
      await Promise.all([first.replace({ skewMs: SKEW_MS }), second.replace({ skewMs: -SKEW_MS })])
      await pause(4_000)
      await Promise.all([first.replace(), second.replace()])
      return { skewedMs: 2 * SKEW_MS }
    },
  },
  {
    name: 'a worker stopped for two leases, then continued',
    async strike({ workers }) {
      for (const { child } of workers) {
        const stopped = child()
        stopped.signal('SIGSTOP')
        await pause(2 * LEASE_MS)
        stopped.signal('SIGCONT')
      }
      return { stops: workers.length }
    },
  },
  {
    name: 'a step that kills whoever runs it',
    async strike(cluster) {
      const deathsBefore = cluster.deaths()
      let deaths = 0
      const { sender, workers, company } = cluster
      let poison = ''
      const call = await sender.play('sandbox-zadarma', {}, async ({ id }) => {
        poison = idOf(company, 'sandbox-zadarma', 'recording', id)
        await Promise.all(workers.map((worker) => worker.replace({ poison })))
      })
      const external = idOf(company, 'sandbox-zadarma', 'call', call.id)
      const ofCall = `call_id in (select call_id from call_keys where external_id = '${external}')`
      const steps = () =>
        cluster.rows(
          `select id, call_id, kind, state, connection, attempts, crashes, code, reason from steps where ${ofCall}`,
        )
      try {
        await until(
          'the step is put aside',
          async () => {
            // Those of this call go on at once, after a crash and after a failure alike: a vendor that fails before the
            // poison is reached sets back the count of crashes, and the waits after that grow to minutes.
            await cluster.hurry(ofCall)
            return (await steps()).some(({ state }) => state === 'dead')
          },
          150_000,
        )
        deaths = cluster.deaths() - deathsBefore
      } catch (cause) {
        throw new Error(`its steps: ${JSON.stringify(await steps())}`, { cause })
      } finally {
        // Whatever became of it: the next fault finds workers that nothing kills.
        await Promise.all(workers.map((worker) => worker.replace()))
      }
      // A person has mended what it died of, and has the call done again.
      const [row] = await steps()
      const rerun = await post(`${company.publicUrl}/v1/calls/${row?.call_id}/rerun`, {
        method: 'POST',
        headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
        body: JSON.stringify({ from: 'submit' }),
      })
      return { deaths, rerun }
    },
  },
  {
    name: 'the CRM is a black hole',
    async strike({ company }) {
      const hole = blackHole(company.sandbox, CRM)
      await pause(5_000)
      hole.stop()
      return { forMs: 5_000 }
    },
  },
]

/** For three seconds, and until it has struck: on a slow machine the calls come to the vendor later. */
async function struck({ count }: Unheard): Promise<void> {
  await pause(3_000)
  await until('the vendor has been asked', () => count() > 0, 60_000)
}

function idOf({ sandbox }: Company, vendor: string, kind: string, key: string): string {
  const found = sandbox.world
    .vendor(vendor)
    .book()
    .find((record) => record.kind === kind && record.key === key)
  if (!found) throw new Error(`${vendor} has no ${kind} of ${key}`)
  return found.id
}

const PROBE = {
  says: 'while the database is down',
  method: 'POST',
  path: '/status',
  headers: { 'content-type': 'application/x-www-form-urlencoded' },
  body: 'Probe=while+the+database+is+down',
}

async function probe(
  publicUrl: string,
  {
    url,
    method,
    headers,
    body,
  }: { url: string; method: string; headers: Record<string, string>; body: string },
): Promise<Response> {
  if (!url.startsWith(publicUrl)) throw new Error('the probe goes to the cluster only')
  const response = await fetch(url, { method, headers, body, signal: AbortSignal.timeout(10_000) })
  await response.arrayBuffer()
  return response
}
