import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { connector } from '../../connectors/xosum/connector.ts'
import { partsOf, toJob, toTranscript } from '../../connectors/xosum/map.ts'
import { createSandbox } from '../../connectors/xosum/sandbox.ts'
import { config, transcription } from '../../connectors/xosum/schema.ts'
import { call } from '../../src/call/call.ts'
import type { AudioSource, SubmitContext } from '../../src/connector/contract.ts'
import { readCarriedTranscript } from '../../src/sandbox/recordings.ts'
import { fetchFrom } from '../kit/in-process.ts'
import { testSigner } from '../kit/signer.ts'

const sample = new Uint8Array(
  readFileSync(new URL('../../src/sandbox/recordings/support-invoice.mp3', import.meta.url)),
)
const read = (name: string): unknown =>
  JSON.parse(
    readFileSync(new URL(`../../connectors/xosum/fixtures/api/${name}.json`, import.meta.url), 'utf8'),
  ).body

const aCall = call.parse({
  id: 'call_1',
  source: { connection: 'pbx', callId: '1' },
  customer: { phone: '+37400000000', phoneRaw: '+37400000000', name: 'Nobody' },
  agent: { extension: '101', name: 'King Ruzi' },
})

/** One account with a stand-in behind it; `tick` lets the vendor do what is due. */
function account(keys: Record<string, unknown> = {}) {
  let now = Date.parse('2026-11-20T09:00:10.000Z')
  let seed = 7
  const due: (() => void | Promise<void>)[] = []
  const delivered: Record<string, unknown>[] = []
  const settings = { apiKey: 'key', baseUrl: 'https://app.xosum.am', ...keys }
  const random = () => {
    seed = (seed * 16807) % 2147483647
    return seed / 2147483647
  }
  const vendor = createSandbox({
    now: () => now,
    random,
    later: (_, work) => void due.push(work),
    baseUrl: 'https://app.xosum.am',
    signer: testSigner,
    account: settings,
    hookUrl: 'https://hooks.example.com/hooks/acme',
    deliver: async ({ body }) => {
      delivered.push(JSON.parse(body))
      return { status: 200 }
    },
    transcriptOf: readCarriedTranscript,
  })
  const states: unknown[] = []
  const asked: { method: string; path: string; headers: Record<string, string> }[] = []
  const http = fetchFrom(vendor.app)
  const signal = new AbortController().signal
  const ctx: SubmitContext<ReturnType<typeof config.parse>> = {
    connection: 'acme',
    config: config.parse(settings),
    region: 'AM',
    hookUrl: 'https://hooks.example.com/hooks/acme',
    now: () => now,
    random,
    log: { debug() {}, info() {}, warn() {}, error() {} },
    signal,
    token: () => Promise.reject(new Error('this vendor knows no tokens that end')),
    fetch: (url, { method = 'GET', headers = {}, body } = {}) => {
      asked.push({ method, path: new URL(url).pathname, headers })
      const request = {
        method,
        headers,
        signal,
        timeoutMs: 500,
        maxBytes: 1e7,
        redirects: 0,
        allowPrivate: [],
      }
      return http(new URL(url), body === undefined ? request : { ...request, body })
    },
    checkpoint: async (state) => void states.push(state),
  }
  const tick = async () => {
    for (const work of due.splice(0)) await work()
  }
  const pass = (ms: number) => {
    now += ms
  }
  return { vendor, ctx, states, asked, delivered, tick, pass }
}

const audio = (bytes: Uint8Array = sample): AudioSource => ({
  recording: { key: 'rec', state: 'ready' },
  fileName: 'sub_1.mp3',
  format: 'mp3',
  open: async () => ({
    body: new Blob([new Uint8Array(bytes)]).stream(),
    bytes: bytes.length,
    contentType: 'audio/mpeg',
  }),
  url: async () => null,
})
const request = (state?: unknown) => ({
  submissionId: 'sub_1',
  name: 'sub_1',
  call: aCall,
  audio: audio(),
  ...(state === undefined ? {} : { state }),
})

const { analysis } = connector
if (!analysis?.poll || !analysis.find) throw new Error('xosum analyses')
const { submit, poll, find } = analysis

