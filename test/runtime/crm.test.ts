import { type ChildProcess, spawn } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { serve } from '@hono/node-server'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { VendorSandbox } from '../../src/connector/sandbox.ts'
import { testSigner } from '../kit/signer.ts'
import { DESK } from '../scenarios/desk-crm.ts'

/** `cordboard match`, `crm setup` and `choose` as people type them, against a stand-in of a CRM on this machine. */

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const CONNECTOR = new URL('../scenarios/desk-crm.ts', import.meta.url).href
const TOKEN = 'token-of-the-crm-test'
const KEY = Buffer.from('a secret of the crm test')
const PHONE = '+33639980001'
const OWN = '+33199000100'

let vendor: VendorSandbox
let seen: string[] = []
/** Instead of the stand-in's own answers. */
let says: (() => Response) | null
let folder: string
let server: ReturnType<typeof serve>
let baseUrl: string
beforeAll(async () => {
  const fetch = (request: Request) => {
    seen.push(`${request.method} ${new URL(request.url).pathname}`)
    return says?.() ?? vendor.app.fetch(request)
  }
  const at = await new Promise<AddressInfo>((resolve) => {
    server = serve({ port: 0, hostname: '127.0.0.1', fetch }, resolve)
  })
  baseUrl = `http://127.0.0.1:${at.port}`
})
afterAll(() => new Promise<void>((resolve) => server.close(() => resolve())))

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cordboard-crm-'))
  ;[seen, says] = [[], null]
  vendor = DESK.createSandbox({
    now: Date.now,
    random: () => 0.5,
    later: (_, work) => setImmediate(work),
    baseUrl,
    signer: testSigner,
    account: { token: TOKEN },
    deliver: async () => ({ status: 200 }),
    transcriptOf: () => null,
  })
  configure(`[
    { name: 'by deal', from: ['pbx'], analyze: [], write: ['desk'], prefer: ['open deal'], unknownCaller: 'create' },
    { name: 'by activity', from: ['pbx'], analyze: [], write: ['desk'], prefer: ['last activity'] },
    { name: 'by agent', from: ['pbx'], analyze: [], write: ['desk'], prefer: ['owner is the agent'], unknownCaller: 'skip' },
    { name: 'by age', from: ['pbx'], analyze: [], write: ['desk'], prefer: ['newest'] },
    { name: 'by hand', from: ['pbx'], analyze: [], write: ['desk'], prefer: [] },
  ]`)
})
afterEach(() => rmSync(folder, { recursive: true }))

function configure(flows: string, more = ''): void {
  writeFileSync(
    join(folder, 'cordboard.config.ts'),
    `import { defineConfig, secret } from 'cordboard'
import { DESK } from '${CONNECTOR}'
const crm = {
  use: DESK.connector, baseUrl: '${baseUrl}', allowPrivate: ['127.0.0.1'],
  token: secret('TOKEN'), hook: secret('HOOK'), ownNumbers: ['${OWN}'],
}
export default defineConfig({
  region: 'FR',
  connections: { pbx: { use: 'generic', secret: secret('PBX') }, desk: crm, second: crm${more} },
  flows: ${flows},
})\n`,
  )
}

interface Ended {
  code: number | null
  out: string
  err: string
}

function start(words: readonly string[], env: Record<string, string> = {}): ChildProcess {
  const { PATH = '', HOME = '' } = process.env
  const secrets = { TOKEN, HOOK: 'hook-of-the-crm-test', PBX: `whsec_${KEY.toString('base64')}` }
  return spawn(process.execPath, [MAIN, ...words], {
    cwd: folder,
    env: { PATH, HOME, NO_COLOR: '1', ...secrets, ...env },
  })
}

function ended(child: ChildProcess): Promise<Ended> {
  let [out, err] = ['', '']
  child.stdout?.on('data', (chunk: Buffer) => {
    out += chunk.toString()
  })
  child.stderr?.on('data', (chunk: Buffer) => {
    err += chunk.toString()
  })
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, out, err })))
}

const cordboard = (words: readonly string[], env?: Record<string, string>) => ended(start(words, env))

