import { describe, expect, test } from 'vitest'
import type { Preference } from '../../src/connector/crm-role.ts'
import { CUSTOMER, commonCall } from '../kit/connector/samples.ts'
import type { World } from '../kit/connector/world.ts'
import { ask, type Context, crm, ctxOf, open, post, type Settings, spied } from './hubspot-world.ts'

const ALL: Preference[] = ['open deal', 'last activity', 'owner is the agent', 'newest']
const put = (world: World, deal: string, type: string, id: string) =>
  ask(world, 'PUT', `/crm/objects/2026-03/deal/${deal}/associations/default/${type}/${id}`)

const facts = async (ctx: Context, asked: Preference[] = ALL) => {
  const found = await crm.match(commonCall(), ctx, asked)
  return Object.fromEntries(found.map(({ name, isAgents, hasOpenDeal }) => [name, [isAgents, hasOpenDeal]]))
}

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
