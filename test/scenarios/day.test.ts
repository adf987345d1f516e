import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { connectorIds, loadConnector } from '../../connectors/index.ts'
import type { Connector } from '../../src/connector/contract.ts'
import { utf8 } from '../../src/connector/encoding.ts'
import type { RawRequest } from '../../src/connector/request.ts'
import type { SampleCall, SandboxWebhook } from '../../src/connector/sandbox.ts'
import { signRaw } from '../../src/connector/sign.ts'
import { coverageOf, withFlippedByte, withoutProof } from '../kit/connector/tampering.ts'
import { sandboxVendors, type Vendors } from './company.ts'
import { type Installation, install, sampleCall, seeded } from './installation.ts'

// A day of a company that has every phone system there is a connector for: calls of all kinds from all of them, some
// webhooks twice, some calls backwards, some forged. What comes out is counted at the CRM, not by us.

const CALLS = 540
const OWN_LINE = '+33199001234'
const CUSTOMERS = 60
/** Of a hundred calls: with webhooks that come twice, in the wrong order, and beside a forged copy. */
const TWICE = 5
const BACKWARDS = 5
const FORGED = 2

/** Phone systems that push their calls, each with the configuration of its fixtures. */
async function phoneSystems(): Promise<Vendors> {
  const vendors: Record<string, { use: string; settings: Record<string, unknown> }> = {}
  for (const use of connectorIds) {
    const { telephony, crm, config } = (await loadConnector(use)) as Connector
    // A CRM tells of the calls that others log in it: a story of its own.
    if (!telephony?.webhook || crm) continue
    const file = new URL(`../../connectors/${use}/fixtures/connection.json`, import.meta.url)
    const { config: settings } = JSON.parse(readFileSync(file, 'utf8'))
    const given = 'shape' in config && !Object.hasOwn(config.shape as object, 'baseUrl')
    vendors[`phone-${use}`] = { use, settings: given ? { ...settings, baseUrl: undefined } : settings }
  }
  return vendors
}

interface Played {
  connection: string
  webhooks: SandboxWebhook[]
  isMissed: boolean
}

/** A call of the day: seven in ten are answered, a third of all are made by an agent. */
async function nthCall(it: Installation, connection: string, n: number, dice: () => number): Promise<Played> {
  const drawn = dice()
  const result: SampleCall['result'] = drawn < 0.7 ? 'answered' : drawn < 0.9 ? 'no_answer' : 'busy'
  const { audio, ...call } = await sampleCall(it.now(), {
    id: `day-${n}`,
    direction: dice() < 0.66 ? 'inbound' : 'outbound',
    customerPhone: `+33639980${String(n % CUSTOMERS).padStart(3, '0')}`,
    ownPhone: OWN_LINE,
    result,
    ...(result === 'answered' ? {} : { talkMs: 0 }),
  })
  const isMissed = result !== 'answered'
  const webhooks = it.place(connection, isMissed || !audio ? call : { ...call, audio })
  return { connection, webhooks, isMissed }
}

async function rawOf(it: Installation, connection: string, webhook: SandboxWebhook) {
  const known = it.deps.config.connections.get(connection)
  const verification = known?.connector.telephony?.webhook?.verify(known.settings)
  if (!verification) throw new RangeError(`${connection} takes no webhooks`)
  const query = webhook.query ? `?${webhook.query}` : ''
  const raw: RawRequest = {
    method: webhook.method,
    url: `${it.deps.config.publicUrl}/hooks/${connection}${webhook.path}${query}`,
    path: webhook.path,
    headers: Object.entries(webhook.headers),
    body: utf8(webhook.body),
    receivedAt: new Date(it.now()).toISOString(),
  }
  const tools = { now: it.now(), signer: it.deps.signer }
  return { raw: await signRaw(raw, verification, tools), verification }
}

const post = (it: Installation, { url, method, headers, body }: RawRequest) =>
  it.receive(
    new Request(url, {
      method,
      headers: new Headers(headers as HeadersInit),
      ...(method === 'GET' || method === 'HEAD' ? {} : { body: new Uint8Array(body) }),
    }),
  )

