import { describe, expect, test } from 'vitest'
import { connector } from '../../connectors/zoho/connector.ts'
import { clockOf, secondsOf } from '../../connectors/zoho/map.ts'
import type { Call, Result } from '../../src/call/call.ts'
import type { CrmRecord } from '../../src/connector/crm-role.ts'
import { CUSTOMER, commonCall, SAMPLE_ANALYSIS } from '../kit/connector/samples.ts'
import { cutOff, failureOf } from '../kit/connector/world.ts'
import {
  ALICE,
  type Context,
  crm,
  ctxOf,
  fresh,
  mapContext,
  open,
  post,
  ready,
  recordOf,
  type Settings,
  said,
} from './zoho-world.ts'

const FALLBACK = '5545974000000000001'
const planned = (call: Partial<Call>, more: Partial<CrmRecord> = {}, settings: Settings = {}) =>
  crm.plan(recordOf(call, more), mapContext(settings))
const callFields = (call: Partial<Call>, more: Partial<CrmRecord> = {}, settings: Settings = {}) =>
  planned(call, more, settings).find(({ key }) => key === 'call')?.fields

describe('a call as Zoho takes it', () => {
  const types: [Result | undefined, Call['direction'], string | undefined][] = [
    ['answered', 'inbound', 'Inbound'],
    [undefined, 'inbound', 'Inbound'],
    ['no_answer', 'inbound', 'Missed'],
    ['abandoned', 'inbound', 'Missed'],
    ['voicemail', 'inbound', 'Missed'],
    ['answered', 'outbound', 'Outbound'],
    ['busy', 'outbound', 'Outbound'],
    ['answered', 'internal', undefined],
    ['answered', undefined, undefined],
  ]
  test.each(types)('%s %s is %s', (result, direction, type) => {
    expect(callFields({ result, direction })?.Call_Type).toBe(type)
  })

  const clocks: [number, string][] = [
    [0, '00:00'],
    [61, '01:01'],
    [3599, '59:59'],
    [3600, '01:00:00'],
    [36_061, '10:01:01'],
  ]
  test.each(clocks)('%i seconds are %s, and back', (seconds, clock) => {
    expect(clockOf(seconds)).toBe(clock)
    expect(secondsOf(clock)).toBe(seconds)
  })

  test('it is logged with both lengths, an offset, its owner and its contact, and sets nothing off', async () => {
    const { world, record, part, id } = await ready({ statusField: 'Outgoing_Call_Status' })
    await crm.write(fresh(part('call')), record, {}, ctxOf(world))
    expect(said(world, 'Calls')).toMatchObject([
      {
        Subject: 'Inbound call, answered: Wrong invoice',
        Call_Type: 'Inbound',
        Call_Start_Time: '2026-03-04T11:20:33+00:00',
        Call_Duration: '01:00',
        Call_Duration_in_seconds: 60,
        Who_Id: { id },
        Owner: { id: ALICE },
        Outgoing_Call_Status: 'Completed',
        Description: expect.stringMatching(/\n\nCordboard ref wbk_1-call$/),
      },
    ])
    expect(said(world, 'Calls')[0]).not.toHaveProperty('owner')
  })

  test('automations are set off only where the operator says so', async () => {
    for (const trigger of [[], ['workflow']]) {
      const { world, record, part } = await ready({ trigger })
      const bodies: unknown[] = []
      const ctx = ctxOf(world)
      const fetch: Context['fetch'] = (url, init) => {
        if (init?.method === 'POST' && typeof init.body === 'string') bodies.push(JSON.parse(init.body))
        return ctx.fetch(url, init)
      }
      await crm.write(fresh(part('call')), record, {}, { ...ctx, fetch })
      expect(bodies).toMatchObject([{ trigger }])
      await crm.write(fresh(part('note')), record, {}, { ...ctx, fetch })
      expect(bodies.at(-1)).not.toHaveProperty('trigger')
    }
  })

  test('leads, accounts and deals are what it is about', async () => {
    const { world, record, part } = await ready()
    for (const [type, module, fields] of [
      ['lead', 'Leads', { Last_Name: 'A', Company: 'B' }],
      ['account', 'Accounts', { Account_Name: 'C' }],
      ['deal', 'Deals', { Deal_Name: 'D' }],
    ] as const) {
      const id = await post(world, module, fields)
      const on = { ...record, target: { type, id } }
      await crm.write(fresh(part('call')), on, {}, ctxOf(world))
      expect(said(world, 'Calls').at(-1)).toMatchObject({ What_Id: { id }, $se_module: module })
      expect(said(world, 'Calls').at(-1)).not.toHaveProperty('Who_Id')
      await crm.write(fresh(part('note')), on, {}, ctxOf(world))
      expect(said(world, 'Notes').at(-1)).toMatchObject({ Parent_Id: `${module}/${id}` })
    }
  })

  test('fields of the operator’s own keep their kind', async () => {
    const { world, record, part } = await ready({}, { fields: { Score: 9, Mood: 'glad', Urgent: true } })
    await crm.write(fresh(part('call')), record, {}, ctxOf(world))
    expect(said(world, 'Calls')).toMatchObject([{ Score: 9, Mood: 'glad', Urgent: true }])
  })

  test('the recording’s address goes to its field, else into the description', () => {
    const recordings = [{ key: 'r', url: 'https://media.example.com/a.mp3', state: 'ready' as const }]
    const on = { recordingLinks: true }
    expect(callFields({ recordings }, {}, on)).toMatchObject({ Voice_Recording__s: recordings[0]?.url })
    const without = callFields({ recordings }, {}, { ...on, recordingField: undefined })
    expect(without?.Description).toContain('Recording: https://media.example.com/a.mp3')
    expect(JSON.stringify(callFields({ recordings }))).not.toContain('media.example.com')
  })

  test('of a call that others logged only the operator’s own fields are written', async () => {
    const { world, record } = await ready()
    const id = await post(world, 'Calls', {
      Subject: 'By hand',
      Call_Type: 'Inbound',
      Call_Start_Time: '2026-03-04T11:20:33+00:00',
      Call_Duration: '01:00',
    })
    const logged = { ...record, logged: { id }, fields: { Score: 9 } }
    const parts = crm.plan(logged, mapContext())
    expect(parts.map(({ key }) => key)).toEqual(['call', 'transcript', 'note', 'task-1', 'task-2'])
    const [call = expect.fail(), transcript = expect.fail(), , task] = parts
    expect(task?.fields).not.toHaveProperty('owner')
    await crm.write(fresh(call, id), logged, {}, ctxOf(world))
    await crm.write(fresh(transcript), logged, { call: id }, ctxOf(world))
    expect(said(world, 'Calls')).toMatchObject([{ Subject: 'By hand', Score: 9 }])
    expect(said(world, 'Calls')[0]).not.toHaveProperty('Description')
    expect(said(world, 'Attachments')).toMatchObject([{ Parent_Id: `Calls/${id}` }])
    const bare = { ...logged, fields: {} }
    const before = world.requests()
    expect(await crm.write({ ...fresh(call, id), fields: {} }, bare, {}, ctxOf(world))).toEqual({ id })
    expect(world.requests()).toBe(before)
  })
})

