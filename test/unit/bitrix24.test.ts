import { describe, expect, test } from 'vitest'
import { connector } from '../../connectors/bitrix24/connector.ts'
import { toCallEvent } from '../../connectors/bitrix24/map.ts'
import type { Analysis } from '../../src/call/analysis.ts'
import type { Call, Result } from '../../src/call/call.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import type { CrmRecord, PlannedPart, WritePart } from '../../src/connector/crm-role.ts'
import { inboundRequest } from '../../src/connector/request.ts'
import { loadSubject } from '../kit/connector/fixtures.ts'
import { readFolder } from '../kit/connector/folder.ts'
import { CUSTOMER, commonCall, rawWebhook, SAMPLE_ANALYSIS, sampleCall } from '../kit/connector/samples.ts'
import { cutOff, failureOf, openWorld, type World } from '../kit/connector/world.ts'

type Settings = Record<string, unknown>
type Context = Parameters<typeof connector.check>[0]

const subject = loadSubject(connector, readFolder(new URL('../../connectors/bitrix24/', import.meta.url)))
const crm = connector.crm ?? expect.fail('Bitrix24 is a CRM')
const telephony = connector.telephony ?? expect.fail('Bitrix24 is a phone system')
const open = (settings: Settings = {}, options = {}) =>
  openWorld({ ...subject, settings: { ...subject.settings, ...settings } }, options)
const ctxOf = (world: World) => world.context() as Context
const mapContext = (settings: Settings = {}) => ({
  connection: 'acme',
  config: connector.config.parse({ ...subject.settings, ...settings }),
  region: 'FR',
})
const BY_WEBHOOK = {
  clientId: undefined,
  clientSecret: undefined,
  refreshToken: undefined,
  webhook: '1/abcdef0123456789',
}

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
const fieldsOf = (parts: PlannedPart[], key: string) => parts.find((part) => part.key === key)?.fields ?? {}
const callFields = (call: Partial<Call>, more: Partial<CrmRecord> = {}, settings: Settings = {}) =>
  fieldsOf(planned(call, more, settings), 'call')
const fresh = (part: PlannedPart, externalId: string | null = null): WritePart => ({
  ...part,
  externalId,
  idempotencyKey: `wbk_1-${part.key}`,
})
const books = (world: World, kind: string) => world.sandbox.book().filter((entry) => entry.kind === kind)
const said = (world: World, kind: string) => books(world, kind).map(({ fields }) => fields)

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

