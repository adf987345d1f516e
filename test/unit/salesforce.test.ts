import { describe, expect, test } from 'vitest'
import { connector } from '../../connectors/salesforce/connector.ts'
import { fitted, placeOf, withAnalysis } from '../../connectors/salesforce/map.ts'
import { field } from '../../connectors/salesforce/schema.ts'
import type { Call, Result } from '../../src/call/call.ts'
import type { WantedField } from '../../src/connector/crm-role.ts'
import { commonCall, SAMPLE_ANALYSIS } from '../kit/connector/samples.ts'
import { failureOf } from '../kit/connector/world.ts'
import {
  callOf,
  crm,
  ctxOf,
  mapContext,
  open,
  partOf,
  recordOf,
  refusing,
  type Settings,
} from './salesforce-world.ts'

const callFields = (call: Partial<Call>, settings: Settings = {}) =>
  callOf(recordOf(call, null), settings).fields

describe('a call as an activity', () => {
  test('what is written', () => {
    const { Description, ...fields } = callOf(recordOf({}, SAMPLE_ANALYSIS)).fields
    expect(fields).toEqual({
      Subject: 'Inbound call, answered: Wrong invoice',
      TaskSubtype: 'Call',
      Type: 'Call',
      ActivityDate: commonCall().startedAt,
      CallType: 'Inbound',
      CallDurationInSeconds: '60',
      CallDisposition: 'Answered',
      OwnerId: 'alice.martin@example.com',
    })
    const lines = Description?.split('\n') ?? []
    expect(lines[0]).toBe(`Summary: ${SAMPLE_ANALYSIS.summary}`)
    expect(lines.filter((line) => line.startsWith('Summary:')).length).toBe(1)
    expect(Description).not.toContain('Title:')
    expect(lines).toContain('• politeness: 9 (0 to 10)')
    expect(lines).toContain(`Began: ${commonCall().startedAt}`)
  })

  const ways: [Call['direction'], string | undefined][] = [
    ['inbound', 'Inbound'],
    ['outbound', 'Outbound'],
    ['internal', 'Internal'],
    [undefined, undefined],
  ]
  test.each(ways)('%s is %s', (direction, expected) => {
    expect(callFields({ direction }).CallType).toBe(expected)
  })

  const endings: [Result, string][] = [
    ['answered', 'Answered'],
    ['no_answer', 'No answer'],
    ['busy', 'Busy'],
    ['failed', 'Failed'],
    ['rejected', 'Rejected'],
    ['abandoned', 'Abandoned'],
    ['voicemail', 'Voicemail'],
  ]
  test.each(endings)('%s is the call result %s, unless there is an outcome', (result, expected) => {
    expect(callFields({ result }).CallDisposition).toBe(expected)
    expect(callFields({ result, outcome: 'sold' }).CallDisposition).toBe('sold')
  })

  const durations: [string, Partial<Call>, string | undefined][] = [
    ['rounded to seconds', { talkMs: 61_500 }, '62'],
    ['none when nobody answered', { result: 'no_answer', talkMs: undefined, totalMs: 30_000 }, '0'],
    ['unknown stays unknown', { result: undefined, talkMs: undefined, totalMs: undefined }, undefined],
  ]
  test.each(durations)('the duration is %s', (_what, call, expected) => {
    expect(callFields(call).CallDurationInSeconds).toBe(expected)
  })

  test('the owner is the one the operator named, else the agent’s address, else the fallback', () => {
    const [named, other] = ['005000000000007', '005000000000009AAA']
    const settings = { owners: { map: { '101': named }, fallback: other } }
    expect(callFields({}, settings).OwnerId).toBe(named)
    expect(callFields({}).OwnerId).toBe('alice.martin@example.com')
    expect(callFields({ agent: { name: 'Alice' } }, settings).OwnerId).toBe(other)
    expect(callFields({ agent: undefined })).not.toHaveProperty('OwnerId')
  })

  test('texts stay within every org’s lengths, and say where they were cut', () => {
    const long = { ...SAMPLE_ANALYSIS, title: 't'.repeat(400), summary: '😀'.repeat(20_000) }
    const { Subject, Description } = callOf(recordOf({ outcome: 'o'.repeat(300) }, long)).fields
    expect(Subject?.length).toBe(255)
    expect(Description?.length).toBeLessThanOrEqual(32_000)
    expect(Description?.isWellFormed()).toBe(true)
    expect(Description).toMatch(/\[Shortened: the rest does not fit into this field\]$/)
    expect(callFields({ outcome: 'o'.repeat(300) }).CallDisposition?.length).toBe(255)
  })

  test('the transcript is in the comments and in a file only where the operator wants it', () => {
    const analysis = {
      ...SAMPLE_ANALYSIS,
      transcript: { turns: [{ party: 'agent' as const, text: 'Good morning' }] },
    }
    const parts = (transcript: Settings) => crm.plan(recordOf({}, analysis), mapContext({ transcript }))
    expect(partOf(parts({}), 'call').fields.Description).not.toContain('Good morning')
    expect(parts({}).map(({ kind }) => kind)).not.toContain('file')
    expect(partOf(parts({ text: true }), 'call').fields.Description).toContain('Agent: Good morning')
    const { fields } = partOf(parts({ file: true }), 'transcript')
    expect(fields).toEqual({
      Title: `transcript-${commonCall().id}.txt`,
      PathOnClient: `transcript-${commonCall().id}.txt`,
      text: 'Agent: Good morning\n',
    })
  })

  test('a call back has its hour as a reminder, a promise its day', () => {
    const settings = { callBack: { tasks: true } }
    const missed = crm.plan(recordOf({ result: 'no_answer' }, SAMPLE_ANALYSIS), mapContext(settings))
    const endedAt = Date.parse(commonCall().endedAt ?? '')
    expect(partOf(missed, 'call-back').fields).toMatchObject({
      Subject: 'Call back Jean Dupont',
      TaskSubtype: 'Task',
      Type: 'Call',
      IsReminderSet: 'true',
      ReminderDateTime: new Date(endedAt + 3_600_000).toISOString(),
    })
    const { fields } = partOf(missed, 'task-1')
    expect(fields).toMatchObject({ Subject: 'Call the customer back', TaskSubtype: 'Task' })
    expect(fields).not.toHaveProperty('IsReminderSet')
    expect(fields).not.toHaveProperty('Status')
  })

  test('fields of the operator’s own win over ours', () => {
    const record = { ...recordOf({}), fields: { Call_Score__c: 7.5, Upsell__c: false, Subject: 'Mine' } }
    expect(callOf(record).fields).toMatchObject({ Call_Score__c: '7.5', Upsell__c: 'false', Subject: 'Mine' })
  })
})

