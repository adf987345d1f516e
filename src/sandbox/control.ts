import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createAdaptorServer } from '@hono/node-server'
import { Hono } from 'hono'
import { z } from 'zod'
import { SAMPLES } from './recordings.ts'
import { DEMO_CALLS, toSampleCall } from './sample-calls.ts'
import { isOfAPage, listen, type RunningSandbox, stopServer } from './serve.ts'

export { serveSandbox } from './serve.ts'

const fault = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('status'),
    status: z.int().min(400).max(599),
    retryAfter: z.string().optional(),
    body: z.unknown().optional(),
  }),
  z.object({ kind: z.literal('hang') }),
  z.object({ kind: z.literal('commit_then_hang') }),
  z.object({ kind: z.literal('commit_then_status'), status: z.int().min(400).max(599) }),
])

const faultRequest = z.object({
  connection: z.string(),
  fault,
  times: z.int().min(1).max(1_000_000).optional(),
  method: z.string().optional(),
  path: z.string().optional(),
})

const callRequest = z.object({
  connection: z.string().default('sandbox-twilio'),
  customerPhone: z.string().default('+33639980001'),
  direction: z.enum(['inbound', 'outbound']).default('inbound'),
  result: z.enum(['answered', 'no_answer', 'busy']).default('answered'),
  recording: z
    .enum(SAMPLES.map((sample) => sample.file) as [string, ...string[]])
    .nullable()
    .default('support-invoice.mp3'),
  arrival: z.enum(['twice', 'reversed', 'tampered']).optional(),
})

const HERE: ReadonlySet<string> = new Set(['127.0.0.1', 'localhost', '[::1]'])

/** What tells the stand-ins to play a call, to fail, and what they hold: for people with curl, and for tests. */
export function createControl(sandbox: RunningSandbox): Hono {
  let played = 0
  const app = new Hono()
  // A page whose name was made to lead here may read, too: the name is then its own.
  app.use(async (c, next) => {
    if (isOfAPage(c.req.raw) || !HERE.has(new URL(c.req.url).hostname))
      return c.json(
        { error: 'the control is for this machine, not for pages that a browser shows on it' },
        403,
      )
    return next()
  })
  app.get('/', (c) =>
    c.json({
      stands: 'in for real vendors; nothing here is real',
      vendors: Object.fromEntries(sandbox.urls),
    }),
  )
  app.get('/book/:connection', (c) => {
    const vendor = sandbox.world.vendors.get(c.req.param('connection'))
    return vendor
      ? c.json(vendor.book())
      : c.json({ error: `there is no ${c.req.param('connection')}`, known: [...sandbox.urls.keys()] }, 404)
  })
  app.post('/calls', async (c) => {
    const asked = callRequest.safeParse(await c.req.json().catch(() => ({})))
    if (!asked.success) return c.json({ error: z.prettifyError(asked.error) }, 400)
    const { connection, arrival, ...rest } = asked.data
    const { place } = sandbox.world.vendors.get(connection) ?? {}
    if (!place) {
      const phones = [...sandbox.world.vendors].filter(([, vendor]) => vendor.place).map(([id]) => id)
      return c.json({ error: `there is no phone system ${connection}`, known: phones }, 404)
    }
    const [first] = DEMO_CALLS
    if (!first) return c.json({ error: 'there is no sample call' }, 500)
    played += 1
    const demo = {
      ...first,
      call: {
        ...first.call,
        ...rest,
        talkMs: rest.result === 'answered' ? first.call.talkMs : 0,
        recording: rest.result === 'answered' ? rest.recording : null,
      },
    }
    const webhooks = place(await toSampleCall(demo, `sandbox-${Date.now()}-${played}`, Date.now()))
    const statuses: { webhook: string; status: number }[] = []
    for (const webhook of arrival === 'reversed'
      ? [...webhooks].reverse()
      : arrival === 'twice'
        ? webhooks.flatMap((w) => [w, w])
        : webhooks) {
      const status = await sandbox.send(
        connection,
        webhook,
        arrival === 'tampered' ? (body) => `${body}&Forged=1` : undefined,
      )
      statuses.push({ webhook: webhook.says, status })
    }
    return c.json({ sent: statuses })
  })
  app.post('/faults', async (c) => {
    const asked = faultRequest.safeParse(await c.req.json().catch(() => ({})))
    if (!asked.success) return c.json({ error: z.prettifyError(asked.error) }, 400)
    const { connection, ...rule } = asked.data
    const vendor = sandbox.world.vendors.get(connection)
    if (!vendor) return c.json({ error: `there is no ${connection}`, known: [...sandbox.urls.keys()] }, 404)
    vendor.fail(rule as Parameters<typeof vendor.fail>[0])
    return c.json({ armed: rule })
  })
  return app
}

/** Serves the control on loopback. */
export async function serveControl(
  sandbox: RunningSandbox,
  port: number,
): Promise<{ url: string; stop(): Promise<void> }> {
  const server = createAdaptorServer({ fetch: createControl(sandbox).fetch }) as Server
  await listen(server, port, '127.0.0.1')
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, stop: () => stopServer(server) }
}
