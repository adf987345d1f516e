import { z } from 'zod'
import { recording } from '../../src/call/call.ts'
import { asObject } from '../../src/connector/json.ts'
import { secretList, secretValue } from '../../src/connector/secret.ts'

const ARN = /^arn:(aws(?:-[a-z]+){0,2}):connect:([a-z\d-]{1,32}):(\d{12}):instance\/([\da-f-]{36})$/

/** The connection's keys. */
export const config = z.object({
  instanceArn: z
    .string()
    .regex(ARN, 'an instance ARN is arn:aws:connect:<region>:<account>:instance/<id>')
    .describe('ARN of the instance; events of other instances of the account are ignored'),
  token: secretList.describe(
    'value of the API key that the EventBridge connection sends; a list while it is changed',
  ),
  accessKeyId: z
    .string()
    .regex(/^\w{16,128}$/, 'an access key id is 16 to 128 letters and digits')
    .describe('access key of an IAM user that may read contacts and recordings'),
  secretAccessKey: secretValue.describe('its secret'),
  bucketRegion: z
    .string()
    .regex(/^[a-z\d-]{1,32}$/)
    .optional()
    .describe('region of the bucket of recordings, when it is not the instance’s'),
  linkLifetimeMs: z
    .int()
    .min(60_000)
    .max(604_800_000)
    .default(3_600_000)
    .describe('how long a link to a recording stays good'),
  baseUrl: z
    .url()
    .optional()
    .describe('one address for Amazon Connect and S3 both, as AWS_ENDPOINT_URL; default AWS’s own'),
})

export type Config = z.output<typeof config>

/** What an instance's ARN says. */
export function instanceOf({ instanceArn }: Config) {
  const [, partition = '', region = '', account = '', id = ''] = ARN.exec(instanceArn) ?? []
  return { domain: partition === 'aws-cn' ? 'amazonaws.com.cn' : 'amazonaws.com', region, account, id }
}

const orNothing = <Schema extends z.ZodType>(schema: Schema) =>
  schema.nullish().transform((value) => value ?? undefined)

/** Text in UTC in contact events and records, seconds since 1970 in answers of the API. */
const moment = z.union([z.string().max(64), z.number()]).transform((value, ctx) => {
  const isUtc = typeof value === 'number' || /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(value)
  const ms = typeof value === 'number' ? Math.round(value * 1000) : Date.parse(value)
  if (isUtc && Math.abs(ms) < 8.64e15) return new Date(ms).toISOString()
  ctx.addIssue({ code: 'custom', message: 'no time in UTC' })
  return z.NEVER
})
const maybeMoment = orNothing(moment)
const id = z.string().regex(/^[\w-]{1,256}$/)
const maybeId = orNothing(id)
const word = z.string().max(64)
const maybeWords = orNothing(z.string().max(256))
const seconds = orNothing(z.number().int().nonnegative().max(31_536_000)).transform((value) =>
  value === undefined ? undefined : value * 1000,
)
/** The last part of an ARN: `…/agent/57db30ae-…`. */
const arnTail = orNothing(z.string().max(2048)).transform((arn) => arn?.split('/').at(-1) || undefined)

// ── Contact events: what happens, at once, without a number ───────────────────────────────────────────────────────────

export interface SeenMoment {
  eventType: string
  id: string
  initialId: string | undefined
  channel: string
  method: string | undefined
  instanceArn: string
  startedAt: string | undefined
  endedAt: string | undefined
  agentId: string | undefined
  agentAt: string | undefined
}

/**
 * The vendor's own samples write `agentInfo.agentArn` and `AgentInfo.AgentArn`, `instanceArn` and `instanceARN`
 * (contact-events page of the administrator guide, copies of 2021 to 2025): keys are read in any case.
 */
function lowerKeys(value: unknown, depth = 2): unknown {
  const object = asObject(value)
  if (!object || depth === 0) return value
  return Object.fromEntries(
    Object.entries(object).map(([key, item]) => [key.toLowerCase(), lowerKeys(item, depth - 1)]),
  )
}

