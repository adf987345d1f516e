import { describe, expect, test } from 'vitest'
import { connector } from '../../connectors/kommo/connector.ts'
import type { Analysis } from '../../src/call/analysis.ts'
import type { Call, Result } from '../../src/call/call.ts'
import type { CrmRecord, PlannedPart, WritePart } from '../../src/connector/crm-role.ts'
import { inboundRequest } from '../../src/connector/request.ts'
import { loadSubject, rawOf } from '../kit/connector/fixtures.ts'
import { readFolder } from '../kit/connector/folder.ts'
import { CUSTOMER, commonCall, playSampleCall, SAMPLE_ANALYSIS } from '../kit/connector/samples.ts'
import { cutOff, failureOf, HOOK_URL, openWorld, type World } from '../kit/connector/world.ts'

type Settings = Record<string, unknown>
type Context = Parameters<typeof connector.check>[0]

const subject = loadSubject(connector, readFolder(new URL('../../connectors/kommo/', import.meta.url)))
const crm = connector.crm ?? expect.fail('kommo is a CRM')
const telephony = connector.telephony ?? expect.fail('kommo tells of calls')
const BASE = 'https://kommo.example.com'
const OAUTH = {
  clientId: 'integration',
  clientSecret: 'stand-in-client-secret',
  refreshToken: 'stand-in-refresh-0',
  redirectUri: 'https://hooks.example.com/oauth',
}
const CUSTOM_FIELDS = [
  { of: 'contacts', id: 71, name: 'Score', code: 'SCORE', type: 'numeric' },
  { of: 'contacts', id: 72, name: 'Mood', code: null, type: 'select', enums: [{ id: 721, value: 'Good' }] },
  { of: 'leads', id: 73, name: 'Called', code: null, type: 'date' },
  { of: 'leads', id: 74, name: 'Place', code: null, type: 'smart_address' },
]

const open = (settings: Settings = {}) =>
  openWorld({ ...subject, settings: { ...subject.settings, ...settings } })
const ctxOf = (world: World) => world.context() as Context
const mapContext = (settings: Settings = {}) => ({
  connection: 'acme',
  config: connector.config.parse({ ...subject.settings, ...settings }),
  region: 'FR',
})
const recordOf = (
  call: Partial<Call>,
  analysis: Analysis | null = null,
  more: Partial<CrmRecord> = {},
): CrmRecord => ({
  call: { ...commonCall(), ...call },
  analysis,
  target: { type: 'contact', id: '1' },
  fields: {},
  logged: null,
  ...more,
})
const planned = (record: CrmRecord, settings: Settings = {}) => crm.plan(record, mapContext(settings))
const keysOf = (parts: PlannedPart[]) => parts.map(({ key }) => key)
const fieldsOf = (parts: PlannedPart[], key: string) => parts.find((part) => part.key === key)?.fields ?? {}
const fresh = (part: PlannedPart, externalId: string | null = null): WritePart => ({
  ...part,
  externalId,
  idempotencyKey: `wbk_1-${part.key}`,
})
const books = (world: World, kind: string) => world.sandbox.book().filter((entry) => entry.kind === kind)
const tell = (world: World, method: string, path: string, body: unknown) =>
  world.context().fetch(`${BASE}${path}`, {
    method,
    headers: { authorization: 'Bearer stand-in-long-lived-token-1', 'content-type': 'application/json' },
    ...(method === 'GET' ? {} : { body: JSON.stringify(body) }),
  })
