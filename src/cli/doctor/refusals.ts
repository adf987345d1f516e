import type { Connection } from '../../config/model.ts'
import { inboundRequest } from '../../connector/request.ts'
import type { Verification } from '../../connector/verification.ts'
import type { Hint } from '../../pipeline/refusals.ts'
import { dayAndTime } from '../table.ts'
import type { Patient } from './diagnose.ts'
import type { Finding } from './finding.ts'
import { secretNames } from './secret-names.ts'

/** What was refused longer ago says little about today's settings. */
const RECENT_MS = 7 * 86_400_000

interface Sample {
  reason: string
  hint?: Hint
}

/** Deliveries that were refused since the last good one: wrong URL, wrong secret, or nothing signed at all. */
export async function refusalFindings(patient: Patient, connection: Connection): Promise<Finding[]> {
  const { db, now } = patient
  const [verification] = verificationsOf(connection)
  if (!db || !verification) return []
  const good = await db
    .selectFrom('deliveries')
    .select('received_at as at')
    .where('connection', '=', connection.id)
    // What the vendor's list told says nothing of its webhooks.
    .where('role', '<>', 'list')
    // Ids go by time, and have an index: the newest is one look, the latest of all times would read every delivery.
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst()
  const rows = await db
    .selectFrom('refusals')
    .selectAll()
    .where('connection', '=', connection.id)
    .where('code', '=', 'webhook_signature')
    .where('last_at', '>', Math.max(now() - RECENT_MS, Number(good?.at ?? 0)))
    .orderBy('last_at', 'desc')
    .execute()
  const [newest] = rows
  if (!newest) return []
  const count = rows.reduce((sum, row) => sum + Number(row.count), 0)
  const sample: Sample = JSON.parse(newest.sample)
  const last = dayAndTime(new Date(Number(newest.last_at)).toISOString())
  const many = count === 1 ? '1 delivery was refused' : `${count} deliveries were refused`
  const since = good?.at ? 'since the last good one' : 'and none was accepted so far'
  const { what, fix } = explain(sample, verification, patient, connection)
  const says = `${many} ${since} (last ${last}): ${what}`
  return [{ level: 'problem', area: connection.connector.id, connection: connection.id, says, fix }]
}

function verificationsOf({ connector, settings }: Connection): Verification[] {
  const sides = [connector.telephony?.webhook, connector.analysis?.callback, connector.crm?.callback]
  return sides.flatMap((side) => {
    const verification = side?.verify(settings)
    return verification && verification.scheme !== 'nothing' ? [verification] : []
  })
}

function explain(sample: Sample, verification: Verification, patient: Patient, connection: Connection) {
  const { publicUrl } = patient.configured.config
  const vendor = connection.connector.name
  if (sample.hint === 'header') {
    return {
      what: sample.reason,
      fix: `Switch signing on at ${vendor}; if it is on, let the proxy pass the header through`,
    }
  }
  if (sample.hint === 'url' && signsUrl(verification)) {
    if (publicUrl === undefined) {
      return {
        what: 'the vendor signs the URL it calls, and publicUrl is not set',
        fix: 'Set publicUrl to the base of the URL that you entered at the vendor',
      }
    }
    return {
      what: `the vendor calls and signs another URL than ${publicUrl}/hooks/${connection.id}`,
      fix: `Enter ${publicUrl}/hooks/${connection.id} at ${vendor}, or set publicUrl to the address it calls; if both are the same, let the proxy keep Host or send X-Forwarded-Host`,
    }
  }
  const secrets =
    'secrets' in verification
      ? verification.secrets
      : verification.scheme === 'ed25519'
        ? verification.publicKeys
        : []
  const url =
    signsUrl(verification) && publicUrl !== undefined
      ? `; if it is right, compare the URL entered there with ${publicUrl}/hooks/${connection.id}`
      : ''
  return {
    what: 'the signature does not fit the secret',
    fix: `Copy the secret again from ${vendor} into ${secretNames(patient.configured, connection, secrets)}${url}`,
  }
}

/** A custom scheme is asked what it would sign of an empty form: the URL is in it, or it is not. */
function signsUrl(verification: Verification): boolean {
  if ('signed' in verification) {
    return verification.signed.some((part) => 'url' in part || 'urlDecoded' in part || 'path' in part)
  }
  if (verification.scheme !== 'custom') return false
  const host = 'hooks.example.com'
  const headers = { 'content-type': 'application/x-www-form-urlencoded', [verification.header]: 'x' }
  const claims = verification.claims(
    inboundRequest({
      method: 'POST',
      url: `https://${host}/hooks/it`,
      path: '',
      headers: Object.entries(headers),
      body: new Uint8Array(),
      receivedAt: new Date(0).toISOString(),
    }),
  )
  const texts = 'refused' in claims ? [] : claims.map(({ signed }) => signed)
  return texts.some((text) =>
    (typeof text === 'string' ? text : new TextDecoder().decode(text)).includes(host),
  )
}
