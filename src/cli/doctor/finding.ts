import type { Io } from '../io.ts'

export interface Finding {
  level: 'ok' | 'note' | 'warning' | 'problem'
  /** `config`, `store`, or the connector of a connection. */
  area: string
  connection?: string
  says: string
  fix?: string
}

const MARKS = {
  ok: ['green', '✔'],
  note: ['gray', '·'],
  warning: ['yellow', '!'],
  problem: ['red', '✖'],
} as const
const AREA = 12

export function printFinding({ level, area, connection, says, fix }: Finding, io: Io): void {
  const [colour, mark] = MARKS[level]
  const subject = connection === undefined ? '' : `${connection}: `
  io.out(`${io.paint(colour, mark)} ${area.padEnd(AREA - 1)} ${subject}${says}`)
  if (fix !== undefined) io.out(`${' '.repeat(AREA + 2)}Fix: ${fix}`)
}

/** `1 problem, 2 warnings`. */
export function sumText(findings: readonly Finding[]): string {
  const count = (level: Finding['level'], word: string) => {
    const n = findings.filter((finding) => finding.level === level).length
    return `${n} ${word}${n === 1 ? '' : 's'}`
  }
  return `${count('problem', 'problem')}, ${count('warning', 'warning')}`
}
