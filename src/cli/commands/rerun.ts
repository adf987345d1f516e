import type { Rerunning } from '../answers.ts'
import { agreed } from '../ask.ts'
import { defineCommand, jsonOption, targetOptions } from '../command.ts'
import { EXIT } from '../exit.ts'
import { dayAndTime } from '../table.ts'
import { openTarget } from '../target.ts'

export const command = defineCommand({
  usage: 'rerun <id> [--from submit|match|write] [--dry-run] [--yes]',
  about:
    'Does a call’s work again on what is stored, with today’s flow. Records in the CRM are updated, not doubled.',
  examples: [
    ['cordboard rerun call_01JDX3M8E0W5H4ZK6R2T9QYBVC', 'finds the record and writes again'],
    [
      'cordboard rerun call_01JDX3M8E0W5H4ZK6R2T9QYBVC --from submit',
      'has it analysed anew; asks first when that would be paid for again',
    ],
  ],
  options: {
    from: {
      type: 'string',
      value: 'STEP',
      about: 'first step to do again: submit, match (default) or write',
    },
    'dry-run': { type: 'boolean', about: 'only say what it would do, and cost' },
    yes: { type: 'boolean', about: 'do not ask' },
    ...jsonOption,
    ...targetOptions,
  },
  args: [1, 1],
  async run({ flags, args: [id = ''], io }) {
    const target = await openTarget(flags, io)
    if (typeof target === 'number') return target
    try {
      const path = `/v1/calls/${encodeURIComponent(id)}/rerun`
      const from = flags.from ?? 'match'
      if (from === 'submit' || flags['dry-run']) {
        const found: Rerunning = await target.post(path, { from, dryRun: true })
        const paid = found.paidBefore.map(({ connection, at }) => `${connection} on ${dayAndTime(at)}`)
        const says =
          paid.length === 0
            ? 'nobody has analysed it yet'
            : `analysed before by ${paid.join(', ')}: it would be paid for again`
        if (flags['dry-run']) {
          if (flags.json) io.json(found)
          else io.out(`${found.steps} ${found.steps === 1 ? 'step' : 'steps'} would be planned; ${says}`)
          return EXIT.ok
        }
        if (paid.length > 0) io.err(`${id}: ${says}`)
        if (paid.length > 0 && !flags.yes && !(await agreed('rerun', 'Have it analysed again?', io.canAsk)))
          return EXIT.failed
      }
      const answer: Rerunning = await target.post(path, { from })
      if (flags.json) io.json(answer)
      else io.out(`${answer.steps} ${answer.steps === 1 ? 'step' : 'steps'} planned for ${id}`)
      io.err(target.works ? `Next: cordboard show ${id}` : 'They run when the server starts: cordboard serve')
    } finally {
      await target.close()
    }
    return EXIT.ok
  },
})
