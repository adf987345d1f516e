import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { connectorIds, loadConnector } from '../../connectors/index.ts'
import { lintOpenapi, openapiFiles } from '../../scripts/lint-openapi.ts'
import type { HttpFetch } from '../../src/connector/platform.ts'
import { asCordboardError } from '../../src/errors.ts'
import { loadSubject, type Subject } from '../kit/connector/fixtures.ts'
import { readFolder } from '../kit/connector/folder.ts'
import { hasStory, openStory, tellStory } from '../kit/connector/operations.ts'
import { commonCall, memberOf, SAMPLE_ANALYSIS, submitRequest } from '../kit/connector/samples.ts'
import { different, textLeaves, withLeaf } from '../kit/connector/tampering.ts'
import { openWorld, type World } from '../kit/connector/world.ts'
import { openapiValidator, textMessage } from './openapi-validator.ts'

/**
 * Our connectors and the stand-ins of their vendors were written from the same pages, by the same people: they may agree
 * and both be wrong. So both are held against openapi/<vendor>.yaml by a validator that is not ours, request by request
 * and answer by answer. A document that is put beside them joins by being there.
 */

const vendors = openapiFiles()
  .map((file) => ({ file, id: file.pathname.split('/').at(-1)?.replace('.yaml', '') ?? '' }))
  .filter(({ id }) => connectorIds.some((one) => one === id))

it('there are documents of vendors', () => expect(vendors.length).toBeGreaterThanOrEqual(2))

describe('the linter finds nothing in', () => {
  it.each(openapiFiles().map((file) => [file.pathname.split('/').at(-1), file] as const))(
    '%s',
    async (_, file) => {
      expect(await lintOpenapi(file)).toEqual([])
    },
  )
})

describe.each(vendors)('what we and the stand-in of $id say to each other', ({ id, file }) => {
  const validator = openapiValidator(file)
  const problems: string[] = []

  /** Looks at every exchange, without changing it. */
  const through =
    (http: HttpFetch): HttpFetch =>
    async (url, request) => {
      const sent = new Request(url, {
        method: request.method,
        headers: request.headers,
        ...(request.body === undefined ? {} : { body: request.body as BodyInit, duplex: 'half' }),
      })
      const asked = { method: request.method, url, headers: sent.headers, body: await bytesOf(sent) }
      const body = request.body === undefined ? {} : { body: asked.body }
      const response = await http(url, { ...request, ...body, headers: Object.fromEntries(sent.headers) })
      const answered = {
        status: response.status,
        headers: response.headers,
        body: await bytesOf(response.clone()),
      }
      problems.push(...(await validator.exchange(asked, answered)))
      return response
    }

  it('fits the document when a call is submitted, found again and fetched, whatever the connection is set to', async () => {
    const subject = await subjectOf(id)
    for (const settings of variantsOf(subject)) {
      const world = await openWorld({ ...subject, settings }, { through })
      await subject.connector.check(world.context())
      await analyse(world)
      for (const { body, headers } of world.delivered) {
        problems.push(...(await validator.webhook(textMessage(body, headers['content-type'] ?? ''))))
      }
    }
    expect(problems.splice(0)).toEqual([])
  })

  it('fits the document when our credentials are wrong', async () => {
    const subject = await subjectOf(id)
    const world = await openWorld(subject, { through })
    const wrong = textLeaves(world.settings)
      .filter(({ path }) => /secret|token|key/i.test(path.join('.')))
      .reduce((settings, { path, value }) => withLeaf(settings, path, different(value)), world.settings)
    const context = { ...world.context(), config: subject.connector.config.parse(wrong) }
    const failure = await subject.connector.check(context).then(() => null, asCordboardError)
    expect(failure).toMatchObject({ code: 'auth' })
    expect(problems.splice(0)).toEqual([])
  })

  it('fits the document in every operation that people do by hand', async () => {
    const subject = await subjectOf(id)
    if (hasStory(subject)) await tellStory(await openStory(subject, { through }))
    expect(problems.splice(0)).toEqual([])
  })

  it('uses everything that the document describes', () => {
    expect(validator.unused()).toEqual([])
  })
})

async function subjectOf(id: string): Promise<Subject> {
  return loadSubject(await loadConnector(id), readFolder(new URL(`../../connectors/${id}/`, import.meta.url)))
}

/** The fixture's connection, and the same with each value of each of its choices. */
function variantsOf({ connector, settings }: Subject): Record<string, unknown>[] {
  const schema = z.toJSONSchema(connector.config, { io: 'input', unrepresentable: 'any' })
  const choices = Object.entries(schema.properties ?? {}).flatMap(([key, property]) => {
    const values = typeof property === 'object' ? (property.enum ?? []) : []
    return values.map((value) => ({ ...settings, [key]: value }))
  })
  return [settings, ...choices.filter((one) => connector.config.safeParse(one).success)]
}

