import { z } from 'zod'
import { tracks } from '../../src/call/call.ts'
import { secretList, secretValue } from '../../src/connector/secret.ts'

/** The connection's keys. */
export const config = z
  .object({
    apiKey: secretList.describe('API key of the template’s settings in 3CX; a list while it is changed'),
    baseUrl: z
      .url({ protocol: /^https?$/ })
      .optional()
      .describe('address of the phone system, for recordings and the call log'),
    clientId: z.string().min(1).optional().describe('Client ID of the API integration'),
    clientSecret: secretValue.optional().describe('its API key'),
    recordingFormat: z.enum(['wav', 'mp3']).default('wav').describe('how the phone system keeps recordings'),
    tracks: tracks
      .optional()
      .describe('who is on which track, if yours are in stereo: listen first, it is not documented'),
  })
  .refine(
    ({ baseUrl, clientId, clientSecret }) =>
      new Set([baseUrl, clientId, clientSecret].map((key) => key === undefined)).size === 1,
    { path: ['clientId'], message: 'baseUrl, clientId and clientSecret belong together: set all or none' },
  )

export type Config = z.output<typeof config>

/** A variable that has no value may arrive as its own name: `[QueueExtension]`. */
const text = z
  .string()
  .nullish()
  .transform((value) => {
    const said = value?.trim() ?? ''
    return said === '' || /^\[\w+\]$/.test(said) ? undefined : said.slice(0, 256)
  })

/** Milliseconds since 1970 as text; nothing or zero for "never". */
const epochMs = text.pipe(
  z
    .string()
    .regex(/^\d{1,14}$/)
    .transform((value) => Number(value) || undefined)
    .optional(),
)

/** `hh:mm:ss` */
const clock = text.pipe(
  z
    .string()
    .regex(/^\d{1,3}:[0-5]\d:[0-5]\d(?:\.\d+)?$/)
    .transform((value) => {
      const [hours = 0, minutes = 0, seconds = 0] = value.split(':').map(Number)
      return Math.round(((hours * 60 + minutes) * 60 + seconds) * 1000)
    })
    .optional(),
)

/** What the template in pbx/ posts at the end of a call with the outside. The names are ours, the values 3CX's. */
export const journal = z.object({
  call_type: z.string().max(64),
  number: text,
  name: text,
  agent: text,
  agent_first: text,
  agent_last: text,
  agent_email: text,
  queue: text,
  duration: clock,
  start_ms: epochMs.pipe(z.int().positive()),
  established_ms: epochMs,
  end_ms: epochMs,
  recording_url: z
    .string()
    .max(4096)
    .nullish()
    .transform((value) => (!value || /^\[\w+\]$/.test(value) ? undefined : value)),
  entity_id: text,
})
export type Journal = z.output<typeof journal>

/** POST /connect/token */
export const token = z.object({
  access_token: z.string().min(1),
  expires_in: z.number().positive().optional(),
})

const instant = z.iso.datetime({ offset: true }).transform((value) => Date.parse(value))

/** ISO 8601: `PT1M7.800879S`. */
const isoLength = z
  .string()
  .regex(/^P(?:\d+D)?(?:T(?:\d+H)?(?:\d+M)?(?:\d+(?:\.\d+)?S)?)?$/)
  .transform((value) => {
    const of = (unit: string) => Number(new RegExp(`([\\d.]+)${unit}`).exec(value)?.[1] ?? 0)
    return Math.round((((of('D') * 24 + of('H')) * 60 + of('M')) * 60 + of('S')) * 1000)
  })
const recordId = z.int().positive().nullish()

/** GET /xapi/v1/ReportCallLogData/Pbx.GetCallLogData(…): one row for each segment of a call. */
export const callLog = z.object({
  value: z.array(
    z.object({
      CdrId: z.string().max(128),
      MainCallHistoryId: z.string().min(1).max(128),
      StartTime: instant,
      Direction: text,
      CallType: text,
      Answered: z.boolean(),
      SourceDn: text,
      SourceCallerId: text,
      SourceDisplayName: text,
      DestinationDn: text,
      DestinationCallerId: text,
      DestinationDisplayName: text,
      RingingDuration: isoLength.nullish(),
      TalkingDuration: isoLength.nullish(),
      Reason: text,
      SrcRecId: recordId,
      DstRecId: recordId,
    }),
  ),
})
export type LogRow = z.output<typeof callLog>['value'][number]

/** GET /xapi/v1/Recordings */
export const recordings = z.object({
  value: z.array(
    z.object({
      Id: z.int().positive(),
      StartTime: instant,
      FromDn: text,
      FromCallerNumber: text,
      ToDn: text,
      ToCallerNumber: text,
    }),
  ),
})
export type RecordingRow = z.output<typeof recordings>['value'][number]
