import { describe, expect, it, vi } from 'vitest'
import { bytesText, createProgress } from '../../src/cli/progress.ts'

/** What an import and a backfill show of how far they are. */

function open(isTTY: boolean, columns = 60) {
  const lines: string[] = []
  const written: string[] = []
  const io = {
    err: (line: string) => void lines.push(line),
    paintErr: (_: unknown, text: string) => text,
    columns,
  }
  const progress = createProgress(io, { isTTY, write: (text) => written.push(text) })
  return { progress, lines, written }
}

describe('progress', () => {
  it('is one line on a terminal that the next takes the place of, as wide as it is, and goes away at the end', () => {
    vi.useFakeTimers({ toFake: ['performance'] })
    try {
      const { progress, lines, written } = open(true)
      progress.show('list', 0.5, 'up to 2026-03-04 11:22, and more that does not fit on the line any more')
      progress.show('list', 0.51, 'too soon')
      vi.advanceTimersByTime(100)
      progress.show('list', Number.NaN, 'no share')
      progress.end()
      progress.end()
      expect(written).toHaveLength(3)
      expect(written.every((text) => text.startsWith('\r\u001b[2K') && text.length <= 59 + 5)).toBe(true)
      expect(written[0]).toContain('50 %')
      expect(written[1]).toContain('0 %  no share')
      expect(written[2]).toBe('\r\u001b[2K')
      expect(lines).toEqual([])
    } finally {
      vi.useRealTimers()
    }
  })

  it('is a line now and then elsewhere', () => {
    vi.useFakeTimers({ toFake: ['performance'] })
    try {
      const { progress, lines, written } = open(false)
      progress.show('list', 0.25, '3 calls')
      vi.advanceTimersByTime(4_999)
      progress.show('list', 0.5, '6 calls')
      vi.advanceTimersByTime(1)
      progress.show('list', 2, '9 calls')
      progress.end()
      expect(lines).toEqual(['list 25 %, 3 calls', 'list 100 %, 9 calls'])
      expect(written).toEqual([])
    } finally {
      vi.useRealTimers()
    }
  })

  it('writes sizes as people say them', () => {
    expect([1, 9_000, 412_000_000, 2_500_000_000].map(bytesText)).toEqual([
      '1 KB',
      '9 KB',
      '412 MB',
      '2.5 GB',
    ])
  })
})
