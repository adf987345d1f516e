import { afterEach, describe, expect, it } from 'vitest'
import type { Media } from '../../src/media/port.ts'

/** What every driver of the media port must do. */

export interface OpenedMedia {
  media: Media
  /** Everything that is kept, also what is unfinished. */
  names(): Promise<string[]>
  drop(): Promise<void>
}

const MB = 1024 * 1024

/** Bytes that differ from place to place, in chunks; says how much was asked for and whether it was cancelled. */
function source(bytes: number, chunk = 64 * 1024, failAt = Number.POSITIVE_INFINITY) {
  const state = { given: 0, cancelled: false }
  const stream = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        if (state.given >= failAt) throw new Error('the sender hung up')
        const size = Math.min(chunk, bytes - state.given)
        if (size === 0) return controller.close()
        controller.enqueue(pattern(state.given, size))
        state.given += size
      },
      cancel() {
        state.cancelled = true
      },
    },
    { highWaterMark: 0 },
  )
  return { stream, state }
}

function pattern(from: number, size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, n) => ((from + n) * 31 + ((from + n) >> 8)) & 0xff)
}

/** Many bytes, cheaply made: each 64 KB are of one kind. */
function striped(bytes: number): ReadableStream<Uint8Array> {
  let at = 0
  return new ReadableStream<Uint8Array>({
    pull(controller) {
      if (at === bytes) return controller.close()
      const size = Math.min(64 * 1024, bytes - at)
      controller.enqueue(new Uint8Array(size).fill((at >> 16) % 251))
      at += size
    },
  })
}

async function read(found: Awaited<ReturnType<Media['get']>>): Promise<Uint8Array | null> {
  return found && new Uint8Array(await new Response(found.body).arrayBuffer())
}

