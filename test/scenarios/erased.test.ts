import { expect, test } from 'vitest'
import { CordboardError } from '../../src/errors.ts'
import { newIds } from '../../src/pipeline/audio-file.ts'
import { startBackfill } from '../../src/pipeline/backfill.ts'
import { eraseWhole } from '../../src/pipeline/erase-calls.ts'
import { takeIn } from '../../src/pipeline/intake.ts'
import { GENERIC, sandboxVendors, UPLOADS } from './company.ts'
import { DESK, DESK_SETTINGS, deskWebhook } from './desk-crm.ts'
import { genericWebhook } from './generic.ts'
import { type Installation, install, sampleCall } from './installation.ts'

// Somebody asked to be forgotten, and their calls were erased. Phone systems repeat their webhooks, their lists still have
// the call, a result is on its way: none of it brings anything back.

const PHONE = '+33639980001'
const OTHER = '+33639980002'
const XOSUM = 'sandbox-xosum'
const MINUTE_MS = 60_000

const open = () =>
  install({
    vendors: { ...GENERIC, desk: { use: DESK, settings: DESK_SETTINGS } },
    flows: [{ name: 'f', from: ['pbx', 'desk'], analyze: [], write: ['desk'] }],
  })

const said = (it: Installation, callId: string, key: string, more: Record<string, unknown> = {}) => ({
  key: `${callId}:${key}`,
  callId,
  phase: 'ended',
  facts: {
    direction: 'inbound',
    from: PHONE,
    startedAt: new Date(it.now() - MINUTE_MS).toISOString(),
    result: 'no_answer',
  },
  ...more,
})
async function tell(it: Installation, ...events: Record<string, unknown>[]): Promise<void> {
  await it.send('pbx', genericWebhook(events))
  await it.settle()
}
/** A call of Anne's, and Anne's wish. */
async function forgotten(it: Installation, callId: string): Promise<void> {
  const id = it.vendor('desk').addContact?.({ name: 'Anne', phone: PHONE }) ?? expect.fail('no contact')
  await tell(it, said(it, callId, 'ended'))
  await it.send('desk', deskWebhook({ changes: [{ change: 'erased', type: 'contact', id }] }))
  await it.settle()
  expect(await it.calls()).toEqual([])
}
const deliveries = (it: Installation) =>
  it.store.db.selectFrom('deliveries').select(['state', 'reason']).orderBy('id').execute()
const held = async (it: Installation) =>
  (await it.store.db.selectFrom('call_keys').select('external_id').orderBy('external_id').execute()).map(
    (row) => row.external_id,
  )
const erase = async (it: Installation) => {
  const ids = (await it.store.db.selectFrom('calls').select('id').execute()).map((row) => row.id)
  await eraseWhole(it.deps, ids)
}

test('a webhook that is sent again, and one more of the same call, make nothing', async () => {
  await using it = await open()
  await forgotten(it, 'c1')
  const written = it.held('desk', 'call').length
  await tell(it, said(it, 'c1', 'ended'))
  await tell(it, said(it, 'c1', 'recorded', { phase: 'recorded' }))
  const ignored = { state: 'ignored', reason: 'of a call that was erased: not taken again' }
  expect([await it.calls(), await held(it), await deliveries(it)]).toEqual([
    [],
    [],
    [{ state: 'used', reason: null }, ignored, ignored],
  ])
  expect(it.held('desk', 'call')).toHaveLength(written)
})

test('other calls of the same webhook are taken, and those of other connections with the same id', async () => {
  await using it = await open()
  await forgotten(it, 'c1')
  await tell(it, said(it, 'c1', 'ended'), said(it, 'c2', 'ended'))
  expect([await held(it), (await deliveries(it)).map((row) => row.state)]).toEqual([['c2'], ['used', 'used']])
  const ended = { id: 'c1', phone: OTHER, startedAt: new Date(it.now()).toISOString() }
  await it.send('desk', deskWebhook({ ended: [ended] }))
  await it.settle()
  expect(await held(it)).toEqual(['c1', 'c2'])
})