/** Two of them carry the number; which is better depends on what is asked for. */
function put(): { anne: string; bruno: string } {
  const [anne, bruno] = ['Anne', 'Bruno'].map((name) => vendor.addContact?.({ name, phone: PHONE }) ?? '')
  const facts = (id: string | undefined, fields: Record<string, unknown>) =>
    Object.assign(vendor.book().find((one) => one.id === id)?.fields ?? {}, fields)
  facts(anne, {
    hasOpenDeal: true,
    createdAt: '2026-01-01T00:00:00Z',
    lastActivityAt: '2026-02-01T00:00:00Z',
  })
  facts(bruno, { isAgents: true, createdAt: '2026-03-01T00:00:00Z', lastActivityAt: '2026-04-01T00:00:00Z' })
  return { anne: anne ?? '', bruno: bruno ?? '' }
}

// Every command is a process of its own, on a machine that may be busy.
describe('cordboard match', { timeout: 120_000 }, () => {
  it('says who has a number, however it is written, and writes nothing', async () => {
    const anne = vendor.addContact?.({ name: 'Anne', phone: PHONE })
    const all = await Promise.all(
      [PHONE, '06 39 98 00 01', '0033 6 39 98 00 01'].map((typed) =>
        cordboard(['match', typed, '--crm', 'desk']),
      ),
    )
    for (const { code, out, err } of all) {
      expect([code, err]).toEqual([0, ''])
      expect(out.split('\n')[0]).toBe('desk')
      expect(out).toMatch(new RegExp(`^ {2}contact/${anne} +Anne +same number$`, 'm'))
      expect(out).toContain(`flow by hand: contact/${anne}, same number (1 candidate)`)
    }
    expect(seen).toEqual(Array(3).fill('GET /people'))
  })

  it('of several says which one each flow takes, and why', async () => {
    const { anne, bruno } = put()
    const { code, out } = await cordboard(['match', PHONE, '--crm', 'desk'])
    expect(code).toBe(0)
    for (const line of [
      `flow by deal: contact/${anne}, the one with an open deal, of 2 with this number`,
      `flow by activity: contact/${bruno}, the one with the last activity, of 2 with this number`,
      `flow by agent: contact/${bruno}, the one whose owner took the call, of 2 with this number`,
      `flow by age: contact/${bruno}, the newest one, of 2 with this number`,
      'flow by hand: 2 of 2 records fit alike: the flow has no rule',
    ])
      expect(out).toContain(line)
  })

  it('asks every CRM of the configuration, and says where no flow writes', async () => {
    vendor.addContact?.({ name: 'Anne', phone: PHONE })
    const { code, out, err } = await cordboard(['match', PHONE])
    expect(code).toBe(0)
    expect(out).toMatch(/^desk\n[\s\S]*^second\n/m)
    expect(err).toContain('No flow writes to second')
  })

  it('of nobody says what becomes of the call, by each flow', async () => {
    const { code, out, err } = await cordboard(['match', '+33639989999', '--crm', 'desk'])
    expect(code).toBe(0)
    expect(out).toContain('nobody has this number')
    expect(out).toContain('flow by deal: nobody has this number: a contact is created')
    expect(out).toContain('flow by agent: nobody has this number: not written, as the flow says')
    expect(out).toContain('flow by age: nobody has this number: written without a contact')
    expect(err).toMatch(/A record made within the last 0 s may not show/)
  })

  it('matches no number of our own, and does not say that it makes a contact of it', async () => {
    vendor.addContact?.({ name: 'Reception', phone: OWN })
    const { code, out } = await cordboard(['match', OWN, '--crm', 'desk'])
    expect([code, seen]).toEqual([0, []])
    expect(out).toContain('flow by deal: nobody has this number: written without a contact')
    expect(out).not.toContain('Reception')
    expect(out).not.toContain('created')
  })

  it('as JSON: one line for each CRM, with what the rules look at', async () => {
    const { anne } = put()
    const { out } = await cordboard(['match', PHONE, '--json'])
    const lines = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(lines.map((line) => line.connection)).toEqual(['desk', 'second'])
    expect(lines[0].candidates[0]).toMatchObject({ type: 'contact', id: anne, hasOpenDeal: true })
    expect(lines[0].flows[0]).toMatchObject({
      flow: 'by deal',
      verdict: 'match',
      record: `contact/${anne}`,
      says: expect.any(String),
    })
    expect(lines[0].flows[4]).toMatchObject({ flow: 'by hand', verdict: 'several', record: null })
  })

  const USAGE: [string[], string, string][] = [
    [['match', '123'], 'This is no public number', 'country code'],
    [['match', 'anonymous'], 'This is no public number', 'country code'],
    [['match', ''], 'This is no public number', 'country code'],
    [['match'], 'match', 'cordboard match'],
    [['match', PHONE, '--crm', 'dsek'], 'dsek is no CRM connection', 'Did you mean desk?'],
    [['match', PHONE, '--crm', 'pbx'], 'pbx is no CRM connection', 'Use one of: desk, second'],
    [['crm', 'setup', 'dsek'], 'dsek is no CRM connection', 'Did you mean desk?'],
    [['crm', 'setup', 'pbx'], 'pbx is no CRM connection', 'Use one of: desk, second'],
    [['crm', 'steup', 'desk'], 'it cannot steup', 'cordboard crm'],
    [['crm', 'setup'], 'crm', 'cordboard crm'],
  ]
  it('and crm setup say what is wrong with what was typed, and nobody is asked', async () => {
    const answers = await Promise.all(USAGE.map(([words]) => cordboard(words)))
    for (const [at, { code, out, err }] of answers.entries()) {
      const [words, message = '', fix = ''] = USAGE[at] ?? []
      expect([words, code, out]).toEqual([words, 2, ''])
      expect(err).toContain(message)
      expect(err).toContain(fix)
    }
    expect(seen).toEqual([])
  })

  it('ends with 4 when the CRM refuses, and quotes neither the credentials nor the number', async () => {
    const wrong = await cordboard(['match', PHONE, '--crm', 'desk'], { TOKEN: 'another-token' })
    expect([wrong.code, wrong.out]).toEqual([4, ''])
    expect(wrong.err).toContain('auth')
    says = () => Response.json({ says: `no ${TOKEN} for ${PHONE}` }, { status: 403 })
    const quoted = await cordboard(['match', PHONE, '--crm', 'desk'])
    expect(quoted.code).toBe(4)
    expect(quoted.err).toContain('forbidden')
    for (const text of [TOKEN, PHONE, '39980001']) expect(quoted.err + quoted.out).not.toContain(text)
  })

  it('without a CRM in the configuration says so', async () => {
    writeFileSync(
      join(folder, 'cordboard.config.ts'),
      `export default { connections: { pbx: { use: 'generic', secret: { $secret: 'PBX' } } }, flows: [] }`,
    )
    const { code, err } = await cordboard(['match', PHONE])
    expect(code).toBe(2)
    expect(err).toContain('No connection of the configuration is a CRM')
  })
})

