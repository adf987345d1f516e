import http from 'node:http'
import type { AddressInfo, LookupFunction } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connector } from '../../connectors/hubspot/connector.ts'
import { createContext } from '../../src/connector/context.ts'
import { createMemoryTokens } from '../../src/connector/tokens.ts'
import { createHttpFetch } from '../../src/node/http-fetch.ts'
import { commonCall } from '../kit/connector/samples.ts'
import { failureOf } from '../kit/connector/world.ts'
import { type Context, crm, fresh, mapContext, partOf, recordOf, telephony } from './hubspot-world.ts'

/**
 * A base URL, or the link that somebody put on a call in HubSpot, may lead to a private address: nothing is sent there, by
 * HubSpot's client library no more than by ourselves. A trap on the loopback address counts what got through.
 */

let caught = 0
const trap = http
  .createServer((_, response) => response.end('{}'))
  .on('connection', () => {
    caught += 1
  })
beforeAll(() => new Promise<void>((resolve) => trap.listen(0, '127.0.0.1', resolve)))
afterAll(() => {
  trap.closeAllConnections()
  trap.close()
})

const lookup: LookupFunction = (_, options, callback) => {
  if (options.all) callback(null, [{ address: '127.0.0.1', family: 4 }])
  else callback(null, '127.0.0.1', 4)
}

function contextAt(host: string, scheme = 'https'): Context {
  const { port } = trap.address() as AddressInfo
  const { config } = mapContext({ baseUrl: `${scheme}://${host}:${port}`, note: { file: true } })
  const nothing = () => undefined
  const now = () => Date.parse('2026-03-04T11:22:33.000Z')
  const ctx = createContext({
    connection: {
      id: 'acme',
      connector,
      settings: config,
      region: 'FR',
      allowPrivate: [],
      concurrency: 1,
      recordingWaitMs: undefined,
      secrets: [],
    },
    publicUrl: undefined,
    http: createHttpFetch({ lookup }),
    budgets: { take: () => 0 },
    tokens: createMemoryTokens({ now }),
    now,
    random: () => 0.5,
    log: { debug: nothing, info: nothing, warn: nothing, error: nothing },
    signal: new AbortController().signal,
  })
  return { ...ctx, config }
}

const HOSTS = ['rebind.example', '127.0.0.1', '[::ffff:7f00:1]', '2130706433', 'metadata.internal']
const record = { ...recordOf({}), target: { type: 'contact', id: '7' } }
const [call] = crm.plan(record, mapContext())
const file = { key: 'transcript', kind: 'file' as const, fields: { text: 'Good morning' } }

const ways: [string, (ctx: Context) => Promise<unknown>][] = [
  ['by the client library: a search', (ctx) => crm.match(commonCall(), ctx, [])],
  [
    'by the client library: a write',
    (ctx) => crm.write(fresh(partOf(call ? [call] : [], 'call')), record, {}, ctx),
  ],
  ['by ourselves: the properties', async (ctx) => crm.fields?.(ctx)],
  ['by ourselves: a file', (ctx) => crm.write(fresh(file), record, {}, ctx)],
  ['by the check', (ctx) => connector.check(ctx)],
]
test.each(ways)('%s', async (_, run) => {
  for (const host of HOSTS) {
    expect(await failureOf(run(contextAt(host))), host).toMatchObject({ code: 'blocked_address' })
    expect(await failureOf(run(contextAt(host, 'http'))), host).toMatchObject({ code: 'blocked_address' })
  }
  expect(caught).toBe(0)
})

test('by the link of a recording', async () => {
  const { port } = trap.address() as AddressInfo
  for (const host of HOSTS) {
    const recording = { key: '7', url: `https://${host}:${port}/a.mp3`, state: 'ready' as const }
    const run = async () => telephony.recording?.(recording, commonCall(), contextAt('api.example.com'))
    expect(await failureOf(run()), host).toMatchObject({ code: 'blocked_address' })
  }
  expect(caught).toBe(0)
})
