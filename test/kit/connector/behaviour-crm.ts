import { describe, expect, test } from 'vitest'
import type { CrmRecord, CrmRole, PlannedPart, WritePart } from '../../../src/connector/crm-role.ts'
import type { Subject } from './fixtures.ts'
import { CUSTOMER, commonCall, SAMPLE_ANALYSIS } from './samples.ts'
import { booked, cutOff, openWorld, type World } from './world.ts'

export function crmTests(subject: Subject): void {
  const role = subject.connector.crm
  if (!role) return
  describe('crm', () => {
    test('a caller is found by number, with a reason that does not tell the number', async () => {
      const world = await openWorld(subject)
      const id = await addContact(world, role)
      const [best] = await role.match(commonCall(), world.context(), [])
      expect(best?.id).toBe(id)
      expect(best?.reason).toMatch(/\w/)
      expect(best?.reason).not.toMatch(/\d{6}/)
    })

    test('an unknown caller is not found', async () => {
      const world = await openWorld(subject)
      expect(await role.match(commonCall(), world.context(), [])).toEqual([])
    })

    test('a plan is pure, and its keys are unique', async () => {
      const { parts, plan } = await ready(subject, role)
      expect(parts.length).toBeGreaterThan(0)
      expect(new Set(parts.map((part) => part.key)).size).toBe(parts.length)
      expect(plan()).toEqual(parts)
    })

    test('every planned part makes exactly one record, and writing it again changes that one', async () => {
      const { world, record, parts } = await ready(subject, role)
      const written: Record<string, string> = {}
      for (const part of parts) {
        const before = booked(world)
        const { id } = await role.write(fresh(part), record, written, world.context())
        const own = world.sandbox.book().filter((entry) => entry.id === id)
        expect(own.length, `${part.key} is in the book once`).toBe(1)
        const kind = own[0]?.kind ?? ''
        expect(booked(world)[kind]).toBe((before[kind] ?? 0) + 1)
        const once = booked(world)
        const again = await role.write({ ...fresh(part), externalId: id }, record, written, world.context())
        expect(again.id).toBe(id)
        expect(booked(world)).toEqual(once)
        written[part.key] = id
      }
    })

    if (role.find) {
      test('a part that nobody wrote is not found', async () => {
        const { world, record, parts } = await ready(subject, role)
        for (const part of parts)
          expect(await role.find?.(fresh(part), record, {}, world.context())).toBeNull()
      })

      test('a part whose answer got lost is found and not written twice', async () => {
        const { parts } = await ready(subject, role)
        for (const part of parts) await loseEveryAnswer(subject, role, part)
      })
    }

    if (role.newContact) {
      test('an unknown caller becomes one contact that is found afterwards', async () => {
        const world = await openWorld(subject)
        const context = { connection: 'acme', config: world.config, region: subject.region }
        const part = role.newContact?.(commonCall(), context)
        if (!part) return
        expect(part.kind).toBe('contact')
        const record: CrmRecord = {
          call: commonCall(),
          analysis: null,
          target: null,
          fields: {},
          logged: null,
        }
        const { id } = await role.write(fresh(part), record, {}, world.context())
        expect(world.sandbox.book().filter((entry) => entry.id === id).length).toBe(1)
        await world.advance(role.indexLagMs + 1000)
        expect((await role.match(commonCall(), world.context(), []))[0]?.id).toBe(id)
      })
    }
  })
}

const fresh = (part: PlannedPart): WritePart => ({
  ...part,
  externalId: null,
  idempotencyKey: `kit-${part.key}`,
})

async function addContact(world: World, role: CrmRole<unknown>): Promise<string> {
  const id = world.sandbox.addContact?.({ name: 'Jean Dupont', phone: CUSTOMER })
  if (id === undefined) throw new Error('a CRM stand-in has `addContact`')
  await world.advance(role.indexLagMs + 1000)
  return id
}

async function ready(subject: Subject, role: CrmRole<unknown>) {
  const world = await openWorld(subject)
  await addContact(world, role)
  const [best] = await role.match(commonCall(), world.context(), [])
  if (!best) throw new Error('the contact of the stand-in is not found')
  const record: CrmRecord = {
    call: commonCall(),
    analysis: SAMPLE_ANALYSIS,
    target: { type: best.type, id: best.id },
    fields: {},
    logged: null,
  }
  const plan = () => role.plan(record, { connection: 'acme', config: world.config, region: subject.region })
  return { world, record, plan, parts: plan() }
}

/** Writes the parts before `part`, and answers what those gave. */
async function writeBefore(
  world: World,
  role: CrmRole<unknown>,
  record: CrmRecord,
  parts: PlannedPart[],
  part: PlannedPart,
) {
  const written: Record<string, string> = {}
  for (const earlier of parts) {
    if (earlier.key === part.key) break
    written[earlier.key] = (await role.write(fresh(earlier), record, written, world.context())).id
  }
  return written
}

/** Whichever request of the write is carried out without an answer, the book ends up as after an undisturbed one. */
async function loseEveryAnswer(subject: Subject, role: CrmRole<unknown>, part: PlannedPart): Promise<void> {
  const clean = await ready(subject, role)
  const before = await writeBefore(clean.world, role, clean.record, clean.parts, part)
  const sent = clean.world.requests()
  await role.write(fresh(part), clean.record, before, clean.world.context())
  const requests = clean.world.requests() - sent

  for (let nth = 1; nth <= requests; nth++) {
    const { world, record, parts } = await ready(subject, role)
    const written = await writeBefore(world, role, record, parts, part)
    world.loseAnswer(nth)
    const failure = await cutOff((signal) => role.write(fresh(part), record, written, world.context(signal)))
    expect(failure, `request ${nth} of ${part.key} got no answer`).toMatchObject({ code: 'timeout' })
    await world.advance(role.indexLagMs + 1000)
    const externalId = (await role.find?.(fresh(part), record, written, world.context())) ?? null
    await role.write({ ...fresh(part), externalId }, record, written, world.context())
    expect(booked(world), `after the answer to request ${nth} of ${part.key} got lost`).toEqual(
      booked(clean.world),
    )
  }
}
