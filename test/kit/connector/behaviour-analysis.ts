import { describe, expect, test } from 'vitest'
import { analysis as analysisSchema, type Part } from '../../../src/call/analysis.ts'
import type {
  AnalysisEvent,
  ConnectorContext,
  SubmitContext,
  Submitted,
} from '../../../src/connector/contract.ts'
import { utf8 } from '../../../src/connector/encoding.ts'
import { inboundRequest } from '../../../src/connector/request.ts'
import { verifyRequest } from '../../../src/connector/verify.ts'
import { verifier } from '../signer.ts'
import { analysisEvent, type Subject } from './fixtures.ts'
import { memberOf, submitRequest } from './samples.ts'
import { booked, cutOff, openWorld, type World } from './world.ts'

const MOST_POLLS = 60

export function analysisTests(subject: Subject): void {
  const role = subject.connector.analysis
  if (!role) return
  describe('analysis', () => {
    test('a submitted call comes back with every part that was promised', async () => {
      const world = await openWorld(subject)
      const sent = await role.submit(submitRequest(world), saving(world.context()).ctx)
      const got = await results(world, sent)
      expect([...got.keys()].sort()).toEqual([...role.parts(world.config)].sort())
      for (const result of got.values()) analysisSchema.parse(result)
      if (got.has('transcript')) expect(got.get('transcript')?.transcript?.turns.length).toBeGreaterThan(0)
    })

    if (role.callback) {
      test('its result webhooks verify, say whose result it is, and keep their keys', async () => {
        const world = await openWorld(subject)
        const request = submitRequest(world)
        const { ref } = await role.submit(request, saving(world.context()).ctx)
        for (let turn = 0; turn < MOST_POLLS; turn++) await world.advance(10_000)
        const events = await deliveredEvents(world)
        expect(events.length).toBeGreaterThan(0)
        for (const event of events) {
          expect(analysisEvent.parse(event)).toEqual(event)
          expect([event.ref === ref, event.submissionId === request.submissionId]).toContain(true)
        }
        expect((await deliveredEvents(world)).map(({ key }) => key)).toEqual(events.map(({ key }) => key))
      })
    }

    const { batch } = role
    if (batch) {
      test('a batch whose answer got lost is found and not paid for twice', async () => {
        const many = (world: World) => ['1', '2', '3'].map((nth) => memberOf(submitRequest(world), nth))
        const clean = await openWorld(subject)
        const request = { batchId: 'bat_kit', many: many(clean) }
        const verdicts = await batch.submit(request, saving(clean.context()).ctx)
        expect(verdicts.every((verdict) => 'ref' in verdict)).toBe(true)
        for (let nth = 1; nth <= clean.requests(); nth++) {
          const world = await openWorld(subject)
          world.loseAnswer(nth)
          const first = { state: undefined as unknown }
          const lost = { batchId: 'bat_kit', many: many(world) }
          const failure = await cutOff((signal) =>
            batch.submit(lost, saving(world.context(signal), first).ctx),
          )
          expect(failure, `request ${nth} got no answer`).toMatchObject({ code: 'timeout' })
          const again = first.state === undefined ? lost : { ...lost, state: first.state }
          expect(await batch.submit(again, saving(world.context()).ctx)).toEqual(verdicts)
          for (const [kind, count] of Object.entries(booked(clean))) {
            expect(booked(world)[kind], `${kind} after the answer to request ${nth} got lost`).toBe(count)
          }
        }
      })
    }

    if (role.find) {
      test('a submission that nobody made is not found', async () => {
        const world = await openWorld(subject)
        expect(await role.find?.(submitRequest(world), world.context())).toBeNull()
      })

      test('a submission whose answer got lost is found and not paid for twice', async () => {
        const clean = await openWorld(subject)
        await role.submit(submitRequest(clean), saving(clean.context()).ctx)
        for (let nth = 1; nth <= clean.requests(); nth++) {
          const world = await openWorld(subject)
          world.loseAnswer(nth)
          const first = { state: undefined as unknown }
          const failure = await cutOff((signal) =>
            role.submit(submitRequest(world), saving(world.context(signal), first).ctx),
          )
          expect(failure, `request ${nth} got no answer`).toMatchObject({ code: 'timeout' })
          const request = {
            ...submitRequest(world),
            ...(first.state === undefined ? {} : { state: first.state }),
          }
          const found = await role.find?.(request, world.context())
          if (!found) await role.submit(request, saving(world.context()).ctx)
          // Kinds that an undisturbed submission does not leave (a job that was never begun) cost nothing.
          for (const [kind, count] of Object.entries(booked(clean))) {
            expect(booked(world)[kind], `${kind} after the answer to request ${nth} got lost`).toBe(count)
          }
        }
      })
    }
  })
}

function saving(
  ctx: ConnectorContext,
  saved: { state: unknown } = { state: undefined },
): { ctx: SubmitContext<unknown> } {
  const checkpoint = async (state: unknown) => {
    const text = JSON.stringify(state)
    expect(text.length, 'a checkpoint is small').toBeLessThanOrEqual(16_384)
    saved.state = JSON.parse(text)
  }
  return { ctx: { ...ctx, checkpoint } }
}

/** The parts by whichever way brings them, as in the pipeline. */
async function results(world: World, { ref, parts = {} }: Submitted) {
  const role = world.subject.connector.analysis
  const got = new Map(Object.entries(parts) as [Part, AnalysisEvent['result']][])
  const wanted = role?.parts(world.config) ?? []
  for (let turn = 0; turn < MOST_POLLS && wanted.some((part) => !got.has(part)); turn++) {
    await world.advance(10_000)
    const polled = await role?.poll?.(ref, world.context(), Object.fromEntries(got))
    if (polled?.state === 'failed') throw new Error(`the stand-in failed: ${polled.reason}`)
    if (polled && 'parts' in polled) {
      for (const part of ['transcript', 'analysis'] as const) {
        const result = polled.parts[part]
        if (result) got.set(part, result)
      }
    }
    for (const event of await deliveredEvents(world)) got.set(event.part, event.result)
  }
  return got
}

async function deliveredEvents(world: World): Promise<AnalysisEvent[]> {
  const side = world.subject.connector.analysis?.callback
  const events: AnalysisEvent[] = []
  for (const { url, method, headers, body, at } of side ? world.delivered : []) {
    const path = new URL(url).pathname.replace(/^\/hooks\/[^/]+/, '')
    const receivedAt = new Date(at).toISOString()
    const raw = { method, url, path, headers: Object.entries(headers), body: utf8(body), receivedAt }
    const request = inboundRequest(raw)
    if (!side) continue
    const verified = await verifyRequest(request, side.verify(world.config), { now: at, signer: verifier })
    expect(verified).toMatchObject({ ok: true })
    const context = { connection: 'acme', config: world.config, region: world.subject.region }
    const received = side.receive(request, context)
    if ('events' in received) events.push(...received.events)
  }
  return events
}
