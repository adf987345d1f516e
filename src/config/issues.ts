import type { z } from 'zod'
import { at, type ConfigProblem, orList, type Path, pathText, seenText } from './problem.ts'
import { suggestedName } from './secrets.ts'
import { suggest } from './suggest.ts'

type Issue = z.core.$ZodIssue

/** What the translation of zod's issues needs to know of the input they are about. */
export interface Place {
  /** The input that was parsed: `seen` is read from it. */
  input: unknown
  /** Where in the configuration it stands. */
  path: Path
  /** Keys that may stand at a path (for suggestions). */
  known?: (path: readonly PropertyKey[]) => readonly string[] | null
  /** Whether a secret stands at a path, whose value is not shown. */
  isSecret?: (path: Path) => boolean
}

const NAMING = 'Name connections with lower-case letters, digits and "-", such as support-paris'
const FIELD_NAMING = 'Write the name that the CRM’s API has for the field, such as Call_Score__c'

const FIXES: Record<string, string> = {
  publicUrl: 'Write the address vendors call, such as https://calls.example.com',
  region: 'Write the two letters of the country, such as FR',
  audio: 'Write it as in: 30 days, 12 months, forever',
  transcript: 'Write it as in: 30 days, 12 months, forever',
  deliveries: 'Write it as in: 30 days, 12 months, forever',
  allowPrivate: 'List hosts as in: 10.0.0.5:8443, pbx.internal',
  when: 'Write a filter such as {"direction": "inbound"}, in TypeScript also a function of the call',
}

/** zod's issues as problems an operator can act on: expected, seen, fix. */
export function toProblems(issues: readonly Issue[], place: Place): ConfigProblem[] {
  return issues.filter((issue) => !isSaid(issue, issues)).flatMap((issue) => translate(issue, place))
}

/** Text where a list should stand is of a length too, which is no news. */
function isSaid({ code, path }: Issue, issues: readonly Issue[]): boolean {
  if (code !== 'too_big' && code !== 'too_small') return false
  return issues.some((one) => one.code === 'invalid_type' && one.path.join('.') === path.join('.'))
}

function translate(issue: Issue, place: Place): ConfigProblem[] {
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey(key, issue.path, place))
  const inner = issue.code === 'invalid_union' ? closest(issue) : null
  if (inner) return inner.flatMap((one) => translate({ ...one, path: [...issue.path, ...one.path] }, place))
  const own = issue.path.map((key) => (typeof key === 'number' ? key : String(key)))
  const path = [...place.path, ...own]
  const value = at(place.input, own)
  const last = own.at(-1)
  const name = typeof last === 'number' ? `[${last}]` : (last ?? '')
  const expected = expectation(issue)
  if (issue.code === 'invalid_key') {
    const what = `The name ${name} is not valid`
    const fix = own.length > 4 && own[2] === 'write' ? FIELD_NAMING : NAMING
    return [{ path: pathText(path), what, expected, seen: name, fix }]
  }
  const isSecret = place.isSecret?.(path) ?? false
  const isRule = issue.code === 'custom'
  if (value === undefined) {
    const what = `${name || 'The configuration'} is missing`
    const secret = isSecret ? `secret('${suggestedName(path)}')` : null
    const fix = fixFor(own) ?? `Add ${name}: ${secret ?? expected}`
    return [
      { path: pathText(path), what, expected: describe(issue, expected, isSecret), seen: 'nothing', fix },
    ]
  }
  return [
    {
      path: pathText(path),
      what:
        name !== ''
          ? `${name} is not valid`
          : isRule
            ? 'These keys do not fit together'
            : 'This is not valid',
      expected,
      seen: isSecret ? 'a secret (not shown)' : seenText(value),
      fix: fixFor(own) ?? changeTo(expected),
    },
  ]
}

export function unknownKey(key: string, path: readonly PropertyKey[], place: Place): ConfigProblem {
  const own = path.map((part) => (typeof part === 'number' ? part : String(part)))
  const known = (place.known?.(own) ?? []).filter((one) => !one.startsWith('$'))
  const meant = suggest(key, known)
  return {
    path: pathText([...place.path, ...own, key]),
    what: `There is no key ${key} here`,
    expected: orList(known),
    seen: key,
    fix: meant ? `Did you mean ${meant}?` : `Remove ${key}`,
  }
}

/** Of a union's alternatives the one the input was meant for: the one whose kind fits. Null when none does. */
function closest(issue: Issue & { code: 'invalid_union' }): Issue[] | null {
  const deeper = issue.errors.filter((errors) => errors.every((one) => !isWrongKind(one)))
  return deeper.toSorted((a, b) => a.length - b.length)[0] ?? null
}

function isWrongKind(issue: Issue): boolean {
  return issue.path.length === 0 && (issue.code === 'invalid_type' || issue.code === 'custom')
}

const KINDS: Record<string, string> = {
  string: 'text',
  int: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  record: 'an object',
}

function expectation(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_type':
      return KINDS[issue.expected] ?? issue.expected
    case 'invalid_value':
      return orList(issue.values.map((value) => JSON.stringify(value)))
    case 'too_small':
    case 'too_big':
      return bounds(issue)
    case 'invalid_key':
      return issue.issues[0]?.message ?? issue.message
    case 'invalid_union': {
      const kinds = issue.errors.flatMap((errors) => errors.filter(isWrongKind).map(expectation))
      // The alternative for a function is a custom check: its words are zod's, not ours.
      const said = [...new Set(kinds)].filter((text) => text !== 'Invalid input')
      return said.length === 0 ? issue.message : orList(said)
    }
    case 'invalid_format':
      return isOwn(issue) ? issue.message : formatText(issue)
    default:
      return issue.message
  }
}

/** Words that were written for this key, and not zod's own. */
const isOwn = ({ message }: Issue) => !/^Invalid /.test(message)

function formatText(issue: Issue & { code: 'invalid_format' }): string {
  if (issue.format === 'url') return 'an http or https URL'
  return issue.pattern === undefined
    ? `text of the format ${issue.format}`
    : `text such as ${issue.pattern} takes`
}

/** A connector's own rule is a thing to put there, or a sentence of its own. */
function changeTo(expected: string): string {
  return /^(?:give|set|name|write|either|min)\b|^an? (?!\w+ that )[\w ]+? is \w|\b(?:together|needs?|twice)\b/.test(
    expected,
  )
    ? `Change it: ${expected}`
    : `Change it to ${expected}`
}

function bounds(issue: Issue & { code: 'too_small' | 'too_big' }): string {
  if (!/^Too (small|big)/.test(issue.message)) return issue.message
  const limit = issue.code === 'too_small' ? `at least ${issue.minimum}` : `at most ${issue.maximum}`
  if (issue.origin === 'string')
    return limit === 'at least 1' ? 'text that is not empty' : `${limit} characters`
  if (issue.origin === 'array')
    return limit === 'at least 1' ? 'a list that is not empty' : `a list of ${limit}`
  return `${limit}`
}

function fixFor(path: Path): string | null {
  const key = path.findLast((part) => typeof part === 'string')
  return typeof key === 'string' && Object.hasOwn(FIXES, key) ? (FIXES[key] ?? null) : null
}

/** A connector's own rule says more than that there is nothing. */
function describe(issue: Issue, expected: string, isSecret: boolean): string {
  return isSecret && issue.code === 'invalid_type' ? 'a reference to a secret' : expected
}
