import { describe, expect, it } from 'vitest'
import { longId } from '../../connectors/salesforce/inbound/id.ts'
import { listCalls, lookUpCalls } from '../../connectors/salesforce/inbound/read.ts'
import { fetchRecording } from '../../connectors/salesforce/inbound/recording.ts'
import { sourceWarnings } from '../../connectors/salesforce/inbound/warnings.ts'
import { type CallEvent, callEvent } from '../../src/call/facts.ts'
import { foldEvents, progressOf } from '../../src/call/merge.ts'
import { asCordboardError } from '../../src/errors.ts'
import {
  ACCOUNT,
  CALL,
  CONTACT,
  context,
  eventsIn,
  LEAD,
  MESSAGE,
  OWNER,
  org,
  PHONE,
  RECEIVED,
  read,
  type Settings,
  schema,
  settingsOf,
  soap,
  TASK,
  TASK_ROW,
  warned,
} from './salesforce-inbound-world.ts'

describe('looking up', () => {
  it('asks once for many tasks, and once for each kind of people', async () => {
    const second = { ...TASK_ROW, Id: longId('00T0000000000B2'), WhoId: LEAD, CallType: 'Outbound' }
    const { asked, query } = org([TASK_ROW, second])
    const events = await lookUpCalls([TASK, '00T0000000000B2', TASK.slice(0, 15)], query, context(MESSAGE))
    expect(asked).toHaveLength(4)
    expect(asked[0]).toContain('Recording_URL__c,Cordboard_Key__c')
    expect(asked.map((soql) => /FROM (\w+)/.exec(soql)?.[1])).toEqual(['Task', 'Contact', 'Lead', 'User'])
    for (const event of events) callEvent.parse(event)
    expect(events).toHaveLength(2)
    expect(events[0]).toMatchObject({
      key: `${TASK}:2026-03-04T11:24:30.000Z`,
      callId: TASK,
      at: '2026-03-04T11:24:30.000Z',
      facts: {
        direction: 'inbound',
        result: 'answered',
        from: { phone: PHONE },
        customer: { phone: PHONE, name: 'Jean Dupont', email: 'jean@example.com', crm: { crm: CONTACT } },
        agent: { id: OWNER, name: 'Alice Martin', email: 'alice.martin@example.com', extension: '101' },
        startedAt: '2026-03-04T11:24:10.000Z',
      },
    })
    expect(events[1]?.facts).toMatchObject({
      direction: 'outbound',
      dialed: { phone: '+33199001234' },
      customer: { name: 'Léa', crm: { crm: LEAD } },
    })
    expect(events[1]?.facts).not.toHaveProperty('from')
  })

  it('adds to what the message said, and contradicts none of it', async () => {
    const told = eventsIn(read(soap([{ fields: CALL }])))
    const found = await lookUpCalls([TASK], org([TASK_ROW]).query, context(MESSAGE))
    const base = { id: 'call_1', connection: 'crm', callId: TASK }
    const call = foldEvents([...told, ...found], base)
    expect(call).toEqual(foldEvents([...found, ...told], base))
    expect(call).toMatchObject({
      source: { connection: 'crm', callId: TASK },
      result: 'answered',
      talkMs: 63_000,
      customer: { phone: PHONE, name: 'Jean Dupont', crm: { crm: CONTACT } },
      agent: { id: OWNER, extension: '101' },
    })
    expect(call.recordings).toHaveLength(1)
    expect(progressOf(found)).toEqual({ ended: true, recording: 'ready' })
  })

  it.each([
    ['ours by the external id', { Cordboard_Key__c: 'wbk_01KJT0QZ5M-call' }],
    ['ours by CallObject', { CallObject: 'wbk_01KJT0QZ5M-call' }],
    ['planned', { IsClosed: false }],
    ['no call', { TaskSubtype: 'Task', CallType: null }],
  ])('leaves out what is %s', async (_, fields) => {
    const { asked, query } = org([{ ...TASK_ROW, ...fields }])
    expect(await lookUpCalls([TASK], query, context(MESSAGE))).toEqual([])
    expect(asked).toHaveLength(1)
  })

  it('asks for nothing that is no id of a task, nor where no calls are taken', async () => {
    const { asked, query } = org([TASK_ROW])
    const strange = ["' OR Id != '", '', CONTACT, 'x'.repeat(400)]
    expect(await lookUpCalls(strange, query, context(MESSAGE))).toEqual([])
    const { calls: _, ...none } = MESSAGE
    expect(await lookUpCalls([TASK], query, context(none))).toEqual([])
    for await (const page of listCalls(RECEIVED, query, context(none))) expect(page).toEqual([])
    expect(asked).toEqual([])
  })

  it('a call on an account, of a queue, without a number: nothing is made up', async () => {
    const queue = longId('00G0000000000q1')
    const fields = {
      WhoId: null,
      WhatId: ACCOUNT,
      OwnerId: queue,
      CallDisposition: 'Wrong person',
      CallType: null,
    }
    const [event] = await lookUpCalls([TASK], org([{ ...TASK_ROW, ...fields }]).query, context(MESSAGE))
    expect(event?.facts.customer).toEqual({ crm: { crm: ACCOUNT } })
    expect(event?.facts).toMatchObject({ outcome: 'Wrong person', meta: { whatId: ACCOUNT } })
    for (const name of ['agent', 'from', 'dialed', 'result', 'direction', 'endedAt'])
      expect(event?.facts).not.toHaveProperty(name)
  })

  it('a field of the operator’s own says when the call began, and so when it ended', async () => {
    const settings: Settings = { ...MESSAGE, calls: { ...MESSAGE.calls, startField: 'Began__c' } }
    const row = { ...TASK_ROW, Began__c: '2026-03-04T11:22:33.000+0000' }
    const [event] = await lookUpCalls([TASK], org([row]).query, context(settings))
    expect(event?.facts).toMatchObject({
      startedAt: '2026-03-04T11:22:33.000Z',
      endedAt: '2026-03-04T11:23:36.000Z',
    })
  })
})

