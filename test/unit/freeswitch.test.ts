import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { connector } from '../../connectors/freeswitch/connector.ts'
import { createSandbox } from '../../connectors/freeswitch/sandbox.ts'
import { config } from '../../connectors/freeswitch/schema.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import { foldEvents, progressOf } from '../../src/call/merge.ts'
import { createContext } from '../../src/connector/context.ts'
import { inboundRequest } from '../../src/connector/request.ts'
import type { SampleCall } from '../../src/connector/sandbox.ts'
import { createMemoryTokens } from '../../src/connector/tokens.ts'
import { parseXml, type XmlElement } from '../../src/connector/xml.ts'
import { asCordboardError } from '../../src/errors.ts'
import { fetchFrom } from '../kit/in-process.ts'
import { testSigner } from '../kit/signer.ts'

const FOLDER = new URL('../../connectors/freeswitch/', import.meta.url)
const NOW = Date.parse('2026-03-04T11:30:00.000Z')
const SETTINGS = {
  credentials: 'cdr:folder-of-legs-0001',
  dialPrefix: '9',
  recordingsPath: '/var/rec',
  baseUrl: 'https://pbx.example.com',
  user: 'cordboard',
  password: 'folder-password-0002',
}
const silent = () => undefined
const { webhook, recording: fetchRecording } = connector.telephony ?? {}

function read(body: string, query = '', keys: Record<string, unknown> = {}): CallEvent[] {
  const request = inboundRequest({
    method: 'POST',
    url: `https://hooks.example.com/hooks/pbx${query && `?${query}`}`,
    path: '',
    headers: [['content-type', 'application/json']],
    body: new TextEncoder().encode(body),
    receivedAt: new Date(NOW).toISOString(),
  })
  const context = { connection: 'pbx', config: config.parse({ ...SETTINGS, ...keys }), region: 'FR' }
  const received = webhook?.receive(request, context)
  return received && 'events' in received ? received.events : []
}
const fold = (events: CallEvent[]) => foldEvents(events, { id: 'call_1', connection: 'pbx' })
const bodyOf = (fixture: string) =>
  (
    JSON.parse(readFileSync(new URL(`fixtures/${fixture}.json`, FOLDER), 'utf8')) as {
      request: { body: string }
    }
  ).request.body
const eventsOf = (...fixtures: string[]) => fixtures.flatMap((name) => read(bodyOf(name)))

