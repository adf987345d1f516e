import { resolve } from 'node:path'
import type { Connection } from '../../config/model.ts'
import { suggest } from '../../config/suggest.ts'
import { CordboardError } from '../../errors.ts'
import { askVendor, masked } from '../ask-vendor.ts'
import { configOption, dataOption, defineCommand, jsonOption } from '../command.ts'
import { type Configured, dataDirOf, needConfigured } from '../configured.ts'
import { EXIT } from '../exit.ts'
import { wrong } from '../parse.ts'
import { untilInterrupted } from '../until-stopped.ts'

export const command = defineCommand({
  usage: 'subscribe <connection>',
  about:
    'Creates the webhook at the vendor, by its API: publicUrl/hooks/<connection>. Once it is there, nothing more is made. ' +
    'With subscribe: true in the connection the server does the same every hour.',
  examples: [['cordboard subscribe support-paris', 'the vendor calls our hook from now on']],
  options: { ...configOption, ...dataOption, ...jsonOption },
  args: [1, 1],
  async run({ flags, args: [id = ''], io }) {
    const configured = await needConfigured(flags.config, io)
    if (typeof configured === 'number') return configured
    const connection = connectionOf(configured, id)
    const { name, telephony } = connection.connector
    if (!telephony?.subscribe) {
      throw new CordboardError('bad_request', `The webhook of ${name} cannot be created by its API`, {
        fix: `Enter it by hand: connectors/${connection.connector.id}/README.md says where`,
      })
    }
    const dataDir = resolve(io.cwd, dataDirOf(flags.data, io))
    const { ctx, close } = askVendor({ configured, connection, dataDir, signal: untilInterrupted() })
    try {
      if (ctx.hookUrl === undefined) {
        throw new CordboardError('config', 'publicUrl is not configured: there is no address to be called', {
          fix: 'Set publicUrl to the address that the vendor reaches you by',
        })
      }
      await telephony.subscribe(ctx.hookUrl, ctx)
      if (flags.json) io.json({ connection: id, connector: connection.connector.id, hookUrl: ctx.hookUrl })
      else io.out(`${name} calls ${ctx.hookUrl}`)
      if (!connection.subscribe)
        io.err('Where such a webhook ends after a while, add subscribe: true to the connection')
      io.err(`Next: make a call, then cordboard doctor ${id}`)
      return EXIT.ok
    } catch (thrown) {
      throw masked(thrown, connection)
    } finally {
      await close()
    }
  },
})

function connectionOf({ config }: Configured, id: string): Connection {
  const found = config.connections.get(id)
  if (found) return found
  const ids = [...config.connections.keys()]
  const meant = suggest(id, ids)
  const fix = meant ? `Did you mean ${meant}?` : `Use one of: ${ids.join(', ')}`
  throw wrong('subscribe', `There is no connection ${id}`, fix)
}
