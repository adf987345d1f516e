import { createServer, type Server } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { connector } from '../../connectors/salesforce/connector.ts'
import { heardOf } from '../../connectors/salesforce/inbound/change-event.ts'
import { longId } from '../../connectors/salesforce/inbound/id.ts'
import { listenToChanges } from '../../connectors/salesforce/inbound/streaming.ts'
import { config } from '../../connectors/salesforce/schema.ts'
import { createContext } from '../../src/connector/context.ts'
import type { Heard } from '../../src/connector/contract.ts'
import { createMemoryTokens } from '../../src/connector/tokens.ts'
import { asCordboardError, CordboardError } from '../../src/errors.ts'
import { createHttpFetch } from '../../src/node/http-fetch.ts'

/** The faye that jsforce brings: its server is the stand-in of Salesforce's CometD. */
const ofJsforce = createRequire(createRequire(import.meta.url).resolve('jsforce/lib/connection.js'))
const faye = ofJsforce('faye') as {
  NodeAdapter: new (
    options: object,
  ) => {
    attach(server: Server): void
    addExtension(extension: object): void
    getClient(): { publish(channel: string, data: unknown): PromiseLike<void> }
  }
}

const CHANNEL = '/data/TaskChangeEvent'
const TASK = longId('00T0000000000A1') ?? ''
const KEYS = {
  clientId: '3MVG9stand-in-consumer-key-0001',
  clientSecret: 'stand-in-consumer-secret-0001',
  calls: { recordingField: 'Recording_URL__c' },
}

const change = (
  replayId: number,
  header: Record<string, unknown> = {},
  fields: Record<string, unknown> = {},
) => ({
  schema: 'IeRuaY6cbI_HsV8Rv1Mc5g',
  payload: {
    ChangeEventHeader: {
      entityName: 'Task',
      recordIds: [TASK],
      changeType: 'UPDATE',
      changedFields: ['Recording_URL__c', 'LastModifiedDate'],
      changeOrigin: '',
      transactionKey: `000${replayId}`,
      sequenceNumber: 1,
      commitTimestamp: 1_772_623_353_000,
      commitUser: '005000000000001AAA',
      commitNumber: 1,
      ...header,
    },
    ...fields,
  },
  event: { replayId, EventUuid: `uuid-${replayId}` },
})

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const one of open.splice(0)) await one.close()
})

