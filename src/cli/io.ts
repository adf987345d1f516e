import { styleText } from 'node:util'
import { asPrinted } from '../node/terminal.ts'

type Format = Parameters<typeof styleText>[0]

/** What a command has of its process: results go to `out`, everything else to `err`. */
export interface Io {
  out(line: string): void
  /** Both: what a terminal would obey is left out, but for the colours of `paint`. */
  err(line: string): void
  /** One JSON object per line. */
  json(value: unknown): void
  /** Coloured where the stream is a terminal that wants it (NO_COLOR, FORCE_COLOR). */
  paint(format: Format, text: string): string
  paintErr(format: Format, text: string): string
  /** A person can be asked: both ends are a terminal. */
  canAsk: boolean
  columns: number
  env: NodeJS.ProcessEnv
  cwd: string
  debug: boolean
}

export function createIo(options: { debug: boolean }): Io {
  return {
    out: (line) => {
      process.stdout.write(`${asPrinted(line)}\n`)
    },
    err: (line) => {
      process.stderr.write(`${asPrinted(line)}\n`)
    },
    json: (value) => {
      process.stdout.write(`${JSON.stringify(value)}\n`)
    },
    paint: (format, text) => styleText(format, text, { stream: process.stdout }),
    paintErr: (format, text) => styleText(format, text, { stream: process.stderr }),
    canAsk: process.stdin.isTTY === true && process.stderr.isTTY === true,
    columns: process.stdout.columns ?? 110,
    env: process.env,
    cwd: process.cwd(),
    debug: options.debug,
  }
}
