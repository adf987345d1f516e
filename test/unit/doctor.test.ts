import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { diagnose, type Patient } from '../../src/cli/doctor/diagnose.ts'
import type { ConfigInput } from '../../src/config/define.ts'
import { secret } from '../../src/config/define.ts'
import { loadConfig } from '../../src/config/load.ts'
import { type Connector, defineConnector } from '../../src/connector/contract.ts'
import type { CrmRole } from '../../src/connector/crm-role.ts'
import type { HttpFetch } from '../../src/connector/platform.ts'
import { secretList, secretValue } from '../../src/connector/secret.ts'
import { createMemoryTokens } from '../../src/connector/tokens.ts'
import type { Verification } from '../../src/connector/verification.ts'
import { CordboardError } from '../../src/errors.ts'
import { EMBEDDED } from '../../src/node/services.ts'
import type { Hint } from '../../src/pipeline/refusals.ts'
import { openSqliteStore, type SqliteStore } from '../../src/store/sqlite.ts'

/**
 * The three commonest mistakes: the public URL is not the one the vendor signs, the secret is wrong, a scope is missing.
 * The vendor's side is a connector whose check says so, the receiver's side are rows in a real store.
 */

const NOW = Date.UTC(2026, 10, 20, 12)
const HOUR = 3_600_000
const PUBLIC_URL = 'https://calls.example.com'

type Check = Connector['check']
type Scheme = (secrets: readonly string[]) => Verification

const signsUrl: Scheme = (secrets) => ({
  scheme: 'hmac',
  hash: 'sha256',
  encoding: 'hex',
  header: 'x-signature',
  signed: [{ url: true }, { body: true }],
  secrets,
})
const signsBody: Scheme = (secrets) => ({
  scheme: 'hmac',
  hash: 'sha256',
  encoding: 'hex',
  header: 'x-signature',
  signed: [{ body: true }],
  secrets,
})

const crm: CrmRole<unknown> = {
  indexLagMs: 0,
  match: async () => [],
  plan: () => [],
  write: async () => ({ id: '1' }),
}

function phone(check: Check, scheme: Scheme = signsUrl): Connector {
  const config = z.object({ apiKey: secretValue, hookSecret: secretList })
  return defineConnector({
    id: 'phone',
    name: 'Phone Inc',
    docs: 'https://phone.example',
    config,
    check,
    telephony: {
      webhook: { verify: ({ hookSecret }) => scheme(hookSecret), receive: () => ({ ignored: 'test' }) },
    },
  }) as Connector
}

const desk = defineConnector({
  id: 'desk',
  name: 'Desk',
  docs: 'https://desk.example',
  config: z.object({}),
  check: async () => ({ says: 'fine' }),
  crm,
})

const ENV: Record<string, string> = { PBX_KEY: 'key-in-the-env', PBX_HOOK: 'hook-in-the-env' }
const good: Check = async () => ({ says: 'account Support' })

let store: SqliteStore
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cordboard-doctor-'))
  store = await openSqliteStore({ file: join(folder, 'cordboard.db'), clock: () => NOW })
  await store.migrate()
})
afterAll(async () => {
  await store.close()
  await rm(folder, { recursive: true })
})
beforeEach(async () => {
  await store.atomic([], [store.db.deleteFrom('refusals'), store.db.deleteFrom('deliveries')])
})

interface Case {
  check?: Check
  scheme?: Scheme
  publicUrl?: string | null
  /** What /readyz at publicUrl answers; default: this configuration. */
  answers?: (hash: string) => Response | CordboardError
  isRunning?: boolean
}

async function findings({
  check = good,
  scheme,
  publicUrl = PUBLIC_URL,
  answers,
  isRunning = true,
}: Case = {}) {
  const raw: ConfigInput = {
    ...(publicUrl === null ? {} : { publicUrl }),
    connections: {
      pbx: { use: phone(check, scheme), apiKey: secret('PBX_KEY'), hookSecret: secret('PBX_HOOK') },
      crm: { use: desk },
    },
    flows: [{ from: ['pbx'], analyze: [], write: ['crm'] }],
  }
  const loaded = await loadConfig(raw, {
    connectors: { ids: [], load: () => Promise.reject(new Error('not used')) },
    resolveSecret: (name) => ENV[name],
  })
  if ('problems' in loaded) throw new Error(JSON.stringify(loaded.problems))
  const { hash } = loaded.config
  const http: HttpFetch = async () => {
    const answer = answers?.(hash) ?? Response.json({ status: 'ready', config: hash, parts: [] })
    if (answer instanceof CordboardError) throw answer
    return answer
  }
  const patient: Patient = {
    configured: {
      file: 'cordboard.config.ts',
      ...loaded,
      originOf: (name) => `env ${name}`,
      services: EMBEDDED,
    },
    dataDir: folder,
    db: store.db,
    servers: null,
    running: isRunning ? { pid: 1, url: 'http://127.0.0.1:8080', startedAt: '' } : null,
    http,
    vendorTokens: createMemoryTokens({ now: () => NOW }),
    now: () => NOW,
    only: undefined,
  }
  return diagnose(patient)
}

