import type { Connection } from '../../config/model.ts'
import { createMemoryBudgets } from '../../connector/budgets.ts'
import { createContext } from '../../connector/context.ts'
import type { Log } from '../../connector/contract.ts'
import { maskSecrets } from '../../connector/mask.ts'
import { weaknessOf } from '../../connector/weakness.ts'
import { asCordboardError, type CordboardError, type ErrorCode } from '../../errors.ts'
import { fixOfVendor } from '../ask-vendor.ts'
import type { Patient } from './diagnose.ts'
import type { Finding } from './finding.ts'
import { mappingFindings } from './mapping.ts'
import { secretNames } from './secret-names.ts'

const TIMEOUT_MS = 20_000
const silent: Log = { debug() {}, info() {}, warn() {}, error() {} }

/** Asks the vendor with the connection's own credentials. */
export async function checkConnection(patient: Patient, connection: Connection): Promise<Finding[]> {
  const { configured, http, vendorTokens, now } = patient
  const about = { area: connection.connector.id, connection: connection.id }
  const ctx = createContext({
    connection,
    publicUrl: configured.config.publicUrl,
    http,
    budgets: createMemoryBudgets({ now }),
    tokens: vendorTokens,
    now,
    random: Math.random,
    log: silent,
    signal: AbortSignal.timeout(TIMEOUT_MS),
  })
  try {
    const { says, warnings = [] } = await connection.connector.check(ctx)
    return [
      { ...about, level: 'ok', says },
      ...warnings.map(({ what, fix }): Finding => ({ ...about, level: 'warning', says: what, fix })),
      ...unsigned(connection, about),
      ...(await mappingFindings(configured.config, connection, ctx)),
    ]
  } catch (thrown) {
    const error = asCordboardError(thrown)
    const mask = (text: string) => maskSecrets(text, connection.secrets)
    const what = WHAT[error.code]
    // What is said of the code hides which request failed, and how.
    const why = error.why ?? (what === undefined ? undefined : error.message)
    const said = error.vendorSaid === undefined ? '' : `. The vendor said: “${error.vendorSaid}”`
    const says = mask(`${what ?? error.message}${why === undefined ? '' : `: ${why}`}${said}`)
    return [{ ...about, level: 'problem', says, fix: mask(fixOf(error, patient, connection)) }]
  }
}

const WHAT: Partial<Record<ErrorCode, string>> = {
  auth: 'the vendor refuses the credentials',
  forbidden: 'the credentials are right but lack a permission',
  quota: 'the account’s quota is used up',
  vendor_down: 'the vendor is not answering properly',
  timeout: 'the vendor did not answer in time',
}

function fixOf(error: CordboardError, { configured }: Patient, connection: Connection): string {
  if (error.code !== 'auth') return fixOfVendor(error)
  return `Copy it again from the account at ${connection.connector.name} into ${secretNames(configured, connection)}`
}

function unsigned(
  { connector, settings }: Connection,
  about: Pick<Finding, 'area' | 'connection'>,
): Finding[] {
  const sides = [connector.telephony?.webhook, connector.analysis?.callback, connector.crm?.callback]
  return sides.flatMap((side): Finding[] => {
    const weak = side && weaknessOf(side.verify(settings))
    return weak ? [{ ...about, level: 'warning', ...weak }] : []
  })
}
