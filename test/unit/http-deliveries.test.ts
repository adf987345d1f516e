import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { shownBody } from '../../src/http/delivery-bytes.ts'
import { deliveryRow, id, NOW, openWorld, SECRET, stepRow, type World } from './http-world.ts'

type Page = { items: { id: string; path: string }[]; next: string | null }
const bytes = (text: string) => new TextEncoder().encode(text)

describe('the list of deliveries', () => {
  let world: World
  const rows = {
    oldest: deliveryRow({ received_at: NOW - 4000 }),
    unreadable: deliveryRow({ received_at: NOW - 3000, state: 'unreadable', reason: 'no JSON' }),
    scribe: deliveryRow({ received_at: NOW - 2000, connection: 'scribe', role: 'analysis', path: '/done' }),
    newest: deliveryRow({ received_at: NOW - 1000, state: 'new' }),
  }
  beforeAll(async () => {
    world = await openWorld()
    await world.deliveries(...Object.values(rows))
  })
  afterAll(async () => {
    await world[Symbol.asyncDispose]()
  })

  const filters: [string, (keyof typeof rows)[]][] = [
    ['', ['newest', 'scribe', 'unreadable', 'oldest']],
    ['connection=scribe', ['scribe']],
    ['state=unreadable', ['unreadable']],
    [`since=${new Date(NOW - 2000).toISOString()}`, ['newest', 'scribe']],
    ['since=2026-10-11', []],
    ['connection=support&state=new', ['newest']],
  ]
  for (const [query, expected] of filters) {
    it(`answers ${query === '' ? 'all' : query}`, async () => {
      const { body } = await world.get<Page>(`/v1/deliveries?${query}`)
      expect(body.items.map((item) => item.id)).toEqual(expected.map((name) => rows[name].id))
    })
  }

  it('covers secrets in paths', async () => {
    const { body } = await world.get<Page>('/v1/deliveries')
    expect(body.items.at(-1)?.path).toBe('/status?key=•••')
    expect(JSON.stringify(body)).not.toContain(SECRET)
  })

  it('is paged without gaps or repeats while deliveries arrive', async () => {
    const seen: string[] = []
    let cursor: string | null = null
    do {
      const page: Page = (
        await world.get<Page>(`/v1/deliveries?limit=1${cursor === null ? '' : `&cursor=${cursor}`}`)
      ).body
      seen.push(...page.items.map((item) => item.id))
      cursor = page.next
      await world.deliveries(deliveryRow({ received_at: NOW + seen.length, connection: 'later' }))
    } while (cursor !== null)
    expect(seen).toEqual([rows.newest, rows.scribe, rows.unreadable, rows.oldest].map((row) => row.id))
  })
})

it('looks at so many deliveries a page for a state that no index leads to, and goes on with the next', async () => {
  await using world = await openWorld()
  const others = Array.from({ length: 25_000 }, (_, n) =>
    deliveryRow({ received_at: NOW - n, state: 'used' }),
  )
  const one = deliveryRow({ received_at: NOW - 30_000, state: 'new' })
  for (let at = 0; at < others.length; at += 5_000) await world.deliveries(...others.slice(at, at + 5_000))
  await world.deliveries(one)
  const pages: string[][] = []
  let cursor = ''
  do {
    const { body } = await world.get<Page>(`/v1/deliveries?state=new${cursor && `&cursor=${cursor}`}`)
    pages.push(body.items.map((item) => item.id))
    cursor = body.next ?? ''
  } while (cursor !== '')
  expect(pages).toEqual([[], [], [one.id]])
})

