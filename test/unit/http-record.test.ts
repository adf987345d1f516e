import { describe, expect, it } from 'vitest'
import { callRow, id, NOW, openWorld, type World } from './http-world.ts'

// POST /v1/calls/{id}/record: a person says whose call it is. What becomes of it at the CRM is told in
// test/scenarios/chosen.test.ts.

const CHOSEN = { connection: 'crm', type: 'contact', id: '51' }
const post = (world: World, callId: string, body: unknown = CHOSEN, as: 'viewer' | 'operator' = 'operator') =>
  world.post<Record<string, unknown>>(`/v1/calls/${callId}/record`, body, as)
const writebacks = ({ store }: World) => store.db.selectFrom('writebacks').selectAll().execute()
const steps = async ({ store }: World) =>
  (await store.db.selectFrom('steps').select(['kind', 'subject', 'connection']).execute()).map(Object.values)

async function withCall(world: World, row: Parameters<typeof callRow>[0] = {}): Promise<string> {
  const call = callRow(row)
  await world.calls(call)
  return call.id
}

describe('the record of a call', () => {
  it('is chosen by an operator: kept, planned, and told with who it was', async () => {
    await using world = await openWorld()
    const call = await withCall(world)
    expect(await post(world, call)).toEqual({ status: 202, body: { steps: 1 } })
    expect(await writebacks(world)).toMatchObject([
      {
        call_id: call,
        connection: 'crm',
        target_type: 'contact',
        target_id: '51',
        target_reason: 'chosen by a person',
        chosen: 1,
        state: 'matched',
        matched_at: NOW,
      },
    ])
    expect(await steps(world)).toEqual([['match', call, 'crm']])
    const audit = await world.store.db.selectFrom('audit').selectAll().orderBy('id').execute()
    expect(audit.map(({ action, subject, detail }) => [action, subject, detail])).toEqual(
      expect.arrayContaining([
        ['choose', call, 'crm: contact/51'],
        ['rerun', call, 'from match'],
      ]),
    )
    expect(audit.every(({ actor }) => /^operator#[0-9a-f]{8}$/.test(actor))).toBe(true)
    const { body } = await world.get<{ writeBacks: unknown[] }>(`/v1/calls/${call}`)
    expect(body.writeBacks).toMatchObject([
      { connection: 'crm', target: { type: 'contact', id: '51' }, reason: 'chosen by a person' },
    ])
  })

  it.each(['.', '..', '51\n52', ''])('is none with the id %j, which leads elsewhere', async (target) => {
    await using world = await openWorld()
    const call = await withCall(world)
    expect(await post(world, call, { ...CHOSEN, id: target })).toMatchObject({ status: 400 })
    expect(await writebacks(world)).toEqual([])
  })

  it('is chosen anew: the later choice stands, and what was a candidate stays to be seen', async () => {
    await using world = await openWorld()
    const call = await withCall(world)
    const known = { id: id('wbk', 0), call_id: call, connection: 'crm', state: 'undecided' as const }
    const rest = { target_type: null, target_id: null, target_reason: 'two fit alike', chosen: 0 }
    const candidates = JSON.stringify([{ type: 'contact', id: '51', reason: 'same number' }])
    const values = { ...known, ...rest, candidates, matched_at: NOW - 1_000, written_at: null }
    await world.insert(world.store.db.insertInto('writebacks').values(values))
    await post(world, call)
    await post(world, call, { ...CHOSEN, type: 'company', id: '77' })
    expect(await writebacks(world)).toMatchObject([
      { id: known.id, target_type: 'company', target_id: '77', chosen: 1, state: 'matched', candidates },
    ])
  })

  it('is not for a viewer', async () => {
    await using world = await openWorld()
    const call = await withCall(world)
    expect(await post(world, call, CHOSEN, 'viewer')).toMatchObject({
      status: 403,
      body: { code: 'role_missing' },
    })
    expect(await writebacks(world)).toEqual([])
  })

  it('of a call that nobody knows is 404', async () => {
    await using world = await openWorld()
    expect(await post(world, id('call'))).toMatchObject({ status: 404, body: { code: 'unknown_object' } })
    expect((await post(world, 'call_x')).status).toBe(404)
  })

  it.each([
    ['no connection', { ...CHOSEN, connection: 'nowhere' }, /nowhere is no CRM connection/],
    ['a phone system', { ...CHOSEN, connection: 'support' }, /support is no CRM connection/],
    ['no id', { ...CHOSEN, id: '' }, /id/],
    ['no type', { connection: 'crm', id: '51' }, /type/],
    ['one key more', { ...CHOSEN, chosen: 1 }, /chosen/],
    ['a long id', { ...CHOSEN, id: 'x'.repeat(257) }, /id/],
    ['no JSON object', [], /./],
  ])('in %s is 400, and nothing is kept', async (_, body, says) => {
    await using world = await openWorld()
    const call = await withCall(world)
    const answer = await post(world, call, body)
    expect(answer.status).toBe(400)
    expect(JSON.stringify(answer.body)).toMatch(says)
    expect([await writebacks(world), await steps(world)]).toEqual([[], []])
    expect(await world.store.db.selectFrom('audit').selectAll().execute()).toEqual([])
  })

  it('in a CRM that its flow does not write to is 400, and nothing is kept', async () => {
    await using world = await openWorld()
    const [flow] = world.deps.config.flows
    if (!flow) expect.fail('no flow')
    await using bare = await openWorld({ config: { ...world.deps.config, flows: [{ ...flow, write: [] }] } })
    const call = await withCall(bare)
    expect(await post(bare, call)).toMatchObject({
      status: 400,
      body: { detail: expect.stringContaining('The flow main of this call does not write to crm') },
    })
    expect(await writebacks(bare)).toEqual([])
  })

  it('of a call whose flow is gone is refused, and nothing is kept', async () => {
    await using world = await openWorld()
    await using bare = await openWorld({ config: { ...world.deps.config, flows: [] } })
    const call = await withCall(bare)
    expect((await post(bare, call)).body).toMatchObject({ code: 'flow_gone' })
    expect(await writebacks(bare)).toEqual([])
  })

  it('of a call that was joined into an older one is the older one’s', async () => {
    await using world = await openWorld()
    const older = await withCall(world, { started_at: NOW - 60_000 })
    const younger = await withCall(world, { joined_into: older })
    expect((await post(world, younger)).status).toBe(202)
    expect((await writebacks(world)).map((row) => row.call_id)).toEqual([older])
    expect(await steps(world)).toEqual([['match', older, 'crm']])
  })

  it.each(['open', 'waiting'] as const)('of a call that is %s is kept until it is written', async (state) => {
    await using world = await openWorld()
    const call = await withCall(world, { state })
    expect(await post(world, call)).toEqual({ status: 202, body: { steps: 0 } })
    expect((await writebacks(world)).map((row) => row.target_id)).toEqual(['51'])
    expect(await steps(world)).toEqual([])
    const row = await world.store.db.selectFrom('calls').select('state').executeTakeFirstOrThrow()
    expect(row.state).toBe(state)
  })
})
