import { resolve } from 'node:path'
import { createLog, LOG_LEVELS, type LogLevel } from '../../node/log.ts'
import { secretsIn } from '../../node/open.ts'
import { startServer } from '../../node/serve.ts'
import { ADMIN_TOKEN_FILE, openTokens } from '../../node/tokens.ts'
import { configOption, dataOption, defineCommand } from '../command.ts'
import { dataDirOf, needConfigured } from '../configured.ts'
import { wrong } from '../parse.ts'
import { portOf } from '../port.ts'
import { untilStopped } from '../until-stopped.ts'

// What is cut off then gets a second to end, and has its place in the store given back: 30 s in all.
const GRACE_MS = 27_000

export const command = defineCommand({
  usage: 'serve [--config FILE] [--port N] [--host H] [--data DIR]',
  about:
    'Takes webhooks and does the work, in one process. Stops with what is under way finished, 30 s at most.',
  examples: [
    ['cordboard serve', 'with cordboard.config.ts of this folder, on http://127.0.0.1:8080'],
    ['cordboard serve --host 0.0.0.0 --data /var/lib/cordboard', 'in a container'],
  ],
  options: {
    ...configOption,
    port: { type: 'string', value: 'N', about: 'default 8080; 0 takes a free one' },
    host: { type: 'string', value: 'H', about: 'default 127.0.0.1: this machine only' },
    ...dataOption,
    log: { type: 'string', value: 'LEVEL', about: 'debug, info (default), warn or error; CORDBOARD_LOG' },
  },
  args: [0, 0],
  async run({ flags, io }) {
    const port = portOf('serve', flags.port, 8080)
    const level = levelOf(flags.log ?? io.env.CORDBOARD_LOG ?? 'info')
    const configured = await needConfigured(flags.config, io)
    if (typeof configured === 'number') return configured
    const { config } = configured
    const dataDir = resolve(io.cwd, dataDirOf(flags.data, io))
    const { tokens, created } = openTokens(dataDir, io.env)
    const log = createLog({ level, secrets: [...secretsIn(config), ...tokens.map(({ token }) => token)] })
    const server = await startServer({
      config,
      dataDir,
      tokens,
      log,
      port,
      ...(flags.host === undefined ? {} : { host: flags.host }),
    })
    if (created !== null) {
      io.err(`Admin token (shown once, kept in ${dataDir}/${ADMIN_TOKEN_FILE}): ${created}`)
    }
    // The announcement is what scripts wait for.
    io.out(`listening on ${server.url}`)
    return untilStopped(() => server.stop(GRACE_MS), io)
  },
})

function levelOf(text: string): LogLevel {
  const level = LOG_LEVELS.find((known) => known === text)
  if (level) return level
  throw wrong('serve', `There is no log level ${text}`, `Use one of: ${LOG_LEVELS.join(', ')}`)
}
