import type { CallSummary, Page } from '../answers.ts'
import { defineCommand, jsonOption, targetOptions } from '../command.ts'
import { EXIT } from '../exit.ts'
import type { Io } from '../io.ts'
import { wrong } from '../parse.ts'
import { clockText, dayAndTime, table } from '../table.ts'
import { openTarget, type Target } from '../target.ts'

/** A page of the API; more are asked for until there are enough. */
const PAGE = 200

export const command = defineCommand({
  usage: 'calls [find <number or id>]',
  about: 'Lists calls, the latest first. `find` takes a phone number in any spelling, an id, a vendor’s id.',
  examples: [
    ['cordboard calls', 'the latest 20'],
    ['cordboard calls find "06 39 98 00 01"', 'those of a number'],
    ['cordboard calls --state attention', 'those a person must look at'],
    ['cordboard calls --from 2026-10-01 --json', 'for a script'],
  ],
  options: {
    connection: { type: 'string', value: 'ID', about: 'only calls of this connection' },
    state: { type: 'string', value: 'STATE', about: 'open, waiting, working, done, skipped or attention' },
    direction: { type: 'string', value: 'WAY', about: 'inbound, outbound or internal' },
    result: { type: 'string', value: 'RESULT', about: 'answered, no_answer, busy …' },
    from: { type: 'string', value: 'DAY', about: 'started then or later: 2026-10-01, 2026-10-01T09:30:00Z' },
    to: { type: 'string', value: 'DAY', about: 'started before' },
    limit: { type: 'string', value: 'N', about: 'how many at most; default 20' },
    ...jsonOption,
    ...targetOptions,
  },
  args: [0, 20],
  async run({ flags, args, io }) {
    const [verb, ...words] = args
    if (verb !== undefined && (verb !== 'find' || words.length === 0)) {
      throw wrong('calls', verb === 'find' ? 'calls find needs what to find' : `calls has no word ${verb}`)
    }
    const limit = Number(flags.limit ?? 20)
    if (!Number.isInteger(limit) || limit < 1)
      throw wrong('calls', `--limit is a whole number from 1 on, seen ${flags.limit}`)
    const { connection, state, direction, result, from, to } = flags
    const query = {
      connection,
      state,
      direction,
      result,
      from,
      to,
      ...(words.length > 0 ? { q: words.join(' ') } : {}),
    }
    const target = await openTarget(flags, io)
    if (typeof target === 'number') return target
    try {
      const found = await collect(target, query, limit)
      if (flags.json) for (const call of found.items) io.json(call)
      else print(found, io)
    } finally {
      await target.close()
    }
    return EXIT.ok
  },
})

async function collect(target: Target, query: Record<string, string | undefined>, limit: number) {
  const items: CallSummary[] = []
  let next: string | null = null
  do {
    const size = String(Math.min(PAGE, limit - items.length))
    const page: Page<CallSummary> = await target.get('/v1/calls', {
      ...query,
      limit: size,
      ...(next === null ? {} : { cursor: next }),
    })
    items.push(...page.items)
    next = page.next
  } while (next !== null && items.length < limit)
  return { items, more: next !== null }
}

function print({ items, more }: { items: CallSummary[]; more: boolean }, io: Io): void {
  if (items.length === 0) {
    io.err('No call fits. cordboard doctor says whether any arrive.')
    return
  }
  const rows = items.map(
    ({ id, startedAt, direction, result, talkMs, customer, agent, connection, state }) => [
      dayAndTime(startedAt),
      customer.phone ?? '–',
      direction === 'inbound' ? '→' : direction === 'outbound' ? '←' : '·',
      agent.name ?? agent.extension ?? '–',
      result ?? '',
      clockText(talkMs),
      connection,
      state,
      id,
    ],
  )
  for (const line of table(rows)) io.out(line)
  io.err(`${more ? 'There are more: --limit N. ' : ''}Next: cordboard show ${items[0]?.id ?? '<id>'}`)
}
