import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { Call } from '../../src/call/call.ts'
import { defineConfig, secret } from '../../src/config/define.ts'
import { durationMs, durationText } from '../../src/config/duration.ts'
import { conditionOf } from '../../src/config/filter.ts'
import { configJsonSchema } from '../../src/config/json-schema.ts'
import { type LoadOptions, loadConfig } from '../../src/config/load.ts'
import type { Config } from '../../src/config/model.ts'
import { suggest } from '../../src/config/suggest.ts'
import type { AnalysisRole, Connector, TelephonyRole } from '../../src/connector/contract.ts'
import { defineConnector } from '../../src/connector/contract.ts'
import type { CrmRole } from '../../src/connector/crm-role.ts'
import { secretList, secretValue } from '../../src/connector/secret.ts'

const telephony: TelephonyRole<unknown> = {}
const analysis: AnalysisRole<unknown> = {
  accepts: () => ({ text: true }),
  parts: () => ['analysis'],
  submit: async () => ({ ref: '1' }),
}
const crm: CrmRole<unknown> = {
  indexLagMs: 0,
  match: async () => [],
  plan: () => [],
  write: async () => ({ id: '1' }),
}
const check = async () => ({ says: 'fine' })

const phoneKeys = z.object({ accountSid: z.string().min(1), hookSecret: secretList })
const scribeKeys = z
  .object({
    apiKey: secretValue.describe('from the account page'),
    mode: z.enum(['poll', 'push']).default('poll'),
    hook: secretList.optional(),
    baseUrl: z.url().default('https://scribe.example'),
  })
  .refine(({ mode, hook }) => mode === 'poll' || hook !== undefined, {
    path: ['hook'],
    message: 'a secret, because results are pushed',
  })
const desk = {
  id: 'desk',
  name: 'Desk',
  docs: 'https://desk.example',
  config: z.object({ token: secretValue }),
}

const CONNECTORS: Record<string, Connector> = {
  phone: defineConnector({
    id: 'phone',
    name: 'Phone',
    docs: 'https://phone.example',
    config: phoneKeys,
    check,
    telephony,
  }),
  scribe: defineConnector({
    id: 'scribe',
    name: 'Scribe',
    docs: 'https://scribe.example',
    config: scribeKeys,
    check,
    analysis,
  }),
  desk: defineConnector({ ...desk, check, crm }),
}

const ENV: Record<string, string> = {
  HOOK: 'hook-secret',
  HOOK_OLD: 'hook-old',
  KEY: 'key-secret',
  TOKEN: 'token-secret',
  EMPTY: '',
  BLANK: ' x\n',
}

const options: LoadOptions = {
  connectors: {
    ids: Object.keys(CONNECTORS),
    load: async (id) => CONNECTORS[id] ?? Promise.reject(new Error(`no ${id}`)),
  },
  resolveSecret: (name) => ENV[name],
}

const good = defineConfig({
  publicUrl: 'https://calls.example.com/',
  region: 'fr',
  connections: {
    pbx: { use: 'phone', accountSid: 'AC1', hookSecret: secret('HOOK', 'HOOK_OLD', 'NOT_SET_YET') },
    words: { use: 'scribe', apiKey: secret('KEY'), concurrency: 2 },
    crm: { use: 'desk', token: secret('TOKEN'), region: 'BE', allowPrivate: ['10.0.0.5:8443'] },
  },
  flows: [{ from: ['pbx'], analyze: ['words'], write: ['crm'], when: (call) => call.result === 'answered' }],
  keep: { audio: '12 months', transcript: 'forever' },
})

async function loaded(raw: unknown, more: Partial<LoadOptions> = {}): Promise<Config> {
  const result = await loadConfig(raw, { ...options, ...more })
  if ('problems' in result) throw new Error(JSON.stringify(result.problems, null, 2))
  return result.config
}

async function problemsOf(raw: unknown, more: Partial<LoadOptions> = {}) {
  const result = await loadConfig(raw, { ...options, ...more })
  return 'problems' in result ? result.problems : []
}

