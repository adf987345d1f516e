import type { ConfigProblem } from '../config/problem.ts'
import { asCordboardError, type CordboardError } from '../errors.ts'
import { EXIT, exitCode } from './exit.ts'
import type { Io } from './io.ts'

/** An error in four parts: what happened, why, what to do, where to read more. Answers the exit code. */
export function printError(thrown: unknown, io: Io): number {
  const error = asCordboardError(thrown)
  io.err(`${io.paintErr('red', '✖')} ${io.paintErr('bold', error.code)}   ${error.message}`)
  const why = whyOf(error)
  if (why !== undefined) io.err(`  Why   ${why}`)
  io.err(`  Do    ${error.fix}`)
  io.err(`  More  cordboard help ${error.code}`)
  if (io.debug) io.err(stackOf(error))
  return exitCode(error.code)
}

function whyOf({ why, vendorSaid }: CordboardError): string | undefined {
  const said = vendorSaid === undefined ? undefined : `The vendor said: “${vendorSaid}”`
  return [why, said].filter((part) => part !== undefined).join('. ') || undefined
}

function stackOf(error: CordboardError): string {
  const cause =
    error.cause instanceof Error ? `\n  Caused by ${error.cause.stack ?? error.cause.message}` : ''
  return `${error.stack ?? error.message}${cause}`
}

/** All problems of a configuration. Answers the exit code. */
export function printConfigProblems(file: string, problems: readonly ConfigProblem[], io: Io): number {
  const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`
  io.err(`${io.paintErr('red', '✖')} ${io.paintErr('bold', 'config')}   ${file} has ${count}.`)
  for (const { path, what, expected, seen, fix } of problems) {
    io.err('')
    io.err(`  ${io.paintErr('bold', path || 'the whole file')}`)
    io.err(`    ${what}: expected ${expected}; seen ${seen}`)
    io.err(`    Do    ${fix}`)
  }
  io.err('')
  io.err('  More  cordboard config schema')
  return EXIT.config
}
