import type { AddressInfo, Server } from 'node:net'
import { createAdaptorServer } from '@hono/node-server'
import { connectorIds, loadConnector } from '../../connectors/index.ts'
import { createApp } from '../../src/app.ts'
import { loadConfig } from '../../src/config/load.ts'
import { openDeps } from '../../src/node/open.ts'
import { prepare } from '../../src/node/prepare.ts'
import { EMBEDDED, type Services } from '../../src/node/services.ts'

/**
 * The server of `bench ingest`, a process of its own: the very app, without the work that follows an accepted delivery.
 * The parent switches the store's append off and on between rounds, so that both rates come from one process.
 */
const [dataDir = '', secret = '', databaseUrl = ''] = process.argv.slice(2)

const loaded = await loadConfig(
  { publicUrl: 'https://hooks.example.com', connections: { pbx: { use: 'generic', secret } }, flows: [] },
  {
    connectors: { ids: connectorIds, load: loadConnector },
    resolveSecret: () => undefined,
    plainSecrets: true,
  },
)
if ('problems' in loaded) throw new Error(JSON.stringify(loaded.problems))

const services: Services = { ...EMBEDDED, databaseUrl: databaseUrl === '' ? null : databaseUrl }
await prepare(services, dataDir)
const deps = await openDeps({ config: loaded.config, dataDir, services })
const durable = deps.store.append.bind(deps.store)
let isDurable = true
const store = {
  ...deps.store,
  append: (entry: Parameters<typeof durable>[0]) =>
    isDurable ? durable(entry) : Promise.resolve({ id: entry.delivery.id, repeats: 0 }),
}
const app = createApp({ ...deps, store, tokens: [] })
const server = createAdaptorServer({ fetch: app.fetch }) as Server
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }))

let cpuFrom = process.cpuUsage()

process.on('message', async (message: { durable?: boolean; cpu?: true; count?: true; stop?: true }) => {
  if (message.durable !== undefined) {
    isDurable = message.durable
    cpuFrom = process.cpuUsage()
    process.send?.({ switched: isDurable })
  }
  if (message.cpu) {
    const { user, system } = process.cpuUsage(cpuFrom)
    process.send?.({ cpuUs: user + system })
  }
  if (message.count) {
    const row = await deps.store.db
      .selectFrom('deliveries')
      .innerJoin('steps', 'steps.subject', 'deliveries.id')
      .select((eb) => eb.fn.countAll<number>().as('rows'))
      .executeTakeFirstOrThrow()
    process.send?.({ rows: Number(row.rows), rss: process.memoryUsage().rss })
  }
  if (message.stop) {
    server.close()
    await deps.close()
    process.exit(0)
  }
})
process.on('disconnect', () => process.exit(0))
