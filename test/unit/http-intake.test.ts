import { readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createApp } from '../../src/app.ts'
import { CordboardError } from '../../src/errors.ts'
import { sandboxVendors, UPLOADS } from '../scenarios/company.ts'
import { type Installation, install } from '../scenarios/installation.ts'

/** What strangers with a token may send to POST /v1/calls and /v1/vcons: nothing of it is left when it is refused. */

const TOKEN = 'ingest-token-0123456789'
const MP3 = `ID3${'a'.repeat(5_000)}`
const UUID = '019cb5f4-0000-8000-8000-000000000001'

let it_: Installation
let app: ReturnType<typeof createApp>
beforeAll(async () => {
  it_ = await install({
    vendors: { ...UPLOADS, more: { use: 'intake', settings: {} }, ...sandboxVendors('hubspot') },
    flows: [{ name: 'f', from: ['uploads', 'more'], analyze: [], write: ['sandbox-hubspot'] }],
  })
  app = createApp({
    ...it_.deps,
    tokens: [
      { role: 'ingest', token: TOKEN },
      { role: 'viewer', token: `viewer-${TOKEN}` },
    ],
  })
})
afterAll(async () => {
  await it_[Symbol.asyncDispose]()
})

const left = async () => {
  const files = readdirSync(join(dirname(it_.file), 'media'))
  const rows = await it_.store.db.selectFrom('uploads').select('id').execute()
  const deliveries = await it_.store.db.selectFrom('deliveries').select('id').execute()
  return [files, rows, deliveries.length]
}
let before = 0
beforeEach(async () => {
  before = (await it_.store.db.selectFrom('deliveries').select('id').execute()).length
})
const nothing = async () => expect(await left()).toEqual([[], [], before])

async function send(path: string, init: RequestInit & { duplex?: 'half' }) {
  const headers = { authorization: `Bearer ${TOKEN}`, ...(init.headers as Record<string, string>) }
  const response = await app.fetch(
    new Request(`https://c.example.com${path}`, { method: 'POST', ...init, headers }),
  )
  return {
    status: response.status,
    headers: response.headers,
    body: (await response.json()) as Record<string, string>,
  }
}
const json = (value: unknown, path = '/v1/calls?connection=uploads', headers = {}) =>
  send(path, {
    body: typeof value === 'string' ? value : JSON.stringify(value),
    headers: { 'content-type': 'application/json', ...headers },
  })
const form = (...parts: [disposition: string, content: string][]) => {
  const body = parts
    .map(([head, content]) => `--B\r\nContent-Disposition: form-data; ${head}\r\n\r\n${content}\r\n`)
    .join('')
  return send('/v1/calls?connection=uploads', {
    body: Buffer.from(`${body}--B--\r\n`, 'latin1'),
    headers: { 'content-type': 'multipart/form-data; boundary=B' },
  })
}
const FILE = 'name="file"; filename="a.mp3"'
const CALL = 'name="call"'

