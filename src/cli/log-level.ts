import { LOG_LEVELS, type LogLevel } from '../node/log.ts'
import type { Io } from './io.ts'
import { wrong } from './parse.ts'

/** What `--log` or CORDBOARD_LOG asks for. */
export function levelOf(command: string, given: string | undefined, io: Io): LogLevel {
  const text = given ?? io.env.CORDBOARD_LOG ?? 'info'
  const level = LOG_LEVELS.find((known) => known === text)
  if (level) return level
  throw wrong(command, `There is no log level ${text}`, `Use one of: ${LOG_LEVELS.join(', ')}`)
}
