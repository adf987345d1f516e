import { readFile } from 'node:fs/promises'
import { describe, expect, it, vi } from 'vitest'
import { openApiYaml } from '../../scripts/generate-openapi.ts'
import { createSigner } from '../../src/node/signer.ts'
import { deliveryRow, id, issueRow, NOW, openWorld, SECRET, stepRow, type World } from './http-world.ts'

const HOUR = 3_600_000

/** A connection with everything that can be wrong with one. */
async function withTrouble(world: World): Promise<void> {
  const { db } = world.store
  const refusal = (code: string, hour: number, count: number) =>
    db.insertInto('refusals').values({
      connection: 'support',
      code,
      hour_at: NOW - hour * HOUR,
      count,
      last_at: NOW - hour * HOUR + 5000,
      sample: '{}',
    })
  await world.deliveries(deliveryRow({ received_at: NOW - 9000 }), deliveryRow({ received_at: NOW - 3000 }))
  await world.insert(
    refusal('webhook_signature', 1, 4),
    refusal('webhook_signature', 2, 3),
    refusal('too_large', 3, 1),
    refusal('webhook_signature', 30, 100),
    db.insertInto('steps').values(stepRow({ due_at: NOW - 90_000 })),
    db.insertInto('steps').values(stepRow({ due_at: NOW + 90_000 })),
    db.insertInto('steps').values(stepRow({ state: 'parked', code: 'auth' })),
    db
      .insertInto('steps')
      .values(stepRow({ state: 'dead', lane: 'core', kind: 'merge', connection: 'support' })),
    db.insertInto('steps').values(stepRow({ state: 'done' })),
    db.insertInto('breakers').values({
      connection: 'scribe',
      state: 'open',
      code: 'auth',
      says: 'refused',
      failures: 5,
      opened_at: NOW - 60_000,
      retry_at: NOW + 60_000,
    }),
    db.insertInto('issues').values(issueRow()),
  )
}

const sweptAgo = ({ store }: World, ms: number) =>
  store.db.insertInto('settings').values({ name: 'sweep', value: 'somebody', updated_at: NOW - ms })

describe('connections', () => {
  it('are shown with how they are doing and without a secret', async () => {
    await using world = await openWorld()
    await withTrouble(world)
    const { body } = await world.get<{ items: Record<string, unknown>[] }>('/v1/connections')
    expect(body.items).toMatchObject([
      {
        id: 'support',
        connector: 'pbx',
        roles: ['telephony'],
        webhooks: [{ role: 'telephony', scheme: 'token', reason: null }],
        warnings: [expect.stringContaining('a token and no signature')],
        hookUrl: 'https://calls.example.com/hooks/support',
        breaker: { state: 'closed' },
        lastDeliveryAt: new Date(NOW - 3000).toISOString(),
        refusals: { lastDay: 8, byCode: { webhook_signature: 7, too_large: 1 } },
        steps: { waiting: 0, working: 0, parked: 0, dead: 1 },
      },
      {
        id: 'scribe',
        warnings: ['analysis: anyone can send deliveries: the vendor signs nothing'],
        breaker: { state: 'open', code: 'auth', retryAt: new Date(NOW + 60_000).toISOString() },
        lastDeliveryAt: null,
        refusals: { lastDay: 0, byCode: {}, lastAt: null },
        steps: { waiting: 2, working: 0, parked: 1, dead: 0 },
      },
      { id: 'crm', roles: ['crm'], webhooks: [], hookUrl: null },
    ])
    expect(JSON.stringify(body)).not.toContain(SECRET)
  })

  it('warn when no public URL is configured', async () => {
    await using world = await openWorld()
    await using bare = await openWorld({ config: { ...world.deps.config, publicUrl: undefined } })
    const { body } = await bare.get<{ items: { warnings: string[]; hookUrl: null }[] }>('/v1/connections')
    expect(body.items[0]).toMatchObject({
      hookUrl: null,
      warnings: [expect.any(String), expect.stringContaining('publicUrl')],
    })
  })
})

