import { describe, expect, test } from 'vitest'
import { encodeBase64, utf8 } from '../../../src/connector/encoding.ts'
import { inboundRequest, type RawRequest } from '../../../src/connector/request.ts'
import type { Verification } from '../../../src/connector/verification.ts'
import { type Verified, verifyRequest } from '../../../src/connector/verify.ts'
import { asCordboardError, CordboardError } from '../../../src/errors.ts'
import { verifier } from '../signer.ts'
import { contextOf, type Fixture, rawOf, type Subject, sideFor, verificationOf } from './fixtures.ts'
import {
  coverageOf,
  different,
  keysOf,
  needsFields,
  textLeaves,
  withFlippedByte,
  withHeader,
  withKeys,
  withLeaf,
  withoutProof,
} from './tampering.ts'

/** Only what is authentic gets in, and a refusal says why without saying the secret. */
export function securityTests(subject: Subject): void {
  // Handshakes are answered before anything is checked.
  const fixtures = subject.fixtures.filter((fixture) => !('handshake' in fixture.expect))
  if (fixtures.length === 0) return
  describe('security', () => {
    for (const fixture of fixtures) describe(fixture.file, () => fixtureTests(subject, fixture))
  })
}

function fixtureTests(subject: Subject, fixture: Fixture): void {
  const raw = rawOf(fixture)
  const now = Date.parse(fixture.receivedAt)
  const verify = (request: RawRequest, verification = verificationOf(subject, fixture), at = now) =>
    verifyRequest(inboundRequest(request), verification, { now: at, signer: verifier })

  if ('refused' in fixture.expect) {
    test('is refused', async () => {
      expect(await verify(raw)).toMatchObject({ ok: false })
    })
    return
  }
  test('verifies with its true signature', async () => {
    expect(await verify(raw)).toMatchObject({ ok: true })
  })

  const { scheme } = verificationOf(subject, fixture)
  if (scheme === 'nothing') {
    test('says why nothing is checked', () => {
      const verification = verificationOf(subject, fixture)
      expect(verification.scheme === 'nothing' && verification.reason.length).toBeGreaterThan(20)
    })
    return
  }

  test('is refused when a byte of the body changes', async () => {
    const verification = verificationOf(subject, fixture)
    const coverage = coverageOf(verification)
    if (coverage === 'none' || raw.body.length === 0) return
    const accepted: number[] = []
    for (let at = 0; at < raw.body.length; at += Math.ceil(raw.body.length / 1024)) {
      if ((await verify(withFlippedByte(raw, at))).ok) accepted.push(at)
    }
    if (coverage === 'all') expect(accepted).toEqual([])
    else expect(accepted.length).toBeLessThan(Math.min(raw.body.length, 1024))
  })

  test('is refused without its signature or token', async () => {
    expect(await verify(withoutProof(raw, verificationOf(subject, fixture)))).toMatchObject({ ok: false })
  })

  test('is refused when its time is too old, too new or no time', async () => {
    const verification = verificationOf(subject, fixture)
    if (!('freshness' in verification) || !verification.freshness) return
    const { toleranceMs, header } = verification.freshness
    expect(toleranceMs, 'nobody’s clock is further off').toBeLessThanOrEqual(600_000)
    expect(await verify(raw, verification, now + 2 * toleranceMs + 1000)).toMatchObject({ ok: false })
    expect(await verify(raw, verification, now - 2 * toleranceMs - 1000)).toMatchObject({ ok: false })
    expect(await verify(withHeader(raw, header, null), verification)).toMatchObject({ ok: false })
    expect(await verify(withHeader(raw, header, 'NaN'), verification)).toMatchObject({ ok: false })
  })

  test('is accepted with the older of two secrets, refused with another one', async () => {
    const { path, value } = secretLeaf(subject, fixture)
    const side = sideFor(subject, fixture)
    const settings = { ...subject.settings, ...fixture.config }
    const withSecret = (secret: unknown) =>
      verify(raw, side.verify(subject.connector.config.parse(withLeaf(settings, path, secret))))
    expect(await withSecret([different(value), value])).toMatchObject({ ok: true })
    expect(await withSecret([different(value)])).toMatchObject({ ok: false })
  })

  test('is a configuration error when the secret is empty or missing', async () => {
    const verification = verificationOf(subject, fixture)
    for (const keys of [[], [''], ['', ...keysOf(verification)]]) {
      expect(await codeOf(() => verify(raw, withKeys(verification, keys)))).toBe('config')
    }
    const { path } = secretLeaf(subject, fixture)
    const side = sideFor(subject, fixture)
    for (const secret of ['', [], [''], undefined]) {
      const settings = withLeaf({ ...subject.settings, ...fixture.config }, path, secret)
      const parsed = subject.connector.config.safeParse(settings)
      if (parsed.success) expect(await codeOf(() => verify(raw, side.verify(parsed.data)))).toBe('config')
    }
  })

  test('garbage is refused before anything reads it', async () => {
    const verification = verificationOf(subject, fixture)
    const read: string[] = []
    const request = inboundRequest(garbage(raw, verification))
    const spied = {
      ...request,
      form() {
        read.push('form')
        return request.form()
      },
      json() {
        read.push('json')
        return request.json()
      },
    }
    const verified = await verifyRequest(spied, verification, { now, signer: verifier })
    if (verified.ok) sideFor(subject, fixture).receive(spied, contextOf(subject, fixture))
    expect(verified).toMatchObject({ ok: false })
    if (!needsFields(verification)) expect(read).toEqual([])
  })

  test('no refusal tells a secret or a signature', async () => {
    const verification = verificationOf(subject, fixture)
    const answers = await Promise.all([
      verify(garbage(raw, verification)),
      verify(withoutProof(raw, verification)),
      verify(withFlippedByte(raw, Math.floor(raw.body.length / 2))),
      verify(raw, withKeys(verification, keysOf(verification).map(different))),
    ])
    const said = answers.map(textOf).join('\n')
    for (const secret of keysOf(verification)) expect(said).not.toContain(secret)
    for (const secret of keysOf(verification)) expect(said).not.toContain(different(secret))
    const proof = 'header' in verification ? inboundRequest(raw).headers.get(verification.header) : null
    if (proof) expect(said).not.toContain(proof)
  })
}

