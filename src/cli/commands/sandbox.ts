import { defineCommand } from '../command.ts'
import { portOf } from '../port.ts'

export const command = defineCommand({
  usage: 'sandbox',
  about: 'Stand-ins of all vendors on this machine: no account, no key. They can be told to fail.',
  examples: [
    ['cordboard sandbox', 'prints where each vendor’s stand-in listens'],
    ['cordboard sandbox --port 4010', 'on a port of your choice'],
  ],
  options: {
    port: { type: 'string', value: 'N', about: 'where it listens; default 4010, 0 takes a free one' },
  },
  args: [0, 0],
  async run({ flags }) {
    const { serveSandbox } = await import('../../sandbox/serve.ts')
    return serveSandbox({ port: portOf('sandbox', flags.port, 4010) })
  },
})