describe('listing', () => {
  it('asks for the calls that began in the span, in their order', async () => {
    const { asked, query } = org([TASK_ROW, { ...TASK_ROW, Id: longId('00T0000000000B2'), IsClosed: false }])
    const events: CallEvent[] = []
    for await (const page of listCalls(
      '2026-03-04T00:00:00.000Z',
      query,
      context(MESSAGE),
      '2026-03-05T00:00:00.000Z',
    ))
      events.push(...page)
    expect(asked[0]).toMatch(
      / FROM Task WHERE \(TaskSubtype = 'Call' OR CallType != null\) AND IsClosed = true AND CreatedDate >= 2026-03-04T00:00:00.000Z AND CreatedDate < 2026-03-05T00:00:00.000Z ORDER BY CreatedDate ASC$/,
    )
    expect(events.map(({ callId }) => callId)).toEqual([TASK])
    const [found] = await lookUpCalls([TASK], org([TASK_ROW]).query, context(MESSAGE))
    expect(events[0]).toEqual(found)
  })
})

// ── Recordings ──────────────────────────────────────────────────────────────────────────────────────────────────────

const linked = async (fields: Record<string, unknown>, calls: Settings['calls'] = MESSAGE.calls) => {
  const found = await lookUpCalls(
    [TASK],
    org([{ ...TASK_ROW, ...fields }]).query,
    context({ ...MESSAGE, calls }),
  )
  return found[0]?.facts
}
const HOSTS = { recordingHosts: ['media.example.com', '*.dialler.example.com'] }

