import { CordboardError, type ErrorCode } from '../../errors.ts'
import type { Backfill } from '../answers.ts'
import { defineCommand, jsonOption, targetOptions } from '../command.ts'
import { EXIT } from '../exit.ts'
import type { Io } from '../io.ts'
import { wrong } from '../parse.ts'
import { createProgress } from '../progress.ts'
import { openTarget, type Target, type TargetFlags } from '../target.ts'
import { untilInterrupted } from '../until-stopped.ts'
import { instantOf } from '../when.ts'

const LOOK_MS = 500
/** Without any progress for so long it is said what it may wait for. */
const QUIET_MS = 15_000

export const command = defineCommand({
  usage: 'backfill <connection> --since WHEN [--until WHEN] | --stop ID',
  about:
    'Reads the vendor’s own list of calls. Calls that nobody had told of go the way of a webhook: they are analysed ' +
    'and written. Those that are known stay as they are.',
  examples: [
    ['cordboard backfill support-paris --since 7d', 'the last week'],
    ['cordboard backfill support-paris --since 2026-10-01 --until 2026-10-08', 'seven days'],
    ['cordboard backfill support-paris --since 12h --json', 'one object with the counts, at the end'],
    ['cordboard backfill --stop bfl_01JDX3M8E0W5H4ZK6R2T9QYBVC', 'no more of this one'],
  ],
  options: {
    since: { type: 'string', value: 'WHEN', about: 'calls from then on: 30m, 12h, 2d, a day, or an instant' },
    until: { type: 'string', value: 'WHEN', about: 'and before this; default now' },
    stop: { type: 'string', value: 'ID', about: 'list no more of this one; what it has brought goes on' },
    ...jsonOption,
    ...targetOptions,
  },
  args: [0, 1],
  async run({ flags, args: [connection], io }) {
    const { since, until } = flags
    if (flags.stop !== undefined) return stop(flags.stop, flags, io)
    if (connection === undefined) throw wrong('backfill', 'backfill needs a connection')
    if (since === undefined) throw wrong('backfill', 'backfill needs --since')
    const target = await openTarget(flags, io)
    if (typeof target === 'number') return target
    const signal = untilInterrupted()
    const rest = target.works ? undefined : await target.workOn?.(connection)
    try {
      const begun: Backfill = await target.post(
        `/v1/connections/${encodeURIComponent(connection)}/backfill`,
        {
          since: instantOf(since),
          ...(until === undefined ? {} : { until: instantOf(until) }),
        },
      )
      const ended = await follow(target, begun, signal, io)
      return report(ended, target, flags.json ?? false, io)
    } finally {
      await rest?.()
      await target.close()
    }
  },
})

async function stop(id: string, flags: TargetFlags & { json?: boolean }, io: Io): Promise<number> {
  const target = await openTarget(flags, io)
  if (typeof target === 'number') return target
  try {
    const stopped: Backfill = await target.post(`/v1/backfills/${encodeURIComponent(id)}/stop`, {})
    if (flags.json) io.json(stopped)
    else io.out(stoppedText(stopped))
    return EXIT.ok
  } finally {
    await target.close()
  }
}

const stoppedText = ({ id, reachedAt, listed, new: fresh }: Backfill) =>
  `${id} was stopped at ${reachedAt}: ${listed} calls listed, ${fresh} of them new`

/** Until it has ended, is stuck, or a person has seen enough. */
async function follow(target: Target, begun: Backfill, signal: AbortSignal, io: Io): Promise<Backfill> {
  let now = begun
  let movedAt = Date.now()
  let hasTold = false
  const progress = createProgress(io)
  while (now.state === 'running' && !signal.aborted) {
    progress.show('list', shareOf(now), progressText(now))
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
    const next: Backfill = await target.get(`/v1/backfills/${now.id}`)
    if (next.reachedAt !== now.reachedAt) movedAt = Date.now()
    if (!hasTold && Date.now() - movedAt > QUIET_MS) {
      hasTold = true
      progress.end()
      io.err(next.reason ?? 'Nothing has come yet: the vendor is slow, or no worker runs (cordboard doctor)')
    }
    now = next
  }
  progress.end()
  return now
}

function shareOf({ reachedAt, since, until }: Backfill): number {
  const [from, to] = [Date.parse(since), Date.parse(until)]
  return (Date.parse(reachedAt) - from) / (to - from)
}

const progressText = ({ reachedAt, listed, new: fresh }: Backfill) =>
  `up to ${reachedAt.slice(0, 16).replace('T', ' ')}  ${listed} calls, ${fresh} new`

function report(backfill: Backfill, target: Target, json: boolean, io: Io): number {
  const { state, listed, new: fresh, known, events, id, code, reason } = backfill
  if (json) io.json(backfill)
  else
    io.out(
      `${listed} ${listed === 1 ? 'call' : 'calls'} listed: ${fresh} new, ${known} known; ${events} events stored`,
    )
  if (state === 'stuck') {
    throw new CordboardError((code ?? 'internal') as ErrorCode, reason ?? `The backfill ${id} is stuck`, {
      why: `It has come as far as ${backfill.reachedAt}`,
      fix: 'Put it right (cordboard issues), then give the same command again: it goes on where it was',
    })
  }
  if (state === 'stopped') {
    io.err(stoppedText(backfill))
    return EXIT.interrupted
  }
  if (state === 'running') {
    io.err(
      target.works
        ? `${id} goes on by itself. Give the same command again to watch it.`
        : `${id} has come as far as ${backfill.reachedAt}. Give the same command again to go on.`,
    )
    return EXIT.interrupted
  }
  if (events > 0) {
    io.err(target.works ? 'Next: cordboard calls' : 'They are read when the server starts: cordboard serve')
  }
  return EXIT.ok
}
