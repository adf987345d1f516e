import { z } from '@hono/zod-openapi'
import { idTime } from '../call/ids.ts'
import { toVcon, VCON_JSON_TYPE, VCON_TYPE } from '../call/vcon.ts'
import type { Config } from '../config/model.ts'
import type { callDetail } from './call-schema.ts'
import { instantOf } from './responses.ts'

/** A call in the form that other systems read, where `Accept` asks for it. */

export const vconContent = z.looseObject({ uuid: z.string() }).openapi('Vcon', {
  description: 'https://www.ietf.org/archive/id/draft-ietf-vcon-vcon-core-04.txt',
})

/** The type that was asked for; null for JSON as ever, which also whoever takes anything gets. */
export function vconTypeIn(accept: string | undefined): string | null {
  const asked = (accept ?? '')
    .toLowerCase()
    .split(',')
    .map((one) => one.split(';', 1)[0]?.trim())
  return [VCON_JSON_TYPE, VCON_TYPE].find((type) => asked.includes(type)) ?? null
}

export function asVcon(
  { config }: { config: Config },
  detail: z.infer<typeof callDetail>,
): Record<string, unknown> {
  const { id, call, analysis, submissions, updatedAt } = detail
  // Of the service whose result is shown: the one that came last.
  const done = submissions.filter(({ parts }) => parts.length > 0).at(-1)
  const vendor =
    config.connections.get(done?.connection ?? '')?.connector.name ?? done?.connection ?? 'unknown'
  return toVcon(call, analysis, { createdAt: instantOf(idTime(id)), updatedAt, vendor })
}
