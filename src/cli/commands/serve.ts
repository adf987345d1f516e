import { resolve } from 'node:path'
import { CordboardError } from '../../errors.ts'
import { createLog } from '../../node/log.ts'
import { secretsIn } from '../../node/open.ts'
import { startServer } from '../../node/serve.ts'
import { type Services, secretsOfServices } from '../../node/services.ts'
import { ADMIN_TOKEN_FILE, type OpenTokens, openTokens, sharedTokens } from '../../node/tokens.ts'
import { configOption, dataOption, defineCommand, logOption } from '../command.ts'
import { dataDirOf, needConfigured } from '../configured.ts'
import type { Io } from '../io.ts'
import { levelOf } from '../log-level.ts'
import { portOf } from '../port.ts'
import { GRACE_MS, untilStopped } from '../until-stopped.ts'

export const command = defineCommand({
  usage: 'serve [--config FILE] [--port N] [--host H] [--data DIR] [--with-work]',
  about:
    'Takes webhooks and does the work, in one process; with DATABASE_URL it takes webhooks and leaves the work to cordboard work. Stops with what is under way finished, 30 s at most.',
  examples: [
    ['cordboard serve', 'with cordboard.config.ts of this folder, on http://127.0.0.1:8080'],
    ['cordboard serve --host 0.0.0.0 --data /var/lib/cordboard', 'in a container'],
    ['cordboard serve --with-work', 'one of several replicas on one database, each doing both'],
  ],
  options: {
    ...configOption,
    port: { type: 'string', value: 'N', about: 'default 8080; 0 takes a free one' },
    host: { type: 'string', value: 'H', about: 'default 127.0.0.1: this machine only' },
    'with-work': { type: 'boolean', about: 'does the work too, where DATABASE_URL is set' },
    ...dataOption,
    ...logOption,
  },
  args: [0, 0],
  async run({ flags, io }) {
    const port = portOf('serve', flags.port, 8080)
    const level = levelOf('serve', flags.log, io)
    const configured = await needConfigured(flags.config, io)
    if (typeof configured === 'number') return configured
    const { config, services } = configured
    const dataDir = resolve(io.cwd, dataDirOf(flags.data, io))
    const { tokens, created } = tokensFor(services, dataDir, io)
    const secrets = [
      ...secretsIn(config),
      ...secretsOfServices(services),
      ...tokens.map(({ token }) => token),
    ]
    const server = await startServer({
      config,
      dataDir,
      services,
      tokens,
      log: createLog({ level, secrets }),
      port,
      ...(flags.host === undefined ? {} : { host: flags.host }),
      ...(flags['with-work'] === true ? { withWork: true } : {}),
    })
    if (created !== null) {
      io.err(`Admin token (shown once, kept in ${dataDir}/${ADMIN_TOKEN_FILE}): ${created}`)
    }
    // The announcement is what scripts wait for.
    io.out(`listening on ${server.url}`)
    return untilStopped(() => server.stop(GRACE_MS), io)
  },
})

function tokensFor({ databaseUrl }: Services, dataDir: string, io: Io): OpenTokens {
  if (databaseUrl === null) return openTokens(dataDir, io.env)
  const tokens = sharedTokens(io.env)
  if (tokens !== null) return { tokens, created: null }
  throw new CordboardError('config', 'CORDBOARD_TOKENS is not set', {
    why: 'With DATABASE_URL several processes serve one installation: a token made by one is unknown to the others',
    fix: 'Set CORDBOARD_TOKENS=admin:<a long random text>, or CORDBOARD_TOKENS_FILE, for all of them',
  })
}
