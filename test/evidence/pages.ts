import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { read, root } from './checkout.ts'

/** The pages for people, with what a test looks for in them. */

const inFolder = (folder: string) =>
  readdirSync(join(root, folder))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `${folder}/${name}`)

export const PAGES = [
  'README.md',
  'ARCHITECTURE.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  'CHANGELOG.md',
  ...inFolder('docs'),
]

/** The connectors' own pages, where only links are looked at. */
export const CONNECTOR_PAGES = [
  'connectors/README.md',
  ...readdirSync(join(root, 'connectors'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => `connectors/${entry.name}/README.md`),
]

export interface Block {
  page: string
  language: string
  text: string
  /** Marked with `<!-- runs -->`. */
  runs: boolean
}

export function blocksOf(page: string): Block[] {
  const found = read(page).matchAll(/(<!-- runs -->\n)?^ *```(\w*)\n(.*?)^ *```$/gms)
  return [...found].map(([, mark, language = '', text = '']) => ({
    page,
    language,
    text,
    runs: mark !== undefined,
  }))
}

/** All that stands between backticks, and the lines of fenced blocks of a shell. */
export function codeOf(page: string): string[] {
  const blocks = blocksOf(page).filter(({ language }) => language === 'sh' || language === 'text')
  const prose = read(page).replace(/^ *```\w*\n.*?^ *```$/gms, '')
  const spans = [...prose.matchAll(/`([^`]+)`/g)].map(([, span = '']) => span.replace(/\s+/g, ' '))
  return [...spans, ...blocks.flatMap(({ text }) => text.split('\n'))]
}

/** Rows of all tables, as their cells without formatting. */
export function rowsOf(text: string): string[][] {
  return text
    .split('\n')
    .filter((line) => /^\|.*\|$/.test(line) && !/^\|[\s|:-]+\|$/.test(line))
    .map((line) =>
      line
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim()),
    )
}

/** The text under a heading, up to the next one of its level or above. */
export function sectionOf(text: string, heading: string): string {
  const lines = text.split('\n')
  const start = lines.findIndex((line) => line.replace(/^#+ /, '') === heading && line.startsWith('#'))
  if (start < 0) return ''
  const level = /^#+/.exec(lines[start] ?? '')?.[0].length ?? 0
  const length = lines.slice(start + 1).findIndex((line) => (/^(#+) /.exec(line)?.[1]?.length ?? 9) <= level)
  return lines.slice(start + 1, length < 0 ? undefined : start + 1 + length).join('\n')
}
