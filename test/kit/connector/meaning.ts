import { describe, expect, test } from 'vitest'
import { utf8 } from '../../../src/connector/encoding.ts'
import { inboundRequest, type RawRequest } from '../../../src/connector/request.ts'
import { signRaw } from '../../../src/connector/sign.ts'
import { verifyRequest } from '../../../src/connector/verify.ts'
import { CordboardError } from '../../../src/errors.ts'
import { testSigner, verifier } from '../signer.ts'
import {
  contextOf,
  eventSchemas,
  type Fixture,
  rawOf,
  receive,
  type Subject,
  sideFor,
  sideOf,
  verificationOf,
} from './fixtures.ts'
import { codeOf } from './security.ts'

/** What a request says, exactly. */
export function meaningTests(subject: Subject): void {
  const roles = (['telephony', 'analysis', 'crm'] as const).filter((role) => sideOf(subject.connector, role))
  if (roles.length === 0) return
  describe('meaning', () => {
    for (const role of roles) {
      test(`the ${role} webhooks have fixtures`, () => {
        expect(subject.fixtures.filter((fixture) => fixture.role === role).length).toBeGreaterThan(0)
      })
    }
    for (const fixture of subject.fixtures) describe(fixture.file, () => fixtureTests(subject, fixture))
  })
}

function fixtureTests(subject: Subject, fixture: Fixture): void {
  const wanted = fixture.expect
  const raw = rawOf(fixture)
  const handshake = async () =>
    sideFor(subject, fixture).handshake?.(inboundRequest(raw), contextOf(subject, fixture), testSigner)

  if ('handshake' in wanted) {
    test('is answered as a handshake', async () => {
      const { headers, ...answer } = (await handshake()) ?? { status: 0 }
      const { headers: wantedHeaders, ...wantedAnswer } = wanted.handshake
      expect(answer).toEqual(wantedAnswer)
      expect(lowerKeys(headers)).toMatchObject(lowerKeys(wantedHeaders))
    })
    return
  }
  test('is no handshake', async () => {
    expect((await handshake()) ?? null).toBeNull()
  })
  if ('refused' in wanted) return

  if ('invalid' in wanted) {
    test('is kept as unreadable', async () => {
      expect(await codeOf(() => receive(subject, fixture, raw))).toBe('invalid_payload')
    })
    return
  }
  if ('ignored' in wanted) {
    test('is ignored, and says why', () => {
      expect(receive(subject, fixture, raw)).toEqual(wanted)
    })
    return
  }

  test('says exactly what is expected', () => {
    expect(receive(subject, fixture, raw)).toEqual(wanted)
  })

  test('gives events of the common schema, with E.164 numbers and UTC instants', () => {
    const events = eventsOf(subject, fixture, raw)
    if (!wanted.lookUp && !wanted.changes) expect(events.length).toBeGreaterThan(0)
    for (const event of events) {
      expect(eventSchemas[fixture.role].parse(event)).toEqual(event)
      expect(wrongValues(event)).toEqual([])
    }
  })

  test('gives the same keys when it is delivered again later', () => {
    const again = { ...raw, receivedAt: new Date(Date.parse(fixture.receivedAt) + 61_000).toISOString() }
    const keys = (request: RawRequest) => eventsOf(subject, fixture, request).map((event) => event.key)
    expect(keys(again)).toEqual(keys(raw))
    expect(new Set(keys(raw)).size).toBe(keys(raw).length)
  })

  test('unreadable bodies are invalid_payload, never a crash', async () => {
    for (const { body, mustFail } of unreadable(raw)) {
      const spoilt = { ...raw, body: utf8(body) }
      const outcome = await codeOf(() => receive(subject, fixture, spoilt))
      if (mustFail) expect(outcome, body.slice(0, 40)).toBe('invalid_payload')
      else expect(['invalid_payload', 'ok'], `${body.slice(0, 40)} → ${outcome}`).toContain(outcome)
    }
  })

  test('an unreadable body with a valid signature still reaches the mapper', async () => {
    const now = Date.parse(fixture.receivedAt)
    const verification = verificationOf(subject, fixture)
    const cut = { ...raw, body: raw.body.subarray(0, Math.ceil(raw.body.length / 3)) }
    let signed: RawRequest
    try {
      signed = await signRaw(cut, verification, { now, signer: testSigner })
    } catch (error) {
      // The proof itself stands in the part that is gone: then it is refused, and nothing reaches the mapper.
      if (error instanceof CordboardError) return
      throw error
    }
    const verified = await verifyRequest(inboundRequest(signed), verification, { now, signer: verifier })
    if (!verified.ok) return
    expect(['invalid_payload', 'ok']).toContain(await codeOf(() => receive(subject, fixture, signed)))
  })
}

function eventsOf(subject: Subject, fixture: Fixture, raw: RawRequest) {
  const received = receive(subject, fixture, raw)
  return 'events' in received ? received.events : []
}

function lowerKeys(headers: Record<string, string> = {}): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
}

/** Bodies of the fixture's own kind that say nothing, or too much. */
function unreadable(raw: RawRequest): { body: string; mustFail: boolean }[] {
  const type = inboundRequest(raw).headers.get('content-type') ?? ''
  if (!/json/i.test(type)) {
    const bodies = [
      '',
      '&&&',
      '=',
      '%%%=%zz',
      'a'.repeat(5000),
      `__proto__=1&constructor=2&${'x=1&'.repeat(500)}`,
    ]
    return [
      ...bodies.map((body) => ({ body, mustFail: false })),
      { body: 'x=1&'.repeat(2000), mustFail: raw.body.length > 0 },
    ]
  }
  return [
    ...['{"broken": ', '', '[[[', '{"a":1}}', '\u0000'].map((body) => ({ body, mustFail: true })),
    { body: `${'[1,'.repeat(10_000)}1${']'.repeat(10_000)}`, mustFail: true },
    ...['null', '[]', '"text"', '7', '{}', '[null]', '{"__proto__":{"events":[]},"events":null}'].map(
      (body) => ({
        body,
        mustFail: false,
      }),
    ),
  ]
}

/** Numbers that are not E.164 beside their raw form, and instants that are not UTC, anywhere in an event. */
function wrongValues(value: unknown, path = 'event'): string[] {
  if (Array.isArray(value)) return value.flatMap((item, index) => wrongValues(item, `${path}[${index}]`))
  if (typeof value !== 'object' || value === null) return []
  const wrong: string[] = []
  for (const [key, item] of Object.entries(value)) {
    const here = `${path}.${key}`
    if (key === 'raw') continue
    if (key === 'phone' && item !== null && !/^\+[1-9]\d{6,14}$/.test(String(item)))
      wrong.push(`${here} is not E.164`)
    if (key === 'phone' && item !== null && !('phoneRaw' in value && value.phoneRaw))
      wrong.push(`${here} has no raw form`)
    const isInstant = (key === 'at' || /[a-z]At$/.test(key)) && typeof item === 'string'
    if (isInstant && !/^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(item)) wrong.push(`${here} is no UTC instant`)
    wrong.push(...wrongValues(item, here))
  }
  return wrong
}
