import type { CallEvent } from '../../src/call/facts.ts'
import { defineConnector, type MapContext, type WebhookSide } from '../../src/connector/contract.ts'
import { decodeBase64 } from '../../src/connector/encoding.ts'
import { asObject, parseJson } from '../../src/connector/json.ts'
import { readAs } from '../../src/connector/read.ts'
import { CordboardError } from '../../src/errors.ts'
import { checkInstance, fetchRecording, linkTo, listCalls } from './client.ts'
import { isListening, MOMENTS, toContactEvents, toMomentEvent } from './map.ts'
import { busEvent, type Config, config, contactEvent, contactRecord } from './schema.ts'

type Context = MapContext<Config>
/** What one of the things in a request says. */
type Said = { events: CallEvent[] } | { ignored: string }

/** A pipe to an API destination sends one record at a time; one that batches stays far below. */
const MOST_RECORDS = 100

const webhook: WebhookSide<Config, CallEvent> = {
  // EventBridge signs nothing: an API destination sends the API key of its connection.
  verify: ({ token }) => ({ scheme: 'token', place: { header: 'x-api-key' }, secrets: token }),
  receive(request, ctx) {
    const body = request.json()
    const items: unknown[] = Array.isArray(body) ? body : [body]
    if (items.length === 0 || items.length > MOST_RECORDS) {
      throw new CordboardError('invalid_payload', `Amazon Connect: 1 to ${MOST_RECORDS} records are read`, {
        why: `The body is a list of ${items.length}`,
        fix: 'Set BatchSize of the pipe to 1',
      })
    }
    const all = items.map((item) => read(item, ctx))
    const events = all.flatMap((said) => ('events' in said ? said.events : []))
    const [first] = all
    return events.length === 0 && first && 'ignored' in first ? first : { events }
  },
}

export const connector = defineConnector({
  id: 'amazon-connect',
  name: 'Amazon Connect',
  docs: 'https://docs.aws.amazon.com/connect/latest/adminguide/',
  config,
  check: checkInstance,
  // "RateLimit of 2 per second, BurstLimit of 5" for each operation that has no limit of its own, per account and region
  // (API reference, read 2026-11-27).
  budgets: () => {
    const budget = { limit: 2, windowMs: 1000, window: 'rolling' } as const
    return { default: budget, search: budget, names: budget }
  },
  telephony: { webhook, recording: fetchRecording, recordingUrl: linkTo, calls: listCalls },
})

/**
 * A contact event of the bus, or a contact record: as it is, or in the record of the Kinesis stream that carried it, where
 * a pipe may have decoded it already.
 */
function read(item: unknown, ctx: Context): Said {
  const object = asObject(item)
  if (!object) throw new CordboardError('invalid_payload', 'Amazon Connect: the body is no JSON object')
  if ('detail-type' in object) return readMoment(object, ctx)
  if ('data' in object) return readRecord(decoded(object.data), ctx)
  return readRecord(object, ctx)
}

function decoded(data: unknown): unknown {
  if (typeof data !== 'string') return data
  const bytes = decodeBase64(data)
  if (bytes) return parseJson(bytes)
  throw new CordboardError('invalid_payload', 'Amazon Connect: the data of the stream’s record is no base64')
}

function readMoment(object: object, { config: { instanceArn } }: Context): Said {
  const { 'detail-type': type } = readAs(busEvent, object, 'Amazon Connect: the event')
  if (type !== 'Amazon Connect Contact Event') return { ignored: `${type} is no contact event` }
  const { time, detail } = readAs(contactEvent, object, 'Amazon Connect: the contact event')
  if (detail.instanceArn !== instanceArn) return { ignored: OTHER_INSTANCE }
  if (detail.channel !== 'VOICE') return { ignored: notVoice(detail.channel) }
  if (isListening(detail.method)) return { ignored: LISTENING }
  if (!Object.hasOwn(MOMENTS, detail.eventType))
    return { ignored: `${detail.eventType} says nothing of the call that its record does not` }
  return { events: [toMomentEvent(detail, time)] }
}

function readRecord(value: unknown, ctx: Context): Said {
  if (!('ContactId' in (asObject(value) ?? {})))
    return { ignored: 'neither a contact event nor a contact record' }
  const seen = readAs(contactRecord, value, 'Amazon Connect: the contact record')
  if (seen.instanceArn !== ctx.config.instanceArn) return { ignored: OTHER_INSTANCE }
  if (seen.channel !== 'VOICE') return { ignored: notVoice(seen.channel) }
  return isListening(seen.method) ? { ignored: LISTENING } : { events: toContactEvents(seen, ctx) }
}

const OTHER_INSTANCE = 'it is of another instance than instanceArn'
const LISTENING = 'MONITOR: somebody listens in'
const notVoice = (channel: string) => `a contact of the channel ${channel} is no call`