describe('cordboard crm setup', { timeout: 120_000 }, () => {
  it('has nothing to do where no flow maps a field', async () => {
    const { code, out, err } = await cordboard(['crm', 'setup', 'desk'])
    expect([code, out]).toEqual([0, 'desk needs nothing: no flow maps fields to it\n'])
    expect(err).toContain('Next: cordboard doctor desk')
    expect(seen.filter((line) => line.startsWith('POST'))).toEqual([])
  })

  it('makes each field once, with a label and the kind of value it gets', async () => {
    configure(`[
      { from: ['pbx'], analyze: [], write: { desk: { Call_Score__c: 'scores.csat', mood: 'sentiment' } } },
      { name: 'b', from: ['pbx'], analyze: [], write: { desk: { mood: 'sentiment', both: 'scores.csat' }, second: { other: 'summary' } } },
      { name: 'c', from: ['pbx'], analyze: [], write: { desk: { both: 'summary' } } },
      { name: 'd', from: ['pbx'], analyze: [], write: { desk: { both: 'call.talkMs' } } },
    ]`)
    const first = await cordboard(['crm', 'setup', 'desk'])
    expect(first.code).toBe(0)
    expect(first.out).toMatch(/^made +the field Call_Score__c of calls/m)
    const { body } = await vendor.app.request('/fields', { headers: { authorization: `Bearer ${TOKEN}` } })
    expect(await new Response(body).json()).toEqual([
      { name: 'Call_Score__c', label: 'Call Score', type: 'number' },
      { name: 'mood', label: 'Mood', type: 'text' },
      // A number fits into a text, and not the other way round.
      { name: 'both', label: 'Both', type: 'text' },
    ])
    seen = []
    const again = await cordboard(['crm', 'setup', 'desk', '--json'])
    expect([again.code, seen]).toEqual([0, ['GET /fields']])
    expect(
      again.out
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toEqual(
      ['Call_Score__c', 'mood', 'both'].map((name) => ({
        what: `the field ${name} of calls`,
        state: 'was there',
      })),
    )
  })

  it('ends with 1 where something is left to a person, and says what', async () => {
    configure(
      `[{ from: ['pbx'], analyze: [], write: { desk: { money_due: 'scores.csat', mood: 'sentiment' } } }]`,
    )
    const { code, out } = await cordboard(['crm', 'setup', 'desk'])
    expect(code).toBe(1)
    expect(out).toMatch(/^by hand +the field money_due of calls +Make Money due at Desk$/m)
    expect(out).toMatch(/^made +the field mood of calls/m)
  })

  it('says that a function does not tell its fields', async () => {
    configure(`[{ from: ['pbx'], analyze: [], write: { desk: (call) => ({ mood: call.reference }) } }]`)
    const { code, err } = await cordboard(['crm', 'setup', 'desk'])
    expect(code).toBe(0)
    expect(err).toContain('A function maps fields')
  })

  it('ends with 4 when the CRM refuses, without the credentials', async () => {
    configure(`[{ from: ['pbx'], analyze: [], write: { desk: { mood: 'sentiment' } } }]`)
    says = () => Response.json({ says: `no ${TOKEN}` }, { status: 403 })
    const { code, out, err } = await cordboard(['crm', 'setup', 'desk'])
    expect([code, out]).toEqual([4, ''])
    expect(err).toContain('forbidden')
    expect(err).not.toContain(TOKEN)
  })
})

describe('cordboard choose', { timeout: 120_000 }, () => {
  it('lists, refuses what is no record, takes one; the server writes it, and without a server it is kept', async () => {
    configure(
      `[{ from: ['pbx'], analyze: [], write: ['desk', 'second'], prefer: [] }]`,
      `, third: { ...crm }`,
    )
    const { anne, bruno } = put()
    const child = start(['serve', '--port', '0'])
    const end = ended(child)
    const url = await new Promise<string>((resolve) => {
      let out = ''
      child.stdout?.on('data', (chunk: Buffer) => {
        out += chunk.toString()
        const [, found] = /listening on (http:\/\/127\.0\.0\.1:\d+)\n/.exec(out) ?? []
        if (found !== undefined) resolve(found)
      })
    })
    const token = readFileSync(join(folder, '.data/admin-token'), 'utf8').trim()
    const api = async <Answer>(path: string): Promise<Answer> => {
      const response = await fetch(url + path, { headers: { authorization: `Bearer ${token}` } })
      return (await response.json()) as Answer
    }
    expect((await fetch(`${url}/hooks/pbx`, signed())).status).toBe(202)
    type Listed = { items: { id: string; state: string }[] }
    const until = async (state: string): Promise<string> => {
      for (;;) {
        const [call] = (await api<Listed>('/v1/calls')).items
        if (call?.state === state) return call.id
      }
    }
    const id = await until('attention')

    const listed = await cordboard(['choose', id])
    expect(listed.code).toBe(0)
    expect(listed.out).toMatch(/^desk\n {2}undecided: 2 of 2 records fit alike: the flow has no rule$/m)
    expect(listed.out).toMatch(new RegExp(`^ {2}contact/${anne} +Anne +same number$`, 'm'))
    expect(listed.out).toMatch(/^second$/m)
    expect(listed.out + listed.err).not.toContain(PHONE)
    const json = await cordboard(['choose', id, '--json'])
    const lines = json.out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(lines.map(({ connection, state }) => [connection, state])).toEqual([
      ['desk', 'undecided'],
      ['second', 'undecided'],
    ])

    const wrongs: [string[], number, string, string][] = [
      [[id, '51'], 2, '51 names no record', 'contact/51'],
      [[id, 'contact/'], 2, 'contact/ names no record', 'contact/51'],
      [[id, `contact/${anne}`], 2, 'The call goes to several CRMs', '--crm: desk, second'],
      [[id, `contact/${anne}`, '--crm', 'dsek'], 2, 'dsek is no CRM connection', ''],
      [[id, `contact/${anne}`, '--crm', 'pbx'], 2, 'pbx is no CRM connection', ''],
      [[id, `contact/${anne}`, '--crm', 'third'], 2, 'does not write to third', ''],
      [['call_01JDX3M8E0W5H4ZK6R2T9QYBVC', 'contact/1', '--crm', 'desk'], 1, 'unknown_object', ''],
      [['nonsense'], 2, 'bad_request', ''],
    ]
    const answers = await Promise.all(wrongs.map(([words]) => cordboard(['choose', ...words])))
    for (const [at, { code, out, err }] of answers.entries()) {
      const [words, exit, message = '', fix = ''] = wrongs[at] ?? []
      expect([words, code, out]).toEqual([words, exit, ''])
      expect(err).toContain(message)
      expect(err).toContain(fix)
    }
    expect(vendor.book().filter(({ kind }) => kind === 'call')).toEqual([])

    const taken = await cordboard(['choose', id, `contact/${bruno}`, '--crm', 'desk'])
    expect(taken).toMatchObject({ code: 0, out: `${id} is written on contact/${bruno} of desk\n` })
    expect(taken.err).toContain(`Next: cordboard show ${id}`)
    while (!vendor.book().some(({ kind }) => kind === 'note')) await api('/v1/calls')
    expect(vendor.book().map(({ kind, fields }) => [kind, fields.on])).toEqual(
      expect.arrayContaining([['call', `contact/${bruno}`]]),
    )
    child.kill('SIGTERM')
    expect((await end).code).toBe(0)

    // Nobody works on it until a server starts again.
    const kept = await cordboard(['choose', id, `contact/${anne}`, '--crm', 'second', '--json'])
    expect(kept).toMatchObject({ code: 0, err: expect.stringContaining('cordboard serve') })
    expect(JSON.parse(kept.out)).toEqual({ steps: expect.any(Number) })
    expect((await cordboard(['choose', id])).out).toContain(`contact/${anne}: chosen by a person`)
    for (const { out, err } of [listed, json, taken, kept, await end])
      expect(out + err).not.toMatch(new RegExp(`${TOKEN}|39980001`))
  })

  it('without a store says how to get one', async () => {
    const { code, err } = await cordboard(['choose', 'call_01JDX3M8E0W5H4ZK6R2T9QYBVC'])
    expect(code).toBe(1)
    expect(err).toContain('There is no store in .data')
  })
})

/** An ended call of whoever has the number twice, as the phone system signs it. */
function signed(): RequestInit {
  const facts = { direction: 'inbound', from: PHONE, result: 'no_answer', endedAt: new Date().toISOString() }
  const event = { key: 'c:ended', callId: 'c', phase: 'ended', facts }
  const body = JSON.stringify({ type: 'call.event', events: [event] })
  const at = String(Math.floor(Date.now() / 1000))
  const mac = createHmac('sha256', KEY).update(`msg_1.${at}.${body}`).digest('base64')
  const headers = {
    'content-type': 'application/json',
    'webhook-id': 'msg_1',
    'webhook-timestamp': at,
    'webhook-signature': `v1,${mac}`,
  }
  return { method: 'POST', headers, body }
}
