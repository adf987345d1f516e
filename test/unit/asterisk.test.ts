import { spawn, spawnSync } from 'node:child_process'
import { createHmac } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { recordingAddress } from '../../connectors/asterisk/client.ts'
import { connector } from '../../connectors/asterisk/connector.ts'
import { createSandbox } from '../../connectors/asterisk/sandbox.ts'
import { config, record } from '../../connectors/asterisk/schema.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import { foldEvents, progressOf } from '../../src/call/merge.ts'
import { createContext } from '../../src/connector/context.ts'
import { inboundRequest } from '../../src/connector/request.ts'
import type { SampleCall } from '../../src/connector/sandbox.ts'
import { createMemoryTokens } from '../../src/connector/tokens.ts'
import { verifyRequest } from '../../src/connector/verify.ts'
import { asCordboardError } from '../../src/errors.ts'
import { fetchFrom } from '../kit/in-process.ts'
import { testSigner, verifier } from '../kit/signer.ts'

const FOLDER = new URL('../../connectors/asterisk/', import.meta.url)
const SCRIPT = fileURLToPath(new URL('pbx/cordboard-asterisk.sh', FOLDER))
const SECRET = '4f7c1d0a9b3e5c2f8d6a1b0c'
const SETTINGS = { secret: SECRET, trunks: ['provider', 'DAHDI/i1'], timeZone: 'Europe/Paris' }
const NOW = Date.parse('2026-03-04T11:30:00.000Z')
const silent = () => undefined
const { webhook, recording: fetchRecording } = connector.telephony ?? {}

