import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { connectorIds, loadConnector } from '../connectors/index.ts'
import { registrySource } from '../scripts/generate-registry.ts'
import type { Connector } from '../src/connector/contract.ts'
import { connectorKit } from './kit/connector.ts'

/** Every folder of connectors/ passes the kit. One alone: vitest run test/connectors.test.ts -t 'connector generic' */

for (const id of connectorIds) {
  let connector: Connector | undefined
  let why: unknown
  try {
    connector = await loadConnector(id)
  } catch (error) {
    // One that cannot be loaded must not hide the results of the others.
    why = error
  }
  if (connector) connectorKit(connector, new URL(`../connectors/${id}/`, import.meta.url))
  else describe(`connector ${id}`, () => test('loads', () => expect.fail(String(why))))
}

test('the registry is the one that the folders make', async () => {
  const present = readFileSync(new URL('../connectors/index.ts', import.meta.url), 'utf8')
  expect(await registrySource()).toBe(present)
})