describe('issues', () => {
  it('are listed by state and connection, and changed by an operator with an audit row', async () => {
    await using world = await openWorld()
    const { db } = world.store
    const older = issueRow({ first_at: NOW - 1000, code: 'quota', state: 'ignored' })
    const newer = issueRow({ connection: 'crm' })
    await world.insert(db.insertInto('issues').values(older), db.insertInto('issues').values(newer))
    const ids = async (query: string) =>
      (await world.get<{ items: { id: string }[] }>(`/v1/issues?${query}`)).body.items.map((item) => item.id)
    expect(await ids('')).toEqual([newer.id, older.id])
    expect(await ids('state=ignored')).toEqual([older.id])
    expect(await ids('connection=crm')).toEqual([newer.id])
    expect(await ids('connection=crm&state=ignored')).toEqual([])

    const changed = await world.post(`/v1/issues/${newer.id}`, { state: 'acknowledged' })
    expect([changed.status, changed.body]).toMatchObject([200, { id: newer.id, state: 'acknowledged' }])
    expect(await ids('state=acknowledged')).toEqual([newer.id])
    const { body } = await world.get<{ items: unknown[] }>('/v1/audit', 'admin')
    expect(body.items).toMatchObject([
      { action: 'issue', subject: newer.id, detail: 'open → acknowledged (submit, auth, crm)' },
    ])
    expect((await world.post(`/v1/issues/${newer.id}`, { state: 'resolved' })).status).toBe(400)
  })
})

describe('the audit', () => {
  it('is paged, newest first, and names no token', async () => {
    await using world = await openWorld()
    const { db } = world.store
    await world.insert(
      ...Array.from({ length: 5 }, (_, n) =>
        db.insertInto('audit').values({
          id: id('aud', NOW + n),
          at: NOW + n,
          actor: 'operator#0a1b2c3d',
          action: 'replay',
          subject: String(n),
          detail: '',
        }),
      ),
    )
    type Page = { items: { subject: string }[]; next: string | null }
    const first = (await world.get<Page>('/v1/audit?limit=3', 'admin')).body
    const second = (await world.get<Page>(`/v1/audit?limit=3&cursor=${first.next}`, 'admin')).body
    expect([...first.items, ...second.items].map((item) => item.subject)).toEqual(['4', '3', '2', '1', '0'])
    expect(second.next).toBeNull()
  })
})

