import type { Call } from '../call/call.ts'
import type { FlowFilter, FlowRule } from './model.ts'

/** Why a call does not fit, in words that hold no number and no name; null: it fits. */
export type Condition = (call: Call) => string | null

/** A flow's condition; undefined: every call. What a call does not say fits no condition on it. */
export function conditionOf(rule: FlowRule | undefined): Condition | undefined {
  if (rule === undefined) return undefined
  if (typeof rule === 'function') return (call) => (rule(call) ? null : 'its function says no')
  return (call) => {
    for (const key of Object.keys(CHECKS) as (keyof FlowFilter)[]) {
      const wanted = rule[key]
      if (wanted === undefined) continue
      const { seen, fits } = CHECKS[key](wanted as never, call)
      if (!fits) return `${key}: wanted ${[wanted].flat().join(' or ')}, seen ${seen ?? 'nothing'}`
    }
    return null
  }
}

type Check<Key extends keyof FlowFilter> = (
  wanted: NonNullable<FlowFilter[Key]>,
  call: Call,
) => { seen: string | number | undefined; fits: boolean }

const CHECKS: { [Key in keyof Required<FlowFilter>]: Check<Key> } = {
  medium: (wanted, { medium }) => ({ seen: medium, fits: isOneOf(wanted, medium) }),
  direction: (wanted, { direction }) => ({ seen: direction, fits: isOneOf(wanted, direction) }),
  result: (wanted, { result }) => ({ seen: result, fits: isOneOf(wanted, result) }),
  minTalkMs: (wanted, { talkMs }) => ({ seen: talkMs, fits: talkMs !== undefined && talkMs >= wanted }),
  maxTalkMs: (wanted, { talkMs }) => ({ seen: talkMs, fits: talkMs !== undefined && talkMs <= wanted }),
  segment: (wanted, { segment }) => ({ seen: segment, fits: isOneOf(wanted, segment) }),
  language: (wanted, { language }) => ({ seen: language, fits: speaks(wanted, language) }),
  tags: (wanted, { tags }) => ({
    seen: tags.join(', ') || undefined,
    fits: tags.some((tag) => isOneOf(wanted, tag)),
  }),
}

function isOneOf(wanted: string | readonly string[], seen: string | undefined): boolean {
  return seen !== undefined && (typeof wanted === 'string' ? wanted === seen : wanted.includes(seen))
}

/** BCP 47 basic filtering: "fr" takes "fr-CA", "fr-CA" does not take "fr". */
function speaks(wanted: string | readonly string[], seen: string | undefined): boolean {
  const tag = seen?.toLowerCase() ?? ''
  return [wanted].flat().some((range) => `${tag}-`.startsWith(`${range.toLowerCase()}-`))
}
