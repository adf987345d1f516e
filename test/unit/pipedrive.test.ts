import { describe, expect, test } from 'vitest'
import { searchesFor } from '../../connectors/pipedrive/map.ts'
import type { Call, Result } from '../../src/call/call.ts'
import { CUSTOMER, commonCall, SAMPLE_ANALYSIS } from '../kit/connector/samples.ts'
import { cutOff, failureOf } from '../kit/connector/world.ts'
import {
  books,
  type Context,
  CUSTOM_FIELDS,
  crm,
  ctxOf,
  fieldsOf,
  fresh,
  MOOD,
  mapContext,
  open,
  planned,
  post,
  ready,
  recordOf,
  SCORE,
  type Settings,
  tell,
} from './pipedrive-world.ts'

describe('a call as Pipedrive takes it', () => {
  test('an activity stands at its UTC date and time, with whole minutes; the rest is in its note', () => {
    const call = fieldsOf(planned(recordOf({ talkMs: 61_500 })), 'call')
    expect(call).toMatchObject({
      subject: 'Inbound call, answered',
      type: 'call',
      due_date: '2026-03-04',
      due_time: '11:20',
      duration: '00:02',
      owner: 'alice.martin@example.com',
    })
    expect(call.note).toContain('<p><strong>Talked:</strong> 1:02</p>')
    expect(call.note).toContain(`<p><strong>From:</strong> ${CUSTOMER}</p>`)
  })

  test('a call log has UTC wall clocks without a zone, and its duration is text in seconds', () => {
    const call = fieldsOf(planned(recordOf({ talkMs: 61_500 }), { log: 'callLog' }), 'call')
    expect(call).toMatchObject({
      outcome: 'connected',
      from_phone_number: CUSTOMER,
      to_phone_number: '+33199001234',
      start_time: '2026-03-04 11:20:33',
      end_time: '2026-03-04 11:21:41',
      duration: '62',
    })
    expect(call).not.toHaveProperty('owner')
  })

  const outcomes: [Result | undefined, Call['direction'], string][] = [
    ['answered', 'inbound', 'connected'],
    ['no_answer', 'outbound', 'no_answer'],
    ['busy', 'outbound', 'busy'],
    ['failed', 'outbound', 'no_answer'],
    ['rejected', 'outbound', 'busy'],
    ['abandoned', 'inbound', 'no_answer'],
    ['voicemail', 'inbound', 'no_answer'],
    ['voicemail', 'outbound', 'left_voicemail'],
    [undefined, 'inbound', 'connected'],
  ]
  test.each(outcomes)('%s %s is %s', (result, direction, outcome) => {
    const fields = fieldsOf(planned(recordOf({ result, direction }), { log: 'callLog' }), 'call')
    expect(fields.outcome).toBe(outcome)
  })

  test('a call log has an end and a number even where neither is known', () => {
    const bare = {
      endedAt: undefined,
      totalMs: undefined,
      talkMs: undefined,
      dialed: undefined,
      agent: undefined,
    }
    const fields = fieldsOf(planned(recordOf({ ...bare, direction: 'inbound' }), { log: 'callLog' }), 'call')
    expect(fields).toMatchObject({ end_time: '2026-03-04 11:20:33', to_phone_number: 'unknown' })
  })

  test('a plan is the call, its note and the follow-ups; nothing stands on a record that there is not', () => {
    expect(planned(recordOf({}, SAMPLE_ANALYSIS)).map(({ key }) => key)).toEqual([
      'call',
      'note',
      'task-1',
      'task-2',
    ])
    const alone = planned(recordOf({}, SAMPLE_ANALYSIS, { target: null }))
    expect(alone.map(({ key }) => key)).toEqual(['call', 'task-1', 'task-2'])
    expect(fieldsOf(alone, 'call').note).toContain('Did the agent greet?')
  })

  test('what was said is text, and the transcript comes only when it is wanted', () => {
    const analysis = { ...SAMPLE_ANALYSIS, summary: '<img src=x onerror=alert(1)>' }
    const note = fieldsOf(planned(recordOf({}, analysis)), 'note').content ?? ''
    expect(note).toContain('&lt;img src=x')
    expect(note).not.toContain('My invoice is wrong.')
    const full = planned(recordOf({}, analysis), { note: { transcript: true } })
    expect(fieldsOf(full, 'note').content).toContain('My invoice is wrong.')
    expect(full.some(({ kind }) => kind === 'file')).toBe(false)
  })

  test('a transcript that does not fit into the note is cut there, and whole in a file', () => {
    const turns = Array.from({ length: 3000 }, () => ({
      party: 'agent' as const,
      text: 'a long story '.repeat(4),
    }))
    const parts = planned(recordOf({}, { transcript: { turns } }), { note: { transcript: true } })
    expect(fieldsOf(parts, 'note').content?.length).toBeLessThanOrEqual(65_536)
    expect(fieldsOf(parts, 'note').content).toContain('[Shortened')
    expect(fieldsOf(parts, 'transcript').text?.split('\n').length).toBe(3001)
  })

  test('a recording is linked only when the operator wants links', () => {
    const recordings = [{ key: 'r', url: 'https://media.example.com/a.mp3', state: 'ready' as const }]
    const note = (settings: Settings) => fieldsOf(planned(recordOf({ recordings }), settings), 'call').note
    expect(note({})).not.toContain('media.example.com')
    expect(note({ recordingLinks: true })).toContain('<a href="https://media.example.com/a.mp3">listen</a>')
  })
})

