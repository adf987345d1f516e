import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Kysely } from 'kysely'
import { suggest } from '../../config/suggest.ts'
import { createHttpFetch } from '../../node/http-fetch.ts'
import { runningServer } from '../../node/lock.ts'
import { STORE_FILE } from '../../node/open.ts'
import type { Services } from '../../node/services.ts'
import type { Schema } from '../../store/schema.ts'
import { openSqliteStore } from '../../store/sqlite.ts'
import { readingDialect } from '../../store/sqlite-dialect.ts'
import { configOption, dataOption, defineCommand, jsonOption } from '../command.ts'
import { dataDirOf, needConfigured } from '../configured.ts'
import { diagnose, type Patient } from '../doctor/diagnose.ts'
import { printFinding, sumText } from '../doctor/finding.ts'
import { vendorTokens } from '../doctor/vendor-tokens.ts'
import { EXIT } from '../exit.ts'
import { wrong } from '../parse.ts'

export const command = defineCommand({
  usage: 'doctor [connection]',
  about: 'Checks the configuration, the data folder, the public URL and every vendor; says what to do.',
  examples: [
    ['cordboard doctor', 'everything'],
    ['cordboard doctor support-paris', 'one connection'],
    ['cordboard doctor --json', 'one finding per line'],
  ],
  options: { ...configOption, ...dataOption, ...jsonOption },
  args: [0, 1],
  async run({ flags, args: [only], io }) {
    const configured = await needConfigured(flags.config, io)
    if (typeof configured === 'number') return configured
    const ids = [...configured.config.connections.keys()]
    if (only !== undefined && !ids.includes(only)) {
      const meant = suggest(only, ids)
      throw wrong(
        'doctor',
        `There is no connection ${only}`,
        meant ? `Did you mean ${meant}?` : `Use one of: ${ids.join(', ')}`,
      )
    }
    const dataDir = resolve(io.cwd, dataDirOf(flags.data, io))
    const reached = await reach(configured.services, dataDir)
    try {
      const findings = await diagnose({
        configured,
        dataDir,
        ...reached,
        http: createHttpFetch(),
        only,
      })
      const isSick = findings.some(({ level }) => level === 'problem')
      for (const finding of findings) {
        if (flags.json) io.json(finding)
        else printFinding(finding, io)
      }
      const code = isSick ? EXIT.failed : EXIT.ok
      if (!flags.json)
        io.out(`${sumText(findings).padEnd(Math.max(0, Math.min(io.columns, 90) - 7))} exit ${code}`)
      return code
    } finally {
      await reached.close()
    }
  },
})

/** The store with what was found on the way to it; of servers, all that the environment names. */
async function reach(services: Services, dataDir: string): Promise<Reach> {
  if (services.databaseUrl === null) {
    const file = join(dataDir, STORE_FILE)
    const db = openForReading(file)
    const tokens = vendorTokens(async () => (db ? openSqliteStore({ file }) : null))
    return {
      db,
      running: runningServer(dataDir),
      servers: null,
      vendorTokens: tokens,
      now: Date.now,
      close: async () => {
        await tokens.close()
        await db?.destroy()
      },
    }
  }
  const { reachServices } = await import('../doctor/services.ts')
  const { store, findings, close } = await reachServices(services, dataDir)
  // What is due is judged by the clock of the database.
  const aheadMs = store ? (await store.now()) - Date.now() : 0
  return {
    now: () => Date.now() + aheadMs,
    db: store?.db ?? null,
    running: null,
    servers: findings,
    vendorTokens: vendorTokens(async () => store),
    close,
  }
}

interface Reach extends Pick<Patient, 'db' | 'running' | 'servers' | 'vendorTokens' | 'now'> {
  close(): Promise<void>
}

/** The doctor changes nothing: no tables are made, no migration is run. */
export function openForReading(file: string): Kysely<Schema> | null {
  if (!existsSync(file)) return null
  const reader = new DatabaseSync(file, { readOnly: true, timeout: 2_000 })
  reader.function('store_now', { deterministic: true }, () => BigInt(Date.now()))
  return new Kysely<Schema>({ dialect: readingDialect(reader) })
}