async function post(world: World, list: string, body: Settings): Promise<string> {
  const response = await tell(world, 'POST', `/api/v4/${list}`, [body])
  const reply = (await response.json()) as { _embedded: Record<string, { id: number }[]> }
  return String(reply._embedded[list]?.[0]?.id)
}
const withPhone = (value: string) => [{ field_code: 'PHONE', values: [{ value }] }]
async function ready(settings: Settings = {}, more: Partial<CrmRecord> = {}) {
  const world = await open(settings)
  const id = world.sandbox.addContact?.({ name: 'Jean', phone: CUSTOMER }) ?? ''
  const record = recordOf({}, SAMPLE_ANALYSIS, { target: { type: 'contact', id }, ...more })
  const parts = () => crm.plan(record, { connection: 'acme', config: ctxOf(world).config, region: 'FR' })
  const part = (key: string) => parts().find((one) => one.key === key) ?? expect.fail(`no part ${key}`)
  const write = (one: WritePart) => crm.write(one, record, {}, ctxOf(world))
  return { world, id, record, parts, part, write }
}

describe('a call as Kommo takes it', () => {
  test('is a call note of the contact, in seconds, with our key as its uniq', async () => {
    const { world, id, part, write } = await ready()
    await write(fresh(part('call')))
    expect(books(world, 'call')).toMatchObject([
      {
        key: 'wbk_1-call',
        fields: {
          on: `contacts/${id}`,
          note_type: 'call_in',
          responsible_user_id: 9001,
          params: {
            source: 'Cordboard',
            duration: 60,
            phone: CUSTOMER,
            call_status: 4,
            call_result: 'Inbound call, answered: Wrong invoice',
            call_responsible: 9001,
          },
        },
      },
    ])
  })

  const endings: [Result | undefined, Call['direction'], string, string][] = [
    ['answered', 'inbound', 'call_in', '4'],
    ['answered', 'outbound', 'call_out', '4'],
    ['no_answer', 'outbound', 'call_out', '6'],
    ['busy', 'outbound', 'call_out', '7'],
    ['rejected', 'outbound', 'call_out', '7'],
    ['failed', 'outbound', 'call_out', '3'],
    ['abandoned', 'inbound', 'call_in', '6'],
    ['voicemail', 'inbound', 'call_in', '6'],
    ['voicemail', 'outbound', 'call_out', '1'],
    [undefined, 'inbound', 'call_in', '8'],
  ]
  test.each(endings)('%s %s is %s with the status %s', (result, direction, note_type, call_status) => {
    expect(fieldsOf(planned(recordOf({ result, direction })), 'call')).toMatchObject({
      note_type,
      call_status,
    })
  })

  test('somebody who is no user is shown by name, and nobody is responsible', async () => {
    const { world, part, write } = await ready({ users: [], owners: {} })
    await write(fresh(part('call')))
    const [call] = books(world, 'call')
    expect(call?.fields.params).toMatchObject({ call_responsible: 'Alice Martin' })
    expect(call?.fields).not.toHaveProperty('responsible_user_id')
  })

  test('the analysis is a note, promises are tasks, and without a record there is neither', () => {
    expect(keysOf(planned(recordOf({}, SAMPLE_ANALYSIS)))).toEqual(['call', 'note', 'task-1', 'task-2'])
    expect(keysOf(planned(recordOf({}, SAMPLE_ANALYSIS, { target: null })))).toEqual([])
    expect(keysOf(planned(recordOf({}, SAMPLE_ANALYSIS, { target: null }), { log: 'call' }))).toEqual([
      'call',
    ])
    const task = fieldsOf(planned(recordOf({}, SAMPLE_ANALYSIS)), 'task-1')
    expect(task.complete_till).toBe(String(Date.parse(commonCall().endedAt ?? '') / 1000 + 86_400))
  })

  test('a long transcript is divided between turns into as many notes as it needs, twenty at most', () => {
    const turns = (count: number) => ({
      turns: Array.from({ length: count }, (_, i) => ({
        party: 'agent' as const,
        text: `${i} ${'story '.repeat(40)}`,
      })),
    })
    const notes = (count: number) =>
      planned(recordOf({}, { transcript: turns(count) }), { note: { transcript: true } }).filter(({ key }) =>
        key.startsWith('transcript-'),
      )
    const some = notes(200)
    expect(some.length).toBeGreaterThan(2)
    for (const { fields } of some) expect(fields.text?.length).toBeLessThanOrEqual(15_000)
    expect(
      some
        .map(({ fields }) => fields.text)
        .join('\n')
        .split('\n').length,
    ).toBe(200)
    const many = notes(3000)
    expect(many.length).toBe(20)
    expect(many[19]?.fields.text).toMatch(/\[Shortened: .*\]$/)
    expect(keysOf(planned(recordOf({}, SAMPLE_ANALYSIS)))).not.toContain('transcript-1')
  })

  test('a link to the recording only when the operator wants links', () => {
    const recordings = [{ key: 'r', url: 'https://media.example.com/a.mp3', state: 'ready' as const }]
    const link = (settings: Settings) => fieldsOf(planned(recordOf({ recordings }), settings), 'call').link
    expect(link({})).toBeUndefined()
    expect(link({ recordingLinks: true })).toBe('https://media.example.com/a.mp3')
  })
})