/** Salesforce's CometD: tokens, what is kept, and the place in it that a subscription names. */
async function org() {
  const state = {
    tokens: new Set(['token-1']),
    /** Replay ids that subscriptions named. */
    asked: [] as unknown[],
    kept: [] as ReturnType<typeof change>[],
    firstKept: 0,
    refuses: null as string | null,
    cookies: [] as (string | undefined)[],
    subscribed: 0,
  }
  const adapter = new faye.NodeAdapter({ mount: '/cometd/67.0', timeout: 2 })
  type Message = Record<string, unknown> & { channel: string; error?: string; ext?: Record<string, unknown> }
  let lastReplay = -1
  let published: PromiseLike<void> = Promise.resolve()
  /** In their order, which faye's own client does not promise. */
  const publish = (one: ReturnType<typeof change>) => {
    published = published.then(() => adapter.getClient().publish(CHANNEL, one))
  }
  adapter.addExtension({
    incoming(
      message: Message,
      request: { headers: Record<string, string> } | null,
      next: (m: Message) => void,
    ) {
      const token = /^OAuth (.+)$/.exec(request?.headers.authorization ?? '')?.[1]
      if (request && (token === undefined || !state.tokens.has(token)))
        message.error = '401::Authentication invalid'
      else if (message.channel === '/meta/subscribe' && request) {
        lastReplay = Number((message.ext?.replay as Record<string, unknown> | undefined)?.[CHANNEL])
        state.asked.push(lastReplay)
        if (state.refuses !== null) message.error = state.refuses
        else if (lastReplay >= 0 && lastReplay < state.firstKept)
          message.error = `400::The replayId {${lastReplay}} you provided was invalid. Provide a valid ID, -2 to replay all events, or -1 to replay only new events.`
      }
      next(message)
    },
    outgoing(message: Message & { successful?: boolean; advice?: object }, next: (m: Message) => void) {
      if (message.channel === '/meta/handshake' && message.successful) message.ext = { replay: true }
      if (message.error?.startsWith('401')) {
        message.ext = { sfdc: { failureReason: '401::Authentication invalid' } }
        message.advice = { reconnect: 'none' }
      }
      if (message.channel === '/meta/subscribe' && message.successful) {
        const from = lastReplay
        const behind = state.kept.filter(({ event }) => from === -2 || (from >= 0 && event.replayId > from))
        state.subscribed += 1
        setImmediate(() => {
          for (const one of behind) publish(one)
        })
      }
      next(message)
    },
  })
  const server = createServer((_, response) => response.writeHead(404).end())
  adapter.attach(server)
  server.prependListener('request', (request, response) => {
    if (request.method !== 'POST') return
    state.cookies.push(request.headers.cookie)
    response.setHeader('set-cookie', 'BrowserId=sticky; path=/')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  open.push({
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  })
  return {
    state,
    instanceUrl: `http://127.0.0.1:${port}`,
    say(one: ReturnType<typeof change>) {
      state.kept.push(one)
      publish(one)
    },
  }
}

/** Somebody who listens, and what they were given. */
function listener(
  { instanceUrl }: { instanceUrl: string },
  from: string | null,
  options: {
    take?: (heard: Heard) => Promise<void>
    renewed?: string[]
    keys?: object
    query?: (soql: string) => AsyncIterable<readonly unknown[]>
  } = {},
) {
  const controller = new AbortController()
  const settings = config.parse({ ...KEYS, baseUrl: instanceUrl, ...options.keys })
  const host = new URL(instanceUrl).host
  const ctx = createContext({
    connection: {
      id: 'crm',
      connector,
      settings,
      region: 'FR',
      allowPrivate: [host],
      concurrency: 1,
      recordingWaitMs: undefined,
      secrets: [],
    },
    publicUrl: undefined,
    http: createHttpFetch(),
    budgets: { take: () => 0 },
    tokens: createMemoryTokens({ now: Date.now }),
    now: Date.now,
    random: () => 0.5,
    log: { debug() {}, info() {}, warn() {}, error() {} },
    signal: controller.signal,
  })
  const heard: Heard[] = []
  const waiting: { count: number; done: () => void }[] = []
  const refused: (string | undefined)[] = []
  const tokens = ['token-1', ...(options.renewed ?? [])]
  const access = async (bad?: string) => {
    refused.push(bad)
    const bearer = tokens.shift() ?? 'no token'
    return { instanceUrl, bearer, shared: `${instanceUrl} ${bearer}` }
  }
  const take = async (one: Heard) => {
    await options.take?.(one)
    heard.push(one)
    for (const { count, done } of waiting) if (heard.length >= count) done()
  }
  const ended: Promise<CordboardError> = listenToChanges(
    from,
    take,
    { ...ctx, config: settings },
    { access, query: options.query ?? async function* () {} },
  ).catch((thrown: unknown) => asCordboardError(thrown))
  const stop = async () => {
    controller.abort()
    await ended
  }
  open.unshift({ close: stop })
  const until = (count: number) =>
    new Promise<void>((done) => (heard.length >= count ? done() : waiting.push({ count, done })))
  return { heard, refused, ended, stop, until }
}

const subscribed = async ({ state }: Awaited<ReturnType<typeof org>>, times = 1): Promise<void> => {
  while (state.subscribed < times) await new Promise((resolve) => setTimeout(resolve, 5))
}
const marks = (heard: readonly Heard[]) => heard.map(({ mark }) => mark)

describe('listening to changes', () => {
  it('begins with what comes from now on, and goes on behind the mark that was kept', async () => {
    const there = await org()
    const one = listener(there, null)
    await subscribed(there)
    there.say(change(11))
    there.say(change(12))
    await one.until(2)
    expect(one.heard).toEqual([
      { key: 'uuid-11', mark: '11', says: { events: [], lookUp: [TASK] } },
      { key: 'uuid-12', mark: '12', says: { events: [], lookUp: [TASK] } },
    ])
    await one.stop()
    there.state.kept.push(change(13), change(14))
    const two = listener(there, '12')
    await two.until(2)
    expect(marks(two.heard)).toEqual(['13', '14'])
    expect(there.state.asked).toEqual([-1, 12])
    // The cookie that keeps a session on its server goes back.
    expect(there.state.cookies.at(-1)).toContain('BrowserId=sticky')
  })

  it('hands over one after the other; what is not stored is the end, and nothing behind it is', async () => {
    const there = await org()
    there.state.kept.push(change(1), change(2), change(3), change(4))
    const order: string[] = []
    const one = listener(there, '0', {
      take: async ({ mark }) => {
        order.push(`${mark} begins`)
        await new Promise((resolve) => setTimeout(resolve, 5))
        if (mark === '3') throw new Error('the store is away')
        order.push(`${mark} stored`)
      },
    })
    expect(await one.ended).toMatchObject({ code: 'internal' })
    expect(order).toEqual(['1 begins', '1 stored', '2 begins', '2 stored', '3 begins'])
  })

  it('a token that ends is renewed, and the stream goes on behind what was stored', async () => {
    const there = await org()
    const one = listener(there, null, { renewed: ['token-2'] })
    await subscribed(there)
    there.say(change(21))
    await one.until(1)
    there.state.tokens = new Set(['token-2'])
    there.state.kept.push(change(22))
    await one.until(2)
    expect(marks(one.heard)).toEqual(['21', '22'])
    expect(there.state.asked).toEqual([-1, 21])
    expect(one.refused).toEqual([undefined, `${there.instanceUrl} token-1`])
  })

  it('a token that is refused at once, and the next one too, is `auth`', async () => {
    const there = await org()
    there.state.tokens = new Set(['another'])
    const one = listener(there, null, { renewed: ['token-2', 'token-3'] })
    expect(await one.ended).toMatchObject({ code: 'auth' })
    expect(one.refused).toHaveLength(2)
  })

  it('a mark that is no longer kept means: all that is', async () => {
    const there = await org()
    there.state.firstKept = 100
    there.state.kept.push(change(100), change(101))
    const one = listener(there, '7')
    await one.until(2)
    expect(there.state.asked).toEqual([7, -2])
    expect(marks(one.heard)).toEqual(['100', '101'])
  })

  it('a subscription that is not allowed says what to permit', async () => {
    const there = await org()
    there.state.refuses = '403:denied_by_security_policy:create_denied'
    const error = await listener(there, null).ended
    expect(error).toMatchObject({ code: 'forbidden' })
    expect(error.fix).toContain('Change Data Capture')
  })

  it('is refused where no call would be taken', async () => {
    const there = await org()
    expect(await listener(there, null, { keys: { calls: undefined } }).ended).toMatchObject({
      code: 'config',
    })
    expect(there.state.asked).toEqual([])
    const all = listener(there, null, { keys: { calls: undefined, changeChannel: '/data/ChangeEvents' } })
    await subscribed(there)
    await all.stop()
  })

  it('of a contact that lost a merge tells into which it was merged, where that may be asked', async () => {
    const [gone, merged, master] = ['c1', 'c2', 'c3'].map((end) => longId(`0030000000000${end}`) ?? '')
    const header = { entityName: 'Contact', recordIds: [gone, merged], changeType: 'DELETE' }
    const query = async function* (soql: string) {
      expect(soql).toBe(
        `SELECT Id, MasterRecordId FROM Contact WHERE Id IN ('${gone}','${merged}') AND MasterRecordId != null`,
      )
      yield [{ Id: merged, MasterRecordId: master }]
    }
    // biome-ignore lint/correctness/useYield: it fails before.
    const forbidden = async function* () {
      throw new CordboardError('forbidden', 'no')
    }
    const heardBy = async (asked: typeof query) => {
      const there = await org()
      const one = listener(there, null, { query: asked })
      await subscribed(there)
      there.say(change(1, header))
      await one.until(1)
      const says = one.heard[0]?.says
      return says && 'changes' in says ? says.changes : says
    }
    expect(await heardBy(query)).toEqual([
      { change: 'deleted', type: 'contact', id: gone },
      { change: 'merged', type: 'contact', id: merged, into: master },
    ])
    expect(await heardBy(forbidden)).toEqual([
      { change: 'deleted', type: 'contact', id: gone },
      { change: 'deleted', type: 'contact', id: merged },
    ])
  })

  it('ends when it is told to', async () => {
    const there = await org()
    const one = listener(there, null)
    await subscribed(there)
    await one.stop()
    expect(one.heard).toEqual([])
  })
})

describe('a change event', () => {
  const settings = config.parse({ ...KEYS, baseUrl: 'https://acme.my.salesforce.com' })
  const says = (header: Record<string, unknown>, fields: Record<string, unknown> = {}) =>
    heardOf(change(1, header, fields), settings).says
  const contact = longId('0030000000000c1') ?? ''

  it.each([
    ['created as a call', { changeType: 'CREATE' }, { TaskSubtype: 'Call' }],
    ['created, of an unknown subtype', { changeType: 'CREATE' }, {}],
    ['a call by its type', { changeType: 'CREATE' }, { TaskSubtype: 'Task', CallType: 'Inbound' }],
    ['closed', { changedFields: ['Status', 'LastModifiedDate'] }, {}],
    ['changed by what nobody tells', { changedFields: undefined }, {}],
    ['missed', { changeType: 'GAP_UPDATE', changedFields: undefined }, {}],
    ['brought back', { changeType: 'UNDELETE', changedFields: undefined }, {}],
  ])('of a task that was %s has it read', (_, header, fields) => {
    expect(says(header, fields)).toEqual({ events: [], lookUp: [TASK] })
  })

  it.each([
    ['it is no call', { changeType: 'CREATE' }, { TaskSubtype: 'Email' }],
    ['Cordboard wrote it', { changeType: 'CREATE' }, { TaskSubtype: 'Call', CallObject: 'wbk_01KJ-call' }],
    ['it was deleted', { changeType: 'DELETE' }, {}],
    ['what is read of a call did not change', { changedFields: ['Description', 'LastModifiedDate'] }, {}],
    ['no id is told', { recordIds: ['00T*'], changeType: 'GAP_OVERFLOW' }, {}],
  ])('of a task is ignored: %s', (why, header, fields) => {
    expect(says(header, fields)).toEqual({ ignored: `Task: ${why}` })
  })

  it('of a contact tells that it is gone', () => {
    const header = { entityName: 'Contact', recordIds: [contact], changeType: 'DELETE' }
    expect(says(header)).toEqual({
      events: [],
      changes: [{ change: 'deleted', type: 'contact', id: contact }],
    })
    expect(says({ ...header, changeType: 'UPDATE' })).toHaveProperty('ignored')
  })

  it('in another form is unreadable', () => {
    for (const data of [null, {}, { payload: {}, event: {} }])
      expect(() => heardOf(data, settings)).toThrow(/lacks what is documented/)
  })
})
