import { expect, test } from 'vitest'
import { connector } from '../../connectors/resonaa/connector.ts'
import type { GivenFile, OperationContext, SubmitContext } from '../../src/connector/contract.ts'
import { utf8 } from '../../src/connector/encoding.ts'
import { asCordboardError } from '../../src/errors.ts'
import { loadSubject } from '../kit/connector/fixtures.ts'
import { readFolder } from '../kit/connector/folder.ts'
import { submitRequest } from '../kit/connector/samples.ts'
import { openWorld } from '../kit/connector/world.ts'

const subject = loadSubject(connector, readFolder(new URL('../../connectors/resonaa/', import.meta.url)))
const role = subject.connector.analysis
const openWith = (settings: Record<string, unknown> = {}) =>
  openWorld({ ...subject, settings: { ...subject.settings, ...settings } })

type World = Awaited<ReturnType<typeof openWith>>

const submit = async (world: World) => {
  const ctx = { ...world.context(), checkpoint: async () => undefined } as SubmitContext<unknown>
  return role?.submit(submitRequest(world), ctx)
}
const fieldsOf = (world: World) => world.sandbox.book().map(({ kind, fields }) => ({ kind, ...fields }))

/** As the command line runs an operation: values are texts, a file is named. */
async function run(
  world: World,
  resource: string,
  verb: string,
  values: object = {},
  file?: string,
  redact = (text: string) => text,
) {
  const operation = subject.connector.operations?.[resource]?.[verb]
  if (!operation) throw new RangeError(`there is no ${resource} ${verb}`)
  const given: GivenFile = {
    name: 'given.mp3',
    contentType: 'audio/mpeg',
    bytes: utf8(file ?? '').length,
    open: async () => new Blob([file ?? '']).stream(),
  }
  const ctx = { ...world.context(), file: () => given, redact } as OperationContext<unknown>
  return operation.run(operation.input.parse(values), ctx)
}

test('a conversation that is handed over by hand leaves redacted where the connection’s transcripts do', async () => {
  const world = await openWith()
  const redact = (text: string) => text.replaceAll(/\d{7,}/g, '[PHONE_1]')
  const fields = JSON.stringify({ messages: [{ text: 'call 0639980142', at: 1 }] })
  await run(world, 'tickets', 'upload', { fields }, undefined, redact)
  expect(fieldsOf(world)).toEqual([{ kind: 'ticket', messages: [{ text: 'call [PHONE_1]', at: 1 }] }])
})

test.each([
  ['url', 'call_url'],
  ['form-url', 'audio_url'],
] as const)(
  'by %s the link is called %s, and the call’s own id travels as order_id',
  async (submitBy, field) => {
    const world = await openWith({ submitBy, userIds: { 101: 'user-uuid-1' } })
    await submit(world)
    const [call] = fieldsOf(world)
    expect(call).toMatchObject({
      kind: 'submission',
      [field]: 'https://media.example.com/kit-recording-1.mp3',
      order_id: 'call_01KJT0QZ5M0000000000000KIT',
      customer_name: 'Jean Dupont',
      extension_id: '101',
      user_id: 'user-uuid-1',
    })
  },
)

test('nothing but the reference is told when nothing else may be', async () => {
  const world = await openWith({ sendFields: [], userIds: { 101: 'user-uuid-1' } })
  await submit(world)
  expect(Object.keys(world.sandbox.book()[0]?.fields ?? {}).sort()).toEqual(['bytes', 'fileName', 'order_id'])
})

test.each([
  ['no body', new Response(null, { status: 201 })],
  ['a page', new Response('<p>ok', { status: 200 })],
  ['another shape', Response.json({ success: true, call_id: { id: 1 } })],
])('a 2xx with %s counts as taken: to send it once more would be paid for', async (_, answer) => {
  const world = await openWith()
  const ctx = { ...world.context(), fetch: async () => answer, checkpoint: async () => undefined }
  const sent = await role?.submit(submitRequest(world), ctx as SubmitContext<unknown>)
  expect(sent).toEqual({ ref: 'order call_01KJT0QZ5M0000000000000KIT' })
})

test('a 2xx that says no is a refusal, in their words', async () => {
  const world = await openWith()
  const answer = Response.json({ success: false, message: 'call me at +33639980142' })
  const ctx = { ...world.context(), fetch: async () => answer, checkpoint: async () => undefined }
  const failure = await role
    ?.submit(submitRequest(world), ctx as SubmitContext<unknown>)
    .then(() => null, asCordboardError)
  expect(failure).toMatchObject({ code: 'rejected', vendorSaid: 'call me at <number>' })
})

test('what is done by hand reaches its endpoint with the fields as they were written', async () => {
  const world = await openWith()
  await run(world, 'calls', 'add', { url: 'https://media.example.com/a.mp3', orderId: '7' })
  await run(world, 'calls', 'add', { customerName: 'Acme Corp' }, 'audio')
  await run(world, 'customers', 'add', { fields: '{"name":"Acme","tags":["a"],"api_key":"another"}' })
  await run(world, 'customers', 'add-many', { fields: '[{"name":"A"},{"name":"B"}]' })
  await run(world, 'customers', 'csv', {}, 'name\nAcme\n')
  await run(world, 'customers', 'csv', { as: 'text' }, 'name\nAcme\n')
  await run(world, 'sheets', 'upload', { fields: '{"phase":"create"}' })
  await run(world, 'tickets', 'upload', { fields: '{"text":"hello"}' })
  await run(world, 'chat', 'ask', { about: 'calls', fields: '{"message":"why?"}' })
  expect(fieldsOf(world)).toEqual([
    { kind: 'submission', call_url: 'https://media.example.com/a.mp3', order_id: '7', bytes: 96_000 },
    { kind: 'submission', customer_name: 'Acme Corp', fileName: 'given.mp3', bytes: 5 },
    { kind: 'customers', name: 'Acme', tags: ['a'] },
    { kind: 'customers', customers: [{ name: 'A' }, { name: 'B' }] },
    { kind: 'customers', csv: 'name\nAcme\n' },
    { kind: 'customers', csv: 'name\nAcme\n' },
    { kind: 'sheet', phase: 'create' },
    { kind: 'ticket', text: 'hello' },
    { kind: 'chat', about: 'calls', message: 'why?' },
  ])
})

test('JSON that cannot be sent is refused before anything is', async () => {
  const world = await openWith()
  const failures = await Promise.all(
    [
      run(world, 'tickets', 'upload', { fields: 'nonsense' }),
      run(world, 'tickets', 'upload', { fields: '[1]' }),
      run(world, 'customers', 'add-many', { fields: '{"name":"A"}' }),
    ].map((work) => work.then(() => null, asCordboardError)),
  )
  expect(failures.map((failure) => failure?.code)).toEqual(['bad_request', 'bad_request', 'bad_request'])
  expect(() =>
    subject.connector.operations?.chat?.ask?.input.parse({ about: '../crm', fields: '{}' }),
  ).toThrow()
  expect(world.requests()).toBe(0)
})