describe('whose call it is', () => {
  const stored = ['+33639980142', '0639980142', '06 39 98 01 42', '+33 6 39 98 01 42', '33639980142']
  test.each(stored)('a contact whose number is written %s is found', async (phone) => {
    const world = await open()
    const id = world.sandbox.addContact?.({ name: 'Jean', phone })
    expect(await crm.match(commonCall(), ctxOf(world), [])).toMatchObject([
      { type: 'contact', id, name: 'Jean', url: `${BASE}/contacts/detail/${id}` },
    ])
  })

  test('the search finds parts of texts: other countries and mere mentions are nobody', async () => {
    const world = await open()
    world.sandbox.addContact?.({ name: 'Elsewhere', phone: '+44 639980142' })
    await post(world, 'contacts', {
      name: 'asked for 639980142',
      custom_fields_values: withPhone('+33199000001'),
    })
    expect(await crm.match(commonCall(), ctxOf(world), [])).toEqual([])
  })

  test('a company comes only when no contact has the number', async () => {
    const world = await open()
    const company = await post(world, 'companies', {
      name: 'Dupont SARL',
      custom_fields_values: withPhone(CUSTOMER),
    })
    expect(await crm.match(commonCall(), ctxOf(world), [])).toMatchObject([{ type: 'company', id: company }])
    const id = world.sandbox.addContact?.({ name: 'Jean', phone: CUSTOMER })
    expect(await crm.match(commonCall(), ctxOf(world), [])).toMatchObject([{ type: 'contact', id }])
  })

  test('a search that fails is no "nobody": doubles would come of it', async () => {
    const world = await open()
    world.sandbox.fail({ fault: { kind: 'status', status: 500 }, path: '/api/v4/contacts' })
    expect(await failureOf(crm.match(commonCall(), ctxOf(world), []))).toMatchObject({ code: 'vendor_down' })
  })

  async function two() {
    const world = await open()
    const add = (name: string, more: Settings = {}) =>
      post(world, 'contacts', { name, custom_fields_values: withPhone(CUSTOMER), ...more })
    const [one, other] = [await add('One', { responsible_user_id: 9001 }), await add('Other')]
    return { world, one, other }
  }

  test('several are told apart by what the rule asks for', async () => {
    const { world, one, other } = await two()
    const plain = await crm.match(commonCall(), ctxOf(world), [])
    expect(plain).toMatchObject([{ id: one, createdAt: '2026-03-04T11:22:33.000Z' }, { id: other }])
    expect(plain[0]).not.toHaveProperty('isAgents')
    const asked = await crm.match(commonCall(), ctxOf(world), ['owner is the agent', 'open deal'])
    expect(asked).toMatchObject([
      { id: one, isAgents: true, hasOpenDeal: false },
      { id: other, hasOpenDeal: false },
    ])
    expect(asked.map(({ reason }) => reason).join()).not.toMatch(/\d{6}/)
  })

  test('an open lead counts for the contact that it is of', async () => {
    const world = await open({ unknownCallers: 'unsorted' })
    const config = { connection: 'acme', config: ctxOf(world).config, region: 'FR' }
    const part = crm.newContact?.(commonCall(), config) ?? expect.fail('no contact')
    const { id } = await crm.write(fresh(part), recordOf({}, null, { target: null }), {}, ctxOf(world))
    world.sandbox.addContact?.({ name: 'Without', phone: CUSTOMER })
    const found = await crm.match(commonCall(), ctxOf(world), ['open deal'])
    expect(found.map((one) => [one.id === id, one.hasOpenDeal])).toEqual([
      [true, true],
      [false, false],
    ])
    expect(found[0]?.reason).toBe('same number as 1 more, has open leads')
  })

  test('a call stands on the only open lead of its contact where that is wanted', async () => {
    const settings = { unknownCallers: 'unsorted', attachTo: 'openLead' }
    const world = await open(settings)
    const config = { connection: 'acme', config: ctxOf(world).config, region: 'FR' }
    const part = crm.newContact?.(commonCall(), config) ?? expect.fail('no contact')
    const { id } = await crm.write(fresh(part), recordOf({}, null, { target: null }), {}, ctxOf(world))
    const [lead] = books(world, 'lead')
    expect(lead?.fields.unsorted).toMatchObject({
      from: CUSTOMER,
      phone: '+33199001234',
      duration: 60,
      uniq: 'wbk_1-contact',
      is_call_event_needed: false,
    })
    expect(await crm.match(commonCall(), ctxOf(world), [])).toMatchObject([
      { type: 'lead', id: lead?.id, url: `${BASE}/leads/detail/${lead?.id}` },
    ])
    await tell(world, 'PATCH', `/api/v4/contacts/${id}`, { name: 'Jean' })
    const onContact = { ...ctxOf(world), config: { ...ctxOf(world).config, attachTo: 'contact' as const } }
    expect(await crm.match(commonCall(), onContact, [])).toMatchObject([{ type: 'contact', id }])
  })

  test('the record that the phone system named is taken, if it is there', async () => {
    const world = await open()
    const named = world.sandbox.addContact?.({ name: 'Named', phone: '+33199000001' }) ?? ''
    const byNumber = world.sandbox.addContact?.({ name: 'Jean', phone: CUSTOMER })
    const by = async (id: string) => {
      const customer = { phone: CUSTOMER, phoneRaw: CUSTOMER, crm: { acme: id } }
      return (await crm.match({ ...commonCall(), customer }, ctxOf(world), []))[0]?.id
    }
    expect(await by(named)).toBe(named)
    expect(await by('999')).toBe(byNumber)
    expect(await by('../account')).toBe(byNumber)
  })

  test('our own lines and internal calls are nobody, and nothing is asked', async () => {
    const world = await open()
    for (const call of [
      { customer: { phone: '+33199001234', phoneRaw: '' } },
      { direction: 'internal' as const },
    ])
      expect(await crm.match({ ...commonCall(), ...call }, ctxOf(world), [])).toEqual([])
    expect(world.requests()).toBe(0)
  })
})