function read(body: string, keys: Record<string, unknown> = {}): CallEvent[] {
  const request = inboundRequest({
    method: 'POST',
    url: 'https://hooks.example.com/hooks/pbx',
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
const eventsOf = (fixture: string) =>
  read(
    (
      JSON.parse(readFileSync(new URL(`fixtures/${fixture}.json`, FOLDER), 'utf8')) as {
        request: { body: string }
      }
    ).request.body,
  )

describe('the records of one call', () => {
  it('who rang in vain, before or after, does not make an answered call a missed one', () => {
    const transfer = fold(eventsOf('in-transfer'))
    expect(transfer).toMatchObject({
      direction: 'inbound',
      result: 'answered',
      disconnectReason: 'ANSWERED',
      agent: { id: 'bob', name: 'Bob Keller' },
      customer: { phone: '+33639980142' },
    })
    expect(transfer.legs.map(({ result }) => result)).toEqual(['answered', 'answered', 'no_answer'])
    expect(transfer.recordings).toHaveLength(1)
  })

  it('of a queue’s call the talk begins when the agent took it, not when the queue did', () => {
    const events = [...eventsOf('in-queue'), ...eventsOf('in-queue-recorded')]
    expect(fold(events)).toMatchObject({
      result: 'answered',
      answeredAt: '2026-03-04T11:23:30.250Z',
      talkMs: 59_750,
      agent: { extension: '101', name: 'Alice Martin', group: '600' },
      customer: { phone: '+33639980142', name: 'Jean Dupont' },
      recordings: [{ state: 'ready', bytes: 960_044 }],
    })
  })

  it('a call that ended in the voicemail was no answered one', () => {
    expect(fold(eventsOf('in-missed-then-voicemail'))).toMatchObject({ result: 'voicemail' })
  })

  it('who left the menu gave up; behind a menu an extension that nobody took makes a missed call', () => {
    expect(fold(eventsOf('in-left-in-the-menu'))).toMatchObject({ result: 'abandoned' })
    expect(fold(eventsOf('in-menu-then-nobody'))).toMatchObject({
      result: 'no_answer',
      customer: { phone: '+33639980142', name: 'Zoé "x" Y' },
    })
  })

  it('a recording is waited for until the script has seen it closed, and not at all when it is empty', () => {
    const [announced, closed] = [eventsOf('in-answered'), eventsOf('in-recorded')]
    expect(progressOf(announced).recording).toBe('pending')
    expect(progressOf([...announced, ...closed]).recording).toBe('ready')
    const row = '"uniqueid":"1772623700.160","start":"1772623700","end":"1772623710"'
    const named = `{"rows":[{${row},"disposition":"ANSWERED","recordingfile":"20260304-122820-1772623700.160.wav"}]}`
    expect(progressOf([...read(named), ...eventsOf('in-recorded-empty')]).recording).toBe('none')
  })

  it.each([
    ['PJSIP/provider-00000041', 'inbound'],
    ['PJSIP/provider-paris-00000041', 'internal'],
    ['DAHDI/i1/0639980142-2', 'inbound'],
    ['PJSIP/101-00000041', 'internal'],
    ['Local/101@from-internal-00000041;1', 'internal'],
  ])('a call of %s is %s', (channel, direction) => {
    const row = {
      uniqueid: '1.1',
      start: '1772623700',
      channel,
      dstchannel: 'PJSIP/102-00000001',
      dst: '102',
    }
    const [event] = read(JSON.stringify({ rows: [row] }))
    expect(event?.facts.direction).toBe(direction)
  })

  it('a trunk that nobody named shows itself where FreePBX wrote the called or the shown number', () => {
    const row = {
      uniqueid: '1.1',
      start: '1772623700',
      channel: 'PJSIP/other-00000041',
      dstchannel: 'PJSIP/101-1',
    }
    const [inbound] = read(JSON.stringify({ rows: [{ ...row, did: '33199001234', dst: '101' }] }))
    expect(inbound?.facts).toMatchObject({ direction: 'inbound', dialed: { phone: '+33199001234' } })
    const out = {
      channel: 'PJSIP/101-1',
      dstchannel: 'PJSIP/other-00000041',
      dst: '3300',
      outbound_cnum: '33199001234',
    }
    const [outbound] = read(JSON.stringify({ rows: [{ ...row, ...out }] }))
    expect(outbound?.facts).toMatchObject({ direction: 'outbound', from: { phone: '+33199001234' } })
  })

  it.each([
    ['Local/101@from-queue-0000001a;1', { extension: '101' }],
    ['Local/FMPR-101@from-internal-0000001a;1', { extension: '101' }],
    ['Local/sales@queues-0000001a;1', undefined],
    ['PJSIP/alice-00000042', { id: 'alice' }],
    ['PJSIP/provider-00000042', undefined],
  ])('of %s the agent is %j', (dstchannel, agent) => {
    const row = { uniqueid: '1.1', start: '1772623700', disposition: 'ANSWERED', channel: 'PJSIP/provider-1' }
    expect(fold(read(JSON.stringify({ rows: [{ ...row, dstchannel }] }))).agent).toEqual(agent)
  })

  it('a prefix is taken off numbers of the outside only', () => {
    const row = { uniqueid: '1.1', start: '1772623700', channel: 'PJSIP/101-1', dstchannel: 'PJSIP/102-1' }
    const dialed = (dst: string) =>
      read(JSON.stringify({ rows: [{ ...row, dst }] }), { dialPrefix: '9' })[0]?.facts.dialed?.phoneRaw
    expect([dialed('9101'), dialed('90639980142')]).toEqual(['9101', '0639980142'])
  })

  it('local times of a zone that nobody named cannot be read, and it says what to set', () => {
    const body = '{"rows":[{"uniqueid":"1.1","calldate":"2026-03-04 12:00:00"}]}'
    expect(() => read(body, { timeZone: undefined })).toThrow(/zone not known/)
    expect(read(body, { timeZone: 'America/New_York' })[0]?.facts.startedAt).toBe('2026-03-04T17:00:00.000Z')
  })
})

describe('where a recording lies', () => {
  const at = (file: string, keys: Record<string, unknown> = {}) =>
    recordingAddress(file, config.parse({ ...SETTINGS, baseUrl: 'https://pbx.example.com/rec/', ...keys }))

  it.each([
    ['20260304-122233-1772623353.128.wav', '/rec/2026/03/04/20260304-122233-1772623353.128.wav'],
    [
      'in-+33-1-99-20260304-132233-pbx1-1772623353.128.WAV',
      '/rec/2026/03/04/in-%2B33-1-99-20260304-132233-pbx1-1772623353.128.WAV',
    ],
    ['1772623353.128.mp3', '/rec/1772623353.128.mp3'],
    [
      'out-20250101-101010-20260304-122233-1.2.wav',
      '/rec/2026/03/04/out-20250101-101010-20260304-122233-1.2.wav',
    ],
    ['a?b#c.wav', '/rec/a%3Fb%23c.wav'],
  ])('%s is fetched from %s', (file, path) => {
    expect(at(file)).toBe(`https://pbx.example.com${path}`)
  })

  it('ARI names it without its extension, folders and all', () => {
    expect(at('20260304-122233-1.2.wav', { recordings: 'ari' })).toBe(
      'https://pbx.example.com/rec/recordings/stored/2026%2F03%2F04%2F20260304-122233-1.2/file',
    )
  })
})

function pbx(keys: Record<string, unknown> = {}) {
  const settings = {
    ...SETTINGS,
    baseUrl: 'https://pbx.example.com',
    user: 'ariuser',
    password: 'aripass',
    ...keys,
  }
  const clock = { now: NOW }
  const sent: (string | undefined)[] = []
  const vendor = createSandbox({
    now: () => clock.now,
    random: () => 0.5,
    later: silent,
    baseUrl: 'https://pbx.example.com',
    signer: testSigner,
    account: settings,
    deliver: async () => ({ status: 202 }),
    transcriptOf: () => null,
  })
  const direct = fetchFrom(vendor.app)
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
    http: (url, request) => {
      sent.push(request.headers.authorization)
      return direct(url, request)
    },
    budgets: { take: () => 0 },
    tokens: createMemoryTokens({ now: () => clock.now }),
    now: () => clock.now,
    random: () => 0.5,
    log: { debug: silent, info: silent, warn: silent, error: silent },
    signal: new AbortController().signal,
  })
  return { vendor, clock, sent, ctx: { ...ctx, config: parsed } }
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
  audio: { bytes: new Uint8Array(100).fill(7), format: 'wav', durationMs: 60_000 },
  ...changes,
})