describe('what stands beside the call', () => {
  test('the transcript is a file on the call, once', async () => {
    const { world, record, part } = await ready()
    const call = (await crm.write(fresh(part('call')), record, {}, ctxOf(world))).id
    const { id } = await crm.write(fresh(part('transcript')), record, { call }, ctxOf(world))
    expect(said(world, 'Attachments')).toMatchObject([
      {
        File_Name: `transcript-${record.call.id}.txt`,
        text: expect.stringContaining('Customer: My invoice is wrong.'),
      },
    ])
    expect(await crm.find?.(fresh(part('transcript')), record, { call }, ctxOf(world))).toBe(id)
    expect(await crm.write(fresh(part('transcript'), id), record, { call }, ctxOf(world))).toEqual({ id })
    expect(said(world, 'Attachments')).toHaveLength(1)
    expect(
      planned({}, { analysis: SAMPLE_ANALYSIS }, { transcript: false }).map(({ key }) => key),
    ).not.toContain('transcript')
  })

  test('a note without a record stands on the call', async () => {
    const { world, record, part } = await ready()
    const nobody = { ...record, target: null }
    const call = (await crm.write(fresh(part('call')), nobody, {}, ctxOf(world))).id
    const { id } = await crm.write(fresh(part('note')), nobody, { call }, ctxOf(world))
    expect(said(world, 'Notes')).toMatchObject([
      { Parent_Id: `Calls/${call}`, Note_Title: expect.stringContaining('Wrong invoice') },
    ])
    expect(await crm.find?.(fresh(part('note')), nobody, { call }, ctxOf(world))).toBe(id)
  })

  test('a task keeps its date, state and owner', async () => {
    const { world, record, part, id } = await ready()
    const made = await crm.write(fresh(part('task-1')), record, {}, ctxOf(world))
    const first = { Due_Date: '2026-03-05', Status: 'Not Started', Owner: { id: ALICE }, Who_Id: { id } }
    expect(said(world, 'Tasks')).toMatchObject([{ ...first, Subject: 'Call the customer back' }])
    const fields = { ...part('task-1').fields, Subject: 'Other', Due_Date: '2027-01-01', Description: 'new' }
    await crm.write(fresh({ ...part('task-1'), fields }, made.id), record, {}, ctxOf(world))
    expect(said(world, 'Tasks')).toMatchObject([
      { ...first, Subject: 'Call the customer back', Description: 'new\n\nCordboard ref wbk_1-task-1' },
    ])
  })

  test('an update leaves the owner of a call alone; a deleted one is `not_found`', async () => {
    const { world, record, part } = await ready()
    const { id } = await crm.write(fresh(part('call')), record, {}, ctxOf(world))
    const fields = { ...part('call').fields, Subject: 'New', owner: FALLBACK }
    await crm.write(fresh({ ...part('call'), fields }, id), record, {}, ctxOf(world))
    expect(said(world, 'Calls')).toMatchObject([{ Subject: 'New', Owner: { id: ALICE } }])
    const gone = await failureOf(crm.write(fresh(part('call'), '99'), record, {}, ctxOf(world)))
    expect(gone).toMatchObject({ code: 'not_found' })
  })
})

