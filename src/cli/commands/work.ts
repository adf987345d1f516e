import { resolve } from 'node:path'
import { CordboardError } from '../../errors.ts'
import { createLog } from '../../node/log.ts'
import { secretsIn } from '../../node/open.ts'
import { secretsOfServices } from '../../node/services.ts'
import { sharedTokens } from '../../node/tokens.ts'
import { startWorker } from '../../node/work.ts'
import { configOption, dataOption, defineCommand, logOption } from '../command.ts'
import { dataDirOf, needConfigured } from '../configured.ts'
import { levelOf } from '../log-level.ts'
import { portOf } from '../port.ts'
import { GRACE_MS, untilStopped } from '../until-stopped.ts'

export const command = defineCommand({
  usage: 'work [--config FILE] [--port N] [--host H]',
  about:
    'Does the work of an installation with DATABASE_URL, beside any number of others. Answers /healthz, /readyz and /metrics. Stops with what is under way finished, 30 s at most; the rest goes back to the others.',
  examples: [
    ['cordboard work', 'with cordboard.config.ts of this folder, its probes on http://127.0.0.1:8080'],
    ['cordboard work --host 0.0.0.0 --port 9090', 'in a container, its probes on port 9090'],
  ],
  options: {
    ...configOption,
    port: { type: 'string', value: 'N', about: 'of the probes; default 8080; 0 takes a free one' },
    host: { type: 'string', value: 'H', about: 'default 127.0.0.1: this machine only' },
    ...dataOption,
    ...logOption,
  },
  args: [0, 0],
  async run({ flags, io }) {
    const port = portOf('work', flags.port, 8080)
    const level = levelOf('work', flags.log, io)
    const configured = await needConfigured(flags.config, io)
    if (typeof configured === 'number') return configured
    const { config, services } = configured
    if (services.databaseUrl === null) {
      throw new CordboardError('config', 'DATABASE_URL is not set', {
        why: 'The store of a data folder belongs to one process, and cordboard serve does its work too',
        fix: 'Name the database that all processes share in DATABASE_URL, or run only: cordboard serve',
      })
    }
    const tokens = sharedTokens(io.env) ?? []
    const secrets = [
      ...secretsIn(config),
      ...secretsOfServices(services),
      ...tokens.map(({ token }) => token),
    ]
    const running = await startWorker({
      config,
      dataDir: resolve(io.cwd, dataDirOf(flags.data, io)),
      services,
      tokens,
      log: createLog({ level, secrets }),
      port,
      ...(flags.host === undefined ? {} : { host: flags.host }),
    })
    // The announcement is what scripts wait for.
    io.out(`working, probes on ${running.url}`)
    return untilStopped(() => running.stop(GRACE_MS), io)
  },
})
