import type { Io } from './io.ts'

/** How far something has come: one moving line on a terminal; elsewhere a line now and then. Never on stdout. */
export interface Progress {
  show(what: string, share: number, says: string): void
  /** Before something else is printed. */
  end(): void
}

const WIDTH = 24
const TERMINAL_MS = 100
const LINE_MS = 5_000

export function createProgress(
  io: Pick<Io, 'err' | 'paintErr' | 'columns'>,
  stream: { isTTY?: boolean; write(text: string): unknown } = process.stderr,
): Progress {
  const isTerminal = stream.isTTY === true
  let last = Number.NEGATIVE_INFINITY
  let isOpen = false
  return {
    show(what, share, says) {
      const now = performance.now()
      if (now - last < (isTerminal ? TERMINAL_MS : LINE_MS)) return
      last = now
      const part = Math.max(0, Math.min(1, Number.isFinite(share) ? share : 0))
      const percent = `${Math.floor(part * 100)} %`.padStart(5)
      if (!isTerminal) return io.err(`${what} ${percent.trim()}, ${says}`)
      const full = Math.round(part * WIDTH)
      const line = `${what}  ${'━'.repeat(full)}${'─'.repeat(WIDTH - full)} ${percent}  ${says}`
      stream.write(`\r\u001b[2K${line.slice(0, Math.max(20, io.columns - 1))}`)
      isOpen = true
    },
    end() {
      if (isOpen) stream.write('\r\u001b[2K')
      isOpen = false
      last = Number.NEGATIVE_INFINITY
    },
  }
}

/** `412 MB`, `9 KB`. */
export function bytesText(bytes: number): string {
  if (bytes >= 1e9) return `${(bytes / 1e9).toFixed(1)} GB`
  return bytes >= 1e6 ? `${Math.round(bytes / 1e6)} MB` : `${Math.ceil(bytes / 1e3)} KB`
}
