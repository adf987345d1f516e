import { describe, expect, test } from 'vitest'
import { connector } from '../../connectors/bitrix24/connector.ts'
import type { Analysis } from '../../src/call/analysis.ts'
import type { Call, Result } from '../../src/call/call.ts'
import type { CrmRecord, PlannedPart } from '../../src/connector/crm-role.ts'
import { CUSTOMER, commonCall, SAMPLE_ANALYSIS } from '../kit/connector/samples.ts'
import { cutOff, failureOf, type World } from '../kit/connector/world.ts'
import {
  books,
  type Context,
  crm,
  ctxOf,
  fresh,
  mapContext,
  open,
  ready,
  recordOf,
  type Settings,
  said,
} from './bitrix24-world.ts'

const planned = (call: Partial<Call>, more: Partial<CrmRecord> = {}, settings: Settings = {}) =>
  crm.plan(recordOf(call, more), mapContext(settings))
const fieldsOf = (parts: PlannedPart[], key: string) => parts.find((part) => part.key === key)?.fields ?? {}
const callFields = (call: Partial<Call>, more: Partial<CrmRecord> = {}, settings: Settings = {}) =>
  fieldsOf(planned(call, more, settings), 'call')

async function ask(world: World, method: string, params: unknown): Promise<unknown> {
  const base = 'https://bitrix24.example.com'
  const token = await ctxOf(world).token('access', async () =>
    expect.fail('the connector has a token by now'),
  )
  const response = await ctxOf(world).fetch(`${base}/rest/${method}.json`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(params),
  })
  return ((await response.json()) as { result: unknown }).result
}

describe('a call as Bitrix24 takes it', () => {
  const endings: [Result, Call['direction'], string][] = [
    ['answered', 'inbound', '200'],
    ['no_answer', 'inbound', '304'],
    ['abandoned', 'inbound', '304'],
    ['busy', 'outbound', '486'],
    ['rejected', 'outbound', '603'],
    ['failed', 'outbound', 'OTHER'],
    ['voicemail', 'inbound', '304'],
    ['voicemail', 'outbound', '200'],
  ]
  test.each(endings)('%s %s is %s', (result, direction, code) => {
    expect(callFields({ result, direction })).toMatchObject({
      STATUS_CODE: code,
      TYPE: direction === 'inbound' ? '2' : '1',
    })
  })

  test('it has seconds, the number with its country code, and a start with an offset', () => {
    expect(callFields({})).toMatchObject({
      DURATION: '60',
      PHONE_NUMBER: CUSTOMER,
      CALL_START_DATE: '2026-03-04T11:20:33+00:00',
      USER_PHONE_INNER: '101',
      owner: 'alice.martin@example.com',
    })
    expect(callFields({ result: 'no_answer', talkMs: undefined }).DURATION).toBe('0')
  })

  test('nothing pops up, no record is made, nobody is told in a chat', async () => {
    const { world, record, part } = await ready()
    await crm.write(fresh(part('call')), record, {}, ctxOf(world))
    expect(said(world, 'call')).toMatchObject([
      { SHOW: 0, CRM_CREATE: 0, ADD_TO_CHAT: 0, EXTERNAL_CALL_ID: 'wbk_1-call', PORTAL_USER_ID: '12' },
    ])
  })

  test('chat and lineNumber are passed on', async () => {
    const { world, record, part } = await ready({ chat: true, lineNumber: '3' })
    await crm.write(fresh(part('call')), record, {}, ctxOf(world))
    expect(said(world, 'call')).toMatchObject([{ ADD_TO_CHAT: 1, PORTAL_NUMBER: '3' }])
  })

  test('a call on a deal, an internal one and one without a number are comments', () => {
    for (const fields of [
      callFields({}, { target: { type: 'deal', id: '3' } }),
      callFields({ direction: 'internal' }),
      callFields({ customer: undefined }),
    ])
      expect(Object.keys(fields)).toEqual(['comment'])
    expect(planned({ direction: 'internal' }, { target: null, analysis: SAMPLE_ANALYSIS })).toEqual([])
  })

  test('an agent who is nobody is looked for by the extension, and without one the call is refused', async () => {
    const noOwner = { owners: {} }
    const { world, record } = await ready(noOwner)
    const call = { ...record.call, agent: { extension: '101' } }
    const [part = expect.fail()] = crm.plan({ ...record, call }, mapContext(noOwner))
    await crm.write(fresh(part), { ...record, call }, {}, ctxOf(world))
    expect(books(world, 'call')).toHaveLength(1)
    const nobody = { ...record, call: { ...record.call, agent: undefined } }
    const [other = expect.fail()] = crm.plan(nobody, mapContext(noOwner))
    const failure = await failureOf(
      crm.write({ ...fresh(other), idempotencyKey: 'wbk_2-call' }, nobody, {}, ctxOf(world)),
    )
    expect(failure).toMatchObject({ code: 'rejected', fix: expect.stringContaining('owners.fallback') })
  })
})

