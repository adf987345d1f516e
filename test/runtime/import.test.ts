import { type ChildProcess, spawn } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { command } from '../../src/cli/commands/import.ts'
import type { Io } from '../../src/cli/io.ts'
import { parse } from '../../src/cli/parse.ts'

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

/** In this process: one on a busy machine takes seconds to start. */
async function importing(...words: string[]): Promise<{ code: number; out: string; err: string }> {
  const said = { out: '', err: '' }
  const tell = (to: 'out' | 'err') => (line: string) => {
    said[to] += `${line}\n`
  }
  const plain = (_: unknown, text: string) => text
  const io: Io = {
    out: tell('out'),
    err: tell('err'),
    json: (value) => tell('out')(JSON.stringify(value)),
    paint: plain,
    paintErr: plain,
    canAsk: false,
    columns: 100,
    env: {},
    cwd: folder,
    debug: false,
  }
  const code = await command.run({ ...parse('import', command, words), io })
  return { code, ...said }
}

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
  const again = await importing(...words, '--json')
  expect(
    again.out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).verdict),
  ).toEqual(['taken', 'taken', 'refused'])
  copyFileSync(RECORDING, join(folder, 'audio', 'three.mp3'))
  expect(await importing(...words)).toMatchObject({ code: 0, out: '1 taken, 2 known before, 0 refused\n' })
  await expect(importing('nowhere.csv', '--url', url)).rejects.toMatchObject({ code: 'bad_request' })
  await expect(importing('calls.csv', '--audio', 'no', '--url', url)).rejects.toMatchObject({
    code: 'bad_request',
  })

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
