import { createInterface } from 'node:readline/promises'
import { EXIT } from './exit.ts'

export interface Asker {
  /** The answer, or `fallback` for an empty one. */
  text(question: string, fallback?: string): Promise<string>
  yes(question: string): Promise<boolean>
  close(): void
}

/** Asks a person, on stderr: stdout is for results. */
export function createAsker(): Asker {
  const lines = createInterface({ input: process.stdin, output: process.stderr })
  // An interrupted question ends the program as an interrupt does.
  lines.on('SIGINT', () => process.exit(EXIT.interrupted))
  return {
    async text(question, fallback = '') {
      const answer = await lines.question(`${question}${fallback === '' ? '' : ` [${fallback}]`}: `)
      return answer.trim() || fallback
    },
    async yes(question) {
      return /^y(es)?$/i.test((await lines.question(`${question} [y/N] `)).trim())
    },
    close: () => lines.close(),
  }
}