describe('the PBX’s stand-in', () => {
  it.each([
    [sample(), { direction: 'inbound', result: 'answered', talkMs: 60_000, ringMs: 8000 }],
    [sample({ direction: 'outbound' }), { direction: 'outbound', result: 'answered', talkMs: 60_000 }],
    [sample({ result: 'no_answer' }), { direction: 'inbound', result: 'no_answer' }],
    [sample({ direction: 'outbound', result: 'busy' }), { direction: 'outbound', result: 'busy' }],
  ])('plays a call (%#)', (call, wanted) => {
    const events = (pbx().vendor.place?.(call) ?? []).flatMap(({ body }) => read(body))
    expect(fold(events)).toMatchObject({ ...wanted, customer: { phone: '+33639980142' } })
    expect(progressOf(events)).toEqual({
      ended: true,
      recording: call.result === 'answered' ? 'ready' : 'none',
    })
  })

  it.each(['folder', 'ari'])('gives its recordings (%s) to who has the password', async (recordings) => {
    const { vendor, ctx, sent } = pbx({ recordings })
    const call = fold((vendor.place?.(sample()) ?? []).flatMap(({ body }) => read(body)))
    const [recording] = call.recordings
    if (!recording || !fetchRecording) throw new Error('no recording')
    const response = await fetchRecording(recording, call, ctx)
    expect(new Uint8Array(await response.arrayBuffer())).toEqual(new Uint8Array(100).fill(7))
    expect(sent).toEqual(['Basic YXJpdXNlcjphcmlwYXNz'])
    expect((await connector.check(ctx)).says).toMatch(recordings === 'ari' ? /Asterisk 22/ : /403/)
  })

  it('a file that is missing may still come for a quarter of an hour, and then not any more', async () => {
    const { ctx, clock } = pbx()
    const call = fold(eventsOf('in-answered'))
    const missing = { key: '20260304-122233-9.9.wav', state: 'ready' as const }
    const ask = async () => fetchRecording?.(missing, call, ctx).then(() => null, asCordboardError)
    expect(await ask()).toMatchObject({ code: 'not_found', retry: 'later' })
    clock.now += 15 * 60_000
    expect(await ask()).toMatchObject({ code: 'not_found', retry: 'never' })
  })

  it('without baseUrl records are taken, and the check says what is missing', async () => {
    const { ctx } = pbx({ baseUrl: undefined })
    expect((await connector.check(ctx)).warnings?.[0]?.what).toMatch(/no baseUrl/)
  })
})

