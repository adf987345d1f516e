import type { Operation, Operations } from '../connector/contract.ts'
import { optionsOf, synopsis } from '../connector/operations.ts'
import { EXIT } from './exit.ts'
import type { Io } from './io.ts'
import { table } from './table.ts'

/** What a connection can be asked for; of one resource with the options of each verb. Answers the exit code. */
export function listOperations(all: Operations<unknown>, json: boolean, io: Io): number {
  const each = Object.entries(all).flatMap(([resource, verbs]) =>
    Object.entries(verbs).map(([verb, operation]) => ({ resource, verb, operation })),
  )
  if (json) {
    for (const { resource, verb, operation } of each) {
      const { says, docs, changes = null } = operation
      io.json({ resource, verb, says, changes, docs, options: optionsOf(operation) })
    }
    return EXIT.ok
  }
  const mark = { costs: 'may cost money', changes: 'changes what others see' }
  const rows = each.map(({ resource, verb, operation: { says, changes } }, index) => [
    each[index - 1]?.resource === resource ? '' : resource,
    verb,
    `${says}${changes ? ` (${mark[changes]})` : ''}`,
  ])
  const lines = table(rows)
  const isOne = Object.keys(all).length === 1
  for (const [index, line] of lines.entries()) {
    io.out(line)
    if (isOne) describe(each[index]?.operation, io)
  }
  if (!isOne) io.err('With its options: cordboard backend <connection> <resource>')
  return EXIT.ok
}

function describe(operation: Operation<unknown> | undefined, io: Io): void {
  if (!operation) return
  const rows = optionsOf(operation).map((option) => ['', synopsis(option), option.about])
  for (const line of table([...rows, ['', operation.docs]])) io.out(`  ${line}`)
}
