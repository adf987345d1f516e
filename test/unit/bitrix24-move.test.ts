import { describe, expect, test } from 'vitest'
import type { CrmRecord } from '../../src/connector/crm-role.ts'
import { failureOf, type World } from '../kit/connector/world.ts'
import { crm, ctxOf, fresh, mapContext, ready, said } from './bitrix24-world.ts'

// A person chooses another record afterwards: comment, to-do and call leave the first one, and nothing is made twice.

type Target = NonNullable<CrmRecord['target']>

async function written(settings: Record<string, unknown> = {}, more: Partial<CrmRecord> = {}) {
  const { world, record, parts, id } = await ready(settings, more)
  const ids: Record<string, string> = {}
  for (const part of parts) ids[part.key] = (await crm.write(fresh(part), record, ids, ctxOf(world))).id
  const other = world.sandbox.addContact?.({ name: 'Bruno', phone: '+33639980002' }) ?? ''
  return { world, record, ids, first: `contact/${id}`, other: { type: 'contact', id: other } }
}

/** Every part again, as it is planned for the record that was chosen. */
async function choose(world: World, record: CrmRecord, target: Target, ids: Record<string, string>) {
  const chosen = { ...record, target }
  const next = { ...ids }
  for (const part of crm.plan(chosen, { ...mapContext(), config: ctxOf(world).config }))
    next[part.key] = (await crm.write(fresh(part, ids[part.key] ?? null), chosen, next, ctxOf(world))).id
  return next
}

const places = (world: World) =>
  ['call', 'comment', 'todo'].map((kind) => said(world, kind).map(({ on }) => on))
const all = (on: unknown) => [[on], [on], [on, on]]

async function lead(world: World): Promise<Target> {
  const part = { key: 'contact', kind: 'contact' as const, type: 'lead', fields: { phone: '+33639980003' } }
  const none = { call: {}, target: null, analysis: null, fields: {}, logged: null } as unknown as CrmRecord
  return { type: 'lead', id: (await crm.write(fresh(part), none, {}, ctxOf(world))).id }
}

