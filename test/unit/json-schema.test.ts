import { expect, it } from 'vitest'
import { jsonSchemas } from '../../src/call/json-schema.ts'

it('the call schema is there as JSON Schema, with what each field means', () => {
  const { Call, CallEvent, Analysis } = jsonSchemas
  expect(Call.$schema).toBe('https://json-schema.org/draft/2020-12/schema')
  expect(Call.required).toContain('source')
  expect(Call.properties?.endedAt).toMatchObject({ type: 'string', format: 'date-time' })
  expect(Call.properties?.talkMs).toMatchObject({ type: 'integer', description: 'length in milliseconds' })
  expect(Object.keys(CallEvent.properties ?? {})).toEqual([
    'key',
    'callId',
    'alsoKnownAs',
    'phase',
    'at',
    'facts',
  ])
  expect(Analysis.required ?? [], 'a part that a service does not give is absent').toEqual([])
})
