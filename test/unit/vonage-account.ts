import { generateKeyPairSync } from 'node:crypto'
import { connector } from '../../connectors/vonage/connector.ts'
import { createSandbox } from '../../connectors/vonage/sandbox.ts'
import { openAccount } from './telephony-account.ts'

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
export const PEM = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()
/** As Vonage writes numbers. */
export const OWN = '33199001234'
export const MOBILE = '447700900123'
export const CUSTOMER = '33639980142'

/** What the stand-in's account has, and the connection too. */
export const SETTINGS = {
  applicationId: 'aaaaaaaa-bbbb-cccc-dddd-0123456789ab',
  privateKey: PEM,
  signatureSecret: 'vonage-signature-secret-0123456789abcdef',
  ownNumbers: [`+${OWN}`, `+${MOBILE}`],
}
export const baseUrl = 'https://api.nexmo.com'

/** `keys` are what the connection has instead; `http` answers instead of the stand-in. */
export const open = (keys: Record<string, unknown> = {}, http?: (url: URL) => Promise<Response>) =>
  openAccount({ connector, createSandbox, account: SETTINGS, keys, baseUrl, http })
