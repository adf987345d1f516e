import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { type AppDeps, createApp } from '../../src/app.ts'
import { type IdPrefix, newId } from '../../src/call/ids.ts'
import { phoneTail } from '../../src/call/phone.ts'
import type { Connection } from '../../src/config/model.ts'
import { type Connector, defineConnector } from '../../src/connector/contract.ts'
import { createMemoryTokens } from '../../src/connector/tokens.ts'
import { ROLES, type Role } from '../../src/http/auth.ts'
import type { Media } from '../../src/media/port.ts'
import { createSigner } from '../../src/node/signer.ts'
import { createRefusals } from '../../src/pipeline/refusals.ts'
import type { Query } from '../../src/store/port.ts'
import type { AttemptRow, CallRow, DeliveryRow, IssueRow, StepRow } from '../../src/store/schema.ts'
import { openSqliteStore } from '../../src/store/sqlite.ts'
import { createMetrics } from '../../src/telemetry/metrics.ts'

/** The HTTP side on a real SQLite file, with rows put there directly: what the tests of src/http share. */

export const NOW = Date.parse('2026-10-10T12:00:00Z')
export const SECRET = 'whsec_canary-9f8e7d6c5b4a'
export const TOKENS: Record<Role, string> = {
  viewer: 'viewer-token-0123456789',
  ingest: 'ingest-token-0123456789',
  operator: 'operator-token-0123456789',
  admin: 'admin-token-0123456789',
}

/** Deterministic, so that ids differ and tests repeat. */
function counter(): () => number {
  let n = 0
  return () => {
    n += 1
    return (n * 0.618_033_988_75) % 1
  }
}
const random = counter()

const pbx = defineConnector({
  id: 'pbx',
  name: 'Test PBX',
  docs: 'https://example.com/pbx',
  config: z.unknown(),
  check: async () => ({ says: 'fine' }),
  telephony: {
    webhook: {
      verify: () => ({ scheme: 'token', place: { header: 'x-hook-token' }, secrets: [SECRET] }),
      receive: () => ({ ignored: 'a test' }),
    },
  },
})
const open = defineConnector({
  id: 'open',
  name: 'Unsigned',
  docs: 'https://example.com/open',
  config: z.unknown(),
  check: async () => ({ says: 'fine' }),
  analysis: {
    accepts: () => ({}),
    parts: () => [],
    submit: async () => ({ ref: 'r' }),
    callback: {
      verify: () => ({ scheme: 'nothing', reason: 'the vendor signs nothing' }),
      receive: () => ({ ignored: 'a test' }),
    },
  },
})
const crm = defineConnector({
  id: 'crm',
  name: 'Test CRM',
  docs: 'https://example.com/crm',
  config: z.unknown(),
  check: async () => ({ says: 'fine' }),
  crm: {
    indexLagMs: 0,
    match: async () => [],
    plan: () => [],
    write: async () => ({ id: '1' }),
    recordUrl: ({ type, id }) => `https://crm.example.com/${type}/${id}`,
  },
})

const connection = (id: string, connector: Connector, secrets: string[] = []): [string, Connection] => [
  id,
  {
    id,
    connector,
    settings: {},
    region: undefined,
    allowPrivate: [],
    concurrency: 1,
    recordingWaitMs: undefined,
    secrets,
  },
]

export interface LogLine {
  level: string
  message: string
  fields: Record<string, unknown>
}

export type World = Awaited<ReturnType<typeof openWorld>>

export async function openWorld(overrides: Partial<AppDeps> = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'cordboard-http-'))
  const store = await openSqliteStore({ file: join(folder, 'cordboard.db'), clock: () => NOW })
  await store.migrate()
  const lines: LogLine[] = []
  const logAt =
    (level: string) =>
    (message: string, fields: Record<string, unknown> = {}) => {
      lines.push({ level, message, fields })
    }
  const media = new Map<string, Uint8Array>()
  const deps: AppDeps = {
    config: {
      publicUrl: 'https://calls.example.com',
      region: 'GB',
      connections: new Map([
        connection('support', pbx, [SECRET]),
        connection('scribe', open),
        connection('crm', crm),
      ]),
      flows: [
        {
          name: 'main',
          from: ['support'],
          when: undefined,
          analyze: ['scribe'],
          write: ['crm'],
          fields: new Map(),
          prefer: [],
          unknownCaller: 'create',
          version: 'v1',
        },
      ],
      keep: { audioMs: undefined, transcriptMs: undefined, deliveriesMs: undefined },
      hash: 'confighash1',
    },
    store,
    queue: {
      wake: () => undefined,
      work: () => undefined,
      stop: async () => undefined,
      state: () => ({ ok: true, says: '1 lane', running: 2 }),
    },
    media: memoryMedia(media),
    http: async () => new Response(null, { status: 500 }),
    signer: createSigner(),
    budgets: { take: () => 0 },
    vendorTokens: createMemoryTokens({ now: () => NOW }),
    now: () => NOW,
    random,
    log: { debug: logAt('debug'), info: logAt('info'), warn: logAt('warn'), error: logAt('error') },
    metrics: createMetrics(),
    refusals: createRefusals({ store, now: () => NOW }),
    tokens: ROLES.map((role) => ({ role, token: TOKENS[role] })),
    ...overrides,
  }
  const app = createApp(deps)

  /** Sends one request; `as` picks the token, null sends none. */
  async function send(path: string, init: RequestInit & { as?: Role | null } = {}): Promise<Response> {
    const { as = 'admin', ...rest } = init
    const headers = new Headers(rest.headers)
    if (as !== null) headers.set('authorization', `Bearer ${TOKENS[as]}`)
    return app.fetch(new Request(`http://server.invalid${path}`, { ...rest, headers }))
  }

  return {
    deps,
    store,
    lines,
    media,
    app,
    send,
    /** The JSON of an answer; what it is, the test says. */
    async get<Body = Record<string, unknown>>(
      path: string,
      as: Role = 'viewer',
    ): Promise<{ status: number; body: Body }> {
      const response = await send(path, { as })
      return { status: response.status, body: (await response.json()) as Body }
    },
    async post<Body = Record<string, unknown>>(path: string, json?: unknown, as: Role = 'operator') {
      const withBody =
        json === undefined
          ? {}
          : { body: JSON.stringify(json), headers: { 'content-type': 'application/json' } }
      const response = await send(path, { as, method: 'POST', ...withBody })
      return { status: response.status, body: (await response.json()) as Body }
    },
    insert: (...queries: Query[]) => store.atomic([], queries),
    calls: (...rows: Partial<CallRow>[]) =>
      store.atomic(
        [],
        rows.map((row) => store.db.insertInto('calls').values(callRow(row))),
      ),
    deliveries: (...rows: Partial<DeliveryRow>[]) =>
      store.atomic(
        [],
        rows.map((row) => store.db.insertInto('deliveries').values(deliveryRow(row))),
      ),
    async [Symbol.asyncDispose]() {
      await store.close()
      await rm(folder, { recursive: true })
    },
  }
}

