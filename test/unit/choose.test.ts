import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Candidate } from '../../src/connector/crm-role.ts'
import { PREFERENCES } from '../../src/connector/crm-role.ts'
import { choose } from '../../src/pipeline/choose.ts'
import { decide } from '../../src/pipeline/decide.ts'
import { commonCall } from '../kit/connector/samples.ts'

const one = (id: string, facts: Partial<Candidate> = {}): Candidate => ({
  type: 'contact',
  id,
  reason: 'same number',
  ...facts,
})
const at = (day: number) => `2026-11-${String(day).padStart(2, '0')}T12:00:00.000Z`

describe('which of several records', () => {
  const deal = one('deal', { hasOpenDeal: true, lastActivityAt: at(1), createdAt: at(1) })
  const active = one('active', { lastActivityAt: at(9), createdAt: at(2) })
  const agents = one('agents', { isAgents: true, lastActivityAt: at(3), createdAt: at(3) })
  const fresh = one('fresh', { createdAt: at(8) })
  const all = [deal, active, agents, fresh]

  test.each([
    [['open deal'], 'deal'],
    [['last activity'], 'active'],
    [['owner is the agent'], 'agents'],
    [['newest'], 'fresh'],
    [['owner is the agent', 'open deal'], 'agents'],
  ] as const)('%j takes %s', (prefer, id) => {
    expect(choose(all, prefer).best?.id).toBe(id)
  })

  test('a rule that fits several leaves the choice among those to the next one', () => {
    const other = one('other', { hasOpenDeal: true, lastActivityAt: at(5) })
    expect(choose([...all, other], ['open deal', 'last activity']).best?.id).toBe('other')
    expect(choose([...all, other], ['open deal'])).toEqual({
      best: null,
      why: '2 of 5 records fit alike: the rule (open deal) does not decide',
    })
  })

  test('a rule that fits none is passed over; what is not known fits nothing', () => {
    expect(choose([active, fresh], ['open deal', 'last activity']).best?.id).toBe('active')
    expect(choose([one('a'), one('b')], PREFERENCES).best).toBeNull()
    expect(choose([one('a', { lastActivityAt: 'no time' }), active], ['last activity']).best?.id).toBe(
      'active',
    )
  })

  test('the only one needs no rule, and nobody is nobody', () => {
    expect(choose([fresh], [])).toEqual({ best: fresh, why: 'same number' })
    expect(choose([], PREFERENCES).best).toBeNull()
  })

  test('the order in which the CRM lists them never decides', () => {
    const candidate = fc.record(
      {
        type: fc.constant<string>('contact'),
        id: fc.uuid(),
        reason: fc.constant<string>('same number'),
        hasOpenDeal: fc.boolean(),
        isAgents: fc.boolean(),
        lastActivityAt: fc.integer({ min: 1, max: 3 }).map(at),
        createdAt: fc.integer({ min: 1, max: 3 }).map(at),
      },
      { requiredKeys: ['type', 'id', 'reason'] },
    )
    fc.assert(
      fc.property(
        fc.array(candidate, { maxLength: 6 }),
        fc.subarray([...PREFERENCES]),
        (candidates, prefer) => {
          const best = choose(candidates, prefer).best
          expect(choose(candidates.toReversed(), prefer).best).toBe(best)
          expect(best === null || candidates.includes(best)).toBe(true)
        },
      ),
    )
  })
})

describe('what becomes of a call', () => {
  const call = commonCall()
  const flow = { prefer: [], unknownCaller: 'create' } as const
  const about = { call, isLogged: false, creates: true }

  test('an unknown caller goes by the flow; who has no number, or cannot be made, is written without a contact', () => {
    expect(decide([], flow, about).verdict).toBe('create')
    expect(decide([], { ...flow, unknownCaller: 'skip' }, about).verdict).toBe('skip')
    expect(decide([], flow, { ...about, creates: false }).verdict).toBe('unmatched')
    expect(decide([], flow, { ...about, call: { ...call, customer: undefined } }).verdict).toBe('unmatched')
  })

  test('an internal call is nobody’s, unless it stands in the CRM already', () => {
    const internal = { ...about, call: { ...call, direction: 'internal' as const } }
    expect(decide([one('a')], flow, internal).verdict).toBe('internal')
    expect(decide([], flow, { ...internal, isLogged: true }).verdict).toBe('logged')
  })

  test('the CRM’s own record of a call needs no choice among contacts', () => {
    expect(decide([one('a'), one('b')], flow, about).verdict).toBe('several')
    expect(decide([one('a'), one('b')], flow, { ...about, isLogged: true })).toMatchObject({
      verdict: 'logged',
      target: null,
    })
  })
})
