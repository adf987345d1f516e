import { z } from 'zod'
import { party } from './call.ts'
import { normalisePhone } from './phone.ts'

/** The common schema as others write it: more lenient where senders differ. */

/** Any offset may be sent; inside there is only UTC, to the millisecond: so that texts are in the order of their times. */
export const sentInstant = z.iso
  .datetime({ offset: true })
  .transform((value) => new Date(value).toISOString())

/** A number as the sender has it: a text, or the pair of the common schema. What is E.164 we work out ourselves. */
export const sentNumber = z.union([
  z.string().max(256),
  party
    .partial()
    .refine((value) => value.phone != null || value.phoneRaw !== undefined, 'phone or phoneRaw is needed'),
])
export type SentNumber = z.output<typeof sentNumber>

/** A sender's idea of E.164 is read like any other spelling: `0033…` and spaces are common. */
export function readNumber(
  sent: SentNumber,
  region: string | undefined,
): { phone: string | null; phoneRaw: string } {
  const raw = typeof sent === 'string' ? sent : (sent.phoneRaw ?? sent.phone ?? '')
  const given = typeof sent === 'string' ? raw : (sent.phone ?? raw)
  return { phone: normalisePhone(given, region).e164, phoneRaw: raw }
}