function memoryMedia(kept: Map<string, Uint8Array>): Media {
  return {
    async put(id, body) {
      const bytes = new Uint8Array(await new Response(body as BodyInit).arrayBuffer())
      kept.set(id, bytes)
      return { bytes: bytes.length }
    },
    async get(id, range) {
      const bytes = kept.get(id)
      if (!bytes) return null
      const part = range
        ? bytes.slice(range.start, range.end === undefined ? undefined : range.end + 1)
        : bytes
      return { body: new Blob([part as BlobPart]).stream(), bytes: bytes.length }
    },
    async delete(ids) {
      for (const id of ids) kept.delete(id)
    },
    async check() {},
  }
}

export const id = (prefix: IdPrefix, at = NOW): string => newId(prefix, at, random)

export function callRow(row: Partial<CallRow> = {}): CallRow {
  const startedAt = row.started_at ?? NOW
  const callId = row.id ?? id('call', startedAt)
  const phone = row.customer_phone ?? null
  return {
    id: callId,
    connection: 'support',
    external_id: `ext-${callId}`,
    state: 'done',
    reason: null,
    version: 1,
    generation: 0,
    flow: 'main',
    flow_version: 'v1',
    started_at: startedAt,
    ended_at: null,
    updated_at: startedAt,
    wait_until: null,
    waited: 0,
    direction: 'inbound',
    result: 'answered',
    customer_phone: phone,
    customer_tail: phone === null ? null : phoneTail(phone),
    agent_extension: '100',
    submit_hash: null,
    call: JSON.stringify({
      id: callId,
      medium: 'voice',
      source: { connection: 'support', callId: `ext-${callId}` },
      talkMs: 61_000,
      ...(phone === null ? {} : { customer: { phone, phoneRaw: phone, name: 'Camille Durand' } }),
      agent: { name: 'Alice', extension: '100' },
      legs: [],
      recordings: [],
      tags: [],
      meta: {},
    }),
    analysis: null,
    joined_into: null,
    fence: 0,
    ...row,
  }
}

export function deliveryRow(row: Partial<DeliveryRow> = {}): DeliveryRow {
  const receivedAt = row.received_at ?? NOW
  const deliveryId = row.id ?? id('dlv', receivedAt)
  return {
    id: deliveryId,
    connection: 'support',
    role: 'telephony',
    received_at: receivedAt,
    method: 'POST',
    url: `https://calls.example.com/hooks/support/status?key=${SECRET}`,
    path: `/status?key=${SECRET}`,
    headers: new TextEncoder().encode(JSON.stringify([['content-type', 'application/json']])),
    body: new TextEncoder().encode('{"event":"ended"}'),
    media_id: null,
    bytes: 17,
    dedupe_key: deliveryId,
    repeats: 0,
    state: 'used',
    reason: null,
    ...row,
  }
}

export function stepRow(row: Partial<StepRow> = {}): StepRow {
  const stepId = row.id ?? id('stp')
  return {
    id: stepId,
    kind: 'submit',
    lane: 'scribe',
    subject: stepId,
    call_id: null,
    connection: 'scribe',
    generation: 0,
    flow: 'main',
    flow_version: 'v1',
    state: 'waiting',
    due_at: NOW,
    attempts: 0,
    crashes: 0,
    lease: null,
    lease_until: null,
    code: null,
    reason: null,
    awaiting: null,
    created_at: NOW,
    updated_at: NOW,
    fence: 0,
    ...row,
  }
}

export function attemptRow(row: Partial<AttemptRow> = {}): AttemptRow {
  return {
    id: id('att', row.at ?? NOW),
    step_id: 'stp_1',
    call_id: null,
    connection: 'scribe',
    kind: 'submit',
    at: NOW,
    took_ms: 12,
    outcome: 'ok',
    code: null,
    says: 'handed over',
    ...row,
  }
}

export function issueRow(row: Partial<IssueRow> = {}): IssueRow {
  return {
    id: id('iss', row.first_at ?? NOW),
    kind: 'submit',
    code: 'auth',
    connection: 'scribe',
    state: 'open',
    count: 3,
    first_at: NOW,
    last_at: NOW,
    says: 'The vendor refused our credentials',
    fix: 'Check the secret',
    call_id: null,
    step_id: null,
    delivery_id: null,
    ...row,
  }
}
