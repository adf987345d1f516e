import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { connector } from '../../connectors/amazon-connect/connector.ts'
import { MOMENTS } from '../../connectors/amazon-connect/map.ts'
import { config } from '../../connectors/amazon-connect/schema.ts'
import type { Recording } from '../../src/call/call.ts'
import { progressOf } from '../../src/call/merge.ts'
import {
  account,
  fetchRecording,
  fold,
  listed,
  NOW,
  played,
  read,
  SETTINGS,
  sample,
  webhook,
} from './amazon-connect-account.ts'
import { arnOf, expectComplete, expectDelivery, matches, setUpOf, type Template } from './set-up.ts'

const FOLDER = new URL('../../connectors/amazon-connect/', import.meta.url)
const fixture = (name: string) =>
  JSON.parse(readFileSync(new URL(`fixtures/${name}.json`, FOLDER), 'utf8')).request.body as string
const told = (...names: string[]) => names.flatMap((name) => read(fixture(name)))

describe('the set-up of the README', () => {
  const setUp = setUpOf('amazon-connect')
  const made = setUp.resources

  it('names only what it makes, and is told every parameter', () => {
    expectComplete(setUp)
  })

  it('sends the key in the header that is verified', () => {
    const { AuthorizationType: kind, AuthParameters: auth } = made.Connection.Properties
    const { ApiKeyName: header, ApiKeyValue: value } = auth.ApiKeyAuthParameters
    expect(kind).toBe('API_KEY')
    expect(webhook?.verify(config.parse(SETTINGS))).toMatchObject({ scheme: 'token', place: { header } })
    expect(value).toEqual({ Ref: 'Token' })
  })

  it('its rule matches exactly the contact events that say something', () => {
    const pattern = made.Rule.Properties.EventPattern
    expect(pattern.detail.eventType.toSorted()).toEqual(Object.keys(MOMENTS).toSorted())
    let matched = 0
    for (const file of readdirSync(new URL('fixtures/', FOLDER))) {
      if (!/event|completed|lens/.test(file)) continue
      const event = JSON.parse(fixture(file.replace('.json', '')))
      if (!('detail-type' in event)) continue
      const isMatch = matches(pattern, event)
      if (read(JSON.stringify(event)).length > 0) expect(isMatch, file).toBe(true)
      if (/completed|lens/.test(file)) expect(isMatch, file).toBe(false)
      matched += isMatch ? 1 : 0
    }
    expect(matched).toBeGreaterThan(4)
  })

  it('what is not delivered is kept in a queue that both rule and pipe may write to', () => {
    expectDelivery(setUp)
    const pipe = made.Pipe.Properties
    expect(pipe).toMatchObject({
      RoleArn: arnOf('Sender'),
      Source: arnOf('ContactRecords'),
      Target: arnOf('Destination'),
    })
    expect(pipe.SourceParameters.KinesisStreamParameters).toMatchObject({
      BatchSize: 1,
      DeadLetterConfig: { Arn: arnOf('Undelivered') },
    })
    const { AssumeRolePolicyDocument: trust, Policies: policies } = made.Sender.Properties
    expect(trust.Statement[0].Principal.Service).toContain('pipes.amazonaws.com')
    const statements: Template[] = policies[0].PolicyDocument.Statement
    const allowed = statements.flatMap((one) => [one.Action].flat().map((action) => [action, one.Resource]))
    expect(allowed).toContainEqual(['sqs:SendMessage', arnOf('Undelivered')])
    expect(allowed).toContainEqual(['kinesis:GetRecords', arnOf('ContactRecords')])
  })

  it('what its pipe sends is read, whether the pipe decodes the record or not', () => {
    const template = made.Pipe.Properties.TargetParameters.InputTemplate as string
    const record = JSON.parse(fixture('record-bare'))
    const base64 = JSON.stringify(Buffer.from(JSON.stringify(record)).toString('base64'))
    const bodies = [JSON.stringify(record), base64].map((data) => template.replace('<$.data>', data))
    expect(bodies.map(read)).toEqual([told('record-bare'), told('record-bare')])
    expect(read(bodies[0] ?? '')).toHaveLength(1)
  })

  it('its user may do what is asked for, and nothing else', async () => {
    const { vendor, ctx, sent } = account()
    const call = fold(played(vendor, sample()))
    await connector.check(ctx)
    await listed(ctx)
    await fetchRecording?.(call.recordings[0] as Recording, call, ctx)
    const actions = new Map([
      [/^\/search-contacts$/, 'connect:SearchContacts'],
      [/^\/contacts\//, 'connect:DescribeContact'],
      [/^\/users\//, 'connect:DescribeUser'],
      [/^\/queues\//, 'connect:DescribeQueue'],
      [/^\/amazon-connect-/, 's3:GetObject'],
    ])
    const used = sent.map(({ url }) => [...actions].find(([path]) => path.test(url.pathname))?.[1])
    const statements: Template[] = made.Reader.Properties.Policies[0].PolicyDocument.Statement
    const granted = statements.flatMap((one) => one.Action)
    // Behind s3:GetObject: whether a file is there at all, and the key that it is encrypted with.
    expect([...new Set(used), 's3:ListBucket', 'kms:Decrypt'].toSorted()).toEqual(granted.toSorted())
  })
})

describe('a call', () => {
  it.each([
    ['inbound', 'answered', 'answered'],
    ['inbound', 'no_answer', 'no_answer'],
    ['outbound', 'answered', 'answered'],
    ['outbound', 'no_answer', 'no_answer'],
    ['outbound', 'busy', 'busy'],
  ] as const)('%s, %s, comes to its right end', (direction, result, expected) => {
    const { vendor } = account()
    const { audio, ...rest } = sample({ direction, result })
    const events = played(vendor, result === 'answered' ? { ...rest, ...(audio ? { audio } : {}) } : rest)
    const call = fold(events)
    expect(call).toMatchObject({
      direction,
      result: expected,
      customer: { phone: '+33639980142' },
      startedAt: new Date(NOW - 3_600_000).toISOString(),
    })
    expect(progressOf(events)).toEqual({ ended: true, recording: result === 'answered' ? 'ready' : 'none' })
    if (result === 'answered') expect(call).toMatchObject({ talkMs: 60_000, agent: { name: 'alice.martin' } })
    else expect(call.answeredAt).toBeUndefined()
  })

  it('is not ended by its contact events: it may have been transferred', () => {
    const moments = told('event-initiated', 'event-queued', 'event-agent-other-case', 'event-disconnected')
    expect(progressOf(moments).ended).toBe(false)
    expect(fold(moments)).toMatchObject({ answeredAt: '2025-12-29T09:00:10.000Z', direction: 'inbound' })
    expect(progressOf([...moments, ...told('record-inbound')])).toEqual({ ended: true, recording: 'ready' })
  })

  it('waits for a recording that has no status yet', () => {
    const first = told('record-inbound-before-recording')
    expect(progressOf(first)).toEqual({ ended: true, recording: 'pending' })
    expect(progressOf([...told('record-inbound'), ...first]).recording).toBe('ready')
  })

  it('that was transferred goes on until the last contact, and both agents are on it', () => {
    const first = told('record-transfer-first')
    expect(progressOf(first).ended).toBe(false)
    const events = [...told('record-transfer-second'), ...first]
    expect(progressOf(events).ended).toBe(true)
    const call = fold(events)
    expect(call).toMatchObject({
      direction: 'inbound',
      customer: { phone: '+33639980142' },
      agent: { name: 'hugo.petit', group: 'Second line' },
      disconnectReason: 'CUSTOMER_DISCONNECT',
      totalMs: 360_000,
      talkMs: 350_000,
    })
    expect(call.holdMs).toBeUndefined()
    expect(call.legs.map(({ agent }) => agent?.name)).toEqual(['alice.martin', 'hugo.petit'])
    expect(call.recordings).toHaveLength(2)
  })

  it('whose customer gives up in the second queue was answered all the same', () => {
    const call = fold(told('record-then-queue-second', 'record-then-queue-first'))
    expect(call).toMatchObject({ result: 'answered', agent: { name: 'alice.martin', group: 'Support FR' } })
  })

  it('with a callback is inbound, and ends with it', () => {
    const call = fold(told('record-callback-asked', 'record-callback-done'))
    expect(call).toMatchObject({
      direction: 'inbound',
      result: 'answered',
      answeredAt: '2025-12-29T09:20:12.000Z',
      endedAt: '2025-12-29T09:22:12.000Z',
    })
  })

  it('with a third party has it as a leg; the customer stays who called', () => {
    const events = told('record-third-party', 'record-inbound')
    expect(fold(events)).toMatchObject({
      customer: { phone: '+33639980142' },
      endedAt: '2025-12-29T09:02:17.000Z',
    })
    expect(fold(events).legs.map(({ to }) => to)).toContain('+447700900123')
    expect(progressOf(told('record-third-party')).ended).toBe(false)
  })

  it('ends when its customer hangs up on an agent, though a third party was a next contact', () => {
    const next = { NextContactId: 'a5a5cf14-3212-45a1-9f86-a8e97db8afc3' }
    const third = told('record-third-party')
    const gone = record({ ContactId: '15a5cf14-3212-45a1-9f86-a8e97db8afaf', ...next })
    expect(progressOf([...third, ...gone]).ended).toBe(true)
    expect(fold([...third, ...gone])).toMatchObject({ result: 'answered', agent: { name: 'alice.martin' } })
    // Whom the agent left may have been transferred; who hung up in the queue may have asked to be called back.
    expect(progressOf(record({ ...next, DisconnectReason: 'AGENT_DISCONNECT' })).ended).toBe(false)
    expect(progressOf(record({ ...next, Agent: null })).ended).toBe(false)
  })

  it.each([
    ['OUTBOUND', 'TELECOM_BUSY', 'busy'],
    ['OUTBOUND', 'TELECOM_NUMBER_INVALID', 'failed'],
    ['OUTBOUND', 'TELECOM_POTENTIAL_BLOCKING', 'failed'],
    ['OUTBOUND', 'TELECOM_PROBLEM', 'failed'],
    ['OUTBOUND', 'TELECOM_UNANSWERED', 'no_answer'],
    ['OUTBOUND', 'TELECOM_TIMEOUT', 'no_answer'],
    ['OUTBOUND', 'TELECOM_ORIGINATOR_CANCEL', 'no_answer'],
    ['OUTBOUND', 'constructor', 'no_answer'],
    ['API', 'OUTBOUND_DESTINATION_ENDPOINT_ERROR', 'failed'],
    ['API', 'OUTBOUND_RESOURCE_ERROR', 'failed'],
    ['API', 'OUTBOUND_ATTEMPT_FAILED', 'failed'],
    ['API', 'EXPIRED', 'failed'],
    ['CAMPAIGN_PREVIEW', 'OUTBUND_PREVIEW_DISCARDED', 'failed'],
    ['CAMPAIGN_PREVIEW', 'TELECOM_TIMEOUT', 'no_answer'],
    ['INBOUND', 'TELECOM_ORIGINATOR_CANCEL', 'abandoned'],
    ['WEBRTC_API', 'CUSTOMER_NEVER_ARRIVED', 'abandoned'],
    ['INBOUND', 'CUSTOMER_DISCONNECT', 'abandoned'],
    ['INBOUND', 'OTHER', 'no_answer'],
    ['INBOUND', null, 'no_answer'],
  ] as const)('%s that nobody answered, for the reason %s, is %s', (method, reason, result) => {
    const events = record({
      InitiationMethod: method,
      ConnectedToSystemTimestamp: null,
      DisconnectReason: reason,
      Agent: null,
      Recording: null,
      Recordings: null,
    })
    const direction = ['INBOUND', 'WEBRTC_API'].includes(method) ? 'inbound' : 'outbound'
    expect(fold(events)).toMatchObject({ direction, result, customer: { phone: '+33639980142' } })
  })

  it.each([
    ['S3', 'AVAILABLE', 'ready'],
    ['Amazon S3', 'AVAILABLE', 'ready'],
    ['S3', 'DELETED', undefined],
    ['S3', 'constructor', 'pending'],
    ['KINESIS_VIDEO_STREAM', 'AVAILABLE', undefined],
  ])('a recording in %s with the status %s is %s', (StorageType, Status, state) => {
    const Recordings = [{ StorageType, Status, Location: 'bucket/1.wav', MediaStreamType: 'AUDIO' }]
    const [recording] = fold(record({ Recordings, Recording: null })).recordings
    expect(recording?.state).toBe(state ?? (Status === 'DELETED' ? 'absent' : undefined))
  })
})

describe('what answering-machine detection found', () => {
  it.each([
    ['HUMAN_ANSWERED', 'answered'],
    ['VOICEMAIL_BEEP', 'voicemail'],
    ['VOICEMAIL_NO_BEEP', 'voicemail'],
    ['AMD_UNANSWERED', 'no_answer'],
    ['SIT_TONE_BUSY', 'busy'],
    ['SIT_TONE_INVALID_NUMBER', 'failed'],
    ['SIT_TONE_DETECTED', 'failed'],
    ['FAX_MACHINE_DETECTED', 'failed'],
    // These say nothing certain: that it was connected does.
    ['AMD_UNRESOLVED', 'answered'],
    ['AMD_UNRESOLVED_SILENCE', 'answered'],
    ['AMD_ERROR', 'answered'],
    ['constructor', 'answered'],
    [null, 'answered'],
  ])('%s is %s', (AnsweringMachineDetectionStatus, result) => {
    const call = fold(record({ InitiationMethod: 'API', AnsweringMachineDetectionStatus }))
    expect(call.result).toBe(result)
    expect(call.answeredAt).toBe(result === 'answered' ? '2025-12-29T09:00:00.000Z' : undefined)
    // Who calls in is no machine's finding.
    expect(fold(record({ AnsweringMachineDetectionStatus })).result).toBe('answered')
  })
})

describe('a contact event', () => {
  const said = (eventType: string, fields: Record<string, unknown> = {}) => {
    const event = JSON.parse(fixture('event-initiated'))
    const agentInfo = { agentArn: 'arn:x/agent/a-1', connectedToAgentTimestamp: '2025-12-29T09:00:10.000Z' }
    const detail = { ...event.detail, agentInfo, eventType, ...fields }
    return read(JSON.stringify({ ...event, time: '2025-12-29T09:05:00Z', detail }))[0]?.facts ?? {}
  }

  it('tells its own time, or else that of the event', () => {
    expect(said('CONNECTED_TO_AGENT').answeredAt).toBe('2025-12-29T09:00:10.000Z')
    expect(said('CONNECTED_TO_AGENT', { agentInfo: {} }).answeredAt).toBe('2025-12-29T09:05:00.000Z')
    const disconnectTimestamp = '2025-12-29T09:02:17.000Z'
    expect(said('DISCONNECTED', { disconnectTimestamp }).endedAt).toBe(disconnectTimestamp)
    expect(said('DISCONNECTED', { disconnectTimestamp: null }).endedAt).toBe('2025-12-29T09:05:00.000Z')
  })

  it('tells what it knows, and nothing else', () => {
    const none = { initiationMethod: null, initiationTimestamp: null, agentInfo: null }
    expect(said('INITIATED', none)).toEqual({})
    expect(said('INITIATED', { ...none, initiationMethod: 'constructor' })).toEqual({})
    expect(said('CONNECTED_TO_AGENT', none)).not.toHaveProperty('agent')
    // Only the first contact of a call knows its direction.
    expect(said('INITIATED').direction).toBe('inbound')
    expect(
      said('INITIATED', { initialContactId: '25a5cf14-3212-45a1-9f86-a8e97db8afaf' }),
    ).not.toHaveProperty('direction')
  })

  it.each(['OUTBOUND', 'CALLBACK', 'API', 'EXTERNAL_OUTBOUND', 'CAMPAIGN_PREVIEW'])(
    'of %s: that the agent is there is no answer yet',
    (initiationMethod) => {
      expect(said('CONNECTED_TO_AGENT', { initiationMethod })).not.toHaveProperty('answeredAt')
    },
  )
})

/** The plain record of a call that an agent answered, with other fields. */
const record = (fields: Record<string, unknown>) =>
  read(JSON.stringify({ ...JSON.parse(fixture('record-bare')), ...fields }))
