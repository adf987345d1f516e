import { z } from 'zod'
import { RESULTS } from '../../../src/call/call.ts'
import { secretList, secretValue } from '../../../src/connector/secret.ts'

/** What an operator says of the way in: how Salesforce tells us, and whether its own calls are ours to analyse. */

const fieldName = z
  .string()
  .regex(/^[A-Za-z]\w{0,79}$/, 'the API name of a field of Task, such as Recording_URL__c')
const host = z
  .string()
  .toLowerCase()
  .regex(
    /^(?:\*\.)?[a-z\d-]+(?:\.[a-z\d-]+)*(?::\d{1,5})?$/,
    'a host, such as media.example.com or *.example.com',
  )

export const inboundKeys = {
  inbound: z
    .discriminatedUnion('by', [
      z.object({
        by: z.literal('outbound message'),
        token: secretList.describe(
          'long random text at the end of the endpoint URL: outbound messages carry no signature; a list while it is changed',
        ),
      }),
      z.object({
        by: z.literal('signed JSON'),
        secret: secretList.describe(
          'key of the HMAC that your Flow or Apex signs with; a list while it is changed',
        ),
      }),
    ])
    .optional()
    .describe('how Salesforce tells of calls and records; absent: nothing is taken in'),
  calls: z
    .object({
      startField: fieldName
        .default('CreatedDate')
        .describe(
          'date/time field of Task that says when the call began; by default when the record was made',
        ),
      phoneField: fieldName
        .optional()
        .describe('field of Task with the other party’s number; absent: the number of the contact or lead'),
      recordingField: fieldName
        .optional()
        .describe('field of Task with the link to the recording; absent: the first such link in Description'),
      recordingHosts: z
        .array(host)
        .default([])
        .describe('hosts that recordings are fetched from, and no others: media.example.com, *.example.com'),
      recordingAuth: z
        .discriminatedUnion('by', [
          z.object({ by: z.literal('none') }),
          z.object({ by: z.literal('bearer'), token: secretValue.describe('sent as Bearer') }),
          z.object({ by: z.literal('basic'), user: z.string().min(1), password: secretValue }),
        ])
        .default({ by: 'none' })
        .describe('what the hosts of the recordings want to see'),
      dispositions: z
        .record(z.string().min(1).max(255), z.enum(RESULTS))
        .default({})
        .describe('Call Result (CallDisposition) → how the call ended; what is not here stays unknown'),
      lookUp: z
        .boolean()
        .default(true)
        .describe(
          'read each task, its contact or lead and its owner; false: what a message says of the task is enough, if it says all',
        ),
    })
    .optional()
    .describe('take calls that any dialler logs in Salesforce (Tasks) as a source; absent: they are ignored'),
  changeChannel: z
    .string()
    .regex(/^\/data\/\w{1,80}$/, 'a channel of change events, such as /data/TaskChangeEvent')
    .default('/data/TaskChangeEvent')
    .describe('what cordboard listen subscribes to; /data/ChangeEvents for all objects that are selected'),
}

export type Inbound = z.output<z.ZodObject<typeof inboundKeys>>
export type CallSource = NonNullable<Inbound['calls']>

/** What the way in needs of the connection beside its own keys. */
export type InboundConfig = Inbound & {
  baseUrl: string
  externalIdField?: string | undefined
  orgId?: string | undefined
}

/** Without a signature the organisation is a part of who it is that sends. */
export const namesItsOrg = ({ inbound, orgId }: Pick<InboundConfig, 'inbound' | 'orgId'>): boolean =>
  inbound?.by !== 'outbound message' || orgId !== undefined

// ── The signed JSON: our own form, README, "Signed JSON" ────────────────────────────────────────────────────────────

const givenId = z.string().max(18)

export const notice = z.object({
  organizationId: givenId.optional(),
  /** Ids, or records as `JSON.serialize` writes them. */
  tasks: z
    .array(z.union([givenId, z.record(z.string().max(100), z.unknown())]))
    .max(2000)
    .default([]),
  records: z
    .array(
      z.object({
        change: z.enum(['deleted', 'merged', 'erased']),
        id: givenId,
        into: givenId.nullish(),
      }),
    )
    .max(2000)
    .default([]),
})
