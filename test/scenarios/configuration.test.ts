import { expect, test } from 'vitest'
import { GENERIC, sandboxVendors } from './company.ts'
import { genericWebhook } from './generic.ts'
import { type Installation, install, sampleCall } from './installation.ts'

// The operator changes the configuration while work is under way. Steps whose connection or flow is gone wait, saying
// so, and go on when it is back; nothing is dropped and nothing is tried in vain.

const ENDED = {
  key: 'c:ended',
  callId: 'c',
  phase: 'ended',
  facts: { direction: 'inbound', from: '+33639980001', result: 'busy' },
}
const VENDORS = { vendors: { ...GENERIC, ...sandboxVendors('xosum', 'hubspot') } }
const parked = (it: Installation) =>
  it.store.db.selectFrom('steps').select(['kind', 'code', 'attempts']).where('state', '=', 'parked').execute()
const without = (it: Installation, id: string) => {
  const connections = new Map(it.deps.config.connections)
  connections.delete(id)
  it.deps.config = { ...it.deps.config, connections }
}

test('a CRM that is removed parks its steps with that reason; when it is back they go on', async () => {
  await using it = await install(VENDORS)
  await it.send('pbx', genericWebhook([ENDED]))
  without(it, 'sandbox-hubspot')
  await it.settle()
  expect(await parked(it)).toEqual([{ kind: 'match', code: 'connection_gone', attempts: 0 }])
  expect(await it.calls()).toEqual([
    ['attention', expect.stringMatching(/^connection_gone: .*sandbox-hubspot/)],
  ])
  await it.pass(3_600_000)
  expect(
    await it.store.db.selectFrom('attempts').select('id').where('outcome', '=', 'parked').execute(),
  ).toHaveLength(1)
  await it.restart()
  await it.settle()
  expect([await it.calls(), it.crm('call')]).toEqual([[['done', null]], 1])
  expect(await it.store.db.selectFrom('issues').select('state').execute()).toEqual([{ state: 'resolved' }])
})

test('a phone system that is removed before its recording was fetched', async () => {
  await using it = await install()
  for (const webhook of it.place('sandbox-twilio', await sampleCall(it.now())))
    await it.send('sandbox-twilio', webhook)
  it.fail('sandbox-xosum', { fault: { kind: 'status', status: 503 } })
  await it.work()
  without(it, 'sandbox-twilio')
  await it.settle(600_000)
  expect(await parked(it)).toMatchObject([{ kind: 'submit', code: 'connection_gone' }])
  const lines = await it.store.db
    .selectFrom('attempts')
    .select('id')
    .where('outcome', '=', 'parked')
    .execute()
  expect(lines).toHaveLength(1)
  await it.restart()
  await it.settle()
  expect([await it.calls(), it.crm('note')]).toEqual([[['done', null]], 1])
})

test('deliveries of a connection that was removed since wait for it', async () => {
  await using it = await install(VENDORS)
  await it.send('pbx', genericWebhook([ENDED]))
  without(it, 'pbx')
  await it.settle()
  expect(await parked(it)).toEqual([{ kind: 'merge', code: 'connection_gone', attempts: 0 }])
  await it.restart()
  await it.settle()
  expect([await it.calls(), it.crm('call')]).toEqual([[['done', null]], 1])
})

test('a flow that is removed parks its steps, also a result that arrives for it, and nothing runs in vain', async () => {
  await using it = await install()
  await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.work()
  it.deps.config = {
    ...it.deps.config,
    flows: it.deps.config.flows.filter((flow) => !flow.from.includes('sandbox-twilio')),
  }
  await it.settle()
  expect((await parked(it)).map((step) => step.code)).toEqual(['flow_gone', 'flow_gone'])
  const executions = await it.store.db
    .selectFrom('attempts')
    .select('id')
    .where('code', '=', 'flow_gone')
    .execute()
  // The webhook’s and, minutes later, the poll’s.
  expect(executions).toHaveLength(2)
  await it.restart()
  await it.settle()
  expect([await it.calls(), it.crm('note'), it.held('sandbox-xosum', 'submission').length]).toEqual([
    [['done', null]],
    1,
    1,
  ])
})

test('calls and steps record the version of their flow', async () => {
  const flow = {
    name: 'f',
    from: ['pbx'],
    analyze: [],
    write: ['sandbox-hubspot'],
    unknownCaller: 'unmatched',
  }
  await using it = await install({ ...VENDORS, flows: [flow] })
  await it.send('pbx', genericWebhook([ENDED]))
  await it.settle()
  await it.restart({ flows: [{ ...flow, unknownCaller: 'create' }] })
  await it.send(
    'pbx',
    genericWebhook([{ key: 'c:more', callId: 'c', phase: 'amended', facts: { reference: 'r' } }]),
  )
  await it.settle()
  const steps = await it.store.db
    .selectFrom('steps')
    .select(['flow', 'flow_version', 'generation'])
    .where('kind', '=', 'write')
    .orderBy('generation')
    .execute()
  expect(steps.map((step) => step.flow)).toEqual(['f', 'f'])
  expect(steps[0]?.flow_version).not.toBe(steps[1]?.flow_version)
  const call = await it.store.db.selectFrom('calls').select('flow_version').executeTakeFirst()
  expect(call?.flow_version).toBe(steps[1]?.flow_version)
})

test('a flow whose condition fails parks the delivery, and a corrected configuration goes on with it', async () => {
  await using it = await install(VENDORS)
  const { flows } = it.deps.config
  it.deps.config = {
    ...it.deps.config,
    flows: flows.map((flow) => ({
      ...flow,
      when: () => {
        throw new TypeError('undefined is not a function')
      },
    })),
  }
  await it.send('pbx', genericWebhook([ENDED]))
  await it.settle()
  expect(await parked(it)).toMatchObject([{ kind: 'merge', code: 'config' }])
  await it.restart()
  await it.settle()
  expect([await it.calls(), it.crm('call')]).toEqual([[['done', null]], 1])
})

test('a CRM that refused our credentials and is removed then: its steps say that it is gone', async () => {
  await using it = await install(VENDORS)
  it.fail('sandbox-hubspot', { fault: { kind: 'status', status: 401 }, times: 9 })
  for (const id of ['c', 'd', 'e']) {
    await it.send('pbx', genericWebhook([{ ...ENDED, key: `${id}:ended`, callId: id }]))
    await it.work()
  }
  without(it, 'sandbox-hubspot')
  await it.settle()
  expect((await parked(it)).map((step) => step.code).sort()).toEqual([
    'auth',
    'connection_gone',
    'connection_gone',
  ])
})

test('credentials that are good for the check and bad for the work do not fill the timeline', async () => {
  await using it = await install(VENDORS)
  it.fail('sandbox-hubspot', { path: '/search', fault: { kind: 'status', status: 401 }, times: 1_000 })
  await it.send('pbx', genericWebhook([ENDED]))
  await it.pass(3_600_000)
  expect(it.wire.sent('sandbox-hubspot').filter((line) => line.endsWith('/search')).length).toBeGreaterThan(
    20,
  )
  const lines = await it.store.db.selectFrom('attempts').select('id').where('code', '=', 'auth').execute()
  expect(lines).toHaveLength(1)
})
