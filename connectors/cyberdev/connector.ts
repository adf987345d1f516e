import { z } from 'zod'
import {
  type AnalysisRole,
  type BatchRequest,
  type ConnectorContext,
  defineConnector,
  operationFor,
  type SubmitContext,
  type SubmitRequest,
} from '../../src/connector/contract.ts'
import { utf8 } from '../../src/connector/encoding.ts'
import { scrub } from '../../src/connector/fail-on.ts'
import { multipart } from '../../src/connector/multipart.ts'
import { type ZipBody, zipStored } from '../../src/connector/zip.ts'
import { CordboardError, type ErrorCode } from '../../src/errors.ts'
import * as api from './client.ts'
import {
  at,
  carries,
  carriesLike,
  metadataCsv,
  toAnalysis,
  toMetadata,
  toTranscription,
  transcriptionsCsv,
} from './map.ts'
import {
  type CallItem,
  type Config,
  config,
  STATUSES,
  type Status,
  type UploadState,
  uploadState,
} from './schema.ts'

type Context = ConnectorContext<Config>
type Submitting = SubmitContext<Config>

/** https://docs.cyberdev.app/api-reference/audio-upload (read 2026-11-20). */
const FORMATS = ['wav', 'mp3', 'flac', 'ogg', 'aiff', 'au'] as const
const MOST_BYTES = 50 * 1024 * 1024
/** "Valid for 1 hour only", and all three steps within it. */
const URLS_MS = 3_600_000
/** Nothing is begun in the last moments of a presigned URL. */
const MARGIN_MS = 120_000
/** The greatest page; and so many of them are read for one id, which nothing else should contain. */
const PAGE = 100
const SEARCH_PAGES = 5

const analysis: AnalysisRole<Config> = {
  accepts: ({ transcripts }) => ({
    audio: { formats: FORMATS, by: ['file'], maxBytes: MOST_BYTES, stereoOnly: true },
    text: transcripts,
    redacted: true,
  }),
  // Which fields there are is not documented, so neither is what comes first: everything is one part.
  parts: () => ['analysis'],
  pollAfterMs: ({ pollMs }) => pollMs,

  async submit(request, ctx) {
    if (request.text) await handOver(textFile(request.name, [request], ctx.config), request.state, ctx)
    else await submitAudio(request, ctx)
    return { ref: request.name }
  },

  /** By our own id, which travels as partner_call_id: no answer names the call that it made. */
  async find({ name, state }, ctx) {
    const { item, isHidden } = await search(name, undefined, ctx)
    if (item) return name
    if (isHidden) throw notKnown()
    const kept = uploadState.safeParse(state).data
    stillHidden(kept, ctx)
    if (kept?.askedAt !== undefined) await provenAbsent(name, ctx)
    return null
  },

  async poll(ref, ctx) {
    const { results, pollMs } = ctx.config
    const { item, isHidden } = await search(ref, 'completed', ctx)
    if (isHidden) throw unseen()
    if (item && results) return { state: 'done', parts: { analysis: toAnalysis(item, results) } }
    if (item) {
      throw new CordboardError(
        'config',
        'CyberDev has finished this call, and where its result stands is not said',
        {
          why: 'The fields of a result are on no page of CyberDev’s',
          fix: 'See a call with: cordboard backend <connection> calls list; name its fields in `results` of the connection and restart',
        },
      )
    }
    const { item: failed } = await search(ref, 'failed', ctx)
    if (!failed) return { state: 'working', afterMs: pollMs }
    const why = at(failed, results?.failure)
    return { state: 'failed', reason: typeof why === 'string' ? scrub(why) : 'no reason is given' }
  },

  batch: {
    maxCount: 1000,
    maxBytes: 1024 ** 3,
    maxAgeMs: 24 * 3_600_000,
    validate(request, ctx) {
      if (request.text) toTranscription(request, ctx.config)
      else toMetadata(request, ctx.config)
    },
    async submit(batch, ctx) {
      const verdicts = batch.many.map(({ name }) => ({ ref: name }))
      const kept = stateOf(batch.batchId, batch.state)
      if (kept?.askedAt !== undefined) {
        // The file is taken whole or not at all: one call that is there says it of all.
        let isAnyHidden = false
        for (const { name } of batch.many.slice(0, ASKED_FOR)) {
          const { item, isHidden } = await search(name, undefined, ctx)
          if (item) return verdicts
          isAnyHidden ||= isHidden
        }
        if (isAnyHidden) throw notKnown()
        stillHidden(kept, ctx)
        await provenAbsent(batch.many[0]?.name ?? '', ctx)
      }
      await handOver(batchFile(batch, ctx.config), batch.state, ctx)
      return verdicts
    },
  },
}

/** So many calls of a file are looked for: enough, if a row of it should have got lost. */
const ASKED_FOR = 3

