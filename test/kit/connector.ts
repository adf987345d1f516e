import type { Connector } from '../../src/connector/contract.ts'
import { readFolder } from './connector/folder.ts'
import { connectorTests } from './connector/tests.ts'

/**
 * The definition of done of a connector. Call it in a vitest file with the connector and its folder:
 *
 * @example
 * connectorKit(connector, new URL('../connectors/generic/', import.meta.url))
 */
export function connectorKit(connector: Connector, folder: URL): void {
  connectorTests(connector, readFolder(folder))
}
