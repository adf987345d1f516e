import { describe, expect, test } from 'vitest'
import type { CrmRecord, FieldValue, WantedField } from '../../src/connector/crm-role.ts'
import { SAMPLE_ANALYSIS } from '../kit/connector/samples.ts'
import { failureOf } from '../kit/connector/world.ts'
import {
  ask,
  books,
  crm,
  ctxOf,
  fresh,
  mapContext,
  open,
  partOf,
  recordOf,
  type Settings,
  spied,
} from './hubspot-world.ts'

const WANTED: WantedField[] = [
  { name: 'call_summary', label: 'Summary', type: 'text' },
  { name: 'call_score', label: 'Score', type: 'number' },
  { name: 'call_promise', label: 'Promise', type: 'boolean' },
]
const setUp = (world: Awaited<ReturnType<typeof open>>, wanted = WANTED) =>
  crm.setUp?.(wanted, ctxOf(world)) ?? expect.fail('no setUp')

describe('fields of the operator’s own', () => {
  const withFields = (fields: Record<string, FieldValue>, more: Partial<CrmRecord> = {}): CrmRecord => ({
    ...recordOf({}, SAMPLE_ANALYSIS),
    fields,
    ...more,
  })

  test('they stand on the call as text, however long', () => {
    const long = 'x'.repeat(100_000)
    const { fields } = partOf(
      crm.plan(withFields({ a: 0.5, b: true, c: false, d: long }), mapContext()),
      'call',
    )
    expect(fields).toMatchObject({ a: '0.5', b: 'true', c: 'false', d: long })
    expect(fields.hs_call_title).toBe('Inbound call, answered: Wrong invoice')
  })

  test('they are written with the call and changed with it', async () => {
    const world = await open()
    await setUp(world)
    const record = withFields({ call_score: 9, call_promise: true, call_summary: 'one\ntwo' })
    const call = partOf(crm.plan(record, mapContext()), 'call')
    const { id } = await crm.write(fresh(call), record, {}, ctxOf(world))
    expect(books(world, 'call')[0]?.fields).toMatchObject({
      call_score: '9',
      call_promise: 'true',
      call_summary: 'one\ntwo',
    })
    const again = partOf(crm.plan(withFields({ call_score: 4 }), mapContext()), 'call')
    await crm.write(fresh(again, id), record, {}, ctxOf(world))
    expect(books(world, 'call')[0]?.fields).toMatchObject({ call_score: '4', call_promise: 'true' })
  })

  test('one that a person may change otherwise is written again where a mapping names it, and only there', async () => {
    const world = await open()
    const outcome = 'hs_call_disposition'
    const [connected, voicemail] = [
      'f240bbac-87c9-4f6e-bf70-924b57d47db7',
      'b2cf5968-551e-4856-9783-52b3da59a7d0',
    ]
    const write = (record: CrmRecord, id: string | null = null) =>
      crm.write(fresh(partOf(crm.plan(record, mapContext()), 'call'), id), record, {}, ctxOf(world))
    const { id } = await write(withFields({}))
    expect(books(world, 'call')[0]?.fields[outcome]).toBe(connected)
    await write(withFields({ [outcome]: voicemail }), id)
    expect(books(world, 'call')[0]?.fields[outcome]).toBe(voicemail)
    await write(withFields({}), id)
    expect(books(world, 'call')[0]?.fields[outcome]).toBe(voicemail)
  })

  test('a call whose contact is gone is not said to be gone itself: it must not be made anew', async () => {
    for (const settings of [{}, { externalIdProperty: 'cordboard_key' }]) {
      const world = await open(settings)
      const contact = world.sandbox.addContact?.({ name: 'Jean', phone: '+33199000002' }) ?? ''
      const record = withFields({}, { target: { type: 'contact', id: contact } })
      const part = partOf(crm.plan(record, mapContext(settings)), 'call')
      const { id } = await crm.write(fresh(part), record, {}, ctxOf(world))
      await ask(world, 'DELETE', `/crm/objects/2026-03/contacts/${contact}`)
      const failure = await failureOf(crm.write(fresh(part, id), record, {}, ctxOf(world)))
      expect(failure).toMatchObject({ code: 'rejected', retry: 'never' })
      expect(failure?.fix).toContain('from match')
      await ask(world, 'DELETE', `/crm/objects/2026-03/calls/${id}`)
      expect(await failureOf(crm.write(fresh(part, id), record, {}, ctxOf(world)))).toMatchObject({
        code: 'not_found',
      })
    }
  })

  test('one that HubSpot does not have is refused, with its name', async () => {
    const world = await open()
    const record = withFields({ nowhere: 1 })
    const call = partOf(crm.plan(record, mapContext()), 'call')
    expect(await failureOf(crm.write(fresh(call), record, {}, ctxOf(world)))).toMatchObject({
      code: 'rejected',
      vendorSaid: 'Property "nowhere" does not exist',
    })
  })

  test('HubSpot’s own record of a call keeps its title, body, status and time, whatever a mapping names', () => {
    const fields = {
      hs_call_title: 'x',
      hs_call_body: 'x',
      hs_call_status: 'x',
      hs_timestamp: 'x',
      hs_call_external_id: 'x',
      call_score: 9,
    }
    const parts = crm.plan(withFields(fields, { logged: { id: '7' } }), mapContext())
    expect(partOf(parts, 'call').fields).toEqual({ call_score: '9' })
    expect(partOf(parts, 'note').fields.hs_note_body).toContain('Wrong invoice')
    expect(partOf(parts, 'task-1').fields).not.toHaveProperty('hubspot_owner_id')
  })

  test('they are described as HubSpot has them, with why some cannot be written', async () => {
    const world = await open({ externalIdProperty: 'cordboard_key' })
    await setUp(world)
    const all = await crm.fields?.(ctxOf(world))
    const named = (name: string) => all?.find((field) => field.name === name)
    expect(named('call_score')).toEqual({ name: 'call_score', label: 'Score', type: 'number' })
    expect(named('call_promise')).toMatchObject({ type: 'boolean' })
    expect(named('call_promise')).not.toHaveProperty('choices')
    expect(named('call_summary')).toMatchObject({ type: 'text' })
    expect(named('hs_call_direction')).toMatchObject({ type: 'choice', choices: ['INBOUND', 'OUTBOUND'] })
    expect(named('hs_timestamp')).toMatchObject({ type: 'datetime' })
    expect(named('hs_body_preview')).toMatchObject({ readOnly: 'HubSpot works it out itself' })
    expect(named('hs_createdate')).toMatchObject({ readOnly: 'only HubSpot writes it' })
    for (const mark of ['hs_call_external_id', 'cordboard_key'])
      expect(named(mark)).toMatchObject({ readOnly: 'Cordboard’s own key stands there' })
    const names = all?.map(({ name }) => name) ?? []
    expect(names).toEqual([...names].sort())
  })
})

