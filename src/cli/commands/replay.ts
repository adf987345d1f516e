import type { Replay, Replayed } from '../answers.ts'
import { agreed } from '../ask.ts'
import { defineCommand, jsonOption, targetOptions } from '../command.ts'
import { EXIT } from '../exit.ts'
import type { Io } from '../io.ts'
import { wrong } from '../parse.ts'
import { openTarget, type Target } from '../target.ts'
import { instantOf } from '../when.ts'

export const command = defineCommand({
  usage: 'replay [<delivery id>] [filter] [--dry-run] [--yes]',
  about:
    'Puts stored deliveries through today’s code. Nothing is written twice: the same events keep their calls.',
  examples: [
    ['cordboard replay --state unreadable --since 2d --dry-run', 'how many that would be'],
    ['cordboard replay --connection support-paris --since 2026-10-01 --yes', 'without being asked'],
    ['cordboard replay dlv_01JDX3M8E0W5H4ZK6R2T9QYBVC', 'one of them'],
    ['cordboard replay --open', 'how far those under way have come'],
  ],
  options: {
    connection: { type: 'string', value: 'ID', about: 'received by this connection' },
    state: { type: 'string', value: 'STATE', about: 'new, used, ignored or unreadable' },
    since: { type: 'string', value: 'WHEN', about: 'received then or later: 30m, 12h, 2d, or a day' },
    'dry-run': { type: 'boolean', about: 'only count' },
    open: { type: 'boolean', about: 'show the replays under way' },
    stop: { type: 'string', value: 'ID', about: 'put no more of this replay on their way' },
    yes: { type: 'boolean', about: 'do not ask' },
    ...jsonOption,
    ...targetOptions,
  },
  args: [0, 1],
  async run({ flags, args: [id], io }) {
    if (flags.open || flags.stop !== undefined) {
      const target = await openTarget(flags, io)
      if (typeof target === 'number') return target
      try {
        return await underWay(target, flags, io)
      } finally {
        await target.close()
      }
    }
    const { connection, state, since } = flags
    const filter = { connection, state, since: since === undefined ? undefined : instantOf(since) }
    const isEmpty = Object.values(filter).every((value) => value === undefined)
    if ((id === undefined) === isEmpty) {
      throw wrong(
        'replay',
        id === undefined ? 'replay needs a filter or an id' : 'replay takes an id or a filter, not both',
      )
    }
    const target = await openTarget(flags, io)
    if (typeof target === 'number') return target
    try {
      if (id !== undefined && flags['dry-run'])
        throw wrong('replay', '--dry-run counts by a filter, not by an id')
      if (id === undefined) {
        const found: Replayed = await target.post('/v1/deliveries/replay', { ...filter, dryRun: true })
        const says = `${found.matched} deliveries would be replayed, such as ${found.sample.slice(0, 3).join(', ') || 'none'}`
        if (flags['dry-run'] || found.matched === 0) {
          if (flags.json) io.json(found)
          else io.out(says)
          if (found.matched > 0) io.err('Run it again without --dry-run to do it.')
          return EXIT.ok
        }
        io.err(says)
        io.err(
          'A call whose recording or transcript is read differently today is analysed, and paid for, again.',
        )
        if (!flags.yes && !(await agreed('replay', 'Replay them?', io.canAsk))) return EXIT.failed
      }
      const path =
        id === undefined ? '/v1/deliveries/replay' : `/v1/deliveries/${encodeURIComponent(id)}/replay`
      const answer: Replayed = await target.post(path, id === undefined ? { ...filter, dryRun: false } : {})
      if (flags.json) io.json(answer)
      else io.out(`${answer.replayed} of ${answer.matched} deliveries are on their way`)
      if (answer.replay !== undefined)
        io.err(`The others follow by themselves, also after a restart: cordboard replay --open`)
      io.err(target.works ? 'Next: cordboard calls' : 'They are read when the server starts: cordboard serve')
    } finally {
      await target.close()
    }
    return EXIT.ok
  },
})

async function underWay(target: Target, flags: { stop?: string; json?: boolean }, io: Io): Promise<number> {
  const stopped = flags.stop
  const items =
    stopped === undefined
      ? (await target.get<{ items: Replay[] }>('/v1/replays')).items
      : [await target.post<Replay>(`/v1/replays/${encodeURIComponent(stopped)}/stop`, {})]
  for (const replay of items) {
    if (flags.json) io.json(replay)
    else io.out(`${replay.id}  ${replay.replayed} of ${replay.matched}${stopped ? ', stopped' : ''}`)
  }
  if (items.length === 0 && !flags.json) io.out('No replay is under way')
  return EXIT.ok
}
