import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type CallEvent, callEvent } from '../../../src/call/facts.ts'
import { foldEvents } from '../../../src/call/merge.ts'
import type { Config, Connection } from '../../../src/config/model.ts'
import type { MapContext } from '../../../src/connector/contract.ts'
import { inboundRequest, type RawRequest } from '../../../src/connector/request.ts'
import { signRaw } from '../../../src/connector/sign.ts'
import type { Verification } from '../../../src/connector/verification.ts'
import { verifyRequest } from '../../../src/connector/verify.ts'
import { CordboardError } from '../../../src/errors.ts'
import type { Deps } from '../../../src/pipeline/deps.ts'
import { createReceiver } from '../../../src/pipeline/receive.ts'
import type { Append, Store } from '../../../src/store/port.ts'
import { createMetrics } from '../../../src/telemetry/metrics.ts'
import { testSigner, verifier } from '../signer.ts'
import {
  contextOf,
  type Fixture,
  rawOf,
  type Side,
  type Subject,
  sideFor,
  verificationOf,
} from './fixtures.ts'
import { MUTATIONS, type Mutation, mutate } from './mutations.ts'

/**
 * Thousands of spoilt requests, made from the fixtures, most of them signed as their sender would sign them: what reaches
 * the connector is read, ignored or `invalid_payload`, soon, and the receiver answers nothing that a sender would repeat.
 */

/** The same in every run, so that a failure is everybody's; another one is tried with FUZZ_SEED. */
const SEED = Number(process.env.FUZZ_SEED ?? 20_261_127)
const RUNS = Number(process.env.FUZZ_RUNS ?? 1_000)
/** The whole receiver is asked with every so-manieth. */
const WHOLE = 20
/** Far more than any of these takes, far less than what a regular expression that runs wild does. */
const LONGEST_MS = 500

interface Spoilt {
  which: number
  isSigned: boolean
  mutations: readonly Mutation[]
  whole: number
}

/** What is the same for all that is made from one fixture. */
interface Prepared {
  raw: RawRequest
  now: number
  side: Side
  context: MapContext<unknown>
  verification: Verification
  receiver: ReturnType<typeof receiverFor> | null
}

export function fuzzTests(subject: Subject): void {
  const fixtures = subject.fixtures.filter(({ expect: wanted }) => !('refused' in wanted))
  if (fixtures.length === 0) return
  describe(`connector ${subject.connector.id}: fuzz`, () => {
    test(`${RUNS} spoilt requests are read, ignored, refused or unreadable, and nothing else`, {
      timeout: 120_000,
    }, async () => {
      const prepared = fixtures.map((fixture) => prepare(subject, fixture))
      const number = (most: number) => fc.integer({ min: 0, max: most })
      const mutation = fc.record({
        kind: fc.constantFrom(...MUTATIONS),
        where: number(4_000),
        what: number(1_000),
      })
      const spoilt = fc.record({
        which: number(fixtures.length - 1),
        isSigned: fc.boolean(),
        mutations: fc.array(mutation, { minLength: 1, maxLength: 3 }),
        whole: number(WHOLE - 1),
      })
      const property = fc.asyncProperty(spoilt, async (one: Spoilt) => {
        const from = prepared[one.which]
        if (from) await holds(from, one)
      })
      await fc.assert(property, { numRuns: RUNS, seed: SEED })
    })
  })
}

function prepare(subject: Subject, fixture: Fixture): Prepared {
  const context = contextOf(subject, fixture)
  // What is handed in over our own API comes to no hook.
  const isHook = subject.connector.telephony?.intake === undefined || fixture.role !== 'telephony'
  return {
    raw: rawOf(fixture),
    now: Date.parse(fixture.receivedAt),
    side: sideFor(subject, fixture),
    context,
    verification: verificationOf(subject, fixture),
    receiver: isHook ? receiverFor(subject, fixture, context.config) : null,
  }
}

