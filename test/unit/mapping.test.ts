import { describe, expect, test } from 'vitest'
import { mappingOf, pathFault } from '../../src/config/mapping.ts'
import { commonCall, SAMPLE_ANALYSIS } from '../kit/connector/samples.ts'

const call = {
  ...commonCall(),
  talkMs: 61_000,
  tags: ['vip', 'late'],
  reference: 'order 7',
  meta: { line: '4' },
}
const analysis = {
  ...SAMPLE_ANALYSIS,
  summary: 'They want it today',
  sentiment: 'negative' as const,
  scores: { csat: { value: 4, scale: { min: 1, max: 5 } }, 'a.b': { value: 0 } },
  topics: ['delivery', 'refund'],
  checklist: [{ question: 'Greeted?', answer: 'yes' }],
  notes: { mood: 'calm' },
}
const of = (rule: Record<string, string>) => mappingOf(rule).of(call, analysis)

describe('fields of the operator’s own', () => {
  test('a path leads through the analysis, or after call. through the call', () => {
    expect(
      of({
        score: 'scores.csat',
        zero: 'scores.a.b',
        summary: 'summary',
        mood: 'notes.mood',
        greeted: 'checklist.Greeted?',
        topics: 'topics',
        talk: 'call.talkMs',
        tags: 'call.tags',
        line: 'call.meta.line',
        agent: 'call.agent.email',
      }),
    ).toEqual({
      score: 4,
      zero: 0,
      summary: 'They want it today',
      mood: 'calm',
      greeted: 'yes',
      topics: 'delivery; refund',
      talk: 61_000,
      tags: 'vip; late',
      line: '4',
      agent: call.agent?.email,
    })
  })

  test('what has no value leaves its field out, so that nothing in the CRM is cleared', () => {
    const rule = { a: 'title', b: 'scores.other', c: 'call.outcome', d: 'checklist.Other?', e: 'notes.other' }
    expect(mappingOf(rule).of({ ...call, outcome: undefined }, { scores: {} })).toEqual({})
    expect(mappingOf({ a: 'summary', b: 'call.reference' }).of(call, null)).toEqual({ b: 'order 7' })
  })

  test('what a function worked out from nothing is no value, and what it gives later is said', () => {
    const none = undefined as unknown as number
    const rule = () => ({ minutes: none / 60_000, rate: 1 / 0, zero: 0, off: false, none: null })
    expect(mappingOf(rule).of(call, null)).toEqual({ zero: 0, off: false })
    for (const wrong of [async () => ({ a: 1 }), () => ['a']])
      expect(() => mappingOf(wrong as unknown as typeof rule).of(call, null)).toThrow(
        'gave no object of fields',
      )
  })

  test('nothing that every object has is a value', () => {
    for (const path of ['scores.constructor', 'notes.__proto__', 'call.meta.toString', 'call.agent.valueOf'])
      expect(of({ x: path })).toEqual({})
  })

  test('it is known before any call what kind of value a field gets', () => {
    expect(mappingOf({ a: 'scores.csat', b: 'call.talkMs', c: 'summary' }).names).toEqual([
      { name: 'a', type: 'number' },
      { name: 'b', type: 'number' },
      { name: 'c', type: 'text' },
    ])
    expect(mappingOf(() => ({})).names).toBeNull()
  })

  test('a function gives values; what is none is left out, and its failure is the configuration’s', () => {
    const given = () => ({ a: 1, b: 'x', c: false, d: null, e: undefined, f: '' })
    expect(mappingOf(given).of(call, null)).toEqual({ a: 1, b: 'x', c: false })
    const failing = mappingOf(() => {
      throw new TypeError('of undefined')
    })
    expect(() => failing.of(call, null)).toThrow(expect.objectContaining({ code: 'config' }))
  })
})

describe('a path that leads nowhere is said before a port opens', () => {
  test.each([
    ['sumary', 'Did you mean summary?'],
    ['scores', 'Say which one: scores.<name>'],
    ['call.talkms', 'Did you mean call.talkMs?'],
    ['summary.length', 'Stop at summary'],
    ['call.talkMs.x', 'Stop at call.talkMs'],
  ])('%s', (path, fix) => {
    expect(pathFault(path)?.fix).toBe(fix)
  })

  test.each([
    'scores.csat',
    'summary',
    'call.customer.name',
    'call.meta.any',
    'checklist.Was it ok?',
    'topics',
  ])('%s is taken', (path) => {
    expect(pathFault(path)).toBeNull()
  })

  test('raw results and transcripts are no field', () => {
    expect(pathFault('raw.x')).not.toBeNull()
    expect(pathFault('transcript')).not.toBeNull()
  })
})
