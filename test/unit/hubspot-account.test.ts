import { describe, expect, test } from 'vitest'
import { connector } from '../../connectors/hubspot/connector.ts'
import type { ConnectorContext } from '../../src/connector/contract.ts'
import { commonCall } from '../kit/connector/samples.ts'
import { failureOf, openWorld } from '../kit/connector/world.ts'
import {
  ask,
  type Context,
  crm,
  ctxOf,
  fresh,
  mapContext,
  open,
  partOf,
  recordOf,
  type Settings,
  subject,
} from './hubspot-world.ts'

describe('the check', () => {
  test('it names the account and every scope that is missing', async () => {
    const world = await open({ scopes: [] })
    const { says, warnings = [] } = await connector.check(ctxOf(world))
    expect(says).toBe('account 24000001')
    const fixes = warnings.map(({ fix }) => fix).join('\n')
    for (const scope of ['contacts.read', 'contacts.write', 'companies.read', 'owners.read'])
      expect(fixes).toContain(`crm.objects.${scope}`)
  })

  test('it says when portalId is missing, the region is, or the unique property is none', async () => {
    const world = await openWorld({ ...subject, region: undefined })
    const account = world.context() as ConnectorContext<Context['config']>
    const ctx = (changed: Partial<Context['config']>): Context => ({
      ...account,
      config: { ...account.config, ...changed },
    })
    const warned = async (context: Context) =>
      (await connector.check(context)).warnings?.map(({ fix }) => fix) ?? []
    expect(await warned(ctx({}))).toEqual([expect.stringContaining('Set region')])
    expect(await warned(ctx({ portalId: undefined }))).toContain('Set portalId to "24000001"')
    expect(await warned(ctx({ portalId: '5' }))).toContain('Set portalId to "24000001"')
    expect((await warned(ctx({ externalIdProperty: 'nothing_there' }))).join()).toContain('nothing_there')
  })

  test('deliveries without a secret of their own are never taken', () => {
    const { appSecret: _, ...withoutSecret } = subject.settings
    const verification = connector.telephony?.webhook?.verify(connector.config.parse(withoutSecret))
    expect(verification).toMatchObject({ scheme: 'hmac', secrets: [] })
  })

  const said = async (settings: Settings) => {
    const world = await open(settings)
    const { says, warnings = [] } = await connector.check(ctxOf(world))
    return { says, what: warnings.map(({ what }) => what).join('\n') }
  }

  test('what is left of the day is said where HubSpot says it', async () => {
    expect(await said({})).toMatchObject({ says: 'account 24000001' })
    expect(await said({ requestsPerDay: 1000 })).toEqual({
      says: expect.stringMatching(/^account 24000001, 99\d of 1000 requests left today$/),
      what: '',
    })
  })

  test('and when hardly anything is', async () => {
    const world = await open({ requestsPerDay: 100 })
    for (let n = 0; n < 95; n++) await ask(world, 'GET', '/crm/owners/2026-03?limit=1')
    await world.advance(10_000)
    const { warnings = [] } = await connector.check(ctxOf(world))
    expect(warnings.map(({ what }) => what).join()).toContain('Hardly any requests are left today')
  })

  test('a source whose calls cannot be read says so', async () => {
    expect((await said({ scopes: [] })).what).toContain('those that others log are not taken')
    expect((await said({ scopes: [] })).what).toContain('those that others log have no agent')
    expect((await said({ scopes: [], calls: false })).what).not.toContain('others log')
  })
})

describe('what the account is allowed', () => {
  test('the day is one for all, and begins anew at midnight', async () => {
    const world = await open({ requestsPerDay: 5 })
    for (let n = 0; n < 5; n++) await ask(world, 'GET', '/crm/owners/2026-03?limit=1')
    expect(await failureOf(crm.match(commonCall(), ctxOf(world), []))).toMatchObject({ code: 'quota' })
    await world.advance(86_400_000)
    expect(await crm.match(commonCall(), ctxOf(world), [])).toEqual([])
  })

  test('records that a batch is writing are locked for two seconds, and asked for again after that', async () => {
    const settings = { externalIdProperty: 'cordboard_key', lockMs: 2000 }
    const world = await open(settings)
    const record = recordOf({})
    const call = fresh(partOf(crm.plan(record, mapContext(settings)), 'call'))
    const { id } = await crm.write(call, record, {}, ctxOf(world))
    const locked = await failureOf(crm.write(call, record, {}, ctxOf(world)))
    expect(locked).toMatchObject({ code: 'vendor_down', retry: { afterMs: 2000 } })
    await world.advance(2000)
    expect(await crm.write(call, record, {}, ctxOf(world))).toEqual({ id })
  })

  test('searches are counted by the second, everything else by ten', () => {
    const budgets = connector.budgets?.(mapContext({ requestsPer10s: 190 }).config)
    expect(budgets).toEqual({
      default: { limit: 190, windowMs: 10_000, window: 'rolling' },
      search: { limit: 4, windowMs: 1000, window: 'rolling' },
    })
  })
})
