import { expect, test } from 'vitest'
import { asked, both, CYBERDEV, chat, company, handedOver, ring } from './cyberdev.ts'
import type { Installation } from './installation.ts'

// One call at a time to a service whose results have no documented fields.

const notes = (it: Installation) =>
  it.held('sandbox-hubspot', 'note').map(({ fields }) => JSON.stringify(fields))
const states = async (it: Installation) => (await it.calls()).map(([state]) => state)

test('a recording goes from the phone system to the service and its result into the CRM', async () => {
  await using it = await company()
  await ring(it, 'c-1')
  await it.settle()
  expect([await it.calls(), asked(it)]).toEqual([[['done', null]], ['POST /api/v1/audio/upload']])
  expect(handedOver(it)).toMatchObject([
    {
      segment_type: 'sales',
      left_channel: 'client',
      right_channel: 'operator',
      operator_name: 'Alice Martin',
    },
  ])
  expect(notes(it)).toEqual([expect.stringContaining('invoice')])
})

test('a finished call waits while nobody has said where its result stands, and goes on after that', async () => {
  await using it = await company({ results: undefined })
  await ring(it, 'c-1')
  await it.settle()
  expect([await it.calls(), notes(it)]).toEqual([
    [['attention', expect.stringMatching(/^config: CyberDev has finished this call/)]],
    [],
  ])
  const { config } = it.deps
  const connection = config.connections.get(CYBERDEV)
  const settings = { ...(connection?.settings as object), results: { summary: 'llm.summary' } }
  if (connection) Object.assign(connection, { settings })
  const { connections } = config
  await it.restart()
  Object.assign(it.deps.config, { connections })
  await it.settle()
  expect([await states(it), notes(it).length, handedOver(it).length]).toEqual([['done'], 1, 1])
})

test('a recording of one track is refused before it is sent, told or not', async () => {
  const mono = new Uint8Array(4_000)
  // The first frame of an MPEG-1 layer III stream in the mode for one channel.
  mono.set([0xff, 0xfb, 0x90, 0xc4])
  await using it = await company({}, { analyze: both })
  await ring(it, 'c-1', { recording: { channels: 1 } })
  await ring(it, 'c-2', { audio: mono, recording: { channels: undefined } })
  await it.settle()
  expect([await states(it), asked(it), it.held('sandbox-transcripto', 'submission').length]).toEqual([
    ['done', 'done'],
    [],
    2,
  ])
})

test('what the service would refuse is not sent, and the reason says what to do', async () => {
  await using it = await company({ tracks: undefined })
  await ring(it, 'c-1')
  await it.settle()
  expect([asked(it), await it.calls()]).toEqual([
    [],
    [['attention', expect.stringContaining('It is not known who is on which track')]],
  ])
})

test('a transcript goes out with roles and without what says who is speaking', async () => {
  await using it = await company()
  await chat(it, 'c-1', [
    { party: 'agent', text: 'Alice here. Is it +33 6 39 98 01 42, <b>Mrs Ivanova</b>?' },
    { party: 'customer', text: 'Yes,\nand olga@example.com' },
  ])
  await it.settle()
  expect(await states(it)).toEqual(['done'])
  expect(handedOver(it)).toMatchObject([
    {
      anonymized_text:
        '<operator> [AGENT] here. Is it [PHONE_1], b Mrs [CUSTOMER] /b ? <client> Yes, and [EMAIL_1]',
      duration: '48',
      operator_id: 'a-7',
      operator_group_name: 'Sales Team',
    },
  ])
  expect(asked(it)).toEqual([
    'POST /api/v1/calls/upload',
    'PUT /store/transcriptions.csv',
    'POST /api/v1/calls/process-upload',
  ])
})

test('a transcript goes out as it is where the connection says so', async () => {
  await using it = await company({ redact: false, groupColumn: 'group_name' })
  await chat(it, 'c-1', [{ party: 'agent', text: 'Alice here' }])
  await it.settle()
  expect(handedOver(it)).toMatchObject([
    { anonymized_text: '<operator> Alice here', group_name: 'Sales Team' },
  ])
})

test('an answer that is lost is looked up, and a search that does not show it yet is asked again', async () => {
  await using it = await company()
  it.fail(CYBERDEV, { path: '/audio/upload', fault: { kind: 'commit_then_status', status: 502 } })
  const nothing = { status: 'success', data: [], total: 0, offset: 0, limit: 100 }
  it.fail(CYBERDEV, { method: 'GET', fault: { kind: 'status', status: 200, body: nothing } })
  await ring(it, 'c-1')
  await it.settle()
  expect([await states(it), handedOver(it).length, asked(it).length]).toEqual([['done'], 1, 1])
})

test('an upload that never arrived is sent again when the search has had its time', async () => {
  await using it = await company()
  it.fail(CYBERDEV, { path: '/audio/upload', fault: { kind: 'status', status: 502 } })
  await ring(it, 'c-1')
  await it.settle()
  expect([await states(it), handedOver(it).length, asked(it).length]).toEqual([['done'], 1, 2])
})

for (const [nth, path] of ['/calls/upload', '/store/', '/process-upload'].entries()) {
  test(`a worker that is killed in step ${nth + 1} of three hands a transcript over once`, async () => {
    await using it = await company()
    it.fail(CYBERDEV, { path, fault: { kind: 'commit_then_hang' } })
    await chat(it, 'c-1', [{ party: 'agent', text: 'Hello' }])
    await it.work()
    await it.crash()
    await it.pass(60_000)
    await it.settle()
    expect([await states(it), handedOver(it).length, it.held(CYBERDEV, 'file').length]).toEqual([
      ['done'],
      1,
      1,
    ])
  })
}

test('a presigned URL that has ended is asked for anew', async () => {
  await using it = await company()
  it.fail(CYBERDEV, { path: '/store/', fault: { kind: 'status', status: 403 } })
  await chat(it, 'c-1', [{ party: 'agent', text: 'Hello' }])
  await it.settle()
  expect([await states(it), handedOver(it).length]).toEqual([['done'], 1])
  expect(asked(it).filter((line) => line.endsWith('/calls/upload'))).toHaveLength(2)
})
