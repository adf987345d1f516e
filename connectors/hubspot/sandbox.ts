import { Hono } from 'hono'
import { z } from 'zod'
import { normalisePhone } from '../../src/call/phone.ts'
import { type CreateSandbox, createFaults } from '../../src/connector/sandbox.ts'
import { createAccount } from './sandbox/account.ts'
import { createObjects } from './sandbox/objects.ts'
import { createRecords, entryOf } from './sandbox/records.ts'
import { limiter, refuse, scopeCheck } from './sandbox/refusals.ts'
import { createWebhooks, propertiesOf } from './sandbox/webhooks.ts'
import { config } from './schema.ts'

/**
 * A stand-in of one HubSpot account, written from its guides: the dated object, association, owner, property, file and
 * account routes that this connector calls, the app that tells of changes, and a dialler's recordings. Searches see a record
 * only `indexLagMs` after it was written; reads by id and through associations see it at once (HubSpot documents the first,
 * not the second).
 */
const extras = z.object({
  region: z.string().optional(),
  indexLagMs: z.number().default(0),
  /** Absent: the token has every scope. */
  scopes: z.array(z.string()).optional(),
  people: z
    .array(
      z.object({
        id: z.string(),
        email: z.string(),
        firstName: z.string().optional(),
        lastName: z.string().optional(),
      }),
    )
    .default([]),
  /** The unique property is not there before it is made. */
  makesUnique: z.boolean().default(false),
  takesUnique: z.boolean().default(true),
  requestsPerDay: z.number().default(Number.POSITIVE_INFINITY),
  lockMs: z.number().default(0),
})

export const createSandbox: CreateSandbox = (options) => {
  const { now, random, baseUrl, hookUrl, account: given } = options
  const account = config.parse(given)
  const extra = extras.parse(given)
  const portalId = Number(account.portalId ?? 24_000_001)
  const faults = createFaults()
  const app = new Hono()
  let lastId = 100_000_000_000
  const nextId = () => {
    lastId += 1 + Math.floor(random() * 1000)
    return String(lastId)
  }
  const records = createRecords({ now, nextId, region: extra.region, indexLagMs: extra.indexLagMs })
  const recordings = new Map<string, Uint8Array>()
  const unique = extra.makesUnique ? undefined : account.externalIdProperty
  const { people, takesUnique, lockMs, scopes } = extra
  const { app: rest, properties, files } = createAccount({ portalId, people, unique, takesUnique, nextId })
  const webhooks = createWebhooks({
    ...options,
    ...(hookUrl === undefined ? {} : { hookUrl }),
    portalId,
    secret: account.appSecret?.[0],
    calls: account.calls,
  })

  // A request that is made to hang ends with its caller's abort: that is no error of the stand-in.
  app.onError((error) => Promise.reject(error))
  app.use(faults.middleware)
  // Of the dialler, not of HubSpot.
  app.get('/recordings/:name', (c) => {
    const bearer = account.recordingToken ?? account.token
    if (account.recordingAuth === 'bearer' && c.req.header('authorization') !== `Bearer ${bearer}`)
      return c.text('who are you?', 401)
    const audio = recordings.get(c.req.param('name'))
    if (!audio) return c.text('there is no such recording', 404)
    return c.body(new Uint8Array(audio), 200, { 'content-type': 'audio/mpeg' })
  })
  app.use(async (c, next) => {
    if (c.req.header('authorization') === `Bearer ${account.token}`) return next()
    return refuse(c, {
      status: 401,
      category: 'INVALID_AUTHENTICATION',
      message: 'Authentication credentials not found.',
    })
  })
  app.use(scopeCheck(scopes))
  app.use(
    limiter(now, {
      per10s: account.requestsPer10s,
      searches: Math.max(5, account.searchPerSecond),
      perDay: extra.requestsPerDay,
    }),
  )
  app.route('/', rest)
  app.route('/', createObjects(records, { now, properties, files, lockMs, tell: webhooks.tell }))

  return {
    app,
    fail: faults.fail,
    book: () => [
      ...[...records.all.values()].map(entryOf),
      ...[...files.values()].map(({ id, ...fields }) => ({ kind: 'file', id, key: fields.name, fields })),
    ],
    addContact: ({ name, phone }) =>
      records.store('contact', { firstname: name, phone }, Number.NEGATIVE_INFINITY).id,
    place(call) {
      const name = `${call.id}.${call.audio?.format ?? 'mp3'}`
      const link = call.audio ? `${baseUrl}/recordings/${encodeURIComponent(name)}` : undefined
      if (call.audio) recordings.set(name, call.audio.bytes)
      const record = records.store('call', propertiesOf(call, link))
      const customer = records.all.values().find(({ kind, properties: { phone } }) => {
        return kind === 'contact' && normalisePhone(phone, extra.region).e164 === call.customerPhone
      })
      if (customer) records.join(record, customer)
      return webhooks.ofCall(record, link)
    },
  }
}