test('a further name of the conversation is forgotten with it', async () => {
  await using it = await open()
  await forgotten(it, 'c1')
  await tell(it, said(it, 'leg-2', 'ended', { alsoKnownAs: ['c1'] }))
  await tell(it, said(it, 'leg-2', 'recorded', { phase: 'recorded' }))
  expect([await it.calls(), await held(it)]).toEqual([[], []])
})

test('a call that is known stays when it turns out to belong to an erased one, and takes nothing of that', async () => {
  await using it = await open()
  await forgotten(it, 'c1')
  await tell(it, said(it, 'c2', 'ended', { facts: { direction: 'inbound', from: OTHER, result: 'busy' } }))
  await tell(
    it,
    { key: 'link', callId: 'c2', alsoKnownAs: ['c1'], phase: 'amended', facts: { reference: 'r' } },
    said(it, 'c1', 'late'),
  )
  await tell(it, said(it, 'c1', 'later'))
  expect(await held(it)).toEqual(['c2'])
  const [row] = await it.store.db.selectFrom('calls').select('call').execute()
  expect([row?.call.includes(PHONE), row?.call.includes('"reference":"r"')]).toEqual([false, true])
})

test('what is kept of it is no name: phone systems put numbers into theirs', async () => {
  await using it = await open()
  await forgotten(it, `${PHONE}-20261120`)
  const kept = await it.store.db.selectFrom('erased').selectAll().execute()
  expect(kept.map((row) => row.hash)).toEqual([expect.stringMatching(/^[\da-f]{64}$/)])
  // The same name in another installation is another hash: no table of all numbers helps.
  await using another = await open()
  await forgotten(another, `${PHONE}-20261120`)
  const there = await another.store.db.selectFrom('erased').selectAll().execute()
  expect(there[0]?.hash).not.toBe(kept[0]?.hash)
})

test('the vendor’s list brings it back neither by itself nor by a backfill, and no delivery of it is stored', async () => {
  await using it = await install({
    vendors: sandboxVendors('twilio', 'xosum', 'hubspot'),
    settings: { 'sandbox-twilio': { reconcile: { every: '15 minutes', over: '24 hours' } } },
  })
  await it.play('sandbox-twilio', await sampleCall(it.now(), { customerPhone: PHONE }))
  await it.settle()
  expect(it.crm('call')).toBe(1)
  await erase(it)
  const before = (await deliveries(it)).length
  await it.pass(40 * MINUTE_MS)
  const connection = it.deps.config.connections.get('sandbox-twilio') ?? expect.fail('no such connection')
  await startBackfill(it.deps, connection, { since: it.now() - 86_400_000, until: undefined }, { actor: 'x' })
  await it.settle()
  expect([await it.calls(), it.crm('call')]).toEqual([[], 1])
  expect(await deliveries(it)).toHaveLength(before)
  const lists = await it.store.db
    .selectFrom('settings')
    .select('value')
    .where('name', 'like', 'listing bfl%')
    .execute()
  expect(lists.map(({ value }) => JSON.parse(value).counts)).toEqual([
    { listed: 1, new: 0, known: 1, events: 0 },
  ])
})

test('the deliveries of its results go as well, and a result that comes later is not kept waiting', async () => {
  await using it = await install({
    vendors: sandboxVendors('twilio', 'xosum', 'hubspot'),
    flows: [{ name: 'f', from: ['sandbox-twilio'], analyze: [XOSUM], write: ['sandbox-hubspot'] }],
  })
  await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.settle()
  const { ref } = await it.store.db.selectFrom('submissions').select('ref').executeTakeFirstOrThrow()
  const roles = () =>
    it.store.db.selectFrom('deliveries').select('role').where('role', '=', 'analysis').execute()
  expect(await roles()).not.toEqual([])
  await erase(it)
  expect(await roles()).toEqual([])
  const late = {
    secret: 'sandbox-xosum-webhook-secret',
    metadata: {},
    event_type: 'transcript_ready',
    docId: ref,
  }
  const url = `https://hooks.example.com/hooks/${XOSUM}`
  const headers = { 'content-type': 'application/json' }
  const body = JSON.stringify({ ...late, transcription: 'Խոսնակ 1: one', title: 't', resolution: 'r' })
  expect((await it.receive(new Request(url, { method: 'POST', headers, body }))).status).toBe(200)
  await it.settle()
  expect((await deliveries(it)).filter(({ reason }) => reason !== null)).toEqual([
    { state: 'ignored', reason: 'of a call that was erased: not taken' },
  ])
  expect(await it.store.db.selectFrom('issues').select('code').execute()).toEqual([])
})