describe('health', () => {
  it('is up while the process is', async () => {
    await using world = await openWorld()
    expect(await world.get('/healthz')).toEqual({ status: 200, body: { status: 'ok' } })
  })

  it('is ready with every part named and the hash of the configuration', async () => {
    await using world = await openWorld({ ready: async () => [{ part: 'redis', ok: true, says: '8.0' }] })
    const { status, body } = await world.get<{ parts: { part: string; ok: boolean }[] }>('/readyz')
    expect([status, body]).toMatchObject([200, { status: 'ready', config: 'confighash1' }])
    expect(body.parts.map((part) => part.part)).toEqual([
      'store',
      'migrations',
      'queue',
      'media',
      'work',
      'redis',
    ])
    expect(body.parts.every((part) => part.ok)).toBe(true)
  })

  it('is ready although nobody works, and says so: what comes in is still stored', async () => {
    await using world = await openWorld()
    const work = async () => {
      const { status, body } = await world.get<{ parts: { part: string; ok: boolean; says: string }[] }>(
        '/readyz',
      )
      const part = body.parts.find((one) => one.part === 'work')
      return [status, part?.ok, part?.says]
    }
    expect(await work()).toEqual([200, true, 'no worker has swept yet'])
    await world.insert(sweptAgo(world, 600_000))
    expect(await work()).toEqual([200, true, 'no worker has swept for 600 s'])
    const { db } = world.store
    await world.insert(
      db.updateTable('settings').set({ updated_at: NOW }).where('name', '=', 'sweep'),
      db.insertInto('steps').values(stepRow({ due_at: NOW - 90_000 })),
    )
    expect(await work()).toEqual([200, true, 'a worker sweeps, the oldest due step has waited 90 s'])
  })

  it('looks once for all who ask at the same time: a look writes, and anybody may ask', async () => {
    let looks = 0
    await using world = await openWorld()
    const check = async () => {
      looks += 1
      await world.store.check()
    }
    await using asked = await openWorld({ store: { ...world.store, check } })
    const answers = await Promise.all(Array.from({ length: 50 }, () => asked.send('/readyz', { as: null })))
    expect([new Set(answers.map(({ status }) => status)), looks]).toEqual([new Set([200]), 1])
    await asked.send('/readyz', { as: null })
    expect(looks).toBe(2)
  })

  it('is not ready, and says which part, when one does not work', async () => {
    await using world = await openWorld()
    const down = new Error('connect ECONNREFUSED 10.0.0.7:5432')
    await using broken = await openWorld({
      store: {
        ...world.store,
        check: async () => {
          throw down
        },
      },
      queue: { ...world.deps.queue, state: () => ({ ok: false, says: 'stopping', running: 0 }) },
    })
    const response = await broken.send('/readyz', { as: null })
    expect(response.status).toBe(503)
    expect(response.headers.get('retry-after')).toBe('5')
    expect(response.headers.get('content-type')).toBe('application/problem+json')
    const text = await response.text()
    expect(JSON.parse(text)).toMatchObject({ detail: 'Not ready: store, queue', config: 'confighash1' })
    expect(text).not.toContain('10.0.0.7')
    expect(broken.lines.filter((line) => line.level === 'warn')).toMatchObject([
      { fields: { part: 'store' } },
    ])
  })

  it('is not ready before the migrations ran', async () => {
    await using world = await openWorld()
    await world.insert(world.store.db.deleteFrom('migrations'))
    const { status, body } = await world.get<{ detail: string }>('/readyz')
    expect([status, body.detail]).toEqual([503, 'Not ready: migrations'])
  })
})