/** The key of the connection that the webhook's secret comes from. It must take a list, or nobody can rotate it. */
function secretLeaf(subject: Subject, fixture: Fixture): { path: readonly string[]; value: string } {
  const side = sideFor(subject, fixture)
  const settings = { ...subject.settings, ...fixture.config }
  const before = keysOf(verificationOf(subject, fixture)).length
  const leaf = textLeaves(settings).find(({ path, value }) => {
    const parsed = subject.connector.config.safeParse(
      withLeaf(settings, path, [different(value), value, value]),
    )
    return parsed.success && keysOf(side.verify(parsed.data)).length > before
  })
  if (!leaf) throw new Error('no key of the connection takes a list of webhook secrets (use secretList)')
  return leaf
}

const NOISE = utf8('\u0000{"[=&;%zz--<!DOCTYPE x')

function garbage(raw: RawRequest, verification: Verification): RawRequest {
  const spoilt = { ...withoutProof(raw, verification), body: NOISE }
  if ('header' in verification) return withHeader(spoilt, verification.header, encodeBase64(NOISE))
  if ('place' in verification && 'header' in verification.place) {
    return withHeader(
      spoilt,
      verification.place.header,
      `${verification.place.prefix ?? ''}${encodeBase64(NOISE)}`,
    )
  }
  return spoilt
}

const textOf = (verified: Verified): string => (verified.ok ? verified.with : verified.reason)

/** The code that `work` fails with; an `ok` when it does not. */
export async function codeOf(work: () => unknown): Promise<string> {
  try {
    await work()
    return 'ok'
  } catch (error) {
    // What is no error of ours shows itself in the assertion.
    return error instanceof CordboardError ? error.code : `${asCordboardError(error).message}`
  }
}
