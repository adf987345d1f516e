import type { Log } from '../connector/contract.ts'
import { createMaskedLog, LEVELS, LOG_LEVELS, type LogLevel } from '../telemetry/masked-log.ts'

/** JSON lines through the console, which is where Workers' logs come from: `wrangler tail`, Workers Logs. */
export function createWorkerLog(env: { CORDBOARD_LOG?: string }, secrets: readonly string[]): Log {
  const level = LOG_LEVELS.find((known) => known === env.CORDBOARD_LOG) ?? 'info'
  return createMaskedLog({
    level,
    secrets,
    write: (at, msg, fields) =>
      WRITERS[at](JSON.stringify({ ...fields, level: LEVELS[at], time: Date.now(), msg })),
  })
}

// biome-ignore-start lint/suspicious/noConsole: a Worker has no other log.
const WRITERS: Record<LogLevel, (line: string) => void> = {
  debug: (line) => console.debug(line),
  info: (line) => console.info(line),
  warn: (line) => console.warn(line),
  error: (line) => console.error(line),
}
// biome-ignore-end lint/suspicious/noConsole: a Worker has no other log.
