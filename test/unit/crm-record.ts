import type { Call } from '../../src/call/call.ts'
import type { CrmRecord, PlannedPart, WritePart } from '../../src/connector/crm-role.ts'
import { commonCall } from '../kit/connector/samples.ts'
import type { World } from '../kit/connector/world.ts'

/** What the tests of every CRM's connector begin with: a record to be written, and its parts as the pipeline hands them over. */

export const recordOn = (
  target: CrmRecord['target'],
  call: Partial<Call>,
  more: Partial<CrmRecord> = {},
): CrmRecord => ({
  call: { ...commonCall(), ...call },
  analysis: null,
  target,
  fields: {},
  logged: null,
  ...more,
})

/** A part that was never written, or the one that has this id at the CRM. */
export const fresh = (part: PlannedPart, externalId: string | null = null): WritePart => ({
  ...part,
  externalId,
  idempotencyKey: `wbk_1-${part.key}`,
})

export const fieldsOf = (parts: readonly PlannedPart[], key: string): Record<string, string> =>
  parts.find((part) => part.key === key)?.fields ?? {}

export const books = (world: World, kind: string) =>
  world.sandbox.book().filter((entry) => entry.kind === kind)
