import { wrong } from './parse.ts'

export function portOf(command: string, text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback
  const port = Number(text)
  if (/^\d{1,5}$/.test(text) && port <= 65_535) return port
  throw wrong(command, `--port is a number from 0 to 65535, seen ${text}`)
}
