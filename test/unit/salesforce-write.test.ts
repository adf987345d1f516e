import { describe, expect, test } from 'vitest'
import { quoted } from '../../connectors/salesforce/client.ts'
import type { CrmRecord } from '../../src/connector/crm-role.ts'
import { CUSTOMER, commonCall, SAMPLE_ANALYSIS } from '../kit/connector/samples.ts'
import { cutOff, failureOf } from '../kit/connector/world.ts'
import {
  bookOf,
  books,
  callOf,
  crm,
  ctxOf,
  fresh,
  make,
  mapContext,
  open,
  partOf,
  ready,
  recordOf,
  refusing,
  type Settings,
  spied,
  task,
} from './salesforce-world.ts'

describe('an activity', () => {
  test('is written closed, on its contact, with its key, in one upsert', async () => {
    const { world, record, part, id } = await ready()
    const { ctx, asked } = spied(world)
    await crm.write(fresh(part('call')), record, {}, ctx)
    expect(task(world)).toMatchObject([
      {
        Status: 'Completed',
        Priority: 'Normal',
        TaskSubtype: 'Call',
        Type: 'Call',
        CallType: 'Inbound',
        CallDurationInSeconds: 60,
        ActivityDate: '2026-03-04',
        WhoId: id,
        Cordboard_Id__c: 'wbk_1-call',
      },
    ])
    const writes = asked
      .filter(({ method }) => method !== 'GET')
      .map(({ method, path }) => `${method} ${path}`)
    expect(writes).toEqual(['PATCH /sobjects/Task/Cordboard_Id__c/wbk_1-call'])
    expect(asked.at(-1)?.headers.authorization).toMatch(/^Bearer 00D/)
  })

  test('the second call asks neither for the fields nor for the statuses nor for the owner again', async () => {
    const users = [{ email: 'alice.martin@example.com' }]
    const { world, record, part } = await ready({ users })
    const { ctx, asked } = spied(world)
    await crm.write(fresh(part('call')), record, {}, ctx)
    const before = asked.length
    await crm.write({ ...fresh(part('call')), idempotencyKey: 'wbk_2-call' }, record, {}, ctx)
    expect(asked.length - before).toBe(1)
    await world.advance(600_001)
    await crm.write({ ...fresh(part('call')), idempotencyKey: 'wbk_3-call' }, record, {}, ctx)
    expect(asked.length - before).toBeGreaterThan(3)
  })

  const places: [string, string, object][] = [
    ['Lead', '00Q', { WhoId: expect.stringMatching(/^00Q/) }],
    ['Account', '001', { WhatId: expect.stringMatching(/^001/) }],
    ['Opportunity', '006', { WhatId: expect.stringMatching(/^006/) }],
  ]
  test.each(places)('on a %s (%s)', async (type, _prefix, expected) => {
    const { world, writeCall } = await ready()
    const names = {
      Lead: { LastName: 'L', Company: 'C' },
      Account: { Name: 'A' },
      Opportunity: { Name: 'O' },
    }
    const id = await make(world, type, names[type as keyof typeof names])
    await writeCall({ target: { type: type.toLowerCase(), id } })
    expect(task(world)).toMatchObject([expected])
  })

  test('the date is that of the owner, who is known by e-mail address', async () => {
    const late = { startedAt: '2026-03-04T23:30:00.000Z', answeredAt: undefined, endedAt: undefined }
    const dayOf = async (timeZone: string | undefined, settings: Settings = {}) => {
      const users = timeZone === undefined ? [] : [{ email: 'alice.martin@example.com', timeZone }]
      const { world, writeCall } = await ready({ users, ...settings })
      await writeCall(recordOf(late))
      return [task(world)[0]?.ActivityDate, task(world)[0]?.OwnerId]
    }
    expect(await dayOf('Europe/Paris')).toEqual(['2026-03-05', '005d00000000002AAA'])
    expect(await dayOf('America/New_York')).toEqual(['2026-03-04', '005d00000000002AAA'])
    expect(await dayOf('Mars/Olympus')).toEqual(['2026-03-04', '005d00000000002AAA'])
    expect(await dayOf(undefined)).toEqual(['2026-03-04', undefined])
    expect(await dayOf(undefined, { timeZone: 'Asia/Tokyo' })).toEqual(['2026-03-05', undefined])
    const fallback = { owners: { fallback: '005d00000000001AAA' } }
    expect(await dayOf(undefined, fallback)).toEqual(['2026-03-04', '005d00000000001AAA'])
  })

  test('a status of the operator’s own is taken, without a question', async () => {
    const { world, record, part } = await ready({ closedStatus: 'Deferred' })
    const { ctx, asked } = spied(world)
    await crm.write(fresh(part('call')), record, {}, ctx)
    expect(task(world)).toMatchObject([{ Status: 'Deferred' }])
    expect(asked.some(({ query }) => query.includes('TaskStatus'))).toBe(false)
  })

  test('fields of the operator’s own are typed as the org describes them; what does not fit is left out', async () => {
    const { world, writeCall } = await ready()
    const fields = {
      Call_Score__c: 7.5,
      Turns__c: 12.4,
      Upsell__c: true,
      Topic__c: 'x'.repeat(50),
      Mood__c: 'furious',
      Began_At__c: '2026-03-04T11:20:33.000Z',
      Follow_Up_On__c: '2026-03-05',
      No_Such__c: 'x',
    }
    await writeCall({ fields })
    const [written] = task(world)
    expect(written).toMatchObject({
      Call_Score__c: 7.5,
      Turns__c: 12,
      Upsell__c: true,
      Topic__c: `${'x'.repeat(39)}…`,
      Began_At__c: '2026-03-04T11:20:33.000Z',
      Follow_Up_On__c: '2026-03-05',
    })
    expect(written).not.toHaveProperty('Mood__c')
    expect(written).not.toHaveProperty('No_Such__c')
  })

  test('call fields that the org hides or locks are left out', async () => {
    const { world, writeCall } = await ready({
      hidden: ['Task.CallType'],
      readOnly: ['Task.CallDisposition'],
    })
    await writeCall()
    const [written] = task(world)
    expect(written).toMatchObject({ CallDurationInSeconds: 60 })
    expect(written).not.toHaveProperty('CallType')
    expect(written).not.toHaveProperty('CallDisposition')
  })

  test('an update leaves alone what a person may have changed, and puts it on the record that is chosen now', async () => {
    const { world, record, writeCall } = await ready()
    const { id } = await writeCall()
    const other = await make(world, 'Contact', { LastName: 'Other' })
    const { ctx, asked } = spied(world)
    const told = { ...record, target: { type: 'contact', id: other } }
    await crm.write(fresh(callOf(told), id), told, {}, ctx)
    const body = asked.at(-1)?.body
    expect(asked.at(-1)).toMatchObject({ method: 'PATCH', path: `/sobjects/Task/${id}` })
    for (const name of ['TaskSubtype', 'Status', 'CallDisposition']) expect(body).not.toHaveProperty(name)
    expect(bookOf(world, id)).toMatchObject({ WhoId: other, Status: 'Completed' })
  })

  test('a follow-up is open, due on its day, and its state is not changed again', async () => {
    const { world, record, part } = await ready({ callBack: { tasks: true } })
    const { id } = await crm.write(fresh(part('task-1')), record, {}, ctxOf(world))
    expect(bookOf(world, id)).toMatchObject({
      Status: 'Not Started',
      TaskSubtype: 'Task',
      ActivityDate: '2026-03-05',
    })
    const { ctx, asked } = spied(world)
    await crm.write(fresh(part('task-1'), id), record, {}, ctx)
    expect(Object.keys(asked.at(-1)?.body ?? {}).sort()).toEqual(['Description', 'Subject', 'WhoId'])
  })

  test('one that was deleted is gone', async () => {
    const { world, writeCall } = await ready()
    const { id } = await writeCall()
    const bearer = spied(world)
    await crm.find?.(fresh(callOf(recordOf({}))), recordOf({}), {}, bearer.ctx)
    const headers = { authorization: bearer.asked.at(-1)?.headers.authorization ?? '' }
    await world.context().fetch(`https://salesforce.example.com/services/data/v67.0/sobjects/Task/${id}`, {
      method: 'DELETE',
      headers,
    })
    expect(await failureOf(writeCall({}, id))).toMatchObject({ code: 'gone', retry: 'never' })
  })

  test('one whose contact was deleted is not said to be gone itself: it must not be made anew', async () => {
    const { world, id: contact, writeCall } = await ready()
    const { id } = await writeCall()
    const bearer = spied(world)
    await crm.find?.(fresh(callOf(recordOf({}))), recordOf({}), {}, bearer.ctx)
    const headers = { authorization: bearer.asked.at(-1)?.headers.authorization ?? '' }
    const url = `https://salesforce.example.com/services/data/v67.0/sobjects/Contact/${contact}`
    await world.context().fetch(url, { method: 'DELETE', headers })
    const failure = await failureOf(writeCall({}, id))
    expect(failure).toMatchObject({ code: 'rejected', retry: 'never' })
    expect(failure?.fix).toContain('from match')
    expect(task(world)).toHaveLength(1)
  })

  test('of the org’s own record of the call only the comments are added to', async () => {
    const { world, record } = await ready()
    const id = await make(world, 'Task', {
      Subject: 'Dialled',
      Description: 'Ann: paid.',
      Status: 'In Progress',
    })
    const told: CrmRecord = { ...record, logged: { id }, fields: { Upsell__c: true } }
    for (const summary of ['first', 'second']) {
      const again = { ...told, analysis: { ...SAMPLE_ANALYSIS, summary } }
      await crm.write(fresh(callOf(again), id), again, {}, ctxOf(world))
    }
    const written = bookOf(world, id)
    expect(written).toMatchObject({ Subject: 'Dialled', Status: 'In Progress', Upsell__c: true })
    expect(written).not.toHaveProperty('WhoId')
    expect(written.Description).toMatch(
      /^Ann: paid\.\n\nAnalysis by Cordboard\nSummary: second\n[\s\S]*\nCordboard ref wbk_1-call$/,
    )
    expect(written.Description).not.toContain('first')
  })
})

