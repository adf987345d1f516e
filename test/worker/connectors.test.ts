import { connectorIds, loadConnector } from '../../connectors/index.ts'
import { connectorTests } from '../kit/connector/tests.ts'
import { folderOf } from './folders.ts'

/** Every connector runs on workerd: the kit there, with the Worker's own signer. */
for (const id of connectorIds) connectorTests(await loadConnector(id), folderOf(id))
