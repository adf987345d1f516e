import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { showAnswer } from '../../src/cli/show-answer.ts'
import { operationFor } from '../../src/connector/contract.ts'
import { optionsOf, readInput, synopsis } from '../../src/connector/operations.ts'
import { CordboardError } from '../../src/errors.ts'

const operation = operationFor<unknown>()({
  says: 'a test',
  docs: 'https://vendor.example',
  input: z.object({
    code: z.uuid().describe('code of the task'),
    perPage: z.coerce.number().int().positive().default(20).describe('entries of a page'),
    onlyActive: z.stringbool().optional().describe('leave out the others'),
    where: z.array(z.string()).default([]).describe('a criterion'),
    kind: z.enum(['call', 'chat']).optional().describe('of the task'),
    day: z.iso.date().optional().describe('of the call'),
  }),
  run: async () => null,
})
const code = '9360911d-34ce-4e1f-9259-2ba0a1b96ae7'
const failure = (given: Record<string, string[]>) => {
  try {
    readInput(operation, given, 'tasks list')
  } catch (error) {
    if (error instanceof CordboardError) return [error.code, error.message, error.fix]
  }
  return null
}

describe('the input of an operation', () => {
  it('has an option for each of its names', () => {
    expect(optionsOf(operation).map(synopsis)).toEqual([
      '--code TEXT',
      '[--per-page NUMBER]',
      '[--only-active TEXT]',
      '[--where TEXT …]',
      '[--kind call|chat]',
      '[--day DATE]',
    ])
  })

  it('is read from texts, which may be given more than once only where there is a list', () => {
    const given = { code: [code], 'per-page': ['5'], 'only-active': ['no'], where: ['a=b', 'c=d'] }
    const want = { code, perPage: 5, onlyActive: false, where: ['a=b', 'c=d'] }
    expect(readInput(operation, given, 'x')).toEqual(want)
    expect(readInput(operation, { code: [code] }, 'x')).toEqual({ code, perPage: 20, where: [] })
    expect(failure({ code: [code, code] })?.[1]).toBe('--code is given twice')
  })

  it('names everything that is wrong at once, and what it takes', () => {
    const [kind, message, fix] = failure({ 'per-page': ['two'], kind: ['mail'], day: ['20.10.'] }) ?? []
    expect(kind).toBe('bad_request')
    expect(message).toBe(
      'tasks list: --code is missing; --per-page: expected number, received NaN; ' +
        '--kind: expected one of "call"|"chat"; --day: Invalid ISO date',
    )
    expect(fix).toMatch(/^It takes: --code TEXT \[--per-page NUMBER\]/)
  })

  it('has no other options, in whatever case they are written', () => {
    expect(failure({ code: [code], 'per-pgae': ['5'] })).toEqual([
      'bad_request',
      'tasks list has no option --per-pgae',
      'Did you mean --per-page?',
    ])
    expect(failure({ code: [code], perPage: ['5'] })?.[1]).toBe('tasks list has no option --perPage')
    expect(failure({ code: [code], constructor: ['5'] })?.[1]).toBe('tasks list has no option --constructor')
  })
})

describe('an answer for people', () => {
  const shown = (answer: unknown): string[] => {
    const lines: string[] = []
    const io = { out: (line: string) => lines.push(line), paint: (_: unknown, text: string) => text }
    showAnswer(answer, io as never)
    return lines
  }

  it('is values by their path, and lists as tables below them', () => {
    const items = [
      { id: 1, name: 'Sales', tags: ['a', 'b'], deep: { x: true } },
      { id: 22, name: null },
    ]
    expect(shown({ total: 2, plan: { left: 5, none: null }, items })).toEqual([
      'total      2',
      'plan.left  5',
      'plan.none',
      '',
      'items',
      'id  name   tags  deep.x',
      '1   Sales  a, b  true',
      '22',
    ])
    expect(shown([])).toEqual(['none'])
    expect(shown(['a', 1])).toEqual(['a', '1'])
    expect(shown(null)).toEqual(['done'])
  })

  it('keeps long texts whole, cuts them in tables, and holds nothing that a terminal obeys', () => {
    const long = 'word '.repeat(30).trim()
    expect(shown({ text: long })).toEqual([`text  ${long}`])
    expect(shown([{ text: long }])[1]).toHaveLength(60)
    expect(shown({ 'na\u001bme': 'a\u001b[2Jb\u202ec\u009bd' })).toEqual(['na me  a [2Jb c d'])
  })
})