/** A world with a contact of the customer, and a record of a call on it. */
async function ready(settings: Settings = {}, more: Partial<CrmRecord> = {}, options = {}) {
  const world = await open(settings, options)
  const id = world.sandbox.addContact?.({ name: 'Jean Dupont', phone: CUSTOMER }) ?? expect.fail('no contact')
  await crm.match(commonCall(), ctxOf(world), [])
  const record = recordOf({}, { target: { type: 'contact', id }, analysis: SAMPLE_ANALYSIS, ...more })
  const parts = crm.plan(record, { ...mapContext(), config: world.config as Context['config'] })
  const part = (key: string) => parts.find((one) => one.key === key) ?? expect.fail(`no part ${key}`)
  return { world, id, record, parts, part }
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
    expect(said(world, 'transcript')).toMatchObject([{ CALL_ID: call }])
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

describe('by an incoming webhook', () => {
  test('a call is a comment, and the check says so', async () => {
    const { world, record, parts, part } = await ready(BY_WEBHOOK)
    expect(parts.map(({ key }) => key)).toEqual(['call', 'note', 'task-1', 'task-2'])
    const { id } = await crm.write(fresh(part('call')), record, {}, ctxOf(world))
    await crm.write(fresh(part('call'), id), record, {}, ctxOf(world))
    expect(said(world, 'comment')).toMatchObject([
      { ENTITY_TYPE: 'contact', COMMENT: expect.stringMatching(/^Inbound call, answered: Wrong invoice\n/) },
    ])
    expect(await crm.find?.(fresh(part('call')), record, {}, ctxOf(world))).toBe(id)
    expect(books(world, 'call')).toEqual([])
    const { says, warnings = [] } = await connector.check(ctxOf(world))
    expect(says).toBe('incoming webhook on bitrix24.example.com')
    expect(warnings.map(({ what }) => what)).toContainEqual(expect.stringContaining('may not register calls'))
  })

  test('the whole URL may be given, and a wrong code is `auth`', async () => {
    const url = 'https://bitrix24.example.com/rest/1/abcdef0123456789/'
    await connector.check(ctxOf(await open({ ...BY_WEBHOOK, webhook: url })))
    const world = await open(BY_WEBHOOK)
    const ctx = ctxOf(world)
    const other = { ...ctx, config: { ...ctx.config, webhook: '1/otherother' } }
    expect(await failureOf(connector.check(other))).toMatchObject({ code: 'auth' })
  })

  test('one way in is given, and not both', () => {
    const parse = (settings: Settings) =>
      connector.config.safeParse({ ...subject.settings, ...settings }).success
    expect(parse({})).toBe(true)
    expect(parse(BY_WEBHOOK)).toBe(true)
    expect(parse({ webhook: '1/abcdef0123456789' })).toBe(false)
    expect(parse({ refreshToken: undefined })).toBe(false)
    expect(parse({ ...BY_WEBHOOK, webhook: 'abcdef' })).toBe(false)
  })

  test('it cannot subscribe to events', async () => {
    const failure = await failureOf(
      Promise.resolve(telephony.subscribe?.('https://x.example.com', ctxOf(await open(BY_WEBHOOK)))),
    )
    expect(failure).toMatchObject({ code: 'rejected' })
  })
})

describe('tokens and refusals', () => {
  test('a token that has ended is renewed once, with the refresh token of the last time', async () => {
    const world = await open()
    await connector.check(ctxOf(world))
    await world.advance(3_500_000)
    await connector.check(ctxOf(world))
    await world.advance(3_700_000)
    await connector.check(ctxOf(world))
    // The first refresh token is used up: a process that knows no other is told so.
    const body = { error: 'expired_token', error_description: 'The access token provided has expired' }
    const before = world.requests()
    world.sandbox.fail({ fault: { kind: 'status', status: 401, body }, times: 1, path: '/rest/' })
    await world.advance(60_000)
    await connector.check(ctxOf(world))
    expect(world.requests() - before).toBe(3)
  })

  const refusals: [number, unknown, Record<string, unknown>][] = [
    [401, { error: 'insufficient_scope' }, { code: 'forbidden' }],
    [401, { error: 'user_access_error' }, { code: 'forbidden' }],
    [401, { error: 'OVERLOAD_LIMIT' }, { code: 'quota' }],
    [403, { error: 'ACCESS_DENIED' }, { code: 'forbidden' }],
    [403, { error: 'WRONG_AUTH_TYPE' }, { code: 'forbidden' }],
    [404, { error: 'ERROR_METHOD_NOT_FOUND' }, { code: 'forbidden' }],
    [503, { error: 'QUERY_LIMIT_EXCEEDED' }, { code: 'rate_limited', retry: { afterMs: 2000 } }],
    [429, { error: 'OPERATION_TIME_LIMIT' }, { code: 'rate_limited', retry: { afterMs: 60_000 } }],
    [400, { error: 'ERROR_CORE', error_description: 'Unknown TYPE' }, { code: 'rejected' }],
    [400, { error: '', error_description: 'Not found' }, { code: 'not_found' }],
    [200, { error: 'ACCESS_DENIED' }, { code: 'forbidden' }],
    [200, { result: 'nothing known' }, { code: 'vendor_down' }],
    [500, { error: 'INTERNAL_SERVER_ERROR' }, { code: 'vendor_down' }],
  ]
  test.each(refusals)('%i %o', async (status, body, expected) => {
    const world = await open()
    await connector.check(ctxOf(world))
    const before = world.requests()
    world.sandbox.fail({ fault: { kind: 'status', status, body }, path: 'findbycomm' })
    expect(await failureOf(crm.match(commonCall(), ctxOf(world), []))).toMatchObject(expected)
    // A new token would have no more rights.
    expect(world.requests() - before).toBe(1)
  })

  test('a method without time left is open again when Bitrix24 says', async () => {
    const world = await open()
    const time = { operating_reset_at: Math.floor(world.now() / 1000) + 90 }
    const body = { error: 'OPERATION_TIME_LIMIT', time }
    world.sandbox.fail({ fault: { kind: 'status', status: 429, body }, path: 'scope' })
    expect(await failureOf(connector.check(ctxOf(world)))).toMatchObject({ retry: { afterMs: 90_000 } })
  })

  test('an application that was removed, or is not paid for', async () => {
    for (const [error, code] of [
      ['invalid_grant', 'auth'],
      ['PAYMENT_REQUIRED', 'quota'],
    ]) {
      const world = await open()
      world.sandbox.fail({ fault: { kind: 'status', status: 400, body: { error } }, path: '/oauth/' })
      expect(await failureOf(connector.check(ctxOf(world)))).toMatchObject({ code })
    }
  })

  test('more than the bucket holds is refused, and told as a limit', async () => {
    const world = await open()
    const failures = await Promise.all(
      Array.from({ length: 60 }, () => failureOf(connector.check(ctxOf(world)))),
    )
    expect(failures.filter((failure) => failure?.code === 'rate_limited')).toHaveLength(10)
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

describe('what Bitrix24 tells of', () => {
  const form = (fields: Record<string, string>) => ({
    says: 'event',
    method: 'POST',
    path: '',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams(fields).toString(),
  })
  const receive = (fields: Record<string, string>, settings: Settings = {}) =>
    telephony.webhook?.receive(inboundRequest(rawWebhook(form(fields), 0)), mapContext(settings))

  test.each(['contact', 'company', 'lead', 'deal'])('a %s that was deleted is a change', (type) => {
    const event = `ONCRM${type.toUpperCase()}DELETE`
    const changes = [{ change: 'deleted', type, id: '89' }]
    expect(receive({ event, 'data[FIELDS][ID]': '89' }, { calls: false })).toEqual({ events: [], changes })
  })

  const ended = {
    event: 'ONVOXIMPLANTCALLEND',
    'data[CALL_ID]': 'externalCall.7b0c7de811455ef32b18dc5917e4306a.1773239327',
    'data[CALL_TYPE]': '1',
    'data[PHONE_NUMBER]': CUSTOMER,
    'data[PORTAL_NUMBER]': 'REST_APP:',
    'data[CALL_START_DATE]': '2026-03-11T17:28:46+02:00',
  }

  test('a call that an application registered is looked up, and dropped when it is ours', async () => {
    expect(receive(ended)).toEqual({ events: [], lookUp: [ended['data[CALL_ID]']] })
    expect(receive(ended, { calls: false })).toMatchObject({ ignored: expect.any(String) })
    const { world, record, part } = await ready()
    const ours = await crm.write(fresh(part('call')), record, {}, ctxOf(world))
    const other = await crm.write(
      { ...fresh(part('call')), idempotencyKey: 'pbx-1' },
      record,
      {},
      ctxOf(world),
    )
    const found = await telephony.lookUp?.([ours.id, other.id, 'externalCall.gone.1'], ctxOf(world))
    expect(found).toMatchObject([
      {
        callId: other.id,
        phase: 'ended',
        facts: {
          direction: 'inbound',
          result: 'answered',
          customer: { crm: { acme: `contact:${record.target?.id}` } },
        },
      },
    ])
    const off = { ...ctxOf(world), config: { ...ctxOf(world).config, calls: false } }
    expect(await telephony.lookUp?.([other.id], off)).toEqual([])
  })

  test('an entity of the id 0 is none', () => {
    const row = {
      CALL_ID: '1.2',
      CALL_TYPE: '2',
      CALL_START_DATE: '2026-03-11T15:28:46.000Z',
      CRM_ENTITY_TYPE: 'CONTACT',
    }
    const facts = (id: string) => toCallEvent({ ...row, CRM_ENTITY_ID: id }, 'list', mapContext())?.facts
    expect(facts('0')).not.toHaveProperty('customer')
    expect(facts('275')).toMatchObject({ customer: { crm: { acme: 'contact:275' } } })
  })

  test('without a token of the application nothing is taken', () => {
    const { config } = mapContext({ applicationToken: undefined })
    expect(telephony.webhook?.verify(config)).toMatchObject({ scheme: 'token', secrets: [] })
  })

  test('the list comes in pages of fifty, without ours', async () => {
    const world = await open()
    for (let nth = 0; nth < 120; nth++) world.sandbox.place?.(sampleCall())
    const list = async (since: string, until?: string) => {
      const pages: CallEvent[][] = []
      for await (const page of telephony.calls?.(since, ctxOf(world), until) ?? []) pages.push(page)
      return pages.map((page) => page.length)
    }
    const day = new Date(world.now() - 86_400_000).toISOString()
    expect(await list(day)).toEqual([50, 50, 20])
    expect(await list(day, day)).toEqual([0])
  })

  test('a recording that is not there yet is asked for again; later it is not', async () => {
    const world = await open()
    const { audio: _, ...silent } = sampleCall()
    const [webhook = expect.fail()] = world.sandbox.place?.(silent) ?? []
    const read = telephony.webhook?.receive(inboundRequest(rawWebhook(webhook, world.now())), mapContext())
    const [event = expect.fail()] = read && 'events' in read ? read.events : []
    const [recording = expect.fail()] = event.facts.recordings ?? []
    const ask = () => failureOf(Promise.resolve(telephony.recording?.(recording, commonCall(), ctxOf(world))))
    expect(await ask()).toMatchObject({ code: 'not_found', retry: 'later' })
    await world.advance(3_600_000)
    expect(await ask()).toMatchObject({ code: 'not_found', retry: 'never' })
    const since = new Date(world.now() - 86_400_000).toISOString()
    for await (const page of telephony.calls?.(since, ctxOf(world)) ?? [])
      expect(page).toMatchObject([{ facts: { recordingExpected: false } }])
  })

  test('without calls nothing is listed or subscribed to', async () => {
    const world = await open({ calls: false })
    world.sandbox.place?.(sampleCall())
    for await (const page of telephony.calls?.('2026-01-01T00:00:00Z', ctxOf(world)) ?? [])
      expect(page).toEqual([])
    await telephony.subscribe?.('https://hooks.example.com/hooks/acme', ctxOf(world))
    expect(world.requests()).toBe(0)
  })
})

describe('fields of the operator’s own', () => {
  test('they are described with the records that have them', async () => {
    const world = await open()
    const described = (await crm.fields?.(ctxOf(world))) ?? []
    expect(described).toMatchObject([
      { name: 'UF_CRM_SCORE', label: 'Score (contact, company, lead)', type: 'number' },
      { name: 'UF_CRM_MOOD', type: 'choice', readOnly: expect.any(String) },
    ])
  })

  test('what is missing is made on every type, once; a name that cannot be is for a person', async () => {
    const world = await open()
    const wanted = [
      { name: 'UF_CRM_SCORE', label: 'Score', type: 'number' as const },
      { name: 'UF_CRM_URGENT', label: 'Urgent', type: 'boolean' as const },
      { name: 'UF_CRM_A_NAME_TOO_LONG', label: 'Long', type: 'text' as const },
    ]
    const states = async () => (await crm.setUp?.(wanted, ctxOf(world)))?.map(({ state }) => state)
    expect(await states()).toEqual(Array.from({ length: 3 }, () => ['was there', 'made', 'by hand']).flat())
    expect(await states()).toEqual(
      Array.from({ length: 3 }, () => ['was there', 'was there', 'by hand']).flat(),
    )
    world.sandbox.fail({
      fault: { kind: 'status', status: 403, body: { error: 'ACCESS_DENIED' } },
      path: 'userfield',
      times: 3,
    })
    const more = [{ name: 'UF_CRM_MORE', label: 'More', type: 'text' as const }]
    expect((await crm.setUp?.(more, ctxOf(world)))?.map(({ state }) => state)).toEqual([
      'by hand',
      'by hand',
      'by hand',
    ])
  })
})

test('the check says what is missing', async () => {
  const world = await open({ owners: {}, applicationToken: undefined })
  world.sandbox.fail({ fault: { kind: 'status', status: 200, body: { result: ['crm'] } }, path: 'scope' })
  const { warnings = [] } = await connector.check({ ...ctxOf(world), region: undefined })
  expect(warnings.map(({ what }) => what)).toEqual([
    'Calls cannot be read or registered',
    expect.stringContaining('Users cannot be found'),
    expect.stringContaining('whose agent is no user'),
    expect.stringContaining('Events are refused'),
    expect.stringContaining('without a country code'),
  ])
})