describe('the legs of one call', () => {
  it('in any order: the caller’s leg is the call, the one that answered is the agent', () => {
    const legs = ['in-rang-too', 'in-agent', 'in-caller']
    const call = fold(eventsOf(...legs))
    expect(call).toEqual(fold(eventsOf(...legs.toReversed())))
    expect(call).toMatchObject({
      direction: 'inbound',
      result: 'answered',
      startedAt: '2026-03-04T11:22:33.120Z',
      answeredAt: '2026-03-04T11:22:41.030Z',
      endedAt: '2026-03-04T11:23:45.100Z',
      customer: { phone: '+33639980142', name: 'Jean' },
      agent: { extension: '101', name: 'Alice Martin' },
      recordings: [{ state: 'ready', tracks: { left: 'customer', right: 'agent' } }],
    })
    expect(call.legs.map(({ agent, result }) => [agent?.extension, result])).toEqual([
      ['101', 'answered'],
      ['102', 'no_answer'],
    ])
  })

  it('a call is not over while only the legs that were called have posted', () => {
    expect(progressOf(eventsOf('in-agent', 'in-rang-too')).ended).toBe(false)
    expect(progressOf(eventsOf('in-agent', 'in-caller')).ended).toBe(true)
  })

  it('a leg finds its caller by its variables where its profile does not say it', () => {
    const cdr = JSON.parse(bodyOf('in-agent')) as { callflow: { caller_profile: object }[] }
    const [flow] = cdr.callflow
    const profile = { ...flow?.caller_profile, originator: undefined }
    const callflow = [{ ...flow, caller_profile: profile }]
    const [event] = read(JSON.stringify({ ...cdr, callflow }))
    expect(event).toMatchObject({ callId: '3f1c2a54-7b0e-4f0e-9d43-0c5d0e7f9a11', phase: 'answered' })
  })

  it('of a queue’s call the talk begins with the agent, who is in the queue', () => {
    expect(fold(eventsOf('in-queue-agent', 'in-queue-caller'))).toMatchObject({
      result: 'answered',
      answeredAt: '2026-03-04T11:23:00.500Z',
      agent: { extension: '101', name: 'Alice Martin', group: 'sales@default' },
      segment: 'sales',
      reference: 'R-77',
    })
  })

  it('of a call to the outside the customer is the number that was dialled, without its prefix', () => {
    expect(fold(eventsOf('out-customer', 'out-agent'))).toMatchObject({
      direction: 'outbound',
      customer: { phone: '+33639980142' },
      agent: { extension: '101', name: 'Alice Martin' },
      recordings: [{ tracks: { left: 'agent', right: 'customer' } }],
    })
  })

  /** in-caller with other variables. */
  const caller = (variables: Record<string, unknown>, keys: Record<string, unknown> = {}) => {
    const cdr = JSON.parse(bodyOf('in-caller')) as { variables: Record<string, unknown> }
    return fold(read(JSON.stringify({ ...cdr, variables: { ...cdr.variables, ...variables } }), '', keys))
  }

  it.each([
    [{ RECORD_STEREO_SWAP: 'true' }, { left: 'agent', right: 'customer' }],
    [{ RECORD_STEREO_SWAP: 'false' }, { left: 'customer', right: 'agent' }],
    [{ RECORD_STEREO: 'false' }, undefined],
    [{ RECORD_READ_ONLY: 'true' }, undefined],
    [{ RECORD_WRITE_ONLY: 'yes' }, undefined],
  ])('who is on which track: %j', (variables, tracks) => {
    expect(caller(variables).recordings[0]?.tracks).toEqual(tracks)
  })

  it.each([
    '/var/other/x.wav',
    '/var/recx/x.wav',
    '/var/rec/../x.wav',
    '/var/rec/a//x.wav',
    '/var/rec/.x.wav',
    '/var/rec/a\\x.wav',
    'http_cache://x.wav',
  ])('a recording at %s is not one that is served', (path) => {
    const recordings = caller({ cordboard_recording: path }).recordings.map(({ key }) => key)
    expect(recordings).toEqual(['2026/03/04/3f1c2a54-7b0e-4f0e-9d43-0c5d0e7f9a11.wav'])
  })

  it('a profile that leads outside is named by the operator', () => {
    expect(caller({}, { profiles: ['carrier'] }).direction).toBe('outbound')
    expect(caller({ cordboard_direction: 'internal' }).direction).toBe('internal')
  })

  it('releases that repeat the key callflow are read by their last one, and by what the variables say', () => {
    const { callflow, ...rest } = JSON.parse(bodyOf('out-agent')) as {
      callflow: { caller_profile: { originatee?: unknown } }[]
      variables: Record<string, string>
    }
    const [newest] = callflow
    const { originatee: _, ...profile } = newest?.caller_profile ?? {}
    const oldest = { caller_profile: { ...profile, destination_number: '33' }, times: { bridged_time: '0' } }
    const variables = { ...rest.variables, bridge_channel: 'sofia/external/0639980142' }
    const head = JSON.stringify({ ...rest, variables }).slice(0, -1)
    const body = `${head},"callflow":${JSON.stringify(newest)},"callflow":${JSON.stringify(oldest)}}`
    expect(fold(read(body))).toMatchObject({
      direction: 'outbound',
      result: 'answered',
      answeredAt: '2026-03-04T11:22:41.000Z',
      dialed: { phoneRaw: '33' },
    })
  })

  it('the uuid of the URL is that of the CDR, with a_ or without', () => {
    const body = bodyOf('in-caller')
    const uuid = '3f1c2a54-7b0e-4f0e-9d43-0c5d0e7f9a11'
    for (const query of ['', `uuid=${uuid}`, `uuid=a_${uuid}`]) expect(read(body, query)).toHaveLength(1)
    expect(() => read(body, `uuid=b_${uuid}`)).toThrow(/not that of the CDR/)
  })
})

function pbx(keys: Record<string, unknown> = {}) {
  const settings = { ...SETTINGS, ...keys }
  const clock = { now: NOW }
  let seed = 7
  const random = () => {
    seed = (seed * 16807) % 2147483647
    return seed / 2147483647
  }
  const vendor = createSandbox({
    now: () => clock.now,
    random,
    later: silent,
    baseUrl: 'https://pbx.example.com',
    signer: testSigner,
    account: SETTINGS,
    deliver: async () => ({ status: 202 }),
    transcriptOf: () => null,
  })
  const parsed = config.parse(settings)
  const ctx = createContext({
    connection: {
      id: 'pbx',
      connector,
      settings: parsed,
      region: 'FR',
      allowPrivate: [],
      concurrency: 1,
      recordingWaitMs: undefined,
      secrets: [],
    },
    publicUrl: undefined,
    http: fetchFrom(vendor.app),
    budgets: { take: () => 0 },
    tokens: createMemoryTokens({ now: () => clock.now }),
    now: () => clock.now,
    random,
    log: { debug: silent, info: silent, warn: silent, error: silent },
    signal: new AbortController().signal,
  })
  return { vendor, clock, ctx: { ...ctx, config: parsed } }
}

const sample = (changes: Partial<SampleCall> = {}): SampleCall => ({
  id: 'one',
  direction: 'inbound',
  customerPhone: '+33639980142',
  ownPhone: '+33199001234',
  agent: { extension: '101', name: 'Alice Martin' },
  result: 'answered',
  startedAt: NOW - 600_000,
  ringMs: 8000,
  talkMs: 60_000,
  audio: { bytes: new Uint8Array([1, 2, 3]), format: 'wav', durationMs: 60_000 },
  ...changes,
})