describe('written once', () => {
  test.each(['note', 'call'])('every part whose answer got lost is found again (%s)', async (log) => {
    const { world, record, parts } = await ready({ log, note: { transcript: true } })
    for (const part of parts()) {
      world.sandbox.fail({ fault: { kind: 'commit_then_hang' }, method: 'POST' })
      const sent = (signal: AbortSignal) =>
        crm.write(fresh(part), record, {}, world.context(signal) as Context)
      expect(await cutOff(sent)).toMatchObject({ code: 'timeout' })
      const id = await crm.find?.(fresh(part), record, {}, ctxOf(world))
      if (part.key === 'call' && log === 'call') expect(id).toBe('wbk_1-call')
      else expect(world.sandbox.book().find((entry) => entry.id === id)?.key).toBe(`wbk_1-${part.key}`)
      const other = { ...fresh(part), idempotencyKey: `wbk_2-${part.key}` }
      expect(await crm.find?.(other, record, {}, ctxOf(world))).toBeNull()
    }
  })

  test('a note is found behind two hundred and fifty others', async () => {
    const { world, id, record, part, write } = await ready()
    const note = await write(fresh(part('note')))
    const body = Array.from({ length: 300 }, () => ({
      note_type: 'common',
      params: { text: 'from a person' },
    }))
    await tell(world, 'POST', `/api/v4/contacts/${id}/notes`, body)
    expect(await crm.find?.(fresh(part('note')), record, {}, ctxOf(world))).toBe(note.id)
  })

  test('an update leaves alone who is responsible and when a task is due', async () => {
    const { world, part, write } = await ready()
    const call = await write(fresh(part('call')))
    const task = await write(fresh(part('task-1')))
    const number = call.id.split('/')[1]
    const before = books(world, 'call')[0]?.fields ?? {}
    await tell(world, 'PATCH', `/api/v4/contacts/notes/${number}`, {
      note_type: before.note_type,
      params: before.params,
      responsible_user_id: 7,
    })
    await tell(world, 'PATCH', `/api/v4/tasks/${task.id}`, {
      complete_till: 4_102_444_800,
      responsible_user_id: 7,
    })
    await write(fresh({ ...part('call'), fields: { ...part('call').fields, call_result: 'sold' } }, call.id))
    await write(
      fresh({ ...part('task-1'), fields: { ...part('task-1').fields, text: 'New words' } }, task.id),
    )
    expect(books(world, 'call')).toMatchObject([
      { fields: { responsible_user_id: 7, params: { call_result: 'sold' } } },
    ])
    expect(books(world, 'task')[0]?.fields).toMatchObject({
      complete_till: 4_102_444_800,
      responsible_user_id: 7,
      text: 'New words\nCordboard ref wbk_1-task-1',
    })
  })

  test('a note is reached on the record that it was written on, whichever was chosen since', async () => {
    const { world, record, part, write } = await ready()
    const { id } = await write(fresh(part('note')))
    const lead = await post(world, 'leads', { name: 'Lead' })
    const moved = { ...record, target: { type: 'lead', id: lead } }
    expect(await crm.write(fresh(part('note'), id), moved, {}, ctxOf(world))).toEqual({ id })
    expect(books(world, 'note').length).toBe(1)
  })

  test('Kommo places a call by its own rule, and one whose number it does not know is refused', async () => {
    const { world, part, write } = await ready({ log: 'call' })
    const call = part('call')
    expect(await write(fresh(call))).toEqual({ id: 'wbk_1-call' })
    expect(await write(fresh(call, 'wbk_1-call'))).toEqual({ id: 'wbk_1-call' })
    expect(books(world, 'call').length).toBe(1)
    const strange = { ...call, fields: { ...call.fields, phone: '+33199000002' } }
    expect(await failureOf(write(fresh(strange)))).toMatchObject({
      code: 'rejected',
      vendorSaid: 'Entity not found by phone <number>',
    })
  })

  test('a record of another type than Kommo has is refused before anything is sent', async () => {
    const { world, record, part } = await ready({ users: [] })
    const ticket = { ...record, target: { type: 'ticket', id: '1' } }
    expect(await failureOf(crm.write(fresh(part('note')), ticket, {}, ctxOf(world)))).toMatchObject({
      code: 'rejected',
    })
    expect(world.requests()).toBe(0)
  })

  test('service notes name their service', async () => {
    const { world, part, write } = await ready({ noteType: 'extended_service_message', source: 'Our PBX' })
    await write(fresh(part('note')))
    expect(books(world, 'note')).toMatchObject([
      { fields: { note_type: 'extended_service_message', params: { service: 'Our PBX' } } },
    ])
  })
})

