/**
 * What of `cordboard` configurations are written in. It stands in the place of the whole where a configuration imports no
 * more: a bundler puts all that a module names into what is evaluated at the start, used or not.
 */
export { defineConfig, secret } from '../config/define.ts'
export { defineConnector } from '../connector/contract.ts'
export { secretList, secretValue } from '../connector/secret.ts'
export { CordboardError } from '../errors.ts'
