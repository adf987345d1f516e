import { encodeBase64 } from '../../../src/connector/encoding.ts'
import type { SampleCall, SandboxOptions, SandboxWebhook } from '../../../src/connector/sandbox.ts'
import type { Kind, Stored } from './records.ts'

/** What the account's app is told of (webhooks guide, read 2026-11-20): which record, never what it says. */

const TYPE_IDS: Partial<Record<Kind, string>> = { call: '0-48' }
/** The properties of calls that the app is subscribed to, as the README says. */
const SUBSCRIBED = ['hs_call_status', 'hs_call_recording_url', 'hs_call_duration']

export interface WebhookOptions
  extends Pick<SandboxOptions, 'now' | 'later' | 'deliver' | 'hookUrl' | 'signer'> {
  portalId: number
  /** Absent: the account has no app. */
  secret: string | undefined
  /** Whether its app is subscribed to calls. */
  calls: boolean
}

export function createWebhooks(options: WebhookOptions) {
  const { now, later, deliver, hookUrl, signer, portalId, secret, calls } = options
  let events = 0
  let waiting: Record<string, unknown>[] = []

  function eventOf(
    what: string,
    { kind, id }: Pick<Stored, 'kind' | 'id'>,
    more: Record<string, unknown> = {},
  ) {
    events += 1
    const objectTypeId = TYPE_IDS[kind]
    return {
      eventId: events,
      subscriptionId: 2_200_000,
      portalId,
      appId: 1_160_000,
      occurredAt: now(),
      subscriptionType: `${objectTypeId === undefined ? kind : 'object'}.${what}`,
      attemptNumber: 0,
      objectId: Number(id),
      changeSource: 'INTEGRATION',
      ...(objectTypeId === undefined ? {} : { objectTypeId }),
      ...more,
    }
  }

  function isSubscribed(what: string, kind: Kind, more: Record<string, unknown> = {}): boolean {
    if (kind === 'call') {
      const isNamed = what !== 'propertyChange' || SUBSCRIBED.includes(String(more.propertyName))
      return calls && ['creation', 'propertyChange'].includes(what) && isNamed
    }
    return ['contact', 'company'].includes(kind) && ['deletion', 'privacyDeletion', 'merge'].includes(what)
  }

  const webhook = (list: readonly Record<string, unknown>[], says: string): SandboxWebhook => ({
    says,
    method: 'POST',
    path: '',
    headers: {
      'content-type': 'application/json',
      'user-agent': 'HubSpot Connect 2.0 (http://dev.hubspot.com/)',
    },
    body: JSON.stringify(list),
  })

  async function send(): Promise<void> {
    const list = waiting
    waiting = []
    if (list.length === 0 || hookUrl === undefined || secret === undefined) return
    const { method, headers, body } = webhook(list, 'changes')
    const timestamp = String(now())
    const mac = await signer.hmac('sha256', secret, `${method}${hookUrl}${body}${timestamp}`)
    const signature = {
      'x-hubspot-request-timestamp': timestamp,
      'x-hubspot-signature-v3': encodeBase64(mac),
      'x-hubspot-signature-version': 'v3',
    }
    const answer = await deliver({ url: hookUrl, method, headers: { ...headers, ...signature }, body }).catch(
      () => null,
    )
    // "Up to 10 times over 24 h", with the attempt counted.
    const again = list.map((event) => ({ ...event, attemptNumber: Number(event.attemptNumber) + 1 }))
    if ((answer === null || answer.status >= 400) && Number(again[0]?.attemptNumber) < 10) {
      waiting.push(...again)
      later(60_000, send)
    }
  }

  return {
    /** Changes that come together are told together. */
    tell(what: string, record: Pick<Stored, 'kind' | 'id'>, more?: Record<string, unknown>): void {
      if (hookUrl === undefined || secret === undefined || !isSubscribed(what, record.kind, more)) return
      if (waiting.length === 0) later(1000, send)
      waiting.push(eventOf(what, record, more))
    },

    /** As of a call that somebody has logged: its creation, and the link to its recording. */
    ofCall(record: Pick<Stored, 'kind' | 'id'>, link: string | undefined): SandboxWebhook[] {
      const created = eventOf('creation', record, { changeFlag: 'CREATED' })
      const changes =
        link === undefined ? [] : [{ propertyName: 'hs_call_recording_url', propertyValue: link }]
      return [
        webhook([created], 'object.creation'),
        ...changes.map((more) => webhook([eventOf('propertyChange', record, more)], 'object.propertyChange')),
      ]
    },
  }
}

/** How another dialler would log a call. */
export function propertiesOf(call: SampleCall, link: string | undefined): Record<string, string> {
  const isInbound = call.direction === 'inbound'
  const status = { answered: 'COMPLETED', no_answer: 'NO_ANSWER', busy: 'BUSY' }[call.result]
  return {
    hs_timestamp: new Date(call.startedAt).toISOString(),
    hs_call_title: 'Logged by the dialler',
    hs_call_body: `Call of ${call.agent.name}`,
    hs_call_direction: call.direction.toUpperCase(),
    hs_call_status: status,
    hs_call_duration: String(call.result === 'answered' ? call.talkMs : 0),
    hs_call_from_number: isInbound ? call.customerPhone : call.ownPhone,
    hs_call_to_number: isInbound ? call.ownPhone : call.customerPhone,
    ...(link === undefined ? {} : { hs_call_recording_url: link }),
  }
}
