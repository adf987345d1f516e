import { type Context, Hono } from 'hono'
import { encodeBase64, utf8 } from '../../src/connector/encoding.ts'
import { asObject } from '../../src/connector/json.ts'
import {
  type CreateSandbox,
  createFaults,
  type SampleCall,
  type SandboxWebhook,
} from '../../src/connector/sandbox.ts'
import { checkSignature, type Verdict } from './sandbox/signature.ts'
import { config, instanceOf } from './schema.ts'

/**
 * A stand-in of Amazon Connect and of the bucket of its recordings, written from the API reference and the pages on
 * contact events and contact records: contact events as EventBridge brings them, the record as a pipe from Kinesis does,
 * the search for contacts with pages, single contacts, agents and queues, and objects behind Signature Version 4.
 */
interface Kept {
  contact: Record<string, unknown> & { Id: string }
  call: SampleCall
  location: string | null
  webhooks: SandboxWebhook[]
}

const BUCKET = 'amazon-connect-0a1b2c3d4e5f'
const QUEUE = { Id: 'c677a7a5-0000-4000-8000-000000000001', Name: 'Support' }
const MEDIA_TYPES: Readonly<Record<string, string>> = { mp3: 'audio/mpeg', wav: 'audio/wav' }

export const createSandbox: CreateSandbox = (options) => {
  const account = config.parse(options.account)
  const instance = instanceOf(account)
  const faults = createFaults()
  const calls = new Map<string, Kept>()
  const agents = new Map<string, SampleCall['agent']>()
  const app = new Hono()
  app.use(faults.middleware)
  app.use(async (c, next) => {
    const body = new Uint8Array(await c.req.arrayBuffer())
    const tools = { signer: options.signer, now: options.now() }
    const verdict = await checkSignature(c.req.raw, body, account, tools)
    return verdict === 'ok' ? next() : refusal(c, verdict)
  })

  app.post('/search-contacts', async (c) => {
    const query = asObject(await c.req.json()) ?? {}
    const { StartTime, EndTime } = asObject(query.TimeRange) ?? {}
    const skip = Number(query.NextToken ?? 0)
    const most = Number(query.MaxResults ?? 10)
    if (query.InstanceId !== instance.id) return problem(c, 404, 'ResourceNotFoundException')
    if (!(most >= 1 && most <= 100)) return problem(c, 400, 'InvalidParameterException')
    const found = [...calls.values()]
      .map(({ contact }) => contact)
      .filter(
        ({ DisconnectTimestamp: at }) => Number(at) >= Number(StartTime) && Number(at) <= Number(EndTime),
      )
      .sort((a, b) => Number(a.DisconnectTimestamp) - Number(b.DisconnectTimestamp))
    const isLast = found.length <= skip + most
    return c.json({
      Contacts: found.slice(skip, skip + most).map(({ Id, InitiationMethod }) => ({ Id, InitiationMethod })),
      TotalCount: found.length,
      ...(isLast ? {} : { NextToken: String(skip + most) }),
    })
  })

  app.get(`/contacts/${instance.id}/:id`, (c) => {
    const kept = [...calls.values()].find(({ contact }) => contact.Id === c.req.param('id'))
    return kept ? c.json({ Contact: kept.contact }) : problem(c, 404, 'ResourceNotFoundException')
  })
  app.get(`/users/${instance.id}/:id`, (c) => {
    const agent = agents.get(c.req.param('id'))
    if (!agent) return problem(c, 404, 'ResourceNotFoundException')
    const [FirstName, LastName] = agent.name.split(' ')
    return c.json({
      User: { Id: c.req.param('id'), Username: userName(agent), IdentityInfo: { FirstName, LastName } },
    })
  })
  app.get(`/queues/${instance.id}/${QUEUE.Id}`, (c) =>
    c.json({ Queue: { QueueId: QUEUE.Id, Name: QUEUE.Name, Status: 'ENABLED' } }),
  )

  app.get(`/${BUCKET}/*`, (c) => {
    const location = decodeURIComponent(new URL(c.req.url).pathname.slice(1))
    const audio = [...calls.values()].find((kept) => kept.location === location)?.call.audio
    if (!audio) return xml(c, 404, 'NoSuchKey')
    return c.body(audio.bytes as Uint8Array<ArrayBuffer>, 200, {
      'content-type': MEDIA_TYPES[audio.format] ?? 'application/octet-stream',
      'content-length': String(audio.bytes.length),
    })
  })

  const newId = (): string => {
    const hex = (digits: number) =>
      Array.from({ length: digits }, () => Math.floor(options.random() * 16).toString(16)).join('')
    return `${hex(8)}-${hex(4)}-4${hex(3)}-8${hex(3)}-${hex(12)}`
  }
  const agentIdOf = (agent: SampleCall['agent']): string => {
    const known = [...agents].find(([, other]) => other.extension === agent.extension)
    const id = known?.[0] ?? newId()
    agents.set(id, agent)
    return id
  }

  return {
    app,
    fail: faults.fail,
    book: () =>
      [...calls].flatMap(([key, { contact, location }]) => [
        { kind: 'call', id: contact.Id, key, fields: contact },
        ...(location === null ? [] : [{ kind: 'recording', id: location, key, fields: {} }]),
      ]),
    place(call) {
      const known = calls.get(call.id)
      if (known) return known.webhooks
      const id = newId()
      const day = new Date(call.startedAt).toISOString()
      const location = call.audio
        ? `${BUCKET}/connect/acme/CallRecordings/${day.slice(0, 10).replaceAll('-', '/')}/${id}_${day.slice(0, 16).replaceAll('-', '')}_UTC.${call.audio.format}`
        : null
      const played = play(call, id, agentIdOf(call.agent), location, account.instanceArn)
      const webhooks = [
        ...played.moments.map((moment) => busWebhook(moment, account.instanceArn, newId())),
        recordWebhook(played.record, instance.region),
      ]
      calls.set(call.id, { contact: played.contact, call, location, webhooks })
      return webhooks
    },
  }
}