describe('Xosum: what is sent', () => {
  it('is the submission, the number and the agent, and nothing else of the call', () => {
    expect(toJob('sub_1', aCall, config.parse({ apiKey: 'k', metadata: { team: 'a' } }))).toEqual({
      type: 'phone_call',
      metadata: { team: 'a', phonenumber: '+37400000000', agent: 'King Ruzi', submission: 'sub_1' },
    })
    expect(toJob('sub_1', aCall, config.parse({ apiKey: 'k', sendFields: [] })).metadata).toEqual({
      submission: 'sub_1',
    })
  })

  it('asks for results by webhook only with a secret to check them by', () => {
    expect(config.safeParse({ apiKey: 'k', results: 'webhook' }).success).toBe(false)
    const parts = (keys: object) => partsOf(config.parse({ apiKey: 'k', checklistId: 'c', ...keys }))
    expect(parts({ webhookSecret: 's' })).toEqual(['transcript', 'analysis'])
    expect(parts({ webhookSecret: 's', expectAnalysis: false })).toEqual(['transcript'])
    expect(parts({ webhookSecret: 's', results: 'polling' })).toEqual(['transcript'])
    expect(parts({})).toEqual(['transcript'])
  })
})

describe('Xosum: a submission', () => {
  it('creates a job, writes it down, uploads without credentials, and is polled to its end', async () => {
    const { vendor, ctx, states, asked, tick } = account()
    const { ref } = await submit(request(), ctx)
    expect(states).toMatchObject([
      { docId: ref, isUploaded: false },
      { docId: ref, isUploaded: true },
    ])
    expect(asked.map(({ method, path }) => `${method} ${path.split('/')[1]}`)).toEqual([
      'POST api',
      'PUT upload',
    ])
    expect(asked[1]?.headers).toEqual({
      'content-type': 'audio/mpeg',
      'content-length': String(sample.length),
    })
    expect(await poll(ref, ctx)).toEqual({ state: 'working', afterMs: 7000 })
    await tick()
    const done = await poll(ref, ctx)
    expect(done).toMatchObject({
      state: 'done',
      parts: { transcript: { language: 'en', summary: expect.any(String), title: expect.any(String) } },
    })
    const turns = done.state === 'done' ? (done.parts.transcript?.transcript?.turns ?? []) : []
    expect(new Set(turns.map((turn) => `${turn.party} ${turn.label}`))).toEqual(
      new Set(['other Խոսնակ 1', 'other Խոսնակ 2']),
    )
    expect(vendor.book()).toMatchObject([
      { kind: 'submission', id: ref, key: 'sub_1', fields: { bytes: sample.length, uploads: 1 } },
    ])
  })

  it('goes on with the job of the earlier attempt while its URL is good', async () => {
    const { vendor, ctx, states } = account()
    vendor.fail({ fault: { kind: 'status', status: 503 }, path: '/upload' })
    await expect(submit(request(), ctx)).rejects.toMatchObject({ code: 'vendor_down' })
    const { ref } = await submit(request(states.at(-1)), ctx)
    expect(vendor.book()).toMatchObject([{ kind: 'submission', id: ref }])
  })

  it('does not upload again what was uploaded', async () => {
    const { vendor, ctx, states, asked } = account()
    const first = await submit(request(), ctx)
    const before = asked.length
    expect(await submit(request(states.at(-1)), ctx)).toEqual(first)
    expect(await find(request(states.at(-1)), ctx)).toBe(first.ref)
    expect(asked.length).toBe(before)
    expect(vendor.book()).toMatchObject([{ fields: { uploads: 1 } }])
  })

  it('finds the job whose upload ended in the dark', async () => {
    const { vendor, ctx, states, tick } = account()
    vendor.fail({ fault: { kind: 'commit_then_status', status: 502 }, path: '/upload' })
    await expect(submit(request(), ctx)).rejects.toMatchObject({ code: 'vendor_down' })
    expect(await find(request(), ctx)).toBeNull()
    expect(await find(request(states.at(-1)), ctx)).toBeNull()
    await tick()
    expect(await find(request(states.at(-1)), ctx)).toBe(vendor.book()[0]?.id)
  })

  it('makes a new job when the URL has expired', async () => {
    const { vendor, ctx, states, pass } = account()
    vendor.fail({ fault: { kind: 'status', status: 503 }, path: '/upload' })
    await expect(submit(request(), ctx)).rejects.toMatchObject({ code: 'vendor_down' })
    pass(3_600_000)
    const { ref } = await submit(request(states.at(-1)), ctx)
    expect(vendor.book().map(({ kind }) => kind)).toEqual(['unused job', 'submission'])
    expect(vendor.book()[1]?.id).toBe(ref)
  })

  it('forgets a kept URL that is refused, and never takes it for a wrong key', async () => {
    const { vendor, ctx, states } = account()
    vendor.fail({ fault: { kind: 'status', status: 403 }, path: '/upload', times: 2 })
    await expect(submit(request(), ctx)).rejects.toMatchObject({ code: 'gone', retry: 'never' })
    await expect(submit(request(states.at(-1)), ctx)).rejects.toMatchObject({ code: 'gone', retry: 'later' })
    expect(states.at(-1)).toBeNull()
    await submit(request(states.at(-1)), ctx)
    expect(vendor.book().filter(({ kind }) => kind === 'submission')).toHaveLength(1)
  })

  it('says what failed, and what a wrong key is', async () => {
    const { ctx, tick } = account()
    const { ref } = await submit(
      { ...request(), audio: audio(new TextEncoder().encode('RIFF....WAVE')) },
      ctx,
    )
    await tick()
    expect(await poll(ref, ctx)).toEqual({ state: 'failed', reason: 'Only MP3 audio is accepted' })
    const wrong = { ...ctx, config: { ...ctx.config, apiKey: 'other' } }
    await expect(poll(ref, wrong)).rejects.toMatchObject({ code: 'auth' })
    await expect(connector.check(wrong)).rejects.toMatchObject({ code: 'auth' })
    expect(await connector.check(ctx)).toEqual({ says: 'key not refused, results by polling' })
  })

  it('waits until the minute is over when the limit is reached', async () => {
    const { ctx } = account()
    for (let i = 0; i < 60; i++) await connector.check(ctx)
    await expect(connector.check(ctx)).rejects.toMatchObject({
      code: 'rate_limited',
      retry: { afterMs: 50_000 },
    })
  })
})

