import { readFile } from 'node:fs/promises'
import { connectorIds, loadConnector } from '../../connectors/index.ts'
import { loadConfig } from '../../src/config/load.ts'
import type { Config } from '../../src/config/model.ts'

/** The configuration of the stand-ins' company from a file in which secrets stand in plain: they open nothing. */
export async function readPlainConfig(path: string): Promise<Config> {
  const loaded = await loadConfig(JSON.parse(await readFile(path, 'utf8')), {
    connectors: { ids: connectorIds, load: loadConnector },
    resolveSecret: () => undefined,
    plainSecrets: true,
  })
  if ('problems' in loaded) throw new Error(JSON.stringify(loaded.problems))
  return loaded.config
}
