import type { Connection } from '../../config/model.ts'
import { compared } from '../../pipeline/missed.ts'
import { dayAndTime } from '../table.ts'
import type { Patient } from './diagnose.ts'
import type { Finding } from './finding.ts'

/** What got lost longer ago says little about today. */
const RECENT_MS = 7 * 86_400_000
/** Turns that may fail before it is told: a vendor may be away for a while. */
const TURNS = 4

/** What the comparison with the vendor's own list of calls has shown, and whether it takes place. */
export async function reconciliationFindings(
  { db, now, running, configured }: Pick<Patient, 'db' | 'now' | 'running' | 'configured'>,
  { id, connector, reconcile }: Connection,
): Promise<Finding[]> {
  if (!db || !reconcile) return []
  const about = { area: connector.id, connection: id }
  const { lists, missed: all } = await compared({ db })
  const findings: Finding[] = []
  const missed = all.get(id)
  if (missed && now() - missed.lastAt < RECENT_MS) {
    const last = dayAndTime(new Date(missed.lastAt).toISOString())
    const calls = missed.count === 1 ? '1 call came' : `${missed.count} calls came`
    findings.push({
      ...about,
      level: 'warning',
      says: `${calls} by the vendor’s own list and not by webhook (last ${last})`,
      fix: 'Compare the webhook’s address and events at the vendor, and look whether this server was away',
    })
  }
  const list = lists.find((one) => one.id === id)
  const since = list && (list.lastAt ?? list.watchedSince ?? list.startedAt)
  const isExpected = running !== null || configured.services.databaseUrl !== null
  if (isExpected && since !== undefined && now() - since > TURNS * reconcile.everyMs) {
    findings.push({
      ...about,
      level: 'warning',
      says: `the vendor’s list of calls was last read to its end ${dayAndTime(new Date(since).toISOString())}`,
      fix: 'cordboard issues says what keeps it; reconcile: false switches it off',
    })
  }
  return findings
}