const wrongOnes = async (given?: Case) =>
  (await findings(given))
    .filter(({ level }) => level === 'problem' || level === 'warning')
    .map(({ level, area, says, fix }) => `${level} ${area}: ${says} → ${fix}`)

async function refused(hint: Hint, at: number, reason = 'the signature does not fit the secret', count = 3) {
  const sample = JSON.stringify({ method: 'POST', path: '', headerNames: ['host'], reason, hint })
  const row = {
    connection: 'pbx',
    code: 'webhook_signature',
    hour_at: at - (at % HOUR),
    count,
    last_at: at,
    sample,
  }
  await store.atomic([], [store.db.insertInto('refusals').values(row)])
}

async function accepted(at: number) {
  const bytes = new Uint8Array([1])
  const row = {
    id: `dlv_${at}`,
    connection: 'pbx',
    role: 'telephony' as const,
    received_at: at,
    method: 'POST',
  }
  const rest = {
    url: PUBLIC_URL,
    path: '',
    headers: bytes,
    body: bytes,
    media_id: null,
    bytes: 1,
    dedupe_key: `${at}`,
  }
  const state = { repeats: 0, state: 'used' as const, reason: null }
  await store.atomic([], [store.db.insertInto('deliveries').values({ ...row, ...rest, ...state })])
}

describe('a healthy installation', () => {
  it('has nothing to say but that', async () => {
    const all = await findings()
    expect(all.map(({ level, area }) => `${level} ${area}`)).toEqual([
      'ok config',
      'ok data',
      'ok store',
      'ok server',
      'ok work',
      'ok public URL',
      'ok phone',
      'ok desk',
    ])
    expect(all.find(({ area }) => area === 'phone')).toMatchObject({
      connection: 'pbx',
      says: 'account Support',
    })
  })

  it('forgives refusals from before the last good delivery', async () => {
    await refused('secret', NOW - 2 * HOUR)
    await accepted(NOW - HOUR)
    expect(await wrongOnes()).toEqual([])
  })
})

describe('a public URL that is not the one the vendor signs', () => {
  it('is seen in the refused deliveries', async () => {
    await accepted(NOW - 5 * HOUR)
    await refused('url', NOW - HOUR)
    await refused('url', NOW - 2 * HOUR)
    expect(await wrongOnes()).toEqual([
      `problem phone: 6 deliveries were refused since the last good one (last 2026-11-20 11:00:00): the vendor calls and signs another URL than ${PUBLIC_URL}/hooks/pbx → Enter ${PUBLIC_URL}/hooks/pbx at Phone Inc, or set publicUrl to the address it calls; if both are the same, let the proxy keep Host or send X-Forwarded-Host`,
    ])
  })

  it('is missing where a vendor sends webhooks', async () => {
    await refused('url', NOW - HOUR)
    const [first, second] = await wrongOnes({ publicUrl: null })
    expect(first).toContain('problem public URL: publicUrl is not set')
    expect(second).toContain('the vendor signs the URL it calls, and publicUrl is not set')
  })

  it('leads to another program, another Cordboard, or nowhere', async () => {
    const html = () => new Response('<h1>Not here</h1>', { status: 404 })
    expect(await wrongOnes({ answers: html })).toEqual([
      `problem public URL: ${PUBLIC_URL} leads elsewhere: HTTP 404, not a Cordboard → Let the proxy pass ${PUBLIC_URL}/hooks/… on to http://127.0.0.1:8080 unchanged, or correct publicUrl`,
    ])
    const moved = () => new Response(null, { status: 301, headers: { location: 'https://www.example.com/' } })
    expect((await wrongOnes({ answers: moved }))[0]).toContain('a redirect to https://www.example.com/')
    const other = () => Response.json({ status: 'ready', config: 'another', parts: [] })
    expect((await wrongOnes({ answers: other }))[0]).toContain('another configuration')
    const none = () => new CordboardError('vendor_down', 'the name calls.example.com is not known')
    expect((await wrongOnes({ answers: none }))[0]).toMatch(
      /^problem public URL: .* cannot be reached from here/,
    )
    expect((await wrongOnes({ answers: none, isRunning: false }))[0]).toMatch(/^warning public URL/)
  })

  it('has a path, which only some proxies remove, or is this machine only', async () => {
    expect((await wrongOnes({ publicUrl: `${PUBLIC_URL}/cordboard` }))[0]).toContain(
      'has the path /cordboard',
    )
    expect((await wrongOnes({ publicUrl: 'http://127.0.0.1:8080' }))[0]).toContain('no vendor can call it')
  })
})

