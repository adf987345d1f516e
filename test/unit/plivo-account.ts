import { connector } from '../../connectors/plivo/connector.ts'
import { createSandbox } from '../../connectors/plivo/sandbox.ts'
import { openAccount } from './telephony-account.ts'

/** As Plivo writes numbers. */
export const OWN = '33199001234'
export const MOBILE = '447700900123'
export const CUSTOMER = '33639980142'

/** What the stand-in's account has, and the connection too. */
export const SETTINGS = {
  authId: 'MA00000000000000SAMP',
  authToken: 'plivo_auth_token_0123456789abcdef',
  ownNumbers: [`+${OWN}`, `+${MOBILE}`],
}
export const baseUrl = 'https://api.plivo.com'

/** `keys` are what the connection has instead; `http` answers instead of the stand-in. */
export const open = (keys: Record<string, unknown> = {}, http?: (url: URL) => Promise<Response>) =>
  openAccount({ connector, createSandbox, account: SETTINGS, keys, baseUrl, http })
