import type { components } from '../../openapi/generated/resonaa.d.ts'
import type { Call } from '../../src/call/call.ts'
import type { Config } from './schema.ts'

/** What both ways of adding a call know it by, beside the audio and the key. */
export type CallFields = Omit<components['schemas']['CallFields'], 'api_key'>

/** No field is documented for the time of a call, its direction, its numbers or its language. */
export function toFields(call: Call, { sendFields, userIds }: Config): CallFields {
  const { customer, agent } = call
  const extension = agent?.extension
  const userId = extension !== undefined && Object.hasOwn(userIds, extension) ? userIds[extension] : undefined
  const fields = { customer_name: customer?.name, extension_id: extension ?? agent?.id, user_id: userId }
  return {
    ...Object.fromEntries(sendFields.flatMap((name) => (fields[name] ? [[name, fields[name]]] : []))),
    // Kept there as worker_id: by this a person finds the call again.
    order_id: call.id,
  }
}
