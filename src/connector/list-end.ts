import type { ConnectorContext } from './contract.ts'

/**
 * Where a list of calls ends: now, or at the moment that is asked for, and `behindMs` later where the vendor goes by the end
 * of calls, or lists legs and recordings of their own: those of a call that begins just before the moment come after it.
 */
export function listEnd(
  { now }: Pick<ConnectorContext, 'now'>,
  until: string | undefined,
  behindMs = 0,
): number {
  return until === undefined ? now() : Math.min(now(), Date.parse(until) + behindMs)
}