test('whoever hands it in again under its id is told', async () => {
  await using it = await install({
    vendors: { ...UPLOADS, ...sandboxVendors('hubspot') },
    flows: [{ name: 'f', from: ['uploads'], analyze: [], write: ['sandbox-hubspot'] }],
  })
  const connection = it.deps.config.connections.get('uploads') ?? expect.fail('no such connection')
  const hand = (externalId: string) => {
    const call = { externalId, direction: 'inbound' as const, from: PHONE }
    const stored = { kind: 'call' as const, by: 'test', call }
    const ids = newIds(it.deps, connection.id)
    const handed = { ...ids, connection, path: '/v1/calls', idempotencyKey: undefined, externalId }
    return takeIn(it.deps, { ...handed, sent: { call }, stored })
  }
  await hand('order-1')
  await it.settle()
  await erase(it)
  await expect(hand('order-1')).rejects.toEqual(expect.any(CordboardError))
  await expect(hand('order-1')).rejects.toMatchObject({ code: 'conflict' })
  await hand('order-2')
  await it.settle()
  expect((await it.calls()).length).toBe(1)
})

test('what is heard of it while it is being erased goes with it', async () => {
  await using it = await open()
  await tell(it, said(it, 'c1', 'ended'))
  const { media } = it.deps
  let isFirst = true
  const deps = {
    ...it.deps,
    media: {
      ...media,
      delete: async (ids: readonly string[]) => {
        // Between what was read of the call and the commit.
        if (isFirst) {
          isFirst = false
          await tell(it, said(it, 'c1', 'more', { alsoKnownAs: ['leg-2'] }))
        }
        return media.delete(ids)
      },
    },
  }
  const ids = (await it.store.db.selectFrom('calls').select('id').execute()).map((row) => row.id)
  await eraseWhole(deps, ids)
  expect([await it.calls(), await held(it), await deliveries(it)]).toEqual([[], [], []])
  await tell(it, said(it, 'leg-2', 'ended'))
  expect(await it.calls()).toEqual([])
})

test('who is told of as deleted first, and as erased afterwards, is forgotten as well', async () => {
  for (const unknownCaller of ['skip', 'create']) {
    await using it = await install({
      vendors: { ...GENERIC, desk: { use: DESK, settings: DESK_SETTINGS } },
      flows: [{ name: 'f', from: ['pbx', 'desk'], analyze: [], write: ['desk'], unknownCaller }],
    })
    if (unknownCaller === 'skip') it.vendor('desk').addContact?.({ name: 'Anne', phone: PHONE })
    const other = it.vendor('desk').addContact?.({ name: 'Bruno', phone: OTHER }) ?? expect.fail('no contact')
    await tell(it, said(it, 'c1', 'ended'))
    await tell(it, said(it, 'c2', 'ended', { facts: { direction: 'inbound', from: OTHER, result: 'busy' } }))
    const { target_id: id } = await it.store.db
      .selectFrom('writebacks')
      .select('target_id')
      .where('target_id', '!=', other)
      .executeTakeFirstOrThrow()
    for (const change of ['deleted', 'erased'] as const) {
      await it.send('desk', deskWebhook({ changes: [{ change, type: 'contact', id: id ?? '' }] }))
      await it.settle()
    }
    expect(await held(it)).toEqual(['c2'])
  }
})
