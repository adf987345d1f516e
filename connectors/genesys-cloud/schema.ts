import { z } from 'zod'
import { tracks } from '../../src/call/call.ts'
import { secretList, secretValue } from '../../src/connector/secret.ts'

const uuid = z
  .string()
  .regex(/^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/, 'an id of Genesys Cloud is a UUID')
const names = z.record(uuid, z.string().min(1).max(256)).default({})

/** The connection's keys. */
export const config = z.object({
  organizationId: uuid.describe('id of the organization; events of others are ignored'),
  token: secretList.describe(
    'what the EventBridge connection sends as `Authorization: Bearer …`; a list while it is changed',
  ),
  domain: z
    .string()
    .regex(/^[a-z\d]+(?:[.-][a-z\d]+)+$/, 'a domain such as mypurecloud.de')
    .describe('of the organization’s region: `mypurecloud.com`, `mypurecloud.de`, `euw2.pure.cloud` …'),
  clientId: z.string().min(1).max(128).describe('Client ID of an OAuth client with Client Credentials'),
  clientSecret: secretValue.describe('its Client Secret'),
  recorded: z
    .boolean()
    .default(true)
    .describe('false when calls are not recorded: nothing is asked for then'),
  recordingFormat: z.enum(['wav', 'mp3']).default('wav').describe('what recordings are transcoded to'),
  tracks: tracks
    .optional()
    .describe('who is on which track, if your trunks record both sides: listen first, it is not documented'),
  queues: names.describe('queue id → name: events bring ids only; the agent’s group'),
  wrapUpCodes: names.describe('wrap-up code id → name: the outcome of the call'),
  baseUrl: z
    .url()
    .optional()
    .describe('another address for the API and its login; default that of the domain'),
})

export type Config = z.output<typeof config>

const orNothing = <Schema extends z.ZodType>(schema: Schema) =>
  schema.nullish().transform((value) => value ?? undefined)
/** Ids end up in URLs. */
const id = z.string().regex(/^[\w-]{1,64}$/)
const maybeId = orNothing(id)
const word = orNothing(z.string().max(128))
const words = orNothing(z.string().max(256))
const lengthMs = orNothing(z.number().nonnegative().max(2_592_000_000)).transform((value) =>
  value === undefined ? undefined : Math.round(value),
)
const epochMs = z
  .int()
  .min(0)
  .max(8_640_000_000_000_000)
  .transform((ms) => new Date(ms).toISOString())
const instant = z.iso.datetime({ offset: true }).transform((text) => new Date(text).toISOString())
const maybeInstant = orNothing(instant)

/** Something that happened in a session of a conversation, wherever it was read: in an event, or in the analytics. */
export interface SeenMoment {
  /** What stands behind the conversation in the topic: `customer.start`, `user.end` … */
  name: string
  conversationId: string
  sessionId: string
  at: string
  direction: string | undefined
  ani?: string | undefined
  dnis?: string | undefined
  disconnectType?: string | undefined
  externalContactId?: string | undefined
  userId?: string | undefined
  queueId?: string | undefined
  acdOutcome?: string | undefined
  wrapupCode?: string | undefined
  interactingMs?: number | undefined
  heldMs?: number | undefined
  voicemailMs?: number | undefined
}

/** As EventBridge delivers it. The `detail-type` has `{id}` in it literally. */
export const busEvent = z.object({
  'detail-type': z.string().max(256),
  source: z.string().max(512),
  detail: z.unknown(),
})

/** https://developer.genesys.cloud/notificationsalerts/notifications/available-topics, fields as of SDK 262.0.0. */
export const detail = z
  .object({
    eventBody: z.object({
      eventTime: epochMs,
      conversationId: id,
      sessionId: id,
      mediaType: z.string().max(64),
      direction: word,
      ani: words,
      dnis: words,
      disconnectType: word,
      externalContactId: maybeId,
      userId: maybeId,
      queueId: maybeId,
      acdOutcome: word,
      wrapupCode: word,
      interactingDurationMs: lengthMs,
      heldDurationMs: lengthMs,
      voicemailDurationMs: lengthMs,
    }),
  })
  .transform(({ eventBody: read }) => ({
    mediaType: read.mediaType.toUpperCase(),
    seen: {
      conversationId: read.conversationId,
      sessionId: read.sessionId,
      at: read.eventTime,
      direction: read.direction,
      ani: read.ani,
      dnis: read.dnis,
      disconnectType: read.disconnectType,
      externalContactId: read.externalContactId,
      userId: read.userId,
      queueId: read.queueId,
      acdOutcome: read.acdOutcome,
      wrapupCode: read.wrapupCode,
      interactingMs: read.interactingDurationMs,
      heldMs: read.heldDurationMs,
      voicemailMs: read.voicemailDurationMs,
    } satisfies Omit<SeenMoment, 'name'>,
  }))

/** POST /oauth/token */
export const grantedToken = z.object({
  access_token: z.string().min(1).max(4096),
  expires_in: orNothing(z.number().positive()),
})

/** GET /api/v2/organizations/me */
export const organization = z.object({ id: z.string().max(64), name: words })

const recordingInfo = z.object({
  id,
  media: word,
  startTime: maybeInstant,
  fileState: word,
  mediaUris: orNothing(z.record(z.string().max(64), z.object({ mediaUri: z.url().max(8192) }))),
})
export type SeenRecording = z.output<typeof recordingInfo>

/** GET /api/v2/conversations/{conversationId}/recordings and …/recordingmetadata */
export const recordings = z.array(recordingInfo).max(1000)

/** What a 202 brings is not documented beyond this field, and not where it stands. */
export const transcoding = z.union([
  z.object({ estimatedTranscodeTimeMs: lengthMs }),
  z.array(z.object({ estimatedTranscodeTimeMs: lengthMs })).max(1000),
])

const segment = z.object({
  segmentType: word,
  segmentStart: instant,
  segmentEnd: maybeInstant,
  queueId: maybeId,
  disconnectType: word,
  wrapUpCode: word,
  sipResponseCodes: orNothing(z.array(z.number()).max(1000)),
})
const session = z.object({
  sessionId: id,
  mediaType: word,
  direction: word,
  ani: words,
  dnis: words,
  metrics: orNothing(z.array(z.object({ name: word })).max(10_000)),
  segments: orNothing(z.array(segment).max(10_000)),
})
const participant = z.object({
  purpose: word,
  userId: maybeId,
  participantName: words,
  externalContactId: maybeId,
  sessions: orNothing(z.array(session).max(1000)),
})
const conversation = z.object({
  conversationId: id,
  conversationStart: instant,
  conversationEnd: maybeInstant,
  originatingDirection: word,
  participants: orNothing(z.array(participant).max(1000)),
})
export type SeenConversation = z.output<typeof conversation>
export type SeenParticipant = z.output<typeof participant>
export type SeenSession = z.output<typeof session>

/** POST /api/v2/analytics/conversations/details/query; without the list when there is none in the time. */
export const conversations = z.object({
  conversations: orNothing(z.array(conversation).max(100)),
  totalHits: orNothing(z.int()),
})
