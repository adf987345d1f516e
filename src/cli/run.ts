import { suggest } from '../config/suggest.ts'
import { CordboardError, ERRORS, type ErrorCode } from '../errors.ts'
import { commands } from './commands.ts'
import { EXIT } from './exit.ts'
import { printError } from './failure.ts'
import { printCommandHelp, printErrorHelp, printHelp } from './help.ts'
import { createIo, type Io } from './io.ts'
import { ownPackage } from './package-folder.ts'
import { parse } from './parse.ts'

/** Runs one command line; answers the exit code. */
export async function run(words: readonly string[]): Promise<number> {
  if (words.includes('--no-color')) process.env.NO_COLOR = '1'
  const io = createIo({ debug: words.includes('--debug') })
  // `cordboard calls | head`: the reader has enough, which is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    process.exit(error.code === 'EPIPE' ? EXIT.ok : EXIT.failed)
  })
  try {
    return await dispatch(words, io)
  } catch (error) {
    return printError(error, io)
  }
}

async function dispatch(words: readonly string[], io: Io): Promise<number> {
  const [name, ...rest] = words.filter((word) => word !== '--debug' && word !== '--no-color')
  if (name === undefined || name === '--help' || name === '-h') return say(() => printHelp(io))
  if (name === '--version' || name === '-v') return say(() => io.out(ownPackage().version))
  if (name === 'help') return help(rest[0], io)
  const command = await find(name)
  if (rest.includes('--help') || rest.includes('-h')) return say(() => printCommandHelp(command, io))
  const parsed = parse(name, command, rest)
  if (parsed.flags.version === true) return say(() => io.out(ownPackage().version))
  return command.run({ ...parsed, io })
}

async function help(topic: string | undefined, io: Io): Promise<number> {
  if (topic === undefined) return say(() => printHelp(io))
  if (isErrorCode(topic)) return say(() => printErrorHelp(topic, io))
  const command = await find(topic)
  return say(() => printCommandHelp(command, io))
}

async function find(name: string) {
  const entry = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (entry) return (await entry.load()).command
  const meant = suggest(name, [...Object.keys(commands), 'help'])
  throw new CordboardError('bad_request', `There is no command ${name}`, {
    fix: meant ? `Did you mean: cordboard ${meant}` : 'Read: cordboard --help',
  })
}

function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(ERRORS, text)
}

function say(print: () => void): number {
  print()
  return EXIT.ok
}
