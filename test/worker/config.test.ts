import { describe, expect, it } from 'vitest'
import { connector as hubspot } from '../../connectors/hubspot/connector.ts'
import { connector as twilio } from '../../connectors/twilio/connector.ts'
import { defineConfig, secret } from '../../src/config/define.ts'
import type { LogFields } from '../../src/connector/contract.ts'
import {
  type Bundled,
  createConfigReader,
  logProblems,
  misconfigured,
  type Read,
} from '../../src/worker/config.ts'

const bundled: Bundled = {
  config: defineConfig({
    publicUrl: 'https://calls.example.com',
    connections: {
      phone: {
        use: 'twilio',
        accountSid: 'AC00000000000000000000000000000000',
        authToken: secret('PHONE_TOKEN', 'PHONE_TOKEN_OLD'),
      },
      crm: { use: 'hubspot', token: secret('CRM_TOKEN') },
    },
    flows: [{ from: ['phone'], analyze: [], write: ['crm'] }],
  }),
  connectors: [twilio, hubspot],
}
const TOKENS = 'admin:0123456789abcdef'
const ENV = { PHONE_TOKEN: 'phone-secret', CRM_TOKEN: 'crm-secret', CORDBOARD_TOKENS: TOKENS, DB: {} }

const settings = (read: Read, id: string) =>
  'config' in read ? read.config.connections.get(id)?.settings : read.problems
const problemsOf = (read: Read) => ('problems' in read ? read.problems : [])

describe('the configuration of a Worker', () => {
  it('is the bundled one with its secrets from bindings', async () => {
    const read = await createConfigReader(bundled)(ENV)
    expect(settings(read, 'phone')).toMatchObject({ authToken: ['phone-secret'] })
    expect(settings(read, 'crm')).toMatchObject({ token: 'crm-secret' })
    expect(read).toMatchObject({ tokens: [{ role: 'admin', token: '0123456789abcdef' }] })
  })

  it('asks a Secrets Store for what is kept there, tokens too', async () => {
    const stored = (value: string) => ({ get: async () => value })
    const env = { PHONE_TOKEN: 'new', PHONE_TOKEN_OLD: stored('old'), CRM_TOKEN: stored('from the-store') }
    const read = await createConfigReader(bundled)({ ...env, CORDBOARD_TOKENS: stored(TOKENS) })
    expect(settings(read, 'phone')).toMatchObject({ authToken: ['new', 'old'] })
    expect(settings(read, 'crm')).toMatchObject({ token: 'from the-store' })
  })

  it('lists everything that is wrong at once, each with what to do on this runtime', async () => {
    const wrong = { ...bundled, connectors: [hubspot] }
    const read = await createConfigReader(wrong)({ CRM_TOKEN: 'secret-value ' })
    expect(problemsOf(read).map(({ path, what, fix }) => [path, what, fix])).toEqual([
      [
        'connections.phone.use',
        'There is no connector "twilio"',
        expect.stringContaining('Use one of these'),
      ],
      [
        'connections.crm.token',
        'The secret CRM_TOKEN starts or ends with white space',
        expect.stringContaining('Remove the blanks'),
      ],
      [
        'CORDBOARD_TOKENS',
        'There are no API tokens',
        expect.stringContaining('wrangler secret put CORDBOARD_TOKENS'),
      ],
    ])
    expect(JSON.stringify(read)).not.toContain('secret-value')
    const unset = problemsOf(await createConfigReader(bundled)({ CORDBOARD_TOKENS: 'admin:short' }))
    expect(unset.map(({ fix }) => fix).slice(0, 2)).toEqual([
      'Set it: wrangler secret put PHONE_TOKEN',
      'Set it: wrangler secret put CRM_TOKEN',
    ])
    expect(unset[2]).toMatchObject({ path: 'CORDBOARD_TOKENS', what: expect.stringContaining('too short') })
  })

  it('takes no binding of another kind for a secret', async () => {
    const bucket = { get: async () => ({ body: null }) }
    const [problem] = problemsOf(await createConfigReader(bundled)({ ...ENV, CRM_TOKEN: bucket }))
    expect(problem).toMatchObject({
      what: 'The binding CRM_TOKEN cannot be read as a secret',
      seen: 'It is no text',
    })
    expect(problemsOf(await createConfigReader(bundled)({ ...ENV, CRM_TOKEN: 7 }))).toHaveLength(1)
  })

  it('is read once, but a Secrets Store that failed is asked again', async () => {
    let asked = 0
    const flaky = {
      async get() {
        asked += 1
        if (asked === 1) throw new Error('the store is away')
        return 'crm-secret'
      },
    }
    const readConfig = createConfigReader(bundled)
    const env = { ...ENV, CRM_TOKEN: flaky }
    expect(problemsOf(await readConfig(env))).toMatchObject([{ path: 'connections.crm.token' }])
    expect(settings(await readConfig(env), 'crm')).toMatchObject({ token: 'crm-secret' })
    await readConfig(env)
    expect(asked).toBe(2)
  })
})

describe('a Worker whose configuration is wrong', () => {
  it('sends everybody away for a while and tells nobody what is wrong', async () => {
    const response = misconfigured()
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '60'])
    const problem = await response.json()
    expect(problem).toMatchObject({ code: 'config', status: 503 })
    expect(JSON.stringify(problem)).not.toMatch(/CRM_TOKEN|PHONE/)
  })

  it('says all of it in its log', async () => {
    const lines: [string, LogFields | undefined][] = []
    const write = (message: string, fields?: LogFields) => void lines.push([message, fields])
    const problems = problemsOf(await createConfigReader(bundled)({}))
    logProblems(problems, { debug: write, info: write, warn: write, error: write })
    expect(lines).toHaveLength(1 + problems.length)
    expect(lines[0]?.[1]).toEqual({ problems: 3 })
    expect(lines[1]).toEqual([
      'configuration: connections.phone.authToken: The secret PHONE_TOKEN is not set',
      expect.objectContaining({ fix: 'Set it: wrangler secret put PHONE_TOKEN' }),
    ])
  })
})
