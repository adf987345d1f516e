import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import type { Context } from 'hono'
import { intakeCall } from '../call/intake.ts'
import type { Connection } from '../config/model.ts'
import { asCordboardError, CordboardError, type ErrorCode } from '../errors.ts'
import { type Ids, newIds } from '../pipeline/audio-file.ts'
import { createBodies } from '../pipeline/body.ts'
import type { Deps } from '../pipeline/deps.ts'
import { createIntake, type Handed, type TakenIn } from '../pipeline/intake.ts'
import { dropUploads } from '../pipeline/uploads.ts'
import { type Api, needs } from './auth.ts'
import { MOST_JSON, readCall, readForm, readJsonBody, type SentCall } from './intake-body.ts'
import { connectionId, exactly, problemsIn, unfit } from './parameters.ts'
import { problemResponse } from './problem.ts'
import { always, bounded, conflicts, json, tooMany } from './responses.ts'
import { readSentVcon, vconBody, vconQuery } from './vcon-body.ts'

/** Calls that are handed in: a file, a link, a transcript, a chat, a vCon. Stored as deliveries before they are answered. */

/** Their bodies have limits of their own, larger than the few words of every other request. */
export const takesLargeBody = (method: string, path: string): boolean =>
  method === 'POST' ? LARGE.has(path) : method === 'PUT' && path.startsWith('/v1/batches/')

const LARGE: ReadonlySet<string> = new Set(['/v1/calls', '/v1/vcons', '/v1/batches'])

/** Under way at once. Each holds a connection and a little memory. */
const MOST_AT_ONCE = 64

const takenIn = z
  .object({
    id: z
      .string()
      .describe('of the call; `GET /v1/calls/{id}` knows it as soon as the delivery has been read'),
    delivery: z.string().describe('id of the stored delivery'),
    connection: z.string(),
    externalId: z.string().nullable().describe('the sender’s id of the call'),
  })
  .openapi('TakenIn')

export const query = {
  connection: connectionId
    .optional()
    .openapi({ description: 'which connection takes it; needed where there are several' }),
}

export const headers = z.object({
  'idempotency-key': z
    .string()
    .regex(/^[\x21-\x7e]{1,200}$/, { error: 'expected 1 to 200 visible ASCII characters' })
    .optional()
    .openapi({ description: 'default the sender’s id of the call: the same key is stored once' }),
})

const responses = {
  ...always,
  ...bounded,
  ...conflicts,
  ...tooMany,
  202: json(takenIn, 'Stored; the same again is answered with the same ids'),
}

/** Made anew here: schemas from before the library was loaded cannot be named. */
const described = z.object(intakeCall.shape).openapi('IntakeCall')

const takeCall = createRoute({
  ...needs('ingest'),
  method: 'post',
  path: '/v1/calls',
  operationId: 'takeCall',
  tags: ['Calls'],
  summary: 'Hand in a call: a file, a link, a transcript or a chat',
  request: {
    query: exactly(query),
    headers,
    body: {
      required: true,
      content: {
        'application/json': { schema: described },
        'multipart/form-data': {
          schema: z.object({
            call: described.optional(),
            file: z.any().openapi({ type: 'string', format: 'binary', description: 'the recording' }),
          }),
        },
      },
    },
  },
  responses,
})

const takeVcon = createRoute({
  ...needs('ingest'),
  method: 'post',
  path: '/v1/vcons',
  operationId: 'takeVcon',
  tags: ['Calls'],
  summary: 'Hand in a call as a vCon (draft core-04, unsigned)',
  request: { query: exactly({ ...query, ...vconQuery }), headers, body: vconBody },
  responses,
})

/** What is left to be said of a request once its body is read. `uploads`: what it has put into the media store. */
type Read = Pick<Handed, 'externalId' | 'sent' | 'stored'> & { uploads: readonly string[] }