describe('metrics', () => {
  it('count what stands in the store beside what this process saw', async () => {
    await using world = await openWorld()
    await withTrouble(world)
    await world.insert(sweptAgo(world, 12_000))
    world.deps.metrics.count('cordboard_deliveries_total', { connection: 'support', outcome: 'accepted' })
    const quota = (name: string, left: number) => ({
      name: `quota:${name}`,
      value: JSON.stringify({ left, unit: 'call minutes' }),
      updated_at: NOW,
    })
    // The second connection is no longer configured.
    const { db } = world.deps.store
    await world.deps.store.atomic(
      [],
      [db.insertInto('settings').values([quota('scribe', 40), quota('gone', 1)])],
    )
    const response = await world.send('/metrics', { as: 'viewer' })
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
    const text = await response.text()
    for (const line of [
      'cordboard_deliveries_total{connection="support",outcome="accepted"} 1',
      'cordboard_steps{lane="scribe",state="waiting"} 2',
      'cordboard_steps{lane="scribe",state="parked"} 1',
      'cordboard_steps{lane="support",state="dead"} 1',
      'cordboard_oldest_waiting_seconds{lane="scribe"} 90',
      'cordboard_last_sweep_seconds 12',
      'cordboard_issues_open{code="auth",connection="scribe"} 1',
      'cordboard_breaker_open{connection="scribe"} 1',
      'cordboard_breaker_open{connection="support"} 0',
      'cordboard_refusals_last_day{connection="support",code="webhook_signature"} 7',
      'cordboard_quota_left{connection="scribe",unit="call minutes"} 40',
      'cordboard_steps_running 2',
    ]) {
      expect(text.split('\n')).toContain(line)
    }
    expect(text).not.toContain('gone')
    const shape = /^(?:# (?:HELP|TYPE) \w+ .+|\w+(?:\{\w+="[^"]*"(?:,\w+="[^"]*")*\})? -?[\d.e+]+|)$/
    expect(text.split('\n').filter((line) => !shape.test(line))).toEqual([])
    expect(text.endsWith('\n') && !text.endsWith('\n\n')).toBe(true)
  })
})

describe('the description of the API', () => {
  it('in the repository is what the routes say', async () => {
    const file = await readFile(new URL('../../openapi/cordboard.yaml', import.meta.url), 'utf8')
    expect(file === openApiYaml(), 'run: node scripts/generate-openapi.ts').toBe(true)
  })

  it('is written down once, however often it is asked for', async () => {
    await using world = await openWorld()
    const first = await world.send('/openapi.json', { as: null })
    const written = vi.spyOn(JSON, 'stringify')
    const second = await world.send('/openapi.json', { as: null })
    const times = written.mock.calls.length
    written.mockRestore()
    expect(times).toBe(0)
    expect(second.headers.get('content-type')).toBe(first.headers.get('content-type'))
    expect(await second.text()).toBe(await first.text())
  })

  it('describes every parameter', async () => {
    await using world = await openWorld()
    interface Operation {
      operationId: string
      parameters?: { name: string; description?: string; schema: { description?: string; enum?: string[] } }[]
    }
    const { body } = await world.get<{ paths: Record<string, Record<string, Operation>> }>('/openapi.json')
    const operations = Object.values(body.paths).flatMap((methods) => Object.values(methods))
    expect(new Set(operations.map((operation) => operation.operationId)).size).toBe(operations.length)
    const bare = operations.flatMap((operation) =>
      (operation.parameters ?? [])
        .filter(({ description, schema }) => !description && !schema.description && !schema.enum)
        .map(({ name }) => `${operation.operationId}.${name}`),
    )
    expect(bare).toEqual([])
  })

  it('is one page without a script, and nothing in it is loaded from elsewhere', async () => {
    await using world = await openWorld()
    const response = await world.send('/docs', { as: null })
    const text = await response.text()
    expect(response.headers.get('content-type')).toContain('text/html')
    expect(text).not.toMatch(/<script|<link|<img|<iframe|\son\w+=|javascript:|url\(|@import|style="/i)
    expect(text).not.toMatch(/(?:src|href)="(?!#|\/openapi\.json)/)
    const style = /<style>([\s\S]*)<\/style>/.exec(text)?.[1] ?? ''
    const hash = Buffer.from(await createSigner().digest('sha256', style)).toString('base64')
    const policy = response.headers.get('content-security-policy')
    expect(policy).toContain(`default-src 'none'; style-src 'sha256-${hash}'`)
    expect(policy).not.toContain('unsafe')
  })

  it('names every operation with its role, parameters, problems and a command to copy', async () => {
    await using world = await openWorld()
    const text = await (await world.send('/docs', { as: null })).text()
    for (const part of [
      'id="listCalls"',
      'Needs the role <b>operator</b>',
      '<code>role_missing</code>',
      'a phone number in any spelling',
      'curl &quot;https://calls.example.com/v1/calls&quot;',
      '-d &#39;{&quot;from&quot;:&quot;submit&quot;,&quot;dryRun&quot;:true}&#39;',
      'id="schema-CallDetail"',
      'href="#schema-Analysis"',
    ]) {
      expect(text).toContain(part)
    }
    const ids = [...text.matchAll(/ id="([^"]+)"/g)].map((match) => match[1])
    expect(new Set(ids).size).toBe(ids.length)
    const links = [...text.matchAll(/href="#([^"]+)"/g)].map((match) => match[1])
    expect(links.filter((link) => !ids.includes(link))).toEqual([])
  })
})