describe('a form', () => {
  const refused: [string, [string, string][], RegExp][] = [
    ['without a file', [[CALL, '{}']], /part file, seen none/],
    ['with an empty file', [[FILE, '']], /expected audio, seen nothing/],
    ['with a page for a file', [[FILE, '<!doctype html><script>']], /expected audio, seen something else/],
    [
      'with an archive for a file',
      [['name="file"; filename="../../../x.mp3"', 'PK\x03\x04'.repeat(99)]],
      /expected audio/,
    ],
    [
      'with two files',
      [
        [FILE, MP3],
        [FILE, MP3],
      ],
      /one part call and one part file/,
    ],
    [
      'with two calls',
      [
        [FILE, MP3],
        [CALL, '{}'],
        [CALL, '{}'],
      ],
      /one part call and one part file/,
    ],
    [
      'with another part',
      [
        [FILE, MP3],
        ['name="audio"', 'x'],
      ],
      /one part call and one part file/,
    ],
    [
      'with a call that is a file',
      [
        [FILE, MP3],
        ['name="call"; filename="a.json"', '{}'],
      ],
      /one part call/,
    ],
    [
      'with a call that is no JSON',
      [
        [FILE, MP3],
        [CALL, '{'],
      ],
      /no valid JSON/,
    ],
    [
      'with a deep call',
      [
        [FILE, MP3],
        [CALL, `{"meta":${'['.repeat(100)}${']'.repeat(100)}}`],
      ],
      /deeper than 64/,
    ],
    [
      'with an unknown field',
      [
        [FILE, MP3],
        [CALL, '{"mediaId":"med_1"}'],
      ],
      /mediaId/,
    ],
    [
      'with a link beside its file',
      [
        [FILE, MP3],
        [CALL, '{"recordingUrl":"https://a.example.com/x"}'],
      ],
      /seen both/,
    ],
    [
      'with one of our ids',
      [
        [FILE, MP3],
        [CALL, '{"externalId":"call_01KJT0QZ5M0000000000000KTB"}'],
      ],
      /externalId/,
    ],
  ]
  it.each(refused)('%s is refused, and nothing is left of it', async (_, parts, says) => {
    const { status, body } = await form(...parts)
    expect([status, body.code]).toEqual([400, 'bad_request'])
    expect(body.detail).toMatch(says)
    await nothing()
  })

  it('that breaks off leaves nothing, wherever it does', async () => {
    const whole = Buffer.from(
      `--B\r\nContent-Disposition: form-data; ${FILE}\r\n\r\n${MP3.repeat(30)}\r\n--B--\r\n`,
    )
    for (const at of [10, 100, 5_000, 100_000, whole.length - 4]) {
      const dying = new ReadableStream<Uint8Array>({
        start(controller) {
          controller.enqueue(whole.subarray(0, at))
        },
        pull: (controller) => controller.error(new TypeError('terminated')),
      })
      const headers = { 'content-type': 'multipart/form-data; boundary=B' }
      const answer = await send('/v1/calls?connection=uploads', { body: dying, duplex: 'half', headers })
      expect(answer).toMatchObject({ status: 400, body: { detail: 'The body broke off before its end' } })
      const short = await send('/v1/calls?connection=uploads', { body: whole.subarray(0, at), headers })
      expect(short).toMatchObject({ status: 400, body: { code: 'bad_request' } })
      await nothing()
    }
  })

  it('that the media store cannot take is told to come back, and leaves nothing', async () => {
    const { put } = it_.deps.media
    it_.deps.media.put = async (id, body, most) => {
      if (body instanceof ReadableStream) await body.cancel()
      throw new CordboardError('storage_unavailable', `full: ${typeof id} ${most}`)
    }
    expect(await form([FILE, MP3])).toMatchObject({ status: 503, body: { code: 'storage_unavailable' } })
    it_.deps.media.put = put
    await nothing()
  })
})

