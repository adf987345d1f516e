import { type ChildProcess, spawn } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'

/** `cordboard import` as people type it: to a server, into the folder of one that stands still, and again. */

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const RECORDING = fileURLToPath(new URL('../../src/sandbox/recordings/very-short.mp3', import.meta.url))

let folder: string
let server: ChildProcess | undefined
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'cordboard-import-'))
  const config = {
    connections: { uploads: { use: 'intake' } },
    flows: [{ from: ['uploads'], analyze: [], write: [] }],
  }
  writeFileSync(join(folder, 'cordboard.config.json'), JSON.stringify(config))
  mkdirSync(join(folder, 'audio'))
  for (const name of ['один.mp3', 'two.mp3']) copyFileSync(RECORDING, join(folder, 'audio', name))
  const rows = ['один.mp3;+33639980001;a', 'two.mp3;+33639980002;b', 'three.mp3;=1+1;c']
  writeFileSync(
    join(folder, 'calls.csv'),
    ['\ufeffaudio_file_name;client_phone_number;partner_call_id', ...rows].join('\r\n'),
  )
  writeFileSync(join(folder, 'missed.csv'), 'partner_call_id,result\nd,busy\n')
})
afterAll(() => {
  server?.kill('SIGKILL')
  rmSync(folder, { recursive: true })
})

function start(...words: string[]): ChildProcess {
  const { PATH = '', HOME = '' } = process.env
  return spawn(process.execPath, [MAIN, ...words], { cwd: folder, env: { PATH, HOME, NO_COLOR: '1' } })
}

function ended(child: ChildProcess): Promise<{ code: number | null; out: string; err: string }> {
  let [out, err] = ['', '']
  child.stdout?.on('data', (chunk: Buffer) => {
    out += chunk.toString()
  })
  child.stderr?.on('data', (chunk: Buffer) => {
    err += chunk.toString()
  })
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, out, err })))
}
const importing = (...words: string[]) => ended(start('import', ...words))

async function serve(): Promise<string> {
  const child = start('serve', '--port', '0')
  server = child
  return new Promise((resolve, reject) => {
    let seen = ''
    const hear = (chunk: Buffer) => {
      seen += chunk.toString()
      const [url] = /http:\/\/127\.0\.0\.1:\d+/.exec(seen) ?? []
      if (url) resolve(url)
    }
    child.stdout?.on('data', hear)
    child.stderr?.on('data', hear)
    child.on('close', () => reject(new Error(`ended after: ${seen}`)))
  })
}

async function stop(): Promise<void> {
  const over = new Promise((resolve) => server?.on('close', resolve))
  server?.kill('SIGTERM')
  await over
}

// Every command is a process of its own, on a machine that may be busy.
it('hands in the calls of a CSV, once, with a server and without', { timeout: 180_000 }, async () => {
  const url = await serve()
  const words = ['calls.csv', '--audio', 'audio', '--url', url]
  const first = await importing(...words, '--verdicts', 'verdicts.csv')
  expect([first.code, first.out.split('\n').slice(0, 2)]).toEqual([
    1,
    [
      expect.stringMatching(/^line 4 +audio_file_name: expected a file at the root/),
      '2 taken, 0 known before, 1 refused',
    ],
  ])
  const lines = readFileSync(join(folder, 'verdicts.csv'), 'utf8').split('\r\n')
  expect(lines.slice(0, 2)).toEqual([
    'line,verdict,call,code,says',
    expect.stringMatching(/^2,taken,call_\w+,,$/),
  ])

  // The same files are the same batch. Another file makes no second call of a row that was taken.
  const [again, usage] = await Promise.all([
    importing(...words, '--json'),
    importing('nowhere.csv', '--url', url),
  ])
  expect(
    again.out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).verdict),
  ).toEqual(['taken', 'taken', 'refused'])
  copyFileSync(RECORDING, join(folder, 'audio', 'three.mp3'))
  expect(await importing(...words)).toMatchObject({ code: 0, out: '1 taken, 2 known before, 0 refused\n' })
  expect([usage.code, usage.out]).toEqual([2, ''])

  await stop()
  const alone = await importing('missed.csv')
  expect(alone).toMatchObject({ code: 0, out: '', err: expect.stringContaining('when the server starts') })
  await serve()
  expect(await importing('missed.csv')).toMatchObject({
    code: 0,
    out: '1 taken, 0 known before, 0 refused\n',
  })
  await stop()
})