const list = operationFor<Config>()({
  says: 'calls of the organisation, by status and full text',
  docs: 'https://docs.cyberdev.app/api-reference/calls',
  input: z.object({
    status: z.enum(STATUSES).optional().describe('only calls in this state'),
    search: z.string().min(1).max(256).optional().describe('full text over the data of calls'),
    offset: z.coerce.number().int().min(0).default(0).describe('so many calls are skipped'),
    limit: z.coerce
      .number()
      .int()
      .min(1)
      .max(PAGE)
      .default(10)
      .describe(`so many calls at most, up to ${PAGE}`),
  }),
  run: async (input, ctx) => api.listCalls(input, ctx),
})

export const connector = defineConnector({
  id: 'cyberdev',
  name: 'CyberDev',
  docs: 'https://docs.cyberdev.app/api-reference/audio-upload',
  config,
  budgets: ({ requestsPerMinute }) => ({
    ...(requestsPerMinute === undefined
      ? {}
      : { default: { limit: requestsPerMinute, windowMs: 60_000, window: 'rolling' as const } }),
  }),
  async check(ctx) {
    const { total } = await api.listCalls({ limit: 1 }, ctx)
    const what = 'Where a result’s fields stand is not said: finished calls wait for it'
    const fix =
      'Look at one with: cordboard backend <connection> calls list; then name its fields in `results`'
    return {
      says: `token accepted, ${total} calls`,
      ...(ctx.config.results ? {} : { warnings: [{ what, fix }] }),
    }
  },
  operations: { calls: { list } },
  analysis,
})

// ── One recording ───────────────────────────────────────────────────────────────────────────────────────────────────

async function submitAudio(request: SubmitRequest, ctx: Submitting): Promise<void> {
  const { audio, name } = request
  if (!audio)
    throw new CordboardError('rejected', 'CyberDev takes recordings and transcripts: there is neither')
  const metadata = JSON.stringify(toMetadata(request, ctx.config))
  const file = { name: 'audio_file', fileName: audio.fileName, ...(await audio.open()) }
  const random = Array.from({ length: 3 }, () => Math.floor(ctx.random() * 2 ** 40).toString(36))
  await asking({ of: name }, ctx, async () => {
    const said = await api.uploadAudio(multipart({ metadata }, file, `cordboard-${random.join('')}`), ctx)
    const id = at(said, 'audio_id')
    ctx.log.debug('recording taken', {
      connection: ctx.connection,
      audio: typeof id === 'string' ? id : null,
    })
  })
}

// ── Three steps: ask for URLs, store the files, begin ───────────────────────────────────────────────────────────────

/** What is handed over in three steps. `of`: the submission's name or the batch's id. */
interface UploadFile {
  of: string
  metadata: { fileName: string; csv(): Uint8Array }
  audios?: () => ZipBody
}

function textFile(of: string, many: readonly SubmitRequest[], config: Config): UploadFile {
  const rows = many.map((request) => toTranscription(request, config))
  return { of, metadata: { fileName: 'transcriptions.csv', csv: () => utf8(transcriptionsCsv(rows)) } }
}

function batchFile({ batchId, many }: BatchRequest, config: Config): UploadFile {
  if (many.every(({ text }) => text)) return textFile(batchId, many, config)
  const rows = many.map((request) => toMetadata(request, config))
  const entries = many.map(({ audio }) => ({
    name: audio?.fileName ?? '',
    bytes: audio?.recording.bytes ?? 0,
    open: async () => (await audio?.open())?.body ?? new ReadableStream<Uint8Array>(),
  }))
  return {
    of: batchId,
    metadata: { fileName: 'metadata.csv', csv: () => utf8(metadataCsv(rows)) },
    audios: () => zipStored(entries),
  }
}

/** Each step is written down before the next begins, so that none that is known to be done is done again. */
async function handOver(file: UploadFile, before: unknown, ctx: Submitting): Promise<void> {
  const kept = stateOf(file.of, before)
  const isGood = kept?.metadata && (kept.until ?? 0) > ctx.now()
  let state = isGood ? kept : await presigned(file, ctx)
  const step = async (part: 'metadata' | 'audios', put: (url: string) => Promise<void>) => {
    const { [part]: to } = state
    if (!to || to.isThere) return
    try {
      await put(to.url)
    } catch (error) {
      if (!isCode(error, 'gone')) throw error
      throw await startsOver('The presigned URL is no longer good', error, ctx)
    }
    state = { ...state, [part]: { ...to, isThere: true } }
    await ctx.checkpoint(state)
  }
  await step('metadata', (url) => {
    const body = file.metadata.csv()
    return api.putFile(url, { contentType: 'text/csv', bytes: body.length, body }, ctx)
  })
  await step('audios', (url) => {
    const { bytes, body } = file.audios?.() ?? { bytes: 0, body: new Uint8Array() }
    return api.putFile(url, { contentType: 'application/zip', bytes, body }, ctx)
  })
  const metadata_key = state.metadata?.key ?? ''
  // The reply calls it audio_key, the request audios_key.
  const keys = state.audios ? { metadata_key, audios_key: state.audios.key } : { metadata_key }
  try {
    await asking(state, ctx, () => api.processUpload(keys, ctx))
  } catch (error) {
    if (!isCode(error, 'gone')) throw error
    throw await startsOver('A file is no longer where it was put', error, ctx)
  }
}

