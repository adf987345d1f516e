import { loadConnector } from '../../connectors/index.ts'
import type { CreateSandbox, SandboxOptions, VendorSandbox } from '../connector/sandbox.ts'

/**
 * The stand-ins of all vendors as one small company: two phone systems, two analysis services, one CRM, and the flows
 * between them. The demo, the sandbox command, the scenarios and the benches all use this one. Everything in it is made
 * up: the keys open nothing, and the numbers are reserved for fiction.
 */

/** One account that a stand-in has. */
export interface SandboxConnection {
  use: string
  /** The connector's own keys, but for `baseUrl`. */
  settings: Record<string, unknown>
  /** Absent: the company's. */
  region?: string
}

interface SandboxFlow {
  name: string
  from: readonly string[]
  analyze: readonly string[]
  write: readonly string[]
  unknownCaller: string
}

/** By the connection's id. */
export const SANDBOX_CONNECTIONS: Readonly<Record<string, SandboxConnection>> = {
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
    // The stand-in's search shows a record at once: nobody need wait half a minute for an unknown caller's call.
    settings: { token: 'sandbox-hubspot-token', appSecret: 'sandbox-hubspot-app-secret', indexLagMs: 0 },
  },
}

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
  /** Others than the company's own. */
  connections?: Readonly<Record<string, SandboxConnection>>
  /** Beside the company's own. */
  flows?: readonly SandboxFlow[]
}

export interface SandboxWorld {
  vendors: ReadonlyMap<string, VendorSandbox>
  vendor(connection: string): VendorSandbox
  /** What cordboard.config would say: give it to `loadConfig`, with plain secrets allowed. */
  configFile(overrides?: Record<string, unknown>): Record<string, unknown>
}

export async function createSandboxWorld(options: SandboxWorldOptions): Promise<SandboxWorld> {
  const { loadSandbox, baseUrlOf, publicUrl, settings = {}, flows = [], ...rest } = options
  const { connections = SANDBOX_CONNECTIONS, ...common } = rest
  const vendors = new Map<string, VendorSandbox>()
  const accounts: Record<string, Record<string, unknown>> = {}
  for (const [id, connection] of Object.entries(connections)) {
    const { use, settings: keys, region } = connection
    const baseUrl = baseUrlOf(id)
    const account = { ...keys, ...(await otherAddresses(connection, baseUrl)), ...settings[id], baseUrl }
    const create = await loadSandbox(use)
    const hookUrl = `${publicUrl}/hooks/${id}`
    vendors.set(id, create({ ...common, baseUrl: account.baseUrl, account, hookUrl }))
    const own = { use, ...(region === undefined ? {} : { region }) }
    accounts[id] = { ...own, ...account, allowPrivate: [new URL(account.baseUrl).host] }
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
      flows: [...COMPANY_FLOWS, ...flows].flatMap((flow) => among(vendors, flow) ?? []),
      ...overrides,
    }),
  }
}

const COMPANY_FLOWS: readonly SandboxFlow[] = [
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
]

/** The flow between those that are there; null when nothing is left of it. */
function among(there: ReadonlyMap<string, unknown>, flow: SandboxFlow): SandboxFlow | null {
  const [from, analyze, write] = [flow.from, flow.analyze, flow.write].map((ids) =>
    ids.filter((id) => there.has(id)),
  )
  if (!from?.length || !analyze || !write || analyze.length + write.length === 0) return null
  return { ...flow, from, analyze, write }
}

/** Some vendors give out tokens at an address of its own: the stand-in is both, so that nothing of it leads to the vendor. */
async function otherAddresses(
  { use, settings }: SandboxConnection,
  baseUrl: string,
): Promise<Record<string, string>> {
  const { config } = await loadConnector(use)
  const { data = {} } = config.safeParse({ ...settings, baseUrl })
  const usual = Object.entries(data as object).filter(
    ([key, value]) => /\wUrl$/.test(key) && !(key in settings) && /^https:/.test(String(value)),
  )
  const tokens = 'accountsUrl' in settings ? { accountsUrl: baseUrl } : {}
  return { ...tokens, ...Object.fromEntries(usual.map(([key]) => [key, baseUrl])) }
}
