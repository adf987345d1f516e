import { describe } from 'vitest'
import type { Connector } from '../../src/connector/contract.ts'
import { behaviourTests } from './connector/behaviour.ts'
import { loadSubject } from './connector/fixtures.ts'
import { formTests } from './connector/form.ts'
import { meaningTests } from './connector/meaning.ts'
import { orderTests } from './connector/order.ts'
import { securityTests } from './connector/security.ts'

/**
 * The definition of done of a connector. Call it in a vitest file with the connector and its folder:
 *
 * @example
 * connectorKit(connector, new URL('../connectors/generic/', import.meta.url))
 */
export function connectorKit(connector: Connector, folder: URL): void {
  describe(`connector ${connector.id}`, () => {
    const subject = loadSubject(connector, folder)
    formTests(subject)
    securityTests(subject)
    meaningTests(subject)
    orderTests(subject)
    behaviourTests(subject)
  })
}
