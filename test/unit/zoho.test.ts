import { describe, expect, test } from 'vitest'
import { connector } from '../../connectors/zoho/connector.ts'
import { clockOf, isPlanned, secondsOf, toCallEvent } from '../../connectors/zoho/map.ts'
import type { Call, Result } from '../../src/call/call.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import type { CrmRecord, PlannedPart, WritePart } from '../../src/connector/crm-role.ts'
import { CordboardError } from '../../src/errors.ts'
import { loadSubject } from '../kit/connector/fixtures.ts'
import { readFolder } from '../kit/connector/folder.ts'
import { CUSTOMER, commonCall, SAMPLE_ANALYSIS, sampleCall } from '../kit/connector/samples.ts'
import { cutOff, failureOf, openWorld, type World } from '../kit/connector/world.ts'

type Settings = Record<string, unknown>
type Context = Parameters<typeof connector.check>[0]

const subject = loadSubject(connector, readFolder(new URL('../../connectors/zoho/', import.meta.url)))
const crm = connector.crm ?? expect.fail('Zoho is a CRM')
const telephony = connector.telephony ?? expect.fail('Zoho tells of calls')
const open = (settings: Settings = {}) =>
  openWorld({ ...subject, settings: { ...subject.settings, ...settings } })
const ctxOf = (world: World) => world.context() as Context
const mapContext = (settings: Settings = {}) => ({
  connection: 'acme',
  config: connector.config.parse({ ...subject.settings, ...settings }),
  region: 'FR',
})
const ALICE = '5545974000000000012'
const FALLBACK = '5545974000000000001'

const recordOf = (call: Partial<Call>, more: Partial<CrmRecord> = {}): CrmRecord => ({
  call: { ...commonCall(), ...call },
  analysis: null,
  target: { type: 'contact', id: '7' },
  fields: {},
  logged: null,
  ...more,
})
const planned = (call: Partial<Call>, more: Partial<CrmRecord> = {}, settings: Settings = {}) =>
  crm.plan(recordOf(call, more), mapContext(settings))
const callFields = (call: Partial<Call>, more: Partial<CrmRecord> = {}, settings: Settings = {}) =>
  planned(call, more, settings).find(({ key }) => key === 'call')?.fields
const fresh = (part: PlannedPart, externalId: string | null = null): WritePart => ({
  ...part,
  externalId,
  idempotencyKey: `wbk_1-${part.key}`,
})
const said = (world: World, kind: string) =>
  world.sandbox
    .book()
    .filter((entry) => entry.kind === kind)
    .map(({ id, fields }): Settings => ({ ...fields, id }))

/** Whatever stands in Zoho by other hands. */
async function post(world: World, module: string, fields: Settings): Promise<string> {
  const ctx = ctxOf(world)
  const access = await ctx.token('access', async () => expect.fail('the connector has a token by now'))
  const response = await ctx.fetch(`https://zoho.example.com/crm/v8/${module}`, {
    method: 'POST',
    headers: { authorization: `Zoho-oauthtoken ${access.split(' ')[1]}`, 'content-type': 'application/json' },
    body: JSON.stringify({ data: [fields] }),
  })
  const { data } = (await response.json()) as { data: { details: { id: string } }[] }
  return data[0]?.details.id ?? expect.fail('nothing was made')
}

async function ready(settings: Settings = {}, more: Partial<CrmRecord> = {}) {
  const world = await open(settings)
  const id = world.sandbox.addContact?.({ name: 'Jean Dupont', phone: CUSTOMER }) ?? expect.fail('no contact')
  await crm.match(commonCall(), ctxOf(world), [])
  const record = recordOf({}, { target: { type: 'contact', id }, analysis: SAMPLE_ANALYSIS, ...more })
  const parts = crm.plan(record, { ...mapContext(), config: ctxOf(world).config })
  const part = (key: string) => parts.find((one) => one.key === key) ?? expect.fail(`no part ${key}`)
  return { world, id, record, parts, part }
}

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
    expect(await crm.write(fresh(part('call')), record, {}, ctxOf(world))).toEqual({ id })
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

