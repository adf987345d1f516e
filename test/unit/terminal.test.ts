import { styleText } from 'node:util'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createIo } from '../../src/cli/io.ts'
import { table } from '../../src/cli/table.ts'
import { createLog } from '../../src/node/log.ts'

/** What a caller's name, a summary or an id may carry: a title, a cleared screen, a clipboard, a hidden text, an 8-bit CSI. */
const HOSTILE = 'a\u001b]0;t\u0007b\u001b[2Jc\u001b]52;c;eA==\u001b\\d\u001b[8me\u009b2Jf\rg\u202eh\u0000i\tj'

let printed = ''
beforeEach(() => {
  printed = ''
  for (const stream of [process.stdout, process.stderr])
    vi.spyOn(stream, 'write').mockImplementation((text) => {
      printed += String(text)
      return true
    })
})
afterEach(() => {
  vi.restoreAllMocks()
})

describe('a terminal obeys nobody but us', () => {
  it('on stdout and stderr', () => {
    const { out, err } = createIo({ debug: false })
    out(HOSTILE)
    err(HOSTILE)
    const shown = printed
    expect(shown).not.toMatch(/(?!\n)[\p{Cc}\p{Bidi_Control}]/u)
    expect(shown.match(/a.*b.*c.*d.*e.*f g h i j\n/g)).toHaveLength(2)
  })

  it('keeps our colours and our lines', () => {
    const painted = (['bold', 'dim', 'red', 'green', 'yellow', 'cyan', 'gray'] as const).map((format) =>
      styleText(format, format, { validateStream: false }),
    )
    createIo({ debug: false }).out(`${painted.join('')}\nmore`)
    expect(printed).toBe(`${painted.join('')}\nmore\n`)
  })

  it('and no cell begins a line', () => {
    expect(table([['a\nb', 'c\r\nd']])).toEqual(['a b  c d'])
  })
})

it('a line of the log is one line, whatever an id holds', () => {
  const lines: string[] = []
  const log = createLog({ pretty: true, write: (line) => lines.push(line) })
  log.warn(`not\n12:00:00 info  forged${HOSTILE}`, { call: `x\n12:00:00 info  forged${HOSTILE}` })
  const [line = ''] = lines
  expect(line.replaceAll(/\p{Cc}\[\d+m/gu, '')).not.toMatch(/[\p{Cc}\p{Bidi_Control}]/u)
  expect(line).not.toContain('\u001b[8m')
})