describe('where it stands', () => {
  const places: [{ type: string; id: string } | null, Record<string, string>][] = [
    [null, {}],
    [{ type: 'contact', id: '003d00000000001AAA' }, { WhoId: '003d00000000001AAA' }],
    [{ type: 'lead', id: '00Qd00000000001EAA' }, { WhoId: '00Qd00000000001EAA' }],
    // A created contact may be a lead: the id knows.
    [{ type: 'contact', id: '00Qd00000000001EAA' }, { WhoId: '00Qd00000000001EAA' }],
    [{ type: 'account', id: '001d00000000001AAA' }, { WhatId: '001d00000000001AAA' }],
    [{ type: 'contact', id: '001d00000000001AAA' }, { WhatId: '001d00000000001AAA' }],
    [{ type: 'Opportunity', id: '006d00000000001AAA' }, { WhatId: '006d00000000001AAA' }],
    [{ type: 'Deal__c', id: 'a0Bd00000000001AAA' }, { WhatId: 'a0Bd00000000001AAA' }],
  ]
  test.each(places)('%j is %j', (target, expected) => {
    expect(placeOf(target)).toEqual(expected)
  })
})

describe('values as the org describes its fields', () => {
  const described = (name: string, type: string, more: Record<string, unknown> = {}) =>
    field.parse({ name, type, createable: true, updateable: true, ...more })
  const fields = [
    described('Int', 'int'),
    described('Double', 'double'),
    described('Flag', 'boolean'),
    described('Text', 'string', { length: 5 }),
    described('Area', 'textarea', { length: 60 }),
    described('Day', 'date'),
    described('At', 'datetime'),
    described('Choice', 'picklist', {
      length: 255,
      restrictedPicklist: true,
      picklistValues: [
        { value: 'a', active: true },
        { value: 'old', active: false },
      ],
    }),
    described('Open', 'picklist', { length: 255, picklistValues: [{ value: 'a', active: true }] }),
    described('Fixed', 'string', { length: 5, updateable: false }),
    described('Hidden', 'string', { length: 5, createable: false, updateable: false }),
    described('Place', 'address'),
    described('Link', 'url', { length: 10 }),
  ]
  const mark = '\n[Shortened: the rest does not fit into this field]'
  const cases: [string, string, unknown][] = [
    ['Int', '7', 7],
    ['Int', '7.6', 8],
    ['Int', '', undefined],
    ['Int', 'many', undefined],
    ['Double', '0.25', 0.25],
    ['Double', 'Infinity', undefined],
    ['Flag', 'true', true],
    ['Flag', 'false', false],
    ['Flag', 'yes', undefined],
    ['Text', 'short', 'short'],
    ['Text', 'longer', 'long…'],
    ['Area', 'x'.repeat(70), 'x'.repeat(60 - mark.length) + mark],
    ['Day', '2026-03-04', '2026-03-04'],
    ['Day', '2026-03-04T23:30:00.000Z', '2026-03-05'],
    ['Day', 'tomorrow', undefined],
    ['At', '2026-03-04T23:30:00Z', '2026-03-04T23:30:00.000Z'],
    ['At', 'soon', undefined],
    ['Choice', 'a', 'a'],
    ['Choice', 'b', undefined],
    ['Choice', 'old', undefined],
    ['Open', 'b', 'b'],
    ['Hidden', 'x', undefined],
    ['Missing', 'x', undefined],
    ['Place', 'x', undefined],
    ['Link', 'https://a.example/long', undefined],
  ]
  test.each(cases)('%s: %j is %j', (name, text, expected) => {
    const { values, leftOut } = fitted({ [name]: text }, fields, 'createable', 'Europe/Paris')
    expect(values[name]).toEqual(expected)
    expect(leftOut).toEqual(expected === undefined ? [name] : [])
  })

  test('what is for creation only stays out of an update', () => {
    expect(fitted({ Fixed: 'x' }, fields, 'createable', 'UTC').values).toEqual({ Fixed: 'x' })
    expect(fitted({ Fixed: 'x' }, fields, 'updateable', 'UTC')).toEqual({ values: {}, leftOut: ['Fixed'] })
  })

  test('a zone that the runtime does not know is taken for UTC', () => {
    const { values } = fitted({ Day: '2026-03-04T23:30:00Z' }, fields, 'createable', 'Mars/Olympus')
    expect(values).toEqual({ Day: '2026-03-04' })
  })
})

