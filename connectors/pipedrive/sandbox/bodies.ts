import { z } from 'zod'

/** What Pipedrive takes: required fields, forms of values. What it does not know it drops. */

const WALL = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/
const link = {
  org_id: z.int().optional(),
  deal_id: z.int().optional(),
  lead_id: z.uuid().optional(),
}
const CONTACTS = z.array(
  z.object({ value: z.string().min(1), primary: z.boolean().default(false), label: z.string().optional() }),
)
export const PERSON = z.object({
  name: z.string().min(1),
  owner_id: z.int().optional(),
  phones: CONTACTS.optional(),
  emails: CONTACTS.optional(),
  custom_fields: z.record(z.string(), z.unknown()).optional(),
})
export const ACTIVITY = z.object({
  subject: z.string().optional(),
  type: z.string().optional(),
  due_date: z.iso.date().optional(),
  due_time: z
    .string()
    .regex(/^\d\d:\d\d$/)
    .optional(),
  duration: z
    .string()
    .regex(/^\d\d:\d\d$/)
    .optional(),
  owner_id: z.int().optional(),
  // Strict: "true" and 1 are refused.
  done: z.boolean().optional(),
  note: z.string().optional(),
  participants: z.array(z.object({ person_id: z.int(), primary: z.boolean() })).optional(),
  ...link,
})
export const CALL_LOG = z.object({
  outcome: z.enum(['connected', 'no_answer', 'left_message', 'left_voicemail', 'wrong_number', 'busy']),
  to_phone_number: z.string().min(1),
  from_phone_number: z.string().optional(),
  start_time: z.string().regex(WALL),
  end_time: z.string().regex(WALL),
  duration: z.string().regex(/^\d+$/).optional(),
  subject: z.string().optional(),
  note: z.string().optional(),
  user_id: z.int().optional(),
  activity_id: z.int().optional(),
  person_id: z.int().optional(),
  ...link,
})
export const NOTE = z.object({ content: z.string().min(1), person_id: z.int().optional(), ...link })
export const WEBHOOK = z.object({
  subscription_url: z.url({ protocol: /^https$/ }),
  event_action: z.enum(['create', 'change', 'delete', '*']),
  event_object: z.string(),
  name: z.string().optional(),
  version: z.enum(['1.0', '2.0']).default('2.0'),
  http_auth_user: z.string().optional(),
  http_auth_password: z.string().optional(),
})
