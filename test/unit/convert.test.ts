import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Conversion } from '../../src/connector/platform.ts'
import { asCordboardError } from '../../src/errors.ts'
import { type ConvertOptions, createConvert, findFfmpeg } from '../../src/node/convert.ts'
import { createPlaces } from '../../src/node/places.ts'
import { stereoWav } from '../kit/tone.ts'
import { binaries, FFMPEG } from '../services/binaries.ts'

// The real ffmpeg, under a name of this file's own, so that what is left of it can be found.

let folder: string
let path: string
let env: NodeJS.ProcessEnv = {}
beforeAll(async () => {
  const found = await binaries(FFMPEG)
  env = found.env
  folder = mkdtempSync(join(tmpdir(), 'cordboard-test-'))
  path = join(folder, 'ffmpeg')
  symlinkSync(found.paths.ffmpeg ?? '', path)
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const converter = (options: Partial<ConvertOptions> = {}) => createConvert({ path, env, ...options })
const { signal } = new AbortController()
const streamOf = (bytes: Uint8Array | string) => new Blob([bytes as BlobPart]).stream()
const made = (bytes: Uint8Array | string, wish: Omit<Conversion, 'signal'>) =>
  new Response(converter()(streamOf(bytes), { ...wish, signal })).bytes()
const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => null,
    (thrown: unknown) => asCordboardError(thrown).code,
  )

/** A WAV whose sound never ends. */
function endless(state = { isCancelled: false }) {
  let isFirst = true
  const stream = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        controller.enqueue(isFirst ? stereoWav({ seconds: 1, says: 0xffff_ffff }) : new Uint8Array(65_536))
        isFirst = false
      },
      cancel: () => {
        state.isCancelled = true
      },
    },
    { highWaterMark: 0 },
  )
  return { stream, state }
}

/** Processes of this file’s ffmpeg. */
async function pids(): Promise<number[]> {
  const { stdout } = await promisify(execFile)('ps', ['-A', '-o', 'pid=,args='])
  const lines = stdout.split('\n').map((line) => /^ *(\d+) (.*)$/.exec(line))
  return lines.flatMap((line) => (line?.[2]?.startsWith(path) ? [Number(line[1])] : []))
}
const left = async (): Promise<number> => (await pids()).length
async function allGone(): Promise<void> {
  await expect.poll(left, { timeout: 10_000, interval: 50 }).toBe(0)
}

/** The tone of a track of a 16-bit WAV, by how often it crosses zero. */
function hertzOf(wav: Uint8Array, track: number, tracks: number): number {
  const start = new TextDecoder('latin1').decode(wav).indexOf('data') + 8
  const view = new DataView(wav.buffer, wav.byteOffset + start)
  const count = Math.floor(view.byteLength / (2 * tracks))
  let crossings = 0
  // Around the middle: encoders put silence at both ends.
  for (let n = Math.floor(count / 4); n < Math.floor((3 * count) / 4); n++) {
    const at = (m: number) => view.getInt16((m * tracks + track) * 2, true) >= 0
    if (at(n) !== at(n - 1)) crossings++
  }
  return Math.round((crossings * 8_000) / count)
}

test.each(['mp3', 'ogg', 'flac'] as const)('into %s and back: both tracks are what they were', async (to) => {
  const there = await made(stereoWav({ seconds: 2 }), { from: 'wav', to })
  const back = await made(there, { from: to, to: 'wav' })
  // Opus knows one rate only.
  const scale = new DataView(back.buffer).getUint32(24, true) / 8_000
  expect(new DataView(back.buffer).getUint16(22, true)).toBe(2)
  expect(Math.abs(hertzOf(back, 0, 2) * scale - 440)).toBeLessThan(15)
  expect(Math.abs(hertzOf(back, 1, 2) * scale - 1_000)).toBeLessThan(15)
})

test.each([
  ['left', 440],
  ['right', 1_000],
] as const)('the %s track alone', async (track, hertz) => {
  const mp3 = await made(stereoWav({ seconds: 2 }), { from: 'wav', to: 'mp3' })
  const wav = await made(mp3, { from: 'mp3', to: 'wav', track })
  expect(new DataView(wav.buffer).getUint16(22, true)).toBe(1)
  expect(Math.abs(hertzOf(wav, 0, 1) - hertz)).toBeLessThan(15)
})