describe('whose call it is', () => {
  const stored = ['+33639980142', '0639980142', '06 39 98 01 42', '+33 6 39 98 01 42', '0033639980142']
  test.each(stored)('a person whose number is written %s is found', async (phone) => {
    for (const searchesInside of [true, false]) {
      const world = await open({ searchesInside })
      const id = world.sandbox.addContact?.({ name: 'Jean', phone })
      const [best] = await crm.match(commonCall(), ctxOf(world), [])
      expect(best).toMatchObject({ type: 'person', id, url: `https://stand-in.pipedrive.com/person/${id}` })
    }
  })

  test('the same end in another country is somebody else', async () => {
    const world = await open()
    world.sandbox.addContact?.({ name: 'Elsewhere', phone: '+44 639980142' })
    expect(await crm.match(commonCall(), ctxOf(world), [])).toEqual([])
  })

  test('one who is known costs three searches, all of them from the search budget', async () => {
    const world = await open()
    world.sandbox.addContact?.({ name: 'Jean', phone: CUSTOMER })
    const buckets: (string | undefined)[] = []
    const ctx = ctxOf(world)
    const spied: Context = {
      ...ctx,
      fetch: (url, init) => {
        buckets.push(init?.bucket)
        return ctx.fetch(url, init)
      },
    }
    await crm.match(commonCall(), spied, [])
    expect(buckets).toEqual(['search', 'search', 'search'])
    expect(searchesFor(CUSTOMER).narrow.length + searchesFor(CUSTOMER).wide.length).toBeLessThanOrEqual(10)
  })

  test('whoever gets the calls of all others is nobody’s agent', async () => {
    const world = await open({ owners: { fallback: '9001' } })
    const phones = [{ value: CUSTOMER, primary: true }]
    for (const owner_id of [9001, 9002])
      await post(world, '/api/v2/persons', { name: 'One', owner_id, phones })
    const call = { ...commonCall(), agent: { name: 'Somebody', email: 'nobody@example.com' } }
    const found = await crm.match(call, ctxOf(world), ['owner is the agent'])
    expect(found.map(({ isAgents }) => isAgents === true)).toEqual([false, false])
  })

  test('several are told apart by what the rule asks for, in one request more', async () => {
    const world = await open()
    const phones = [{ value: CUSTOMER, primary: true }]
    const one = await post(world, '/api/v2/persons', { name: 'One', owner_id: 9001, phones })
    const two = await post(world, '/api/v2/persons', { name: 'Two', phones })
    const plain = await crm.match(commonCall(), ctxOf(world), [])
    expect(plain.map(({ id }) => id)).toEqual([one, two])
    expect(plain[0]).not.toHaveProperty('isAgents')
    const asked = await crm.match(commonCall(), ctxOf(world), ['owner is the agent', 'open deal', 'newest'])
    expect(asked).toMatchObject([
      { id: one, isAgents: true, hasOpenDeal: false, createdAt: expect.any(String) },
      { id: two, hasOpenDeal: false, lastActivityAt: expect.any(String) },
    ])
    expect(asked[1]?.isAgents).not.toBe(true)
    expect(asked.map(({ reason }) => reason).join()).not.toMatch(/\d{6}/)
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
    expect(await by('../users/me')).toBe(byNumber)
  })

  test('our own lines and internal calls are nobody, and nothing is asked', async () => {
    const world = await open()
    const own = { customer: { phone: '+33199001234', phoneRaw: '' } }
    for (const call of [own, { direction: 'internal' as const }, { customer: undefined }])
      expect(await crm.match({ ...commonCall(), ...call }, ctxOf(world), [])).toEqual([])
    expect(world.requests()).toBe(0)
  })

  test('an unknown caller without a name is called by the number', () => {
    const call = { ...commonCall(), customer: { phone: CUSTOMER, phoneRaw: CUSTOMER, name: 'Anonymous' } }
    expect(crm.newContact?.(call, mapContext())?.fields).toEqual({ name: CUSTOMER, phone: CUSTOMER })
  })
})

