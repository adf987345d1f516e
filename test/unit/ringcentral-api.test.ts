import { describe, expect, it } from 'vitest'
import { connector } from '../../connectors/ringcentral/connector.ts'
import { isFinished, resultOf, toRecordEvents } from '../../connectors/ringcentral/map.ts'
import { config, record } from '../../connectors/ringcentral/schema.ts'
import { call as callSchema, type Recording } from '../../src/call/call.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import type { SampleCall } from '../../src/connector/sandbox.ts'
import { asCordboardError } from '../../src/errors.ts'
import {
  type Account,
  account,
  fetchRecording,
  fold,
  HOOK,
  listCalls,
  NOW,
  played,
  SETTINGS,
  sample,
  subscribe,
} from './ringcentral-account.ts'

const failure = (work: Promise<unknown> | undefined) => work?.then(() => null, asCordboardError)

async function listed({ ctx }: Account, since = NOW - 3_600_000) {
  const events: CallEvent[] = []
  for await (const page of listCalls?.(new Date(since).toISOString(), ctx) ?? []) events.push(...page)
  return events
}

describe('the call log', () => {
  it('tells each call, with its recordings under the keys of the webhooks, page by page', async () => {
    const world = account()
    const events: CallEvent[] = []
    for (let nth = 0; nth < 253; nth++) events.push(...played(world, sample({ id: `c${nth}` })))
    const again = await listed(world)
    const recorded = (all: CallEvent[]) =>
      all.filter(({ phase }) => phase === 'recorded').map(({ key }) => key)
    expect(recorded(again).sort()).toEqual(recorded(events).sort())
    expect(again.filter(({ phase }) => phase === 'ended')).toHaveLength(253)
    expect(world.sent.filter(({ url }) => url.pathname.endsWith('/call-log'))).toHaveLength(2)
    expect((await listed(world)).map(({ key }) => key)).toEqual(again.map(({ key }) => key))
  })
  it('says the same of a call as its session', async () => {
    for (const changes of [{}, { direction: 'outbound' }, { result: 'busy' }] as Partial<SampleCall>[]) {
      const world = account()
      const call = sample(changes)
      if (call.result !== 'answered') delete call.audio
      const { direction, result, customer, startedAt, endedAt } = fold(played(world, call))
      expect(fold(await listed(world))).toMatchObject({ direction, result, customer, startedAt, endedAt })
    }
  })
  it('has no call before half a minute, and is asked for those that began earlier', async () => {
    const world = account()
    played(world, sample({ startedAt: NOW - 69_000 }))
    expect(await listed(world)).toEqual([])
    world.clock.now += 30_000
    expect(await listed(world)).toHaveLength(2)
    expect(decodeURIComponent(world.sent.at(-1)?.url.search ?? '')).toContain(
      'dateFrom=2026-03-04T06:30:00.000Z',
    )
  })
  it.each([
    ['Accepted', 'inbound', 'answered'],
    ['Call connected', 'outbound', 'answered'],
    ['Missed', 'inbound', 'no_answer'],
    ['Hang Up', 'inbound', 'abandoned'],
    ['Hang Up', 'outbound', 'no_answer'],
    ['Declined', 'inbound', 'rejected'],
    ['Voicemail', 'inbound', 'voicemail'],
    ['Busy', 'outbound', 'busy'],
    ['No Answer', 'outbound', 'no_answer'],
    ['Rejected', 'inbound', 'rejected'],
    ['Blocked', 'inbound', 'rejected'],
    ['Abandoned', 'inbound', 'abandoned'],
    ['Wrong Number', 'outbound', 'failed'],
    ['constructor', 'inbound', 'failed'],
    ['Unknown', 'inbound', undefined],
  ] as const)('%s %s is %s', (said, direction, result) => {
    expect(resultOf(said, direction)).toBe(result)
  })
  it('leaves out faxes and calls under way, and reads those of extensions', () => {
    const row = {
      id: 'r',
      telephonySessionId: 's-1',
      startTime: '2026-03-04T11:20:00.594Z',
      durationMs: 137_060,
    }
    const parsed = (more: object) => record.parse({ ...row, type: 'Voice', result: 'Accepted', ...more })
    expect([{}, { type: 'Fax' }, { result: 'In Progress' }].map((more) => isFinished(parsed(more)))).toEqual([
      true,
      false,
      false,
    ])
    const internal = parsed({
      direction: 'Outbound',
      from: { extensionNumber: '101' },
      to: { extensionNumber: '102' },
    })
    const ctx = { config: config.parse(SETTINGS), region: 'FR' }
    expect(fold(toRecordEvents(internal, ctx))).toMatchObject({ direction: 'internal', totalMs: 137_060 })
    const legs = [
      { master: true, result: 'Accepted', duration: 137, extension: { id: 1 }, recording: { id: '5' } },
      { result: 'Missed', duration: 200, extension: { id: 2 } },
      { result: 'Accepted', duration: 127, extension: { id: 62264425016 }, recording: { id: 6 } },
    ]
    const queued = fold(
      toRecordEvents(parsed({ direction: 'Inbound', from: { phoneNumber: '+33639980142' }, legs }), ctx),
    )
    expect(queued).toMatchObject({ talkMs: 127_000, agent: { id: '62264425016' } })
    expect(queued.recordings.map(({ key }) => key)).toEqual(['5', '6'])
    const passedOn = [
      { result: 'Accepted', duration: 20, startTime: '2026-03-04T11:21:00Z', extension: { id: 8 } },
      { result: 'Accepted', duration: 90, startTime: '2026-03-04T11:20:10Z', extension: { id: 7 } },
    ]
    const inbound = { direction: 'Inbound', from: { phoneNumber: '+33639980142' }, legs: passedOn }
    expect(fold(toRecordEvents(parsed(inbound), ctx))).toMatchObject({ talkMs: 90_000, agent: { id: '8' } })
  })
})

