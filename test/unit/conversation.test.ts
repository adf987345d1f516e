import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Analysis, Turn } from '../../src/call/analysis.ts'
import {
  conversationOf,
  conversationScores,
  type Voice,
  withConversation,
} from '../../src/call/conversation.ts'

const turn = (party: Turn['party'], startMs: number, endMs: number, text = ''): Turn => ({
  party,
  startMs,
  endMs,
  text,
})
const of = (...turns: Turn[]) => conversationScores({ turns })

describe('the metrics of a conversation', () => {
  it('are told of a small one as one would count them by hand', () => {
    const scores = of(
      turn('agent', 0, 4_000, 'Good morning. How can I help?'),
      turn('customer', 5_000, 9_000, 'My invoice is wrong!? Again'),
      turn('agent', 10_500, 12_000, 'Which one?'),
      turn('agent', 13_000, 15_000, 'The last?? I see.'),
      turn('customer', 14_000, 18_000, 'No.'),
      turn('agent', 17_000, 17_500, 'Yes'),
    )
    expect(scores).toEqual({
      'cordboard.silenceMs': { value: 3_500 },
      'cordboard.overlapMs': { value: 1_500 },
      'cordboard.talkRatio': { value: 0.5, scale: { min: 0, max: 1 } },
      'cordboard.agent.talkMs': { value: 8_000 },
      'cordboard.agent.longestMonologueMs': { value: 4_500 },
      'cordboard.agent.interruptions': { value: 0 },
      'cordboard.agent.patienceMs': { value: 1_500 },
      'cordboard.agent.questions': { value: 3 },
      'cordboard.customer.talkMs': { value: 8_000 },
      'cordboard.customer.longestMonologueMs': { value: 4_000 },
      'cordboard.customer.interruptions': { value: 1 },
      'cordboard.customer.patienceMs': { value: 1_000 },
      'cordboard.customer.questions': { value: 1 },
    })
  })

  it('count a pause into a monologue unless somebody speaks in it', () => {
    const longest = (...turns: Turn[]) => of(...turns)['cordboard.agent.longestMonologueMs']?.value
    const [first, second] = [turn('agent', 0, 1_000), turn('agent', 2_500, 4_000)]
    expect(longest(first, second)).toBe(4_000)
    expect(longest(first, second, turn('customer', 1_200, 1_400))).toBe(1_500)
    expect(longest(first, second, turn('other', 2_400, 5_000))).toBe(1_500)
    expect(longest(first, turn('agent', 3_100, 4_000))).toBe(1_000)
    // A word thrown in while one speaks breaks nothing.
    expect(longest(turn('agent', 0, 9_000), turn('customer', 3_000, 3_400))).toBe(9_000)
  })

  it('are absent where turns have no times, and a party that never spoke has none', () => {
    expect(of({ party: 'agent', text: 'Hello?' })).toEqual({})
    expect(of(turn('agent', 0, 10), { party: 'customer', text: 'Hello?', startMs: 12 })).toEqual({})
    expect(of(turn('agent', 5, 5))).toEqual({})
    expect(
      Object.keys(of(turn('agent', 0, 10), turn('other', 10, 20))).filter((name) =>
        /customer|Ratio/.test(name),
      ),
    ).toEqual([])
  })

  it('know the question marks of other scripts', () => {
    const asked = ['ինչպե՞ս եք', 'كيف حالك؟', '元気ですか？', 'Really?!?']
    expect(
      of(...asked.map((text, n) => turn('agent', n * 10, n * 10 + 10, text)))['cordboard.agent.questions'],
    ).toEqual({
      value: 5,
    })
  })

  it('stand beside the scores of a service, and what a service calls by our name is not shown', () => {
    const analysis: Analysis = {
      title: 'A',
      scores: { csat: { value: 3 }, 'cordboard.talkRatio': { value: 99 } },
    }
    expect(withConversation(analysis)).toEqual({ title: 'A', scores: { csat: { value: 3 } } })
    const own = { turns: [turn('agent', 0, 10), turn('customer', 10, 20)] }
    expect(withConversation(analysis, own).scores).toMatchObject({
      csat: { value: 3 },
      'cordboard.talkRatio': { value: 0.5 },
    })
    expect(withConversation({ title: 'A' })).toEqual({ title: 'A' })
  })
})

const ms = fc.integer({ min: 0, max: 20_000 })
const voice = fc.record({
  party: fc.constantFrom('agent', 'customer', 'other'),
  spans: fc.array(
    fc.tuple(ms, ms).map(([a, b]) => ({ startMs: Math.min(a, b), endMs: Math.max(a, b) + 1 })),
    { maxLength: 12 },
  ),
}) as fc.Arbitrary<Voice>
const voices = fc.array(voice, { maxLength: 5 })
const swapped = (party: Voice['party']) =>
  party === 'agent' ? 'customer' : party === 'customer' ? 'agent' : 'other'

describe('whatever was said', () => {
  it('no sum exceeds the whole, and silence and speech make it up', () => {
    fc.assert(
      fc.property(voices, (all) => {
        const found = conversationOf(all)
        if (!found) {
          expect(all.every(({ spans }) => spans.length === 0)).toBe(true)
          return
        }
        const { lengthMs, silenceMs, overlapMs, agent, customer } = found
        expect(silenceMs).toBeGreaterThanOrEqual(0)
        expect(silenceMs + overlapMs).toBeLessThanOrEqual(lengthMs)
        for (const one of [agent, customer]) {
          if (!one) continue
          expect(one.talkMs + silenceMs).toBeLessThanOrEqual(lengthMs)
          expect(one.longestMonologueMs).toBeLessThanOrEqual(lengthMs)
          expect(one.patienceMs ?? 0).toBeLessThanOrEqual(silenceMs)
        }
        if (all.every(({ party }) => party !== 'other') && all.length === 2 && agent && customer)
          expect(agent.talkMs + customer.talkMs - overlapMs + silenceMs).toBe(lengthMs)
      }),
    )
  })

  it('the parties changed places change places in the metrics', () => {
    fc.assert(
      fc.property(voices, (all) => {
        const found = conversationOf(all)
        const other = conversationOf(all.map(({ party, spans }) => ({ party: swapped(party), spans })))
        expect(other?.agent).toEqual(found?.customer)
        expect(other?.customer).toEqual(found?.agent)
        expect(other?.silenceMs).toBe(found?.silenceMs)
        expect(other?.overlapMs).toBe(found?.overlapMs)
      }),
    )
  })

  it('the order of turns changes nothing, nor does doing it twice', () => {
    const turns = fc.array(
      fc.record({
        party: fc.constantFrom('agent', 'customer', 'other'),
        startMs: ms,
        endMs: ms,
        text: fc.string(),
      }),
      { maxLength: 15 },
    ) as fc.Arbitrary<Turn[]>
    fc.assert(
      fc.property(
        turns.chain((all) => fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length }))),
        ([all, shuffled]) => {
          expect(conversationScores({ turns: shuffled })).toEqual(conversationScores({ turns: all }))
          const once = withConversation({ scores: { csat: { value: 1 } }, transcript: { turns: all } })
          expect(withConversation(once)).toEqual(once)
        },
      ),
    )
  })
})