describe('a recording', () => {
  it.each([
    ['https://eu.dialler.example.com/a.wav?x=1', 'wav'],
    ['https://media.example.com/listen/1', undefined],
  ])('is the link %s', async (url, format) => {
    const [recording] = (await linked({ Recording_URL__c: url }))?.recordings ?? []
    expect(recording).toEqual({ key: TASK, state: 'ready', url, ...(format ? { format } : {}) })
  })

  it.each([
    'http://media.example.com/1.mp3',
    'https://media.example.com.evil.example/1.mp3',
    'https://evil.example/media.example.com',
    'https://dialler.example.com/1.mp3',
    'https://media.example.com:8443/1.mp3',
    'https://user:pass@media.example.com/1.mp3',
    'javascript:alert(1)',
    'recording 17',
  ])('is not %s', async (url) => {
    const facts = await linked({ Recording_URL__c: url })
    expect(facts).not.toHaveProperty('recordings')
    // It may come later, and is waited for.
    expect(facts).not.toHaveProperty('recordingExpected')
  })

  it('of a host that is not named is said once in the log, without its path', async () => {
    warned.length = 0
    await linked({ Recording_URL__c: 'https://evil.example/1.mp3?token=x' })
    expect(warned).toEqual([{ task: TASK, host: 'evil.example' }])
  })

  it('is the first link of the description that is of a named host, where there is no field', async () => {
    const Description =
      'See https://example.org/x. Recording (https://media.example.com/r/7.mp3).\nhttps://media.example.com/8'
    const facts = await linked({ Description }, HOSTS)
    expect(facts?.recordings?.[0]?.url).toBe('https://media.example.com/r/7.mp3')
  })

  it('is not expected where no host is named', async () => {
    expect(await linked({ Description: 'https://media.example.com/8' }, {})).toMatchObject({
      recordingExpected: false,
    })
  })

  const CALL_OF = foldEvents([], { id: 'call_1', connection: 'crm', callId: TASK })
  const recording = { key: TASK, state: 'ready' as const, url: 'https://media.example.com/r/7.mp3' }
  const fetched = (calls: Settings['calls'], answer: () => Response, url = recording.url) => {
    const sent: { url: string; authorization: string | undefined }[] = []
    const ctx = context({ ...MESSAGE, calls }, (to, init) => {
      sent.push({ url: to.href, authorization: init?.headers?.authorization })
      return answer()
    })
    return fetchRecording({ ...recording, url }, CALL_OF, ctx).then(
      async (response) => ({ sent, text: await response.text(), code: null }),
      (error) => ({ sent, text: null, code: asCordboardError(error).code }),
    )
  }
  const audio = () => new Response('ID3', { headers: { 'content-type': 'audio/mpeg' } })

  it.each([
    [{ by: 'none' as const }, undefined],
    [{ by: 'bearer' as const, token: 'abc' }, 'Bearer abc'],
    [{ by: 'basic' as const, user: 'u', password: 'pé' }, 'Basic dTpww6k='],
  ])('is fetched with the credentials of its host: $by', async (recordingAuth, authorization) => {
    expect(await fetched({ ...HOSTS, recordingAuth }, audio)).toEqual({
      sent: [{ url: recording.url, authorization }],
      text: 'ID3',
      code: null,
    })
  })

  it('is fetched from named hosts only, also where the list has changed since', async () => {
    expect(await fetched({ recordingHosts: ['other.example.com'] }, audio)).toMatchObject({
      sent: [],
      code: 'rejected',
    })
    expect(await fetched(HOSTS, audio, 'http://media.example.com/1')).toMatchObject({
      sent: [],
      code: 'rejected',
    })
    expect(await fetched(undefined, audio)).toMatchObject({ sent: [], code: 'rejected' })
  })

  it.each([
    [401, 'forbidden'],
    [402, 'forbidden'],
    [403, 'forbidden'],
    [404, 'not_found'],
    [429, 'rate_limited'],
    [500, 'vendor_down'],
  ])('HTTP %i of its host is %s: Salesforce itself is not held back', async (status, code) => {
    expect(await fetched(HOSTS, () => new Response('', { status }))).toMatchObject({ code })
  })

  it('is no page to log in', async () => {
    const page = () => new Response('<html>', { headers: { 'content-type': 'text/html; charset=utf-8' } })
    expect(await fetched(HOSTS, page)).toMatchObject({ code: 'forbidden' })
  })
})

describe('the check', () => {
  const { config } = settingsOf(MESSAGE)
  const names = (fields: readonly string[]) => fields.map((name) => ({ name }))
  const all = names([
    ...'Id Subject TaskSubtype CallType CallDurationInSeconds CallDisposition CallObject IsClosed WhoId WhatId'.split(
      ' ',
    ),
    ...'AccountId OwnerId CreatedDate LastModifiedDate Number__c Recording_URL__c Cordboard_Key__c'.split(
      ' ',
    ),
  ])
  const whats = (task: { name: string }[], settings: Settings) =>
    sourceWarnings(task, schema.parse(settings)).map(({ what }) => what)

  it('says nothing where all is well, and where no calls are taken', () => {
    expect(sourceWarnings(all, config)).toEqual([])
    const { calls: _, ...none } = MESSAGE
    expect(whats([], none)).toEqual([])
  })

  it('names fields that are not there, that nothing tells of calls, and that no host is named', () => {
    const hidden = all.filter(({ name }) => !['Number__c', 'CallType'].includes(name))
    expect(whats(hidden, MESSAGE)).toEqual([expect.stringMatching(/hidden: CallType, Number__c$/)])
    const { inbound: _, ...deaf } = MESSAGE
    expect(whats(all, deaf)).toEqual([expect.stringContaining('Nothing tells of calls')])
    const { recordingHosts: __, ...calls } = MESSAGE.calls ?? {}
    expect(whats(all, { ...MESSAGE, calls })).toEqual([expect.stringContaining('No recording is fetched')])
  })
})