async function holds(from: Prepared, one: Spoilt): Promise<void> {
  const changed = one.mutations.reduce(mutate, from.raw)
  const raw = one.isSigned ? await signedAgain(changed, from) : changed
  const took = await timed(() => untilSettled(from, raw, one.isSigned))
  // The machine may have been busy: only what takes long every time takes long.
  if (took > LONGEST_MS)
    expect(await timed(() => untilSettled(from, raw, one.isSigned)), 'ms to read it').toBeLessThan(LONGEST_MS)
  if (one.whole === 0) await from.receiver?.(raw)
}

async function timed(work: () => Promise<void>): Promise<number> {
  const startedAt = performance.now()
  await work()
  return performance.now() - startedAt
}

/** As its sender would have signed it; where that cannot be done, as it is: it is handed to `receive` all the same. */
async function signedAgain(raw: RawRequest, { verification, now }: Prepared): Promise<RawRequest> {
  try {
    return await signRaw(raw, verification, { now, signer: testSigner })
  } catch (error) {
    if (!(error instanceof CordboardError)) throw error
    return raw
  }
}

async function untilSettled(from: Prepared, raw: RawRequest, isSigned: boolean): Promise<void> {
  const { side, context, verification, now } = from
  const request = inboundRequest(raw)
  const answer = side.handshake && (await orUnreadable(() => side.handshake?.(request, context, testSigner)))
  if (answer && answer.status >= 500) throw new Error(`a handshake is answered with ${answer.status}`)
  const verified = await verifyRequest(request, verification, { now, signer: verifier })
  if (!verified.ok && !isSigned) return
  const received = await orUnreadable(() => side.receive(inboundRequest(raw), context))
  if (!received || 'ignored' in received) return
  // What is not of the schema is put aside as unreadable; the rest must fold, whatever it says.
  const events = received.events.flatMap((event) => callEvent.safeParse(event).data ?? [])
  for (const calls of Map.groupBy(events, (event: CallEvent) => event.callId).values())
    foldEvents(calls, { id: 'call_1', connection: 'acme', callId: 'acme-1' })
}

/** That something is `invalid_payload` is no failure; whatever else is thrown is one. */
async function orUnreadable<Answer>(work: () => Answer): Promise<Awaited<Answer> | null> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof CordboardError && error.code === 'invalid_payload') return null
    throw error
  }
}

/** Asks the real receiver, which stores into a list. */
function receiverFor(subject: Subject, fixture: Fixture, settings: unknown) {
  let kept = 0
  const append = async ({ delivery }: Append) => {
    kept += 1
    return { id: delivery.id, repeats: 0 }
  }
  const hook = new URL(fixture.hookUrl)
  const id = hook.pathname.split('/')[2] ?? ''
  const { connector, region } = subject
  const connection = { id, connector, settings, region, secrets: [] } as unknown as Connection
  const receive = createReceiver({
    config: { publicUrl: hook.origin, connections: new Map([[id, connection]]) } as unknown as Config,
    store: { append } as unknown as Store,
    queue: { wake: () => undefined },
    media: { put: async () => undefined, delete: async () => undefined },
    signer: testSigner,
    now: () => Date.parse(fixture.receivedAt),
    random: Math.random,
    log: { debug() {}, info() {}, warn() {}, error() {} },
    metrics: createMetrics(),
    refusals: { add: () => undefined },
  } as unknown as Deps)
  return async function ask(raw: RawRequest): Promise<void> {
    const before = kept
    const hasBody = raw.method !== 'GET' && raw.method !== 'HEAD'
    const headers = inboundRequest(raw).headers
    const { status } = await receive(
      new Request(raw.url, {
        method: raw.method,
        headers,
        ...(hasBody ? { body: raw.body as Uint8Array<ArrayBuffer> } : {}),
      }),
    )
    if (status >= 500) throw new Error(`it is answered with ${status}: its sender would repeat it`)
    if (status >= 400 && kept > before) throw new Error(`it is answered with ${status}, and kept`)
  }
}
