import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { Call } from '../../src/call/call.ts'
import { configJsonSchema } from '../../src/config/json-schema.ts'
import { loadConfig } from '../../src/config/load.ts'
import type { Flow } from '../../src/config/model.ts'
import { defineConnector } from '../../src/connector/contract.ts'
import { type CrmRole, PREFERENCES } from '../../src/connector/crm-role.ts'
import { choose } from '../../src/pipeline/choose.ts'
import { commonCall } from '../kit/connector/samples.ts'

/** What a flow says of its CRMs: which, with which fields of the operator's own, and which of several records is taken. */

const crm: CrmRole<unknown> = {
  indexLagMs: 0,
  match: async () => [],
  plan: () => [],
  write: async () => ({ id: '1' }),
}
const base = { docs: 'https://desk.example', config: z.object({}), check: async () => ({ says: 'fine' }) }
const CONNECTORS = [
  defineConnector({ ...base, id: 'phone', name: 'Phone', telephony: {} }),
  defineConnector({ ...base, id: 'desk', name: 'Desk', crm: { ...crm, fields: async () => [] } }),
  defineConnector({ ...base, id: 'plain', name: 'Plain', crm }),
]
const options = {
  connectors: {
    ids: CONNECTORS.map(({ id }) => id),
    load: async (id: string) => CONNECTORS.find((one) => one.id === id) ?? Promise.reject(new Error(id)),
  },
  resolveSecret: () => undefined,
}
const load = (...flows: Record<string, unknown>[]) =>
  loadConfig(
    {
      connections: { pbx: { use: 'phone' }, crm: { use: 'desk' }, plain: { use: 'plain' } },
      flows: flows.map((flow) => ({ from: ['pbx'], analyze: [], ...flow })),
    },
    options,
  )

async function flowsOf(...flows: Record<string, unknown>[]): Promise<Flow[]> {
  const result = await load(...flows)
  if ('problems' in result) throw new Error(JSON.stringify(result.problems))
  return [...result.config.flows]
}
async function flowOf(flow: Record<string, unknown>): Promise<Flow> {
  const [one] = await flowsOf(flow)
  return one ?? expect.fail('no flow')
}
async function problemsOf(...flows: Record<string, unknown>[]): Promise<string[]> {
  const result = await load(...flows)
  if (!('problems' in result)) return []
  return result.problems.map(({ path, what, expected, seen, fix }) =>
    [path, what, expected, seen, fix].join(' | '),
  )
}

describe('how long a caller whom nobody knows is waited for', () => {
  const of = async (keys: Record<string, unknown>) => {
    const connections = {
      pbx: { use: 'phone', ...(keys.pbx as object) },
      crm: { use: 'desk', ...(keys.crm as object) },
    }
    return loadConfig({ connections, flows: [{ from: ['pbx'], analyze: [], write: ['crm'] }] }, options)
  }

  it('is a key of CRM connections, and of no other', async () => {
    const loaded = await of({ crm: { indexLagMs: 5_000 } })
    if ('problems' in loaded) throw new Error(JSON.stringify(loaded.problems))
    expect(loaded.config.connections.get('crm')?.indexLagMs).toBe(5_000)
    const wrong = await of({ pbx: { indexLagMs: 5_000 } })
    expect('problems' in wrong && wrong.problems).toMatchObject([
      { path: 'connections.pbx.indexLagMs', what: 'Phone is no CRM', fix: 'Remove indexLagMs' },
    ])
  })
})