describe('the operator’s own fields', () => {
  test('are described by id, choices by their values, and some are not written', async () => {
    const world = await open({ customFields: CUSTOM_FIELDS })
    expect(await crm.fields?.(ctxOf(world))).toEqual([
      { name: '71', label: 'Contact: Score', type: 'number' },
      { name: '72', label: 'Contact: Mood', type: 'choice', choices: ['Good'] },
      { name: '73', label: 'Lead: Called', type: 'date' },
      {
        name: '74',
        label: 'Lead: Place',
        type: 'text',
        readOnly: 'fields of the type smart_address are not written',
      },
    ])
  })

  test('are written by id or code, as their types want it', async () => {
    const fields = { SCORE: '9', '72': 'good', '999': 'x' }
    const { world, id, part, write } = await ready({ customFields: CUSTOM_FIELDS }, { fields })
    expect(await write(fresh(part('fields')))).toEqual({ id })
    expect(world.sandbox.book().find((entry) => entry.id === id)?.fields.custom_fields_values).toEqual([
      { field_code: 'PHONE', values: [{ value: CUSTOMER, enum_code: 'WORK' }] },
      { field_id: 72, values: [{ enum_id: 721 }] },
      { field_id: 71, values: [{ value: 9 }] },
    ])
    const wrong = fresh({ ...part('fields'), fields: { '72': '"Sad"' } })
    expect(await failureOf(write(wrong))).toMatchObject({ code: 'rejected' })
  })

  test('dates are seconds since 1970', async () => {
    const world = await open({ customFields: CUSTOM_FIELDS })
    const id = await post(world, 'leads', { name: 'Lead' })
    const record = recordOf({}, null, { target: { type: 'lead', id }, fields: { '73': '2026-03-04' } })
    const part = planned(record).find(({ key }) => key === 'fields') ?? expect.fail('no fields')
    await crm.write(fresh(part), record, {}, ctxOf(world))
    expect(books(world, 'lead')[0]?.fields.custom_fields_values).toEqual([
      { field_id: 73, values: [{ value: 1_772_582_400 }] },
    ])
  })
})