export function mediaKit(name: string, open: () => Promise<OpenedMedia>): void {
  const opened: OpenedMedia[] = []
  async function fresh(): Promise<OpenedMedia> {
    const made = await open()
    opened.push(made)
    return made
  }
  afterEach(async () => {
    for (const one of opened.splice(0)) await one.drop()
  })

  describe(`${name}: media`, () => {
    it('gives back what was put, from bytes or from a stream', async () => {
      const { media, names } = await fresh()
      expect(await media.put('dlv_A', pattern(0, 1_000), MB)).toEqual({ bytes: 1_000 })
      expect(await media.put('rec-B', source(3 * MB).stream, 3 * MB)).toEqual({ bytes: 3 * MB })
      expect(await media.put('empty', new Uint8Array(0), MB)).toEqual({ bytes: 0 })
      expect(await read(await media.get('dlv_A'))).toEqual(pattern(0, 1_000))
      const large = await media.get('rec-B')
      expect(large?.bytes).toBe(3 * MB)
      expect(Buffer.compare((await read(large)) ?? new Uint8Array(), pattern(0, 3 * MB))).toBe(0)
      expect(await read(await media.get('empty'))).toEqual(new Uint8Array(0))
      expect((await names()).sort()).toEqual(['dlv_A', 'empty', 'rec-B'])
    })

    it('knows nothing of an id that was never put', async () => {
      const { media } = await fresh()
      expect(await media.get('nothing')).toBeNull()
    })

    it('replaces what had the id', async () => {
      const { media } = await fresh()
      await media.put('a', pattern(0, 100), MB)
      await media.put('a', pattern(7, 10), MB)
      expect(await read(await media.get('a'))).toEqual(pattern(7, 10))
    })

    it.each([
      [{ start: 0, end: 9 }, 0, 10],
      [{ start: 990 }, 990, 10],
      [{ start: 0, end: 0 }, 0, 1],
      [{ start: 10, end: 10 }, 10, 1],
      [{ start: 10, end: 9 }, 10, 0],
      [{ start: 500, end: 5_000 }, 500, 500],
      [{ start: 1_000 }, 1_000, 0],
      [{ start: 5_000, end: 6_000 }, 1_000, 0],
    ])('reads the range %j, its last byte included', async (range, from, size) => {
      const { media } = await fresh()
      await media.put('a', pattern(0, 1_000), MB)
      const found = await media.get('a', range)
      expect(found?.bytes).toBe(size)
      expect(await read(found)).toEqual(pattern(from, size))
    })

    it('reads no range of nothing, and nothing of an id that was never put', async () => {
      const { media } = await fresh()
      await media.put('empty', new Uint8Array(0), MB)
      expect(await read(await media.get('empty', { start: 0, end: 9 }))).toEqual(new Uint8Array(0))
      expect(await read(await media.get('empty', { start: 0 }))).toEqual(new Uint8Array(0))
      expect(await media.get('nothing', { start: 0, end: 9 })).toBeNull()
      expect(await media.get('nothing', { start: 9, end: 0 })).toBeNull()
    })

    it('takes a stream that ends in the middle, at the end and in the first byte of a large piece', async () => {
      const { media, names } = await fresh()
      for (const extra of [-1, 0, 1]) {
        const bytes = 16 * MB + extra
        expect(await media.put('a', striped(bytes), bytes)).toEqual({ bytes })
        const found = (await read(await media.get('a'))) ?? new Uint8Array()
        expect(found.byteLength).toBe(bytes)
        const expected = new Uint8Array(await new Response(striped(bytes)).arrayBuffer())
        expect(Buffer.compare(found, expected)).toBe(0)
      }
      expect(await names()).toEqual(['a'])
    })

    it('refuses what is too large, stops reading it and leaves nothing', async () => {
      const { media, names } = await fresh()
      const { stream, state } = source(50 * MB)
      await expect(media.put('a', stream, MB)).rejects.toMatchObject({ code: 'too_large' })
      expect(state.cancelled).toBe(true)
      expect(state.given).toBeLessThan(2 * MB)
      await expect(media.put('b', pattern(0, 11), 10)).rejects.toMatchObject({ code: 'too_large' })
      await media.put('c', pattern(0, 10), 10)
      expect(await names()).toEqual(['c'])
    })

    it('keeps the old bytes and nothing new when the source fails half-way', async () => {
      const { media, names } = await fresh()
      await media.put('a', pattern(0, 10), MB)
      await expect(media.put('a', source(MB, 64 * 1024, MB / 2).stream, MB)).rejects.toThrow(
        'the sender hung up',
      )
      expect(await read(await media.get('a'))).toEqual(pattern(0, 10))
      expect(await names()).toEqual(['a'])
    })

    it('deletes, also what is not there', async () => {
      const { media, names } = await fresh()
      await media.put('a', pattern(0, 10), MB)
      await media.put('b', pattern(0, 10), MB)
      await media.delete(['a', 'nothing'])
      await media.delete(['a'])
      await media.delete([])
      expect(await media.get('a')).toBeNull()
      expect(await names()).toEqual(['b'])
    })

    it('gives up a stream that is no longer wanted', async () => {
      const { media } = await fresh()
      await media.put('a', pattern(0, MB), MB)
      const reader = (await media.get('a'))?.body.getReader()
      expect((await reader?.read())?.done).toBe(false)
      await reader?.cancel()
      await media.delete(['a'])
    })

    it.each(['', '.', '..', '../a', 'a/b', 'a\\b', 'a.b', 'ä', 'a\0', `${'x'.repeat(65)}`])(
      'refuses the id %j everywhere',
      async (id) => {
        const { media, names } = await fresh()
        const refused = { code: 'bad_request' }
        await expect(media.put(id, pattern(0, 1), MB)).rejects.toMatchObject(refused)
        await expect(media.get(id)).rejects.toMatchObject(refused)
        await expect(media.delete([id])).rejects.toMatchObject(refused)
        expect(await names()).toEqual([])
      },
    )

    it('takes several of one id at once and keeps one of them whole', async () => {
      const { media, names } = await fresh()
      await Promise.all([1, 2, 3, 4].map((n) => media.put('a', source(MB + n).stream, 2 * MB)))
      const found = await read(await media.get('a'))
      const size = found?.byteLength ?? 0
      expect(size).toBeGreaterThan(MB)
      expect(Buffer.compare(found ?? new Uint8Array(), pattern(0, size))).toBe(0)
      expect(await names()).toEqual(['a'])
    })

    it('can be checked and leaves no trace of it', async () => {
      const { media, names } = await fresh()
      await media.check()
      expect(await names()).toEqual([])
    })
  })
}
