import { describe, expect, test } from 'vitest'
import { connector } from '../../connectors/hubspot/connector.ts'
import { commonCall } from '../kit/connector/samples.ts'
import { failureOf } from '../kit/connector/world.ts'
import { ask, crm, ctxOf, fresh, mapContext, open, partOf, recordOf, type Settings } from './hubspot-world.ts'

describe('the check', () => {
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
