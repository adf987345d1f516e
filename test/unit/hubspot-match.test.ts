import { describe, expect, test } from 'vitest'
import type { Call } from '../../src/call/call.ts'
import type { ConnectorContext } from '../../src/connector/contract.ts'
import type { Preference } from '../../src/connector/crm-role.ts'
import { CUSTOMER, commonCall } from '../kit/connector/samples.ts'
import type { World } from '../kit/connector/world.ts'
import {
  ask,
  type Context,
  crm,
  ctxOf,
  mapContext,
  open,
  post,
  type Settings,
  spied,
} from './hubspot-world.ts'

const ALL: Preference[] = ['open deal', 'last activity', 'owner is the agent', 'newest']
const put = (world: World, deal: string, type: string, id: string) =>
  ask(world, 'PUT', `/crm/objects/2026-03/deal/${deal}/associations/default/${type}/${id}`)

const facts = async (ctx: Context, asked: Preference[] = ALL) => {
  const found = await crm.match(commonCall(), ctx, asked)
  return Object.fromEntries(found.map(({ name, isAgents, hasOpenDeal }) => [name, [isAgents, hasOpenDeal]]))
}

describe('whose call it is', () => {
  const stored = [
    '+33639980142',
    '0639980142',
    '06 39 98 01 42',
    '+33 (0)6 39 98 01 42',
    '0033639980142',
    '33639980142',
  ]
  test.each(stored)('a contact whose number is written %s is found', async (phone) => {
    const world = await open()
    const id = world.sandbox.addContact?.({ name: 'Jean', phone })
    expect((await crm.match(commonCall(), ctxOf(world), []))[0]?.id).toBe(id)
  })

  test('a mobile number counts as well, and a number of another country with the same end does not', async () => {
    const world = await open()
    world.sandbox.addContact?.({ name: 'Elsewhere', phone: '+44 639980142' })
    world.sandbox.addContact?.({ name: 'Longer', phone: '+33199639980142' })
    expect(await crm.match(commonCall(), ctxOf(world), [])).toEqual([])
    const id = await post(world, 'contacts', { firstname: 'Jean', mobilephone: '06 39 98 01 42' })
    expect((await crm.match(commonCall(), ctxOf(world), []))[0]?.id).toBe(id)
  })

  test('of several with one number whoever was in touch last comes first, then the oldest; owners do not matter', async () => {
    const world = await open({ portalId: '77' })
    const add = (firstname: string, more: Record<string, string> = {}) =>
      post(world, 'contacts', { firstname, phone: CUSTOMER, ...more })
    const older = await add('older')
    const younger = await add('younger')
    const changed = await add('changed', { lastmodifieddate: '2026-03-03T09:00:00Z' })
    const contacted = await add('contacted', { notes_last_contacted: String(world.now() - 3 * 86_400_000) })
    const owned = await add('owned', { hubspot_owner_id: '7' })
    const found = await crm.match(commonCall(), ctxOf(world), [])
    expect(found.map(({ id }) => id)).toEqual([contacted, older, younger, changed, owned])
    expect(found[0]).toMatchObject({
      type: 'contact',
      name: 'contacted',
      reason: 'same number as 4 more, has no owner, last contacted 3 days ago',
      url: `https://app.hubspot.com/contacts/77/record/0-1/${contacted}`,
      lastActivityAt: new Date(world.now() - 3 * 86_400_000).toISOString(),
    })
    expect(found[1]).not.toHaveProperty('lastActivityAt')
    expect(found[4]).toMatchObject({ reason: expect.stringContaining('has an owner') })
  })

  test('a company comes only when no person has the number', async () => {
    const world = await open()
    const company = await post(world, 'companies', { name: 'Dupont SARL', phone: CUSTOMER })
    expect(await crm.match(commonCall(), ctxOf(world), [])).toMatchObject([
      { type: 'company', id: company, name: 'Dupont SARL' },
    ])
    const contact = world.sandbox.addContact?.({ name: 'Jean', phone: CUSTOMER })
    expect(await crm.match(commonCall(), ctxOf(world), [])).toMatchObject([{ type: 'contact', id: contact }])
  })

  const nobody: [string, Partial<Call>][] = [
    ['a withheld number', { customer: { phone: null, phoneRaw: 'anonymous' } }],
    ['no customer', { customer: undefined }],
    ['an internal call', { direction: 'internal' }],
    ['an own line', { customer: { phone: '+33199001234', phoneRaw: '' } }],
  ]
  test.each(nobody)('%s is nobody, and nothing is asked', async (_, call) => {
    const world = await open()
    world.sandbox.addContact?.({ name: 'Own line', phone: '+33199001234' })
    expect(await crm.match({ ...commonCall(), ...call }, ctxOf(world), [])).toEqual([])
    expect(world.requests()).toBe(0)
    if (call.direction || !call.customer?.phone) return
    expect(crm.newContact?.({ ...commonCall(), ...call }, mapContext())).toBeNull()
  })

  test('the record that the phone system named is taken, if it is there', async () => {
    const world = await open()
    const named = world.sandbox.addContact?.({ name: 'Named', phone: '+33199000001' }) ?? ''
    const byNumber = world.sandbox.addContact?.({ name: 'Jean', phone: CUSTOMER })
    const customer = (id: string) => ({
      ...commonCall(),
      customer: { phone: CUSTOMER, phoneRaw: '', crm: { acme: id } },
    })
    expect((await crm.match(customer(named), ctxOf(world), []))[0]).toMatchObject({
      id: named,
      reason: 'the phone system named this record',
    })
    const logged = { ...customer(named), source: { connection: 'acme', callId: '7' } }
    expect((await crm.match(logged, ctxOf(world), []))[0]).toMatchObject({
      id: named,
      reason: 'the call was logged on it',
    })
    expect((await crm.match(customer('999'), ctxOf(world), []))[0]).toMatchObject({ id: byNumber })
    expect((await crm.match(customer('../owners'), ctxOf(world), []))[0]).toMatchObject({ id: byNumber })
  })

  test('an account that refuses the phone index is searched by its plain fields, all in the search budget', async () => {
    const world = await open()
    const id = world.sandbox.addContact?.({ name: 'Jean', phone: CUSTOMER })
    world.sandbox.fail({ fault: { kind: 'status', status: 400, body: { message: 'no such property' } } })
    const buckets: (string | undefined)[] = []
    const ctx: Context = { ...ctxOf(world), fetch: spying(world.context(), buckets) }
    expect((await crm.match(commonCall(), ctx, []))[0]?.id).toBe(id)
    expect(buckets).toEqual(['search', 'search'])
  })

  const names: [string | undefined, string | undefined][] = [
    ['Nguyễn Văn An', 'Nguyễn Văn An'],
    ['+33 6 39 98 01 42', undefined],
    ['Anonymous', undefined],
    ['101', undefined],
    [undefined, undefined],
  ]
  test.each(names)('an unknown caller called %s becomes a contact named %s', (name, firstname) => {
    const customer = {
      phone: CUSTOMER,
      phoneRaw: CUSTOMER,
      email: 'no address',
      ...(name === undefined ? {} : { name }),
    }
    const part = crm.newContact?.({ ...commonCall(), customer }, mapContext())
    expect(part?.fields).toEqual({ phone: CUSTOMER, ...(firstname === undefined ? {} : { firstname }) })
  })
})

