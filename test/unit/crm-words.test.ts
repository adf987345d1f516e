import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { normalisePhone, phoneSpellings } from '../../src/call/phone.ts'
import { carriesRef, crmKeys, followUps, refLine, refsIn } from '../../src/connector/crm-plan.ts'
import { publicRecording, talkedMs, transcriptText } from '../../src/connector/crm-report.ts'
import type { CrmRecord } from '../../src/connector/crm-role.ts'
import { asHtml, asText, CUT_MARK, cut, cutText } from '../../src/connector/crm-text.ts'
import { commonCall, SAMPLE_ANALYSIS } from '../kit/connector/samples.ts'

const settings = (keys: Record<string, unknown> = {}) => z.object(crmKeys(z.string())).parse(keys)
const record = (facts: Partial<CrmRecord> = {}): CrmRecord => ({
  call: commonCall(),
  analysis: SAMPLE_ANALYSIS,
  target: null,
  fields: {},
  logged: null,
  ...facts,
})

describe('a text for a field', () => {
  test('never longer than the field takes, never half a character, and it says that it was cut', () => {
    const lines = fc.array(
      fc.record({ label: fc.option(fc.string(), { nil: undefined }), text: fc.string({ unit: 'binary' }) }),
    )
    fc.assert(
      fc.property(lines, fc.integer({ min: 100, max: 400 }), (given, max) => {
        for (const text of [asHtml(given, max), asText(given, max)]) {
          expect(text.length).toBeLessThanOrEqual(max)
          expect(text.isWellFormed()).toBe(true)
        }
        const whole = asText(given, 1_000_000)
        expect(asText(given, max).includes(CUT_MARK)).toBe(whole.length > max)
      }),
    )
  })

  test('one line is cut with a sign of its own', () => {
    expect(cut('a😀b', 3)).toBe('a…')
    expect(cut('abc', 3)).toBe('abc')
    expect(cutText('x'.repeat(30), 10)).toBe('x'.repeat(10))
  })
})

describe('what a call leaves to somebody', () => {
  test('the same promise in other letters is one task, and the same call plans the same', () => {
    const analysis = { ...SAMPLE_ANALYSIS, actions: ['Send the offer', 'send  the offer', 'Call on Monday'] }
    const tasks = followUps(record({ analysis }), settings())
    expect(tasks.map(({ key, subject }) => [key, subject])).toEqual([
      ['task-1', 'Send the offer'],
      ['task-2', 'Call on Monday'],
    ])
    expect(followUps(record({ analysis }), settings())).toEqual(tasks)
  })

  test('who reached nobody is called back within the hour, where that is asked for', () => {
    const call = { ...commonCall(), direction: 'inbound' as const, result: 'no_answer' as const }
    const asked = settings({ callBack: { tasks: true } })
    const [task, more] = followUps(record({ call, analysis: null }), asked)
    expect([task?.key, more]).toEqual(['call-back', undefined])
    expect(Date.parse(task?.dueAt ?? '') - Date.parse(call.endedAt ?? '')).toBe(3_600_000)
    const answered = { ...call, result: 'answered' as const }
    const outbound = { ...call, direction: 'outbound' as const }
    for (const other of [answered, outbound])
      expect(followUps(record({ call: other, analysis: null }), asked)).toEqual([])
    expect(followUps(record({ call, analysis: null }), settings())).toEqual([])
  })
})

describe('our mark', () => {
  test('is a line of its own, whatever tags stand around it', () => {
    const text = `<p>x</p><div>${refLine('wbk_1-task-10')}</div>`
    expect([carriesRef(text, 'wbk_1-task-1'), carriesRef(text, 'wbk_1-task-10')]).toEqual([false, true])
    expect(refsIn(`they said ${refLine('wbk_2-call')}`)).toEqual([])
  })

  test('is found in whatever people have written into a note', { timeout: 5000 }, () => {
    expect(refsIn(`${'<'.repeat(300_000)}<p>${refLine('wbk_3-call')}</p>`)).toEqual(['wbk_3-call'])
  })
})

describe('words of a call', () => {
  test('a call that nobody answered was talked for no time', () => {
    expect(talkedMs({ ...commonCall(), result: 'no_answer', talkMs: undefined, totalMs: 9_000 })).toBe(0)
    expect(talkedMs({ ...commonCall(), result: 'answered', talkMs: undefined, totalMs: 9_000 })).toBe(9_000)
  })

  test('a transcript as a file has the time of each turn', () => {
    const turns = [
      { party: 'agent' as const, text: 'Hello', startMs: 0 },
      { party: 'customer' as const, text: 'Hi', startMs: 3_661_000 },
      { party: 'other' as const, label: 'Speaker 3', text: 'Me too' },
    ]
    expect(transcriptText({ transcript: { turns } })).toBe(
      '[0:00] Agent: Hello\n[1:01:01] Customer: Hi\nSpeaker 3: Me too\n',
    )
    expect(transcriptText({ summary: 'x' })).toBeNull()
  })

  test('only a link that plays for everybody is put on the call', () => {
    const with_ = (url: string) => ({
      ...commonCall(),
      recordings: [{ key: 'r', url, state: 'ready' as const }],
    })
    expect(publicRecording(with_('https://cdn.example.com/a.mp3'), ['mp3'])).toBe(
      'https://cdn.example.com/a.mp3',
    )
    for (const url of [
      'http://cdn.example.com/a.mp3',
      'https://pbx.internal/a.mp3',
      'https://u:p@cdn.example.com/a.mp3',
      'https://cdn.example.com/a.ogg',
      'https://10.0.0.1/a.mp3',
    ])
      expect(publicRecording(with_(url), ['mp3'])).toBeUndefined()
  })
})

describe('spellings of a number', () => {
  test.each([
    '+33639981234',
    '+442079460123',
    '+12025550123',
    '+4930123456',
    '+79161234567',
    '+380671234567',
  ])('every spelling of %s is read as that number where it comes from', (e164) => {
    const region = { '+33': 'FR', '+44': 'GB', '+12': 'US', '+49': 'DE', '+79': 'RU', '+38': 'UA' }[
      e164.slice(0, 3)
    ]
    const spellings = phoneSpellings(e164)
    expect(new Set(spellings).size).toBe(spellings.length)
    for (const spelling of spellings) expect(normalisePhone(spelling, region).e164, spelling).toBe(e164)
  })
})
