import { expect, test } from 'vitest'
import { connector } from '../../connectors/zoho/connector.ts'
import { SAMPLE_ANALYSIS } from '../kit/connector/samples.ts'
import {
  crm,
  ctxOf,
  fresh,
  mapContext,
  post,
  put,
  ready,
  recordOf,
  type Settings,
  said,
  subject,
} from './zoho-world.ts'

// Where a call and its tasks stand when a person chooses another record, and on which day a task is due.

test('call and tasks go to the record that was chosen later, whichever kind; what people linked since stays', async () => {
  const { world, record, part, id } = await ready()
  const call = await crm.write(fresh(part('call')), record, {}, ctxOf(world))
  const task = await crm.write(fresh(part('task-1')), record, {}, ctxOf(world))
  expect([call.id, task.id].map((one) => one.split('/').slice(0, 2))).toEqual([
    ['contact', id],
    ['contact', id],
  ])
  const lead = await post(world, 'Leads', { Last_Name: 'A', Company: 'B' })
  const deal = await post(world, 'Deals', { Deal_Name: 'D' })
  const links = () =>
    ['Calls', 'Tasks'].map((module) => {
      const { Who_Id, What_Id, $se_module } = said(world, module).at(-1) ?? {}
      return { Who_Id, What_Id, $se_module }
    })
  const both = (fields: Settings) => [fields, fields]
  // A person links a deal to the call: the record is the same, and the deal stays.
  await put(world, `Calls/${call.id.split('/')[2]}`, { What_Id: { id: deal }, $se_module: 'Deals' })
  await crm.write(fresh(part('call'), call.id), record, {}, ctxOf(world))
  expect(links()[0]).toEqual({ Who_Id: { id }, What_Id: { id: deal }, $se_module: 'Deals' })
  const colleague = await post(world, 'Contacts', { Last_Name: 'C' })
  for (const [module, one] of [
    ['Calls', call.id],
    ['Tasks', task.id],
  ] as const)
    await put(world, `${module}/${one.split('/')[2]}`, { Who_Id: { id: colleague } })
  await crm.write(fresh(part('call'), call.id), record, {}, ctxOf(world))
  await crm.write(fresh(part('task-1'), task.id), record, {}, ctxOf(world))
  expect(links().map(({ Who_Id }) => Who_Id)).toEqual([{ id: colleague }, { id: colleague }])
  let ids = [call.id, task.id]
  for (const [target, fields] of [
    [
      { type: 'lead', id: lead },
      { Who_Id: null, What_Id: { id: lead }, $se_module: 'Leads' },
    ],
    [
      { type: 'deal', id: deal },
      { Who_Id: null, What_Id: { id: deal }, $se_module: 'Deals' },
    ],
    [
      { type: 'contact', id },
      { Who_Id: { id }, What_Id: null, $se_module: 'Deals' },
    ],
  ] as const) {
    const chosen = { ...record, target }
    const [a, b] = ids
    ids = [
      (await crm.write(fresh(part('call'), a), chosen, {}, ctxOf(world))).id,
      (await crm.write(fresh(part('task-1'), b), chosen, {}, ctxOf(world))).id,
    ]
    expect(links(), target.type).toEqual(both(fields))
    expect(ids.map((one) => one.split('/').slice(0, 2))).toEqual([
      [target.type, target.id],
      [target.type, target.id],
    ])
  }
  // What was written before its record was kept with it is put there all the same.
  const chosen = { ...record, target: { type: 'lead', id: lead } }
  await crm.write(fresh(part('call'), ids[0]?.split('/')[2]), chosen, {}, ctxOf(world))
  expect(links()[0]).toMatchObject({ What_Id: { id: lead }, $se_module: 'Leads' })
})

test('a call that is found again is told with the record that it stands on', async () => {
  for (const settings of [{}, { externalIdField: 'Cordboard_Id' }]) {
    const { world, record, part, id } = await ready(settings)
    await crm.write(fresh(part('call')), record, {}, ctxOf(world))
    await crm.write(fresh(part('task-1')), record, {}, ctxOf(world))
    await world.advance(60_000)
    const lead = await post(world, 'Leads', { Last_Name: 'A', Company: 'B' })
    const chosen = { ...record, target: { type: 'lead', id: lead } }
    const found = (await crm.find?.(fresh(part('call')), chosen, {}, ctxOf(world))) ?? ''
    expect(found.split('/').slice(0, 2)).toEqual(['contact', id])
    expect(await crm.find?.(fresh(part('task-1')), record, {}, ctxOf(world))).toContain(`contact/${id}/`)
  }
})

test('the due day is that of the organisation’s zone', () => {
  const endedAt = '2026-03-04T22:30:00.000Z'
  for (const [timeZone, day] of [
    ['UTC', '2026-03-05'],
    ['Asia/Kolkata', '2026-03-06'],
    ['America/New_York', '2026-03-05'],
  ] as const) {
    const record = recordOf({ endedAt }, { analysis: SAMPLE_ANALYSIS })
    const task = crm.plan(record, mapContext({ timeZone })).find(({ key }) => key === 'task-1')
    expect(task?.fields.Due_Date, timeZone).toBe(day)
  }
  expect(connector.config.safeParse({ ...subject.settings, timeZone: 'Mars/Base' }).success).toBe(false)
})