async function analyse(world: World): Promise<void> {
  const role = world.subject.connector.analysis
  if (!role) return
  const accepts = role.accepts(world.config)
  const text = SAMPLE_ANALYSIS.transcript ?? { turns: [] }
  const requests = [
    submitRequest(world),
    ...(accepts.text && accepts.audio
      ? [{ submissionId: 'sub_text', name: 'sub_text', call: commonCall(), text }]
      : []),
  ]
  for (const request of requests) {
    await role.find?.(request, world.context())
    const { ref } = await role.submit(request, { ...world.context(), checkpoint: async () => undefined })
    for (let turn = 0; turn < 6; turn++) {
      await role.poll?.(ref, world.context())
      await world.advance(10_000)
    }
    await role.find?.(request, world.context())
  }
  for (const [nth, request] of (role.batch ? requests : []).entries()) {
    const many = ['1', '2'].map((place) => memberOf(request, place))
    await role.batch?.submit(
      { batchId: `bat_${nth}`, many },
      { ...world.context(), checkpoint: async () => undefined },
    )
  }
  await role.quota?.(world.context())
}

const bytesOf = async (message: Request | Response) => new Uint8Array(await message.arrayBuffer())

describe('the validator', () => {
  const validator = openapiValidator(new URL('../../openapi/xosum.yaml', import.meta.url))
  const asked = (body: unknown, url = 'https://x.example/api/createTranscription') => ({
    method: 'POST',
    url: new URL(url),
    ...textMessage(JSON.stringify(body), 'application/json'),
    headers: new Headers({ 'content-type': 'application/json', authorization: 'Bearer x' }),
  })
  const answered = (body: unknown, status = 200) => ({
    status,
    ...textMessage(JSON.stringify(body), 'application/json'),
  })
  const good = { docId: 'x', uploadUrl: 'https://storage.example/1' }

  it('sees what is not described, in either direction', async () => {
    expect(await validator.exchange(asked({ type: 'phone_call' }), answered(good))).toEqual([])
    const wrong = [
      [{ type: 'phone_call', language: 'hy' }, good, /language/],
      [{}, good, /required property 'type'/],
      [{ type: 'letter' }, good, /allowed values/],
      [{ type: 'phone_call' }, { docId: 'x' }, /uploadUrl/],
      [{ type: 'phone_call' }, { ...good, uploadUrl: 'no url' }, /format "uri"/],
    ] as const
    for (const [request, reply, problem] of wrong) {
      expect((await validator.exchange(asked(request), answered(reply))).join()).toMatch(problem)
    }
    const elsewhere = asked({}, 'https://x.example/api/other')
    expect((await validator.exchange(elsewhere, answered({}))).join()).toContain('is not in the document')
    const query = asked({ type: 'phone_call' }, 'https://x.example/api/createTranscription?v=2')
    expect((await validator.exchange(query, answered(good))).join()).toContain('query v')
    const open = {
      ...asked({ type: 'phone_call' }),
      headers: new Headers({ 'content-type': 'application/json' }),
    }
    expect((await validator.exchange(open, answered(good))).join()).toContain('no credentials')
    expect(
      (await validator.webhook(textMessage('{"event_type":"x"}', 'application/json'))).length,
    ).toBeGreaterThan(0)
  })

  it('lets go to a URL that was handed out, but no credentials', async () => {
    const put = {
      method: 'PUT',
      url: new URL(good.uploadUrl),
      headers: new Headers(),
      body: new Uint8Array(1),
    }
    const stored = { status: 200, headers: new Headers(), body: new Uint8Array() }
    expect(await validator.exchange(put, stored)).toEqual([])
    const leaking = { ...put, headers: new Headers({ authorization: 'Bearer x' }) }
    expect((await validator.exchange(leaking, stored)).join()).toContain('credentials')
  })

  it('holds an operation at an address of its own against what goes to the URLs that were handed out', async () => {
    const { exchange, seen } = openapiValidator(new URL('../../openapi/cyberdev.yaml', import.meta.url))
    const url = new URL('https://store.example/a/metadata.csv?X-Amz-Signature=1')
    const put = (type: string, more: Record<string, string> = {}, to = url) =>
      exchange(
        {
          method: 'PUT',
          url: to,
          headers: new Headers({ 'content-type': type, ...more }),
          body: new Uint8Array(1),
        },
        { status: 200, headers: new Headers(), body: new Uint8Array() },
      )
    const data = { metadata_upload_url: url.href, metadata_key: 'a/metadata.csv' }
    await exchange(
      asked({ metadata_filename: 'metadata.csv' }, 'https://x.example/api/v1/calls/upload'),
      answered({ status: 'success', data }),
    )
    expect(await put('text/csv')).toEqual([])
    expect([...seen]).toEqual(['requestUpload', 'putFile'])
    expect((await put('text/plain')).join()).toContain('text/plain is not in the document')
    expect((await put('text/csv', { authorization: 'Bearer x' })).join()).toContain('credentials')
    const other = new URL('https://store.example/other.csv')
    expect((await put('text/csv', {}, other)).join()).toContain('is not in the document')
  })
})