describe('calls that Kommo tells of', () => {
  test('Kommo’s own note of a call is left as it is; what is added stands on its record', async () => {
    const world = await open()
    const id = world.sandbox.addContact?.({ name: 'Jean', phone: CUSTOMER }) ?? ''
    const logged = { id: `contacts/${id}/88001` }
    const record = recordOf({}, SAMPLE_ANALYSIS, { logged, target: null })
    const parts = planned(record)
    expect(parts[0]).toEqual({ key: 'call', kind: 'call', fields: {} })
    for (const part of parts)
      await crm.write(fresh(part, part.key === 'call' ? logged.id : null), record, {}, ctxOf(world))
    expect(books(world, 'call')).toEqual([])
    expect(books(world, 'note')).toMatchObject([{ fields: { on: `contacts/${id}` } }])
    expect(books(world, 'task').length).toBe(2)
  })

  test('a recording is fetched from where it is kept, without our token', async () => {
    const world = await open()
    const { call } = await playSampleCall(world)
    const sent: Record<string, string>[] = []
    const ctx = ctxOf(world)
    const spied: Context = {
      ...ctx,
      fetch: (url, init) => {
        sent.push(init?.headers ?? {})
        return ctx.fetch(url, init)
      },
    }
    await telephony.recording?.(call.recordings[0] ?? expect.fail('no recording'), call, spied)
    expect(sent).toEqual([{}])
    const link = (url: string) => telephony.recordingUrl?.({ key: 'r', url, state: 'ready' }, call, ctx)
    expect(await link('https://media.example.com/a.mp3')).toBe('https://media.example.com/a.mp3')
    expect(await link('http://10.0.0.7/a.mp3')).toBeNull()
    const known = { ...ctx, config: { ...ctx.config, recordingHosts: ['media.example.com'] } }
    const at = (url: string) =>
      failureOf(telephony.recording?.({ key: 'r', url, state: 'ready' }, call, known) ?? Promise.resolve())
    expect(await at('https://elsewhere.example.com/a.mp3')).toMatchObject({ code: 'forbidden' })
    expect(await at('https://media.example.com/records/kit-call-1.mp3')).toBeNull()
  })

  const receive = (body: [string, string][]) => {
    const fixture = subject.fixtures.find(({ file }) => file === 'call-in.json') ?? expect.fail('no fixture')
    const form = new URLSearchParams([...body, ['account[id]', '31000001']]).toString()
    const request = inboundRequest({ ...rawOf(fixture), body: new TextEncoder().encode(form) })
    return telephony.webhook?.receive(request, mapContext())
  }

  async function listed(world: World, until?: string): Promise<string[]> {
    const since = new Date(world.now() - 3_600_000).toISOString()
    const ids: string[] = []
    for await (const page of telephony.calls?.(since, ctxOf(world), until) ?? [])
      ids.push(...page.map(({ callId }) => callId))
    return ids
  }

  test('the list brings the same call by the same key, whatever page it is on, and none of ours', async () => {
    const { world, id, part, write } = await ready()
    await write(fresh(part('call')))
    const body = Array.from({ length: 300 }, (_, i) => ({
      note_type: 'call_out',
      params: { uniq: `other-${i}`, duration: 5, source: 'other', phone: CUSTOMER },
    }))
    await tell(world, 'POST', `/api/v4/contacts/${id}/notes`, body)
    const { events } = await playSampleCall(world)
    const ids = await listed(world)
    expect(ids.length).toBe(301)
    expect(ids).toContain(events[0]?.callId)
    expect(await listed(world, new Date(world.now() - 60_000).toISOString())).toEqual([])
    const off = await open({ calls: false })
    expect(await listed(off)).toEqual([])
    expect(off.requests()).toBe(0)
  })

  test('one delivery may tell of several things', () => {
    const note = (i: number, id: string): [string, string][] => [
      [`contacts[note][${i}][note][id]`, id],
      [`contacts[note][${i}][note][element_id]`, '4401'],
      [`contacts[note][${i}][note][note_type]`, '11'],
      [`contacts[note][${i}][note][text]`, '{}'],
    ]
    expect(receive([...note(0, '1'), ...note(1, '2'), ['leads[delete][0][id]', '5501']])).toMatchObject({
      events: [{ key: 'note:1' }, { key: 'note:2' }],
      changes: [{ change: 'deleted', type: 'lead', id: '5501' }],
    })
  })

  test('a link that is none is no recording, and a time in an unknown zone no time', () => {
    const [event] =
      (
        receive([
          ['contacts[note][0][id]', '1'],
          ['contacts[note][0][element_id]', '4401'],
          ['contacts[note][0][note_type]', '10'],
          ['contacts[note][0][text]', '{"LINK":"javascript:alert(1)","DURATION":5}'],
          ['contacts[note][0][date_create]', '2026-03-04 11:22:33'],
        ]) as { events: { facts: object }[] }
      ).events ?? []
    expect(event?.facts).toEqual({
      direction: 'inbound',
      result: 'answered',
      talkMs: 5000,
      customer: { crm: { acme: '4401' } },
      recordingExpected: false,
    })
  })
})