const lines = async (raw: unknown) =>
  (await problemsOf(raw)).map(
    ({ path, what, expected, seen, fix }) => `${path}: ${what} | ${expected} | ${seen} | ${fix}`,
  )

describe('a configuration', () => {
  it('comes out with its defaults, its secrets and its connectors', async () => {
    const config = await loaded(good)
    expect(config.publicUrl).toBe('https://calls.example.com')
    expect(config.region).toBe('FR')
    expect(config.keep).toEqual({
      audioMs: 31_556_952_000,
      transcriptMs: undefined,
      deliveriesMs: 2_592_000_000,
    })
    expect(config.connections.get('pbx')).toMatchObject({
      id: 'pbx',
      settings: { accountSid: 'AC1', hookSecret: ['hook-secret', 'hook-old'] },
      region: 'FR',
      concurrency: 8,
      allowPrivate: [],
      recordingWaitMs: undefined,
      secrets: ['hook-secret', 'hook-old'],
    })
    expect(config.connections.get('words')).toMatchObject({
      settings: { apiKey: 'key-secret', mode: 'poll', baseUrl: 'https://scribe.example' },
      concurrency: 2,
    })
    expect(config.connections.get('crm')).toMatchObject({ region: 'BE', allowPrivate: ['10.0.0.5:8443'] })
    expect(config.flows[0]).toMatchObject({ name: 'pbx → words → crm', unknownCaller: 'unmatched' })
  })

  it('takes a limit of deliveries, and a time for calls that outlives what could make them anew', async () => {
    const raw = (keep: object, perMinute: unknown = 600) => ({
      connections: { pbx: { ...good.connections.pbx, deliveriesPerMinute: perMinute } },
      flows: [],
      keep,
    })
    const config = await loaded(raw({ calls: '1 year' }))
    expect(config.connections.get('pbx')?.deliveriesPerMinute).toBe(600)
    expect(config.keep.callsMs).toBe(31_556_952_000)
    expect((await loaded(good)).connections.get('pbx')?.deliveriesPerMinute).toBeUndefined()
    const expected = 'a week at least, and not less than deliveries'
    for (const keep of [
      { calls: '6 days', deliveries: '1 day' },
      { calls: '29 days' },
      { calls: '1 year', deliveries: 'forever' },
    ])
      expect(await problemsOf(raw(keep))).toMatchObject([{ path: 'keep.calls', expected }])
    expect(await problemsOf(raw({ calls: 'forever', deliveries: 'forever' }))).toEqual([])
    expect(await problemsOf(raw({}, 0))).toMatchObject([{ path: 'connections.pbx.deliveriesPerMinute' }])
  })

  it('is the same in JSON', async () => {
    const json = JSON.parse(
      JSON.stringify({ ...good, flows: [{ ...good.flows[0], when: { result: 'answered' } }] }),
    )
    const config = await loaded({ $schema: './schema.json', ...json })
    expect(config.flows[0]?.when?.({ result: 'answered' } as Call)).toBeNull()
    expect(config.flows[0]?.when?.({ result: 'busy' } as Call)).toBe('result: wanted answered, seen busy')
  })

  it('takes a connector of one’s own, and secrets in plain where it was made in code', async () => {
    const raw = { connections: { own: { use: CONNECTORS.desk, token: 'plain-secret' } }, flows: [] }
    expect(await lines(raw)).toHaveLength(1)
    const config = await loaded(raw, { plainSecrets: new Set(['own']) })
    expect(config.connections.get('own')?.secrets).toEqual(['plain-secret'])
  })

  it('has a hash that follows its content, not its order and not its secrets', async () => {
    const first = await loaded(good)
    const { connections, ...rest } = good
    const turned = { connections: Object.fromEntries(Object.entries(connections).reverse()), ...rest }
    expect((await loaded(turned)).hash).toBe(first.hash)
    expect((await loaded(good, { resolveSecret: () => 'changed' })).hash).toBe(first.hash)
    expect((await loaded({ ...good, region: 'DE' })).hash).not.toBe(first.hash)

    const plain = (token: string) => ({ connections: { crm: { use: 'desk', token } }, flows: [] })
    const [one, two] = [plain('secret-one'), plain('secret-two')]
    expect((await loaded(one, { plainSecrets: true })).hash).toBe(
      (await loaded(two, { plainSecrets: true })).hash,
    )
  })

  it('gives a flow a version that changes only with that flow', async () => {
    const [first] = (await loaded(good)).flows
    const [same] = (await loaded({ ...good, region: 'DE' })).flows
    const [other] = (await loaded({ ...good, flows: [{ ...good.flows[0], when: { minTalkMs: 1 } }] })).flows
    expect(same?.version).toBe(first?.version)
    expect(other?.version).not.toBe(first?.version)
    expect(first?.version).toMatch(/^[0-9a-f]{16}$/)
  })
})

