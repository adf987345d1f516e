import { describe, expect, test } from 'vitest'
import { type CallEvent, callEvent } from '../../../src/call/facts.ts'
import { foldEvents } from '../../../src/call/merge.ts'
import { inboundRequest } from '../../../src/connector/request.ts'
import { verifyRequest } from '../../../src/connector/verify.ts'
import { verifier } from '../signer.ts'
import type { Subject } from './fixtures.ts'
import { CUSTOMER, playSampleCall, rawWebhook, sampleAudio, sampleCall } from './samples.ts'
import { booked, openWorld } from './world.ts'

export function telephonyTests(subject: Subject): void {
  const { telephony } = subject.connector
  describe('telephony', () => {
    if (telephony?.webhook ?? telephony?.intake) {
      test('the webhooks of a call verify and tell the whole call', async () => {
        const world = await openWorld(subject)
        const { call, events, refused } = await playSampleCall(world)
        expect(refused).toEqual([])
        for (const event of events) callEvent.parse(event)
        expect(new Set(events.map((event) => event.callId)).size).toBeGreaterThan(0)
        expect(call).toMatchObject({
          direction: 'inbound',
          result: 'answered',
          customer: { phone: CUSTOMER },
        })
        expect(call.endedAt ?? call.totalMs ?? call.talkMs).toBeDefined()
      })

      test('webhooks that the stand-in signs itself verify too', async () => {
        const world = await openWorld(subject)
        const verification = telephony.webhook?.verify(world.config)
        if (!verification || !('header' in verification)) return
        for (const webhook of world.sandbox.place?.(sampleCall()) ?? []) {
          const request = inboundRequest(rawWebhook(webhook, world.now()))
          if (!request.headers.has(verification.header)) continue
          const verified = await verifyRequest(request, verification, {
            now: world.now(),
            signer: verifier,
          })
          expect(verified).toMatchObject({ ok: true })
        }
      })
    }

    if (telephony?.recording) {
      test('the recording is the audio of the call', async () => {
        const world = await openWorld(subject)
        const { call } = await playSampleCall(world)
        const [recording] = call.recordings
        expect(recording?.state).toBe('ready')
        if (!recording || !telephony.recording) return
        const response = await telephony.recording(recording, call, world.context())
        expect(new Uint8Array(await response.arrayBuffer())).toEqual(sampleAudio('mp3'))
      })

      test('the recording streams: its beginning is there long before its end', {
        timeout: 5000,
      }, async () => {
        const world = await openWorld(subject)
        const { call } = await playSampleCall(world)
        const [recording] = call.recordings
        const audio = world.longAudio()
        if (!recording || !telephony.recording)
          throw new Error('the stand-in’s answered call has no recording')
        const response = await telephony.recording(recording, call, world.context())
        const reader = response.body?.getReader()
        expect((await reader?.read())?.value?.byteLength).toBeGreaterThan(0)
        expect(audio.chunks()).toBeLessThan(16)
        await reader?.cancel()
      })
    }

    if (telephony?.calls && telephony.webhook) {
      test('the list knows the call that the webhooks told of by the same ids, and contradicts none of it', async () => {
        const world = await openWorld(subject)
        const { call, events } = await playSampleCall(world)
        await world.advance(3_600_000)
        const since = new Date(world.now() - 86_400_000).toISOString()
        const listed: CallEvent[] = []
        for await (const page of telephony.calls?.(since, world.context()) ?? []) listed.push(...page)
        for (const event of listed) callEvent.parse(event)
        expect(listed.some(({ phase }) => phase === 'ended')).toBe(true)
        const idsOf = ({ callId, alsoKnownAs = [] }: CallEvent) => [callId, ...alsoKnownAs]
        const known = new Set(events.flatMap(idsOf))
        // Of a call with other ids there would be two.
        const strange = listed.filter((event) => !idsOf(event).some((id) => known.has(id)))
        expect(strange.map(({ key }) => key)).toEqual([])
        const all = [...events, ...listed]
        const both = foldEvents(all, { id: 'call_1', connection: 'acme', callId: call.source.callId })
        const { result, direction, customer } = call
        expect(both).toMatchObject({ result, direction, customer: { phone: customer?.phone } })
      })
    }

    if (telephony?.subscribe) {
      test('subscribing twice makes one subscription', async () => {
        const world = await openWorld(subject)
        await telephony.subscribe?.('https://hooks.example.com/hooks/acme', world.context())
        const once = booked(world)
        await telephony.subscribe?.('https://hooks.example.com/hooks/acme', world.context())
        expect(booked(world)).toEqual(once)
      })
    }
  })
}
