import { normalisePhone } from '../call/phone.ts'
import type { Connector } from '../connector/contract.ts'
import { type Condition, conditionOf } from './filter.ts'
import { contentHash } from './hash.ts'
import { type FieldMapping, mappingOf, pathFault } from './mapping.ts'
import type { Flow } from './model.ts'
import { type ConfigProblem, orList, pathText } from './problem.ts'
import type { FlowEntry } from './schema.ts'
import { suggest } from './suggest.ts'

const ROLES = { from: 'telephony', analyze: 'analysis', write: 'crm' } as const

/** Flows that parsed, by their place in the list. `connectors`: null where the connection itself is wrong. */
export async function loadFlows(
  entries: ReadonlyMap<number, FlowEntry>,
  connectors: ReadonlyMap<string, Connector | null>,
  region: string | undefined,
): Promise<{ flows: Flow[]; problems: ConfigProblem[] }> {
  const problems: ConfigProblem[] = []
  const flows: Flow[] = []
  const names = new Map<string, number>()
  for (const [index, entry] of entries) {
    const named = { ...entry, write: Array.isArray(entry.write) ? entry.write : Object.keys(entry.write) }
    for (const key of ['from', 'analyze', 'write'] as const) {
      for (const [i, id] of named[key].entries()) {
        const problem = referenceProblem(id, key, named[key].indexOf(id) < i, connectors)
        const at = Array.isArray(entry[key]) ? i : id
        if (problem) problems.push({ path: pathText(['flows', index, key, at]), ...problem })
      }
    }
    const mapped = mappings(entry.write, connectors)
    problems.push(
      ...mapped.problems.map(({ at, ...problem }) => ({
        ...problem,
        path: pathText(['flows', index, 'write', ...at]),
      })),
    )
    const name = entry.name ?? [entry.from.join(' + '), ...entry.analyze, named.write.join(' + ')].join(' → ')
    const first = names.get(name)
    if (first !== undefined) problems.push(sameName(index, first, name))
    else names.set(name, index)
    const { from, analyze, unknownCaller, prefer } = entry
    const version = (await contentHash(entry)).slice(0, 16)
    const refused = refusedNumbers(entry, region)
    problems.push(
      ...refused.problems.map((problem) => ({
        ...problem,
        path: `${pathText(['flows', index])}${problem.path}`,
      })),
    )
    flows.push({
      name,
      from,
      analyze,
      write: named.write,
      fields: mapped.fields,
      unknownCaller,
      prefer,
      when: conditionOf(entry.when),
      noAnalysis: noAnalysisOf(entry, refused.numbers),
      version,
    })
  }
  return { flows, problems }
}

/** What each CRM gets into fields of the operator's own. */
function mappings(
  write: FlowEntry['write'],
  connectors: ReadonlyMap<string, Connector | null>,
): { fields: Map<string, FieldMapping>; problems: (Omit<ConfigProblem, 'path'> & { at: string[] })[] } {
  const fields = new Map<string, FieldMapping>()
  const problems: (Omit<ConfigProblem, 'path'> & { at: string[] })[] = []
  for (const [id, rule] of Array.isArray(write) ? [] : Object.entries(write)) {
    if (typeof rule !== 'function' && Object.keys(rule).length === 0) continue
    const crm = connectors.get(id)?.crm
    if (crm && !crm.fields) {
      const expected = 'no fields: this CRM has none on its record of a call'
      const fix = `Name ${id} without fields: { ${JSON.stringify(id)}: {} }`
      problems.push({ at: [id], what: `${id} takes no fields of your own`, expected, seen: 'fields', fix })
    }
    for (const [name, path] of typeof rule === 'function' ? [] : Object.entries(rule)) {
      const fault = pathFault(path)
      const expected = 'a path into the analysis, or into the call after "call."'
      if (fault) problems.push({ at: [id, name], what: 'This path leads nowhere', expected, ...fault })
    }
    fields.set(id, mappingOf(rule))
  }
  return { fields, problems }
}

function referenceProblem(
  id: string,
  key: keyof typeof ROLES,
  isRepeated: boolean,
  connectors: ReadonlyMap<string, Connector | null>,
): Omit<ConfigProblem, 'path'> | null {
  const role = ROLES[key]
  const fitting = [...connectors].filter(([, known]) => known?.[role]).map(([name]) => name)
  const expected = fitting.length === 0 ? `a connection with the role ${role}` : orList(fitting)
  if (!connectors.has(id)) {
    const meant = suggest(id, connectors.keys())
    const fix = meant ? `Did you mean ${meant}?` : `Add the connection ${id}, or remove it here`
    return { what: `There is no connection ${id}`, expected, seen: id, fix }
  }
  const connector = connectors.get(id)
  if (connector && !connector[role]) {
    const has = Object.values(ROLES).filter((other) => connector[other])
    const fix = `Name a ${role} connection in ${key}`
    return { what: `The connection ${id} has no role ${role}`, expected, seen: `${id} (${orList(has)})`, fix }
  }
  if (!isRepeated) return null
  return { what: `${id} is named twice`, expected: 'each connection once', seen: id, fix: `Remove one ${id}` }
}

/** Steps record their flow by name: two of the same name could not be told apart. */
function sameName(index: number, first: number, name: string): ConfigProblem {
  return {
    path: pathText(['flows', index, 'name']),
    what: `Two flows have the name ${JSON.stringify(name)}`,
    expected: 'a name of its own',
    seen: `the name of flows[${first}]`,
    fix: 'Give each of them its own name',
  }
}

/** As E.164, so that a call's number is found however either was written. */
function refusedNumbers(
  { noAnalysis }: FlowEntry,
  region: string | undefined,
): { numbers: ReadonlySet<string>; problems: ConfigProblem[] } {
  const numbers = new Set<string>()
  const problems: ConfigProblem[] = []
  for (const [i, raw] of (noAnalysis?.numbers ?? []).entries()) {
    const { e164 } = normalisePhone(raw, region)
    if (e164 !== null) numbers.add(e164)
    else {
      problems.push({
        path: `.noAnalysis.numbers[${i}]`,
        what: 'This is no phone number',
        expected: 'a number with its country code, or national with a region',
        seen: `${raw.length} characters`,
        fix: 'Write it as +33…, or set region for the configuration',
      })
    }
  }
  return { numbers, problems }
}

/** The rule of a flow that keeps calls from every analysis service. */
function noAnalysisOf({ noAnalysis }: FlowEntry, numbers: ReadonlySet<string>): Condition | undefined {
  if (noAnalysis === undefined) return undefined
  const when = conditionOf(noAnalysis.when)
  return (call) => {
    const phone = call.customer?.phone
    if (phone != null && numbers.has(phone))
      return 'the outside number is on the list of those that are not analysed'
    if (when === undefined || when(call) !== null) return null
    return 'the call fits the rule of those that are not analysed'
  }
}