describe('what the flow’s rule asks for', () => {
  async function crowd(settings: Settings = {}) {
    const people = [{ id: '501', email: 'alice.martin@example.com' }]
    const world = await open({ people, ...settings })
    const add = (firstname: string, more: Record<string, string> = {}) =>
      post(world, 'contacts', { firstname, phone: CUSTOMER, ...more })
    const deal = (closed: string) =>
      post(world, 'deals', { dealname: 'd', ...(closed ? { hs_is_closed: closed } : {}) })
    const [open1, won, , both] = [
      await add('open', { hubspot_owner_id: '501' }),
      await add('won', { hubspot_owner_id: '502' }),
      await add('none'),
      await add('both'),
    ]
    await put(world, await deal(''), 'contact', open1)
    const closed = await deal('true')
    await put(world, closed, 'contact', won)
    await put(world, closed, 'contact', both)
    await put(world, await deal('false'), 'contact', both)
    return world
  }

  test('a deal that is not closed, and the owner by the agent’s address', async () => {
    const world = await crowd()
    expect(await facts(ctxOf(world))).toEqual({
      open: [true, true],
      won: [false, false],
      none: [false, false],
      both: [false, true],
    })
  })

  test('nothing of it is asked for without being asked for, and one candidate is none to choose from', async () => {
    const world = await crowd()
    const { ctx, asked } = spied(world)
    expect((await facts(ctx, ['last activity', 'newest'])).open).toEqual([undefined, undefined])
    expect(asked).toEqual(['POST /crm/objects/2026-03/contacts/search'])
    const alone = await open()
    alone.sandbox.addContact?.({ name: 'Jean', phone: CUSTOMER })
    const lonely = spied(alone)
    expect(await facts(lonely.ctx)).toEqual({ Jean: [undefined, undefined] })
    expect(lonely.asked.length).toBe(1)
  })

  test('of all of them in three requests, however many deals there are', async () => {
    const world = await crowd()
    const { ctx, asked } = spied(world)
    await facts(ctx, ['open deal'])
    expect(asked).toEqual([
      'POST /crm/objects/2026-03/contacts/search',
      'POST /crm/associations/2026-03/contacts/deals/batch/read',
      'POST /crm/objects/2026-03/deals/batch/read',
    ])
  })

  test('more than twenty are asked nothing', async () => {
    const world = await open()
    for (let n = 0; n < 21; n++) world.sandbox.addContact?.({ name: `n${n}`, phone: CUSTOMER })
    const { ctx, asked } = spied(world)
    const found = await crm.match(commonCall(), ctx, ALL)
    expect([found.length, found[0]?.hasOpenDeal, asked.length]).toEqual([21, undefined, 1])
    const twenty = await open()
    for (let n = 0; n < 20; n++) twenty.sandbox.addContact?.({ name: `n${n}`, phone: CUSTOMER })
    expect((await crm.match(commonCall(), ctxOf(twenty), ALL))[0]?.hasOpenDeal).toBe(false)
  })

  test('the operator’s own list of owners comes first; whoever gets all other calls is nobody’s agent', async () => {
    const world = await crowd({ owners: { map: { '101': '502' }, fallback: '501' } })
    expect((await facts(ctxOf(world))).won).toEqual([true, false])
    const unknown = await crowd({ people: [], owners: { fallback: '501' } })
    expect((await facts(ctxOf(unknown))).open).toEqual([undefined, true])
  })

  test('without the scope nothing is known, and the call finds its record all the same', async () => {
    const world = await crowd()
    const { ctx } = spied(world)
    const scopes = ['crm.objects.contacts.read', 'crm.objects.companies.read']
    const poor = await open({ scopes })
    for (const name of ['a', 'b']) poor.sandbox.addContact?.({ name, phone: CUSTOMER })
    const warned: string[] = []
    const log = { ...ctx.log, warn: (_: string, about?: object) => warned.push(JSON.stringify(about)) }
    expect(await facts({ ...ctxOf(poor), log })).toEqual({
      a: [undefined, undefined],
      b: [undefined, undefined],
    })
    expect(warned.join()).toContain('crm.objects.deals.read')
    expect(warned.join()).toContain('crm.objects.owners.read')
  })

  test('a deal that could not be read leaves it open; one that is known to be open decides', async () => {
    const world = await crowd()
    const ctx = ctxOf(world)
    const halved: Context = {
      ...ctx,
      async fetch(url, init) {
        const response = await ctx.fetch(url, init)
        if (!String(url).endsWith('/batch/read') || !String(url).includes('associations')) return response
        const said = (await response.json()) as { results: Record<string, unknown>[] }
        const results = said.results.map((one) => ({ ...one, paging: { next: { after: '1' } } }))
        return Response.json({ ...said, results })
      },
    }
    expect(await facts(halved, ['open deal'])).toEqual({
      open: [undefined, true],
      won: [undefined, undefined],
      none: [undefined, false],
      both: [undefined, true],
    })
  })

  test('a deal that went meanwhile is none that is known to be closed', async () => {
    const world = await crowd()
    const ctx = ctxOf(world)
    const gone: Context = {
      ...ctx,
      async fetch(url, init) {
        const response = await ctx.fetch(url, init)
        if (!String(url).endsWith('/deals/batch/read') || String(url).includes('associations'))
          return response
        return Response.json({ status: 'COMPLETE', results: [], errors: [], numErrors: 1 }, { status: 207 })
      },
    }
    expect(await facts(gone, ['open deal'])).toMatchObject({
      open: [undefined, undefined],
      none: [undefined, false],
    })
  })

  test('a company’s deals count as well, and when a record was made is told', async () => {
    const world = await open()
    const [one, two] = [
      await post(world, 'companies', { name: 'One', phone: CUSTOMER }),
      await post(world, 'companies', { name: 'Two', phone: CUSTOMER }),
    ]
    await put(world, await post(world, 'deals', { dealname: 'd' }), 'company', two)
    const found = await crm.match(commonCall(), ctxOf(world), ALL)
    const createdAt = new Date(world.now()).toISOString()
    expect(found).toMatchObject([
      { type: 'company', id: one, hasOpenDeal: false, createdAt },
      { type: 'company', id: two, hasOpenDeal: true, createdAt },
    ])
    expect(found[0]).not.toHaveProperty('lastActivityAt')
  })
})