describe('an activity that was there before', () => {
  test('our words stand behind those of others, and in the place of our last ones', () => {
    const key = 'wbk_1-call'
    const block = (text: string) => `Analysis by Cordboard\n${text}\nCordboard ref ${key}`
    expect(withAnalysis('', 'one', key)).toBe(block('one'))
    const once = withAnalysis('Called by Ann.\n', 'one', key)
    expect(once).toBe(`Called by Ann.\n\n${block('one')}`)
    const edited = `${once}\nAnn: paid.`
    expect(withAnalysis(edited, 'two', key)).toBe(`Called by Ann.\n\n${block('two')}\nAnn: paid.`)
  })

  test('it stays within its length, and no word of others is lost', () => {
    const standing = 'a'.repeat(31_000)
    const merged = withAnalysis(standing, 'b'.repeat(5000), 'wbk_1-call')
    expect(merged.length).toBe(32_000)
    expect(merged.startsWith(`${standing}\n\nAnalysis by Cordboard\nb`)).toBe(true)
    expect(merged.endsWith('\nCordboard ref wbk_1-call')).toBe(true)
    const full = 'a'.repeat(31_950)
    expect(withAnalysis(full, 'b'.repeat(5000), 'wbk_1-call')).toBe(full)
  })

  test('only what the analysis found is planned for it', () => {
    const record = {
      ...recordOf({}, SAMPLE_ANALYSIS),
      logged: { id: '00Td00000000001EAA' },
      fields: { Upsell__c: true },
    }
    expect(Object.keys(callOf(record).fields).sort()).toEqual(['Description', 'Upsell__c'])
    expect(callOf({ ...record, analysis: null, fields: {} }).fields).toEqual({})
    const task = partOf(crm.plan(record, mapContext()), 'task-1')
    expect(task.fields).not.toHaveProperty('OwnerId')
  })
})

