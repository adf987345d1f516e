import { describe, expect, test } from 'vitest'
import type { Call, Result } from '../../src/call/call.ts'
import { CUSTOMER, commonCall, SAMPLE_ANALYSIS } from '../kit/connector/samples.ts'
import { cutOff, failureOf } from '../kit/connector/world.ts'
import {
  BASE,
  books,
  type Context,
  CUSTOM_FIELDS,
  crm,
  ctxOf,
  fieldsOf,
  fresh,
  keysOf,
  open,
  planned,
  post,
  ready,
  recordOf,
  type Settings,
  tell,
  withPhone,
} from './kommo-world.ts'

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

  async function two(settings: Settings = {}) {
    const world = await open(settings)
    const add = (name: string, more: Settings = {}) =>
      post(world, 'contacts', { name, custom_fields_values: withPhone(CUSTOMER), ...more })
    const [one, other] = [await add('One', { responsible_user_id: 9001 }), await add('Other')]
    return { world, one, other }
  }

  test('whoever gets the calls of all others is nobody’s agent', async () => {
    const { world } = await two({ owners: { fallback: '9001' } })
    const call = { ...commonCall(), agent: { name: 'Somebody', email: 'nobody@example.com' } }
    const found = await crm.match(call, ctxOf(world), ['owner is the agent'])
    expect(found.map(({ isAgents }) => isAgents === true)).toEqual([false, false])
  })

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

  test('what was sent for one record is found when another was chosen meanwhile', async () => {
    const { world, id, record, part, write } = await ready({ note: { transcript: true } })
    const keys = ['call', 'note', 'task-1', 'transcript-1']
    const written: string[] = []
    for (const key of keys) written.push((await write(fresh(part(key)))).id)
    const lead = await post(world, 'leads', { name: 'Lead' })
    const chosen = { ...record, target: { type: 'lead', id: lead } }
    const find = async (key: string) => crm.find?.(fresh(part(key)), chosen, {}, ctxOf(world))
    expect(await Promise.all(keys.map(find))).toEqual(written)
    expect(written.every((one) => one.startsWith(`contacts/${id}/`))).toBe(true)
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
    const number = call.id.split('/')[2]
    const before = books(world, 'call')[0]?.fields ?? {}
    await tell(world, 'PATCH', `/api/v4/contacts/notes/${number}`, {
      note_type: before.note_type,
      params: before.params,
      responsible_user_id: 7,
    })
    await tell(world, 'PATCH', `/api/v4/tasks/${task.id.split('/')[2]}`, {
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
    // As it was kept before its record stood in its id.
    const [list, , number] = id.split('/')
    const old = fresh(part('note'), `${list}/${number}`)
    expect(await crm.write(old, moved, {}, ctxOf(world))).toEqual({ id: `${list}/${number}` })
    expect(books(world, 'note').length).toBe(1)
  })

  test('a change of a note names its record, as Kommo wants it', async () => {
    const { world, id: contact, record, part, write } = await ready()
    const { id } = await write(fresh(part('note')))
    expect(id).toMatch(new RegExp(`^contacts/${contact}/\\d+$`))
    const sent: unknown[] = []
    const ctx = ctxOf(world)
    const fetch: Context['fetch'] = (url, init) => {
      sent.push(JSON.parse(String(init?.body)))
      return ctx.fetch(url, init)
    }
    await crm.write(fresh(part('note'), id), record, {}, { ...ctx, fetch })
    expect(sent).toMatchObject([{ entity_id: Number(contact), note_type: 'common' }])
  })

  test('a task goes to the record that was chosen later, and stays where a person has put it until then', async () => {
    const { world, id: contact, record, part, write } = await ready()
    const { id } = await write(fresh(part('task-1')))
    const lead = await post(world, 'leads', { name: 'Lead' })
    await tell(world, 'PATCH', `/api/v4/tasks/${id.split('/')[2]}`, {
      entity_type: 'leads',
      entity_id: Number(lead),
    })
    const on = () => books(world, 'task').map(({ fields }) => `${fields.entity_type}/${fields.entity_id}`)
    expect(await write(fresh(part('task-1'), id))).toEqual({ id })
    expect(on()).toEqual([`leads/${lead}`])
    const company = await post(world, 'companies', { name: 'Company' })
    const moved = { ...record, target: { type: 'company', id: company } }
    const next = await crm.write(fresh(part('task-1'), id), moved, {}, ctxOf(world))
    expect([on(), next.id]).toEqual([
      [`companies/${company}`],
      id.replace(`contacts/${contact}`, on()[0] ?? ''),
    ])
    // What was written before its record was kept with it stays where it is.
    const old = fresh(part('task-1'), id.split('/')[2])
    expect(await crm.write(old, record, {}, ctxOf(world))).toEqual({ id: old.externalId })
    expect(on()).toEqual([`companies/${company}`])
  })

  test('an agent is found among more users than a page holds', async () => {
    const users = Array.from({ length: 300 }, (_, i) => ({ id: 5000 + i, email: `user${i}@example.com` }))
    users.push({ id: 9001, email: 'alice.martin@example.com' })
    const { world, part, write } = await ready({ users, owners: {} })
    await write(fresh(part('task-1')))
    expect(books(world, 'task')[0]?.fields.responsible_user_id).toBe(9001)
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
