import { VCON_JSON_TYPE } from '../../call/vcon.ts'
import { ERRORS, type ErrorCode } from '../../errors.ts'
import { onOneLine } from '../../node/terminal.ts'
import type { CallDetail } from '../answers.ts'
import { defineCommand, jsonOption, targetOptions } from '../command.ts'
import { EXIT } from '../exit.ts'
import type { Io } from '../io.ts'
import { clockText, dayAndTime, table } from '../table.ts'
import { openTarget } from '../target.ts'

export const command = defineCommand({
  usage: 'show <id>',
  about: 'One call: what is known of it, what happened to it and when, where it was written and why there.',
  examples: [
    ['cordboard show call_01JDX3M8E0W5H4ZK6R2T9QYBVC', 'its timeline'],
    ['cordboard show call_01JDX3M8E0W5H4ZK6R2T9QYBVC --json', 'everything, for a script'],
    ['cordboard show call_01JDX3M8E0W5H4ZK6R2T9QYBVC --vcon', 'the call, for another system'],
  ],
  options: {
    ...jsonOption,
    vcon: { type: 'boolean', about: 'as a vCon (IETF draft core-04), for other systems' },
    ...targetOptions,
  },
  args: [1, 1],
  async run({ flags, args: [id = ''], io }) {
    const target = await openTarget(flags, io)
    if (typeof target === 'number') return target
    try {
      const path = `/v1/calls/${encodeURIComponent(id)}`
      if (flags.vcon) {
        io.out(JSON.stringify(await target.get(path, {}, VCON_JSON_TYPE), null, 2))
        return EXIT.ok
      }
      const detail: CallDetail = await target.get(path)
      if (flags.json) io.json(detail)
      else print(detail, io)
    } finally {
      await target.close()
    }
    return EXIT.ok
  },
})

function print(detail: CallDetail, io: Io): void {
  const { call, analysis } = detail
  const agent = call.agent?.name ?? call.agent?.extension ?? 'nobody'
  const customer = call.customer?.phone ?? call.customer?.name ?? 'unknown'
  const [from, to] = call.direction === 'outbound' ? [agent, customer] : [customer, agent]
  const facts = [call.direction, call.result, clockText(call.talkMs)].filter(Boolean).join(' · ')
  io.out(`${io.paint('bold', onOneLine(`${from} → ${to}`))}   ${facts}`)
  io.out(`${detail.id}   ${call.source.connection}   ${stateText(detail, io)}`)
  if (detail.joined.length > 0) io.out(`Joined into it: ${detail.joined.join(', ')}`)

  section('Timeline', io)
  const lines = table(
    detail.timeline.map(({ at, kind, connection, outcome, says, tookMs }) => [
      dayAndTime(at),
      kind,
      connection,
      outcome,
      [says, tookMs === null ? null : `(${tookMs} ms)`].filter(Boolean).join(' '),
    ]),
  )
  for (const line of lines) io.out(`  ${line}`)
  for (const step of detail.steps.filter(({ state }) => state !== 'done')) {
    const when = step.state === 'waiting' ? `next ${dayAndTime(step.dueAt)}` : ''
    const why = [step.code, step.reason].filter(Boolean).join(': ')
    io.out(
      `  ${io.paint('yellow', step.state)}  ${step.kind}  ${step.connection}  ${[when, why].filter(Boolean).join('  ')}`,
    )
    const fix = step.state === 'parked' || step.state === 'dead' ? fixOf(step.code) : undefined
    if (fix !== undefined) io.out(`    Do    ${fix}`)
  }
  if (analysis?.summary) {
    section('Summary', io)
    io.out(`  ${analysis.summary.replaceAll('\n', '\n  ')}`)
  }
  const scores = Object.entries(analysis?.scores ?? {})
  if (scores.length > 0) section('Scores', io)
  for (const line of table(scores.map(([name, { value, scale }]) => [name, scoreText(value, scale)])))
    io.out(`  ${line}`)
  if (detail.writeBacks.length > 0) section('Written', io)
  for (const { connection, state, target, reason, parts } of detail.writeBacks) {
    const record = target ? `${target.type} ${target.id}` : 'no record'
    const names = parts.map(({ part }) => part).join(', ')
    io.out(`  ${connection}  ${state}  ${record}${reason ? ` (${reason})` : ''}${names && `: ${names}`}`)
    if (target?.url) io.out(`    ${target.url}`)
  }
  if (detail.state === 'attention') io.err(`Next: cordboard issues, then cordboard rerun ${detail.id}`)
}

function fixOf(code: string | null): string | undefined {
  return code !== null && Object.hasOwn(ERRORS, code) ? ERRORS[code as ErrorCode].fix : undefined
}

function stateText({ state, reason }: CallDetail, io: Io): string {
  const colour = state === 'done' ? 'green' : state === 'attention' ? 'red' : 'yellow'
  return `${io.paint(colour, state)}${reason ? ` (${reason})` : ''}`
}

function scoreText(value: number, scale: { min: number; max: number } | undefined): string {
  return scale ? `${value} (${scale.min} to ${scale.max})` : `${value}`
}

function section(title: string, io: Io): void {
  io.out('')
  io.out(io.paint('bold', title))
}
