import { z } from 'zod'
import { analysis, PARTS } from '../../../src/call/analysis.ts'
import { type CallEvent, callEvent } from '../../../src/call/facts.ts'
import type { AnalysisEvent, Connector, MapContext, WebhookSide } from '../../../src/connector/contract.ts'
import { decodeBase64, utf8 } from '../../../src/connector/encoding.ts'
import { inboundRequest, type RawRequest } from '../../../src/connector/request.ts'
import type { Verification } from '../../../src/connector/verification.ts'
import type { ConnectorFolder } from './folder.ts'

/** What stands in a file of `fixtures/`: the bytes of one request, where they come from, and what they mean. */
export const fixtureFile = z.strictObject({
  provenance: z.string().min(1),
  role: z.enum(['telephony', 'analysis', 'crm']),
  hookUrl: z.url().default('https://hooks.example.com/hooks/acme'),
  receivedAt: z.iso.datetime(),
  config: z.record(z.string(), z.unknown()).default({}).describe('laid over connection.json'),
  request: z.strictObject({
    method: z.string(),
    path: z.string().default('').describe('behind the hook URL, with its slash'),
    query: z.string().optional(),
    headers: z.record(z.string(), z.string()),
    body: z.string().optional(),
    bodyBase64: z.string().optional(),
  }),
  expect: z.union([
    z.strictObject({
      events: z.array(z.unknown()),
      lookUp: z.array(z.string()).optional(),
      changes: z.array(z.unknown()).optional(),
    }),
    z.strictObject({ ignored: z.string() }),
    z.strictObject({
      handshake: z.object({
        status: z.int(),
        headers: z.record(z.string(), z.string()).optional(),
        body: z.string().optional(),
      }),
    }),
    z.strictObject({ refused: z.literal(true) }),
    z.strictObject({ invalid: z.literal(true) }),
  ]),
  numbers: z.string().optional().describe('why numbers outside the ranges for fiction are in it'),
  vectors: z.boolean().optional().describe('numbers are those of the vendor’s published vectors'),
})

export const connectionFile = z.strictObject({
  config: z.record(z.string(), z.unknown()),
  region: z.string().optional(),
})

/** Not one request, but the operations of a connector in an order that makes sense: see operations.ts. */
export const STORY_FILE = 'operations.json'

export const analysisEvent = z.object({
  key: z.string().min(1),
  ref: z.string().optional(),
  submissionId: z.string().optional(),
  part: z.enum(PARTS),
  result: analysis,
})
export const eventSchemas = { telephony: callEvent, crm: callEvent, analysis: analysisEvent }

export type Role = 'telephony' | 'analysis' | 'crm'
export type Side = WebhookSide<unknown, CallEvent> | WebhookSide<unknown, AnalysisEvent>
export type Settings = Record<string, unknown>
export interface Fixture extends z.output<typeof fixtureFile> {
  file: string
}

/** Everything the kit knows of the connector under test. */
export interface Subject {
  connector: Connector
  folder: ConnectorFolder
  /** The connection's own keys as an operator writes them. */
  settings: Settings
  region: string | undefined
  fixtures: Fixture[]
  /** Files that are no fixtures, with the reason. */
  broken: { file: string; why: string }[]
}

export function loadSubject(connector: Connector, folder: ConnectorFolder): Subject {
  const subject: Subject = { connector, folder, settings: {}, region: undefined, fixtures: [], broken: [] }
  for (const [file, text] of Object.entries(folder.fixtures).toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    if (file === STORY_FILE) continue
    try {
      const content: unknown = JSON.parse(text)
      if (file === 'connection.json') {
        const { config, region } = connectionFile.parse(content)
        subject.settings = config
        subject.region = region
      } else {
        subject.fixtures.push({ file, ...fixtureFile.parse(content) })
      }
    } catch (error) {
      subject.broken.push({ file, why: error instanceof Error ? error.message : String(error) })
    }
  }
  return subject
}

export function sideOf(connector: Connector, role: Role): Side | undefined {
  if (role === 'telephony') return connector.telephony?.webhook ?? handedIn(connector)
  return role === 'analysis' ? connector.analysis?.callback : connector.crm?.callback
}

/** What is handed in over our own API, as if it were a webhook: its sender is known by then. */
function handedIn({ telephony }: Connector): Side | undefined {
  const reason = 'the API has checked the token of whoever hands it in'
  return telephony?.intake && { ...telephony.intake, verify: () => ({ scheme: 'nothing', reason }) }
}

/** The webhook side that a fixture is for; a fixture of a side that does not exist is a mistake. */
export function sideFor(subject: Subject, fixture: Fixture): Side {
  const side = sideOf(subject.connector, fixture.role)
  if (!side) throw new Error(`${fixture.file} has the role ${fixture.role}, which takes no webhooks`)
  return side
}

export function rawOf(fixture: Fixture): RawRequest {
  const { method, path, query, headers, body, bodyBase64 } = fixture.request
  const bytes = bodyBase64 === undefined ? utf8(body ?? '') : decodeBase64(bodyBase64)
  if (!bytes) throw new Error(`${fixture.file}: bodyBase64 is no base64`)
  return {
    method,
    url: `${fixture.hookUrl}${path}${query === undefined ? '' : `?${query}`}`,
    path,
    headers: Object.entries(headers),
    body: bytes,
    receivedAt: fixture.receivedAt,
  }
}

export function contextOf(subject: Subject, fixture?: Fixture): MapContext<unknown> {
  return {
    connection: 'acme',
    config: subject.connector.config.parse({ ...subject.settings, ...fixture?.config }),
    region: subject.region,
  }
}

export const verificationOf = (subject: Subject, fixture: Fixture): Verification =>
  sideFor(subject, fixture).verify(contextOf(subject, fixture).config)

export const receive = (subject: Subject, fixture: Fixture, raw: RawRequest) =>
  sideFor(subject, fixture).receive(inboundRequest(raw), contextOf(subject, fixture))
