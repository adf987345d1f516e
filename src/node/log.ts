import { styleText } from 'node:util'
import { maskPhone } from '../call/phone.ts'
import type { Log, LogFields } from '../connector/contract.ts'
import { maskSecrets } from '../connector/mask.ts'

/** pino's numbers, so that its tools read these lines. */
const LEVELS = { debug: 20, info: 30, warn: 40, error: 50 } as const
export type LogLevel = keyof typeof LEVELS
export const LOG_LEVELS = Object.keys(LEVELS) as LogLevel[]

export interface LogOptions {
  level?: LogLevel
  /** For people: one coloured line instead of JSON. Default: when stderr is a terminal. */
  pretty?: boolean
  /** Values that no line may hold, however they are spelled there. */
  secrets?: readonly string[]
  write?: (line: string) => void
  now?: () => number
}

/**
 * JSON lines with pino's field names, on stderr. Every text passes the masks for phone numbers and secrets: callers log
 * ids and codes only, and this is the net below them.
 */
export function createLog(options: LogOptions = {}): Log {
  const { level = 'info', pretty = process.stderr.isTTY === true, secrets = [], now = Date.now } = options
  const write = options.write ?? ((line: string) => process.stderr.write(`${line}\n`))
  const shortest = Math.min(...secrets.map((secret) => secret.length))
  // Spelling a secret in all its forms is work; a text shorter than every secret holds none of them.
  const masked = (text: string) => maskPhone(text.length < shortest ? text : maskSecrets(text, secrets))

  const log = (at: LogLevel, message: string, fields: LogFields = {}) => {
    if (LEVELS[at] < LEVELS[level]) return
    const safe: LogFields = {}
    for (const [name, value] of Object.entries(fields)) {
      safe[name] = typeof value === 'string' ? masked(value) : value
    }
    const line = { level: LEVELS[at], time: now(), pid: process.pid, msg: masked(message) }
    write(pretty ? prettyLine(at, line, safe) : JSON.stringify({ ...safe, ...line }))
  }
  return {
    debug: (message, fields) => log('debug', message, fields),
    info: (message, fields) => log('info', message, fields),
    warn: (message, fields) => log('warn', message, fields),
    error: (message, fields) => log('error', message, fields),
  }
}

const COLOURS = { debug: 'gray', info: 'cyan', warn: 'yellow', error: 'red' } as const

function prettyLine(at: LogLevel, { time, msg }: { time: number; msg: string }, fields: LogFields): string {
  const clock = new Date(time).toISOString().slice(11, 19)
  const paint = (colour: (typeof COLOURS)[LogLevel], text: string) =>
    styleText(colour, text, { stream: process.stderr })
  const more = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${String(value)}`)
  const words = [clock, paint(COLOURS[at], at.padEnd(5)), msg, paint('gray', more.join(' '))]
  return words.join(' ').trimEnd()
}
