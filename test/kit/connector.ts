import type { Connector } from '../../src/connector/contract.ts'
import { loadSubject } from './connector/fixtures.ts'
import { readFolder } from './connector/folder.ts'
import { fuzzTests } from './connector/fuzz.ts'
import { connectorTests } from './connector/tests.ts'

/**
 * The definition of done of a connector. Call it in a vitest file with the connector and its folder:
 *
 * @example
 * connectorKit(connector, new URL('../connectors/generic/', import.meta.url))
 */
export function connectorKit(connector: Connector, folder: URL): void {
  const read = readFolder(folder)
  connectorTests(connector, read)
  fuzzTests(loadSubject(connector, read))
}
