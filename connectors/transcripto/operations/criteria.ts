import { CordboardError } from '../../../src/errors.ts'
import type { Schemas } from '../client.ts'

type Criteria = Schemas['TaskFilter']

const number = (text: string): number => {
  const value = Number(text)
  return text.trim() === '' || !Number.isFinite(value) ? Number.NaN : value
}
const split = (text: string): string[] => text.split(',').map((one) => one.trim())
const one = (values: (number | string)[]) => (values.length === 1 ? values[0] : values)

const asText = (text: string): unknown => text
const asIds = (text: string): unknown => one(split(text).map(number))
const asWords = (text: string): unknown => one(split(text))

/** Every criterion of /tasks/filter, and how its value is written in JSON. Pages are asked for apart. */
const KINDS: Record<Exclude<keyof Criteria, 'page' | 'per_page'>, (text: string) => unknown> = {
  task_code: asText,
  task_id: number,
  date_from: asText,
  date_to: asText,
  task_type: asText,
  status: asText,
  call_type: asText,
  operator_name: asText,
  message: asText,
  tone_id: asIds,
  resolved_status_id: asIds,
  priority_id: asIds,
  funnel_stage_id: asIds,
  risk_signal_id: asIds,
  sales_signal_id: asIds,
  script_alignment_min: number,
  script_alignment_max: number,
  customer_satisfaction_score_min: number,
  customer_satisfaction_score_max: number,
  operator_politeness: asIds,
  operator_politeness_min: number,
  operator_politeness_max: number,
  tags_any: asText,
  tags_all: asText,
  length_min: number,
  length_max: number,
  checklist_id: number,
  answers: asWords,
}

/** Criteria from `name=value` texts; lists have commas. Throws `bad_request` for what is none. */
export function toCriteria(where: readonly string[]): Criteria {
  const criteria: Record<string, unknown> = {}
  for (const text of where) {
    const at = text.indexOf('=')
    const name = text.slice(0, at)
    if (at < 1) throw wrong(`${text} is no criterion`, 'Write it as --where status=completed')
    if (!isName(name)) {
      throw wrong(`There is no criterion ${name}`, `Use one of: ${Object.keys(KINDS).join(', ')}`)
    }
    const value = KINDS[name](text.slice(at + 1))
    if ([value].flat().some(Number.isNaN)) throw wrong(`${name} is a number`, `Write it as --where ${name}=5`)
    criteria[name] = value
  }
  return criteria
}

/** The same for a query: lists have commas again. */
export function toQuery(criteria: Criteria): Record<string, string> {
  return Object.fromEntries(
    Object.entries(criteria).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.join(',') : String(value),
    ]),
  )
}

const isName = (name: string): name is keyof typeof KINDS => Object.hasOwn(KINDS, name)
const wrong = (message: string, fix: string) => new CordboardError('bad_request', message, { fix })