describe('what stands beside the call', () => {
  const turns = [
    { party: 'agent' as const, text: 'Good morning', startMs: 400, endMs: 1600 },
    { party: 'customer' as const, text: ' My invoice is wrong ', startMs: 1700 },
    { party: 'customer' as const, text: '  ', startMs: 2500 },
    { party: 'agent' as const, text: 'I see', startMs: 3100, endMs: 3200 },
    { party: 'customer' as const, text: 'Bye', startMs: 5000 },
  ]
  const spoken: Analysis = { ...SAMPLE_ANALYSIS, transcript: { turns } }

  test('a transcript has whole seconds and two sides, and stands on the call', async () => {
    const { world, record, part } = await ready({}, { analysis: spoken })
    expect(JSON.parse(part('transcript').fields.messages ?? '')).toEqual([
      { SIDE: 'User', START_TIME: 0, STOP_TIME: 2, MESSAGE: 'Good morning' },
      { SIDE: 'Client', START_TIME: 1, STOP_TIME: 3, MESSAGE: 'My invoice is wrong' },
      { SIDE: 'User', START_TIME: 3, STOP_TIME: 4, MESSAGE: 'I see' },
      { SIDE: 'Client', START_TIME: 5, STOP_TIME: 6, MESSAGE: 'Bye' },
    ])
    expect(part('note').fields.comment).not.toContain('Good morning')
    const call = (await crm.write(fresh(part('call')), record, {}, ctxOf(world))).id
    const { id } = await crm.write(fresh(part('transcript')), record, { call }, ctxOf(world))
    expect(await crm.find?.(fresh(part('transcript')), record, { call }, ctxOf(world))).toBe(id)
    // A second one is not sent.
    await crm.write(fresh(part('transcript'), id), record, { call }, ctxOf(world))
    expect(said(world, 'transcript')).toMatchObject([{ CALL_ID: call.split('/').at(-1) }])
  })

  test('one without times, or of a third party, is written into the comment', () => {
    const third = [{ party: 'other' as const, text: 'Please hold', startMs: 0 }]
    for (const transcript of [{ turns: third }, SAMPLE_ANALYSIS.transcript]) {
      const parts = planned({}, { analysis: { ...SAMPLE_ANALYSIS, ...(transcript ? { transcript } : {}) } })
      expect(parts.map(({ key }) => key)).not.toContain('transcript')
      expect(fieldsOf(parts, 'note').comment).toContain(transcript?.turns[0]?.text)
    }
    const off = planned({}, { analysis: spoken }, { transcript: false })
    expect(off.map(({ key }) => key)).toEqual(['call', 'note', 'task-1', 'task-2'])
    expect(fieldsOf(off, 'note').comment).not.toContain('Good morning')
  })

  test('what a caller says is no BB code', () => {
    const summary = '[url=https://evil.example.com]click[/url] [B]now[/b] [1] [*]'
    const { comment } = fieldsOf(planned({}, { analysis: { ...SAMPLE_ANALYSIS, summary } }), 'note')
    expect(comment).toContain('[ url=https://evil.example.com]click[ /url] [ B]now[ /b] [1] [ *]')
  })

  test('a to-do has its deadline and user once; a closed one is left alone', async () => {
    const { world, record, part, id } = await ready()
    const task = part('task-1')
    const made = await crm.write(fresh(task), record, {}, ctxOf(world))
    expect(said(world, 'todo')).toMatchObject([
      { OWNER_TYPE_ID: '3', OWNER_ID: id, DEADLINE: '2026-03-05T11:21:41+00:00', RESPONSIBLE_ID: '12' },
    ])
    const later = {
      ...task,
      fields: { ...task.fields, deadline: '2027-01-01T00:00:00+00:00', description: 'other' },
    }
    await crm.write(fresh(later, made.id), record, {}, ctxOf(world))
    expect(said(world, 'todo')).toMatchObject([
      {
        DEADLINE: '2026-03-05T11:21:41+00:00',
        DESCRIPTION: expect.stringMatching(/^other\n\nCordboard ref wbk_1-task-1$/),
      },
    ])
    // Bitrix24's code for a to-do that a person has closed.
    const body = {
      error: 'CAN_NOT_UPDATE_COMPLETED_TODO',
      error_description: 'Completed activity cannot be modified',
    }
    world.sandbox.fail({ fault: { kind: 'status', status: 400, body }, path: 'updateDescription' })
    expect(await crm.write(fresh(later, made.id), record, {}, ctxOf(world))).toEqual(made)
    world.sandbox.fail({
      fault: { kind: 'status', status: 400, body: { error: 'NOT_FOUND' } },
      path: 'updateDescription',
    })
    const gone = await failureOf(crm.write(fresh(later, made.id), record, {}, ctxOf(world)))
    expect(gone).toMatchObject({ code: 'not_found' })
  })

  test('the recording is linked only where the operator wants it, and replaces the one before', async () => {
    const recordings = [{ key: 'r', url: 'https://media.example.com/a.mp3', state: 'ready' as const }]
    const call = { ...commonCall(), recordings }
    expect(planned({ recordings }).map(({ key }) => key)).not.toContain('recording')
    const { world, record, parts, part } = await ready({ recordingLinks: true }, { call })
    expect(parts.at(-1)?.key).toBe('recording')
    const written = { call: (await crm.write(fresh(part('call')), record, {}, ctxOf(world))).id }
    await crm.write(fresh(part('recording')), record, written, ctxOf(world))
    const { id } = await crm.write(fresh(part('recording')), record, written, ctxOf(world))
    expect(said(world, 'record')).toMatchObject([{ RECORD_URL: 'https://media.example.com/a.mp3' }])
    expect(await crm.find?.(fresh(part('recording')), record, written, ctxOf(world))).toBe(id)
  })

  test('fields of the operator’s own go to the record, before the call, and again when they change', async () => {
    const fields = { UF_CRM_SCORE: 9, UF_CRM_DONE: true }
    const { world, record, part, id } = await ready({}, { fields })
    const contact = () =>
      world.sandbox.book().find((entry) => entry.kind === 'contact' && entry.id === id)?.fields
    world.sandbox.fail({ fault: { kind: 'status', status: 400 }, path: 'register' })
    expect(await failureOf(crm.write(fresh(part('call')), record, {}, ctxOf(world)))).toMatchObject({
      code: 'rejected',
    })
    expect(contact()).toMatchObject({ UF_CRM_SCORE: '9', UF_CRM_DONE: '1' })
    const call = await crm.write(fresh(part('call')), record, {}, ctxOf(world))
    const changed = { ...part('call'), fields: { ...part('call').fields, 'own.UF_CRM_SCORE': '3' } }
    expect(await crm.write(fresh(changed, call.id), record, {}, ctxOf(world))).toEqual(call)
    expect(contact()).toMatchObject({ UF_CRM_SCORE: '3' })
    expect(said(world, 'call')).toMatchObject([expect.not.objectContaining({ 'own.UF_CRM_SCORE': '3' })])
  })

  test('of a call that came from Bitrix24 itself only what the analysis adds is written', () => {
    const more = { logged: { id: '1.2.3' }, analysis: spoken, fields: { UF_CRM_SCORE: 9 } }
    const parts = planned({}, more, { recordingLinks: true })
    expect(parts.map(({ key }) => key)).toEqual(['call', 'transcript', 'note', 'task-1', 'task-2'])
    expect(fieldsOf(parts, 'call')).toEqual({ 'own.UF_CRM_SCORE': '9' })
    expect(fieldsOf(parts, 'task-1')).not.toHaveProperty('owner')
    expect(fieldsOf(planned({}, { ...more, target: null }), 'call')).toEqual({})
  })
})