describe('written once', () => {
  test.each(['activity', 'callLog'])(
    'every part of a %s whose answer got lost is found again',
    async (log) => {
      const { world, record, parts, write } = await ready({ log, note: { file: true }, tasks: true })
      const written: Record<string, string> = {}
      for (const part of parts()) {
        if (part.key === 'call') world.sandbox.fail({ fault: { kind: 'commit_then_hang' }, method: 'POST' })
        const sent = (signal: AbortSignal) =>
          crm.write(fresh(part), record, written, world.context(signal) as Context)
        if (part.key === 'call') expect(await cutOff(sent)).toMatchObject({ code: 'timeout' })
        else await write(fresh(part), written)
        const id = await crm.find?.(fresh(part), record, written, ctxOf(world))
        expect(id, part.key).toBeTruthy()
        written[part.key] = id ?? ''
      }
      const other = { ...fresh(parts()[0] ?? expect.fail()), idempotencyKey: 'wbk_2-call' }
      expect(await crm.find?.(other, record, {}, ctxOf(world))).toBeNull()
    },
  )

  test('an update changes what the call says, and leaves its owner and whether a task is done', async () => {
    const { world, part, write } = await ready()
    const call = await write(fresh(part('call')))
    const task = await write(fresh(part('task-1')))
    await tell(world, 'PATCH', `/api/v2/activities/${call.id.split('/')[2]}`, { owner_id: 7 })
    await tell(world, 'PATCH', `/api/v2/activities/${task.id.split('/')[2]}`, {
      done: true,
      due_date: '2027-01-01',
    })
    await write(fresh({ ...part('call'), fields: { ...part('call').fields, subject: 'Better' } }, call.id))
    await write(
      fresh({ ...part('task-1'), fields: { ...part('task-1').fields, subject: 'New words' } }, task.id),
    )
    const fields = (id: string) => world.sandbox.book().find((entry) => entry.id === id)?.fields
    expect(fields(call.id)).toMatchObject({ subject: 'Better', owner_id: 7, done: true })
    expect(fields(task.id)).toMatchObject({ subject: 'New words', done: true, due_date: '2027-01-01' })
  })

  test('a call and its tasks move to the record that was chosen anew; what people linked since stays', async () => {
    const { world, id, record, part, write } = await ready()
    const call = await write(fresh(part('call')))
    const task = await write(fresh(part('task-1')))
    expect([call.id, task.id].map((one) => one.split('/').slice(0, 2))).toEqual([
      ['person', id],
      ['person', id],
    ])
    const add = (name: string) => world.sandbox.addContact?.({ name, phone: '+33199000002' }) ?? ''
    const linked = () => ['activity', 'task'].map((kind) => books(world, kind)[0]?.fields.person_id)
    const [colleague, other] = [add('Colleague'), add('Other')]
    for (const one of [call, task])
      await tell(world, 'PATCH', `/api/v2/activities/${one.id.split('/')[2]}`, {
        participants: [{ person_id: Number(colleague), primary: true }],
      })
    const keep = [await write(fresh(part('call'), call.id)), await write(fresh(part('task-1'), task.id))]
    expect([keep, linked()]).toEqual([
      [call, task],
      [Number(colleague), Number(colleague)],
    ])
    const chosen = { ...record, target: { type: 'contact', id: other } }
    for (const [key, externalId] of [
      ['call', call.id],
      ['task-1', task.id.split('/')[2]],
    ] as const) {
      const next = await crm.write(fresh(part(key), externalId), chosen, {}, ctxOf(world))
      expect(next.id).toBe(`person/${other}/${externalId?.split('/').at(-1)}`)
    }
    expect(linked()).toEqual([Number(other), Number(other)])
  })

  test('what was sent for one record is found when another was chosen meanwhile', async () => {
    const { world, id, record, part, write } = await ready()
    for (const key of ['call', 'note', 'task-1']) await write(fresh(part(key)))
    const other = world.sandbox.addContact?.({ name: 'Other', phone: '+33199000002' }) ?? ''
    const chosen = { ...record, target: { type: 'person', id: other } }
    for (const key of ['call', 'note', 'task-1']) {
      const found = await crm.find?.(fresh(part(key)), chosen, {}, ctxOf(world))
      expect(world.sandbox.book().find((entry) => entry.id === found)?.key, key).toBe(`wbk_1-${key}`)
    }
    expect(await crm.find?.(fresh(part('call')), chosen, {}, ctxOf(world))).toContain(`person/${id}/`)
  })

  test('of an activity that was kept without its record, who else takes part stays', async () => {
    const { world, id, part, write } = await ready()
    const call = (await write(fresh(part('call')))).id.split('/')[2]
    const participants = [
      { person_id: Number(id), primary: true },
      {
        person_id: Number(world.sandbox.addContact?.({ name: 'Other', phone: '+33199000002' })),
        primary: false,
      },
    ]
    await tell(world, 'PATCH', `/api/v2/activities/${call}`, { participants })
    expect(await write(fresh(part('call'), call))).toEqual({ id: `person/${id}/${call}` })
    expect(books(world, 'activity')[0]?.fields.participants).toEqual(participants)
  })

  test('what a vendor’s clock puts before the end of the call is found', async () => {
    const { world, record, part, write } = await ready()
    const { id } = await write(fresh(part('call')))
    const endedAt = new Date(world.now() + 3_600_000).toISOString()
    const later = { ...record, call: { ...record.call, endedAt } }
    expect(await crm.find?.(fresh(part('call')), later, {}, ctxOf(world))).toBe(id)
  })

  test('a call log is never changed, and none is made a second time', async () => {
    const { world, part, write } = await ready({ log: 'callLog' })
    const { id } = await write(fresh(part('call')))
    const sent = world.requests()
    expect(await write(fresh({ ...part('call'), fields: { subject: 'Better' } }, id))).toEqual({ id })
    expect(world.requests()).toBe(sent)
    expect(books(world, 'callLog')).toMatchObject([{ id, key: 'wbk_1-call' }])
  })

  test('the file stands on the person and on the activity', async () => {
    const { world, id, part, write } = await ready({ note: { file: true } })
    const call = await write(fresh(part('call')))
    await write(fresh(part('transcript')), { call: call.id })
    expect(books(world, 'file')).toMatchObject([
      {
        fields: {
          person_id: id,
          activity_id: call.id.split('/')[2],
          text: expect.stringContaining('My invoice is wrong.'),
        },
      },
    ])
  })

  test('a record of another type than Pipedrive has is refused before anything is sent', async () => {
    const { world, record, part } = await ready()
    const ticket = { ...record, target: { type: 'ticket', id: '1' } }
    expect(await failureOf(crm.write(fresh(part('note')), ticket, {}, ctxOf(world)))).toMatchObject({
      code: 'rejected',
    })
    expect(world.requests()).toBe(0)
  })

  test('an agent nobody knows leaves the call to the fallback', async () => {
    const { world, part, write } = await ready({ users: [] })
    await write(fresh(part('call')))
    expect(books(world, 'activity')).toMatchObject([{ fields: { owner_id: 9000 } }])
  })
})

