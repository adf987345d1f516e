import { ERRORS, type ErrorCode } from '../errors.ts'
import { type Command, globalOptions } from './command.ts'
import { commands } from './commands.ts'
import type { Io } from './io.ts'

/** What is known without loading a single command. */
export function printHelp(io: Io): void {
  const examples = [
    ['cordboard demo', 'a whole installation in memory, with calls crossing it'],
    ['cordboard init', 'writes a configuration for your own accounts'],
    ['cordboard serve', 'takes webhooks and does the work'],
    ['cordboard doctor', 'checks everything, says what to do'],
    ['cordboard show call_01JDX3…', 'where that call is, and why'],
  ] as const
  printPairs('Examples', examples, io)
  printPairs(
    'Commands',
    Object.entries(commands).map(([name, { about }]) => [name, about]),
    io,
  )
  io.out('')
  io.out('cordboard <command> --help says more. Exit codes: 0 ok, 1 failed, 2 usage, 3 configuration,')
  io.out('4 vendor refused, 130 interrupted.')
}

export function printCommandHelp(command: Command, io: Io): void {
  printPairs('Examples', command.examples, io)
  io.out('')
  io.out(command.about)
  io.out('')
  io.out(`${io.paint('bold', 'Usage')}  cordboard ${command.usage}`)
  const options = Object.entries({ ...command.options, ...globalOptions }).map(
    ([name, option]) =>
      [`--${name}${'value' in option && option.value ? ` ${option.value}` : ''}`, option.about] as const,
  )
  printPairs('Options', options, io)
}

/** The page of an error code. */
export function printErrorHelp(code: ErrorCode, io: Io): void {
  const { title, fix, status, retry } = ERRORS[code]
  io.out(`${io.paint('bold', code)}   ${title}`)
  io.out(`  Do     ${fix}`)
  io.out(`  Retry  ${retry === 'never' ? 'not by itself' : 'later, by itself, with growing pauses'}`)
  io.out(`  HTTP   ${status}`)
}

function printPairs(title: string, pairs: readonly (readonly [string, string])[], io: Io): void {
  const width = Math.max(...pairs.map(([left]) => left.length))
  if (title !== 'Examples') io.out('')
  io.out(io.paint('bold', title))
  for (const [left, right] of pairs) io.out(`  ${left.padEnd(width)}   ${right}`)
}