/**
 * The script as it is, against a server that decides as ours does: it needs sh, curl and openssl, which an Asterisk
 * machine has too.
 */
describe('the script on the PBX', () => {
  let folder = ''
  let server: Server
  let status = 202
  let received: { events: CallEvent[]; why: string | undefined; body: string }[] = []
  const spool = () => readdirSync(join(folder, 'spool')).filter((name) => name !== 'lock')

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'cordboard-asterisk-'))
    received = []
    status = 202
    server = createServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', async () => {
        const raw = {
          method: request.method ?? '',
          url: 'https://hooks.example.com/hooks/pbx',
          path: '',
          headers: Object.entries(request.headers).map(([name, value]): [string, string] => [
            name,
            `${value}`,
          ]),
          body: new Uint8Array(Buffer.concat(chunks)),
          receivedAt: new Date().toISOString(),
        }
        const verification = webhook?.verify(config.parse(SETTINGS))
        if (!verification) throw new Error('no webhook')
        const verified = await verifyRequest(inboundRequest(raw), verification, {
          now: Date.now(),
          signer: verifier,
        })
        const body = new TextDecoder().decode(raw.body)
        const why = verified.ok ? undefined : verified.reason
        received.push({ events: verified.ok ? read(body) : [], why, body })
        response.writeHead(verified.ok ? status : 401).end()
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    settings(SECRET)
  })
  afterEach(async () => {
    await new Promise((resolve) => server.close(resolve))
    rmSync(folder, { recursive: true, force: true })
  })

  function settings(secret: string): void {
    const { port } = server.address() as AddressInfo
    const lines = [
      `URL=http://127.0.0.1:${port}/hooks/pbx`,
      `SECRET='${secret}'`,
      `RECORDS=${folder}/cordboard.csv`,
      `RECORDINGS=${folder}/monitor`,
      `SPOOL=${folder}/spool`,
    ]
    writeFileSync(join(folder, 'settings'), lines.join('\n'))
  }

  /** Not spawnSync: the server runs in this process. */
  function run(...args: string[]): Promise<{ code: number | null; said: string }> {
    const child = spawn('sh', [SCRIPT, ...args], {
      env: { PATH: process.env.PATH, TZ: 'UTC', CORDBOARD_CONF: join(folder, 'settings') },
    })
    let said = ''
    child.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString()
    })
    return new Promise((resolve) => child.on('close', (code) => resolve({ code, said })))
  }
  /** As Asterisk 22.10.1 wrote it (2026-11-27), with another number. */
  const row = (serial: number, { clid = '"" <>', src = '' } = {}) =>
    `"1772623353.120345","0.000000","1772623425.100456",${[clid, src].map((one) => `"${one.replaceAll('"', '""')}"`).join()},"101","PJSIP/provider-00000001","","Dial","PJSIP/101,30","BUSY","","1772623353.${serial}","1772623353.${serial}","${serial}","33199001234","","","","",""\n`

  it('sends the records that Asterisk wrote, signed, and leaves nothing behind', async () => {
    writeFileSync(
      join(folder, 'cordboard.csv'),
      row(1) + row(2, { clid: '"Zo\u00eb \\"x\\" \\\\ Y, ","" <33639980142>', src: '33639980142' }),
    )
    expect(await run('send')).toEqual({ code: 0, said: '' })
    expect(received.map(({ why }) => why)).toEqual([undefined])
    expect(received[0]?.events.map(({ callId }) => callId)).toEqual(['1772623353.1', '1772623353.2'])
    expect(received[0]?.events[1]?.facts).toMatchObject({
      from: { phone: '+33639980142' },
      customer: { name: 'Zo\u00eb "x" \\ Y, ","' },
      result: 'busy',
      startedAt: '2026-03-04T11:22:33.120Z',
    })
    expect(spool()).toEqual([])
    expect(await run('send')).toEqual({ code: 0, said: '' })
    expect(received).toHaveLength(1)
  })

  it('a line that is cut off or has control characters spoils no other', async () => {
    const cut = `"17726\n"1",\n\n${row(3).trim()},"one more"\n`
    writeFileSync(join(folder, 'cordboard.csv'), `${row(1, { src: 'a\u0007\tb' })}${cut}${row(2)}`)
    const { code, said } = await run('send')
    expect(code).toBe(0)
    expect(said.match(/record \d has not the 21 columns/g)).toHaveLength(4)
    expect(received[0]?.events.map(({ callId }) => callId)).toEqual(['1772623353.1', '1772623353.2'])
    expect(received[0]?.events[0]?.facts.from?.phoneRaw).toBe('ab')
  })

  it('many records go in posts of a hundred', async () => {
    writeFileSync(join(folder, 'cordboard.csv'), Array.from({ length: 250 }, (_, i) => row(i)).join(''))
    expect((await run('send')).code).toBe(0)
    expect(received.map(({ events }) => events.length)).toEqual([100, 100, 50])
  })

  it('keeps what is not accepted, and sends the same bytes again with a new time', async () => {
    status = 503
    writeFileSync(join(folder, 'cordboard.csv'), row(1))
    const failed = await run('send')
    expect(failed.code).toBe(1)
    expect(failed.said).toMatch(/answered 503/)
    expect(spool()).toHaveLength(1)
    status = 202
    writeFileSync(join(folder, 'cordboard.csv'), row(2))
    expect(await run('send')).toEqual({ code: 0, said: '' })
    expect(received.map(({ body }) => body)).toEqual([
      received[1]?.body,
      received[0]?.body,
      received[2]?.body,
    ])
    expect(received[2]?.events[0]?.callId).toBe('1772623353.2')
    expect(spool()).toEqual([])
  })

  it('another secret is refused, and nothing is lost', async () => {
    settings('another-secret')
    writeFileSync(join(folder, 'cordboard.csv'), row(1))
    expect((await run('send')).code).toBe(1)
    expect(received[0]?.why).toMatch(/does not fit/)
    expect(spool()).toHaveLength(1)
  })

  it.each(['a', 'x'.repeat(64), 'with $(date) and \\ and \u00e9'])(
    'any secret up to 64 bytes signs (%#)',
    (secret) => {
      settings(secret)
      const hmac = readFileSync(SCRIPT, 'utf8').replace(/^case \$\{1:-\} in[\s\S]*/m, 'hmac\n')
      const made = spawnSync('sh', ['-c', hmac], {
        input: 'text\n',
        encoding: 'utf8',
        env: { PATH: process.env.PATH, CORDBOARD_CONF: join(folder, 'settings') },
      })
      const wanted = createHmac('sha256', secret).update('text\n').digest('hex')
      expect(made.stdout.trim()).toBe(wanted)
    },
  )

  it('says that a recording is closed, by its name and size', async () => {
    const day = join(folder, 'monitor/2026/03/04')
    mkdirSync(day, { recursive: true })
    writeFileSync(
      join(day, 'in-33199001234-+33639980142-20260304-112233-1772623353.128.wav'),
      'x'.repeat(100),
    )
    writeFileSync(join(day, 'in-33199001234-+33639980142-20260304-112234-1772623353.1280.wav'), 'other')
    expect(await run('recorded', '1772623353.128', '1772623353.127')).toEqual({ code: 0, said: '' })
    expect(received[0]?.events).toMatchObject([
      {
        key: '1772623353.127:recorded:in-33199001234-+33639980142-20260304-112233-1772623353.128.wav',
        callId: '1772623353.127',
        alsoKnownAs: ['1772623353.128'],
        facts: { recordings: [{ state: 'ready', bytes: 100 }] },
      },
    ])
  })

  it.each(['"', '\\', '\u0007'])('a name with %j in it is not told: it would break JSON', async (sign) => {
    const day = join(folder, 'monitor/2026/03/04')
    mkdirSync(day, { recursive: true })
    writeFileSync(join(day, `in-a${sign}b-20260304-112233-1772623353.128.wav`), 'x'.repeat(100))
    const { code, said } = await run('recorded', '1772623353.128', '1772623353.128')
    expect(code).toBe(1)
    expect(said).toMatch(/quotes, backslashes or control characters/)
    expect(received).toEqual([])
  })

  it('a recording that began after midnight lies in the next day’s folder', async () => {
    const day = join(folder, 'monitor/2026/03/05')
    mkdirSync(day, { recursive: true })
    writeFileSync(join(day, '20260305-000001-pbx1-1772668799.7.wav'), 'x'.repeat(100))
    expect((await run('recorded', 'pbx1-1772668799.7', 'pbx1-1772668799.7')).code).toBe(0)
    expect(received).toHaveLength(1)
  })

  it.each([
    [['recorded', '1.1;touch x', '1.1'], /other characters/],
    [['recorded', '$(id)', '1.1'], /other characters/],
    [['recorded', '../../1.1', '1.1'], /other characters/],
    [['recorded', '*', '1.1'], /other characters/],
    [['recorded', 'abc', '1.1'], /no uniqueid/],
    [['recorded', '1772623353.128', '1772623353.128'], /has no recording/],
    [['recorded', '1772623353.128'], /wants/],
    [['other'], /say send/],
  ])('refuses %j', async (args, why) => {
    const { code, said } = await run(...args)
    expect(code).toBe(1)
    expect(said).toMatch(why)
    expect(received).toEqual([])
  })

  it('sends to https alone, beyond this machine', async () => {
    writeFileSync(join(folder, 'settings'), 'URL=http://pbx.example.com/hooks/pbx\nSECRET=x\n')
    expect((await run('send')).said).toMatch(/not https/)
  })

  it('two at once send once; the lock of one that died is taken over', async () => {
    writeFileSync(join(folder, 'cordboard.csv'), row(1))
    await Promise.all([run('send'), run('send')])
    expect(received).toHaveLength(1)
    mkdirSync(join(folder, 'spool/lock'))
    writeFileSync(join(folder, 'spool/lock/pid'), '999999999')
    writeFileSync(join(folder, 'cordboard.csv'), row(2))
    expect((await run('send')).code).toBe(0)
    expect(received).toHaveLength(2)
  })

  it('what another run was killed over is still sent', async () => {
    mkdirSync(join(folder, 'spool'))
    writeFileSync(join(folder, 'spool/records.1772623353'), row(1))
    writeFileSync(join(folder, 'spool/part.aaaa'), row(1))
    expect((await run('send')).code).toBe(0)
    expect(received.map(({ events }) => events.length)).toEqual([1])
    expect(spool()).toEqual([])
  })

  it('others can read neither the spool nor what is in it', async () => {
    status = 503
    writeFileSync(join(folder, 'cordboard.csv'), row(1))
    await run('send')
    const { stdout } = spawnSync('find', [join(folder, 'spool'), '-perm', '/077'], { encoding: 'utf8' })
    expect(stdout).toBe('')
    chmodSync(join(folder, 'spool'), 0o700)
    expect(existsSync(join(folder, 'cordboard.csv'))).toBe(false)
  })
})