describe('the set-up', () => {
  const states = (done: readonly { what: string; state: string }[]) =>
    done.map(({ what, state }) => `${state}: ${what}`)

  test('what is missing is made, once', async () => {
    const world = await open()
    expect(states(await setUp(world))).toEqual([
      'made: the group cordboard of the properties of calls',
      'made: the property call_summary of calls',
      'made: the property call_score of calls',
      'made: the property call_promise of calls',
    ])
    const { ctx, asked } = spied(world)
    expect(states((await crm.setUp?.(WANTED, ctx)) ?? [])).toEqual([
      'was there: the property call_summary of calls',
      'was there: the property call_score of calls',
      'was there: the property call_promise of calls',
    ])
    expect(asked).toEqual(['GET /crm/properties/2026-03/calls'])
  })

  test('what another one makes at the same moment was there', async () => {
    const world = await open()
    const fault = { kind: 'commit_then_status', status: 409 } as const
    world.sandbox.fail({ method: 'POST', path: '/calls', fault, times: 2 })
    expect(states(await setUp(world)).slice(0, 2)).toEqual([
      'was there: the group cordboard of the properties of calls',
      'was there: the property call_summary of calls',
    ])
  })

  const unique = async (settings: Settings) => {
    const world = await open({ externalIdProperty: 'cordboard_key', ...settings })
    return { world, done: await setUp(world, []) }
  }

  test('a unique property is asked for; the calls are written by it then', async () => {
    const { world, done } = await unique({ makesUnique: true })
    expect(states(done)).toEqual([
      'made: the group cordboard of the properties of calls',
      'made: the unique property cordboard_key of calls',
    ])
    const record = recordOf({})
    const call = partOf(crm.plan(record, mapContext()), 'call')
    await crm.write(fresh(call), record, {}, ctxOf(world))
    expect(books(world, 'call')[0]?.fields.cordboard_key).toBe('wbk_1-call')
    expect(states(await setUp(world, []))).toEqual(['was there: the unique property cordboard_key of calls'])
  })

  test('an account that takes none says so, and what to do instead is told', async () => {
    const { done } = await unique({ makesUnique: true, takesUnique: false })
    expect(done.at(-1)).toMatchObject({
      state: 'by hand',
      fix: expect.stringMatching(/cannot be unique.*remove externalIdProperty/),
    })
  })

  test('a property of that name that is not unique cannot become it', async () => {
    const world = await open({ externalIdProperty: 'hs_call_title', makesUnique: true })
    expect(await setUp(world, [])).toEqual([
      {
        what: 'the unique property hs_call_title of calls',
        state: 'by hand',
        fix: expect.stringContaining('not unique'),
      },
    ])
  })

  test('one that is made meanwhile, and not unique, is no unique property', async () => {
    const world = await open({ externalIdProperty: 'cordboard_key', makesUnique: true, takesUnique: false })
    await ask(world, 'POST', '/crm/properties/2026-03/calls/groups', { name: 'cordboard', label: 'x' })
    const plain = { name: 'cordboard_key', label: 'x', type: 'string', fieldType: 'text', groupName: 'call' }
    const { ctx } = spied(world)
    const late = {
      ...ctx,
      async fetch(...[url, init]: Parameters<typeof ctx.fetch>) {
        if (String(init?.body).includes('hasUniqueValue'))
          await ask(world, 'POST', '/crm/properties/2026-03/calls', plain)
        return ctx.fetch(url, init)
      },
    }
    expect((await crm.setUp?.([], late))?.at(-1)).toMatchObject({ state: 'by hand' })
  })

  test('without the scope it is for a person, and nothing else is tried in its place', async () => {
    const scopes = ['crm.objects.contacts.read', 'crm.objects.contacts.write']
    const world = await open({ scopes })
    const done = await setUp(world)
    expect(done.map(({ state }) => state)).toEqual(['by hand', 'by hand', 'by hand', 'by hand'])
    expect(done[1]?.fix).toBe(
      'Grant crm.schemas.contacts.write in HubSpot, or make the property call_summary of calls there',
    )
  })

  test('HubSpot in trouble is no work for a person', async () => {
    const world = await open()
    world.sandbox.fail({ method: 'POST', fault: { kind: 'status', status: 503 } })
    expect(await failureOf(setUp(world))).toMatchObject({ code: 'vendor_down' })
  })
})