describe('what a flow writes to', () => {
  it('is a list, or each CRM with its fields, in TypeScript also with a function', async () => {
    const list = await flowOf({ write: ['crm', 'plain'] })
    expect([list.write, list.fields.size]).toEqual([['crm', 'plain'], 0])
    const object = await flowOf({ write: { crm: { score: 'scores.csat' }, plain: {} } })
    expect(object.write).toEqual(['crm', 'plain'])
    expect([...object.fields.keys()]).toEqual(['crm'])
    expect(object.fields.get('crm')?.names).toEqual([{ name: 'score', type: 'number' }])
    const byFunction = await flowOf({ write: { crm: ({ reference }: Call) => ({ order: reference }) } })
    expect(byFunction.fields.get('crm')?.names).toBeNull()
    const call = { ...commonCall(), reference: 'order 7' }
    expect(byFunction.fields.get('crm')?.of(call, null)).toEqual({ order: 'order 7' })
  })

  it('names the flow alike in every form, so that a mapping can be added without renaming it', async () => {
    const forms = [['crm'], { crm: {} }, { crm: { a: 'summary' } }, { crm: () => ({}) }]
    const names = await Promise.all(forms.map(async (write) => (await flowOf({ write })).name))
    expect(new Set(names)).toEqual(new Set(['pbx → crm']))
    expect((await flowOf({ write: { crm: {}, plain: {} } })).name).toBe('pbx → crm + plain')
    expect(await problemsOf({ write: ['crm'] }, { write: { crm: {} } })).toEqual([
      expect.stringMatching(/^flows\[1\]\.name \| Two flows have the name "pbx → crm"/),
    ])
  })

  it.each([
    [
      { cmr: { a: 'summary' } },
      'flows[0].write.cmr | There is no connection cmr | crm or plain | cmr | Did you mean crm?',
    ],
    [
      { pbx: {} },
      'flows[0].write.pbx | The connection pbx has no role crm | crm or plain | pbx (telephony) | Name a crm connection in write',
    ],
    [
      ['crm', 'cmr'],
      'flows[0].write[1] | There is no connection cmr | crm or plain | cmr | Did you mean crm?',
    ],
    [
      { plain: { a: 'summary' } },
      'flows[0].write.plain | plain takes no fields of your own | no fields: this CRM has none on its record of a call | fields | Name plain without fields: { "plain": {} }',
    ],
    [
      { crm: { a: 'sumary' } },
      'flows[0].write.crm.a | This path leads nowhere | a path into the analysis, or into the call after "call." | sumary | Did you mean summary?',
    ],
    [
      { crm: { a: 'call.custmer.name' } },
      'flows[0].write.crm.a | This path leads nowhere | a path into the analysis, or into the call after "call." | call.custmer.name | Did you mean call.customer.name?',
    ],
    [
      { crm: { a: '' } },
      'flows[0].write.crm.a | a is not valid | text that is not empty | "" | Change it to text that is not empty',
    ],
    [{ crm: { a: 5 } }, 'flows[0].write.crm.a | a is not valid | text | 5 | Change it to text'],
    [{ crm: null }, 'flows[0].write.crm | crm is not valid | an object | null | Change it to an object'],
    [
      { crm: { 'a b': 'summary' } },
      'flows[0].write.crm["a b"] | The name a b is not valid | the name of a field, as the CRM’s API has it | a b | Write the name that the CRM’s API has for the field, such as Call_Score__c',
    ],
    [
      { 'A b': {} },
      'flows[0].write["A b"] | The name A b is not valid | lower-case letters, digits and "-", at most 63 | A b | Name connections with lower-case letters, digits and "-", such as support-paris',
    ],
    [
      'crm',
      'flows[0].write | write is not valid | a list or an object | "crm" | Change it to a list or an object',
    ],
    [
      () => ({}),
      'flows[0].write | write is not valid | a list or an object | a function | Change it to a list or an object',
    ],
  ])('%j is refused where it is wrong', async (write, problem) => {
    expect(await problemsOf({ write })).toEqual([problem])
  })

  it('with a function where the CRM has no fields is refused as well', async () => {
    expect(await problemsOf({ write: { plain: () => ({}) } })).toEqual([
      expect.stringContaining('plain takes no fields of your own'),
    ])
  })

  it('tells all that is wrong at once, each in its place', async () => {
    const write = { cmr: { a: 'sumary' }, crm: { b: 'scores', c: 'call.legs' } }
    const paths = (await problemsOf({ write })).map((line) => line.split(' | ')[0])
    expect(paths).toEqual([
      'flows[0].write.cmr',
      'flows[0].write.cmr.a',
      'flows[0].write.crm.b',
      'flows[0].write.crm.c',
    ])
  })

  it('may have fields that are named like what every object has, and nothing else is touched by them', async () => {
    const names = JSON.parse('{ "constructor": "summary", "toString": "title", "__proto__": "sentiment" }')
    const flow = await flowOf({ write: { crm: names } })
    const fields = flow.fields.get('crm')?.of(commonCall(), { summary: 's', title: 't', sentiment: 'mixed' })
    expect(Object.entries(fields ?? {})).toEqual([
      ['constructor', 's'],
      ['toString', 't'],
    ])
    expect(Object.getPrototypeOf(fields)).toBe(Object.prototype)
    const given = JSON.parse('{ "__proto__": "x" }')
    const byFunction = await flowOf({ write: { crm: () => given } })
    const own = byFunction.fields.get('crm')?.of(commonCall(), null) ?? {}
    expect([Object.entries(own), Object.getPrototypeOf(own)]).toEqual([
      [['__proto__', 'x']],
      Object.prototype,
    ])
    expect('sentiment' in {}).toBe(false)
  })
})

