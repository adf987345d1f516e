import type { Issue, Page } from '../answers.ts'
import { defineCommand, jsonOption, targetOptions } from '../command.ts'
import { EXIT } from '../exit.ts'
import { dayAndTime } from '../table.ts'
import { openTarget } from '../target.ts'

export const command = defineCommand({
  usage: 'issues',
  about: 'What a person must look at: failures grouped by what failed, why and where.',
  examples: [
    ['cordboard issues', 'the open ones'],
    ['cordboard issues --state resolved --json', 'those that are over, for a script'],
  ],
  options: {
    state: { type: 'string', value: 'STATE', about: 'open (default), acknowledged, ignored or resolved' },
    connection: { type: 'string', value: 'ID', about: 'only those of this connection' },
    ...jsonOption,
    ...targetOptions,
  },
  args: [0, 0],
  async run({ flags, io }) {
    const target = await openTarget(flags, io)
    if (typeof target === 'number') return target
    try {
      const query = { state: flags.state ?? 'open', connection: flags.connection, limit: '200' }
      const { items }: Page<Issue> = await target.get('/v1/issues', query)
      if (flags.json) for (const issue of items) io.json(issue)
      else if (items.length === 0) io.err(`No ${query.state} issues.`)
      else {
        for (const { code, connection, kind, count, lastAt, says, fix, callId } of items) {
          io.out(`${io.paint('red', '✖')} ${io.paint('bold', code)}   ${connection}, ${kind}: ${says}`)
          io.out(`  Seen  ${count} ×, last ${dayAndTime(lastAt)}${callId ? `, ${callId}` : ''}`)
          io.out(`  Do    ${fix}`)
        }
      }
    } finally {
      await target.close()
    }
    return EXIT.ok
  },
})