describe('the transcript', () => {
  const record: CrmRecord = {
    ...recordOf({}, { ...SAMPLE_ANALYSIS, transcript: { turns: [{ party: 'agent', text: 'Ça va ? 😀' }] } }),
  }
  const file = partOf(crm.plan(record, mapContext()), 'transcript')

  test('is a file of the call, found again by its name, and written once', async () => {
    const { world } = await ready()
    const { id: call } = await crm.write(fresh(callOf(record)), record, {}, ctxOf(world))
    expect(await crm.find?.(fresh(file), record, { call }, ctxOf(world))).toBeNull()
    const { id } = await crm.write(fresh(file), record, { call }, ctxOf(world))
    const { VersionData, ...names } = bookOf(world, id)
    expect(Buffer.from(String(VersionData), 'base64').toString()).toBe('Agent: Ça va ? 😀\n')
    expect(names).toMatchObject({ FirstPublishLocationId: call, Title: `transcript-${commonCall().id}.txt` })
    expect(await crm.find?.(fresh(file), record, { call }, ctxOf(world))).toBe(id)
    expect(await crm.write(fresh(file, id), record, { call }, ctxOf(world))).toEqual({ id })
    expect(books(world, 'file').length).toBe(1)
  })
})

describe('an unknown caller', () => {
  const contact = crm.newContact?.(commonCall(), mapContext()) ?? expect.fail('no contact')

  test('becomes a lead that SOQL finds at once, while the index still lags', async () => {
    const world = await open({ indexLagMs: 45_000 })
    const { id } = await crm.write(fresh(contact), recordOf({}), {}, ctxOf(world))
    expect(bookOf(world, id)).toMatchObject({ LastName: 'Jean Dupont', Company: 'Unknown', Phone: CUSTOMER })
    expect(await crm.match(commonCall(), ctxOf(world), [])).toEqual([])
    expect(await crm.find?.(fresh(contact), recordOf({}), {}, ctxOf(world))).toBe(id)
    await world.advance(crm.indexLagMs)
    expect(await crm.match(commonCall(), ctxOf(world), [])).toMatchObject([{ type: 'lead', id }])
  })

  test('whom a duplicate rule knows is the record that it names', async () => {
    const world = await open({ duplicateRule: true })
    const there = await make(world, 'Contact', { LastName: 'Jean', Email: 'jean@example.com' })
    const part = { ...fresh(contact), fields: { ...contact.fields, Email: 'jean@example.com' } }
    expect(await crm.write(part, recordOf({}), {}, ctxOf(world))).toEqual({ id: there })
    expect(books(world, 'contact').length).toBe(1)
  })

  test('a duplicate rule that names nobody is said, and never tried again by itself', async () => {
    const world = await open()
    world.sandbox.fail({
      fault: refusing(400, 'DUPLICATES_DETECTED', 'Use one of these records?'),
      path: '/sobjects/Lead',
      method: 'POST',
    })
    expect(await failureOf(crm.write(fresh(contact), recordOf({}), {}, ctxOf(world)))).toMatchObject({
      code: 'duplicate',
      retry: 'never',
      vendorSaid: 'DUPLICATES_DETECTED: Use one of these records?',
    })
  })
})