describe('the version of a flow', () => {
  const version = async (write: unknown, more = {}) => (await flowOf({ write, ...more })).version

  it('changes with a mapping, with its function and with its rule, and with nothing else', async () => {
    const all = await Promise.all([
      version(['crm']),
      version({ crm: { a: 'summary' } }),
      version({ crm: { b: 'summary' } }),
      version({ crm: { a: 'title' } }),
      version({ crm: () => ({ a: 1 }) }),
      version({ crm: () => ({ a: 2 }) }),
      version(['crm'], { prefer: ['newest'] }),
      version(['crm'], { prefer: [] }),
      // Named like what a connector has.
      version({ crm: { check: 'summary', config: 'title', id: 'call.id' } }),
      version({ crm: { check: 'sentiment', config: 'title', id: 'call.id' } }),
    ])
    expect(new Set(all).size).toBe(all.length)
    expect(await version({ crm: { a: 'summary', b: 'title' } })).toBe(
      await version({ crm: { b: 'title', a: 'summary' } }),
    )
  })
})

describe('which of several records a flow takes', () => {
  it('is by open deals and the last activity where it says nothing, by nobody’s rule where the list is empty', async () => {
    expect((await flowOf({ write: ['crm'] })).prefer).toEqual(['open deal', 'last activity'])
    expect((await flowOf({ write: ['crm'], prefer: [] })).prefer).toEqual([])
    expect((await flowOf({ write: ['crm'], prefer: [...PREFERENCES] })).prefer).toEqual(PREFERENCES)
  })

  it.each([
    [
      ['oldest'],
      /^flows\[0\]\.prefer\[0\] \| .* \| "open deal", "last activity", "owner is the agent" or "newest" \|/,
    ],
    ['newest', /^flows\[0\]\.prefer \| prefer is not valid \| a list \| "newest" \|/],
    [
      Array(5).fill('newest'),
      /^flows\[0\]\.prefer \| prefer is not valid \| a list of at most 4 \| a list of 5/,
    ],
  ])('%j is refused', async (prefer, says) => {
    expect(await problemsOf({ write: ['crm'], prefer })).toEqual([expect.stringMatching(says)])
  })

  it('said twice it decides as if it were said once', async () => {
    const { prefer } = await flowOf({ write: ['crm'], prefer: ['newest', 'newest'] })
    const candidates = ['2026-01-01', '2026-02-01', '2026-02-01'].map((day, at) => ({
      type: 'contact',
      id: String(at),
      reason: 'same number',
      createdAt: `${day}T00:00:00Z`,
    }))
    expect(choose(candidates, prefer).best).toBeNull()
    expect(choose(candidates.slice(0, 2), prefer).best?.id).toBe('1')
  })
})

describe('the JSON Schema', () => {
  it('describes mappings and rules as a file can hold them', () => {
    const flow = configJsonSchema(CONNECTORS).properties?.flows?.items
    expect(flow?.required).toEqual(['from', 'analyze', 'write'])
    const [list, object] = flow?.properties?.write?.anyOf ?? []
    expect(list).toMatchObject({ type: 'array', items: { type: 'string' } })
    expect(object).toMatchObject({
      type: 'object',
      additionalProperties: {
        type: 'object',
        additionalProperties: { type: 'string', minLength: 1, maxLength: 400 },
        propertyNames: { pattern: '^[A-Za-z][\\w.]{0,254}$' },
      },
    })
    expect(JSON.stringify(object)).toContain('scores.csat')
    expect(flow?.properties?.write?.description).toMatch(/^CRM connections; as an object/)
    const prefer = flow?.properties?.prefer
    expect(prefer).toMatchObject({
      type: 'array',
      items: { enum: [...PREFERENCES] },
      default: ['open deal', 'last activity'],
      maxItems: 4,
    })
    expect(prefer?.description).toContain('a person chooses')
  })
})
