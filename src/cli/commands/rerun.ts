import { defineCommand, jsonOption, targetOptions } from '../command.ts'
import { EXIT } from '../exit.ts'
import { openTarget } from '../target.ts'

export const command = defineCommand({
  usage: 'rerun <id> [--from submit|match|write]',
  about:
    'Does a call’s work again on what is stored, with today’s flow. Records in the CRM are updated, not doubled.',
  examples: [
    ['cordboard rerun call_01JDX3M8E0W5H4ZK6R2T9QYBVC', 'finds the record and writes again'],
    [
      'cordboard rerun call_01JDX3M8E0W5H4ZK6R2T9QYBVC --from submit',
      'has it analysed anew (may cost money)',
    ],
  ],
  options: {
    from: {
      type: 'string',
      value: 'STEP',
      about: 'first step to do again: submit, match (default) or write',
    },
    ...jsonOption,
    ...targetOptions,
  },
  args: [1, 1],
  async run({ flags, args: [id = ''], io }) {
    const target = await openTarget(flags, io)
    if (typeof target === 'number') return target
    try {
      const path = `/v1/calls/${encodeURIComponent(id)}/rerun`
      const answer: { steps: number } = await target.post(path, { from: flags.from ?? 'match' })
      if (flags.json) io.json(answer)
      else io.out(`${answer.steps} ${answer.steps === 1 ? 'step' : 'steps'} planned for ${id}`)
      io.err(target.works ? `Next: cordboard show ${id}` : 'They run when the server starts: cordboard serve')
    } finally {
      await target.close()
    }
    return EXIT.ok
  },
})
