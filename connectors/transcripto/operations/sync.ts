import type { CheckResult } from '../../../src/connector/contract.ts'
import { CordboardError } from '../../../src/errors.ts'
import { type Context, getQuestions, getScripts, type Schemas, tell } from '../client.ts'
import type { Config, Question, Script } from '../schema.ts'

/**
 * The questions and scripts of an account made those of the configuration. A question is known by its wording and a script
 * by its identifier, so nothing has to be remembered, a sync that broke off is simply run again, and none is made twice.
 */

/** One thing that a sync does. `because`: why the vendor did not let it. */
export interface Change {
  does: 'create' | 'edit' | 'hide'
  id?: number
  what: string
  becomes?: string
  because?: string
}

// ── Questions ───────────────────────────────────────────────────────────────────────────────────────────────────────

export async function compareQuestions(ctx: Context): Promise<Change[]> {
  return questionChanges(
    wanted(ctx.config.checklist, 'checklist'),
    await getQuestions(ctx),
    ctx.config.keepOthers,
  )
}

export async function syncQuestions(ctx: Context): Promise<Change[]> {
  const done: Change[] = []
  for (const change of await compareQuestions(ctx)) done.push(...(await changeQuestion(change, ctx)))
  return done
}

/** What makes the active questions those that are wanted. `was` finds the one that gets another wording. */
export function questionChanges(
  configured: NonNullable<Config['checklist']>,
  active: readonly Question[],
  keepsOthers: boolean,
): Change[] {
  const left = active.filter(({ is_active }) => is_active !== false)
  const take = (wording: string) => {
    const at = left.findIndex(({ question }) => same(question) === same(wording))
    return at < 0 ? undefined : left.splice(at, 1)[0]
  }
  const items = configured.map((one) => (typeof one === 'string' ? { question: one } : one))
  // Those that are there already are taken first: an old wording must not claim what another question is now.
  const missing = items.filter(({ question }) => !take(question))
  const changes = missing.map(({ question, was }): Change => {
    const old = was === undefined ? undefined : take(was)
    return old
      ? { does: 'edit', id: old.id, what: old.question, becomes: question }
      : { does: 'create', what: question }
  })
  const others = keepsOthers
    ? []
    : left.map(({ id, question }): Change => ({ does: 'hide', id, what: question }))
  return [...changes, ...others]
}

const same = (wording: string): string => wording.replaceAll(/\s+/g, ' ').trim().toLowerCase()

async function changeQuestion(change: Change, ctx: Context): Promise<Change[]> {
  const { does, id = 0, what, becomes = '' } = change
  if (does === 'hide') {
    await tell(
      { endpoint: '/checklist/delete/{checklist_id}', path: `/checklist/delete/${id}`, method: 'POST' },
      ctx,
    )
    return [change]
  }
  try {
    const json: Schemas['Question'] = { question: does === 'create' ? what : becomes }
    const path = does === 'create' ? '/checklist' : `/checklist/${id}`
    await tell({ endpoint: does === 'create' ? '/checklist' : '/checklist/{id}', path, json }, ctx)
    return [change]
  } catch (error) {
    if (!(error instanceof CordboardError)) throw error
    // 4054: another one has that wording, and it is not among the active ones.
    if (error.code === 'duplicate') return [{ ...change, because: 'the account has it, hidden' }]
    if (does !== 'edit' || error.code !== 'rejected') throw error
    // 4055: it has answers, which belong to the old wording. The new one is another question, then.
    return [
      ...(await changeQuestion({ does: 'create', what: becomes }, ctx)),
      ...(await changeQuestion({ does: 'hide', id, what }, ctx)),
    ]
  }
}

// ── Scripts ─────────────────────────────────────────────────────────────────────────────────────────────────────────

export async function compareScripts(ctx: Context): Promise<Change[]> {
  return scriptChanges(wanted(ctx.config.scripts, 'scripts'), await getScripts(ctx), ctx.config.keepOthers)
}

export async function syncScripts(ctx: Context): Promise<Change[]> {
  const configured = wanted(ctx.config.scripts, 'scripts')
  const changes = await compareScripts(ctx)
  for (const { does, id, what } of changes) {
    const script = configured.find(({ identifier }) => identifier === what)
    if (does === 'create' && script) {
      const json: Schemas['ScriptNew'] = { identifier: script.identifier, ...fieldsOf(script) }
      await tell({ endpoint: '/user/call_check_scripts/create', json }, ctx)
      continue
    }
    const json: Schemas['ScriptEdit'] = does === 'edit' && script ? fieldsOf(script) : { is_active: false }
    const path = `/user/call_check_scripts/edit/${id}`
    await tell({ endpoint: '/user/call_check_scripts/edit/{script_id}', path, json }, ctx)
  }
  return changes
}

type Wanted = NonNullable<Config['scripts']>[number]

const fieldsOf = ({ title, body, description, version, active }: Wanted) => ({
  title,
  script_body: body,
  ...(description === undefined ? {} : { description }),
  version,
  is_active: active,
})

/** Those that are not wanted are switched off, not deleted: calls were checked by them. */
export function scriptChanges(
  configured: readonly Wanted[],
  there: readonly Script[],
  keepsOthers: boolean,
): Change[] {
  const changes = configured.flatMap((script): Change[] => {
    const known = there.find(({ identifier }) => identifier === script.identifier)
    if (!known) return [{ does: 'create', what: script.identifier }]
    const fields = Object.entries(fieldsOf(script))
    const differs = fields.filter(([name, value]) => (known as Record<string, unknown>)[name] !== value)
    const becomes = differs.map(([name]) => name).join(', ')
    return differs.length === 0 ? [] : [{ does: 'edit', id: known.id, what: script.identifier, becomes }]
  })
  const others = there.filter(
    (one) => one.is_active && !configured.some(({ identifier }) => identifier === one.identifier),
  )
  const hidden = keepsOthers
    ? []
    : others.map(({ id, identifier: what }): Change => ({ does: 'hide', id, what }))
  return [...changes, ...hidden]
}

// ── For the doctor ──────────────────────────────────────────────────────────────────────────────────────────────────

/** What the account has otherwise than the configuration; asked only where something is configured. */
export async function differences(ctx: Context): Promise<NonNullable<CheckResult['warnings']>> {
  const { checklist, scripts } = ctx.config
  const found = [
    { name: 'checklists', what: 'question', changes: checklist ? await compareQuestions(ctx) : [] },
    { name: 'scripts', what: 'script', changes: scripts ? await compareScripts(ctx) : [] },
  ]
  return found
    .filter(({ changes }) => changes.length > 0)
    .map(({ name, what, changes }) => ({
      what: `${changes.length} ${what}${changes.length === 1 ? ' is' : 's are'} not as configured`,
      fix: `Run: cordboard backend ${ctx.connection} ${name} compare, then ${name} sync`,
    }))
}

function wanted<Value>(configured: Value | undefined, key: string): Value {
  if (configured !== undefined) return configured
  throw new CordboardError('config', `This connection has no ${key}`, { fix: `Write them under ${key}` })
}