describe('once, whatever gets lost', () => {
  test('with a unique field a second record is refused, and the first is the answer', async () => {
    const { world, record, part } = await ready({ externalIdField: 'Cordboard_Id' })
    const { id } = await crm.write(fresh(part('call')), record, {}, ctxOf(world))
    expect(said(world, 'Calls')).toMatchObject([{ Cordboard_Id: 'wbk_1-call' }])
    expect(await crm.write(fresh(part('call')), record, {}, ctxOf(world))).toEqual({
      id: id.split('/').at(-1),
    })
    expect(said(world, 'Calls')).toHaveLength(1)
    await world.advance(60_000)
    expect(await crm.find?.(fresh(part('call')), record, {}, ctxOf(world))).toBe(id)
  })

  test('the double may be named either way, with a status of its own', async () => {
    const { world, record, part } = await ready({ externalIdField: 'Cordboard_Id' })
    const refused = { code: 'DUPLICATE_DATA', message: 'duplicate data', status: 'error' }
    for (const [status, details] of [
      [202, { api_name: 'Cordboard_Id', duplicate_record: { id: '77' } }],
      [400, { api_name: 'Cordboard_Id', id: '77' }],
    ] as const) {
      const body = { data: [{ ...refused, details }] }
      world.sandbox.fail({ fault: { kind: 'status', status, body }, path: '/Calls', method: 'POST' })
      expect(await crm.write(fresh(part('call')), record, {}, ctxOf(world))).toEqual({ id: '77' })
    }
    // Of another field it says that this record is not ours.
    const body = { data: [{ ...refused, details: { api_name: 'Subject', id: '77' } }] }
    world.sandbox.fail({ fault: { kind: 'status', status: 202, body }, path: '/Calls', method: 'POST' })
    const failure = await failureOf(crm.write(fresh(part('call')), record, {}, ctxOf(world)))
    expect(failure).toMatchObject({ code: 'duplicate' })
  })

  test('among calls of the same second ours is the one with our line', async () => {
    const { world, record, part } = await ready()
    const other = { ...fresh(part('call')), idempotencyKey: 'wbk_2-call' }
    await crm.write(other, record, {}, ctxOf(world))
    await world.advance(60_000)
    expect(await crm.find?.(fresh(part('call')), record, {}, ctxOf(world))).toBeNull()
    const { id } = await crm.write(fresh(part('call')), record, {}, ctxOf(world))
    expect(await crm.find?.(fresh(part('call')), record, {}, ctxOf(world))).toBeNull()
    await world.advance(60_000)
    expect(await crm.find?.(fresh(part('call')), record, {}, ctxOf(world))).toBe(id)
  })

  test('a contact with the same address is the one that was meant', async () => {
    for (const [newRecord, module] of [
      ['contact', 'Contacts'],
      ['lead', 'Leads'],
    ] as const) {
      const world = await open({ newRecord })
      const customer = { phone: CUSTOMER, phoneRaw: CUSTOMER, name: 'Jean Dupont', email: 'jean@example.com' }
      const record = recordOf({ customer }, { target: null })
      const person = crm.newContact?.(record.call, mapContext({ newRecord })) ?? expect.fail('no contact')
      expect(person.type).toBe(newRecord)
      const made = await crm.write(fresh(person), record, {}, ctxOf(world))
      expect(await crm.write(fresh(person), record, {}, ctxOf(world))).toEqual(made)
      expect(said(world, module)).toMatchObject([
        {
          Last_Name: 'Jean Dupont',
          Phone: CUSTOMER,
          Owner: { id: ALICE },
          ...(newRecord === 'lead' ? { Company: 'Jean Dupont' } : {}),
        },
      ])
      await world.advance(60_000)
      expect(await crm.find?.(fresh(person), record, {}, ctxOf(world))).toBe(made.id)
    }
  })

  test('an answer that names no id is not the word that nothing happened', async () => {
    const { world, record, part } = await ready()
    for (const body of [{ data: [{ code: 'SUCCESS' }] }, { data: [] }, { other: 1 }]) {
      world.sandbox.fail({ fault: { kind: 'status', status: 201, body }, path: '/Calls', method: 'POST' })
      const failure = await failureOf(crm.write(fresh(part('call')), record, {}, ctxOf(world)))
      expect(failure).toMatchObject({ code: 'vendor_down' })
    }
  })

  test('a lost answer to a note is found on the record itself', async () => {
    const { world, record, part } = await ready()
    world.loseAnswer(1)
    await cutOff((signal) => crm.write(fresh(part('note')), record, {}, world.context(signal) as Context))
    expect(await crm.find?.(fresh(part('note')), record, {}, ctxOf(world))).toBe(said(world, 'Notes')[0]?.id)
  })
})

