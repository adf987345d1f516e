import type { Call } from '../call/call.ts'
import type { FlowFilter, FlowRule } from './model.ts'

/** A flow's condition as a function; undefined: every call. What a call does not say fits no condition on it. */
export function flowPredicate(rule: FlowRule | undefined): ((call: Call) => boolean) | undefined {
  if (rule === undefined || typeof rule === 'function') return rule
  return (call) => matches(rule, call)
}

function matches(filter: FlowFilter, call: Call): boolean {
  return (
    isOneOf(filter.direction, call.direction) &&
    isOneOf(filter.result, call.result) &&
    (filter.minTalkMs === undefined || (call.talkMs ?? -1) >= filter.minTalkMs) &&
    isOneOf(filter.segment, call.segment) &&
    speaks(filter.language, call.language)
  )
}

function isOneOf(wanted: string | readonly string[] | undefined, seen: string | undefined): boolean {
  if (wanted === undefined) return true
  return seen !== undefined && (typeof wanted === 'string' ? wanted === seen : wanted.includes(seen))
}

/** BCP 47 basic filtering: "fr" takes "fr-CA", "fr-CA" does not take "fr". */
function speaks(wanted: string | readonly string[] | undefined, seen: string | undefined): boolean {
  if (wanted === undefined) return true
  const tag = seen?.toLowerCase() ?? ''
  return [wanted].flat().some((range) => `${tag}-`.startsWith(`${range.toLowerCase()}-`))
}
