import { connectorIds, loadConnector, loadSandbox } from '../../connectors/index.ts'
import { loadConfig } from '../../src/config/load.ts'
import type { Config } from '../../src/config/model.ts'
import type { Connector } from '../../src/connector/contract.ts'
import type { CreateSandbox, SandboxOptions, VendorSandbox } from '../../src/connector/sandbox.ts'
import { SANDBOX_CONNECTIONS } from '../../src/sandbox/world.ts'

/** A vendor of the test's own, with its stand-in. */
export interface OwnVendor {
  connector: Connector
  createSandbox: CreateSandbox
}

/** Connection id → connector and its own keys, but for `baseUrl`. */
export type Vendors = Readonly<Record<string, { use: string | OwnVendor; settings: Record<string, unknown> }>>

export const usesOf = (vendors: Vendors, ...uses: string[]): string[] =>
  Object.keys(vendors).filter((id) => uses.some((use) => use === vendors[id]?.use))

/** Connections of the sandbox company, by their names without the prefix. */
export function sandboxVendors(
  ...names: ('twilio' | 'zadarma' | 'xosum' | 'transcripto' | 'hubspot')[]
): Vendors {
  return Object.fromEntries(
    names.map((name) => {
      const id = `sandbox-${name}`
      const known = SANDBOX_CONNECTIONS[id]
      if (!known) throw new RangeError(`the sandbox company has no ${id}`)
      return [id, known]
    }),
  )
}

/** A phone system that speaks our own format: the scenarios say exactly what it says. */
export const GENERIC: Vendors = {
  pbx: {
    use: 'generic',
    settings: { secret: 'whsec_c2FuZGJveC1nZW5lcmljLXNlY3JldC0wMDE=', token: 'pbx-token-0001' },
  },
}

/** Nobody's phone system: calls are handed in. */
export const UPLOADS: Vendors = {
  uploads: { use: 'intake', settings: { tracks: { left: 'agent', right: 'customer' } } },
}

export interface Company {
  vendor(connection: string): VendorSandbox
  config(overrides?: Record<string, unknown>): Promise<Config>
}

/** The stand-ins of a company's vendors, each at an address of its own. */
export async function createCompany(
  vendors: Vendors,
  options: Omit<SandboxOptions, 'baseUrl' | 'account' | 'hookUrl'> & {
    publicUrl: string
    settings?: Record<string, Record<string, unknown>>
    flows: readonly Record<string, unknown>[]
  },
): Promise<Company> {
  const { publicUrl, settings = {}, flows, ...common } = options
  const standIns = new Map<string, VendorSandbox>()
  const connections: Record<string, Record<string, unknown>> = {}
  for (const [id, { use, settings: own }] of Object.entries(vendors)) {
    const baseUrl = `https://${id}.example.com`
    const account = { ...own, ...settings[id], baseUrl }
    const create = typeof use === 'string' ? await loadSandbox(use) : use.createSandbox
    standIns.set(id, create({ ...common, baseUrl, account, hookUrl: `${publicUrl}/hooks/${id}` }))
    // What only the stand-in understands (such as its index lag) is none of the connection's own keys.
    const { indexLagMs: _lag, ...keys } = account as Record<string, unknown>
    // Nobody of its own stands behind calls that are handed in: its stand-in is only where recordings lie.
    if (use === 'intake') delete keys.baseUrl
    // Read from time to time, the lists would have the clock go on for ever: the scenarios about them ask for it.
    connections[id] = { use: typeof use === 'string' ? use : use.connector, reconcile: false, ...keys }
  }
  return {
    vendor(connection) {
      const standIn = standIns.get(connection)
      if (!standIn) throw new RangeError(`there is no stand-in ${connection}`)
      return standIn
    },
    async config(overrides = {}) {
      const file = { publicUrl, region: 'FR', connections, flows, ...overrides }
      const loaded = await loadConfig(file, {
        connectors: { ids: connectorIds, load: loadConnector },
        resolveSecret: () => undefined,
        plainSecrets: true,
      })
      if ('problems' in loaded) throw new Error(JSON.stringify(loaded.problems, null, 1))
      return loaded.config
    },
  }
}

/** A flow from the given connections to what is there: every analysis service, every CRM. */
export function flowFrom(vendors: Vendors, from: string): Record<string, unknown> {
  return {
    name: `from-${from}`,
    from: [from],
    analyze: usesOf(vendors, 'xosum', 'transcripto'),
    write: usesOf(vendors, 'hubspot'),
    unknownCaller: 'create',
  }
}