/** An inbound call waits in a queue; an outbound one is dialled by an agent. Nobody is ever busy for who calls in. */
function play(call: SampleCall, id: string, agentId: string, location: string | null, instanceArn: string) {
  const isInbound = call.direction === 'inbound'
  const isAnswered = call.result === 'answered'
  const answeredAt = call.startedAt + call.ringMs
  const endedAt = answeredAt + (isAnswered ? call.talkMs : 0)
  const text = (ms: number) => `${new Date(ms).toISOString().slice(0, 19)}Z`
  const seconds = (ms: number) => Math.floor(ms / 1000)
  const agentArn = `${instanceArn}/agent/${agentId}`
  const agentAt = isInbound ? answeredAt : call.startedAt
  const hasAgent = !isInbound || isAnswered
  const reason = isAnswered ? 'CUSTOMER_DISCONNECT' : isInbound ? 'CONTACT_FLOW_DISCONNECT' : 'OTHER'
  const common = {
    InitialContactId: null,
    PreviousContactId: null,
    Channel: 'VOICE',
    InitiationMethod: isInbound ? 'INBOUND' : 'OUTBOUND',
    DisconnectReason: reason,
    CustomerEndpoint: { Address: call.customerPhone, Type: 'TELEPHONE_NUMBER' },
    SystemEndpoint: { Address: call.ownPhone, Type: 'TELEPHONE_NUMBER' },
    ...(!isInbound && call.result === 'busy' ? { AnsweringMachineDetectionStatus: 'SIT_TONE_BUSY' } : {}),
    Recordings:
      location === null
        ? null
        : [{ StorageType: 'S3', Location: location, MediaStreamType: 'AUDIO', Status: 'AVAILABLE' }],
  }
  const times = {
    InitiationTimestamp: call.startedAt,
    ...(isInbound ? { ConnectedToSystemTimestamp: call.startedAt } : {}),
    ...(!isInbound && isAnswered ? { ConnectedToSystemTimestamp: answeredAt } : {}),
    DisconnectTimestamp: endedAt,
    LastUpdateTimestamp: endedAt + 60_000,
  }
  const written = <Value>(write: (ms: number) => Value) =>
    Object.fromEntries(Object.entries(times).map(([name, ms]) => [name, write(ms)]))
  const record = {
    AWSContactTraceRecordFormatVersion: '2017-03-10',
    AWSAccountId: instanceArn.split(':')[4],
    ContactId: id,
    NextContactId: null,
    InstanceARN: instanceArn,
    ...common,
    ConnectedToSystemTimestamp: null,
    ...written(text),
    Agent: hasAgent
      ? {
          ARN: agentArn,
          Username: userName(call.agent),
          ConnectedToAgentTimestamp: text(agentAt),
          AgentInteractionDuration: seconds(endedAt - answeredAt),
          CustomerHoldDuration: 0,
        }
      : null,
    Queue: isInbound ? { ARN: `${instanceArn}/queue/${QUEUE.Id}`, Name: QUEUE.Name } : null,
    Recording: common.Recordings?.[0] ? { ...common.Recordings[0], Type: 'AUDIO' } : null,
  }
  const contact = {
    Arn: `${instanceArn}/contact/${id}`,
    Id: id,
    ...common,
    ...written(seconds),
    ...(hasAgent ? { AgentInfo: { Id: agentId, ConnectedToAgentTimestamp: seconds(agentAt) } } : {}),
    ...(isInbound ? { QueueInfo: { Id: QUEUE.Id, EnqueueTimestamp: seconds(call.startedAt) } } : {}),
  }
  const base = {
    contactId: id,
    channel: 'VOICE',
    instanceArn,
    initiationMethod: common.InitiationMethod,
    initiationTimestamp: text(call.startedAt),
  }
  const agentInfo = { agentArn, connectedToAgentTimestamp: text(agentAt) }
  const queueInfo = { queueArn: `${instanceArn}/queue/${QUEUE.Id}`, queueType: 'STANDARD' }
  const moments: Moment[] = [
    { at: call.startedAt, detail: { ...base, eventType: 'INITIATED' } },
    ...(isInbound ? [{ at: call.startedAt, detail: { ...base, eventType: 'QUEUED', queueInfo } }] : []),
    ...(hasAgent ? [{ at: agentAt, detail: { ...base, eventType: 'CONNECTED_TO_AGENT', agentInfo } }] : []),
    { at: endedAt, detail: { ...base, eventType: 'DISCONNECTED', disconnectTimestamp: text(endedAt) } },
  ]
  return { record, contact, moments }
}