describe('once, whatever gets lost', () => {
  test('a registration that broke off is gone on with, and after half an hour a second one ends as one call', async () => {
    for (const minutes of [1, 31]) {
      const { world, record, part } = await ready()
      const ctx = ctxOf(world)
      const body = { error: 'INTERNAL_SERVER_ERROR' }
      world.sandbox.fail({ fault: { kind: 'status', status: 500, body }, path: 'finish' })
      expect(await failureOf(crm.write(fresh(part('call')), record, {}, ctx))).toMatchObject({
        code: 'vendor_down',
      })
      await world.advance(minutes * 60_000)
      expect(await crm.find?.(fresh(part('call')), record, {}, ctx)).toBeNull()
      const { id } = await crm.write(fresh(part('call')), record, {}, ctx)
      expect(books(world, 'call').map((entry) => entry.id)).toEqual([id])
      expect(await crm.find?.(fresh(part('call')), record, {}, ctx)).toBe(id)
    }
  })

  test('a refused finish is not the word that nothing happened', async () => {
    const { world, record, part } = await ready()
    const body = { error: 'ERROR_CORE', error_description: 'Unexpected database error' }
    world.sandbox.fail({ fault: { kind: 'status', status: 400, body }, path: 'finish' })
    const failure = await failureOf(crm.write(fresh(part('call')), record, {}, ctxOf(world)))
    expect(failure).toMatchObject({ code: 'vendor_down', vendorSaid: expect.stringContaining('database') })
  })

  test('a lost answer to a new contact or lead is found by our key', async () => {
    for (const newRecord of ['contact', 'lead']) {
      const { world, record } = await ready({ newRecord })
      const person = crm.newContact?.(record.call, mapContext({ newRecord })) ?? expect.fail('no contact')
      expect(person.type).toBe(newRecord)
      world.loseAnswer(2)
      expect(
        await cutOff((signal) => crm.write(fresh(person), record, {}, world.context(signal) as Context)),
      ).toMatchObject({
        code: 'timeout',
      })
      const made = books(world, newRecord).filter(({ key }) => key === 'wbk_1-contact')
      expect(made).toMatchObject([
        { fields: { NAME: 'Jean Dupont', ASSIGNED_BY_ID: '12', ORIGINATOR_ID: 'cordboard' } },
      ])
      expect(await crm.find?.(fresh(person), record, {}, ctxOf(world))).toBe(made[0]?.id)
    }
  })
})