describe('the switch’s stand-in', () => {
  it.each([
    [sample(), { direction: 'inbound', result: 'answered', talkMs: 60_000, ringMs: 8000 }],
    [sample({ direction: 'outbound' }), { direction: 'outbound', result: 'answered', talkMs: 60_000 }],
    [sample({ result: 'no_answer' }), { direction: 'inbound', result: 'no_answer' }],
    [sample({ direction: 'outbound', result: 'busy' }), { direction: 'outbound', result: 'busy' }],
  ])('plays a call (%#)', (call, wanted) => {
    const events = (pbx().vendor.place?.(call) ?? []).flatMap(({ body, query }) => read(body, query))
    const wantsAgent = call.result === 'answered' || call.direction === 'outbound'
    expect(fold(events)).toMatchObject({
      ...wanted,
      customer: { phone: '+33639980142' },
      ...(wantsAgent ? { agent: { extension: '101', name: 'Alice Martin' } } : {}),
    })
    expect(progressOf(events)).toEqual({
      ended: true,
      recording: call.result === 'answered' ? 'ready' : 'none',
    })
  })

  it('gives its recordings to who has the password; a missing one may come for a quarter of an hour', async () => {
    const { vendor, ctx, clock } = pbx()
    const call = fold((vendor.place?.(sample()) ?? []).flatMap(({ body }) => read(body)))
    const [recording] = call.recordings
    if (!recording || !fetchRecording) throw new Error('no recording')
    const response = await fetchRecording(recording, call, ctx)
    expect([...new Uint8Array(await response.arrayBuffer())]).toEqual([1, 2, 3])
    expect((await connector.check(ctx)).says).toMatch(/403/)
    const ask = async () =>
      fetchRecording({ ...recording, key: 'a/missing.wav' }, call, ctx).then(() => null, asCordboardError)
    expect(await ask()).toMatchObject({ code: 'not_found', retry: 'later' })
    clock.now += 15 * 60_000
    expect(await ask()).toMatchObject({ code: 'not_found', retry: 'never' })
    expect(await asked(pbx({ password: 'another-password' }), recording.key)).toMatchObject({ code: 'auth' })
    expect(await asked(pbx({ baseUrl: undefined }), recording.key)).toMatchObject({ code: 'not_found' })
  })

  const asked = async ({ ctx }: ReturnType<typeof pbx>, key: string) =>
    fetchRecording?.({ key, state: 'ready' }, fold(eventsOf('in-caller')), ctx).then(
      () => null,
      asCordboardError,
    )

  it('without baseUrl CDRs are taken, and the check says what is missing', async () => {
    const { ctx } = pbx({ baseUrl: undefined })
    expect((await connector.check(ctx)).warnings?.[0]?.what).toMatch(/no baseUrl/)
  })
})

describe('the configuration for the switch', () => {
  const file = (name: string) => parseXml(readFileSync(new URL(`pbx/${name}`, FOLDER), 'utf8'))
  const all = (element: XmlElement, name: string): XmlElement[] => [
    ...(element.name === name ? [element] : []),
    ...element.children.flatMap((child) => all(child, name)),
  ]

  it.each([
    ['json_cdr', { encode: 'false', 'encode-values': 'false' }],
    ['xml_cdr', { encode: 'textxml' }],
  ])('%s posts all legs, checks certificates, tries again, in a form that is read', (module, own) => {
    const root = file(`${module}.conf.xml`)
    expect(root).toMatchObject({ name: 'configuration', attributes: { name: `${module}.conf` } })
    const params = Object.fromEntries(all(root, 'param').map(({ attributes: a }) => [a.name, a.value]))
    expect(params).toMatchObject({
      ...own,
      'auth-scheme': 'basic',
      'enable-cacert-check': 'true',
      'enable-ssl-verifyhost': 'true',
      'log-b-leg': 'true',
      retries: '3',
    })
    // The module appends its own query.
    expect(params.url).toMatch(/^https:\/\/[^?]+$/)
    expect(config.shape.credentials.safeParse(params.cred).success).toBe(true)
  })

  it('the dialplan records what it names to us, once, and lets the call go on', () => {
    const root = file('dialplan.xml')
    expect(root).toMatchObject({ name: 'extension', attributes: { continue: 'true' } })
    const actions = all(root, 'action').map(({ attributes: a }) => [a.application, a.data])
    const named = actions.findIndex(([, data]) => data?.startsWith('cordboard_recording='))
    expect(actions.indexOf(actions.find(([app]) => app === 'record_session') ?? [])).toBeGreaterThan(named)
    expect(actions.at(-1)).toEqual(['record_session', `\${cordboard_recording}`])
    expect(all(root, 'condition')[0]?.attributes).toEqual({
      field: `\${cordboard_recording}`,
      expression: '^$',
    })
    expect(actions).toContainEqual(['set', 'RECORD_STEREO=true'])
  })
})