describe('the fields of activities', () => {
  test('are told as the org describes them', async () => {
    const world = await open()
    const all = Object.fromEntries(((await crm.fields?.(ctxOf(world))) ?? []).map((one) => [one.name, one]))
    expect(all.Call_Score__c).toEqual({ name: 'Call_Score__c', label: 'Call Score', type: 'number' })
    expect(all.Topic__c).toEqual({ name: 'Topic__c', label: 'Topic', type: 'text', maxLength: 40 })
    expect(all.Mood__c).toMatchObject({ type: 'choice', choices: ['good', 'bad'] })
    expect(all.Upsell__c?.type).toBe('boolean')
    expect(all.Began_At__c?.type).toBe('datetime')
    expect(all.Follow_Up_On__c?.type).toBe('date')
    expect(all.Priority).toMatchObject({ type: 'text', maxLength: 255 })
    for (const name of ['Subject', 'WhoId', 'Cordboard_Id__c'])
      expect(all[name]?.readOnly).toBe('written with every call')
    expect(all.AccountId?.readOnly).toBe('Salesforce fills it, or this user may not')
    expect(all.Call_Score__c).not.toHaveProperty('readOnly')
  })

  const wanted: WantedField[] = [
    { name: 'Upsell__c', label: 'Upsell', type: 'boolean' },
    { name: 'Score_Two__c', label: 'Score two', type: 'number' },
  ]
  test('what is not there is made by hand, with every step', async () => {
    const world = await open()
    const [key, there, missing] = (await crm.setUp?.(wanted, ctxOf(world))) ?? []
    expect(key).toEqual({ what: 'the field Cordboard_Id__c of activities', state: 'was there' })
    expect(there).toEqual({ what: 'the field Upsell__c of activities', state: 'was there' })
    expect(missing).toMatchObject({ state: 'by hand' })
    expect(missing?.fix).toContain(
      'Activity → Fields & Relationships → New, Number of length 16 with 2 decimal places',
    )
    expect(missing?.fix).toContain('label “Score two”, name Score_Two;')
  })

  const keys: [string, Settings, string][] = [
    ['none is named', { externalIdField: undefined }, 'then set externalIdField to "Cordboard_Id__c"'],
    ['it is not unique', { uniqueKey: false }, 'tick “External ID” and “Unique”'],
    ['it is hidden', { hidden: ['Task.Cordboard_Id__c'] }, 'show it to the integration user'],
  ]
  test.each(keys)('the key’s field is by hand where %s', async (_what, settings, fix) => {
    const world = await open(settings)
    const [key] = (await crm.setUp?.([], ctxOf(world))) ?? []
    expect(key).toMatchObject({ state: 'by hand', fix: expect.stringContaining(fix) })
  })
})

describe('the check', () => {
  const { check } = connector
  const warnings = async (settings: Settings) => {
    const world = await open(settings)
    return ((await check(ctxOf(world))).warnings ?? []).map(({ what }) => what)
  }

  test('says whose credentials they are, and what of the day is used', async () => {
    const world = await open({ dailyLimit: 5000 })
    expect(await check(ctxOf(world))).toEqual({
      says: 'org 00Dd0000000stndEAA as user 005d0000000standAA, 3 of 5000 API requests used in 24 hours',
      warnings: [],
    })
  })

  const found: [string, Settings, string][] = [
    ['no key', { externalIdField: undefined }, 'Calls are told apart by CallObject'],
    [
      'no key at all',
      { externalIdField: undefined, readOnly: ['Task.CallObject'] },
      'no call can be written',
    ],
    ['a key that is hidden', { hidden: ['Task.Cordboard_Id__c'] }, 'is not there, or is hidden'],
    ['a key that is not unique', { uniqueKey: false }, 'is not unique'],
    ['a key that is read-only', { readOnly: ['Task.Cordboard_Id__c'] }, 'may not be written by this user'],
    [
      'hidden call fields',
      { hidden: ['Task.CallType', 'Task.CallDisposition'] },
      'CallType, CallDisposition',
    ],
    ['a used-up day', { dailyLimit: 3 }, '100 % of the org’s API requests are used'],
    ['another org', { orgId: '00D000000000001' }, 'another org than orgId says'],
  ]
  test.each(found)('warns of %s', async (_what, settings, says) => {
    expect(await warnings(settings)).toEqual([expect.stringContaining(says)])
  })

  test('the same org by the short form of its id is no other', async () => {
    expect(await warnings({ orgId: '00Dd0000000stnd' })).toEqual([])
  })

  test('person accounts that the org has not, or has', async () => {
    const world = await open({ personAccounts: true })
    const ctx = ctxOf(world)
    expect((await check(ctx)).warnings).toEqual([])
    const told = (await check({ ...ctx, config: { ...ctx.config, personAccounts: false } })).warnings ?? []
    expect(told.map(({ fix }) => fix)).toEqual(['Set personAccounts to true'])
    const plain = ctxOf(await open())
    const other =
      (await check({ ...plain, config: { ...plain.config, personAccounts: true } })).warnings ?? []
    expect(other.map(({ fix }) => fix)).toEqual(['Remove personAccounts'])
  })

  test('refused credentials are an error, and asked for once', async () => {
    const world = await open()
    world.sandbox.fail({ fault: refusing(401, 'INVALID_SESSION_ID'), path: '/services/data', times: 9 })
    expect(await failureOf(check(ctxOf(world)))).toMatchObject({ code: 'auth' })
    expect(world.requests()).toBe(2)
  })
})
