import { z } from 'zod'
import { type Analysis, analysis as analysisSchema } from '../call/analysis.ts'
import { type Call, call as callSchema } from '../call/call.ts'
import type { FieldValue } from '../connector/crm-role.ts'
import { CordboardError } from '../errors.ts'
import { suggest } from './suggest.ts'

/**
 * What a flow writes into fields of the operator's own: `{ Call_Score__c: 'scores.csat' }`, or in TypeScript a function of
 * the call and its analysis. A path leads through the analysis, or after `call.` through the call.
 */
export type FieldRule =
  | Readonly<Record<string, string>>
  | ((call: Call, analysis: Analysis | null) => Readonly<Record<string, FieldValue | null | undefined>>)

export interface MappedField {
  name: string
  type: 'text' | 'number'
  /** The text is an instant, UTC: a field that holds a time takes it too. */
  isInstant?: true
}

export interface FieldMapping {
  /** The CRM's names of the fields, with what kind of value each gets; null: a function, nobody knows which. */
  names: readonly MappedField[] | null
  /** Fields without a value are left out: nothing that stands in the CRM is cleared. */
  of(call: Call, analysis: Analysis | null): Record<string, FieldValue>
}

/** Longer values are no field any more; the whole stands in the note. */
const MAX_TEXT = 100_000
const INSTANTS = new Set(['startedAt', 'answeredAt', 'endedAt'])
const NUMBERS = new Set(['ringMs', 'talkMs', 'holdMs', 'totalMs'])

export function mappingOf(rule: FieldRule): FieldMapping {
  if (typeof rule === 'function') return { names: null, of: (call, analysis) => judged(rule, call, analysis) }
  const paths = Object.entries(rule).map(([name, path]) => ({ name, path: path.split('.') }))
  return {
    names: paths.map(({ name, path }) => ({
      name,
      type: isNumber(path) ? 'number' : 'text',
      ...(isInstant(path) ? { isInstant: true } : {}),
    })),
    of(call, analysis) {
      const root = { ...analysis, call }
      return Object.fromEntries(
        paths.flatMap(({ name, path }) => {
          const value = valueAt(root, path)
          return value === undefined ? [] : [[name, value]]
        }),
      )
    },
  }
}

/** What is wrong with a path; null: it leads somewhere. */
export function pathFault(path: string): { seen: string; fix: string } | null {
  let at: z.ZodType = ROOT
  const gone: string[] = []
  const keys = path.split('.')
  for (const [i, key] of keys.entries()) {
    const schema = unwrapped(at)
    // Names of scores, notes and questions are whatever the service says.
    if (schema instanceof z.ZodRecord) return null
    if (!(schema instanceof z.ZodObject)) return { seen: path, fix: `Stop at ${gone.join('.')}` }
    const known = Object.keys(schema.shape)
    if (!known.includes(key)) {
      const meant = suggest(key, known)
      const whole = (name: string) => [...gone, name].join('.')
      const right = meant && [whole(meant), ...keys.slice(i + 1)].join('.')
      return {
        seen: path,
        fix: right ? `Did you mean ${right}?` : `Use one of ${known.map(whole).join(', ')}`,
      }
    }
    gone.push(key)
    at = schema.shape[key]
  }
  const end = unwrapped(at)
  if (end instanceof z.ZodRecord || end instanceof z.ZodObject)
    return { seen: path, fix: `Say which one: ${path}.<name>` }
  const isList = end instanceof z.ZodArray && !(end.element instanceof z.ZodString)
  return isList ? { seen: path, fix: 'Name something that is one value, or a list of words' } : null
}

const { raw: _raw, transcript: _transcript, checklist: _checklist, ...parts } = analysisSchema.shape
/** Where a path begins. Questions are named like scores; raw results and transcripts are no field. */
const ROOT = z.object({ ...parts, checklist: z.record(z.string(), z.string()), call: callSchema })

const NAMED = new Set(['scores', 'checklist', 'notes'])

function unwrapped(schema: z.ZodType): z.ZodType {
  const isWrapped =
    schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodNullable
  return isWrapped ? unwrapped(schema.unwrap() as z.ZodType) : schema
}

function isNumber([first = '', second = '']: readonly string[]): boolean {
  return first === 'scores' || (first === 'call' && NUMBERS.has(second))
}

function isInstant([first = '', second = '']: readonly string[]): boolean {
  return first === 'call' && INSTANTS.has(second)
}

function valueAt(
  root: Record<string, unknown>,
  [first = '', ...rest]: readonly string[],
): FieldValue | undefined {
  // Names of scores, notes and questions may hold dots themselves.
  const name = rest.join('.')
  if (first === 'checklist') {
    const items = (root.checklist ?? []) as NonNullable<Analysis['checklist']>
    return items.find(({ question }) => question === name)?.answer
  }
  if (NAMED.has(first)) {
    const named = (root[first] ?? {}) as Record<string, unknown>
    return Object.hasOwn(named, name) ? plain(named[name]) : undefined
  }
  let value: unknown = root[first]
  for (const key of rest) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined
    value = (value as Record<string, unknown>)[key]
  }
  return plain(value)
}

/** Lists become one text; a score is its value. */
function plain(value: unknown): FieldValue | undefined {
  // What was worked out from something that is not there is no number.
  if (typeof value === 'number') return Number.isFinite(value) ? value : undefined
  if (typeof value === 'boolean') return value
  if (typeof value === 'string') return value === '' ? undefined : value.slice(0, MAX_TEXT)
  if (Array.isArray(value)) return value.filter((item) => typeof item === 'string').join('; ') || undefined
  if (typeof value === 'object' && value !== null && 'value' in value) return plain(value.value)
  return undefined
}

function judged(
  rule: Extract<FieldRule, (...given: never[]) => unknown>,
  call: Call,
  analysis: Analysis | null,
): Record<string, FieldValue> {
  let fields: unknown
  try {
    fields = rule(call, analysis)
  } catch (cause) {
    throw new CordboardError('config', 'The function that maps fields failed on this call', { cause })
  }
  if (typeof fields !== 'object' || fields === null || Array.isArray(fields) || 'then' in fields)
    throw new CordboardError('config', 'The function that maps fields gave no object of fields', {
      fix: 'Return { field: value, … } at once: not a list, and nothing that is waited for (async)',
    })
  return Object.fromEntries(
    Object.entries(fields).flatMap(([name, value]) => {
      const known = Array.isArray(value) ? undefined : plain(value)
      return known === undefined ? [] : [[name, known]]
    }),
  )
}