describe('a wrong configuration', () => {
  it('lists every problem at once, each with what was expected, seen and to do', async () => {
    const wrong = {
      conections: {},
      publicUrl: 'http://calls.example.com',
      connections: {
        pbx: { use: 'phnoe' },
        words: { use: 'scribe', apiKey: 'sk-123', mode: 'pull', cocurrency: 2, baseUrl: 'http://10.0.0.9' },
        crm: { use: 'desk', token: secret('MISSING') },
        'Not Valid': { use: 'desk', token: secret('TOKEN') },
      },
      flows: [
        { from: ['crm'], analyze: ['wrds'], write: ['crm', 'crm'], when: { direction: 'in' } },
        { from: ['crm'], analyze: ['wrds'], write: ['crm', 'crm'] },
      ],
      keep: { audio: '12 moons' },
    }
    expect(await lines(wrong)).toEqual([
      'conections: There is no key conections here | publicUrl, region, connections, keep or flows | conections | Did you mean connections?',
      'publicUrl: publicUrl is not valid | https (http only for this machine itself) | "http://calls.example.com" | Write the address vendors call, such as https://calls.example.com',
      'connections["Not Valid"]: The name Not Valid is not valid | lower-case letters, digits and "-", at most 63 | Not Valid | Name connections with lower-case letters, digits and "-", such as support-paris',
      'connections.pbx.use: There is no connector "phnoe" | phone, scribe or desk | "phnoe" | Did you mean phone?',
      'connections.words.cocurrency: There is no key cocurrency here | apiKey, mode, hook, baseUrl, use, allowPrivate, region, concurrency, deliveriesPerMinute, minutesPerDay, recordingWaitMs, reconcile, subscribe, indexLagMs, measureTracks, redact or gather | cocurrency | Did you mean concurrency?',
      'connections.words.apiKey: A secret stands in the configuration itself | a reference to a secret | text (not shown) | Put it into the environment as WORDS_API_KEY and write secret(\'WORDS_API_KEY\'), in JSON {"$secret": "WORDS_API_KEY"}',
      'connections.words.mode: mode is not valid | "poll" or "push" | "pull" | Change it to "poll" or "push"',
      'connections.words.baseUrl: Credentials and recordings would travel readable | https | "http://10.0.0.9" | Use https; if 10.0.0.9 is yours, add allowPrivate: [\'10.0.0.9\']',
      'connections.crm.token: The secret MISSING is not set | a value in MISSING | nothing | Set MISSING in the environment, or MISSING_FILE to a file that holds it',
      'flows[0].when.direction: direction is not valid | "inbound", "outbound" or "internal" | "in" | Change it to "inbound", "outbound" or "internal"',
      'flows[1].from[0]: The connection crm has no role telephony | a connection with the role telephony | crm (crm) | Name a telephony connection in from',
      'flows[1].analyze[0]: There is no connection wrds | words | wrds | Did you mean words?',
      'flows[1].write[1]: crm is named twice | each connection once | crm | Remove one crm',
      'keep.audio: audio is not valid | a length of time or "forever" | "12 moons" | Write it as in: 30 days, 12 months, forever',
    ])
  })

  const one = (keys: object) => ({ connections: { it: keys }, flows: [] })

  it.each([
    ['EMPTY', 'The secret EMPTY is set but empty'],
    ['BLANK', 'The secret BLANK starts or ends with white space'],
  ])('refuses the secret %s', async (name, what) => {
    expect(await problemsOf(one({ use: 'desk', token: secret(name) }))).toMatchObject([{ what }])
  })

  it('gathers calls only where the service takes many, and never more than it takes', async () => {
    const scribe = (more: object) => ({
      use: 'scribe',
      apiKey: secret('KEY'),
      gather: { count: 50 },
      ...more,
    })
    expect(await lines(one(scribe({})))).toEqual([
      'connections.it.gather: Scribe takes no files of many calls | no gather | gather | Remove gather: each call is handed over by itself',
    ])
    const batch = {
      maxCount: 20,
      maxBytes: 1000,
      maxAgeMs: 10_000,
      validate: () => undefined,
      submit: async () => [],
    }
    const many = { ...CONNECTORS.scribe, analysis: { ...analysis, batch } }
    const config = await loaded(one(scribe({ use: many })))
    expect(config.connections.get('it')?.gather).toEqual({ count: 20, bytes: 1000, ageMs: 10_000 })
  })

  it('names the reference to add where a secret is missing', async () => {
    expect(await lines(one({ use: 'desk' }))).toEqual([
      "connections.it.token: token is missing | a reference to a secret | nothing | Add token: secret('IT_TOKEN')",
    ])
  })

  it('says what a connector’s own rule says', async () => {
    const [problem] = await problemsOf(one({ use: 'scribe', apiKey: secret('KEY'), mode: 'push' }))
    expect(problem).toMatchObject({
      path: 'connections.it.hook',
      expected: 'a secret, because results are pushed',
    })
  })

  it('says what is wrong with a baseUrl once, in words of its own, and an empty list is called one', async () => {
    const scribe = { use: 'scribe', apiKey: secret('KEY') }
    expect(await lines(one({ ...scribe, baseUrl: '' }))).toEqual([
      'connections.it.baseUrl: baseUrl is not valid | an http or https URL | "" | Change it to an http or https URL',
    ])
    const fussy = defineConnector({
      ...desk,
      check,
      crm,
      config: z
        .object({ home: z.url(), lines: z.array(z.string()).min(1), day: z.string().regex(/^[a-z]{3}$/) })
        .refine(() => false, 'set both or neither'),
    })
    expect(await lines(one({ use: fussy, home: 'x', lines: [], day: 'x' }))).toEqual([
      'connections.it.home: home is not valid | an http or https URL | "x" | Change it to an http or https URL',
      'connections.it.lines: lines is not valid | a list that is not empty | an empty list | Change it to a list that is not empty',
      'connections.it.day: day is not valid | text such as /^[a-z]{3}$/ takes | "x" | Change it to text such as /^[a-z]{3}$/ takes',
      'connections.it: These keys do not fit together | set both or neither | an object | Change it: set both or neither',
    ])
  })

  it('refuses a baseUrl that the connector does not know', async () => {
    const [problem] = await problemsOf(
      one({ use: 'desk', token: secret('TOKEN'), baseUrl: 'https://x.example' }),
    )
    expect(problem).toMatchObject({ path: 'connections.it.baseUrl', fix: 'Remove baseUrl' })
  })

  it('refuses two flows of one name', async () => {
    const flow = good.flows[0]
    const [problem] = await problemsOf({ ...good, flows: [flow, flow] })
    expect(problem).toMatchObject({ path: 'flows[1].name', fix: 'Give each of them its own name' })
  })

  it.each([
    ['https://calls.example.com/hooks/pbx', 'the base of the hooks, without /hooks/<connection>'],
    ['https://user:pw@calls.example.com', 'a URL without user and password'],
    ['https://calls.example.com/?a=1', 'a URL without "?" and "#"'],
    ['calls.example.com', 'an absolute https URL'],
  ])('refuses the public URL %s', async (publicUrl, expected) => {
    expect(await problemsOf({ ...good, publicUrl })).toMatchObject([{ path: 'publicUrl', expected }])
  })

  it('takes http for this machine itself', async () => {
    expect((await loaded({ ...good, publicUrl: 'http://127.0.0.1:8080/' })).publicUrl).toBe(
      'http://127.0.0.1:8080',
    )
  })

  it.each([
    [undefined],
    [null],
    ['text'],
    [[]],
    [42],
    [{ connections: [], flows: {} }],
    [{ connections: { a: null }, flows: [3] }],
  ])('survives %j as a whole', async (raw) => {
    expect((await problemsOf(raw)).length).toBeGreaterThan(0)
  })

  it('never shows a secret’s value', async () => {
    const raw = one({ use: 'scribe', apiKey: 'sk-very-secret', hook: ['sk-very-secret', 3] })
    expect(JSON.stringify(await problemsOf(raw))).not.toContain('sk-very-secret')
  })
})

