import type { ConnectorContext, Heard } from '../../../src/connector/contract.ts'
import { asObject } from '../../../src/connector/json.ts'
import { asCordboardError, CordboardError } from '../../../src/errors.ts'
import { heardOf } from './change-event.ts'
import { withMerges } from './merged.ts'
import type { Query } from './read.ts'
import type { InboundConfig } from './schema.ts'

/**
 * Change Data Capture by CometD, through jsforce's streaming, which is faye's client with two extensions of jsforce's. What it
 * sends goes through `ctx.fetch`: faye's own HTTP, its proxies and TLS, never run. Both are loaded when somebody listens: they
 * need Node, and the Workers' bundle does without them.
 */

type Context = ConnectorContext<InboundConfig & { apiVersion: string }>

/** An access token, and where it is good for; given the refused one, another. */
export type Access = (refused?: string) => Promise<{ instanceUrl: string; bearer: string; shared: string }>

/** Only what comes from now on. With -2 all that is kept comes: 72 hours. */
const FROM_NOW = -1
const ALL_KEPT = -2
/** A poll is answered when something happens, after two minutes at the latest; how long Salesforce waits is in its advice, not in the documents. */
const POLL_MS = 150_000
/** faye tries again every five seconds, for ever: whoever listens to the log should hear of it before. */
const MOST_FAILURES = 5
/** Heard, and not yet stored. */
const MOST_WAITING = 1_000

/** What is used of faye 1.4.1; underscored names are its own. */
interface FayeClient {
  _advice: { reconnect?: string }
  _dispatcher: FayeDispatcher
  disable(transport: string): void
  setHeader(name: string, value: string): void
  addExtension(extension: object): void
  subscribe(
    channel: string,
    listener: (data: unknown) => void,
  ): { callback(done: () => void): void; errback(failed: (error: unknown) => void): void }
  disconnect(): unknown
}
const isFaye = (client: object): client is FayeClient => '_dispatcher' in client && '_advice' in client

interface FayeDispatcher {
  _transport?: { _httpClient: HttpClient; batching: boolean }
  selectTransport(types: readonly string[]): void
  close(): void
}

/**
 * Listens from behind `from`. A token that ends is renewed once; a second refusal without anything between ends it.
 * `query` is asked for what became of records that were deleted.
 */
export async function listenToChanges(
  from: string | null,
  take: (heard: Heard) => Promise<void>,
  ctx: Context,
  { access, query }: { access: Access; query: Query },
): Promise<never> {
  if (!ctx.config.calls && ctx.config.changeChannel === '/data/TaskChangeEvent') {
    throw new CordboardError('config', 'This connection takes no calls from Salesforce', {
      fix: 'Configure calls, or a changeChannel that tells of more than tasks',
    })
  }
  let mark = from
  let isRenewed = false
  let current = await access()
  for (;;) {
    const stored = async (heard: Heard) => {
      const says = await withMerges(heard.says, query, (code) =>
        ctx.log.warn('what became of deleted records may not be asked: merges count as deletions', {
          connection: ctx.connection,
          code,
        }),
      )
      await take({ ...heard, says })
      mark = heard.mark
      isRenewed = false
    }
    const ended: unknown = await hold(mark, stored, ctx, current).catch((thrown: unknown) => thrown)
    const error = asCordboardError(ended)
    ctx.signal.throwIfAborted()
    if (error.code === 'gone' && mark !== null) {
      // What was missed is not known: all that is kept is heard again, and what is stored already is no second delivery.
      ctx.log.warn('the place in the stream is no longer kept: all that is kept is read again', {
        connection: ctx.connection,
      })
      mark = String(ALL_KEPT)
    } else if (error.code === 'auth' && !isRenewed) {
      isRenewed = true
      current = await access(current.shared)
    } else throw error
  }
}