/** Of what only Asterisk can parse, the form: tried by hand on Asterisk 22 and 16 (README.md). */
describe('the configuration for the PBX', () => {
  const text = (name: string) => readFileSync(new URL(`pbx/${name}`, FOLDER), 'utf8')
  const lines = (name: string) =>
    text(name)
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '' && !line.startsWith(';'))

  it('the columns of a record are those that the script expects, and all are known to the connector', () => {
    const [section, mapping = ''] = lines('cdr_custom.conf')
    expect(section).toBe('[mappings]')
    const [, file, columns = ''] = /^(\S+) => (.*)$/.exec(mapping) ?? []
    expect(text('cordboard-asterisk.sh')).toContain(`/cdr-custom/${file}`)
    const form = /^\$\{CSV_QUOTE\(\$\{CDR\((\w+)(?:,u)?\)\}\)\}$/
    const names = columns.split(/,(?=\$)/).map((column) => form.exec(column)?.[1])
    expect(names).toEqual(/COLUMNS='([^']*)'/.exec(text('cordboard-asterisk.sh'))?.[1]?.split(/\s+/))
    expect(columns.match(/CDR\(\w+,u\)/g)).toEqual(['CDR(start,u)', 'CDR(answer,u)', 'CDR(end,u)'])
    expect(names.filter((name) => !record.keyof().options.includes(name as never))).toEqual([])
  })

  it('the dialplan’s subroutine returns, has balanced brackets, and runs a command without a caller’s words', () => {
    const [context, ...plan] = lines('extensions_cordboard.conf')
    expect(context).toBe('[cordboard-record]')
    expect(plan[0]).toMatch(/^exten => s,1,/)
    expect(plan.slice(1).every((line) => /^same => n(?:\([a-z]+\))?,\w+\(/.test(line))).toBe(true)
    expect(plan.at(-1)).toMatch(/,Return\(\)$/)
    for (const line of plan) {
      for (const pair of ['()', '[]', '{}']) {
        const count = (char: string | undefined) => line.split(char ?? '').length
        expect(count(pair[0]), line).toBe(count(pair[1]))
      }
    }
    const command = /MixMonitor\(.*,b,(.*)\)$/.exec(
      plan
        .join('\n')
        .split('\n')
        .find((line) => line.includes('MixMonitor')) ?? '',
    )
    expect(command?.[1]?.match(/\^\{[^}]*\}/g)).toEqual(['^{UNIQUEID}', '^{CHANNEL(linkedid)}'])
    expect(command?.[1]).not.toContain('$')
    for (const [, label] of plan.join('\n').matchAll(/\?(\w+)\)$/gm))
      expect(plan.join('\n')).toContain(`n(${label})`)
  })

  it('the script is plain sh, may be executed, and shows the secret to no other process', () => {
    expect(spawnSync('sh', ['-n', SCRIPT]).status).toBe(0)
    expect(spawnSync('test', ['-x', SCRIPT]).status).toBe(0)
    // Of a command that is not built into the shell everybody sees the arguments: the secret may be none.
    const uses = text('cordboard-asterisk.sh').match(/^.*\$\{?#?SECRET.*$/gm) ?? []
    expect(uses.map((line) => line.trim().split(' ')[0])).toEqual(['[', '[', 'for'])
    expect(uses.at(-1)).toContain('printf %s "$SECRET" |')
  })
})
