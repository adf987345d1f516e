import type { Kysely } from 'kysely'
import type { HttpFetch } from '../../connector/platform.ts'
import type { Tokens } from '../../connector/tokens.ts'
import type { RunningServerState } from '../../node/lock.ts'
import type { Schema } from '../../store/schema.ts'
import type { Configured } from '../configured.ts'
import { checkConnection } from './check.ts'
import { configFindings } from './config.ts'
import { converterFindings } from './converter.ts'
import type { Finding } from './finding.ts'
import { publicUrlFindings } from './public-url.ts'
import { reconciliationFindings } from './reconciliation.ts'
import { refusalFindings } from './refusals.ts'
import { storeFindings } from './store.ts'

export interface Patient {
  configured: Configured
  dataDir: string
  /** For reading; null before the first start. */
  db: Kysely<Schema> | null
  running: RunningServerState | null
  /** What was found at the servers that the environment names; null where everything is in the data folder. */
  servers: Finding[] | null
  http: HttpFetch
  /** The workers' own. */
  vendorTokens: Tokens
  now: () => number
  /** Only this connection. */
  only: string | undefined
}

/** Looks at everything, in the order an operator would: settings, folder, way in, then each vendor. */
export async function diagnose(patient: Patient): Promise<Finding[]> {
  const { configured, only } = patient
  const connections = [...configured.config.connections.values()].filter(
    ({ id }) => only === undefined || id === only,
  )
  const [store, publicUrl, ...each] = await Promise.all([
    storeFindings(patient),
    publicUrlFindings(patient, connections),
    ...connections.map(async (connection) => [
      ...(await checkConnection(patient, connection)),
      ...(await refusalFindings(patient, connection)),
      ...(await reconciliationFindings(patient, connection)),
    ]),
  ])
  return [
    ...configFindings(configured),
    ...converterFindings(configured.config),
    ...store,
    ...publicUrl,
    ...each.flat(),
  ]
}
