import { describe, expect, test } from 'vitest'
import type { ConnectorContext } from '../../../src/connector/contract.ts'
import type { CrmRecord } from '../../../src/connector/crm-role.ts'
import { analysisTests } from './behaviour-analysis.ts'
import { crmTests } from './behaviour-crm.ts'
import { telephonyTests } from './behaviour-telephony.ts'
import type { Subject } from './fixtures.ts'
import { CUSTOMER, commonCall, playSampleCall, SAMPLE_ANALYSIS, submitRequest } from './samples.ts'
import { textLeaves } from './tampering.ts'
import { cutOff, failureOf, openWorld, type World } from './world.ts'

/** Something that asks the vendor, made ready against a healthy stand-in. */
interface Operation {
  name: string
  prepare(world: World): Promise<(ctx: ConnectorContext) => Promise<unknown>>
}

/** Against the vendor's stand-in, in this process. */
export function behaviourTests(subject: Subject): void {
  describe('behaviour', () => {
    test('the check succeeds with good credentials and says something', async () => {
      const world = await openWorld(subject)
      const { says } = await subject.connector.check(world.context())
      expect(says.length).toBeGreaterThan(0)
      expect(leaked(world, says)).toEqual([])
    })

    for (const operation of operationsOf(subject))
      describe(operation.name, () => failureTests(subject, operation))
    if (subject.connector.telephony) telephonyTests(subject)
    if (subject.connector.analysis) analysisTests(subject)
    if (subject.connector.crm) crmTests(subject)
  })
}

function failureTests(subject: Subject, { prepare }: Operation): void {
  const failing = async (status: number, retryAfter?: string) => {
    const world = await openWorld(subject)
    const run = await prepare(world)
    const fault = { kind: 'status' as const, status, ...(retryAfter === undefined ? {} : { retryAfter }) }
    world.sandbox.fail({ fault, times: 100 })
    const failure = await failureOf(run(world.context()))
    expect(leaked(world, JSON.stringify([failure?.message, failure?.why, failure?.vendorSaid]))).toEqual([])
    return failure
  }

  test('refused credentials are `auth`', async () => {
    expect(await failing(401)).toMatchObject({ code: 'auth' })
  })
  test('too many requests are `rate_limited`, until the time that the vendor names', async () => {
    expect(await failing(429, '7')).toMatchObject({ code: 'rate_limited', retry: { afterMs: 7000 } })
  })
  test('a vendor in trouble is `vendor_down`', async () => {
    expect(await failing(503)).toMatchObject({ code: 'vendor_down' })
  })
  test('a vendor that never answers is cut off at our deadline', { timeout: 5000 }, async () => {
    const world = await openWorld(subject)
    const run = await prepare(world)
    world.sandbox.fail({ fault: { kind: 'hang' }, times: 100 })
    expect(await cutOff((signal) => run(world.context(signal)))).toMatchObject({ code: 'timeout' })
  })
}

function leaked(world: World, text: string): string[] {
  const secrets = textLeaves(world.settings).filter(
    ({ path, value }) => value.length >= 8 && isSecretName(path),
  )
  return secrets.filter(({ value }) => text.includes(value)).map(({ path }) => path.join('.'))
}

const isSecretName = (path: readonly string[]): boolean => /secret|token|key|password/i.test(path.join('.'))

function operationsOf({ connector }: Subject): Operation[] {
  const { telephony, analysis, crm } = connector
  const operations: (Operation | null)[] = [
    // Behind calls that are handed in there is nobody who could refuse, be busy or be down.
    telephony?.intake ? null : { name: 'check', prepare: async () => (ctx) => connector.check(ctx) },
    telephony?.recording
      ? {
          name: 'recording',
          async prepare(world) {
            const { call } = await playSampleCall(world)
            const recording = call.recordings[0]
            if (!recording) throw new Error('the stand-in’s answered call has no recording')
            return async (ctx) => telephony.recording?.(recording, call, ctx)
          },
        }
      : null,
    analysis
      ? {
          name: 'submit',
          prepare: async (world) => (ctx) =>
            analysis.submit(submitRequest(world), { ...ctx, checkpoint: async () => undefined }),
        }
      : null,
    analysis?.poll
      ? {
          name: 'poll',
          async prepare(world) {
            const ctx = { ...world.context(), checkpoint: async () => undefined }
            const { ref, parts } = await analysis.submit(submitRequest(world), ctx)
            return async (context) => analysis.poll?.(ref, context, parts)
          },
        }
      : null,
    crm ? { name: 'match', prepare: async () => (ctx) => crm.match(commonCall(), ctx, []) } : null,
    crm
      ? {
          name: 'write',
          async prepare(world) {
            const id = world.sandbox.addContact?.({ name: 'Jean Dupont', phone: CUSTOMER }) ?? ''
            const record: CrmRecord = {
              call: commonCall(),
              analysis: SAMPLE_ANALYSIS,
              target: { type: 'contact', id },
              fields: {},
              logged: null,
            }
            const part = crm.plan(record, {
              connection: 'acme',
              config: world.config,
              region: world.subject.region,
            })[0]
            if (!part) throw new Error('an analysed call has at least one part')
            return (ctx) => crm.write({ ...part, externalId: null, idempotencyKey: 'kit-1' }, record, {}, ctx)
          },
        }
      : null,
  ]
  return operations.filter((operation) => operation !== null)
}
