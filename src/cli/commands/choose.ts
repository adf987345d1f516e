import type { CallDetail } from '../answers.ts'
import { defineCommand, jsonOption, targetOptions } from '../command.ts'
import { EXIT } from '../exit.ts'
import type { Io } from '../io.ts'
import { wrong } from '../parse.ts'
import { table } from '../table.ts'
import { openTarget } from '../target.ts'

type WriteBack = CallDetail['writeBacks'][number]

export const command = defineCommand({
  usage: 'choose <call id> [<type>/<id>] [--crm <connection>]',
  about:
    'Says which record of the CRM a call belongs to; it is written there, and matching leaves it alone from then on. Without ' +
    'a record: lists those that came into question.',
  examples: [
    [
      'cordboard choose call_01JDX3M8E0W5H4ZK6R2T9QYBVC',
      'the records with this number, and why none was taken',
    ],
    ['cordboard choose call_01JDX3M8E0W5H4ZK6R2T9QYBVC contact/51', 'it is this one'],
  ],
  options: {
    crm: { type: 'string', value: 'ID', about: 'which CRM connection, where the call goes to several' },
    ...jsonOption,
    ...targetOptions,
  },
  args: [1, 2],
  async run({ flags, args: [id = '', record], io }) {
    const target = await openTarget(flags, io)
    if (typeof target === 'number') return target
    try {
      const path = `/v1/calls/${encodeURIComponent(id)}`
      const { writeBacks }: CallDetail = await target.get(path)
      if (record === undefined) return list(writeBacks, flags.json ?? false, io)
      const { type, recordId } = named(record)
      const connection = flags.crm ?? only(writeBacks)
      const answer = await target.post(`${path}/record`, { connection, type, id: recordId })
      if (flags.json) io.json(answer)
      else io.out(`${id} is written on ${type}/${recordId} of ${connection}`)
      io.err(
        target.works ? `Next: cordboard show ${id}` : 'It is done when the server starts: cordboard serve',
      )
    } finally {
      await target.close()
    }
    return EXIT.ok
  },
})

function list(writeBacks: readonly WriteBack[], json: boolean, io: Io): number {
  if (json) for (const line of writeBacks) io.json(line)
  else if (writeBacks.length === 0) io.out('Its records were not looked for yet')
  for (const { connection, state, target, reason, candidates } of json ? [] : writeBacks) {
    io.out(io.paint('bold', connection))
    io.out(`  ${target ? `${target.type}/${target.id}` : state}${reason ? `: ${reason}` : ''}`)
    const rows = candidates.map((one) => [`${one.type}/${one.id}`, one.name ?? '', one.reason])
    for (const line of table(rows)) io.out(`  ${line}`)
  }
  return EXIT.ok
}

function named(record: string): { type: string; recordId: string } {
  const [, type, recordId] = /^([\w.-]{1,64})\/(.{1,256})$/.exec(record) ?? []
  if (type === undefined || recordId === undefined)
    throw wrong('choose', `${record} names no record`, 'Write it as <type>/<id>: contact/51')
  return { type, recordId }
}

function only(writeBacks: readonly WriteBack[]): string {
  const [first, another] = writeBacks
  if (first && !another) return first.connection
  const ids = writeBacks.map(({ connection }) => connection).join(', ')
  throw wrong(
    'choose',
    first ? 'The call goes to several CRMs' : 'It is not known which CRM is meant',
    first ? `Name one with --crm: ${ids}` : 'Name it with --crm <connection>',
  )
}