describe('whose call it is', () => {
  test('contacts come before leads, and leads before accounts; the spelling does not matter', async () => {
    const world = await open()
    await connector.check(ctxOf(world))
    const found = async () => {
      await world.advance(31_000)
      return crm.match(commonCall(), ctxOf(world), [])
    }
    await post(world, 'Accounts', { Account_Name: 'Acme', Phone: '0639980142' })
    expect(await found()).toMatchObject([{ type: 'account', name: 'Acme' }])
    await post(world, 'Leads', { Last_Name: 'Lead', Company: 'Acme', Mobile: '+33 6 39 98 01 42' })
    expect(await found()).toMatchObject([{ type: 'lead', name: 'Lead' }])
    await post(world, 'Contacts', { Last_Name: 'Dupont', First_Name: 'Jean', Mobile: '06 39 98 01 42' })
    expect(await found()).toMatchObject([
      { type: 'contact', name: 'Jean Dupont', reason: expect.stringMatching(/^same number, last activity/) },
    ])
  })

  test('any telephone of a record counts, and nothing else of it', async () => {
    const world = await open()
    await connector.check(ctxOf(world))
    await post(world, 'Contacts', { Last_Name: 'Home', Home_Phone: CUSTOMER })
    await post(world, 'Contacts', {
      Last_Name: 'Fax',
      Phone: '+33639980199',
      Fax: CUSTOMER,
      Mobile: null,
    })
    await world.advance(31_000)
    expect(await crm.match(commonCall(), ctxOf(world), [])).toMatchObject([{ name: 'Home' }])
  })

  test('brackets and commas of a number do not end the criteria', async () => {
    const world = await open()
    await connector.check(ctxOf(world))
    await post(world, 'Contacts', { Last_Name: 'Fiction', Phone: '(202) 555-0142' })
    await world.advance(31_000)
    const customer = { phone: '+12025550142', phoneRaw: '' }
    const [best] = await crm.match({ ...commonCall(), customer }, { ...ctxOf(world), region: 'US' }, [])
    expect(best).toMatchObject({ name: 'Fiction' })
    // For somebody in France these digits are no number of the United States.
    expect(await crm.match({ ...commonCall(), customer }, ctxOf(world), [])).toEqual([])
  })

  test('owner and activity are told; links where the operator says where records are', async () => {
    const world = await open({ crmUrl: 'https://crm.zoho.eu/crm/org1/' })
    await connector.check(ctxOf(world))
    const older = {
      Last_Name: 'Older',
      Phone: CUSTOMER,
      Owner: { id: ALICE },
      Last_Activity_Time: '2026-01-01T00:00:00+01:00',
    }
    const newer = { Last_Name: 'Newer', Phone: CUSTOMER, Last_Activity_Time: '2026-02-01T00:00:00+01:00' }
    const [a, b] = [await post(world, 'Contacts', older), await post(world, 'Contacts', newer)]
    await world.advance(31_000)
    expect(await crm.match(commonCall(), ctxOf(world), [])).not.toContainEqual(
      expect.objectContaining({ isAgents: true }),
    )
    expect(await crm.match(commonCall(), ctxOf(world), ['owner is the agent'])).toMatchObject([
      {
        id: b,
        isAgents: false,
        lastActivityAt: '2026-01-31T23:00:00.000Z',
        url: `https://crm.zoho.eu/crm/org1/tab/Contacts/${b}`,
      },
      { id: a, isAgents: true, createdAt: expect.any(String) },
    ])
    // Agents of calls that Zoho tells of are its users.
    const own = { ...commonCall(), source: { connection: 'acme', callId: '1' }, agent: { id: FALLBACK } }
    const other = { ...own, source: { connection: 'pbx', callId: '1' }, agent: { id: ALICE } }
    const agents = async (call: Call) =>
      (await crm.match(call, ctxOf(world), ['owner is the agent'])).map(({ isAgents }) => isAgents)
    expect(await agents({ ...own, agent: { id: ALICE } })).toEqual([false, true])
    // Whoever gets the calls of all others (the owner of the first) is nobody's agent.
    expect(await agents(other)).toEqual([undefined, undefined])
    expect(crm.recordUrl?.({ type: 'lead', id: '9' }, ctxOf(world).config)).toBe(
      'https://crm.zoho.eu/crm/org1/tab/Leads/9',
    )
    expect(crm.recordUrl?.({ type: 'task', id: '9' }, ctxOf(world).config)).toBeNull()
  })

  test('a record that the phone system names is looked up first', async () => {
    const world = await open()
    await connector.check(ctxOf(world))
    const id = await post(world, 'Deals', { Deal_Name: 'Named' })
    const { customer = expect.fail() } = commonCall()
    const match = (crmOf: string) =>
      crm.match({ ...commonCall(), customer: { ...customer, crm: { acme: crmOf } } }, ctxOf(world), [])
    expect(await match(`deal:${id}`)).toMatchObject([{ type: 'deal', id }])
    expect(await match('deal:1')).toEqual([])
    expect(await match('task:1')).toEqual([])
  })
})
