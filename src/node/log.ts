import { styleText } from 'node:util'
import type { Log, LogFields } from '../connector/contract.ts'
import { createMaskedLog, LEVELS, type LogLevel } from '../telemetry/masked-log.ts'
import { onOneLine } from './terminal.ts'

export { LOG_LEVELS, type LogLevel } from '../telemetry/masked-log.ts'

export interface LogOptions {
  level?: LogLevel
  /** For people: one coloured line instead of JSON. Default: when stderr is a terminal. */
  pretty?: boolean
  /** Values that no line may hold, however they are spelled there. */
  secrets?: readonly string[]
  write?: (line: string) => void
  now?: () => number
}

/** JSON lines with pino's field names, on stderr. */
export function createLog(options: LogOptions = {}): Log {
  const { level = 'info', pretty = process.stderr.isTTY === true, secrets = [], now = Date.now } = options
  const write = options.write ?? ((line: string) => process.stderr.write(`${line}\n`))
  return createMaskedLog({
    level,
    secrets,
    write(at, msg, fields) {
      const line = { level: LEVELS[at], time: now(), pid: process.pid, msg }
      write(pretty ? prettyLine(at, line, fields) : JSON.stringify({ ...fields, ...line }))
    },
  })
}

const COLOURS = { debug: 'gray', info: 'cyan', warn: 'yellow', error: 'red' } as const

function prettyLine(at: LogLevel, { time, msg }: { time: number; msg: string }, fields: LogFields): string {
  const clock = new Date(time).toISOString().slice(11, 19)
  const paint = (colour: (typeof COLOURS)[LogLevel], text: string) =>
    styleText(colour, text, { stream: process.stderr })
  const more = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${String(value)}`)
  // A line break in what a stranger sent would begin a line of the log.
  const said = onOneLine(more.join(' '))
  const words = [clock, paint(COLOURS[at], at.padEnd(5)), onOneLine(msg), paint('gray', said)]
  return words.join(' ').trimEnd()
}