describe('a body of JSON', () => {
  const refused: [string, unknown, RegExp][] = [
    ['that says nothing', {}, /recordingUrl, transcript or result/],
    ['that is a list', [], /call/],
    ['with a link that is not https', { recordingUrl: 'http://a.example.com/x.mp3' }, /recordingUrl.*https/],
    ['with a link to a file', { recordingUrl: 'file:///etc/passwd' }, /recordingUrl/],
    ['with half a time', { result: 'busy', startedAt: '2026-11-20 10:00' }, /startedAt/],
    ['with too long a name', { result: 'busy', externalId: 'x'.repeat(257) }, /externalId/],
    ['with 101 tags', { result: 'busy', tags: Array.from({ length: 101 }, String) }, /tags/],
    ['with a track nobody knows', { result: 'busy', recording: { tracks: { left: 'cat' } } }, /left/],
    ['with a name nobody knows', { result: 'busy', form: 1 }, /"form": expected one of externalId, .*from, /],
    ['with an upload of somebody else', { result: 'busy', recordings: [{ mediaId: 'med_1' }] }, /recordings/],
  ]
  it.each(refused)('%s is refused with what was expected', async (_, value, says) => {
    const { status, body } = await json(value)
    expect([status, body.code]).toEqual([400, 'bad_request'])
    expect(body.detail).toMatch(says)
    await nothing()
  })

  it('with the connection in it says where that is named', async () => {
    const { body } = await json({ result: 'busy', connection: 'uploads' })
    expect([body.code, body.fix]).toEqual(['bad_request', expect.stringContaining('?connection=')])
  })

  it('reaches no prototype', async () => {
    expect(
      await json('{"result":"busy","__proto__":{"admin":true},"meta":{"constructor":"x"}}'),
    ).toMatchObject({ status: 202 })
    expect(({} as Record<string, unknown>).admin).toBeUndefined()
  })

  it('of more than five megabytes is refused while it comes', async () => {
    const big = { result: 'busy', transcript: 'x'.repeat(6 * 1024 * 1024) }
    expect(await json(big)).toMatchObject({ status: 413, body: { code: 'too_large' } })
    let pulled = 0
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        pulled += 1
        controller.enqueue(new Uint8Array(65_536).fill(32))
      },
    })
    const headers = { 'content-type': 'application/json' }
    expect(
      await send('/v1/calls?connection=uploads', { body: endless, duplex: 'half', headers }),
    ).toMatchObject({ status: 413 })
    expect(pulled).toBeLessThan(100)
  })

  it('of another type, or without one, is refused', async () => {
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/jsonp', ''])
      expect(await json({ result: 'busy' }, undefined, { 'content-type': type })).toMatchObject({
        status: 400,
      })
  })
})

describe('what is asked beside the body', () => {
  it('names the connection where there are several, and no other', async () => {
    expect((await json({ result: 'busy' }, '/v1/calls')).body.detail).toMatch(
      /expected one of uploads, more, seen none/,
    )
    expect((await json({ result: 'busy' }, '/v1/calls?connection=sandbox-hubspot')).status).toBe(400)
    expect(await json({ result: 'busy' }, '/v1/calls?connection=more')).toMatchObject({
      status: 202,
      body: { connection: 'more' },
    })
    expect((await json({ result: 'busy' }, '/v1/calls?conection=more')).body.detail).toMatch(/conection/)
  })

  it('has keys that are keys', async () => {
    for (const key of ['', ' ', 'a b', 'x'.repeat(201), 'é'])
      expect(await json({ result: 'busy' }, undefined, { 'idempotency-key': key })).toMatchObject({
        status: key.trim() === '' ? 400 : 400,
      })
  })

  it('a thousand at once with one key are one call', async () => {
    const answers = await Promise.all(
      Array.from({ length: 40 }, () => json({ result: 'busy' }, undefined, { 'idempotency-key': 'once' })),
    )
    expect(new Set(answers.map(({ status, body }) => `${status} ${body.id} ${body.delivery}`)).size).toBe(1)
    expect((await left())[2]).toBe(before + 1)
  })

  it('needs a token that may, and that one may read nothing', async () => {
    expect(
      await json({ result: 'busy' }, undefined, { authorization: `Bearer viewer-${TOKEN}` }),
    ).toMatchObject({ status: 403 })
    const read = await app.fetch(
      new Request('https://c.example.com/v1/calls', { headers: { authorization: `Bearer ${TOKEN}` } }),
    )
    expect(read.status).toBe(403)
  })

  it('nothing comes in at /hooks', async () => {
    const stored = {
      kind: 'call',
      callId: 'call_1',
      promise: 'call_1',
      key: 'k',
      content: 'c',
      by: 'me',
      call: {},
    }
    const answer = await app.fetch(
      new Request('https://c.example.com/hooks/uploads', { method: 'POST', body: JSON.stringify(stored) }),
    )
    expect([answer.status, ((await answer.json()) as Record<string, string>).code]).toEqual([
      404,
      'not_a_webhook',
    ])
    await nothing()
  })
})

