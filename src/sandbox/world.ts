import type { CreateSandbox, SandboxOptions, VendorSandbox } from '../connector/sandbox.ts'

/**
 * The stand-ins of all vendors as one small company: two phone systems, two analysis services, one CRM, and the flows
 * between them. The demo, the sandbox command, the scenarios and the benches all use this one. Everything in it is made
 * up: the keys open nothing, and the numbers are reserved for fiction.
 */

/** Connection id → connector and its own keys, but for `baseUrl`. */
export const SANDBOX_CONNECTIONS: Readonly<
  Record<string, { use: string; settings: Record<string, unknown> }>
> = {
  'sandbox-twilio': {
    use: 'twilio',
    settings: {
      accountSid: 'AC5a0db0c0000000000000000000000001',
      authToken: 'sandbox-twilio-auth-token-000001',
    },
  },
  'sandbox-zadarma': {
    use: 'zadarma',
    settings: { key: 'sandbox-zadarma-key', secret: 'sandbox-zadarma-secret', timeZone: 'Europe/Paris' },
  },
  'sandbox-xosum': {
    use: 'xosum',
    settings: { apiKey: 'sandbox-xosum-key', webhookSecret: 'sandbox-xosum-webhook-secret' },
  },
  'sandbox-transcripto': {
    use: 'transcripto',
    settings: { token: 'sandbox.transcripto.token' },
  },
  'sandbox-hubspot': {
    use: 'hubspot',
    settings: { token: 'sandbox-hubspot-token', appSecret: 'sandbox-hubspot-app-secret' },
  },
}

export const SANDBOX_IDS = Object.keys(SANDBOX_CONNECTIONS)

/** The company's own line, which every sample call is made to or from. */
export const OWN_PHONE = '+33199000100'

export interface SandboxWorldOptions extends Omit<SandboxOptions, 'baseUrl' | 'account' | 'hookUrl'> {
  loadSandbox(connector: string): Promise<CreateSandbox>
  /** URL at which the stand-in of a connection is reached. */
  baseUrlOf(connection: string): string
  /** Public base of the Cordboard that the webhooks go to. */
  publicUrl: string
  /** Further keys of a connection, over those above. */
  settings?: Readonly<Record<string, Record<string, unknown>>>
}

export interface SandboxWorld {
  vendors: ReadonlyMap<string, VendorSandbox>
  vendor(connection: string): VendorSandbox
  /** What cordboard.config would say: give it to `loadConfig`, with plain secrets allowed. */
  configFile(overrides?: Record<string, unknown>): Record<string, unknown>
}

export async function createSandboxWorld(options: SandboxWorldOptions): Promise<SandboxWorld> {
  const { loadSandbox, baseUrlOf, publicUrl, settings = {}, ...common } = options
  const vendors = new Map<string, VendorSandbox>()
  const accounts: Record<string, Record<string, unknown>> = {}
  for (const [id, { use, settings: own }] of Object.entries(SANDBOX_CONNECTIONS)) {
    const account = { ...own, ...settings[id], baseUrl: baseUrlOf(id) }
    const create = await loadSandbox(use)
    const hookUrl = `${publicUrl}/hooks/${id}`
    vendors.set(id, create({ ...common, baseUrl: account.baseUrl, account, hookUrl }))
    accounts[id] = { use, ...account, allowPrivate: [new URL(account.baseUrl).host] }
  }
  return {
    vendors,
    vendor(connection) {
      const vendor = vendors.get(connection)
      if (!vendor) throw new RangeError(`there is no stand-in ${connection}`)
      return vendor
    },
    configFile: (overrides = {}) => ({
      publicUrl,
      region: 'FR',
      connections: accounts,
      flows: [
        {
          name: 'twilio-calls',
          from: ['sandbox-twilio'],
          analyze: ['sandbox-xosum', 'sandbox-transcripto'],
          write: ['sandbox-hubspot'],
          unknownCaller: 'create',
        },
        {
          name: 'zadarma-calls',
          from: ['sandbox-zadarma'],
          analyze: ['sandbox-transcripto', 'sandbox-xosum'],
          write: ['sandbox-hubspot'],
          unknownCaller: 'create',
        },
      ],
      ...overrides,
    }),
  }
}
