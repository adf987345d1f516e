import type { Call } from '../call/call.ts'
import type { Config, Flow } from '../config/model.ts'
import type { CallRow } from '../store/schema.ts'
import { callOf } from './call-row.ts'
import { fitting } from './content.ts'
import { lengthOf, spentToday } from './daily-cap.ts'
import type { Deps } from './deps.ts'
import { openBreakers } from './fail-over.ts'
import { whyNotAnalysed, whyNotTaken } from './plan.ts'

/** Which way a call goes by today's configuration, and why: asked of the rules themselves, nothing is sent or changed. */
export interface Explained {
  /** In the order of the configuration; the first that takes the call has it. */
  flows: { name: string; takes: boolean; why: string }[]
  flow: string | null
  /** Why no analysis service is given the call; null: they are. */
  forbidden: string | null
  /** In the order in which they are asked. */
  backends: { connection: string; takes: boolean; why: string }[]
  write: readonly string[]
}

/** Which of today’s flows takes a stored call, and what each of its services would say; nothing is changed. */
export async function explainFlow(deps: Deps, row: CallRow): Promise<Explained> {
  const call = callOf(row)
  const flows = deps.config.flows.map((flow) => judged(flow, row.connection, call))
  const name = flows.find(({ takes }) => takes)?.name ?? null
  const flow = deps.config.flows.find((one) => one.name === name)
  if (!flow) return { flows, flow: null, forbidden: null, backends: [], write: [] }
  const forbidden = flow.analyze.length === 0 ? null : whyNotAnalysed(flow, call)
  const backends = forbidden === null ? await inOrder(deps, flow, call) : []
  return { flows, flow: name, forbidden, backends, write: flow.write }
}

function judged(flow: Flow, connection: string, call: Call): Explained['flows'][number] {
  const { name } = flow
  if (!flow.from.includes(connection)) return { name, takes: false, why: `takes no calls of ${connection}` }
  const why = whyNotTaken(flow, call)
  if (why !== null) return { name, takes: false, why }
  return {
    name,
    takes: true,
    why: flow.when ? 'its condition fits' : `takes every call of ${flow.from.join(', ')}`,
  }
}

/** As `plan` and `fail-over` choose: by preference, those that cannot take work now at the end. */
async function inOrder(deps: Deps, flow: Flow, call: Call): Promise<Explained['backends']> {
  const open = await openBreakers(deps)
  const order = [...flow.analyze.filter((id) => !open.has(id)), ...flow.analyze.filter((id) => open.has(id))]
  return Promise.all(
    order.map(async (connection) => {
      const { takes, why } = await judgedBackend(deps, deps.config, connection, call)
      if (!takes || !open.has(connection)) return { connection, takes, why }
      return {
        connection,
        takes: false,
        why: 'cannot take work now: its breaker is open, others are asked first',
      }
    }),
  )
}

async function judgedBackend(
  deps: Deps,
  { connections }: Config,
  id: string,
  call: Call,
): Promise<{ takes: boolean; why: string }> {
  const no = (why: string) => ({ takes: false, why })
  const connection = connections.get(id)
  if (!connection) return no('is not in the configuration')
  const fit = fitting(connection, call)
  if (typeof fit === 'string') return no(fit)
  const made = 'text' in fit ? null : fit.made
  if (made && !deps.convert)
    return no(`${made.why}. It could be converted to ${made.to}, and nothing here does that`)
  const yes = { takes: true, why: made ? `takes it, converted to ${made.to}` : 'takes it' }
  const { minutesPerDay } = connection
  if (minutesPerDay === undefined) return yes
  const left = minutesPerDay * 60_000 - (await spentToday(deps, id))
  if (lengthOf(call) <= left) return yes
  return no(`has ${Math.max(0, Math.floor(left / 60_000))} of ${minutesPerDay} minutes left today`)
}
