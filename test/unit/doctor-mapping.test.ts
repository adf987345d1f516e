import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { diagnose } from '../../src/cli/doctor/diagnose.ts'
import { loadConfig } from '../../src/config/load.ts'
import { defineConnector } from '../../src/connector/contract.ts'
import type { CrmField, CrmRole } from '../../src/connector/crm-role.ts'
import { secretValue } from '../../src/connector/secret.ts'
import { createMemoryTokens } from '../../src/connector/tokens.ts'
import { CordboardError } from '../../src/errors.ts'
import { EMBEDDED } from '../../src/node/services.ts'
import { openSqliteStore, type SqliteStore } from '../../src/store/sqlite.ts'

// Fields of the operator's own: the doctor compares what the flows write with what the CRM says of them, before a call is
// refused because of one.

const NOW = Date.UTC(2026, 10, 20, 12)
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

const crm: CrmRole<unknown> = {
  indexLagMs: 0,
  match: async () => [],
  plan: () => [],
  write: async () => ({ id: '1' }),
}
const base = { docs: 'https://desk.example', check: async () => ({ says: 'account 7' }) }

/** What the doctor says of the CRM, for flows with these mappings and a CRM with these fields. */
async function said(
  mappings: readonly Record<string, string>[],
  fields: readonly CrmField[] | CordboardError,
): Promise<string[]> {
  const describeFields = async () => {
    if (fields instanceof CordboardError) throw fields
    return fields
  }
  const desk = defineConnector({
    ...base,
    id: 'desk',
    name: 'Desk',
    config: z.object({ token: secretValue }),
    crm: { ...crm, fields: describeFields },
  })
  const phone = defineConnector({ ...base, id: 'phone', name: 'Phone', config: z.object({}), telephony: {} })
  const loaded = await loadConfig(
    {
      connections: { pbx: { use: phone }, crm: { use: desk, token: { $secret: 'TOKEN' } } },
      flows: mappings.map((write, at) => ({
        name: `flow ${at + 1}`,
        from: ['pbx'],
        analyze: [],
        write: { crm: write },
      })),
    },
    {
      connectors: { ids: [], load: () => Promise.reject(new Error('not used')) },
      resolveSecret: () => 'token-of-the-desk',
    },
  )
  if ('problems' in loaded) throw new Error(JSON.stringify(loaded.problems))
  const findings = await diagnose({
    configured: { file: 'cordboard.config.ts', ...loaded, originOf: () => 'env TOKEN', services: EMBEDDED },
    dataDir: folder,
    db: store.db,
    servers: null,
    running: null,
    http: async () => new Response(null, { status: 500 }),
    vendorTokens: createMemoryTokens({ now: () => NOW }),
    now: () => NOW,
    only: 'crm',
  })
  return findings
    .filter(({ connection }) => connection === 'crm')
    .map(({ level, says, fix }) => `${level}: ${says}${fix === undefined ? '' : ` → ${fix}`}`)
}

const field = (name: string, type: CrmField['type'], more: Partial<CrmField> = {}): CrmField => ({
  name,
  label: name,
  type,
  ...more,
})

describe('the doctor, on fields of the operator’s own', () => {
  it('says that they are there and take what they are given', async () => {
    const mapping = { score: 'scores.csat', mood: 'sentiment', text: 'call.talkMs', at: 'call.startedAt' }
    const fields = [
      field('score', 'number'),
      field('mood', 'choice'),
      field('text', 'text'),
      field('at', 'datetime'),
    ]
    expect(await said([mapping, { score: 'scores.csat' }], fields)).toEqual([
      'ok: account 7',
      'ok: 4 fields of your own are there and can be written',
    ])
    expect(await said([{ score: 'scores.csat' }], fields)).toContain(
      'ok: the field of your own is there and can be written',
    )
  })

  it('asks nothing where no flow maps a field', async () => {
    expect(await said([{}], new CordboardError('auth', 'not asked'))).toEqual(['ok: account 7'])
  })

  it('names each that is missing, read-only or of another kind, with its flow and what to do', async () => {
    const first = { gone: 'summary', locked: 'summary', flag: 'summary', day: 'summary', amount: 'summary' }
    const second = { flag: 'scores.csat', pick: 'scores.csat', gone: 'title' }
    const fields = [
      field('locked', 'text', { readOnly: 'HubSpot works it out' }),
      field('flag', 'boolean'),
      field('day', 'date'),
      field('amount', 'number'),
      field('pick', 'choice'),
    ]
    expect(await said([first, second], fields)).toEqual([
      'ok: account 7',
      'problem: the field gone is not there, or cannot be seen with these credentials → Make it (cordboard crm setup crm), or correct its name in the flow flow 1',
      'problem: the field locked cannot be written: HubSpot works it out → Map another field in the flow flow 1',
      'problem: the field flag holds a boolean, and is given text → Map another field in the flow flow 1',
      'problem: the field day holds a date, and is given text → Map another field in the flow flow 1',
      'problem: the field amount holds a number, and is given text → Map another field in the flow flow 1',
      'problem: the field flag holds a boolean, and is given a number → Map another field in the flow flow 2',
      'problem: the field pick holds a choice, and is given a number → Map another field in the flow flow 2',
      'problem: the field gone is not there, or cannot be seen with these credentials → Make it (cordboard crm setup crm), or correct its name in the flow flow 2',
    ])
  })

  it('warns where they cannot be read, and quotes no secret', async () => {
    const error = new CordboardError('forbidden', 'token-of-the-desk lacks a scope', {
      fix: 'Grant it to token-of-the-desk',
    })
    expect(await said([{ score: 'scores.csat' }], error)).toEqual([
      'ok: account 7',
      'warning: its fields cannot be read: ••• lacks a scope → Grant it to •••',
    ])
  })
})
