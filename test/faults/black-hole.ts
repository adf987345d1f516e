import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Cluster, openCluster } from './cluster.ts'
import { pause, until } from './within.ts'

/** How the lanes of everybody else fare while one CRM swallows every request. */
export interface BesideBlackHole {
  /** Calls a second of the healthy flow, three times each. */
  baseline: number[]
  beside: number[]
  /** Of the medians. */
  ratio: number
}

const CALLS = 150
const ROUNDS = 3
const WITHIN_MS = 120_000

/**
 * Two flows into two CRMs. While the second CRM answers, and while it does not, as many calls are sent through both; what
 * counts is how fast those of the first one are done.
 */
export async function besideBlackHole(random: () => number): Promise<BesideBlackHole> {
  await using door = await openDoor()
  await using cluster = await openCluster({
    random,
    failing: 0,
    config: (file) => {
      const connections = file.connections as Record<string, Record<string, unknown>>
      const crm = connections['sandbox-hubspot'] ?? {}
      door.leadTo(String(crm.baseUrl))
      const second = { ...crm, baseUrl: door.url, allowPrivate: [new URL(door.url).host] }
      const flow = (from: string, analyze: string, write: string) => ({
        name: from,
        from: [from],
        analyze: [analyze],
        write: [write],
        unknownCaller: 'create',
      })
      return {
        ...file,
        connections: { ...connections, second },
        flows: [
          flow('sandbox-twilio', 'sandbox-transcripto', 'sandbox-hubspot'),
          flow('sandbox-zadarma', 'sandbox-transcripto', 'second'),
        ],
      }
    },
  })
  const baseline: number[] = []
  const beside: number[] = []
  // One that counts for nothing: programs and databases are slower the first time.
  await healthyRate(cluster)
  for (let at = 0; at < ROUNDS; at += 1) {
    baseline.push(await healthyRate(cluster))
    door.close()
    beside.push(await healthyRate(cluster))
    door.open()
    await cluster.drain(WITHIN_MS)
  }
  return { baseline, beside, ratio: Math.round((100 * median(beside)) / median(baseline)) / 100 }
}

async function healthyRate(cluster: Cluster): Promise<number> {
  const done = async () => {
    const rows = await cluster.rows(
      "select count(*) as n from calls where connection = 'sandbox-twilio' and state = 'done'",
    )
    return Number(rows[0]?.n)
  }
  const before = await done()
  const startedAt = Date.now()
  const result = 'no_answer'
  const played = Array.from({ length: 2 * CALLS }, async (_, at) => {
    await pause(at * 5)
    await cluster.sender.play(at % 2 === 0 ? 'sandbox-twilio' : 'sandbox-zadarma', { result })
  })
  await until('the healthy flow is through', async () => (await done()) >= before + CALLS, WITHIN_MS)
  const seconds = (Date.now() - startedAt) / 1_000
  await Promise.all(played)
  return Math.round((10 * CALLS) / seconds) / 10
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
}

/** In front of a CRM: passes requests on, or keeps them for ever. */
async function openDoor() {
  let target = ''
  let isOpen = true
  let opened = Promise.withResolvers<void>()
  const server = createServer(async (request, response) => {
    try {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk as Buffer)
      if (!isOpen) await opened.promise
      const { host: _, connection: __, 'content-length': ___, ...headers } = request.headers
      const answer = await fetch(target + request.url, {
        method: request.method ?? 'GET',
        headers: headers as Record<string, string>,
        ...(chunks.length > 0 ? { body: Buffer.concat(chunks) } : {}),
      })
      response.writeHead(answer.status, {
        'content-type': answer.headers.get('content-type') ?? 'text/plain',
      })
      response.end(Buffer.from(await answer.arrayBuffer()))
    } catch {
      // The caller has gone, or the CRM has: either way there is nobody to tell.
      response.destroy()
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    leadTo(url: string) {
      target = url
    },
    close() {
      isOpen = false
      opened = Promise.withResolvers<void>()
    },
    open() {
      isOpen = true
      opened.resolve()
    },
    async [Symbol.asyncDispose]() {
      opened.resolve()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
