import { serve } from '@hono/node-server'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { conversationScores } from '../../src/call/conversation.ts'
import { command } from '../../src/cli/commands/show.ts'
import type { Io } from '../../src/cli/io.ts'
import { id, openWorld, stepRow, TOKENS, type World } from './http-world.ts'

/** What a person reads of one call, from a server over a socket. */

let world: World
let server: ReturnType<typeof serve>
let url = ''
const callId = id('call')
beforeAll(async () => {
  world = await openWorld()
  const turns = [
    { party: 'agent' as const, text: 'Hello?', startMs: 0, endMs: 3_000 },
    { party: 'customer' as const, text: 'Hi.', startMs: 4_000, endMs: 5_000 },
  ]
  const scores = { csat: { value: 4 }, ...conversationScores({ turns }) }
  const analysis = JSON.stringify({ summary: 'They greet.', transcript: { turns }, scores })
  await world.calls({ id: callId, analysis, customer_phone: '+447700900123' })
  url = await new Promise((resolve) => {
    server = serve({ fetch: world.app.fetch, port: 0, hostname: '127.0.0.1' }, ({ port }) =>
      resolve(`http://127.0.0.1:${port}`),
    )
  })
})
afterAll(async () => {
  if ('closeAllConnections' in server) server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
  await world[Symbol.asyncDispose]()
})

async function show(flags: Record<string, boolean>): Promise<string> {
  const lines: string[] = []
  const io: Io = {
    out: (line) => lines.push(line),
    err: (line) => lines.push(line),
    json: (value) => lines.push(JSON.stringify(value)),
    paint: (_, text) => text,
    paintErr: (_, text) => text,
    canAsk: false,
    columns: 110,
    env: {},
    cwd: '.',
    debug: false,
  }
  expect(
    await command.run({ flags: { url, token: TOKENS.viewer, ...flags }, args: [callId], more: {}, io }),
  ).toBe(0)
  return lines.join('\n')
}

it('lists the scores, the service’s and ours, with their scales', async () => {
  const shown = await show({})
  expect(shown).toMatch(/Scores\n +csat +4\n/)
  expect(shown).toMatch(/cordboard\.talkRatio +0\.75 \(0 to 1\)/)
  expect(shown).toMatch(/cordboard\.agent\.questions +1/)
})

it('says what to do about a step that waits for a person', async () => {
  const parked = stepRow({ call_id: callId, state: 'parked', code: 'auth', reason: 'HTTP 401' })
  await world.insert(world.store.db.insertInto('steps').values(parked))
  expect(await show({})).toMatch(/parked +submit +scribe +auth: HTTP 401\n +Do +Check the secret/)
})

it('gives a vCon where it is asked for one, and JSON as ever where not', async () => {
  expect(JSON.parse(await show({ vcon: true }))).toMatchObject({
    parties: [
      { tel: '+447700900123', role: 'customer' },
      { name: 'Alice', role: 'agent' },
    ],
    analysis: [{ type: 'transcript' }, { type: 'summary', body: 'They greet.' }, { type: 'report' }],
  })
  expect(JSON.parse(await show({ json: true }))).toMatchObject({ id: callId, state: 'done' })
})
