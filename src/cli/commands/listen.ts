import { resolve } from 'node:path'
import type { Connection } from '../../config/model.ts'
import { suggest } from '../../config/suggest.ts'
import { CordboardError } from '../../errors.ts'
import { createLog } from '../../node/log.ts'
import { openDeps, secretsIn } from '../../node/open.ts'
import { secretsOfServices } from '../../node/services.ts'
import { listen } from '../../pipeline/listen.ts'
import { masked } from '../ask-vendor.ts'
import { configOption, dataOption, defineCommand, logOption } from '../command.ts'
import { type Configured, dataDirOf, needConfigured } from '../configured.ts'
import { EXIT } from '../exit.ts'
import { levelOf } from '../log-level.ts'
import { wrong } from '../parse.ts'
import { untilInterrupted } from '../until-stopped.ts'

export const command = defineCommand({
  usage: 'listen <connection>',
  about:
    'Holds the vendor’s stream of events open, beside a running server, and stores what it says as deliveries: the server ' +
    'works on them. Goes on where it ended, also after a crash, as long as the vendor keeps its events. One for each connection.',
  examples: [['cordboard listen crm', 'hears of calls that are logged in the CRM, until Ctrl-C']],
  options: { ...configOption, ...dataOption, ...logOption },
  args: [1, 1],
  async run({ flags, args: [id = ''], io }) {
    const level = levelOf('listen', flags.log, io)
    const configured = await needConfigured(flags.config, io)
    if (typeof configured === 'number') return configured
    const connection = connectionOf(configured, id)
    const { name, telephony } = connection.connector
    if (!telephony?.listen) {
      throw new CordboardError('bad_request', `${name} has no stream to listen to`, {
        fix: `See connectors/${connection.connector.id}/README.md for how it tells of calls`,
      })
    }
    const { config, services } = configured
    const secrets = [...secretsIn(config), ...secretsOfServices(services)]
    const dataDir = resolve(io.cwd, dataDirOf(flags.data, io))
    const deps = await openDeps({
      config,
      dataDir,
      services,
      works: false,
      log: createLog({ level, secrets }),
    })
    const signal = untilInterrupted()
    try {
      // The announcement is what scripts wait for.
      io.out(`listening to ${name} for ${id}`)
      await listen(deps, connection, signal)
      return EXIT.ok
    } catch (thrown) {
      throw masked(thrown, connection)
    } finally {
      await deps.queue.stop(0)
      await deps.close()
    }
  },
})

function connectionOf({ config }: Configured, id: string): Connection {
  const found = config.connections.get(id)
  if (found) return found
  const ids = [...config.connections.keys()]
  const meant = suggest(id, ids)
  const fix = meant ? `Did you mean ${meant}?` : `Use one of: ${ids.join(', ')}`
  throw wrong('listen', `There is no connection ${id}`, fix)
}
