import { connector } from '../../connectors/telnyx/connector.ts'
import { createSandbox } from '../../connectors/telnyx/sandbox.ts'
import { STAND_IN_PUBLIC_KEY } from '../../src/connector/stand-in-key.ts'
import { openAccount } from './telephony-account.ts'

export const OWN = '+33199001234'
export const CUSTOMER = '+33639980142'
export const MOBILE = '+447700900123'

/** What the stand-in's account has, and the connection too. */
export const SETTINGS = {
  publicKey: STAND_IN_PUBLIC_KEY,
  apiKey: 'KEY-sandbox',
  ownNumbers: [OWN],
  agentPhones: [MOBILE],
}
export const baseUrl = 'https://api.telnyx.com'

/** `keys` are what the connection has instead; `http` answers instead of the stand-in. */
export const open = (keys: Record<string, unknown> = {}, http?: (url: URL) => Promise<Response>) =>
  openAccount({ connector, createSandbox, account: SETTINGS, keys, baseUrl, http })