describe('a number is found however it was typed', () => {
  const spellings = [
    '+33639980142',
    '+33 6 39 98 01 42',
    '0033639980142',
    '0639980142',
    '06 39 98 01 42',
    '33639980142',
    '639980142',
  ]
  test.each(spellings)('%s, also where the phone index is refused', async (phone) => {
    const world = await open()
    const id = world.sandbox.addContact?.({ name: 'Jean', phone })
    world.sandbox.fail({ fault: { kind: 'status', status: 400, body: { message: 'no such property' } } })
    expect((await crm.match(commonCall(), ctxOf(world), []))[0]?.id).toBe(id)
  })

  test.each([...spellings, '06.39.98.01.42', '+33-639-98-01-42', '06 39 98 01 42 ext. 12'])(
    '%s by the index',
    async (phone) => {
      const world = await open({ region: 'FR' })
      const id = world.sandbox.addContact?.({ name: 'Jean', phone })
      expect((await crm.match(commonCall(), ctxOf(world), []))[0]?.id).toBe(id)
    },
  )

  test.each(spellings)('%s of a company', async (phone) => {
    const world = await open()
    const id = await post(world, 'companies', { name: 'Dupont', phone })
    expect((await crm.match(commonCall(), ctxOf(world), []))[0]?.id).toBe(id)
  })
})

function spying(ctx: ConnectorContext, buckets: (string | undefined)[]): ConnectorContext['fetch'] {
  return (url, init) => {
    buckets.push(init?.bucket)
    return ctx.fetch(url, init)
  }
}
