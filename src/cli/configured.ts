import { join, relative } from 'node:path'
import type { Config } from '../config/model.ts'
import type { SecretUse } from '../config/secrets.ts'
import { CordboardError } from '../errors.ts'
import { type OriginOf, readConfig, secretsOf } from '../node/config-file.ts'
import { type Services, servicesFrom } from '../node/services.ts'
import { printConfigProblems } from './failure.ts'
import type { Io } from './io.ts'

export interface Configured {
  file: string
  config: Config
  secrets: SecretUse[]
  originOf: OriginOf
  /** The servers that the environment names beside the configuration. */
  services: Services
}

/** The configuration, `null` when there is none, or the exit code after its problems were printed. */
export async function readConfigured(given: string | undefined, io: Io): Promise<Configured | null | number> {
  const { connectorIds, loadConnector } = await import('../../connectors/index.ts')
  const connectors = { ids: connectorIds, load: loadConnector }
  const source = await readConfig({ given, cwd: io.cwd, env: io.env, connectors })
  if (!source) return null
  const file = relative(io.cwd, source.file) || source.file
  if ('problems' in source.loaded) return printConfigProblems(file, source.loaded.problems, io)
  const services = await servicesFrom(source.readSetting)
  return { file, ...source.loaded, originOf: source.originOf, services }
}

/** The same where nothing can be done without one. */
export async function needConfigured(given: string | undefined, io: Io): Promise<Configured | number> {
  const found = await readConfigured(given, io)
  if (found !== null) return found
  throw noConfiguration()
}

export function noConfiguration(): CordboardError {
  return new CordboardError('config', 'There is no configuration in this folder', {
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

/** The servers that the environment, or the `.env` of this folder, names: for commands that need no configuration. */
export function servicesHere(io: Io): Promise<Services> {
  return servicesFrom(secretsOf(io.env, join(io.cwd, '.env')).resolveSecret)
}
