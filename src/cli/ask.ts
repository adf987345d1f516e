import { createInterface } from 'node:readline/promises'
import { EXIT } from './exit.ts'
import { wrong } from './parse.ts'

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

/** Before something that costs or cannot be taken back: a person's yes. Throws `usage` where nobody can be asked. */
export async function agreed(command: string, question: string, canAsk: boolean): Promise<boolean> {
  if (!canAsk)
    throw wrong(
      command,
      'Nobody can be asked here',
      'Add --yes to do it, or --dry-run to see what it would do',
    )
  const asker = createAsker()
  try {
    return await asker.yes(question)
  } finally {
    asker.close()
  }
}
