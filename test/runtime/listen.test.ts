import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openSqliteStore } from '../../src/store/sqlite.ts'

/** `cordboard listen` as a process, against a vendor's stream on this machine that is held open and breaks. */

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const DESK = new URL('../scenarios/desk-crm.ts', import.meta.url).href
const TOKEN = 'token-of-the-listen-test'
const PHONE = '+33639980001'

let folder: string
let server: Server
/** Behind which place each subscription wanted to go on. */
let asked: string[]
/** What the vendor keeps, and who waits for more of it. */
let kept: number[]
let held: ServerResponse[]
/** So many requests are answered with this status first. */
let refuses: number[]

beforeEach(async () => {
  ;[asked, kept, held, refuses] = [[], [], [], []]
  folder = mkdtempSync(join(tmpdir(), 'cordboard-listen-'))
  server = createServer((request, response) => {
    const after = new URL(request.url ?? '', 'http://vendor.example').searchParams.get('after') ?? ''
    asked.push(after)
    const status = refuses.shift()
    if (status !== undefined) return void response.writeHead(status).end(`no, ${TOKEN}`)
    const behind = kept.filter((nth) => nth > Number(after))
    if (behind.length > 0) return void response.end(JSON.stringify(behind))
    held.push(response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  writeFileSync(
    join(folder, 'cordboard.config.ts'),
    `import { CordboardError, defineConfig, secret } from 'cordboard'
import { DESK } from '${DESK}'
const startedAt = '2026-11-20T11:58:00.000Z'
const eventOf = (nth: number) => ({
  key: 'c' + nth, callId: 'c' + nth, phase: 'ended',
  facts: { direction: 'inbound', result: 'no_answer', startedAt, from: { phone: '${PHONE}', phoneRaw: '${PHONE}' } },
})
async function listen(from, take, ctx) {
  for (let mark = from ?? '0'; ; ) {
    const headers = { authorization: 'Bearer ' + ctx.config.token }
    const answer = await ctx.fetch(ctx.config.baseUrl + '/stream?after=' + mark, { headers })
    if (!answer.ok) throw new CordboardError('vendor_down', 'Desk: HTTP ' + answer.status)
    for (const nth of await answer.json()) {
      mark = String(nth)
      await take({ key: 'event-' + nth, mark, says: { events: [eventOf(nth)] } })
    }
  }
}
const connector = { ...DESK.connector, telephony: { ...DESK.connector.telephony, listen } }
const of = { baseUrl: 'http://127.0.0.1:${port}', allowPrivate: ['127.0.0.1'], token: secret('TOKEN'), hook: secret('HOOK') }
export default defineConfig({
  region: 'FR',
  connections: { desk: { use: connector, ...of }, deaf: { use: DESK.connector, ...of } },
  flows: [],
})\n`,
  )
})
afterEach(async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
  rmSync(folder, { recursive: true })
})

/** The vendor says more: whoever waits hears it. */
function say(...all: number[]): void {
  kept.push(...all)
  for (const response of held.splice(0)) response.end(JSON.stringify(all))
}

interface Listening {
  child: ChildProcess
  said: { out: string; err: string }
  ended: Promise<number | null>
  /** Until it stands in what it has said. */
  until(text: string): Promise<void>
}

function start(...words: string[]): Listening {
  const { PATH = '', HOME = '' } = process.env
  const env = { PATH, HOME, NO_COLOR: '1', TOKEN, HOOK: 'hook-of-the-listen-test' }
  const child = spawn(process.execPath, [MAIN, 'listen', ...words], { cwd: folder, env })
  const said = { out: '', err: '' }
  const waiting: (() => void)[] = []
  for (const [name, stream] of [
    ['out', child.stdout],
    ['err', child.stderr],
  ] as const)
    stream.on('data', (chunk: Buffer) => {
      said[name] += chunk.toString()
      for (const look of waiting) look()
    })
  return {
    child,
    said,
    ended: new Promise((resolve) => child.on('close', resolve)),
    until: (text) =>
      new Promise((resolve, reject) => {
        const look = () => {
          if ((said.out + said.err).includes(text)) resolve()
        }
        waiting.push(look)
        child.on('close', (code) =>
          reject(new Error(`ended with ${code} before it said ${text}: ${said.err}`)),
        )
        look()
      }),
  }
}

/** How often each thing that was heard is stored, and where the stream goes on. */
async function stored(): Promise<{ deliveries: [string, number][]; mark: string | undefined }> {
  const store = await openSqliteStore({ file: join(folder, '.data/cordboard.db') })
  try {
    const rows = await store.db
      .selectFrom('deliveries')
      .select(['dedupe_key', 'repeats'])
      .orderBy('dedupe_key')
      .execute()
    const mark = await store.db
      .selectFrom('settings')
      .select('value')
      .where('name', '=', 'stream desk')
      .executeTakeFirst()
    return { deliveries: rows.map((row) => [row.dedupe_key, row.repeats]), mark: mark?.value }
  } finally {
    await store.close()
  }
}
/** The vendor knows that all before was stored: it is asked for what is behind it. */
async function askedFor(after: number): Promise<void> {
  while (!(asked.at(-1) === String(after) && held.length > 0)) await once(server, 'request')
}

// Every command is a process of its own, on a machine that may be busy.
describe('cordboard listen', { timeout: 120_000 }, () => {
  it('stores what it hears, ends in order, and goes on where it ended, also when it was killed', async () => {
    say(1)
    const first = start('desk')
    await first.until('listening to Desk for desk\n')
    await askedFor(1)
    say(2)
    await askedFor(2)
    first.child.kill('SIGTERM')
    expect(await first.ended).toBe(0)
    expect(await stored()).toEqual({
      deliveries: [
        ['s:event-1', 0],
        ['s:event-2', 0],
      ],
      mark: '2',
    })

    const second = start('desk')
    say(3)
    await askedFor(3)
    second.child.kill('SIGKILL')
    expect(await second.ended).toBe(null)

    const third = start('desk')
    await third.until('listening to Desk for desk\n')
    await askedFor(3)
    third.child.kill('SIGINT')
    expect(await third.ended).toBe(0)
    const { deliveries, mark } = await stored()
    expect([deliveries.map(([key]) => key), mark]).toEqual([['s:event-1', 's:event-2', 's:event-3'], '3'])
    for (const { said } of [first, second, third])
      expect(said.out + said.err).not.toMatch(new RegExp(`${TOKEN}|39980001`))
  })

  it('opens a stream that breaks off again, and says so without what the vendor sent', async () => {
    refuses = [503]
    const it = start('desk')
    await it.until('the stream broke off')
    say(1)
    await askedFor(1)
    it.child.kill('SIGTERM')
    expect(await it.ended).toBe(0)
    expect(it.said.out).toBe('listening to Desk for desk\n')
    expect(it.said.err).toContain('Desk: HTTP 503')
    expect(it.said.err).not.toContain(TOKEN)
    expect((await stored()).deliveries).toEqual([['s:event-1', 0]])
  })

  it('says what cannot be listened to', async () => {
    const wrongs: [string[], string, string][] = [
      [['dsek'], 'There is no connection dsek', 'Did you mean desk?'],
      [['deaf'], 'Desk has no stream to listen to', 'README.md'],
      [[], 'listen', 'cordboard listen'],
    ]
    for (const [words, message, fix] of wrongs) {
      const one = start(...words)
      expect([words, await one.ended, one.said.out]).toEqual([words, 2, ''])
      expect(one.said.err).toContain(message)
      expect(one.said.err).toContain(fix)
    }
    expect(asked).toEqual([])
  })
})
