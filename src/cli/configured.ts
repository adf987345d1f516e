import { relative } from 'node:path'
import type { Config } from '../config/model.ts'
import type { SecretUse } from '../config/secrets.ts'
import { CordboardError } from '../errors.ts'
import { type OriginOf, readConfig } from '../node/config-file.ts'
import { printConfigProblems } from './failure.ts'
import type { Io } from './io.ts'

export interface Configured {
  file: string
  config: Config
  secrets: SecretUse[]
  originOf: OriginOf
}

/** The configuration, `null` when there is none, or the exit code after its problems were printed. */
export async function readConfigured(given: string | undefined, io: Io): Promise<Configured | null | number> {
  const { connectorIds, loadConnector } = await import('../../connectors/index.ts')
  const connectors = { ids: connectorIds, load: loadConnector }
  const source = await readConfig({ given, cwd: io.cwd, env: io.env, connectors })
  if (!source) return null
  const file = relative(io.cwd, source.file) || source.file
  if ('problems' in source.loaded) return printConfigProblems(file, source.loaded.problems, io)
  return { file, ...source.loaded, originOf: source.originOf }
}

/** The same where nothing can be done without one. */
export async function needConfigured(given: string | undefined, io: Io): Promise<Configured | number> {
  const found = await readConfigured(given, io)
  if (found !== null) return found
  throw new CordboardError('config', 'There is no configuration in this folder', {
    why: 'Neither cordboard.config.ts nor cordboard.config.json is here',
    fix: 'Write one: cordboard init, or see it work first: cordboard demo',
  })
}

/** For commands that only read what is stored: nothing is connected, nothing flows. */
export const emptyConfig: Config = {
  publicUrl: undefined,
  region: undefined,
  connections: new Map(),
  flows: [],
  keep: { audioMs: undefined, transcriptMs: undefined, deliveriesMs: undefined },
  hash: 'none',
}

export function dataDirOf(given: string | undefined, io: Io): string {
  return given ?? io.env.CORDBOARD_DATA ?? '.data'
}
