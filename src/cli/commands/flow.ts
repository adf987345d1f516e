import type { FlowExplained } from '../answers.ts'
import { defineCommand, jsonOption, targetOptions } from '../command.ts'
import { EXIT } from '../exit.ts'
import { wrong } from '../parse.ts'
import { table } from '../table.ts'
import { openTarget } from '../target.ts'

export const command = defineCommand({
  usage: 'flow explain <call id>',
  about: 'Says which flow takes a call, which analysis service is asked first, and why. Changes nothing.',
  examples: [['cordboard flow explain call_01JDX3M8E0W5H4ZK6R2T9QYBVC', 'by the configuration as it is now']],
  options: { ...jsonOption, ...targetOptions },
  args: [2, 2],
  async run({ flags, args: [verb, id = ''], io }) {
    if (verb !== 'explain') throw wrong('flow', `flow can explain; it cannot ${verb}`)
    const target = await openTarget(flags, io)
    if (typeof target === 'number') return target
    try {
      const found: FlowExplained = await target.get(`/v1/calls/${encodeURIComponent(id)}/flow`)
      if (flags.json) io.json(found)
      else {
        const mark = (name: string, takes: boolean) => {
          if (name === found.flow) return io.paint('green', 'takes it')
          return io.paint('yellow', takes ? 'comes too late' : 'passes it by')
        }
        const first = found.backends.find(({ takes }) => takes)?.connection
        const turn = (connection: string, takes: boolean) => {
          if (!takes) return 'passed over'
          return connection === first ? 'asked first' : 'asked next'
        }
        io.out(io.paint('bold', 'Flows'))
        for (const line of table(found.flows.map(({ name, takes, why }) => [name, mark(name, takes), why])))
          io.out(`  ${line}`)
        io.out(io.paint('bold', 'Analysis'))
        if (found.forbidden !== null) io.out(`  nobody: ${found.forbidden}`)
        else if (found.backends.length === 0) io.out('  nobody: the flow names no service')
        const asked = found.backends.map(({ connection, takes, why }) => [
          connection,
          turn(connection, takes),
          why,
        ])
        for (const line of table(asked)) io.out(`  ${line}`)
        io.out(io.paint('bold', 'Written to'))
        io.out(`  ${found.write.join(', ') || 'no CRM'}`)
      }
    } finally {
      await target.close()
    }
    return EXIT.ok
  },
})