async function presigned(file: UploadFile, ctx: Submitting): Promise<UploadState> {
  const asked = ctx.now()
  const names = { metadata_filename: file.metadata.fileName }
  const urls = await api.requestUpload(file.audios ? { ...names, audios_filename: 'audios.zip' } : names, ctx)
  const { audio_upload_url: url, audio_key: key } = urls
  if (file.audios && (!url || !key)) {
    throw new CordboardError('invalid_payload', 'CyberDev: the reply has no audio_upload_url and audio_key')
  }
  const lifeMs = Math.min(urls.expires_in ? urls.expires_in * 1000 : URLS_MS, URLS_MS)
  const state: UploadState = {
    of: file.of,
    metadata: { url: urls.metadata_upload_url, key: urls.metadata_key, isThere: false },
    ...(file.audios && url && key ? { audios: { url, key, isThere: false } } : {}),
    // Counted from before the request: the hour began somewhere in between.
    until: asked + lifeMs - Math.min(MARGIN_MS, lifeMs / 2),
  }
  await ctx.checkpoint(state)
  return state
}

/** The one request of an upload that cannot be taken back: written down before it is sent, and taken back when refused. */
async function asking(state: UploadState, ctx: Submitting, request: () => Promise<void>): Promise<void> {
  await ctx.checkpoint({ ...state, askedAt: ctx.now() } satisfies UploadState)
  try {
    await request()
  } catch (error) {
    if (error instanceof CordboardError && REFUSALS.has(error.code))
      await ctx.checkpoint(withoutAsking(state))
    throw error
  }
}

function withoutAsking({ askedAt: _, ...state }: UploadState): UploadState {
  return state
}

/** With these the vendor says that it did nothing. */
const REFUSALS: ReadonlySet<ErrorCode> = new Set([
  'auth',
  'forbidden',
  'not_found',
  'gone',
  'rate_limited',
  'quota',
  'invalid_payload',
  'rejected',
  'blocked_address',
])

async function startsOver(why: string, cause: unknown, ctx: Submitting): Promise<CordboardError> {
  await ctx.checkpoint(null)
  return new CordboardError('gone', `CyberDev: ${why}`, { retry: 'later', cause })
}

/** What an earlier attempt to send this very file left. */
function stateOf(of: string, state: unknown): UploadState | null {
  const kept = uploadState.safeParse(state).data
  return kept?.of === of ? kept : null
}

const isCode = (error: unknown, code: ErrorCode): boolean =>
  error instanceof CordboardError && error.code === code

// ── Looking it up ───────────────────────────────────────────────────────────────────────────────────────────────────

interface Searched {
  item: CallItem | null
  /** Something was found for our id that shows neither it nor another id of ours. */
  isHidden: boolean
}

async function search(name: string, status: Status | undefined, ctx: Context): Promise<Searched> {
  let isHidden = false
  for (let page = 0; page < SEARCH_PAGES; page += 1) {
    const asked = { search: name, offset: page * PAGE, limit: PAGE, status }
    const { data, total } = await api.listCalls(asked, ctx)
    const ours = data.find((item) => carries(item, name))
    if (ours) return { item: ours, isHidden: false }
    const [only] = data
    if (ctx.config.trustSearch && page === 0 && total === 1 && only) return { item: only, isHidden: false }
    // A search that also finds what is only similar shows other ids of ours.
    if (data.some((item) => carriesLike(item, name))) return { item: null, isHidden: false }
    isHidden ||= data.length > 0
    if (data.length === 0 || (page + 1) * PAGE >= total) break
  }
  return { item: null, isHidden }
}

/**
 * That the search finds nothing says something only where calls are known to be found by our ids. Where the newest calls of
 * the list show none, a call that got there would not be found either: to send it again might be to pay for it twice.
 */
async function provenAbsent(name: string, ctx: Context): Promise<void> {
  if (ctx.config.trustSearch) return
  const { data } = await api.listCalls({ offset: 0, limit: PAGE }, ctx)
  if (data.length > 0 && !data.some((item) => carriesLike(item, name))) throw notKnown()
}

const LOOK = 'Look at one with: cordboard backend <connection> calls list'

/** A rerun goes by another id: it is sent once more, on the word of whoever has looked. */
const notKnown = () =>
  new CordboardError(
    'ambiguous',
    'It is not known whether CyberDev got this call: its list shows no id of ours',
    {
      fix: `${LOOK}; where the search finds calls by our ids, set trustSearch: true, else look for the call and rerun it if it is missing`,
    },
  )

const unseen = () =>
  new CordboardError('config', 'CyberDev finds a finished call for our id, and no field of it shows the id', {
    fix: `${LOOK} --search <id>; where only the one call is found, set trustSearch: true and restart`,
  })

/** What may have been sent a moment ago need not show yet: it is looked for again before it is sent again. */
function stillHidden(state: UploadState | undefined, { config, now }: Context): void {
  const visibleAt = (state?.askedAt ?? Number.NEGATIVE_INFINITY) + config.searchLagMs
  if (now() >= visibleAt) return
  throw new CordboardError(
    'ambiguous',
    'CyberDev: whether the earlier attempt got through does not show yet',
    {
      retry: { afterMs: visibleAt - now() },
    },
  )
}