describe('a vCon', () => {
  const vcon = (members: object, type = 'application/vcon+json') =>
    json({ uuid: UUID, created_at: '2026-11-20T11:00:00Z', ...members }, '/v1/vcons?connection=uploads', {
      'content-type': type,
    })
  const audio = (members: object) => ({
    dialog: [{ type: 'recording', mediatype: 'audio/x-mp3', ...members }],
  })
  const refused: [string, object, RegExp, string?][] = [
    ['signed', { payload: 'e30', signatures: [] }, /unsigned form; seen the signed/],
    ['encrypted', { ciphertext: 'x', recipients: [] }, /unsigned form; seen the encrypted/],
    ['compressed', {}, /Content-Type/, 'application/vcon+gzip'],
    ['with a recording that is none', audio({ encoding: 'base64url', body: 'PGh0bWw-' }), /expected audio/],
    [
      'with a recording in no encoding',
      audio({ encoding: 'base64url', body: 'SUQz!' }),
      /recording in base64url/,
    ],
    ['with a recording as JSON', audio({ encoding: 'json', body: { a: 1 } }), /recording in base64url/],
    [
      'with a wrong hash',
      {
        analysis: [
          { type: 'summary', encoding: 'none', body: 'x', content_hash: `sha512-${'A'.repeat(86)}` },
        ],
      },
      /analysis\.0\.content_hash/,
    ],
    [
      'with a hash of another kind',
      { attachments: [{ encoding: 'none', body: 'x', content_hash: 'md5-abc' }] },
      /attachments\.0\.content_hash.*sha512/,
    ],
    [
      'that is large without its recordings',
      { subject: 'a', attachments: [{ encoding: 'none', body: 'x'.repeat(6 * 1024 * 1024) }] },
      /5 MB/,
    ],
  ]
  it.each(refused)('%s is refused, and nothing is left of it', async (_, members, says, type) => {
    const { status, body } = await vcon(members, type)
    expect([400, 413]).toContain(status)
    expect(body.detail).toMatch(says)
    await nothing()
  })

  it('that is refused for its second recording leaves nothing of the first', async () => {
    const one = { type: 'recording', encoding: 'base64url', body: Buffer.from(MP3).toString('base64url') }
    expect(await vcon({ dialog: [one, { ...one, body: 'PGh0bWw-' }] })).toMatchObject({ status: 400 })
    await nothing()
  })

  it('of more than 16 MB is refused', async () => {
    expect(await vcon(audio({ encoding: 'base64url', body: 'A'.repeat(17 * 1024 * 1024) }))).toMatchObject({
      status: 413,
    })
  })

  it('sends nobody anywhere by itself, and to private addresses never', async () => {
    const links = [
      'https://169.254.169.254/latest/meta-data',
      'https://127.0.0.1/x',
      'https://[::1]/x',
      'http://uploads.example.com/x',
      'file:///etc/passwd',
      'https://user:pass@uploads.example.com/x',
    ]
    const taken = await vcon({
      dialog: links.map((url) => ({ type: 'recording', url, content_hash: `sha512-${'A'.repeat(86)}` })),
      analysis: [{ type: 'summary', vendor: 'V', url: 'https://uploads.example.com/analysis' }],
      attachments: [{ url: 'https://uploads.example.com/attachment' }],
    })
    expect(taken.status).toBe(202)
    await it_.settle()
    expect(it_.wire.sent('uploads')).toEqual([])
    const event = await it_.store.db
      .selectFrom('events')
      .select('event')
      .where('event_key', '=', `intake:x:${UUID}`)
      .executeTakeFirstOrThrow()
    expect(event.event).not.toMatch(/http:|file:/)
  })
})
