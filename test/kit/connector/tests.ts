import { describe } from 'vitest'
import type { Connector } from '../../../src/connector/contract.ts'
import { behaviourTests } from './behaviour.ts'
import { loadSubject } from './fixtures.ts'
import type { ConnectorFolder } from './folder.ts'
import { formTests } from './form.ts'
import { meaningTests } from './meaning.ts'
import { operationsTests } from './operations.ts'
import { orderTests } from './order.ts'
import { securityTests } from './security.ts'

/** The kit itself, the same on every runtime. */
export function connectorTests(connector: Connector, folder: ConnectorFolder): void {
  describe(`connector ${connector.id}`, () => {
    const subject = loadSubject(connector, folder)
    formTests(subject)
    securityTests(subject)
    meaningTests(subject)
    orderTests(subject)
    behaviourTests(subject)
    operationsTests(subject)
  })
}
