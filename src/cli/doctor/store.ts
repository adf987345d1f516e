import { accessSync, constants, existsSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { countSteps } from '../../http/work.ts'
import { MIGRATIONS } from '../../store/migrations.ts'
import type { Patient } from './diagnose.ts'
import type { Finding } from './finding.ts'
import { movementFindings } from './movement.ts'

/** The data folder, the tables in it, the server on it, or the servers instead; and the work that waits. */
export async function storeFindings(patient: Patient): Promise<Finding[]> {
  const { db, running, servers } = patient
  if (servers !== null) return [...servers, ...(db ? await workFindings(db, patient) : [])]
  const findings = [folderFinding(patient.dataDir)]
  if (db) findings.push(await schemaFinding(db))
  else findings.push({ level: 'note', area: 'store', says: 'not there yet: the first start makes it' })
  findings.push(
    running
      ? { level: 'ok', area: 'server', says: `process ${running.pid} serves ${running.url}` }
      : { level: 'note', area: 'server', says: 'none runs on this data folder: cordboard serve' },
  )
  if (db) findings.push(...(await workFindings(db, patient)))
  return findings
}

function folderFinding(dataDir: string): Finding {
  const area = 'data'
  const there = existsSync(dataDir)
  try {
    accessSync(there ? dataDir : dirname(dataDir), constants.W_OK | constants.X_OK)
  } catch {
    const fix = `Let this user write there (chown), or choose another folder: --data DIR`
    return { level: 'problem', area, says: `${dataDir} cannot be written to`, fix }
  }
  if (!there) return { level: 'note', area, says: `${dataDir} will be made at the first start` }
  const isOpen = process.platform !== 'win32' && (statSync(dataDir).mode & 0o077) !== 0
  if (!isOpen) return { level: 'ok', area, says: `${dataDir} can be written to` }
  const says = `${dataDir} can be read by other users of this machine: it holds calls of customers`
  return { level: 'warning', area, says, fix: `chmod 700 ${dataDir}` }
}

async function schemaFinding(db: NonNullable<Patient['db']>): Promise<Finding> {
  const area = 'store'
  try {
    const ran = new Set((await db.selectFrom('migrations').select('name').execute()).map(({ name }) => name))
    const there = MIGRATIONS.filter(({ name }) => ran.has(name)).length
    const says = `SQLite, schema ${there} of ${MIGRATIONS.length}`
    if (there === MIGRATIONS.length) return { level: 'ok', area, says }
    return { level: 'problem', area, says, fix: 'Restart the server: it brings the tables up to date' }
  } catch (error) {
    const says = `cannot be read: ${error instanceof Error ? error.message : String(error)}`
    return { level: 'problem', area, says, fix: 'Check that --data names the folder of a Cordboard' }
  }
}

async function workFindings(db: NonNullable<Patient['db']>, patient: Patient): Promise<Finding[]> {
  const area = 'work'
  try {
    const findings = await movementFindings(db, patient)
    if (findings.length > 0) return findings
    const counts = await countSteps({ db })
    const total = (state: string) =>
      counts.filter((row) => row.state === state).reduce((sum, { count }) => sum + count, 0)
    return [{ level: 'ok', area, says: `${total('waiting')} steps wait, ${total('working')} run` }]
  } catch {
    // The tables are not there; the schema's finding says so.
    return []
  }
}