describe('one delivery', () => {
  interface Detail {
    url: string | null
    headers: [string, string][] | null
    body: { encoding: string; content: string; truncated: boolean } | null
    withheld: string | null
    steps: Record<string, unknown>[]
  }
  async function show(world: World, row: Parameters<typeof deliveryRow>[0]): Promise<Detail> {
    const delivery = deliveryRow(row)
    await world.deliveries(delivery)
    const { status, body } = await world.get<Detail>(`/v1/deliveries/${delivery.id}`, 'operator')
    expect(status).toBe(200)
    return body
  }
  const headers = bytes(
    JSON.stringify([
      ['content-type', 'application/json'],
      ['authorization', 'Bearer eyJhbGciOi'],
      ['cookie', 'sid=abc'],
      ['x-hook-token', SECRET],
      ['x-signature', 'v1=deadbeef'],
    ]),
  )

  it('is shown as it came, with credentials and secrets covered and signatures left', async () => {
    await using world = await openWorld()
    const body = bytes(`{"token":"${SECRET}","b64":"${btoa(SECRET)}","text":"прывітанне"}`)
    const shown = await show(world, { headers, body })
    expect(shown.url).toBe('https://calls.example.com/hooks/support/status?key=•••')
    expect(shown.headers).toEqual([
      ['content-type', 'application/json'],
      ['authorization', 'Bearer •••'],
      ['cookie', '•••'],
      ['x-hook-token', '•••'],
      ['x-signature', 'v1=deadbeef'],
    ])
    expect(shown.body).toEqual({
      encoding: 'text',
      content: '{"token":"•••","b64":"•••","text":"прывітанне"}',
      truncated: false,
    })
    expect(shown.withheld).toBeNull()
  })

  it('is base64 when it is no text, secrets covered there as well', async () => {
    await using world = await openWorld()
    const body = new Uint8Array([0, 255, 254, ...bytes(SECRET), 0])
    const shown = await show(world, { body })
    expect(shown.body?.encoding).toBe('base64')
    const decoded = atob(shown.body?.content ?? '')
    expect(decoded).not.toContain(SECRET)
    expect([...decoded].map((char) => char.charCodeAt(0))).toEqual([0, 255, 254, 42, 42, 42, 0])
  })

  it('is read from the media store when it is large, up to a megabyte', async () => {
    await using world = await openWorld()
    world.media.set('big', bytes('ü'.repeat(600_000)))
    const shown = await show(world, { body: null, media_id: 'big' })
    expect(shown.body?.truncated).toBe(true)
    expect(shown.body?.content).toMatch(/^ü+$/)
    expect((await show(world, { body: null, media_id: 'erased' })).body).toBeNull()
  })

  it('shows no part of a secret that the cut divides', async () => {
    const text = `${'x'.repeat(1024 * 1024 - 10)}${SECRET}`
    const media = {
      get: async () => null,
      put: async () => ({ bytes: 0 }),
      delete: async () => {},
      check: async () => {},
    }
    for (const body of [bytes(text), new Uint8Array([255, ...bytes(text)])]) {
      const shown = await shownBody({ body, media_id: null }, media, [SECRET])
      const plain = shown?.encoding === 'base64' ? atob(shown.content) : shown?.content
      expect(plain).not.toContain(SECRET.slice(0, 5))
    }
  })

  it('is withheld when its connection is gone, because nothing could be covered', async () => {
    await using world = await openWorld()
    const shown = await show(world, { connection: 'removed', headers, body: bytes(SECRET) })
    expect(shown).toMatchObject({ url: null, headers: null, body: null, path: '' })
    expect(shown.withheld).toContain('not in the configuration')
    expect(JSON.stringify(shown)).not.toContain(SECRET)
  })

  it('names the steps that read it', async () => {
    await using world = await openWorld()
    const subject = id('dlv')
    await world.insert(
      world.store.db
        .insertInto('steps')
        .values(
          stepRow({ kind: 'merge', subject, call_id: 'call_1', state: 'dead', code: 'invalid_payload' }),
        ),
    )
    const shown = await show(world, { id: subject })
    expect(shown.steps).toMatchObject([
      { kind: 'merge', callId: 'call_1', state: 'dead', code: 'invalid_payload' },
    ])
  })
})

describe('replay', () => {
  const audited = async (world: World) =>
    (await world.get<{ items: Record<string, string>[] }>('/v1/audit', 'admin')).body.items

  it('puts one delivery through again and leaves an audit row', async () => {
    await using world = await openWorld()
    const delivery = deliveryRow({ state: 'unreadable' })
    await world.deliveries(delivery)
    const { status, body } = await world.post(`/v1/deliveries/${delivery.id}/replay`)
    expect([status, body]).toEqual([202, { matched: 1, replayed: 1, sample: [delivery.id] }])
    expect(await audited(world)).toMatchObject([{ action: 'replay', subject: delivery.id }])
  })

  it('of many counts first when asked, and then changes nothing', async () => {
    await using world = await openWorld()
    await world.deliveries(
      deliveryRow({ state: 'unreadable' }),
      deliveryRow({ state: 'unreadable' }),
      deliveryRow(),
    )
    const dry = await world.post('/v1/deliveries/replay', { state: 'unreadable', dryRun: true })
    expect([dry.status, dry.body]).toMatchObject([200, { matched: 2, replayed: 0 }])
    expect(await audited(world)).toEqual([])
    const real = await world.post('/v1/deliveries/replay', { state: 'unreadable', since: '2026-10-01' })
    expect([real.status, real.body]).toMatchObject([202, { matched: 2, replayed: 2 }])
    expect(await audited(world)).toHaveLength(1)
  })

  it('of very many goes on by itself: it can be looked at and stopped', async () => {
    await using world = await openWorld()
    const { db } = world.store
    const rows = Array.from({ length: 1_200 }, () => deliveryRow({ received_at: NOW - 60_000 }))
    await world.deliveries(...rows)
    const { body } = await world.post<{ replay: string }>('/v1/deliveries/replay', {
      connection: 'support',
      since: new Date(NOW - 3_600_000).toISOString(),
    })
    expect(body).toMatchObject({ matched: 1_200, replayed: 1_000, replay: expect.stringMatching(/^rpl_/) })
    const shown = {
      id: body.replay,
      filter: { connection: 'support', state: null, since: new Date(NOW - 3_600_000).toISOString() },
      actor: expect.stringContaining('operator'),
      startedAt: new Date(NOW).toISOString(),
      matched: 1_200,
      replayed: 1_000,
    }
    expect((await world.get('/v1/replays')).body).toEqual({ items: [shown] })
    const stop = `/v1/replays/${body.replay}/stop`
    expect(await world.post(stop)).toEqual({ status: 200, body: shown })
    expect((await world.post(stop)).status).toBe(404)
    expect((await world.get('/v1/replays')).body).toEqual({ items: [] })
    expect((await audited(world)).map(({ action }) => action).sort()).toEqual(['replay', 'stop replay'])
    const steps = await db.selectFrom('steps').select('id').execute()
    expect(steps).toHaveLength(1_000)
  })

  it('of everything is refused: a filter left out is a mistake', async () => {
    await using world = await openWorld()
    await world.deliveries(deliveryRow())
    for (const body of [{}, { dryRun: false }, { conection: 'support' }]) {
      expect((await world.post('/v1/deliveries/replay', body)).status).toBe(400)
    }
    expect(await audited(world)).toEqual([])
  })
})
