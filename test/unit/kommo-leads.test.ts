import { expect, test } from 'vitest'
import { CUSTOMER, commonCall } from '../kit/connector/samples.ts'
import { crm, ctxOf, open, withPhone } from './kommo-world.ts'

// Which record a call stands on, by what Kommo says of leads and of contacts that are gone.

const lists = (name: string, items: unknown[]) => ({
  kind: 'status' as const,
  status: 200,
  body: { _embedded: { [name]: items } },
})

test('of several open leads none is the one: the call stands on the contact', async () => {
  for (const [leads, expected] of [
    [[{ id: 71 }], { type: 'lead', id: '71' }],
    [[{ id: 71 }, { id: 72 }], { type: 'contact', id: '7' }],
    [[{ id: 71 }, { id: 72, closed_at: 1_700_000_000 }], { type: 'lead', id: '71' }],
    [[{ id: 71, is_deleted: true }], { type: 'contact', id: '7' }],
  ] as const) {
    const world = await open({ attachTo: 'openLead' })
    const contact = {
      id: 7,
      name: 'Jean',
      custom_fields_values: withPhone(CUSTOMER),
      _embedded: { leads: leads.map(({ id }) => ({ id })) },
    }
    world.sandbox.fail({ fault: lists('contacts', [contact]), path: '/api/v4/contacts' })
    world.sandbox.fail({ fault: lists('leads', [...leads]), path: '/api/v4/leads' })
    expect(await crm.match(commonCall(), ctxOf(world), []), JSON.stringify(leads)).toMatchObject([expected])
  }
})

test('a contact that the phone system named and that was deleted is looked for by its number', async () => {
  const world = await open()
  const byNumber = world.sandbox.addContact?.({ name: 'Jean', phone: CUSTOMER })
  const deleted = { id: 999, name: 'Gone', is_deleted: true }
  world.sandbox.fail({ fault: { kind: 'status', status: 200, body: deleted }, path: '/contacts/999' })
  const customer = { phone: CUSTOMER, phoneRaw: CUSTOMER, crm: { acme: '999' } }
  expect(await crm.match({ ...commonCall(), customer }, ctxOf(world), [])).toMatchObject([{ id: byNumber }])
})