async function hold(
  mark: string | null,
  take: (heard: Heard) => Promise<void>,
  ctx: Context,
  { instanceUrl, bearer }: { instanceUrl: string; bearer: string },
): Promise<never> {
  const { Client, StreamingExtension } = await import('jsforce/lib/api/streaming.js')
  const { apiVersion, changeChannel: channel } = ctx.config
  const url = `${instanceUrl}/cometd/${apiVersion}`
  const { promise, reject } = Promise.withResolvers<never>()
  const client: object = new Client(url, {})
  if (!isFaye(client)) throw new CordboardError('internal', 'Salesforce: faye is not as it was in 1.4.1')
  // Not by jsforce's `createClient`: it begins by trying a web socket, which nothing of ours looks at.
  client.disable('websocket')
  client.setHeader('Authorization', `OAuth ${bearer}`)
  client.addExtension(new StreamingExtension.AuthFailure((message: unknown) => reject(endOf(message))))
  client.addExtension(new StreamingExtension.Replay(channel, mark === null ? FROM_NOW : Number(mark)))
  const http = overFetch(url, ctx, reject)
  const dispatcher = client._dispatcher
  // It makes a new one with each handshake. Several messages in one request are an error to Salesforce, as jsforce says.
  const select = dispatcher.selectTransport.bind(dispatcher)
  dispatcher.selectTransport = () => {
    select(['long-polling'])
    if (dispatcher._transport) Object.assign(dispatcher._transport, { _httpClient: http, batching: false })
  }
  const stop = () => {
    ctx.signal.removeEventListener('abort', cutOff)
    client._advice.reconnect = 'none'
    client.disconnect()
    dispatcher.close()
  }
  const cutOff = () => reject(asCordboardError(ctx.signal.reason))
  ctx.signal.addEventListener('abort', cutOff)

  let waiting = 0
  let last = Promise.resolve()
  const subscription = client.subscribe(channel, (data) => {
    waiting += 1
    if (waiting > MOST_WAITING)
      reject(new CordboardError('overloaded', 'Salesforce: more is said than can be stored'))
    // One after the other: a mark never stands before what it follows.
    last = last
      .then(() => take(heardOf(data, ctx.config)))
      .then(
        () => {
          waiting -= 1
        },
        (thrown: unknown) => {
          reject(thrown)
          // Nothing behind it is stored: it is heard again.
          return new Promise<never>(() => undefined)
        },
      )
  })
  subscription.callback(() => ctx.log.info('listening to changes', { connection: ctx.connection, channel }))
  subscription.errback((error) => reject(refusedWith(error)))
  try {
    return await promise
  } finally {
    stop()
  }
}

// ── Refusals ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** "ext":{"sfdc":{"failureReason":"401::Authentication invalid"}}, "advice":{"reconnect":"none"} */
function endOf(message: unknown): CordboardError {
  const { ext, error } = asObject(message) ?? {}
  const { failureReason } = asObject(asObject(ext)?.sfdc) ?? {}
  const said = [failureReason, error].filter((text) => typeof text === 'string').join('; ')
  const code = /\b401:/.test(said) ? 'auth' : 'vendor_down'
  return new CordboardError(code, 'Salesforce: the stream was ended', { vendorSaid: said.slice(0, 300) })
}

/** A subscription that is refused: `403:…` without permission; an id that is no longer kept is named as one. */
function refusedWith(error: unknown): CordboardError {
  const { code, params, message } = asObject(error) ?? {}
  const said = [code, params, message].flat().filter(Boolean).join(' ').slice(0, 300)
  const what = 'Salesforce: the subscription to changes was refused'
  if (/replay/i.test(said)) return new CordboardError('gone', what, { vendorSaid: said })
  return new CordboardError('forbidden', what, {
    vendorSaid: said,
    fix: 'Select Task under Setup, Change Data Capture, and let the integration user view all of its records',
  })
}

// ── faye's HTTP over ctx.fetch ──────────────────────────────────────────────────────────────────────────────────────

/** Of node:http what faye uses. */
interface HttpClient {
  request(params: { headers: Record<string, string | number> }): FayeRequest
}
interface FayeRequest {
  on(event: string, listener: (value: unknown) => void): void
  end(content: Uint8Array): void
  abort(): void
}
function overFetch(url: string, ctx: Context, fail: (error: CordboardError) => void): HttpClient {
  let failures = 0
  return {
    request({ headers: given }) {
      const listeners: Record<string, (value: unknown) => void> = {}
      let isAborted = false
      const headers: Record<string, string> = {}
      for (const [name, value] of Object.entries(given))
        if (!/^(?:host|content-length)$/i.test(name)) headers[name] = String(value)
      const send = async (content: Uint8Array) => {
        const init = {
          method: 'POST',
          headers,
          body: new Uint8Array(content),
          bucket: 'stream',
          timeoutMs: POLL_MS,
        }
        const response = await ctx.fetch(url, init)
        if (response.status === 401) {
          await response.body?.cancel()
          throw new CordboardError('auth', 'Salesforce: the stream was refused')
        }
        const text = await response.text()
        if (!response.ok)
          throw new CordboardError('vendor_down', `Salesforce: the stream answers HTTP ${response.status}`)
        if (isAborted) return
        failures = 0
        const heard: Record<string, (chunk: string) => void> = {}
        listeners.response?.({
          headers: { 'set-cookie': response.headers.getSetCookie() },
          setEncoding: () => undefined,
          on: (event: string, listener: (chunk: string) => void) => {
            heard[event] = listener
          },
        })
        heard.data?.(text)
        heard.end?.('')
      }
      return {
        on: (event, listener) => {
          listeners[event] = listener
        },
        abort: () => {
          isAborted = true
        },
        end: (content) => {
          send(content).catch((thrown: unknown) => {
            if (isAborted) return
            const error = asCordboardError(thrown)
            failures += 1
            if (failures >= MOST_FAILURES || !['vendor_down', 'timeout'].includes(error.code)) fail(error)
            else listeners.error?.(error)
          })
        },
      }
    },
  }
}