describe('whose call it is', () => {
  const PHONE = [{ VALUE: '06 39 98 01 42', VALUE_TYPE: 'MOBILE' }]

  async function withRecords(...added: [kind: string, fields: Settings][]) {
    const world = await open()
    await connector.check(ctxOf(world))
    const ids: string[] = []
    for (const [kind, fields] of added)
      ids.push(String(await ask(world, `crm.${kind}.add`, { fields: { PHONE, ...fields } })))
    await world.advance(31_000)
    return { world, ids }
  }

  test('persons come before leads, and leads before companies', async () => {
    const { world, ids } = await withRecords(['company', { TITLE: 'Acme' }], ['lead', { TITLE: 'A lead' }])
    expect(await crm.match(commonCall(), ctxOf(world), [])).toMatchObject([
      { type: 'lead', id: ids[1], name: 'A lead' },
    ])
    await ask(world, 'crm.contact.add', { fields: { PHONE, NAME: 'Jean', LAST_NAME: 'Dupont' } })
    await world.advance(31_000)
    expect(await crm.match(commonCall(), ctxOf(world), [])).toMatchObject([
      { type: 'contact', name: 'Jean Dupont' },
    ])
    const onlyCompany = await withRecords(['company', { TITLE: 'Acme' }])
    expect(await crm.match(commonCall(), ctxOf(onlyCompany.world), [])).toMatchObject([
      { type: 'company', name: 'Acme' },
    ])
  })

  test('twenty leads do not hide the contact behind them', async () => {
    const { world } = await withRecords(
      ...Array.from({ length: 20 }, (): [string, Settings] => ['lead', {}]),
      ['contact', { NAME: 'Jean' }],
    )
    expect(await crm.match(commonCall(), ctxOf(world), [])).toMatchObject([{ type: 'contact', name: 'Jean' }])
  })

  test('a record that carries another number does not count', async () => {
    const { world } = await withRecords(['contact', { PHONE: [{ VALUE: '+32 639980142' }] }])
    expect(await crm.match(commonCall(), ctxOf(world), [])).toEqual([])
    // The search knows digits; which country a number without a code is of, only the connection does.
    const { world: german } = await withRecords(['contact', {}])
    expect(await crm.match(commonCall(), { ...ctxOf(german), region: 'DE' }, [])).toEqual([])
  })

  test('facts for the rule are asked for when it looks at them', async () => {
    const { world, ids } = await withRecords(
      ['contact', { NAME: 'A', ASSIGNED_BY_ID: '12' }],
      ['contact', { NAME: 'B', ASSIGNED_BY_ID: '1' }],
    )
    await ask(world, 'crm.deal.add', { fields: { CONTACT_ID: ids[1], CLOSED: 'N' } })
    await ask(world, 'crm.deal.add', { fields: { CONTACT_ID: ids[0], CLOSED: 'Y' } })
    const before = world.requests()
    const plain = await crm.match(commonCall(), ctxOf(world), [])
    expect(world.requests() - before).toBe(2)
    expect(
      plain.map(({ lastActivityAt, createdAt }) => lastActivityAt !== undefined && createdAt !== undefined),
    ).toEqual([true, true])
    expect(plain[0]).not.toHaveProperty('isAgents')
    const asked = await crm.match(commonCall(), ctxOf(world), ['open deal', 'owner is the agent'])
    expect(asked).toMatchObject([
      { id: ids[0], isAgents: true, hasOpenDeal: false },
      { id: ids[1], isAgents: false, hasOpenDeal: true },
    ])
    // Agents of Bitrix24's own calls are its users.
    const own = { ...commonCall(), source: { connection: 'acme', callId: '1.2.3' }, agent: { id: '12' } }
    const ofOwn = await crm.match(own, ctxOf(world), ['owner is the agent'])
    expect(ofOwn.map(({ isAgents }) => isAgents)).toEqual([true, false])
  })

  test('a record that the phone system names is looked up first', async () => {
    const { world, ids } = await withRecords(['lead', { TITLE: 'Named' }], ['contact', { NAME: 'Jean' }])
    const call = (said: string) => {
      const { customer = expect.fail(), ...rest } = commonCall()
      return { ...rest, customer: { ...customer, crm: { acme: said } } }
    }
    expect(await crm.match(call(`lead:${ids[0]}`), ctxOf(world), [])).toMatchObject([
      { type: 'lead', name: 'Named' },
    ])
    expect(await crm.match(call('lead:999'), ctxOf(world), [])).toMatchObject([{ type: 'contact' }])
    expect(await crm.match(call('nonsense'), ctxOf(world), [])).toMatchObject([{ type: 'contact' }])
  })

  test('own lines and internal calls are nobody’s', async () => {
    const { world } = await withRecords(['contact', {}])
    const before = world.requests()
    expect(await crm.match({ ...commonCall(), direction: 'internal' }, ctxOf(world), [])).toEqual([])
    expect(world.requests()).toBe(before)
  })
})