describe('webhooks', () => {
  test('one is made, at the secret address, and one that was switched off is switched on again', async () => {
    const world = await open({ hookToken: ['newest-token-0002', 'older-token-0001'] })
    for (const _ of [1, 2]) await telephony.subscribe?.(HOOK_URL, ctxOf(world))
    const [hook, another] = books(world, 'webhook')
    expect(another).toBeUndefined()
    expect(hook?.fields).toEqual({
      destination: `${HOOK_URL}/newest-token-0002`,
      settings: [
        'note_lead',
        'note_contact',
        'note_company',
        'note_customer',
        'delete_contact',
        'delete_lead',
        'delete_company',
      ],
      disabled: false,
    })
    expect((await connector.check(ctxOf(world))).warnings).toEqual([])
    const off = switchedOff(ctxOf(world))
    expect((await connector.check(off)).warnings).toMatchObject([
      { what: 'There is no active webhook for this connection' },
    ])
    const before = world.requests()
    await telephony.subscribe?.(HOOK_URL, off)
    expect(world.requests() - before).toBe(2)
    expect(books(world, 'webhook').length).toBe(1)
  })

  /** After a hundred bad answers Kommo switches a webhook off. */
  const switchedOff = (ctx: Context): Context => ({
    ...ctx,
    async fetch(url, init) {
      const response = await ctx.fetch(url, init)
      return new Response((await response.text()).replace('"disabled":false', '"disabled":true'), response)
    },
  })

  test('without a secret none is made; where they cannot be read, it is said', async () => {
    const bare = await open({ hookToken: undefined })
    expect(await failureOf(telephony.subscribe?.(HOOK_URL, ctxOf(bare)) ?? Promise.resolve())).toMatchObject({
      code: 'config',
    })
    const plain = await open({ isAdmin: false })
    expect((await connector.check(ctxOf(plain))).warnings).toMatchObject([
      { what: 'Webhooks cannot be read: whether calls arrive is not known' },
    ])
  })

  test('are answered with 200 at once', () => {
    expect(telephony.webhook?.reply).toEqual({ status: 200 })
  })
})

