import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createAdaptorServer } from '@hono/node-server'
import { loadConnector, loadSandbox } from '../../connectors/index.ts'
import type { SandboxOptions, SandboxWebhook } from '../connector/sandbox.ts'
import { cannotListen } from '../node/listen.ts'
import { createSigner } from '../node/signer.ts'
import { readCarriedTranscript } from './recordings.ts'
import { type Sender, type SignedWebhook, signWebhook } from './webhook.ts'
import {
  createSandboxWorld,
  SANDBOX_CONNECTIONS,
  type SandboxWorld,
  type SandboxWorldOptions,
} from './world.ts'

export interface ServeSandboxOptions extends Pick<SandboxWorldOptions, 'connections' | 'flows'> {
  /** First of the ports, one per vendor; 0 takes free ones. */
  port: number
  /** Where the Cordboard is that their webhooks go to, without a trailing slash. */
  publicUrl: string
  host?: string
  /** Over the keys of a connection. */
  settings?: Readonly<Record<string, Record<string, unknown>>>
  /** How a stand-in's webhook is sent to Cordboard; default once, over HTTP. */
  deliver?: SandboxOptions['deliver']
}

export interface RunningSandbox {
  world: SandboxWorld
  /** Connection id → URL of its stand-in. */
  urls: ReadonlyMap<string, string>
  senders: ReadonlyMap<string, Sender>
  sign(connection: string, webhook: SandboxWebhook): Promise<SignedWebhook>
  /** Signs and sends; answers the status, 0 when nobody answered. `change` alters the body after it was signed. */
  send(connection: string, webhook: SandboxWebhook, change?: (body: string) => string): Promise<number>
  stop(): Promise<void>
}

/** `env`: what the server knows of the connection. */
type Fetch = (request: Request, env?: unknown) => Response | Promise<Response>

/** Serves every vendor's stand-in on loopback, each on a port of its own, as they would be on the net. */
export async function serveSandbox(options: ServeSandboxOptions): Promise<RunningSandbox> {
  const { host = '127.0.0.1', publicUrl, connections = SANDBOX_CONNECTIONS, flows = [] } = options
  const signer = createSigner()
  const timers = new Set<NodeJS.Timeout>()
  const apps = new Map<string, Fetch>()
  const servers: Server[] = []
  const urls = new Map<string, string>()
  for (const [index, id] of Object.keys(connections).entries()) {
    // The port is known only after listening, and the stand-in wants to know it: it is put in place afterwards.
    const fetch: Fetch = (request, env) =>
      isOfAPage(request)
        ? new Response('not for pages', { status: 403 })
        : (apps.get(id)?.(request, env) ?? new Response('starting', { status: 503 }))
    const server = createAdaptorServer({ fetch }) as Server
    await listen(server, options.port === 0 ? 0 : options.port + index, host)
    servers.push(server)
    urls.set(id, `http://${host}:${(server.address() as AddressInfo).port}`)
  }

  const world = await createSandboxWorld({
    now: Date.now,
    random: Math.random,
    signer,
    publicUrl,
    connections,
    flows,
    loadSandbox,
    baseUrlOf: (id) => urls.get(id) ?? '',
    later(ms, work) {
      const timer = setTimeout(() => {
        timers.delete(timer)
        Promise.resolve(work()).catch((error: unknown) => process.emitWarning(String(error)))
      }, ms)
      timers.add(timer)
    },
    deliver: options.deliver ?? deliverOnce,
    async download(url) {
      const response = await fetch(url, { signal: AbortSignal.timeout(10_000) })
      return response.ok ? new Uint8Array(await response.arrayBuffer()) : null
    },
    transcriptOf: readCarriedTranscript,
    ...(options.settings === undefined ? {} : { settings: options.settings }),
  })
  for (const [id, vendor] of world.vendors)
    apps.set(id, (request, env) => vendor.app.fetch(request, env as object))

  const senders = new Map<string, Sender>()
  for (const [id, { use, settings }] of Object.entries(connections)) {
    const connector = await loadConnector(use)
    const parsed = connector.config.parse({ ...settings, ...options.settings?.[id], baseUrl: urls.get(id) })
    senders.set(id, { id, connector, settings: parsed })
  }

  const sign = (connection: string, webhook: SandboxWebhook) => {
    const sender = senders.get(connection)
    if (!sender) throw new RangeError(`there is no stand-in ${connection}`)
    return signWebhook(sender, webhook, publicUrl, { now: Date.now(), signer })
  }
  return {
    world,
    urls,
    senders,
    sign,
    async send(connection, webhook, change = (body) => body) {
      const { url, method, headers, body } = await sign(connection, webhook)
      const withBody = method === 'GET' ? {} : { body: change(body) }
      try {
        const response = await fetch(url, {
          method,
          headers,
          ...withBody,
          signal: AbortSignal.timeout(10_000),
        })
        await response.arrayBuffer()
        return response.status
      } catch {
        // Nobody answered: what the sender does then is its own business.
        return 0
      }
    },
    async stop() {
      for (const timer of timers) clearTimeout(timer)
      await Promise.all(servers.map(stopServer))
    },
  }
}

/**
 * Loopback keeps other machines away, but not the pages that a browser on this one shows: they may send a request to any
 * port, and every key here is a published one. Browsers name the page behind whatever changes something.
 */
export const isOfAPage = (request: Request): boolean => request.headers.has('origin')

/** Over HTTP, as vendors do: they hang up after a few seconds and follow no redirect. */
export const deliverOnce: SandboxOptions['deliver'] = async ({ url, ...init }) => {
  const response = await fetch(url, { ...init, redirect: 'manual', signal: AbortSignal.timeout(5_000) })
  return { status: response.status }
}

export function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(cannotListen(error, port, host)))
    server.listen(port, host, resolve)
  })
}

export function stopServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}
