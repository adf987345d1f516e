import { resolve } from 'node:path'
import { defineCommand } from '../command.ts'
import { EXIT } from '../exit.ts'
import { portOf } from '../port.ts'
import { untilInterrupted } from '../until-stopped.ts'

export const command = defineCommand({
  usage: 'sandbox [--port N] [--to URL] [--only LIST] [--write FILE]',
  about: 'Stand-ins of all vendors on this machine: no account, no key. They can be told to fail.',
  examples: [
    ['cordboard sandbox', 'prints where each vendor’s stand-in listens, and how to connect them'],
    ['cordboard sandbox --to http://127.0.0.1:8080', 'their webhooks go to that Cordboard'],
    ['cordboard sandbox --only aircall,resonaa,hubspot', 'some of them'],
  ],
  options: {
    port: {
      type: 'string',
      value: 'N',
      about: 'of its control; the vendors follow. Default 4010, 0 takes free ones',
    },
    to: {
      type: 'string',
      value: 'URL',
      about: 'the Cordboard their webhooks go to; default http://127.0.0.1:8080',
    },
    only: {
      type: 'string',
      value: 'LIST',
      about: 'stand-ins of these connectors alone, with commas between them; default all',
    },
    write: {
      type: 'string',
      value: 'FILE',
      about: 'writes a configuration (.json) with all of them, and .env beside it, ready for serve --config',
    },
  },
  args: [0, 0],
  async run({ flags, io }) {
    const { serveSandbox, serveControl } = await import('../../sandbox/control.ts')
    const { everyone, flowOfAll } = await import('../../sandbox/everyone.ts')
    const connections = everyone(flags.only?.split(',').map((id) => id.trim()))
    const port = portOf('sandbox', flags.port, 4010)
    if (flags.write !== undefined) {
      const { mayWriteSandboxConfig } = await import('../../sandbox/config-file.ts')
      mayWriteSandboxConfig(resolve(io.cwd, flags.write))
    }
    const publicUrl = (flags.to ?? 'http://127.0.0.1:8080').replace(/\/$/, '')
    const sandbox = await serveSandbox({
      port: port === 0 ? 0 : port + 1,
      publicUrl,
      connections,
      flows: [flowOfAll(connections)],
    })
    const control = await serveControl(sandbox, port)
    for (const [id, url] of [...sandbox.urls, ['control', control.url] as const])
      io.out(`${id.padEnd(22)} ${url}`)
    if (flags.write !== undefined) {
      const { writeSandboxConfig } = await import('../../sandbox/config-file.ts')
      const { configFile, envFile } = await writeSandboxConfig(sandbox.world, resolve(io.cwd, flags.write))
      io.err(`Written: ${configFile} and ${envFile}. Next: cordboard serve --config ${configFile}`)
    }
    const ids = [...sandbox.urls.keys()]
    const phone = ids.find((id) => sandbox.world.vendor(id).place) ?? ids[0]
    const other = ids.includes('sandbox-hubspot') ? 'sandbox-hubspot' : (ids.at(-1) ?? phone)
    io.err(`Play a call:   curl -X POST ${control.url}/calls -d '{"connection":"${phone}"}'`)
    io.err(
      `Make it fail:  curl -X POST ${control.url}/faults -d '{"connection":"${other}","fault":{"kind":"status","status":429,"retryAfter":"2"}}'`,
    )
    io.err(`Look inside:   curl ${control.url}/book/${other}`)
    await new Promise((resolve) => untilInterrupted().addEventListener('abort', resolve, { once: true }))
    await control.stop()
    await sandbox.stop()
    return EXIT.ok
  },
})