describe('credentials and limits', () => {
  const settings = { token: undefined, oauth: OAUTH }

  test('either a token or an integration, never both or none', () => {
    const parses = (keys: Settings) => connector.config.safeParse({ baseUrl: BASE, ...keys }).success
    expect(parses({ token: 'x' })).toBe(true)
    expect(parses({ oauth: OAUTH })).toBe(true)
    expect(parses({ token: 'x', oauth: OAUTH })).toBe(false)
    expect(parses({})).toBe(false)
  })

  test('each refresh token is used once, and the next one is kept', async () => {
    const world = await open(settings)
    const check = () => connector.check(ctxOf(world))
    expect((await check()).says).toBe('account stand-in')
    for (let day = 0; day < 3; day++) {
      await world.advance(86_500_000)
      expect((await check()).says).toBe('account stand-in')
    }
    // Ended before its time.
    await world.advance(40_000)
    world.sandbox.fail({ fault: { kind: 'status', status: 401 }, path: '/api/v4/account' })
    expect((await check()).says).toBe('account stand-in')
    world.sandbox.fail({ fault: { kind: 'status', status: 401 }, path: '/api/v4/account', times: 2 })
    expect(await failureOf(check())).toMatchObject({ code: 'auth' })
  })

  test('a refresh token that was used before is `auth`', async () => {
    const ctx = ctxOf(await open(settings))
    const used = { ...ctx, config: { ...ctx.config, oauth: { ...OAUTH, refreshToken: 'used-before' } } }
    expect(await failureOf(connector.check(used))).toMatchObject({ code: 'auth' })
  })

  test('the eighth request of a second is sent after it', async () => {
    const ctx = ctxOf(await open({ refusesBeyond: 7 }))
    for (let i = 0; i < 6; i++) await connector.check({ ...ctx, hookUrl: undefined })
    await connector.check({ ...ctx, hookUrl: undefined })
    expect(await failureOf(connector.check({ ...ctx, hookUrl: undefined }))).toMatchObject({
      code: 'rate_limited',
      retry: { afterMs: 1000 },
    })
    expect(connector.budgets?.(ctx.config)).toEqual({
      default: { limit: 7, windowMs: 1000, window: 'rolling' },
    })
  })

  test('a token of another account is told of', async () => {
    const { warnings } = await connector.check(ctxOf(await open({ accountId: '1', calls: false })))
    expect(warnings).toMatchObject([{ fix: 'Set accountId to "31000001"' }])
  })
})
