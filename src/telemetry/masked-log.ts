import { maskPhone } from '../call/phone.ts'
import type { Log, LogFields } from '../connector/contract.ts'
import { maskSecrets } from '../connector/mask.ts'

/** pino's numbers, so that its tools read these lines. */
export const LEVELS = { debug: 20, info: 30, warn: 40, error: 50 } as const
export type LogLevel = keyof typeof LEVELS
export const LOG_LEVELS = Object.keys(LEVELS) as LogLevel[]

export interface MaskedLogOptions {
  level: LogLevel
  /** Values that no line may hold, however they are spelled there. */
  secrets: readonly string[]
  /** Of what was masked already. */
  write(level: LogLevel, message: string, fields: LogFields): void
}

/** Every text passes the masks for phone numbers and secrets: callers log ids and codes only, and this is the net below them. */
export function createMaskedLog({ level, secrets, write }: MaskedLogOptions): Log {
  const shortest = Math.min(...secrets.map((secret) => secret.length))
  // Spelling a secret in all its forms is work; a text shorter than every secret holds none of them.
  const masked = (text: string) => maskPhone(text.length < shortest ? text : maskSecrets(text, secrets))

  const log = (at: LogLevel, message: string, fields: LogFields = {}) => {
    if (LEVELS[at] < LEVELS[level]) return
    const safe: LogFields = {}
    for (const [name, value] of Object.entries(fields)) {
      safe[name] = typeof value === 'string' ? masked(value) : value
    }
    write(at, masked(message), safe)
  }
  return {
    debug: (message, fields) => log('debug', message, fields),
    info: (message, fields) => log('info', message, fields),
    warn: (message, fields) => log('warn', message, fields),
    error: (message, fields) => log('error', message, fields),
  }
}
