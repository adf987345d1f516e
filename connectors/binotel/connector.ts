import type { CallEvent } from '../../src/call/facts.ts'
import {
  defineConnector,
  type InboundRequest,
  type Received,
  type WebhookSide,
} from '../../src/connector/contract.ts'
import { asObject } from '../../src/connector/json.ts'
import { nestForm } from '../../src/connector/nested-form.ts'
import { readAs } from '../../src/connector/read.ts'
import { CordboardError } from '../../src/errors.ts'
import { checkAccount, fetchRecording, linkTo, listCalls } from './client.ts'
import { LIVE_EVENTS, type LiveEvent, toCompletedEvent, toLiveEvent, whyNoCall } from './map.ts'
import { type Config, callDetails, config, liveCall } from './schema.ts'

type Context = Parameters<WebhookSide<Config, CallEvent>['receive']>[1]

const webhook: WebhookSide<Config, CallEvent> = {
  /** Some deployments were seen to be asked by GET whether they are there: it carries no call. */
  handshake: ({ method, body }) => (method === 'GET' && body.length === 0 ? { status: 200 } : null),
  // Binotel signs nothing and sends no token of its own (https://developers.binotel.ua, archived 2024-02-27): what it can be
  // given is an address that nobody guesses.
  verify: ({ hookToken }) => ({ scheme: 'token', place: { path: true }, secrets: hookToken }),
  // "To confirm, return the string": anything else is a failure, and the same call comes five more times.
  reply: {
    status: 200,
    headers: { 'content-type': 'application/json' },
    body: '{"status":"success"}',
  },
  receive(request, ctx) {
    const body = bodyOf(request)
    const { requestType: type } = body
    if (typeof type !== 'string') {
      throw new CordboardError('invalid_payload', 'Binotel: the body has no field requestType')
    }
    if (type === 'apiCallCompleted') return completed(body.callDetails, ctx)
    if (!isLive(type))
      return { ignored: `${type.slice(0, 64)} tells nothing that the completed call does not` }
    const read = readAs(liveCall, body, `Binotel: ${type}`)
    if (ctx.config.companyId !== undefined && read.companyID !== ctx.config.companyId) {
      return { ignored: 'its companyID is not that of the connection' }
    }
    return { events: [toLiveEvent(type, read, ctx)] }
  },
}

export const connector = defineConnector({
  id: 'binotel',
  name: 'Binotel',
  docs: 'https://developers.binotel.ua/',
  config,
  check: checkAccount,
  // The error 106, "too frequent", is documented; that it comes at about five requests a minute was seen by others.
  budgets: ({ requestsPerMinute }) => ({
    default: { limit: requestsPerMinute, windowMs: 60_000, window: 'rolling' },
  }),
  telephony: { webhook, recording: fetchRecording, recordingUrl: linkTo, calls: listCalls },
})

const isLive = (type: string): type is LiveEvent => Object.hasOwn(LIVE_EVENTS, type)

/** A form nested by brackets; JSON from some accounts. */
function bodyOf(request: InboundRequest): Record<string, unknown> {
  const isJson = /\bjson\b/i.test(request.headers.get('content-type') ?? '')
  const body = isJson ? asObject(request.json()) : nestForm(request.form())
  if (body) return body
  throw new CordboardError('invalid_payload', 'Binotel: the body is no JSON object')
}

/** One call, or several by their ids. */
function completed(details: unknown, ctx: Context): Received<CallEvent> {
  const one = asObject(details) ?? {}
  const all = 'generalCallID' in one ? [one] : Object.values(one)
  if (all.length === 0) {
    throw new CordboardError('invalid_payload', 'Binotel: apiCallCompleted has no callDetails')
  }
  const calls = all.map((call) => readAs(callDetails, call, 'Binotel: apiCallCompleted'))
  const told = calls.map((call) => ({ call, why: whyNoCall(call, ctx) }))
  const events = told.filter(({ why }) => why === null).map(({ call }) => toCompletedEvent(call, ctx))
  return events.length > 0 ? { events } : { ignored: told[0]?.why ?? 'it tells of no call' }
}
