import { expect } from 'vitest'
import type { SandboxRecord } from '../../src/connector/sandbox.ts'
import type { SandboxWorld } from '../../src/sandbox/world.ts'
import type { Company } from './company.ts'
import type { Sender } from './sender.ts'
import { until } from './within.ts'

export interface Reckoning {
  webhooks: number
  acknowledged: number
  /** Acknowledged, and not in the store. */
  lost: number
  calls: number
  /** Calls without a record in the CRM. */
  missing: number
  /** Records in the CRM beyond the one there should be: calls, notes, tasks, contacts. */
  twice: Record<string, number>
  /** Work that was paid for twice. */
  submittedTwice: Record<string, number>
  /** Jobs at Xosum that were made and never given audio. */
  unusedJobs: number
  crm: Record<string, number>
  dead: Record<string, unknown>[]
}

/** What is read of the store to be compared with the others' books; the same on every database. */
export const READ = {
  deliveries: 'select connection, url, body from deliveries',
  keys: `select k.external_id, w.id from call_keys k
    join calls c on c.id = k.call_id
    join writebacks w on w.call_id = coalesce(c.joined_into, c.id)`,
  stuck: "select kind, code, reason, crashes, connection from steps where state in ('dead', 'parked')",
  // What comes again and again is never done.
  steps: `select kind, state, connection, generation, attempts, crashes, code, reason, due_at from steps
    where state in ('waiting', 'working') and kind not in ('list', 'subscribe')`,
  calls: "select id, state, connection, reason from calls where state in ('open', 'waiting', 'working')",
} as const

type Rows = Record<string, unknown>[]

/**
 * Counts in the sender's log, the store's file and the vendors' books what was lost and what was done twice. Nothing of
 * it is asked of the program under test.
 */
export function reckon(company: Company, sender: Sender): Reckoning {
  const rows = {
    deliveries: company.rows(READ.deliveries),
    keys: company.rows(READ.keys),
    stuck: company.rows(READ.stuck),
  }
  return compare(company.sandbox.world, sender, rows)
}

export function compare(
  world: SandboxWorld,
  sender: Pick<Sender, 'log' | 'calls'>,
  rows: { deliveries: Rows; keys: Rows; stuck: Rows },
): Reckoning {
  const bytes = new TextDecoder()
  const stored = new Set(
    rows.deliveries.map(
      ({ connection, url, body }) => `${connection} ${url}\n${bytes.decode(body as Uint8Array)}`,
    ),
  )
  const acknowledged = sender.log.filter((sent) => sent.acknowledged > 0)
  const lost = acknowledged.filter(
    ({ connection, url, body }) => !stored.has(`${connection} ${url}\n${body}`),
  )

  const crm = world.vendor('sandbox-hubspot').book()
  const written = new Map<string, number>()
  for (const { kind, key } of crm)
    if (kind === 'call') written.set(key ?? '', (written.get(key ?? '') ?? 0) + 1)
  const keyOfCall = new Map(rows.keys.map(({ external_id, id }) => [String(external_id), `${id}-call`]))
  const externalIds = new Map<string, Map<string | null, string>>()
  for (const id of new Set(sender.calls.map(({ connection }) => connection))) {
    const calls = world.vendor(id).book().filter(ofKind('call'))
    externalIds.set(id, new Map(calls.map((call) => [call.key, call.id])))
  }
  const missing = sender.calls.filter(({ connection, call }) => {
    const external = externalIds.get(connection)?.get(call.id)
    return written.get(keyOfCall.get(external ?? '') ?? '') === undefined
  })

  const submissions = (vendor: string) =>
    surplus(world.vendor(vendor).book().filter(ofKind('submission')), (record) => record.key)
  return {
    webhooks: sender.log.length,
    acknowledged: acknowledged.length,
    lost: lost.length,
    calls: sender.calls.length,
    missing: missing.length,
    twice: {
      call: surplus(crm.filter(ofKind('call')), (record) => record.key),
      note: surplus(crm.filter(ofKind('note')), (record) => record.key),
      task: surplus(crm.filter(ofKind('task')), (record) => record.key),
      contact: surplus(crm.filter(ofKind('contact')), (record) => String(record.fields.phone)),
      // Records that carry no key of ours were written past the pipeline.
      strange: crm.filter(({ kind, key }) => kind !== 'contact' && key === null).length,
    },
    submittedTwice: {
      transcripto: submissions('sandbox-transcripto'),
      xosum: submissions('sandbox-xosum'),
    },
    unusedJobs: world.vendor('sandbox-xosum').book().filter(ofKind('unused job')).length,
    crm: Object.fromEntries(
      ['contact', 'call', 'note', 'task'].map((kind) => [kind, crm.filter(ofKind(kind)).length]),
    ),
    dead: rows.stuck,
  }
}

/** Nothing lost, nothing missing, nothing twice. */
export function expectExactlyOnce(company: Company, sender: Sender): Reckoning {
  const found = reckon(company, sender)
  expect(found).toMatchObject({
    acknowledged: found.webhooks,
    lost: 0,
    missing: 0,
    twice: { call: 0, note: 0, task: 0, contact: 0, strange: 0 },
    submittedTwice: { transcripto: 0 },
    dead: [],
  })
  expect(found.crm.call).toBe(found.calls)
  return found
}

/** Waits until nothing waits and nothing is under way; says what is left when that takes too long. */
export async function done(company: Company, withinMs: number): Promise<void> {
  await nothingLeft(() => [...openSteps(company), ...openCalls(company)], withinMs)
}

/** The same of the steps alone: a call may wait for one that was put aside. */
export async function stepsDone(company: Company, withinMs: number): Promise<void> {
  await nothingLeft(() => openSteps(company), withinMs)
}

async function nothingLeft(left: () => Record<string, unknown>[], withinMs: number): Promise<void> {
  try {
    await until('everything is done', () => left().length === 0, withinMs)
  } catch (error) {
    throw new Error(`left: ${JSON.stringify(left(), null, 1)}`, { cause: error })
  }
}

const openSteps = (company: Company) => company.rows(READ.steps)

const openCalls = (company: Company) => company.rows(READ.calls)

export function integrity(company: Company): unknown {
  return company.rows('pragma integrity_check').map((row) => row.integrity_check)
}

function surplus(records: readonly SandboxRecord[], keyOf: (record: SandboxRecord) => string | null): number {
  const keyed = records.flatMap((record) => keyOf(record) ?? [])
  return keyed.length - new Set(keyed).size
}

function ofKind(kind: string): (record: SandboxRecord) => boolean {
  return (record) => record.kind === kind
}