test('files that name other files or addresses are no recordings, and nothing is fetched for them', {
  timeout: 60_000,
}, async () => {
  let asked = 0
  const server = createServer((_, response) => {
    asked++
    response.end('x')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/a.ts`
  const hostile = [
    `#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n${url}\n#EXT-X-ENDLIST\n`,
    "ffconcat version 1.0\nfile '/etc/passwd'\n",
    `<?xml version="1.0"?><MPD><BaseURL>${url}</BaseURL></MPD>`,
    'v=0\nc=IN IP4 127.0.0.1\nm=audio 5004 RTP/AVP 0\n',
    'RIFF\u0010\u0000\u0000\u0000WAVEdata\u0000\u0000\u0000\u0000',
    '',
  ]
  for (const text of hostile) {
    for (const from of ['wav', 'm4a', 'webm'] as const) {
      expect([text.slice(0, 9), await codeOf(made(text, { from, to: 'mp3' }))]).toEqual([
        text.slice(0, 9),
        'rejected',
      ])
    }
  }
  server.close()
  expect(asked).toBe(0)
  await allGone()
})

test('a format that is not what it says is refused, with the fix', async () => {
  const failure = await made(stereoWav({ seconds: 1 }), { from: 'flac', to: 'mp3' }).catch(asCordboardError)
  expect(failure).toMatchObject({
    code: 'rejected',
    fix: expect.stringContaining('another format than it says'),
  })
})

test.each([
  ['what comes out is bounded', {}, { maxBytes: 100_000 }, 'too_large'],
  ['what goes in is bounded', { mostBytes: 1_000_000 }, {}, 'too_large'],
  ['the time is bounded', { longestMs: 300 }, {}, 'timeout'],
] as const)('of a recording without end %s, and nothing is left behind', async (_, options, wish, code) => {
  const { stream, state } = endless()
  const work = new Response(converter(options)(stream, { from: 'wav', to: 'mp3', ...wish, signal })).bytes()
  expect(await codeOf(work)).toBe(code)
  expect(state.isCancelled).toBe(true)
  await allGone()
})

test('a phone system that falls silent does not hold it for ever', async () => {
  const silent = new ReadableStream<Uint8Array>({ start: (c) => c.enqueue(stereoWav({ seconds: 1 })) })
  const work = new Response(converter({ idleMs: 1_000 })(silent, { from: 'wav', to: 'mp3', signal })).bytes()
  expect(await codeOf(work)).toBe('timeout')
  await allGone()
})

test('one that hangs is killed', async () => {
  const { stream } = endless()
  const reader = converter({ idleMs: 3_000 })(stream, { from: 'wav', to: 'mp3', signal }).getReader()
  await reader.read()
  for (const pid of await pids()) process.kill(pid, 'SIGSTOP')
  const rest = (async () => {
    while (!(await reader.read()).done);
  })()
  expect(await codeOf(rest)).toBe('timeout')
  await allGone()
})

test('an abort kills it, and whoever stops reading ends it', async () => {
  const stop = new AbortController()
  const first = endless()
  const aborted = converter()(first.stream, { from: 'wav', to: 'mp3', signal: stop.signal }).getReader()
  await aborted.read()
  expect(await left()).toBe(1)
  stop.abort()
  await expect(aborted.read().then(() => aborted.read())).rejects.toMatchObject({ code: 'timeout' })
  await allGone()

  const second = endless()
  const read = converter()(second.stream, { from: 'wav', to: 'mp3', signal }).getReader()
  await read.read()
  await read.cancel()
  await allGone()
  expect([first.state.isCancelled, second.state.isCancelled]).toEqual([true, true])
})

test('a source that breaks off breaks it off: half a recording is not sent as a whole one', async () => {
  let isFirst = true
  const breaking = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (isFirst) controller.enqueue(stereoWav({ seconds: 5 }).subarray(0, 50_000))
      else controller.error(new TypeError('terminated'))
      isFirst = false
    },
  })
  const work = new Response(converter()(breaking, { from: 'wav', to: 'mp3', signal })).bytes()
  await expect(work).rejects.toThrow()
  await allGone()
})

test('a program that is not there is a mistake of the installation', async () => {
  const convert = converter({ path: join(folder, 'none') })
  const work = new Response(convert(streamOf('x'), { from: 'wav', to: 'mp3', signal })).bytes()
  expect(await codeOf(work)).toBe('config')
  expect([findFfmpeg(''), findFfmpeg(`/nowhere:${folder}`)]).toEqual([null, path])
})

test('so many at once, the others in order; whoever gives up while waiting takes nobody’s place', async () => {
  const places = createPlaces(1)
  const stop = new AbortController()
  const first = await places.enter(signal)
  const order: string[] = []
  const second = places.enter(stop.signal).catch(asCordboardError)
  const third = places.enter(signal).then((leave) => {
    order.push('third')
    return leave
  })
  stop.abort()
  expect(await second).toMatchObject({ code: 'timeout' })
  expect(order).toEqual([])
  first()
  first()
  const leave = await third
  const fourth = places.enter(signal).then(() => order.push('fourth'))
  await Promise.resolve()
  expect(order).toEqual(['third'])
  leave()
  await fourth
  expect(order).toEqual(['third', 'fourth'])
})

test('one place, two recordings: the second is made after the first', async () => {
  const convert = converter({ places: 1 })
  const wav = stereoWav({ seconds: 3 })
  const both = [1, 2].map(() =>
    new Response(convert(streamOf(wav), { from: 'wav', to: 'mp3', signal })).bytes(),
  )
  let most = 0
  const watch = setInterval(
    () =>
      void left().then((count) => {
        most = Math.max(most, count)
      }),
    20,
  )
  const [one, two] = await Promise.all(both)
  clearInterval(watch)
  expect(one).toEqual(two)
  expect(most).toBeLessThanOrEqual(1)
})

test('a process that is killed while it converts leaves nothing behind', async () => {
  const script = fileURLToPath(new URL('../kit/convert-child.ts', import.meta.url))
  const child = spawn(process.execPath, [script, path, env.LD_LIBRARY_PATH ?? ''], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(child.stdout, 'data')
  expect(await left()).toBe(1)
  child.kill('SIGKILL')
  await once(child, 'exit')
  await allGone()
})
