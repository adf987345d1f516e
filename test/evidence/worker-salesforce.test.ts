import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bundleWorker, THREE_CONNECTORS, type WorkerBundle } from './worker-bundle.ts'

/** A Worker with Salesforce holds of jsforce what its requests need, and nothing that only Node has. */
describe('the bundle of a Worker with Salesforce', () => {
  let bundle: WorkerBundle
  beforeAll(async () => {
    const crm = `crm: {
      use: 'salesforce',
      baseUrl: 'https://acme.my.salesforce.com',
      clientId: 'id',
      clientSecret: secret('SALESFORCE_CLIENT_SECRET'),
    },`
    bundle = await bundleWorker(THREE_CONNECTORS.replace(/crm: \{.*\},/, crm))
  }, 60_000)
  afterAll(() => bundle?.[Symbol.dispose]())

  const from = (path: RegExp) => [...bundle.parts.keys()].filter((part) => path.test(part))

  it('holds jsforce, and none of the libraries that it loads', () => {
    expect(from(/node_modules\/jsforce\/lib\/connection\.js$/).length).toBe(1)
    expect(
      from(/node_modules\/(?:undici|xml2js|sax|xmlbuilder|csv-parse|csv-stringify|form-data)\//),
    ).toEqual([])
    const bytes = from(/node_modules\/jsforce\//).reduce(
      (sum, part) => sum + (bundle.parts.get(part) ?? 0),
      0,
    )
    expect(bytes).toBeGreaterThan(50_000)
    expect(bytes).toBeLessThan(120_000)
  })

  it('asks the runtime for no module of Node', () => {
    expect(bundle.text).not.toMatch(
      /from ?["'](?:node:)?(?:events|stream|crypto|fs|path|util|child_process|querystring)["']/,
    )
    expect(bundle.text).not.toMatch(/\brequire\(["'](?:node:)?(?:events|stream|crypto|fs|util)["']\)/)
  })
})