export function mountIntake(app: OpenAPIHono<Api>, deps: Deps): void {
  const takeIn = createIntake(deps)
  const bodies = createBodies()
  let under = 0

  // The router would hold the bodies to check them: the routes are described to it, and handled beside it.
  for (const { middleware: _, ...route } of [takeCall, takeVcon]) app.openAPIRegistry.registerPath(route)

  app.post(takeCall.path, takeCall.middleware, (c) =>
    handle(c, query, async (ids) => {
      const { call, file } = await readSent(c, ids)
      return {
        externalId: call.externalId,
        sent: { call, file: file?.hash },
        stored: { kind: 'call', by: c.get('identity').actor, call, ...(file ? { file } : {}) },
        uploads: file ? [file.mediaId] : [],
      }
    }),
  )

  app.post(takeVcon.path, takeVcon.middleware, (c) =>
    handle(c, { ...query, ...vconQuery }, async (ids, { direction }) => {
      const { uuid, vcon, files } = await readSentVcon(deps, bodies, c.req.raw, ids)
      const said = direction === undefined ? {} : { direction }
      return {
        externalId: uuid,
        sent: { vcon, ...said, files: Object.entries(files).map(([at, { hash }]) => [at, hash]) },
        stored: { kind: 'vcon', by: c.get('identity').actor, vcon, ...said, files },
        uploads: Object.values(files).map(({ mediaId }) => mediaId),
      }
    }),
  )

  async function handle<Shape extends z.ZodRawShape & typeof query>(
    c: Context<Api>,
    shape: Shape,
    read: (ids: Ids, given: z.output<z.ZodObject<Shape>>) => Promise<Read>,
  ): Promise<Response> {
    const given = fitting(exactly(shape), c.req.query(), 'query')
    const { 'idempotency-key': idempotencyKey } = fitting(headers, c.req.header(), 'header')
    const connection = connectionFor(deps, (given as { connection?: string }).connection)
    if (under >= MOST_AT_ONCE)
      throw new CordboardError('overloaded', `${MOST_AT_ONCE} calls are being handed in already`)
    under += 1
    try {
      const ids = newIds(deps, connection.id)
      const { uploads, ...handed } = await read(ids, given)
      const taken = await settled(uploads, () =>
        takeIn({ ...ids, ...handed, connection, idempotencyKey, path: c.req.path }),
      )
      const { callId: id, deliveryId: delivery } = taken
      const answer = { id, delivery, connection: connection.id, externalId: handed.externalId ?? null }
      return c.json(answer, 202, { location: `/v1/calls/${id}` })
    } catch (thrown) {
      const error = asCordboardError(thrown)
      if (error.code === 'rate_limited') return tooManyNow(error)
      throw thrown
    } finally {
      under -= 1
    }
  }

  /** What nothing points at goes at once. Where it cannot be told, it stays, and is looked at an hour later. */
  async function settled(uploads: readonly string[], work: () => Promise<TakenIn>): Promise<TakenIn> {
    try {
      const taken = await work()
      if (taken.repeated && uploads.length > 0) await dropUploads(deps, uploads)
      return taken
    } catch (thrown) {
      if (uploads.length > 0 && NOTHING_STORED.has(asCordboardError(thrown).code))
        await dropUploads(deps, uploads)
      throw thrown
    }
  }

  async function readSent(c: Context<Api>, ids: Ids): Promise<SentCall> {
    const type = c.req.header('content-type')?.toLowerCase() ?? ''
    if (type.startsWith('multipart/form-data')) return readForm(deps, bodies, c.req.raw, ids)
    if (!/^application\/json\s*(?:;|$)/.test(type))
      throw new CordboardError(
        'bad_request',
        'Content-Type: expected application/json or multipart/form-data, seen another or none',
      )
    const call = readCall(await readJsonBody(bodies, c.req.raw, MOST_JSON))
    if (!call.recordingUrl && !call.transcript && !call.result)
      throw new CordboardError(
        'bad_request',
        'Call: expected recordingUrl, transcript or result, seen none',
        {
          fix: 'Send a file as multipart/form-data, or one of these',
        },
      )
    return { call, file: undefined }
  }
}

const NOTHING_STORED: ReadonlySet<ErrorCode> = new Set([
  'conflict',
  'rate_limited',
  'too_large',
  'bad_request',
])

export function fitting<Schema extends z.ZodType>(
  schema: Schema,
  given: unknown,
  target: string,
): z.output<Schema> {
  const read = schema.safeParse(given)
  if (read.success) return read.data
  throw unfit(problemsIn(read.error, given, target))
}

/** The connection that takes it: the one that is named, or the only one there is. */
export function connectionFor({ config }: Pick<Deps, 'config'>, named: string | undefined): Connection {
  const taking = [...config.connections.values()].filter(({ connector }) => connector.telephony?.intake)
  const ids = taking.map(({ id }) => id).join(', ')
  const [only] = taking
  if (!only) {
    throw new CordboardError('bad_request', 'No connection takes calls that are handed in', {
      fix: "Add one with use: 'intake' to the configuration, and name it in a flow",
    })
  }
  if (named === undefined && taking.length === 1) return only
  const found = taking.find(({ id }) => id === named)
  if (found) return found
  throw new CordboardError(
    'bad_request',
    `connection: expected one of ${ids}, seen ${named ? 'another' : 'none'}`,
  )
}

function tooManyNow(error: CordboardError): Response {
  const afterMs = typeof error.retry === 'object' ? error.retry.afterMs : 0
  return problemResponse(error, {
    members: { title: 'The limit of this connection is reached', status: 429 },
    headers: { 'retry-after': `${Math.max(1, Math.ceil(afterMs / 1000))}` },
  })
}