test(`a day of ${CALLS} calls from all phone systems, with repetitions, disorder and forgeries`, {
  timeout: 120_000,
}, async () => {
  const dice = seeded(7)
  const phones = await phoneSystems()
  const analysts = { requestsPerMinute: 1_000_000 }
  await using it = await install({
    tickMs: 1_000,
    vendors: { ...phones, ...sandboxVendors('xosum', 'transcripto', 'hubspot') },
    settings: {
      'sandbox-xosum': analysts,
      'sandbox-hubspot': { requestsPer10s: 1_000_000, searchPerSecond: 1_000_000 },
    },
    flows: [
      {
        name: 'day',
        from: Object.keys(phones),
        analyze: ['sandbox-xosum', 'sandbox-transcripto'],
        write: ['sandbox-hubspot'],
        unknownCaller: 'create',
      },
    ],
  })
  const ids = Object.keys(phones)
  const sent = { deliveries: 0, forged: 0, twice: 0, backwards: 0, missed: 0 }
  for (let n = 0; n < CALLS; n++) {
    const played = await nthCall(it, ids[n % ids.length] ?? '', n, dice)
    if (played.isMissed) sent.missed += 1
    const isBackwards = n % 100 < BACKWARDS
    if (isBackwards) sent.backwards += 1
    const isTwice = n % 100 >= 50 && n % 100 < 50 + TWICE
    if (isTwice) sent.twice += 1
    for (const webhook of isBackwards ? played.webhooks.toReversed() : played.webhooks) {
      const { raw, verification } = await rawOf(it, played.connection, webhook)
      if (n % 100 >= 98 && n % 100 < 98 + FORGED) {
        const isSigned = coverageOf(verification) === 'all' && raw.body.length > 0
        const forged = isSigned ? withFlippedByte(raw, raw.body.length >> 1) : withoutProof(raw, verification)
        expect([played.connection, webhook.says, (await post(it, forged)).status]).toEqual([
          played.connection,
          webhook.says,
          401,
        ])
        sent.forged += 1
      }
      for (let time = 0; time < (isTwice ? 2 : 1); time++) {
        const answer = await post(it, raw)
        expect([played.connection, webhook.says, answer.ok]).toEqual([played.connection, webhook.says, true])
      }
      sent.deliveries += 1
    }
    if (n % 20 === 19) await it.pass(60_000)
  }
  await it.settle(6 * 3_600_000)

  const { db } = it.store
  const calls = await db
    .selectFrom('calls')
    .select(['connection', 'state', 'reason'])
    .where('joined_into', 'is', null)
    .execute()
  const perPhone = Object.fromEntries(ids.map((id) => [id, { calls: 0, done: 0 }]))
  for (const { connection, state } of calls) {
    const count = perPhone[connection]
    if (!count) continue
    count.calls += 1
    if (state === 'done') count.done += 1
  }
  const share = (at: number) => Math.ceil((CALLS - at) / ids.length)
  expect(perPhone).toEqual(
    Object.fromEntries(ids.map((id, at) => [id, { calls: share(at), done: share(at) }])),
  )
  const left = await db.selectFrom('steps').select(['kind', 'code']).where('state', '!=', 'done').execute()
  expect(left).toEqual([])

  // At the CRM: each call once, each customer once; at the services: each answered call once.
  expect([it.crm('call'), it.crm('contact')]).toEqual([CALLS, CUSTOMERS])
  const keys = ['sandbox-xosum', 'sandbox-transcripto']
    .flatMap((id) => it.held(id, 'submission'))
    .map(({ key }) => key)
  expect([keys.length, new Set(keys).size]).toEqual([CALLS - sent.missed, CALLS - sent.missed])
  expect([sent.twice, sent.backwards]).toEqual([25, 30])
  expect(sent.forged).toBeGreaterThan(10)
})
