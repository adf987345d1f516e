import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { attemptRow, callRow, deliveryRow, id, NOW, openWorld, stepRow, type World } from './http-world.ts'

type Page = { items: { id: string }[]; next: string | null }
const MINUTE = 60_000

describe('the list of calls', () => {
  let world: World
  const ids: Record<string, string> = {}
  beforeAll(async () => {
    world = await openWorld()
    const rows = {
      plain: callRow({ started_at: NOW - 6 * MINUTE }),
      phone: callRow({ started_at: NOW - 5 * MINUTE, customer_phone: '+447700900123' }),
      crm: callRow({ started_at: NOW - 4 * MINUTE, connection: 'other' }),
      attention: callRow({ started_at: NOW - 3 * MINUTE, state: 'attention', reason: 'auth: refused' }),
      outbound: callRow({ started_at: NOW - 2 * MINUTE, direction: 'outbound' }),
      busy: callRow({ started_at: NOW - MINUTE, result: 'busy' }),
      numeric: callRow({ started_at: NOW, external_id: '1697559134' }),
    }
    for (const [name, row] of Object.entries(rows)) ids[name] = row.id
    await world.calls(...Object.values(rows), callRow({ joined_into: rows.plain.id }))
    const key = { connection: 'support', external_id: '1697559134', call_id: rows.numeric.id }
    await world.insert(world.store.db.insertInto('call_keys').values(key))
  })
  afterAll(async () => {
    await world[Symbol.asyncDispose]()
  })

  const at = (minutes: number) => new Date(NOW - minutes * MINUTE).toISOString()
  const all = ['numeric', 'busy', 'outbound', 'attention', 'crm', 'phone', 'plain']
  const filters: [string, string[]][] = [
    ['', all],
    ['connection=other', ['crm']],
    ['connection=nowhere', []],
    ['state=attention', ['attention']],
    ['direction=outbound', ['outbound']],
    ['result=busy', ['busy']],
    [`from=${at(2)}`, ['numeric', 'busy', 'outbound']],
    [`to=${at(5)}`, ['plain']],
    [`from=${at(3)}&to=${at(2)}`, ['attention']],
    ['from=2026-10-10', all],
    [`from=${encodeURIComponent('2026-10-10T13:58:00+02:00')}`, ['numeric', 'busy', 'outbound']],
    ['direction=inbound&result=busy&state=done&connection=support', ['busy']],
    [`q=${encodeURIComponent('+44 7700 900123')}`, ['phone']],
    [`q=${encodeURIComponent('07700 900-123')}`, ['phone']],
    ['q=0044(0)7700900123', ['phone']],
    ['q=7700900123', ['phone']],
    ['q=1697559134', ['numeric']],
    ['q=nobody-has-this', []],
  ]
  for (const [query, expected] of filters) {
    it(`answers ${query === '' ? 'all' : decodeURIComponent(query)}`, async () => {
      const { status, body } = await world.get<Page>(`/v1/calls?${query}`)
      expect(status).toBe(200)
      expect(body.items.map((item) => item.id)).toEqual(expected.map((name) => ids[name]))
      expect(body.next).toBeNull()
    })
  }

  it('finds a call by its id', async () => {
    const { body } = await world.get<Page>(`/v1/calls?q=${ids.busy}`)
    expect(body.items.map((item) => item.id)).toEqual([ids.busy])
  })

  it('shows what a list needs and no transcript', async () => {
    const { body } = await world.get<Page>('/v1/calls?q=%2B447700900123')
    expect(body.items[0]).toEqual({
      id: ids.phone,
      connection: 'support',
      externalId: `ext-${ids.phone}`,
      state: 'done',
      reason: null,
      direction: 'inbound',
      result: 'answered',
      startedAt: at(5),
      endedAt: null,
      updatedAt: at(5),
      talkMs: 61_000,
      customer: { phone: '+447700900123', name: 'Camille Durand' },
      agent: { name: 'Alice', extension: '100' },
      flow: 'main',
      analyzed: false,
    })
  })
})

describe('paging', () => {
  it('gives every call once, in order, while others arrive', async () => {
    await using world = await openWorld()
    const before = Array.from({ length: 25 }, (_, n) => callRow({ started_at: NOW + Math.floor(n / 3) }))
    await world.calls(...before)
    const seen: string[] = []
    let cursor: string | null = null
    do {
      const page: Page = (
        await world.get<Page>(`/v1/calls?limit=4${cursor === null ? '' : `&cursor=${cursor}`}`)
      ).body
      expect(page.items.length).toBeLessThanOrEqual(4)
      seen.push(...page.items.map((item) => item.id))
      cursor = page.next
      await world.calls(callRow({ started_at: NOW + 1000 + seen.length }))
    } while (cursor !== null)
    const expected = before
      .toSorted((a, b) => b.started_at - a.started_at || (a.id < b.id ? 1 : -1))
      .map((row) => row.id)
    expect(seen).toEqual(expected)
  })
})