const detail = z
  .preprocess(
    (value) => lowerKeys(value),
    z.object({
      eventtype: word,
      contactid: id,
      initialcontactid: maybeId,
      channel: word,
      instancearn: z.string().max(2048),
      initiationmethod: orNothing(word),
      initiationtimestamp: maybeMoment,
      disconnecttimestamp: maybeMoment,
      agentinfo: orNothing(z.object({ agentarn: arnTail, connectedtoagenttimestamp: maybeMoment })),
    }),
  )
  .transform(
    (read): SeenMoment => ({
      eventType: read.eventtype.toUpperCase(),
      id: read.contactid,
      initialId: read.initialcontactid,
      channel: read.channel.toUpperCase(),
      method: read.initiationmethod?.toUpperCase(),
      instanceArn: read.instancearn,
      startedAt: read.initiationtimestamp,
      endedAt: read.disconnecttimestamp,
      agentId: read.agentinfo?.agentarn,
      agentAt: read.agentinfo?.connectedtoagenttimestamp,
    }),
  )

/** An event as EventBridge delivers it. */
export const busEvent = z.object({ 'detail-type': z.string().max(128), time: moment, detail: z.unknown() })
export const contactEvent = z.object({ time: moment, detail })

// ── Contacts: the whole, once it is over ──────────────────────────────────────────────────────────────────────────────

/** One contact, wherever it was read: in a contact record or by DescribeContact. */
export interface SeenContact {
  id: string
  initialId: string | undefined
  previousId: string | undefined
  /** Another contact of the same call comes after it: what it was transferred to, or a third party. */
  hasNext: boolean
  /** What the API tells of those. */
  next?: { id: string | undefined; isThirdParty: boolean }[] | undefined
  channel: string
  method: string | undefined
  startedAt: string | undefined
  connectedAt: string | undefined
  endedAt: string | undefined
  updatedAt: string
  reason: string | undefined
  customer: string | undefined
  own: string | undefined
  transferredTo: string | undefined
  transferredAt: string | undefined
  machine: string | undefined
  agent: SeenAgent | undefined
  queue: string | undefined
  queueId: string | undefined
  recordings: SeenRecording[]
}
export interface SeenAgent {
  id: string | undefined
  name: string | undefined
  email?: string | undefined
  connectedAt: string | undefined
  talkMs: number | undefined
  holdMs: number | undefined
}
export type SeenRecording = z.output<typeof recordingInfo>

const endpoint = orNothing(z.object({ Address: maybeWords })).transform((read) => read?.Address)

const recordingInfo = z.object({
  StorageType: orNothing(word),
  Location: orNothing(recording.shape.key),
  MediaStreamType: orNothing(word),
  Type: orNothing(word),
  Status: orNothing(word),
  StopTimestamp: maybeMoment,
})
const recordings = orNothing(z.array(recordingInfo).max(100))

/** What contact records and DescribeContact have in common. */
const common = {
  InitialContactId: maybeId,
  PreviousContactId: maybeId,
  Channel: word,
  InitiationMethod: orNothing(word),
  InitiationTimestamp: maybeMoment,
  ConnectedToSystemTimestamp: maybeMoment,
  DisconnectTimestamp: maybeMoment,
  LastUpdateTimestamp: moment,
  DisconnectReason: maybeWords,
  CustomerEndpoint: endpoint,
  SystemEndpoint: endpoint,
  AnsweringMachineDetectionStatus: orNothing(word),
  Recordings: recordings,
}

const commonOf = (read: z.output<z.ZodObject<typeof common>>) => ({
  initialId: read.InitialContactId,
  previousId: read.PreviousContactId,
  channel: read.Channel.toUpperCase(),
  method: read.InitiationMethod?.toUpperCase(),
  startedAt: read.InitiationTimestamp,
  connectedAt: read.ConnectedToSystemTimestamp,
  endedAt: read.DisconnectTimestamp,
  updatedAt: read.LastUpdateTimestamp,
  reason: read.DisconnectReason,
  customer: read.CustomerEndpoint,
  own: read.SystemEndpoint,
  machine: read.AnsweringMachineDetectionStatus,
})

