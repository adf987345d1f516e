import { z } from 'zod'
import type { Call } from '../call/call.ts'
import { normalisePhone } from '../call/phone.ts'
import { headline, startOf, tidy } from './crm-report.ts'
import type { CrmRecord } from './crm-role.ts'

/** What an operator can say of every CRM, and what follows from it: the keys are spread into the connector's own. */

const MAX_TASKS = 10

/** `id` is how this CRM's ids of users look. */
export const crmKeys = (id: z.ZodType<string>) => ({
  ownNumbers: z
    .array(z.string().min(1).max(64))
    .default([])
    .describe('the organisation’s own lines: a record that carries one is never matched by it'),
  owners: z
    .object({
      by: z
        .literal('email')
        .default('email')
        .describe('the agent’s e-mail address is looked up among the users'),
      map: z
        .record(z.string().min(1).max(320), id)
        .default({})
        .describe('agent’s extension, id or e-mail address → user id, where the address is not known'),
      fallback: id.optional().describe('user id of calls whose agent is no user; default: nobody'),
    })
    .prefault({})
    .describe('whose call it is in the CRM'),
  tasks: z.boolean().default(true).describe('a task for each promise the analysis found, ten at most'),
  taskDueMs: z
    .int()
    .min(0)
    .max(31_536_000_000)
    .default(86_400_000)
    .describe('when such a task is due, after the call'),
  callBack: z
    .object({
      tasks: z.boolean().default(false).describe('a task to call back whoever reached nobody'),
      dueMs: z.int().min(0).max(31_536_000_000).default(3_600_000).describe('when it is due, after the call'),
    })
    .prefault({})
    .describe('missed calls'),
  recordingLinks: z
    .boolean()
    .default(false)
    .describe(
      'put the recording’s address on the call: only where it plays without credentials and does not expire',
    ),
})

export type CrmSettings = z.output<z.ZodObject<ReturnType<typeof crmKeys>>>

export interface FollowUp {
  /** `task-1` … or `call-back` */
  key: string
  /** One line. */
  subject: string
  /** What else is to be known, one line each. */
  lines: string[]
  dueAt: string | undefined
}

/** Tasks that a call leaves to somebody. From the call and not from the clock: the same call always plans the same ones. */
export function followUps({ call, analysis }: CrmRecord, settings: CrmSettings): FollowUp[] {
  const startedAt = startOf(call)
  const endedAt = call.endedAt ?? startedAt
  const after = (ms: number) => endedAt && new Date(Date.parse(endedAt) + ms).toISOString()
  const tasks: FollowUp[] = []
  if (settings.callBack.tasks && reachedNobody(call)) {
    const who = call.customer?.name && tidy(call.customer.name)
    tasks.push({
      key: 'call-back',
      subject: who ? `Call back ${who}` : 'Call back',
      lines: [headline(call, null), ...(startedAt ? [`Called at ${startedAt}`] : [])],
      dueAt: after(settings.callBack.dueMs),
    })
  }
  const actions = settings.tasks ? (analysis?.actions ?? []) : []
  for (const [i, action] of distinct(actions).slice(0, MAX_TASKS).entries()) {
    tasks.push({
      key: `task-${i + 1}`,
      subject: action,
      lines: startedAt ? [`Promised in the call of ${startedAt}`] : [],
      dueAt: after(settings.taskDueMs),
    })
  }
  return tasks
}

function reachedNobody({ direction, result }: Call): boolean {
  return direction === 'inbound' && result !== undefined && result !== 'answered'
}

/** A model may promise the same thing twice. */
function distinct(actions: readonly string[]): string[] {
  const seen = new Map<string, string>()
  for (const action of actions.map(tidy)) {
    const key = action.toLowerCase()
    if (action !== '' && !seen.has(key)) seen.set(key, action)
  }
  return [...seen.values()]
}

/** The user's id where the operator named it, else the e-mail address that is looked up when the part is sent. */
export function ownerOf({ agent }: Call, { owners }: Pick<CrmSettings, 'owners'>): string | undefined {
  for (const key of [agent?.extension, agent?.id, agent?.email]) {
    if (key !== undefined && Object.hasOwn(owners.map, key)) return owners.map[key]
  }
  return agent?.email?.includes('@') ? agent.email.trim() : owners.fallback
}

export function isOwnNumber(
  phone: string,
  { ownNumbers }: Pick<CrmSettings, 'ownNumbers'>,
  region: string | undefined,
): boolean {
  return ownNumbers.some((own) => normalisePhone(own, region).e164 === phone)
}

/** The number to match a call by; null: it has none, or one of ours, or it stayed inside. */
export function numberToMatch(
  { direction, customer }: Call,
  settings: Pick<CrmSettings, 'ownNumbers'>,
  region: string | undefined,
): string | null {
  const phone = customer?.phone
  if (!phone || direction === 'internal' || isOwnNumber(phone, settings, region)) return null
  return phone
}

/** Who an unknown caller is, as far as the phone system knows. PBXs put the number, or "Anonymous", where a name is missing. */
export function callerOf(call: Call, region: string | undefined): { name?: string; email?: string } {
  const { name, email } = call.customer ?? {}
  const isName =
    name !== undefined && /\p{L}{2}/u.test(name) && normalisePhone(name, region).kind === 'unknown'
  return {
    ...(isName ? { name: tidy(name) } : {}),
    ...(email !== undefined && /^\S+@\S+\.\S+$/.test(email) ? { email } : {}),
  }
}

// ── Our mark on what we wrote ───────────────────────────────────────────────────────────────────────────────────────

/** The line by which a write whose end is not known is found again, where the CRM has no field for our key. */
export const refLine = (key: string): string => `Cordboard ref ${key}`

/** A line of its own, so that `…-task-1` is not found in `…-task-10`. CRMs may rewrite tags, but not the text. */
export function carriesRef(text: string | null | undefined, key: string): boolean {
  return refsIn(text).includes(key)
}

/** Whose parts stand in a text: none, where we did not write it. */
export function refsIn(text: string | null | undefined): string[] {
  const lines = (text ?? '').replace(/<[^<>]*>/g, '\n').split('\n')
  return lines.flatMap((line) => /^\s*Cordboard ref (\S+)\s*$/.exec(line)?.[1] ?? [])
}