describe('one call', () => {
  let world: World
  const call = callRow({
    customer_phone: '+447700900123',
    generation: 1,
    analysis: JSON.stringify({ summary: 'A question', raw: { vendor: 'words' } }),
  })
  const joined = callRow({ joined_into: call.id, state: 'done' })
  const delivery = deliveryRow({ received_at: NOW - 5000, repeats: 2 })
  const submission = id('sub')
  const writeback = id('wbk')

  beforeAll(async () => {
    world = await openWorld()
    const { db } = world.store
    await world.calls(call, joined, callRow({ joined_into: joined.id, id: 'call_Z' }))
    await world.deliveries(delivery)
    await world.insert(
      ...['ringing', 'ended'].map((phase, n) =>
        db.insertInto('events').values({
          connection: 'support',
          event_key: phase,
          call_id: call.id,
          delivery_id: delivery.id,
          phase,
          received_at: NOW - 5000 + n,
          event: '{}',
        }),
      ),
      db.insertInto('attempts').values(attemptRow({ call_id: call.id, at: NOW - 3000 })),
      db.insertInto('attempts').values(
        attemptRow({
          call_id: joined.id,
          at: NOW - 4000,
          outcome: 'failed',
          code: 'timeout',
          says: 'too slow',
        }),
      ),
      db
        .insertInto('attempts')
        .values(attemptRow({ call_id: call.id, at: NOW - 1000, outcome: 'note', says: 'differs' })),
      db.insertInto('steps').values(
        stepRow({
          call_id: call.id,
          kind: 'write',
          connection: 'crm',
          lane: 'crm',
          due_at: NOW + 60_000,
          code: 'vendor_down',
          attempts: 2,
        }),
      ),
      db.insertInto('submissions').values({
        id: submission,
        call_id: call.id,
        connection: 'scribe',
        generation: 0,
        flow: 'main',
        state: 'submitted',
        ref: 'job-1',
        checkpoint: null,
        expects: '["transcript","analysis"]',
        created_at: NOW - 3000,
        submitted_at: NOW - 2900,
        done_at: null,
        wait_until: null,
        reason: null,
      }),
      ...['transcript', 'analysis'].map((part) =>
        db.insertInto('results').values({
          submission_id: submission,
          part,
          call_id: call.id,
          via: 'poll',
          received_at: NOW - 2000,
          hash: 'h',
          analysis: '{}',
        }),
      ),
      db.insertInto('writebacks').values({
        id: writeback,
        call_id: call.id,
        connection: 'crm',
        state: 'written',
        target_type: 'contact',
        target_id: '42',
        target_reason: 'same number',
        candidates: JSON.stringify([{ type: 'contact', id: '42', reason: 'same number' }]),
        chosen: 0,
        matched_at: NOW - 1500,
        written_at: NOW - 1400,
      }),
      db.insertInto('writeback_parts').values({
        writeback_id: writeback,
        part: 'call',
        kind: 'call',
        intent_at: NOW - 1450,
        external_id: '900',
        hash: 'h',
        fields: '{"hs_call_body":12}',
        written_at: NOW - 1400,
      }),
    )
  })
  afterAll(async () => {
    await world[Symbol.asyncDispose]()
  })

  interface Detail {
    id: string
    joined: string[]
    analysis: Record<string, unknown>
    timeline: { kind: string; outcome: string; code: string | null; says: string; tookMs: number | null }[]
    steps: Record<string, unknown>[]
    submissions: Record<string, unknown>[]
    writeBacks: Record<string, unknown>[]
  }
  const read = async (path = '') => (await world.get<Detail>(`/v1/calls/${call.id}${path}`)).body

  it('tells what happened in order of time', async () => {
    const { timeline } = await read()
    expect(
      timeline.map(({ kind, outcome, code, says, tookMs }) => [kind, outcome, code, says, tookMs]),
    ).toEqual([
      ['delivery', 'received', null, 'POST /status?key=•••, 17 bytes, sent again 2 ×', null],
      ['event', 'said', null, 'ringing', null],
      ['event', 'said', null, 'ended', null],
      ['submit', 'failed', 'timeout', 'too slow', 12],
      ['submit', 'ok', null, 'handed over', 12],
      ['note', 'note', null, 'differs', null],
    ])
  })

  it('shows its submissions, its steps with the next due time, and its records', async () => {
    const { steps, submissions, writeBacks } = await read()
    expect(steps).toMatchObject([
      {
        kind: 'write',
        state: 'waiting',
        code: 'vendor_down',
        attempts: 2,
        dueAt: '2026-10-10T12:01:00.000Z',
      },
    ])
    expect(submissions).toMatchObject([
      { ref: 'job-1', expects: ['transcript', 'analysis'], parts: [{ via: 'poll' }, { via: 'poll' }] },
    ])
    expect(writeBacks).toMatchObject([
      {
        target: {
          type: 'contact',
          id: '42',
          reason: 'same number',
          url: 'https://crm.example.com/contact/42',
        },
        candidates: [{ id: '42' }],
        parts: [{ part: 'call', externalId: '900', fields: { hs_call_body: 12 } }],
      },
    ])
  })

  it('holds the analysis as received only when that is asked for', async () => {
    expect((await read()).analysis).toEqual({ summary: 'A question' })
    expect((await read('?raw=true')).analysis).toEqual({ summary: 'A question', raw: { vendor: 'words' } })
  })

  it('is what a joined call answers with, over several joins', async () => {
    for (const joinedId of [joined.id, 'call_Z']) {
      const { status, body } = await world.get<Detail>(`/v1/calls/${joinedId}`)
      expect([status, body.id]).toEqual([200, call.id])
      expect(body.joined).toEqual([joined.id, 'call_Z'])
    }
  })

  it('does not follow a circle for ever', async () => {
    await world.calls(
      callRow({ id: 'call_a', joined_into: 'call_b' }),
      callRow({ id: 'call_b', joined_into: 'call_a' }),
    )
    expect((await world.get('/v1/calls/call_a')).status).toBe(404)
  })

  it('shows the newest when very much happened', async () => {
    const { db } = world.store
    await world.insert(
      ...Array.from({ length: 600 }, (_, n) =>
        db.insertInto('attempts').values(attemptRow({ call_id: call.id, at: NOW + n })),
      ),
    )
    const body = await read()
    expect(body.timeline.length).toBeLessThanOrEqual(503)
    expect(body).toMatchObject({ timelineTruncated: true })
    expect(body.timeline.at(-1)).toMatchObject({ at: new Date(NOW + 599).toISOString() })
  })

  it('costs a fixed number of queries, and a page of a list one', async () => {
    let queries = 0
    const counted = world.store.db.withPlugin({
      transformQuery: ({ node }) => {
        queries += 1
        return node
      },
      transformResult: async ({ result }) => result,
    })
    await using counting = await openWorld({ store: { ...world.store, db: counted } })
    const count = async (path: string) => {
      queries = 0
      expect((await counting.get(path)).status).toBe(200)
      return queries
    }
    expect(await count('/v1/calls')).toBe(1)
    expect(await count('/v1/deliveries')).toBe(1)
    expect(await count('/v1/issues')).toBe(1)
    expect(await count('/v1/connections')).toBe(4)
    expect(await count(`/v1/calls/${call.id}`)).toBe(7)
  })

  it('tells which way it goes, and what a rerun would do, without doing it', async () => {
    const flow = await world.get<Record<string, unknown>>(`/v1/calls/${call.id}/flow`)
    expect(flow.status).toBe(200)
    expect(flow.body).toMatchObject({ flows: expect.any(Array), forbidden: null, write: expect.any(Array) })
    const dry = await world.post(`/v1/calls/${call.id}/rerun`, { from: 'match', dryRun: true })
    expect([dry.status, dry.body]).toEqual([200, { steps: 1, paidBefore: [] }])
    const audit = await world.get<{ items: unknown[] }>('/v1/audit', 'admin')
    expect(audit.body.items).toEqual([])
  })

  it('is run again by an operator, which leaves an audit row', async () => {
    const { status, body } = await world.post(`/v1/calls/${call.id}/rerun`, { from: 'match' })
    expect([status, body]).toEqual([202, { steps: 1, paidBefore: [] }])
    const audit = await world.get<{ items: Record<string, string>[] }>('/v1/audit', 'admin')
    expect(audit.body.items).toMatchObject([
      { action: 'rerun', subject: call.id, actor: expect.stringMatching(/^operator#[0-9a-f]{8}$/) },
    ])
  })
})