describe('the operator’s own fields', () => {
  test('are those of persons and deals, and choices are named by their labels', async () => {
    const world = await open({ customFields: CUSTOM_FIELDS })
    expect(await crm.fields?.(ctxOf(world))).toEqual([
      { name: SCORE, label: 'Person: Score', type: 'number' },
      { name: MOOD, label: 'Person: Mood', type: 'choice', choices: ['Good', 'Bad'] },
    ])
  })

  test('are a part of their own, written by option id; another record than a person or a deal has none', async () => {
    const fields = { [SCORE]: 9, [MOOD]: 'good', unknown: 'x' }
    const { world, id, part, write } = await ready({ customFields: CUSTOM_FIELDS }, { fields })
    expect(await write(fresh(part('fields')))).toEqual({ id })
    const person = world.sandbox.book().find((entry) => entry.id === id)
    expect(person?.fields.custom_fields).toEqual({ [SCORE]: 9, [MOOD]: 31 })
    const several = CUSTOM_FIELDS.map((one) =>
      one.field_code === MOOD ? { ...one, field_type: 'set' } : one,
    )
    const set = await ready({ customFields: several }, { fields })
    await set.write(fresh(set.part('fields')))
    expect(set.world.sandbox.book().find((entry) => entry.id === set.id)?.fields.custom_fields).toMatchObject(
      {
        [MOOD]: [31],
      },
    )
    const wrong = fresh({ ...part('fields'), fields: { [MOOD]: '"Sad"' } })
    expect(await failureOf(write(wrong))).toMatchObject({ code: 'rejected' })
    const org = recordOf({}, null, { fields, target: { type: 'organization', id: '5' } })
    expect(planned(org).map(({ key }) => key)).toEqual(['call'])
  })
})