describe('another record is chosen', () => {
  test('of the same kind, and of another one: all of it stands there, and nowhere else', async () => {
    const { world, record, ids, first, other } = await written()
    expect(places(world)).toEqual(all([first]))
    const second = await choose(world, record, other, ids)
    expect(places(world)).toEqual(all([`contact/${other.id}`]))
    const third = await lead(world)
    await choose(world, record, third, second)
    expect(places(world)).toEqual(all([`lead/${third.id}`]))
  })

  test('nothing is asked about the place while the record stays the same', async () => {
    const { world, record, ids } = await written()
    const before = world.requests()
    expect(await choose(world, record, record.target as Target, ids)).toEqual(ids)
    // One comment and two to-dos are written over; a call that was registered is not.
    expect(world.requests() - before).toBe(3)
  })

  test('what broke off between the two halves of a move is ended by the next attempt', async () => {
    for (const path of [
      'bindings.unbind',
      'binding.delete',
      'comment.update',
      'bindings.bind',
      'binding.add',
    ]) {
      const { world, record, ids, other } = await written()
      world.sandbox.fail({ fault: { kind: 'status', status: 500 }, path })
      expect(await failureOf(choose(world, record, other, ids)), path).toMatchObject({ code: 'vendor_down' })
      await choose(world, record, other, ids)
      expect(places(world), path).toEqual(all([`contact/${other.id}`]))
    }
  })

  test('what was loosed already, by an answer that got lost or by a person, is loose', async () => {
    for (const path of ['bindings.unbind', 'binding.delete']) {
      const { world, record, ids, other } = await written()
      world.sandbox.fail({ fault: { kind: 'commit_then_status', status: 504 }, path })
      expect(await failureOf(choose(world, record, other, ids)), path).toMatchObject({ code: 'vendor_down' })
      await choose(world, record, other, ids)
      expect(places(world), path).toEqual(all([`contact/${other.id}`]))
    }
  })

  test('a call without an activity, and an activity that is gone, are no wrong choice', async () => {
    const { world, record, ids, other } = await written()
    const result = [
      { CALL_ID: 'x', CALL_TYPE: '2', CALL_START_DATE: '2026-03-04T11:20:33+00:00', CRM_ACTIVITY_ID: '0' },
    ]
    world.sandbox.fail({ fault: { kind: 'status', status: 200, body: { result } }, path: 'statistic.get' })
    const before = world.requests()
    const call = crm.plan(record, mapContext())[0] ?? expect.fail('no call')
    const chosen = { ...record, target: other }
    expect(await crm.write(fresh(call, ids.call), chosen, {}, ctxOf(world))).toEqual({ id: ids.call })
    expect(world.requests()).toBe(before + 1)
    const gone = { error: 'NOT_FOUND', error_description: 'Element not found' }
    world.sandbox.fail({ fault: { kind: 'status', status: 400, body: gone }, path: 'binding.add' })
    expect(await failureOf(choose(world, record, other, ids))).toMatchObject({ code: 'not_found' })
  })

  test('where people put it beside, it stays', async () => {
    const { world, record, ids, other } = await written()
    const deal = await lead(world)
    const own = ids['task-1']?.split('/')[2]
    await world.context().fetch(
      'https://bitrix24.example.com/rest/crm.activity.binding.add.json',
      await post(world, {
        activityId: own,
        entityTypeId: 1,
        entityId: deal.id,
      }),
    )
    await choose(world, record, other, ids)
    expect(said(world, 'todo')[0]?.on).toEqual([`lead/${deal.id}`, `contact/${other.id}`])
  })

  test('a call keeps the form it was written in: one that was registered goes to a deal by its activity', async () => {
    const { world, record, ids } = await written()
    const deal = await make(world, 'deal')
    const next = await choose(world, record, deal, ids)
    expect(places(world)).toEqual(all([`deal/${deal.id}`]))
    expect(next.call?.split('/').at(-1)).toBe(ids.call?.split('/').at(-1))
  })

  test('and one that was a comment stays a comment, and has no place for a transcript', async () => {
    const { world, record, other } = await written({ transcript: true })
    const deal = { ...record, target: await make(world, 'deal') }
    const part = crm.plan(deal, mapContext())[0] ?? expect.fail('no part')
    const comment = await crm.write(fresh(part), deal, {}, ctxOf(world))
    const chosen = { ...record, target: other }
    const [call] = crm.plan(chosen, mapContext())
    const before = said(world, 'call').length
    const moved = await crm.write(fresh(call ?? part, comment.id), chosen, {}, ctxOf(world))
    expect([said(world, 'call').length, said(world, 'comment').at(-1)]).toMatchObject([
      before,
      { on: [`contact/${other.id}`], COMMENT: expect.stringContaining('Cordboard ref wbk_1-call') },
    ])
    const file = { key: 'transcript', kind: 'file' as const, fields: { messages: '[]' } }
    expect(await crm.write(fresh(file), chosen, { call: moved.id }, ctxOf(world))).toEqual(moved)
    expect(await crm.find?.(fresh(file), chosen, { call: moved.id }, ctxOf(world))).toBeNull()
  })

  test('a call that stood on nobody is put on the record; Bitrix24’s own call is left where it is', async () => {
    const { world, record, other } = await written()
    const nobody = { ...record, target: null }
    const [part] = crm.plan(nobody, mapContext())
    const call = fresh(part ?? expect.fail('no call'))
    call.idempotencyKey = 'wbk_2-call'
    const { id } = await crm.write(call, nobody, {}, ctxOf(world))
    expect(id).toMatch(/^externalCall\./)
    const chosen = { ...record, target: other }
    await crm.write({ ...call, externalId: id }, { ...chosen, logged: { id } }, {}, ctxOf(world))
    expect(said(world, 'call')[1]?.on).toEqual([])
    await crm.write({ ...call, externalId: id }, chosen, {}, ctxOf(world))
    expect(said(world, 'call')[1]?.on).toEqual([`contact/${other.id}`])
  })

  test('whoever may not change the record is told so, and a record that is not there is refused', async () => {
    for (const [path, body] of [
      ['bindings.bind', { result: false }],
      ['binding.add', { result: false }],
      ['bindings.unbind', { result: false }],
      ['binding.delete', { result: false }],
    ] as const) {
      const { world, record, ids, other } = await written()
      world.sandbox.fail({ fault: { kind: 'status', status: 200, body }, path })
      expect(await failureOf(choose(world, record, other, ids)), path).toMatchObject({ code: 'forbidden' })
    }
    const { world, record, ids } = await written()
    const nobody = { type: 'contact', id: '999999' }
    expect(await failureOf(choose(world, record, nobody, { call: ids.call ?? '' }))).toMatchObject({
      code: 'rejected',
    })
  })

  test('what was written before its record was kept with it stays there, and comes to the other as well', async () => {
    const { world, record, ids, first, other } = await written()
    const old = Object.fromEntries(Object.entries(ids).map(([key, id]) => [key, id.split('/').at(-1) ?? '']))
    for (const key of ['note', 'task-1']) {
      const part = crm.plan(record, mapContext()).find((one) => one.key === key) ?? expect.fail(key)
      const chosen = { ...record, target: other }
      const { id } = await crm.write(fresh(part, old[key] ?? null), chosen, {}, ctxOf(world))
      expect(id).toBe(`contact/${other.id}/${old[key]}`)
    }
    const both = [first, `contact/${other.id}`]
    expect(places(world)).toEqual([[[first]], [both], [both, [first]]])
  })
})

async function post(world: World, body: unknown) {
  const token = await ctxOf(world).token('access', async () => expect.fail('there is a token'))
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
  return { method: 'POST', headers, body: JSON.stringify(body) }
}

async function make(world: World, kind: string): Promise<Target> {
  const url = `https://bitrix24.example.com/rest/crm.${kind}.add.json`
  const response = await world.context().fetch(url, await post(world, { fields: { TITLE: 'One' } }))
  return { type: kind, id: String(((await response.json()) as { result: number }).result) }
}