interface Moment {
  at: number
  detail: Record<string, unknown> & { eventType: string }
}

const userName = (agent: SampleCall['agent']): string => agent.name.toLowerCase().replaceAll(' ', '.')

const HEADERS = { 'content-type': 'application/json; charset=utf-8' }

function busWebhook({ at, detail }: Moment, instanceArn: string, id: string): SandboxWebhook {
  const [, , , region, account] = instanceArn.split(':')
  const event = {
    version: '0',
    id,
    'detail-type': 'Amazon Connect Contact Event',
    source: 'aws.connect',
    account,
    time: `${new Date(at).toISOString().slice(0, 19)}Z`,
    region,
    resources: [instanceArn],
    detail,
  }
  return { says: detail.eventType, method: 'POST', path: '', headers: HEADERS, body: JSON.stringify(event) }
}

/** As a pipe hands on a record of a Kinesis stream. */
function recordWebhook(record: { ContactId: string }, awsRegion: string): SandboxWebhook {
  const body = {
    kinesisSchemaVersion: '1.0',
    partitionKey: record.ContactId,
    data: encodeBase64(utf8(JSON.stringify(record))),
    eventSource: 'aws:kinesis',
    eventName: 'aws:kinesis:record',
    awsRegion,
  }
  return { says: 'contact record', method: 'POST', path: '', headers: HEADERS, body: JSON.stringify(body) }
}

const CODES: Readonly<Record<Exclude<Verdict, 'ok'>, [connect: string, s3: string]>> = {
  missing: ['MissingAuthenticationTokenException', 'AccessDenied'],
  unknown_key: ['UnrecognizedClientException', 'InvalidAccessKeyId'],
  wrong: ['InvalidSignatureException', 'SignatureDoesNotMatch'],
  expired: ['InvalidSignatureException', 'AccessDenied'],
}

function refusal(c: Context, verdict: Exclude<Verdict, 'ok'>): Response {
  const [connect, s3] = CODES[verdict]
  return c.req.path.startsWith(`/${BUCKET}/`) ? xml(c, 403, s3) : problem(c, 403, connect)
}

const problem = (c: Context, status: 400 | 403 | 404, type: string): Response =>
  c.json({ message: `made up for ${type}` }, status, { 'x-amzn-ErrorType': `${type}:` })

const xml = (c: Context, status: 403 | 404, code: string): Response =>
  c.body(`<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code></Error>`, status, {
    'content-type': 'application/xml',
  })
