import { readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { createApp } from '../../src/app.ts'
import type { Transcript } from '../../src/call/analysis.ts'
import type { Connection } from '../../src/config/model.ts'
import { defineConnector } from '../../src/connector/contract.ts'
import { loadRecording } from '../../src/sandbox/recordings-node.ts'
import { GENERIC, sandboxVendors, UPLOADS } from './company.ts'
import { type Installation, type InstallOptions, install } from './installation.ts'

// Somebody hands calls in: a file, a link, a chat, a vCon of another system. They are stored before they are answered, go the
// way of every other call, and stand in the CRM once, however often they are handed in.

const TOKEN = 'ingest-token-0123456789'
const XOSUM = 'sandbox-xosum'
const company = (config?: Record<string, unknown>): InstallOptions => ({
  vendors: { ...UPLOADS, ...sandboxVendors('xosum', 'hubspot') },
  flows: [
    { name: 'f', from: ['uploads'], analyze: [XOSUM], write: ['sandbox-hubspot'], unknownCaller: 'create' },
  ],
  ...(config ? { config } : {}),
})

interface Answer {
  status: number
  body: Record<string, string>
}

function api(it: Installation) {
  const app = createApp({
    ...it.deps,
    tokens: [
      { role: 'ingest', token: TOKEN },
      { role: 'admin', token: `admin-${TOKEN}` },
    ],
  })
  const ask = async (path: string, init: RequestInit & { as?: string } = {}): Promise<Answer> => {
    const headers = { authorization: `Bearer ${init.as ?? TOKEN}`, ...(init.headers as object) }
    const response = await app.fetch(new Request(`https://calls.example.com${path}`, { ...init, headers }))
    return { status: response.status, body: (await response.json()) as Record<string, string> }
  }
  return {
    json: (body: unknown, headers: Record<string, string> = {}, path = '/v1/calls') =>
      ask(path, {
        method: 'POST',
        body: JSON.stringify(body),
        headers: { 'content-type': 'application/json', ...headers },
      }),
    form: (call: unknown, file: Uint8Array, headers: Record<string, string> = {}) => {
      const form = new FormData()
      form.set('file', new File([new Uint8Array(file)], '../../etc/call.mp3', { type: 'audio/mpeg' }))
      if (call !== undefined) form.set('call', JSON.stringify(call))
      return ask('/v1/calls', { method: 'POST', body: form, headers })
    },
    get: (path: string, headers: Record<string, string> = {}) => ask(path, { as: `admin-${TOKEN}`, headers }),
  }
}

const media = (it: Installation) => readdirSync(join(dirname(it.file), 'media'))
const deliveries = (it: Installation) =>
  it.store.db
    .selectFrom('deliveries')
    .select(['id', 'repeats', 'state'])
    .where('connection', '=', 'uploads')
    .execute()
const invoice = {
  externalId: 'crm-77',
  direction: 'inbound',
  result: 'answered',
  from: '06 39 98 00 01',
  startedAt: '2026-11-20T11:00:00Z',
  endedAt: '2026-11-20T11:01:00Z',
  agent: { extension: '101' },
}

test('a file is kept, analysed and written; the same file again is the same call', async () => {
  await using it = await install(company())
  const { form, get } = api(it)
  const audio = await loadRecording('support-invoice.mp3')
  const taken = await form(invoice, audio)
  expect(taken).toMatchObject({ status: 202, body: { connection: 'uploads', externalId: 'crm-77' } })
  // Stored, before anybody has worked on it.
  expect([await deliveries(it), media(it)]).toMatchObject([
    [{ id: taken.body.delivery, state: 'new' }],
    [expect.stringMatching(/^med_/)],
  ])

  expect((await form(invoice, audio)).body).toEqual(taken.body)
  await it.settle()
  expect((await form(invoice, audio)).body).toEqual(taken.body)
  await it.settle()

  expect([
    await it.calls(),
    it.held(XOSUM, 'submission').length,
    it.crm('call'),
    it.crm('note'),
    it.crm('contact'),
  ]).toEqual([[['done', null]], 1, 1, 1, 1])
  expect([await deliveries(it), media(it).length]).toMatchObject([[{ repeats: 2, state: 'used' }], 1])
  const { body } = await get(`/v1/calls/${taken.body.id}`)
  expect(body).toMatchObject({
    id: taken.body.id,
    call: {
      source: { connection: 'uploads', callId: 'crm-77' },
      customer: { phone: '+33639980001' },
      recordings: [{ format: 'mp3', bytes: audio.length, tracks: { left: 'agent', right: 'customer' } }],
    },
    analysis: { transcript: { turns: expect.any(Array) } },
  })
})

test('the same key with other content is refused and leaves nothing; another key adds to the call', async () => {
  await using it = await install(company())
  const { form, json, get } = api(it)
  const taken = await form(invoice, await loadRecording('support-invoice.mp3'))
  const other = await form(invoice, await loadRecording('sales-enquiry.mp3'))
  expect(other).toMatchObject({ status: 409, body: { code: 'conflict' } })
  expect(await json({ ...invoice, outcome: 'sold' })).toMatchObject({ status: 409 })
  expect([media(it).length, (await deliveries(it)).length]).toEqual([1, 1])

  const more = await json(
    { externalId: 'crm-77', result: 'answered', outcome: 'sold' },
    { 'idempotency-key': 'k-2' },
  )
  await it.settle()
  expect(more.status).toBe(202)
  expect(await it.calls()).toEqual([['done', null]])
  // Both were handed in before either was read: each was told an id, and the call is known by both.
  const [one, two] = [await get(`/v1/calls/${taken.body.id}`), await get(`/v1/calls/${more.body.id}`)]
  expect(one.body).toMatchObject({ call: { outcome: 'sold', recordings: [{ format: 'mp3' }] } })
  expect(two.body.id).toBe(one.body.id)
  const later = await json(
    { externalId: 'crm-77', result: 'answered', outcome: 'lost' },
    { 'idempotency-key': 'k-3' },
  )
  expect(later.body.id).toBe(one.body.id)
  expect(await json({ result: 'busy' }, { 'idempotency-key': 'k-3' })).toMatchObject({ status: 409 })
})

test('without any key nothing is the same again', async () => {
  await using it = await install(company())
  const { json } = api(it)
  const missed = { direction: 'inbound', result: 'no_answer', from: '+33639980001' }
  const [one, two] = [await json(missed), await json(missed)]
  expect(one.body.id).not.toBe(two.body.id)
  await it.settle()
  expect([(await it.calls()).length, it.crm('contact')]).toEqual([2, 1])
})

test('a link is fetched by the pipeline, and what its hash does not fit is not handed on', async () => {
  await using it = await install(company())
  const { json } = api(it)
  const [sample] = [await loadRecording('support-invoice.mp3')]
  it.place('uploads', {
    id: 'lnk',
    direction: 'inbound',
    customerPhone: '+33639980001',
    ownPhone: '+33199000100',
    agent: { extension: '101', name: 'Alice Martin' },
    result: 'answered',
    startedAt: it.now(),
    ringMs: 0,
    talkMs: 1,
    audio: { bytes: sample, format: 'mp3', durationMs: 17_000 },
  })
  const url = 'https://uploads.example.com/recordings/lnk'
  expect(await json({ ...invoice, recordingUrl: url })).toMatchObject({ status: 202 })
  await it.settle()
  expect([await it.calls(), it.held(XOSUM, 'submission').length]).toEqual([[['done', null]], 1])

  const hash = async (bytes: Uint8Array) =>
    `sha512-${Buffer.from(await crypto.subtle.digest('SHA-512', new Uint8Array(bytes))).toString('base64url')}`
  const vcon = (uuid: string, content_hash: string) => ({
    uuid,
    created_at: '2026-11-20T11:00:00Z',
    parties: [{ tel: '+33639980001' }, { name: 'Alice' }],
    dialog: [
      {
        type: 'recording',
        start: '2026-11-20T11:00:00Z',
        parties: [[0, 1]],
        originator: 0,
        url,
        content_hash,
      },
    ],
  })
  const hand = (uuid: string, content_hash: string) =>
    json(vcon(uuid, content_hash), {}, '/v1/vcons?direction=inbound')
  expect(await hand('019cb5f4-0000-8000-8000-000000000001', await hash(sample))).toMatchObject({
    status: 202,
  })
  await it.settle()
  expect(it.held(XOSUM, 'submission').length).toBe(2)
  expect(await hand('019cb5f4-0000-8000-8000-000000000002', await hash(new Uint8Array(1)))).toMatchObject({
    status: 202,
  })
  await it.settle()
  const issues = await it.store.db.selectFrom('issues').select(['kind', 'code', 'connection']).execute()
  expect(issues).toEqual([{ kind: 'submit', code: 'invalid_payload', connection: 'uploads' }])
  // All of it went on with its own facts.
  expect([(await it.calls()).map(([state]) => state), it.crm('call')]).toEqual([
    ['done', 'done', 'attention'],
    3,
  ])
})

test('a chat goes to a service that takes text, and into the CRM', async () => {
  await using it = await install(company())
  const given: Transcript[] = []
  const connector = defineConnector({
    id: 'reader',
    name: 'Reader',
    docs: 'https://example.com',
    config: z.unknown(),
    check: async () => ({ says: 'ok' }),
    analysis: {
      accepts: () => ({ text: true }),
      parts: () => ['analysis'],
      submit: async ({ text }) => {
        if (text) given.push(text)
        return { ref: 'r' }
      },
      poll: async () => ({
        state: 'done',
        parts: { analysis: { title: 'A parcel', summary: 'It is on its way.' } },
      }),
    },
  })
  const reader: Connection = {
    id: 'reader',
    connector,
    settings: {},
    region: 'FR',
    allowPrivate: [],
    concurrency: 1,
    recordingWaitMs: undefined,
    secrets: [],
  }
  const connections = new Map([...it.deps.config.connections, ['reader', reader]] as const)
  Object.assign(it.deps.config, {
    connections,
    flows: it.deps.config.flows.map((flow) => ({ ...flow, analyze: ['reader'] })),
  })
  const { json, get } = api(it)
  const chat = {
    externalId: 'chat-5',
    medium: 'text',
    direction: 'inbound',
    customer: { phone: '+33639980001' },
    startedAt: '2026-11-20T11:00:00Z',
    transcript: 'Client: Where is my parcel?\nOperator: On its way.',
  }
  const { body } = await json(chat)
  await it.settle()
  expect(given).toEqual([
    {
      turns: [
        { party: 'customer', text: 'Where is my parcel?' },
        { party: 'agent', text: 'On its way.' },
      ],
    },
  ])
  expect([await it.calls(), it.crm('call'), it.crm('note')]).toEqual([[['done', null]], 1, 1])

  const vcon = await get(`/v1/calls/${body.id}`, { accept: 'text/html, application/vcon+json;q=0.9' })
  expect(vcon.body).toMatchObject({
    parties: [{ tel: '+33639980001', role: 'customer' }, { role: 'agent' }],
    dialog: [{ type: 'text', body: 'Where is my parcel?' }, { type: 'text' }],
    analysis: [{ type: 'summary', vendor: 'Reader', body: 'It is on its way.' }, { type: 'report' }],
  })
  // What one installation gives out, another takes in.
  await using other = await install(company())
  const taken = await api(other).json(vcon.body, { 'content-type': 'application/vcon+json' }, '/v1/vcons')
  expect(taken).toMatchObject({ status: 202 })
  await other.settle()
  const again = await api(other).get(`/v1/calls/${taken.body.id}`)
  expect(again.body).toMatchObject({
    call: { medium: 'text', direction: 'inbound', customer: { phone: '+33639980001' }, transcript: given[0] },
  })
})

test('a recording inside a vCon is put aside, checked by its hash, and analysed', async () => {
  await using it = await install(company())
  const { json } = api(it)
  const audio = await loadRecording('support-invoice.mp3')
  const body = Buffer.from(audio).toString('base64url')
  const digest = Buffer.from(await crypto.subtle.digest('SHA-512', new Uint8Array(audio))).toString(
    'base64url',
  )
  const vcon = (hash: string) => ({
    uuid: '019cb5f4-0000-8000-8000-000000000009',
    created_at: '2026-11-20T11:00:00Z',
    parties: [{ tel: '+33639980001', role: 'customer' }, { role: 'agent' }],
    dialog: [
      {
        type: 'recording',
        originator: 0,
        parties: [[0, 1]],
        mediatype: 'audio/x-mp3',
        encoding: 'base64url',
        body,
        content_hash: hash,
      },
    ],
  })
  expect(await json(vcon(`sha512-${'A'.repeat(86)}`), {}, '/v1/vcons')).toMatchObject({
    status: 400,
    body: { detail: expect.stringContaining('dialog.0.content_hash') },
  })
  expect(media(it)).toEqual([])
  const taken = await json(vcon(`sha512-${digest}`), {}, '/v1/vcons')
  expect((await json(vcon(`sha512-${digest}`), {}, '/v1/vcons')).body).toEqual(taken.body)
  await it.settle()
  expect([await it.calls(), it.held(XOSUM, 'submission').length, media(it).length]).toEqual([
    [['done', null]],
    1,
    1,
  ])
  const [delivery] = await it.store.db.selectFrom('deliveries').select(['bytes']).execute()
  expect(delivery?.bytes).toBeLessThan(2_000)
})

test('uploads go after keep.audio, with their call, and when their delivery was never stored', async () => {
  await using it = await install(
    company({ keep: { audio: '2 days', calls: '10 days', deliveries: '30 minutes' } }),
  )
  const { form } = api(it)
  const audio = await loadRecording('support-invoice.mp3')
  await form(invoice, audio)
  await it.settle()
  const uploads = () => it.store.db.selectFrom('uploads').select('id').execute()
  expect(media(it).length).toBe(1)
  // A process that died between the file and the delivery leaves an upload that nobody knows of.
  const lost = {
    id: `med_${(await deliveries(it))[0]?.id.slice(4)}`,
    connection: 'uploads',
    delivery_id: 'dlv_x',
    call_id: 'call_x',
  }
  await it.deps.media.put(lost.id, audio, audio.length)
  await it.store.atomic([], [it.store.db.insertInto('uploads').values(lost)])
  await it.pass(3_500_000)
  expect(media(it).length).toBe(2)
  await it.pass(300_000)
  expect([media(it).length, (await uploads()).length]).toEqual([1, 1])
  // The delivery is erased by then, and the call still knows its upload.
  await it.pass(1.5 * 86_400_000)
  expect([await deliveries(it), media(it).length]).toEqual([[], 1])
  await it.pass(86_400_000)
  expect([media(it), await uploads(), (await it.calls()).length]).toEqual([[], [], 1])

  await it.restart({ keep: { calls: '10 days', deliveries: '1 day' } })
  await form({ ...invoice, externalId: 'crm-78', startedAt: new Date(it.now()).toISOString() }, audio)
  await it.settle()
  expect(media(it).length).toBe(1)
  await it.pass(11 * 86_400_000)
  expect([media(it), await uploads(), await it.calls()]).toEqual([[], [], []])
})

test('a connection takes so many a minute, and tells who comes back too early', async () => {
  await using it = await install({ ...company(), settings: { uploads: { deliveriesPerMinute: 1 } } })
  const { json } = api(it)
  expect((await json({ result: 'busy' })).status).toBe(202)
  expect(await json({ result: 'busy' })).toMatchObject({ status: 429, body: { code: 'rate_limited' } })
  expect((await deliveries(it)).length).toBe(1)
})

test('no phone system can name an upload, nor choose the id of a call', async () => {
  await using it = await install({
    ...company(),
    vendors: { ...UPLOADS, ...GENERIC, ...sandboxVendors('hubspot') },
    flows: [{ name: 'f', from: ['uploads', 'pbx'], analyze: [], write: [] }],
  })
  const { form } = api(it)
  const taken = await form(invoice, await loadRecording('support-invoice.mp3'))
  await it.settle()
  const { id: mediaId } = await it.store.db.selectFrom('uploads').select('id').executeTakeFirstOrThrow()
  const recordings = [{ key: 'r', mediaId, state: 'ready' }]
  const said = { key: 'e', callId: taken.body.id, phase: 'ended', facts: { result: 'answered', recordings } }
  const body = JSON.stringify({ type: 'call.event', events: [said] })
  const headers = {
    'content-type': 'application/json',
    'webhook-id': 'm-1',
    'webhook-timestamp': `${it.now() / 1000}`,
  }
  const sent = await it.send('pbx', { says: 'ended', method: 'POST', path: '', headers, body })
  expect(sent.status).toBe(202)
  await it.settle()
  const calls = await it.store.db
    .selectFrom('calls')
    .select(['id', 'connection', 'call'])
    .orderBy('connection')
    .execute()
  expect(calls.map(({ connection }) => connection)).toEqual(['pbx', 'uploads'])
  expect([calls[0]?.id === taken.body.id, calls[0]?.call.includes(mediaId)]).toEqual([false, false])
})
