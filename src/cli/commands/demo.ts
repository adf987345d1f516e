import { defineCommand, jsonOption } from '../command.ts'
import { portOf } from '../port.ts'
import { untilInterrupted } from '../until-stopped.ts'

export const command = defineCommand({
  usage: 'demo [--once]',
  about: 'A whole installation with stand-ins of the vendors: everything is fake, except the pipeline.',
  examples: [
    ['cordboard demo', 'runs until you stop it'],
    ['cordboard demo --once --json', 'one round; the last line says what became of it'],
  ],
  options: {
    once: { type: 'boolean', about: 'one round of calls, then the sum' },
    port: { type: 'string', value: 'N', about: 'where it listens; default a free port' },
    ...jsonOption,
  },
  args: [0, 0],
  async run({ flags, io }) {
    const { runDemo } = await import('../../sandbox/demo.ts')
    return runDemo({
      once: flags.once ?? false,
      json: flags.json ?? false,
      port: portOf('demo', flags.port, 0),
      print: io.out,
      dim: (text) => (flags.json ? text : io.paint('dim', text)),
      signal: untilInterrupted(),
    })
  },
})