describe('a recording', () => {
  const heard = (world: Account, change: Partial<Recording> = {}) => {
    const call = callSchema.parse(JSON.parse(JSON.stringify(fold(played(world, sample())))))
    const [recording] = call.recordings
    if (!recording) throw new Error('no recording')
    return fetchRecording?.({ ...recording, ...change }, call, world.ctx)
  }
  it('is fetched by its id from the media host', async () => {
    const world = account()
    const response = await heard(world)
    expect(new Uint8Array((await response?.arrayBuffer()) ?? [])).toEqual(new Uint8Array([1, 2, 3]))
    const last = world.sent.at(-1)
    expect(last?.url.host).toBe('media.ringcentral.com')
    expect(last?.url.pathname).toMatch(/^\/restapi\/v1\.0\/account\/~\/recording\/\d+\/content$/)
  })
  it.each([
    [
      'https://media.ringcentral.com:443/restapi/v1.0/account/1/recording/9/content',
      '/account/1/recording/9/',
    ],
    ['https://media.ringcentral.com.example.com/restapi/v1.0/account/1/recording/9/content', '/account/~/'],
    ['https://evilringcentral.com/restapi/v1.0/account/1/recording/9/content', '/account/~/'],
    ['http://media.ringcentral.com/restapi/v1.0/account/1/recording/9/content', '/account/~/'],
  ])('at %s is asked for at %s', async (url, path) => {
    const world = account()
    await failure(heard(world, { url }))
    expect(world.sent.at(-1)?.url.host).toBe('media.ringcentral.com')
    expect(world.sent.at(-1)?.url.pathname).toContain(path)
  })
  it('that is not there is waited for within the hour, and given up after it', async () => {
    const world = account()
    expect(await failure(heard(world, { key: '1' }))).toMatchObject({ code: 'not_found', retry: 'later' })
    world.clock.now += 3_600_000
    expect(await failure(heard(world, { key: '1' }))).toMatchObject({ code: 'not_found', retry: 'never' })
  })
})

describe('the subscription', () => {
  const made = (world: Account) => world.vendor.book().filter(({ kind }) => kind === 'subscription')
  it('is made once, for twenty years, with the token', async () => {
    const world = account()
    await subscribe?.(HOOK, world.ctx)
    const [once] = made(world)
    await subscribe?.(HOOK, world.ctx)
    expect(made(world).map(({ id }) => id)).toEqual([once?.id])
    expect(made(world)).toMatchObject([
      { fields: { status: 'Active', deliveryMode: { address: HOOK }, expiresIn: 630_720_000 } },
    ])
    const wish = JSON.parse(
      String(
        world.sent.find(({ method, url }) => method === 'POST' && url.pathname.endsWith('/subscription'))
          ?.body,
      ),
    )
    expect(wish.deliveryMode.verificationToken).toBe(SETTINGS.verificationToken)
    expect(wish.eventFilters).toEqual(['/restapi/v1.0/account/~/telephony/sessions'])
    expect(world.delivered[0]?.headers['validation-token']).toMatch(/^[\da-f]{32}$/)
  })
  it('that is blacklisted is a warning, and is replaced', async () => {
    const world = account()
    expect((await connector.check(world.ctx)).warnings?.[0]?.what).toContain('no subscription')
    await subscribe?.(HOOK, world.ctx)
    expect((await connector.check(world.ctx)).warnings).toBeUndefined()
    const [first] = made(world)
    if (!first) throw new Error('no subscription')
    first.fields.status = 'Blacklisted'
    const { warnings } = await connector.check(world.ctx)
    expect(warnings?.[0]?.what).toContain('Blacklisted')
    await subscribe?.(HOOK, world.ctx)
    expect(made(world)).toHaveLength(1)
    expect(made(world)[0]?.id).not.toBe(first.id)
  })
  it('of another address is neither taken for ours nor touched, dead or alive', async () => {
    const world = account()
    for (const path of ['other', 'dead']) await subscribe?.(`https://hooks.example.com/${path}`, world.ctx)
    const [other, dead] = made(world)
    if (!other || !dead) throw new Error('no subscriptions')
    dead.fields.status = 'Blacklisted'
    await subscribe?.(HOOK, world.ctx)
    expect(made(world)).toHaveLength(3)
    expect(made(world).slice(0, 2)).toEqual([other, dead])
  })
})

describe('the token', () => {
  it('is asked for once, and anew when it has ended', async () => {
    const world = account()
    await connector.check(world.ctx)
    await connector.check(world.ctx)
    const asked = () => world.sent.filter(({ url }) => url.pathname === '/restapi/oauth/token')
    expect(asked()).toHaveLength(1)
    expect(String(asked()[0]?.body)).toContain('grant-type%3Ajwt-bearer')
    world.clock.now += 60_000
    world.vendor.fail({ fault: { kind: 'status', status: 401 }, path: '/extension/' })
    await connector.check(world.ctx)
    expect(asked()).toHaveLength(2)
  })
  it.each([{ jwt: 'another-jwt' }, { clientSecret: 'another-secret' }])(
    '%j does not get is `auth`',
    async (keys) => {
      expect(await failure(connector.check(account(keys).ctx))).toMatchObject({ code: 'auth' })
    },
  )
})