describe('a wrong secret', () => {
  it('is what the vendor says', async () => {
    const check: Check = async () => {
      throw new CordboardError('auth', 'HTTP 401', { vendorSaid: 'key-in-the-env is not a key' })
    }
    expect(await wrongOnes({ check })).toEqual([
      'problem phone: the vendor refuses the credentials: HTTP 401. The vendor said: “••• is not a key” → Copy it again from the account at Phone Inc into apiKey (env PBX_KEY), hookSecret (env PBX_HOOK)',
    ])
  })

  it('is seen in the refused deliveries, and named', async () => {
    await refused('secret', NOW - HOUR, 'the signature does not fit the secret', 1)
    expect(await wrongOnes()).toEqual([
      `problem phone: 1 delivery was refused and none was accepted so far (last 2026-11-20 11:00:00): the signature does not fit the secret → Copy the secret again from Phone Inc into hookSecret (env PBX_HOOK); if it is right, compare the URL entered there with ${PUBLIC_URL}/hooks/pbx`,
    ])
  })

  it('is the only reason where the URL is not signed, whatever the proxy does to Host', async () => {
    await refused('url', NOW - HOUR)
    const [problem] = await wrongOnes({ scheme: signsBody })
    expect(problem).toMatch(
      /the signature does not fit the secret → Copy the secret again from Phone Inc into hookSecret \(env PBX_HOOK\)$/,
    )
  })

  it('is told from no signature at all', async () => {
    await refused('header', NOW - HOUR, 'the header x-signature is missing')
    const [problem] = await wrongOnes()
    expect(problem).toContain('the header x-signature is missing → Switch signing on at Phone Inc')
  })
})

describe('a missing scope', () => {
  it('is what the vendor says', async () => {
    const check: Check = async () => {
      throw new CordboardError('forbidden', 'HTTP 403', {
        why: 'The token lacks calls:read',
        fix: 'Add calls:read',
      })
    }
    expect(await wrongOnes({ check })).toEqual([
      'problem phone: the credentials are right but lack a permission: The token lacks calls:read → Add calls:read',
    ])
  })

  it('is a warning where only part of the work needs it', async () => {
    const warnings = [
      { what: 'token misses scope crm.schemas.read: custom fields stay empty', fix: 'Add the scope' },
    ]
    expect(await wrongOnes({ check: async () => ({ says: 'account 1', warnings }) })).toEqual([
      'warning phone: token misses scope crm.schemas.read: custom fields stay empty → Add the scope',
    ])
  })
})

describe('everything else', () => {
  it('a name that the DNS does not know is no server that must be started', async () => {
    const answers = () => new CordboardError('vendor_down', 'No connection to calls.example.com: ENOTFOUND')
    for (const isRunning of [true, false])
      expect((await wrongOnes({ answers, isRunning }))[0]).toContain('→ Correct the name in publicUrl')
  })

  it('a vendor that is away is not called a wrong secret', async () => {
    const check: Check = async () => {
      throw new CordboardError('timeout', 'no answer in 30 s')
    }
    expect(await wrongOnes({ check })).toEqual([
      'problem phone: the vendor did not answer in time: no answer in 30 s → Check baseUrl, the network, and the vendor’s status page, then ask again',
    ])
  })

  it('shows no secret, whatever a vendor answers', async () => {
    const check: Check = async () => {
      const words = 'Bearer key-in-the-env and hook-in-the-env'
      throw new CordboardError('invalid_payload', words, { vendorSaid: words, why: words })
    }
    expect(JSON.stringify(await findings({ check }))).not.toMatch(/key-in-the-env|hook-in-the-env/)
  })
})
