import { z } from 'zod'
import { secretList, secretValue } from '../../src/connector/secret.ts'

/** The connection's keys. */
export const config = z
  .object({
    credentials: secretList
      .refine((all) => all.every((pair) => /^[^:]+:.+$/s.test(pair)), 'user:password')
      .describe('`cred` of the module, user:password; a list while it is changed'),
    profiles: z
      .array(z.string().min(1).max(80))
      .min(1)
      .default(['external'])
      .describe('SIP profiles that lead outside: `external` of sofia/external/…'),
    dialPrefix: z
      .string()
      .regex(/^[\d*#+]{1,8}$/)
      .optional()
      .describe('what agents dial before an outside number'),
    recordingsPath: z
      .string()
      .regex(/^\/.*[^/]$/)
      .default('/var/lib/freeswitch/recordings')
      .describe('folder of the recordings on the switch; others are left out'),
    baseUrl: z
      .url({ protocol: /^https?$/ })
      .optional()
      .describe('where that folder is served over HTTPS'),
    user: z.string().min(1).optional().describe('user of the folder'),
    password: secretValue.optional().describe('its password'),
  })
  .refine((value) => (value.user === undefined) === (value.password === undefined), {
    path: ['password'],
    message: 'user and password belong together: set both or neither',
  })

export type Config = z.output<typeof config>

/** Empty ones are absent from JSON and may be there in XML. */
const text = z
  .string()
  .optional()
  .transform((value) => value?.slice(0, 512) || undefined)
const uuid = z.string().regex(/^[\w-]{1,128}$/)
const optionalUuid = text.pipe(uuid.optional())
const digits = (per: number) =>
  text.pipe(
    z
      .string()
      .regex(/^\d{1,17}$/)
      .transform((value) => Math.floor((Number(value) * 1000) / per) || undefined)
      .optional(),
  )
/** Whole seconds since 1970, or a length in seconds; `0` for "never". */
const seconds = digits(1)
/** Microseconds since 1970. */
const micros = digits(1_000_000)

const profile = z.object({
  uuid: optionalUuid,
  username: text,
  caller_id_name: text,
  caller_id_number: text,
  callee_id_name: text,
  destination_number: text,
  chan_name: text,
})
const profiles = z.array(profile).max(200).default([])

const flow = z.object({
  caller_profile: profile.extend({
    originator: z.object({ originator_caller_profiles: profiles }).optional(),
    originatee: z.object({ originatee_caller_profiles: profiles }).optional(),
  }),
  times: z.object({ bridged_time: micros, answered_time: micros }).partial().optional(),
})

/** A leg, as mod_json_cdr writes it and as `fromXml` reads it: of some tens of kilobytes, what a call needs. */
export const cdr = z.object({
  variables: z.object({
    uuid,
    channel_name: text,
    originating_leg_uuid: optionalUuid,
    dialed_user: text,
    bridge_uuid: optionalUuid,
    bridge_channel: text,
    signal_bond: optionalUuid,
    cc_side: text,
    cc_queue: text,
    cc_agent: text,
    cc_member_session_uuid: optionalUuid,
    start_epoch: seconds,
    start_uepoch: micros,
    answer_epoch: seconds,
    answer_uepoch: micros,
    bridge_epoch: seconds,
    end_epoch: seconds,
    end_uepoch: micros,
    duration: seconds,
    hold_accum_seconds: seconds,
    hangup_cause: text,
    hangup_cause_q850: text,
    sip_hangup_disposition: text,
    record_ms: text.pipe(
      z
        .string()
        .regex(/^\d{1,12}$/)
        .optional(),
    ),
    RECORD_STEREO: text,
    RECORD_STEREO_SWAP: text,
    RECORD_READ_ONLY: text,
    RECORD_WRITE_ONLY: text,
    // Set by the dialplan in pbx/, or by one's own.
    cordboard_direction: text.pipe(z.enum(['inbound', 'outbound', 'internal']).optional()),
    cordboard_recording: text,
    cordboard_segment: text,
    cordboard_reference: text,
  }),
  /**
   * The newest comes first: a transfer begins another one. Releases of ten years ago repeat the key instead of writing a
   * list, and of such the oldest is left.
   */
  callflow: z.union([z.array(flow).min(1).max(200), flow.transform((only) => [only])]),
  app_log: z
    .object({
      applications: z.array(z.object({ app_name: z.string(), app_data: z.string().default('') })).max(10_000),
    })
    .optional(),
})
export type Cdr = z.output<typeof cdr>