describe('tokens and refusals', () => {
  test('the API is asked where the token says, unless the connection says otherwise', async () => {
    const world = await open()
    const hosts: string[] = []
    const ctx = ctxOf(world)
    const fetch: Context['fetch'] = (url, init) => {
      hosts.push(new URL(url).host)
      return ctx.fetch(url, init)
    }
    const grant = { access_token: '1000.a', api_domain: 'https://www.zohoapis.eu', expires_in: 3600 }
    world.sandbox.fail({ fault: { kind: 'status', status: 200, body: grant }, path: '/oauth/' })
    const { baseUrl: _, ...config } = ctx.config
    // The stand-in does not know that token.
    await failureOf(connector.check({ ...ctx, config, fetch }))
    expect(hosts[0]).toBe('www.zohoapis.eu')
  })

  test('a token that has ended is renewed once', async () => {
    const world = await open()
    await connector.check(ctxOf(world))
    await world.advance(60_000)
    const before = world.requests()
    const body = { code: 'INVALID_TOKEN', details: {}, message: 'invalid oauth token', status: 'error' }
    world.sandbox.fail({ fault: { kind: 'status', status: 401, body }, path: '/crm/' })
    await crm.match({ ...commonCall(), customer: { phone: '+33639980199', phoneRaw: '' } }, ctxOf(world), [])
    expect(world.requests() - before).toBe(2 + 8)
  })

  const grants: [number, unknown, Record<string, unknown>][] = [
    [200, { error: 'invalid_code' }, { code: 'auth' }],
    [400, { error: 'invalid_client' }, { code: 'auth' }],
    [
      200,
      { error: 'Access Denied', error_description: 'too many requests' },
      { code: 'rate_limited', retry: { afterMs: 600_000 } },
    ],
    [200, { access_token: 'a' }, { code: 'invalid_payload' }],
    [500, {}, { code: 'vendor_down' }],
  ]
  test.each(grants)('the accounts server says %i %o', async (status, body, expected) => {
    const world = await open()
    world.sandbox.fail({ fault: { kind: 'status', status, body }, path: '/oauth/' })
    expect(await failureOf(connector.check(ctxOf(world)))).toMatchObject(expected)
  })

  const refusals: [number, string, Record<string, unknown>][] = [
    [401, 'OAUTH_SCOPE_MISMATCH', { code: 'forbidden', fix: expect.stringContaining('scopes') }],
    [403, 'NO_PERMISSION', { code: 'forbidden' }],
    [429, 'TOO_MANY_REQUESTS', { code: 'rate_limited' }],
    [400, 'LIMIT_EXCEEDED', { code: 'quota' }],
    [400, 'INVALID_DATA', { code: 'rejected' }],
    [400, 'MANDATORY_NOT_FOUND', { code: 'rejected' }],
    [500, 'INTERNAL_ERROR', { code: 'vendor_down' }],
  ]
  test.each(refusals)('%i %s', async (status, code, expected) => {
    const { world, record, part } = await ready()
    const refused = { code, details: {}, message: 'what Zoho says', status: 'error' }
    for (const body of [refused, { data: [refused] }]) {
      world.sandbox.fail({ fault: { kind: 'status', status, body }, path: '/Calls', method: 'POST' })
      expect(await failureOf(crm.write(fresh(part('call')), record, {}, ctxOf(world)))).toMatchObject(
        expected,
      )
    }
    expect(said(world, 'Calls')).toEqual([])
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
    expect(await agents(other)).toEqual([true, false])
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

describe('calls that others log', () => {
  test('ours, and calls yet to be made, are none', async () => {
    const { world, record, part } = await ready()
    const ours = (await crm.write(fresh(part('call')), record, {}, ctxOf(world))).id
    const call = {
      Subject: 'S',
      Call_Type: 'Outbound',
      Call_Start_Time: '2026-03-04T10:00:00+01:00',
      Call_Duration: '00:00',
    }
    const later = await post(world, 'Calls', { ...call, Call_Start_Time: '2027-03-04T10:00:00+01:00' })
    const scheduled = await post(world, 'Calls', { ...call, Call_Status: 'Scheduled' })
    const dialled = await post(world, 'Calls', {
      ...call,
      Call_Duration: '02:05',
      Dialled_Number: '06 39 98 01 42',
    })
    const ids = [ours, later, scheduled, dialled, '99']
    const events = await telephony.lookUp?.(ids, ctxOf(world))
    expect(events).toMatchObject([
      {
        callId: dialled,
        phase: 'ended',
        facts: {
          direction: 'outbound',
          result: 'answered',
          talkMs: 125_000,
          startedAt: '2026-03-04T09:00:00.000Z',
          dialed: { phone: CUSTOMER, phoneRaw: '06 39 98 01 42' },
          customer: { phone: CUSTOMER },
          recordingExpected: false,
        },
      },
    ])
    const off = { ...ctxOf(world), config: { ...ctxOf(world).config, calls: false } }
    expect(await telephony.lookUp?.(ids, off)).toEqual([])
    const unique = await ready({ externalIdField: 'Cordboard_Id' })
    const { id } = await crm.write(fresh(unique.part('call')), unique.record, {}, ctxOf(unique.world))
    expect(await telephony.lookUp?.([id], ctxOf(unique.world))).toEqual([])
    // Somebody may have emptied the description.
    const bare = await post(unique.world, 'Calls', { ...call, Cordboard_Id: 'wbk_9-call' })
    expect(await telephony.lookUp?.([bare], ctxOf(unique.world))).toEqual([])
  })

  test('the customer is who it was logged on', async () => {
    const world = await open()
    world.sandbox.place?.({ ...sampleCall(), result: 'no_answer', talkMs: 0 })
    const [call] = said(world, 'Calls')
    const [contact] = said(world, 'Contacts')
    const [event] = (await telephony.lookUp?.([String(call?.id)], ctxOf(world))) ?? []
    expect(event?.facts).toMatchObject({
      direction: 'inbound',
      result: 'no_answer',
      customer: { phone: CUSTOMER, name: 'Jean Dupont', crm: { acme: `contact:${contact?.id}` } },
      agent: { id: ALICE, name: 'Alice Martin' },
    })
    const onLead = { id: '1', Call_Type: 'Inbound', What_Id: { id: '5' }, $se_module: 'Leads' }
    expect(toCallEvent(onLead, undefined, mapContext()).facts.customer).toEqual({ crm: { acme: 'lead:5' } })
    const onStrange = { id: '1', Call_Type: 'Inbound', What_Id: { id: '5' }, $se_module: 'Cases' }
    expect(toCallEvent(onStrange, undefined, mapContext()).facts.customer).toEqual({})
  })

  test('without a start a call is none', () => {
    expect(isPlanned({ id: '1' }, 0)).toBe(true)
    expect(
      isPlanned({ id: '1', Call_Start_Time: '2026-03-04T09:00:00.000Z' }, Date.parse('2026-03-04T09:00:00Z')),
    ).toBe(false)
  })

  test('the list is asked day by day, up to where it is wanted', async () => {
    const world = await open()
    const call = sampleCall()
    for (const days of [0, 1, 2])
      world.sandbox.place?.({ ...call, startedAt: call.startedAt - days * 86_400_000 })
    await world.advance(60_000)
    const list = async (sinceDays: number, untilDays: number) => {
      const at = (days: number) => new Date(world.now() - days * 86_400_000).toISOString()
      const events: CallEvent[] = []
      for await (const page of telephony.calls?.(at(sinceDays), ctxOf(world), at(untilDays)) ?? [])
        events.push(...page)
      return events.length
    }
    expect(await list(3, 0)).toBe(3)
    expect(await list(3, 1.5)).toBe(1)
    const off = { ...ctxOf(world), config: { ...ctxOf(world).config, calls: false } }
    for await (const page of telephony.calls?.('2026-01-01T00:00:00Z', off) ?? [])
      expect.fail(`listed ${page.length}`)
  })

  test('the channel lives for a week, and is not made twice', async () => {
    const world = await open()
    const url = 'https://hooks.example.com/hooks/acme'
    await telephony.subscribe?.(url, ctxOf(world))
    const expiry = () => Date.parse(String(said(world, 'channel')[0]?.channel_expiry))
    expect(said(world, 'channel')).toMatchObject([
      { notify_url: url, token: subject.settings.notificationToken },
    ])
    expect(expiry() - world.now()).toBeGreaterThan(6 * 86_400_000)
    const first = expiry()
    await world.advance(86_400_000)
    await telephony.subscribe?.(url, ctxOf(world))
    expect(expiry()).toBe(first + 86_400_000)
    expect(said(world, 'channel')).toHaveLength(1)
  })

  test('without calls nothing is subscribed to, without a token it is refused', async () => {
    const off = await open({ calls: false })
    await telephony.subscribe?.('https://x.example.com', ctxOf(off))
    expect(off.requests()).toBe(0)
    for (const notificationToken of [undefined, 'x'.repeat(51)]) {
      const world = await open({ notificationToken })
      const subscribed = Promise.resolve(telephony.subscribe?.('https://x.example.com', ctxOf(world)))
      expect(await failureOf(subscribed)).toBeInstanceOf(CordboardError)
      expect(world.requests()).toBe(0)
    }
    expect(telephony.webhook?.verify(mapContext({ notificationToken: undefined }).config)).toMatchObject({
      secrets: [],
    })
  })
})

describe('fields of the operator’s own', () => {
  test('custom fields of calls are described, with what they take', async () => {
    expect(await crm.fields?.(ctxOf(await open()))).toEqual([
      { name: 'Score', label: 'Score', type: 'number', maxLength: 16 },
      { name: 'Mood', label: 'Mood', type: 'choice', maxLength: 120, choices: ['glad', 'Sad'] },
      { name: 'Sum', label: 'Sum', type: 'number', readOnly: 'it is read-only in Zoho' },
    ])
  })

  test('what is missing is for a person to make', async () => {
    const world = await open({ externalIdField: 'Cordboard_Id' })
    const wanted = [
      { name: 'Score', label: 'Score', type: 'number' as const },
      { name: 'Topic', label: 'Topic', type: 'text' as const },
    ]
    expect(await crm.setUp?.(wanted, ctxOf(world))).toEqual([
      { what: 'the field Cordboard_Id of calls', state: 'was there' },
      { what: 'the field Score of calls', state: 'was there' },
      { what: 'the field Topic of calls', state: 'by hand', fix: expect.stringContaining('Single Line') },
    ])
  })
})

test('the check says which scope or field is missing', async () => {
  const world = await open({
    externalIdField: 'Subject',
    statusField: 'Outgoing_Call_Status',
    notificationToken: undefined,
  })
  const body = { code: 'OAUTH_SCOPE_MISMATCH', details: {}, message: 'invalid oauth scope', status: 'error' }
  world.sandbox.fail({ fault: { kind: 'status', status: 401, body }, path: '/Leads' })
  world.sandbox.fail({ fault: { kind: 'status', status: 401, body }, path: '/users' })
  const fields = {
    fields: [
      { api_name: 'Subject', data_type: 'text', unique: {} },
      { api_name: 'Voice_Recording__s', data_type: 'website' },
    ],
  }
  world.sandbox.fail({ fault: { kind: 'status', status: 200, body: fields }, path: '/settings/fields' })
  const { says, warnings = [] } = await connector.check({ ...ctxOf(world), region: undefined })
  expect(says).toBe('2 fields of calls')
  expect(warnings.map(({ what }) => what)).toEqual([
    'Leads cannot be read',
    'Users cannot be read: calls go to owners.fallback',
    'The field Subject of calls is not unique',
    'Calls have no field Outgoing_Call_Status',
    'Notifications are refused: there is no notificationToken',
    'Numbers that Zoho holds without a country code are not matched',
  ])
})