describe('the JSON Schema', () => {
  const schema = configJsonSchema(Object.values(CONNECTORS))
  const { $schema: _, $defs: defs, ...rest } = schema
  // Published as draft 2020-12; what zod reads back does not know `propertyNames` with a pattern everywhere.
  const accepts = (value: unknown) =>
    z.fromJSONSchema({ $defs: defs, ...rest } as never).safeParse(value).success
  const json = JSON.parse(
    JSON.stringify({ ...good, flows: [{ ...good.flows[0], when: { minTalkMs: 15000 } }] }),
  )

  it('accepts what the loader accepts', async () => {
    await loaded(json)
    expect(accepts(json)).toBe(true)
  })

  it('tells connections apart by `use` and refuses what does not belong', () => {
    const connection = (keys: object) => ({ connections: { it: keys }, flows: [] })
    expect(accepts(connection({ use: 'desk', token: { $secret: 'TOKEN' } }))).toBe(true)
    expect(accepts(connection({ use: 'desk', token: 'plain' }))).toBe(false)
    expect(
      accepts(connection({ use: 'desk', token: { $secret: 'TOKEN' }, apiKey: { $secret: 'KEY' } })),
    ).toBe(false)
    expect(accepts(connection({ use: 'nobody' }))).toBe(false)
    expect(accepts({ ...json, region: 5 })).toBe(false)
  })
})

