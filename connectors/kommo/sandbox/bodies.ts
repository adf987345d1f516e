import { z } from 'zod'

/** What Kommo takes: required fields and forms of values. Everything is made in lists. */

const values = z.array(
  z.object({
    value: z.unknown().optional(),
    enum_id: z.int().optional(),
    enum_code: z.string().optional(),
  }),
)
const customFields = z
  .array(
    z
      .object({ field_id: z.int().optional(), field_code: z.string().optional(), values })
      .refine(({ field_id, field_code }) => field_id !== undefined || field_code !== undefined),
  )
  .optional()

export const ENTITY = z.object({
  name: z.string().optional(),
  responsible_user_id: z.int().optional(),
  custom_fields_values: customFields,
})

const call = z.object({
  uniq: z.string().optional(),
  duration: z.int().min(0),
  source: z.string().min(1),
  link: z.string().optional(),
  phone: z.string().min(1),
  call_result: z.string().optional(),
  call_status: z.int().min(1).max(8).optional(),
  call_responsible: z.union([z.int(), z.string()]).optional(),
})
const users = { created_by: z.int().optional(), responsible_user_id: z.int().optional() }

export const NOTE = z.discriminatedUnion('note_type', [
  z.object({ note_type: z.enum(['call_in', 'call_out']), params: call, ...users }),
  z.object({ note_type: z.literal('common'), params: z.object({ text: z.string().min(1) }), ...users }),
  z.object({
    note_type: z.enum(['service_message', 'extended_service_message']),
    params: z.object({ service: z.string().min(1), text: z.string().min(1) }),
    ...users,
  }),
])

export const CALL = call.extend({ direction: z.enum(['inbound', 'outbound']), ...users })

export const UNSORTED = z.object({
  source_name: z.string().min(1),
  source_uid: z.string().min(1),
  created_at: z.int(),
  pipeline_id: z.int().optional(),
  metadata: z.object({
    from: z.string().min(1),
    phone: z.string(),
    called_at: z.int(),
    duration: z.int().min(0),
    service_code: z.string().min(1),
    uniq: z.string().min(1),
    is_call_event_needed: z.boolean(),
  }),
  _embedded: z.object({ lead: z.object({ name: z.string().optional() }), contacts: z.array(ENTITY).min(1) }),
})

export const TASK = z.object({
  text: z.string().min(1),
  complete_till: z.int(),
  task_type_id: z.int().optional(),
  responsible_user_id: z.int().optional(),
  entity_id: z.int().optional(),
  entity_type: z.enum(['contacts', 'leads', 'companies', 'customers']).optional(),
})

export const WEBHOOK = z.object({ destination: z.url(), settings: z.array(z.string()).min(1) })
