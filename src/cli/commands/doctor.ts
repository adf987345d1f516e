import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Kysely } from 'kysely'
import { suggest } from '../../config/suggest.ts'
import { createHttpFetch } from '../../node/http-fetch.ts'
import { runningServer } from '../../node/lock.ts'
import { STORE_FILE } from '../../node/open.ts'
import type { Schema } from '../../store/schema.ts'
import { readingDialect } from '../../store/sqlite-dialect.ts'
import { configOption, dataOption, defineCommand, jsonOption } from '../command.ts'
import { dataDirOf, needConfigured } from '../configured.ts'
import { diagnose } from '../doctor/diagnose.ts'
import { printFinding, sumText } from '../doctor/finding.ts'
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
    const db = openForReading(join(dataDir, STORE_FILE))
    try {
      const running = runningServer(dataDir)
      const findings = await diagnose({
        configured,
        dataDir,
        db,
        running,
        http: createHttpFetch(),
        now: Date.now,
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
      await db?.destroy()
    }
  },
})

/** The doctor changes nothing: no tables are made, no migration is run. */
export function openForReading(file: string): Kysely<Schema> | null {
  if (!existsSync(file)) return null
  const reader = new DatabaseSync(file, { readOnly: true, timeout: 2_000 })
  reader.function('store_now', { deterministic: true }, () => BigInt(Date.now()))
  return new Kysely<Schema>({ dialect: readingDialect(reader) })
}