describe('a flow’s filter', () => {
  const call = {
    direction: 'inbound',
    result: 'answered',
    talkMs: 20_000,
    segment: 'sales',
    language: 'fr-CA',
  } as Call
  it.each([
    [{}, true],
    [{ direction: 'inbound' }, true],
    [{ direction: ['outbound', 'internal'] }, false],
    [{ minTalkMs: 20_000 }, true],
    [{ minTalkMs: 20_001 }, false],
    [{ language: 'fr' }, true],
    [{ language: ['de', 'fr-CA'] }, true],
    [{ language: 'f' }, false],
    [{ segment: 'sales', result: 'busy' }, false],
  ] as const)('%j: %s', (filter, expected) => {
    expect(conditionOf(filter)?.(call) === null).toBe(expected)
  })

  it('takes no call that does not say what the filter asks', () => {
    const empty = { legs: [] } as unknown as Call
    expect(conditionOf({ minTalkMs: 0 })?.(empty)).toBe('minTalkMs: wanted 0, seen nothing')
    expect(conditionOf({ language: 'fr' })?.(empty)).toBe('language: wanted fr, seen nothing')
    expect(conditionOf(undefined)).toBeUndefined()
  })
})

describe('small words', () => {
  it.each([
    ['conections', 'connections'],
    ['regoin', 'region'],
    ['xyz', null],
  ])('%s → %s', (word, meant) => {
    expect(suggest(word, ['connections', 'region', 'flows'])).toBe(meant)
  })

  it('reads and writes lengths of time', () => {
    expect(durationMs('30 days')).toBe(30 * 86_400_000)
    expect(durationMs('forever')).toBeUndefined()
    for (const text of ['1 year', '12 minutes', '36 hours', '2 weeks']) {
      expect(durationMs(durationText(durationMs(text)))).toBe(durationMs(text))
    }
  })
})