/** A contact record (formerly contact trace record), as the Kinesis stream carries it. */
export const contactRecord = z
  .object({
    ...common,
    ContactId: id,
    NextContactId: maybeId,
    InstanceARN: z.string().max(2048),
    TransferredToEndpoint: endpoint,
    TransferCompletedTimestamp: maybeMoment,
    Agent: orNothing(
      z.object({
        ARN: arnTail,
        Username: maybeWords,
        ConnectedToAgentTimestamp: maybeMoment,
        AgentInteractionDuration: seconds,
        CustomerHoldDuration: seconds,
      }),
    ),
    Queue: orNothing(z.object({ ARN: arnTail, Name: maybeWords })),
    // The first of Recordings, said twice; alone in records of old instances.
    Recording: orNothing(recordingInfo),
  })
  .transform((read): SeenContact & { instanceArn: string } => ({
    ...commonOf(read),
    id: read.ContactId,
    hasNext: read.NextContactId !== undefined,
    instanceArn: read.InstanceARN,
    transferredTo: read.TransferredToEndpoint,
    transferredAt: read.TransferCompletedTimestamp,
    agent: read.Agent && {
      id: read.Agent.ARN,
      name: read.Agent.Username,
      connectedAt: read.Agent.ConnectedToAgentTimestamp,
      talkMs: read.Agent.AgentInteractionDuration,
      holdMs: read.Agent.CustomerHoldDuration,
    },
    queue: read.Queue?.Name,
    queueId: read.Queue?.ARN,
    recordings: read.Recordings?.length ? read.Recordings : read.Recording ? [read.Recording] : [],
  }))

/** Of a quick connect more is told: PHONE_NUMBER calls a third party in. */
const nextContact = z.object({
  NextContactMetadata: orNothing(
    z.object({
      QuickConnectContactData: orNothing(z.object({ ContactId: maybeId, QuickConnectType: orNothing(word) })),
    }),
  ),
})

/** GET /contacts/{instance}/{contact} */
export const describedContact = z
  .object({
    Contact: z.object({
      ...common,
      Id: id,
      NextContacts: orNothing(z.array(nextContact).max(1000)),
      AgentInfo: orNothing(
        z.object({
          Id: maybeId,
          ConnectedToAgentTimestamp: maybeMoment,
          AgentInitiatedHoldDuration: seconds,
        }),
      ),
      QueueInfo: orNothing(z.object({ Id: maybeId })),
    }),
  })
  .transform(
    ({ Contact: read }): SeenContact => ({
      ...commonOf(read),
      id: read.Id,
      hasNext: (read.NextContacts?.length ?? 0) > 0,
      next: read.NextContacts?.map(({ NextContactMetadata: about }) => ({
        id: about?.QuickConnectContactData?.ContactId,
        isThirdParty: about?.QuickConnectContactData?.QuickConnectType === 'PHONE_NUMBER',
      })),
      transferredTo: undefined,
      transferredAt: undefined,
      agent: read.AgentInfo && {
        id: read.AgentInfo.Id,
        name: undefined,
        connectedAt: read.AgentInfo.ConnectedToAgentTimestamp,
        talkMs: undefined,
        holdMs: read.AgentInfo.AgentInitiatedHoldDuration,
      },
      queue: undefined,
      queueId: read.QueueInfo?.Id,
      recordings: read.Recordings ?? [],
    }),
  )

/** POST /search-contacts */
export const foundContacts = z.object({
  Contacts: z
    .array(z.object({ Id: id, PreviousContactId: maybeId, InitiationMethod: orNothing(word) }))
    .max(100),
  NextToken: orNothing(z.string().min(1).max(100_000)),
})

/** GET /users/{instance}/{user} */
export const describedUser = z.object({
  User: z.object({
    Username: maybeWords,
    IdentityInfo: orNothing(z.object({ Email: orNothing(z.string().max(320)) })),
  }),
})

/** GET /queues/{instance}/{queue} */
export const describedQueue = z.object({ Queue: z.object({ Name: maybeWords }) })
