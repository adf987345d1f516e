import { expect, test } from 'vitest'
import { replayDeliveries } from '../../src/pipeline/replay.ts'
import { GENERIC, sandboxVendors } from './company.ts'
import { genericWebhook } from './generic.ts'
import { install, sampleCall } from './installation.ts'

// A call ends before its recording is there. It waits, for as long as makes sense, and is written with its own facts
// when nothing comes; what nobody answered has nothing to wait for.

const VENDORS = { ...GENERIC, ...sandboxVendors('xosum', 'hubspot') }
const ended = (id: string, facts: Record<string, unknown>) => ({
  key: `${id}:ended`,
  callId: id,
  phase: 'ended',
  facts: { direction: 'inbound', from: '+33639980001', startedAt: '2026-11-20T11:58:00.000Z', ...facts },
})

test('a recording that is announced and never comes: the wait ends, and the call is written with its own facts', async () => {
  await using it = await install({ vendors: VENDORS })
  await it.send('pbx', genericWebhook([ended('c', { result: 'answered', recordingExpected: true })]))
  await it.pass(3_500_000)
  expect([await it.calls(), it.crm('call')]).toEqual([[['waiting', 'its recording is not there yet']], 0])
  await it.pass(200_000)
  expect([await it.calls(), it.crm('call'), it.crm('note')]).toEqual([[['done', null]], 1, 0])
})

test('a recording nobody spoke of is waited for two minutes; one that is announced meanwhile, for an hour', async () => {
  await using it = await install({ vendors: VENDORS })
  await it.send('pbx', genericWebhook([ended('c', { result: 'answered' })]))
  await it.work()
  it.advance(100_000)
  const pending = { key: 'r', state: 'pending' }
  await it.send(
    'pbx',
    genericWebhook([{ key: 'c:rec', callId: 'c', phase: 'recorded', facts: { recordings: [pending] } }]),
  )
  await it.pass(3_000_000)
  expect(await it.calls()).toEqual([['waiting', 'its recording is not there yet']])
  await it.pass(1_000_000)
  expect([await it.calls(), it.crm('call')]).toEqual([[['done', null]], 1])
})

test('a call nobody answered is written at once, without an analysis', async () => {
  await using it = await install()
  const call = await sampleCall(it.now(), { result: 'no_answer', talkMs: 0 })
  const { audio: _, ...missed } = call
  await it.play('sandbox-twilio', missed)
  await it.work()
  expect([await it.calls(), it.crm('call'), it.crm('note')]).toEqual([[['done', null]], 1, 0])
  expect(it.wire.sent('sandbox-xosum')).toEqual([])
})

test('a second recording announced after the call was written does not hold back what else was learned', async () => {
  await using it = await install({ vendors: VENDORS })
  await it.send('pbx', genericWebhook([ended('c', { result: 'answered', recordingExpected: false })]))
  await it.settle()
  const facts = { recordings: [{ key: 'r2', state: 'pending' }], reference: 'order-77' }
  await it.send('pbx', genericWebhook([{ key: 'c:amended', callId: 'c', phase: 'amended', facts }]))
  await it.work()
  expect(await it.calls()).toEqual([['done', null]])
  expect(it.held('sandbox-hubspot', 'call').map((one) => String(one.fields.hs_call_body))).toEqual([
    expect.stringContaining('order-77'),
  ])
})

test('a call that no flow takes is skipped with its reason, and a replay under another flow writes it', async () => {
  const flow = {
    name: 'f',
    from: ['pbx'],
    analyze: [],
    write: ['sandbox-hubspot'],
    unknownCaller: 'unmatched',
  }
  await using it = await install({ vendors: VENDORS, flows: [{ ...flow, when: { direction: 'outbound' } }] })
  await it.send('pbx', genericWebhook([ended('c', { result: 'busy' })]))
  await it.settle()
  expect(await it.calls()).toEqual([['skipped', 'no_flow: no flow of the configuration takes this call']])
  await it.restart({ flows: [flow] })
  await replayDeliveries(it.deps, {}, { actor: 'operator', dryRun: false })
  await it.settle()
  expect([await it.calls(), it.crm('call')]).toEqual([[['done', null]], 1])
})
