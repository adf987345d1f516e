import { describe, expect, test } from 'vitest'
import { salesforce } from '../../connectors/salesforce/client.ts'
import { longId } from '../../connectors/salesforce/inbound/id.ts'
import { withMerges } from '../../connectors/salesforce/inbound/merged.ts'
import { escaped, phoneSearch } from '../../connectors/salesforce/map/search.ts'
import type { Call } from '../../src/call/call.ts'
import { CUSTOMER, commonCall } from '../kit/connector/samples.ts'
import { crm, ctxOf, make, mapContext, open, type Settings, spied } from './salesforce-world.ts'

const lead = (values: Record<string, string> = {}) => ({
  LastName: 'Lead',
  Company: 'Dupont',
  Phone: CUSTOMER,
  ...values,
})
const contact = (values: Record<string, string | boolean> = {}) => ({
  type: 'Contact',
  values: { LastName: 'Contact', Phone: CUSTOMER, ...values },
})

describe('the search', () => {
  test('each reserved sign has its backslash', () => {
    const reserved = '&|!(){}[]^"~*?:\\\'+-'
    expect(escaped(reserved)).toBe([...reserved].map((sign) => `\\${sign}`).join(''))
    expect(escaped('06 39.98/01')).toBe('06 39.98/01')
  })

  test('every spelling is a phrase, and the national digits stand behind a wildcard', () => {
    const sosl = phoneSearch(CUSTOMER, { personAccounts: false })
    expect(sosl).toMatch(/^FIND \{"\\\+33639980142" OR /)
    expect(sosl).toContain('"06 39 98 01 42" OR ')
    expect(sosl).toContain(' OR *639980142} IN PHONE FIELDS RETURNING Contact(')
    expect(sosl).toContain(
      'Lead(Id, Name, OwnerId, LastActivityDate, CreatedDate, Phone, MobilePhone, IsConverted WHERE IsConverted = false LIMIT 50)',
    )
    expect(sosl).not.toContain('IsPersonAccount')
    expect(phoneSearch(CUSTOMER, { personAccounts: true })).toContain('IsPersonAccount')
  })

  const stored = [
    '+33639980142',
    '0639980142',
    '06 39 98 01 42',
    '06.39.98.01.42',
    '06-39-98-01-42',
    '(06) 39980142',
    '+33 6 39 98 01 42',
    '+33 (0)6 39 98 01 42',
    '0033639980142',
    '33639980142',
  ]
  test.each(stored)('a contact whose number is written %s is found', async (phone) => {
    const world = await open()
    const id = world.sandbox.addContact?.({ name: 'Jean', phone })
    expect(await crm.match(commonCall(), ctxOf(world), [])).toMatchObject([
      { type: 'contact', id, name: 'Jean' },
    ])
  })

  test.each(['MobilePhone', 'HomePhone', 'OtherPhone'])('by its %s too', async (name) => {
    const world = await open()
    const id = await make(world, 'Contact', { LastName: 'Jean', [name]: '06 39 98 01 42' })
    expect(await crm.match(commonCall(), ctxOf(world), [])).toMatchObject([{ type: 'contact', id }])
  })

  test('numbers that only look like it are not taken', async () => {
    const world = await open()
    world.sandbox.addContact?.({ name: 'Elsewhere', phone: '+44 639980142' })
    world.sandbox.addContact?.({ name: 'Longer', phone: '+33199639980142' })
    expect(await crm.match(commonCall(), ctxOf(world), [])).toEqual([])
  })

  test('what was written a moment ago is not in the index yet, and then it is', async () => {
    const world = await open({ indexLagMs: 45_000 })
    const id = await make(world, 'Contact', { LastName: 'Jean', Phone: CUSTOMER })
    expect(await crm.match(commonCall(), ctxOf(world), [])).toEqual([])
    await world.advance(crm.indexLagMs)
    expect(await crm.match(commonCall(), ctxOf(world), [])).toMatchObject([{ id }])
  })
})

describe('who comes first', () => {
  test('contacts before leads, leads before accounts', async () => {
    const world = await open()
    const account = await make(world, 'Account', { Name: 'Dupont SARL', Phone: CUSTOMER })
    expect(await crm.match(commonCall(), ctxOf(world), [])).toMatchObject([{ type: 'account', id: account }])
    const own = await make(world, 'Lead', lead())
    expect(await crm.match(commonCall(), ctxOf(world), [])).toMatchObject([{ type: 'lead', id: own }])
    const person = await make(world, 'Contact', { LastName: 'Jean', Phone: CUSTOMER })
    expect(await crm.match(commonCall(), ctxOf(world), [])).toMatchObject([{ type: 'contact', id: person }])
  })

  test('a lead that was converted is nobody any more', async () => {
    const world = await open({ records: [{ type: 'Lead', values: { ...lead(), IsConverted: true } }] })
    expect(await crm.match(commonCall(), ctxOf(world), [])).toEqual([])
  })

  test('a person account is the contact inside it, and is not there twice', async () => {
    const person = {
      Name: 'Jean',
      IsPersonAccount: true,
      PersonContactId: '003d00000000099AAA',
      PersonMobilePhone: CUSTOMER,
    }
    const records = [{ type: 'Account', values: person }]
    const world = await open({ personAccounts: true, records })
    expect(await crm.match(commonCall(), ctxOf(world), [])).toMatchObject([
      { type: 'contact', id: '003d00000000099AAA', name: 'Jean' },
    ])
  })

  test('of several: the last activity, then the oldest; the reason tells no number', async () => {
    const records = [
      contact({ LastName: 'younger', CreatedDate: '2025-02-01T00:00:00.000+0000' }),
      contact({ LastName: 'older', CreatedDate: '2024-02-01T00:00:00.000+0000' }),
      contact({ LastName: 'active', LastActivityDate: '2026-03-01' }),
    ]
    const world = await open({ records })
    const found = await crm.match(commonCall(), ctxOf(world), [])
    expect(found.map(({ name }) => name)).toEqual(['active', 'older', 'younger'])
    expect(found[0]).toMatchObject({
      reason: 'same number as 2 more, last activity 3 days ago',
      lastActivityAt: '2026-03-01T00:00:00.000Z',
      url: `https://salesforce.example.com/${found[0]?.id}`,
    })
    expect(found[1]).toMatchObject({
      reason: 'same number as 2 more, no activity noted',
      createdAt: '2024-02-01T00:00:00.000Z',
    })
    expect(found[0]).not.toHaveProperty('ownerId')
  })

  test('the addresses that all orgs share lead to no record', () => {
    const target = { type: 'contact', id: '003d00000000001AAA' }
    const url = (baseUrl: string) => crm.recordUrl?.(target, mapContext({ baseUrl }).config)
    expect(url('https://login.salesforce.com')).toBeNull()
    expect(url('https://acme.my.salesforce.com/')).toBe('https://acme.my.salesforce.com/003d00000000001AAA')
  })
})

describe('what the rule of a flow asks for', () => {
  const two = (owner: string) => [
    contact({ LastName: 'theirs', OwnerId: owner }),
    contact({ LastName: 'other', OwnerId: '005d00000000099AAA' }),
  ]
  const users = [{ email: 'alice.martin@example.com', timeZone: 'Europe/Paris' }]
  const agentId = '005d00000000002AAA'

  test('the agent is the owner, by e-mail address or as the operator says', async () => {
    const byName = async (settings: Settings, call: Partial<Call> = {}) => {
      const world = await open({ users, records: two(agentId), ...settings })
      const found = await crm.match({ ...commonCall(), ...call }, ctxOf(world), ['owner is the agent'])
      return Object.fromEntries(found.map(({ name, isAgents }) => [name, isAgents]))
    }
    expect(await byName({})).toEqual({ theirs: true, other: false })
    expect(await byName({ users: [], owners: { map: { '101': agentId.slice(0, 15) } } })).toEqual({
      theirs: true,
      other: false,
    })
    // Whoever stands in for an agent that is no user is not the agent.
    const nameless = { agent: { name: 'Alice' } }
    expect(await byName({ users: [], owners: { fallback: agentId } }, nameless)).toEqual({
      theirs: undefined,
      other: undefined,
    })
  })

  test('open opportunities by the contact’s role in them', async () => {
    const world = await open({ records: two(agentId) })
    const [first, second] = await crm.match(commonCall(), ctxOf(world), [])
    const role = (ContactId: string | undefined, isClosed: boolean) => ({
      type: 'OpportunityContactRole',
      values: { ContactId: ContactId ?? '', 'Opportunity.IsClosed': isClosed },
    })
    const again = await open({ records: [...two(agentId), role(first?.id, true), role(second?.id, false)] })
    const found = await crm.match(commonCall(), ctxOf(again), ['open deal'])
    expect(found.map(({ hasOpenDeal }) => hasOpenDeal)).toEqual([false, true])
  })

  test('open opportunities of accounts are their own', async () => {
    const world = await open()
    const ids = [
      await make(world, 'Account', { Name: 'A', Phone: CUSTOMER }),
      await make(world, 'Account', { Name: 'B', Phone: CUSTOMER }),
    ]
    await make(world, 'Opportunity', { Name: 'o', AccountId: ids[0] ?? '', IsClosed: true })
    await make(world, 'Opportunity', { Name: 'p', AccountId: ids[1] ?? '', IsClosed: false })
    const found = await crm.match(commonCall(), ctxOf(world), ['open deal'])
    expect(Object.fromEntries(found.map(({ id, hasOpenDeal }) => [id, hasOpenDeal]))).toEqual({
      [ids[0] ?? '']: false,
      [ids[1] ?? '']: true,
    })
  })

  const lone: [string, Settings][] = [
    ['one record', { records: [contact()] }],
    ['twenty-one of them', { records: Array.from({ length: 21 }, (_, i) => contact({ LastName: `c${i}` })) }],
  ]
  test.each(lone)('for %s nothing more is asked', async (_what, settings) => {
    const world = await open(settings)
    const { ctx, asked } = spied(world)
    await crm.match(commonCall(), ctx, ['open deal', 'owner is the agent'])
    expect(asked.map(({ path }) => path)).toEqual(['/search'])
  })

  test('leads have no opportunity to ask for', async () => {
    const world = await open()
    await make(world, 'Lead', lead())
    await make(world, 'Lead', lead({ LastName: 'other' }))
    const found = await crm.match(commonCall(), ctxOf(world), ['open deal'])
    expect(found.map((one) => Object.hasOwn(one, 'hasOpenDeal'))).toEqual([false, false])
  })
})

describe('nobody', () => {
  const calls: [string, Partial<Call>][] = [
    ['a withheld number', { customer: { phone: null, phoneRaw: 'anonymous' } }],
    ['no customer', { customer: undefined }],
    ['an internal call', { direction: 'internal' }],
    ['an own line', { customer: { phone: '+33199001234', phoneRaw: '' } }],
  ]
  test.each(calls)('%s is nobody, and nothing is asked', async (_what, call) => {
    const world = await open()
    expect(await crm.match({ ...commonCall(), ...call }, ctxOf(world), [])).toEqual([])
    expect(world.requests()).toBe(0)
    expect(crm.newContact?.({ ...commonCall(), ...call }, mapContext())).toBeNull()
  })
})

describe('a record that the phone system named', () => {
  const named = (id: string) => ({
    ...commonCall(),
    customer: { phone: CUSTOMER, phoneRaw: '', crm: { acme: id } },
  })

  test('is taken, if it is there', async () => {
    const world = await open()
    const id = world.sandbox.addContact?.({ name: 'Named', phone: '+33199000001' }) ?? ''
    const byNumber = world.sandbox.addContact?.({ name: 'Jean', phone: CUSTOMER })
    const reason = 'the phone system named this record'
    expect(await crm.match(named(id), ctxOf(world), [])).toMatchObject([{ type: 'contact', id, reason }])
    expect(await crm.match(named(id.slice(0, 15)), ctxOf(world), [])).toMatchObject([{ id }])
    for (const other of ['003d00000000099AAA', '00Td00000000001EAA', "003' OR Id != '", '../Task', '']) {
      expect(await crm.match(named(other), ctxOf(world), [])).toMatchObject([{ id: byNumber }])
    }
  })

  test('a lead is the contact that it was converted to', async () => {
    const became = { IsConverted: true, ConvertedContactId: '003d00000000099AAA' }
    const world = await open({ records: [{ type: 'Lead', values: { ...lead(), ...became } }] })
    const id = world.sandbox.book().find(({ kind }) => kind === 'contact')?.id ?? ''
    expect(await crm.match(named(id), ctxOf(world), [])).toMatchObject([
      { type: 'contact', id: '003d00000000099AAA' },
    ])
  })
})

describe('an unknown caller', () => {
  const names: [string | undefined, string][] = [
    ['Nguyễn Văn An', 'Nguyễn Văn An'],
    ['+33 6 39 98 01 42', 'Unknown caller'],
    ['Anonymous', 'Unknown caller'],
    [undefined, 'Unknown caller'],
  ]
  test.each(names)('called %s becomes a lead named %s', (name, LastName) => {
    const customer = { phone: CUSTOMER, phoneRaw: CUSTOMER, ...(name === undefined ? {} : { name }) }
    const part = crm.newContact?.({ ...commonCall(), customer }, mapContext())
    expect(part?.fields).toEqual({ LastName, Company: 'Unknown', Phone: CUSTOMER })
  })

  test('or a contact, which has no company', () => {
    const settings = { unknownCallerAs: 'Contact', unknownName: 'Inconnu' }
    const part = crm.newContact?.(
      { ...commonCall(), customer: { phone: CUSTOMER, phoneRaw: '' } },
      mapContext(settings),
    )
    expect(part?.fields).toEqual({ LastName: 'Inconnu', Phone: CUSTOMER })
  })
})

test('what became of records that were deleted is read from the recycle bin, and only there', async () => {
  const master = longId('0030000000000M1') ?? ''
  const world = await open({
    records: [
      { type: 'Contact', values: { LastName: 'Gone' } },
      { type: 'Contact', values: { LastName: 'Merged', MasterRecordId: master } },
    ],
  })
  const api = salesforce(ctxOf(world))
  const [gone = '', merged = ''] = world.sandbox
    .book()
    .flatMap(({ kind, id }) => (kind === 'contact' ? [id] : []))
  const changes = [gone, merged].map((id) => ({ change: 'deleted' as const, type: 'contact', id }))
  const { ctx, asked } = spied(world)
  await crm.match(commonCall(), ctx, [])
  const headers = { authorization: asked.at(-1)?.headers.authorization ?? '' }
  for (const id of [gone, merged]) {
    const url = `https://salesforce.example.com/services/data/v67.0/sobjects/Contact/${id}`
    await world.context().fetch(url, { method: 'DELETE', headers })
  }
  const says = async (resource: 'query' | 'queryAll') => {
    const told = await withMerges({ events: [], changes }, (soql) => api.pages(soql, resource), expect.fail)
    return 'changes' in told ? told.changes?.map(({ change, into }) => [change, into]) : []
  }
  expect(await says('queryAll')).toEqual([
    ['deleted', undefined],
    ['merged', master],
  ])
  expect(await says('query')).toEqual([
    ['deleted', undefined],
    ['deleted', undefined],
  ])
})