describe('once', () => {
  test('a key that is there already is no second record: the upsert became an update', async () => {
    const { world, writeCall } = await ready()
    const { id } = await writeCall()
    expect(await writeCall({ fields: { Turns__c: 9 } })).toEqual({ id })
    expect(task(world)).toMatchObject([{ Turns__c: 9, TaskSubtype: 'Call' }])
  })

  test('the loser of a race takes the record of the winner', async () => {
    const { world, writeCall } = await ready()
    const [one, other] = await Promise.all([writeCall(), writeCall()])
    expect(one).toEqual(other)
    expect(task(world).length).toBe(1)
  })

  test('twenty workers write the same call fifty times each, and lose answers: one record', {
    timeout: 60_000,
  }, async () => {
    const { world, record, part } = await ready()
    const call = fresh(part('call'))
    const ids = new Set<string>()
    const codes = new Map<string, number>()
    await crm.write({ ...call, idempotencyKey: 'warm-call' }, record, {}, ctxOf(world))
    let lost = 0
    for (let i = 0; i < 100; i++) {
      const fault = { kind: i % 2 ? ('hang' as const) : ('commit_then_hang' as const) }
      world.sandbox.fail({ fault, method: 'PATCH', path: 'wbk_1-call' })
    }
    async function worker(nth: number): Promise<void> {
      for (let round = 0; round < 50; round++) {
        const deadline = new AbortController()
        // Some give up early, in the middle of whatever is under way; the others once nothing happens any more.
        let turns = (nth + round) % 5 === 0 ? 3 : 60
        const tick = () => {
          if (turns-- <= 0) deadline.abort()
          else setTimeout(tick)
        }
        tick()
        const written = await crm.write(call, record, {}, ctxOf(world, deadline.signal)).then(
          ({ id }) => ids.add(id),
          (error: { code: string }) => codes.set(error.code, (codes.get(error.code) ?? 0) + 1),
        )
        if (written instanceof Map) lost++
      }
    }
    await Promise.all(Array.from({ length: 20 }, (_, nth) => worker(nth)))
    expect(ids.size).toBe(1)
    expect(task(world).length).toBe(1)
    expect([...codes.keys()]).toEqual(['timeout'])
    expect(lost).toBeGreaterThanOrEqual(100)
  })

  test('a key that stands on an external id that is not unique: the oldest is taken, several are said', async () => {
    const { world, writeCall } = await ready({ uniqueKey: false })
    await make(world, 'Task', { Subject: 'a', Cordboard_Id__c: 'wbk_1-call' })
    await make(world, 'Task', { Subject: 'b', Cordboard_Id__c: 'wbk_1-call' })
    expect(await failureOf(writeCall())).toMatchObject({
      code: 'rejected',
      retry: 'never',
      why: 'Several records carry the same external id',
    })
    const found = await crm.find?.(fresh(callOf(recordOf({}))), recordOf({}), {}, ctxOf(world))
    expect(bookOf(world, found ?? '')).toMatchObject({ Subject: 'a' })
  })

  test('without such a field the key stands in CallObject, and find asks for it', async () => {
    const { world, writeCall } = await ready({ externalIdField: undefined })
    world.sandbox.fail({ fault: { kind: 'commit_then_hang' }, method: 'POST', path: '/sobjects/Task' })
    const told = recordOf({})
    const call = fresh(callOf(told, { externalIdField: undefined }))
    expect(await cutOff((signal) => crm.write(call, told, {}, ctxOf(world, signal)))).toMatchObject({
      code: 'timeout',
    })
    const id = await crm.find?.(call, told, {}, ctxOf(world))
    expect(bookOf(world, id ?? '')).toMatchObject({ CallObject: 'wbk_1-call' })
    expect(await crm.find?.({ ...call, idempotencyKey: 'wbk_1-cal' }, told, {}, ctxOf(world))).toBeNull()
    await writeCall({}, id)
    expect(task(world).length).toBe(1)
  })

  const keyless: [string, Settings][] = [
    ['neither field may be written', { externalIdField: undefined, readOnly: ['Task.CallObject'] }],
    ['the named field is hidden', { hidden: ['Task.Cordboard_Id__c'] }],
    ['the named field is read-only', { readOnly: ['Task.Cordboard_Id__c'] }],
    ['the named field is no External ID', { externalIdField: 'Topic__c' }],
  ]
  test.each(keyless)('where %s, nothing is written at all', async (_what, settings) => {
    const { world, writeCall } = await ready(settings.externalIdField === 'Topic__c' ? {} : settings)
    const name = settings.externalIdField === 'Topic__c' ? 'Topic__c' : undefined
    const ctx = ctxOf(world)
    const told = {
      ...ctx,
      config: { ...ctx.config, ...(name === undefined ? {} : { externalIdField: name }) },
    }
    const record = recordOf({})
    const failure = await failureOf(
      name === undefined ? writeCall() : crm.write(fresh(callOf(record)), record, {}, told),
    )
    expect(failure).toMatchObject({ code: 'forbidden', retry: 'never' })
    expect(books(world, 'call')).toEqual([])
  })

  test('a mapped value that must be unique and is taken is refused, and is no record of this call', async () => {
    const { world, writeCall } = await ready()
    await make(world, 'Task', { Subject: 'other', Badge__c: 'B1' })
    expect(await failureOf(writeCall({ fields: { Badge__c: 'B1' } }))).toMatchObject({
      code: 'rejected',
      message: 'Salesforce: a mapped value must be unique and is taken',
    })
    expect(books(world, 'call')).toEqual([])
  })

  test('a text is never taken for SOQL', async () => {
    expect(quoted("O'Neil \\ \n")).toBe("'O\\'Neil \\\\ \\n'")
    const { world } = await ready()
    const part = { ...fresh(callOf(recordOf({}))), idempotencyKey: "x' OR Subject = 'Dialled" }
    expect(await crm.find?.(part, recordOf({}), {}, ctxOf(world))).toBeNull()
  })
})