describe('Xosum: results', () => {
  it('come by webhook, transcript first, and are polled slowly beside', async () => {
    const { ctx, delivered, tick } = account({ webhookSecret: 'hush', checklistId: 'list' })
    expect(analysis.pollAfterMs?.(ctx.config)).toBe(300_000)
    const { ref } = await submit(request(), ctx)
    expect(await poll(ref, ctx)).toEqual({ state: 'working', afterMs: 300_000 })
    await tick()
    await tick()
    expect(delivered).toMatchObject([
      { event_type: 'transcript_ready', secret: 'hush', docId: ref, metadata: { submission: 'sub_1' } },
      { event_type: 'analysis_ready', secret: 'hush', docId: ref, metadata: { submission: 'sub_1' } },
    ])
    expect(await poll(ref, ctx)).toMatchObject({
      state: 'partly',
      parts: { transcript: {} },
      afterMs: 300_000,
    })
  })

  it('are read from the documented replies', () => {
    const body = read('transcribed')
    const { raw, ...rest } = toTranscript(transcription.parse(body), body)
    expect(raw).toEqual(body)
    expect(rest).toMatchObject({ language: 'hy', title: 'Պատվերի ուշացում' })
    expect(rest.transcript?.turns).toHaveLength(2)
    expect(transcription.parse(read('failed')).status).toBe('failed')
    expect(transcription.parse(read('in-progress')).status).toBe('working-on-it')
  })

  it.each([
    ['a line each', 'Խոսնակ 1: Բարև։\nԽոսնակ 2: Ողջույն։', 'phone_call', ['Խոսնակ 1', 'Խոսնակ 2']],
    ['in one line', 'Խոսնակ 1: Բարև։ Խոսնակ 2: Ողջույն։', 'phone_call', ['Խոսնակ 1', 'Խոսնակ 2']],
    ['none, of one voice', 'Խոսնակ 1: սա պիտակ չէ։', 'single_voice', [undefined]],
  ])('have labels: %s', (_, text, type, labels) => {
    const job = { ...(read('transcribed') as object), transcription: text, type }
    const turns = toTranscript(transcription.parse(job), job).transcript?.turns ?? []
    expect(turns.map(({ label }) => label)).toEqual(labels)
    expect(new Set(turns.map(({ party }) => party))).toEqual(new Set(['other']))
  })

  it('say so when the audio is no sample', async () => {
    const { ctx, tick } = account({ type: 'single_voice' })
    const { ref } = await submit({ ...request(), audio: audio(new Uint8Array([0xff, 0xfb, 0x90, 0])) }, ctx)
    await tick()
    expect(await poll(ref, ctx)).toMatchObject({
      parts: {
        transcript: {
          transcript: { turns: [{ party: 'other', text: 'This audio carries no sample transcript.' }] },
        },
      },
    })
  })
})
