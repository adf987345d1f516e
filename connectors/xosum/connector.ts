import {
  type AnalysisRole,
  defineConnector,
  type Polled,
  type SubmitContext,
  type SubmitRequest,
} from '../../src/connector/contract.ts'
import { scrub } from '../../src/connector/fail-on.ts'
import { asObject } from '../../src/connector/json.ts'
import { readAs } from '../../src/connector/read.ts'
import { CordboardError, type ErrorCode } from '../../src/errors.ts'
import { createTranscription, getTranscription, probe, upload } from './client.ts'
import { isByWebhook, partsOf, toAnalysisEvent, toJob, toTranscript, toTranscriptEvent } from './map.ts'
import { operations } from './operations.ts'
import {
  analysisReady,
  type Config,
  config,
  type SubmitState,
  submitState,
  transcriptReady,
} from './schema.ts'

/** "The URL is valid for 1 hour" (create page, read 2026-11-20). */
const UPLOAD_URL_MS = 3_600_000
/** An upload is not begun in the last moments of its URL. */
const UPLOAD_MARGIN_MS = 60_000
/** Failures are not announced by webhook and deliveries are not repeated for ever: a slow poll finds both. */
const SLOW_POLL_MS = 300_000

const analysis: AnalysisRole<Config> = {
  accepts: () => ({ audio: { formats: ['mp3'], by: ['file'] } }),
  parts: partsOf,
  pollAfterMs: (config) => (isByWebhook(config) ? SLOW_POLL_MS : config.pollMs),

  async submit(request, ctx) {
    if (!request.audio) {
      throw new CordboardError('rejected', 'Xosum takes audio, and this call has none', { retry: 'never' })
    }
    const kept = resumable(request.state, ctx.now())
    if (kept?.isUploaded) return { ref: kept.docId }
    const job = kept ?? (await create(request, ctx))
    try {
      await upload(job.uploadUrl, request.audio, ctx)
    } catch (error) {
      if (!kept || !isCode(error, 'gone')) throw error
      // The kept URL died early: forget it, so that the next attempt makes a new job.
      await ctx.checkpoint(null)
      throw new CordboardError('gone', 'Xosum: the upload URL of the earlier attempt is no longer good', {
        retry: 'later',
        cause: error,
      })
    }
    await ctx.checkpoint({ ...job, isUploaded: true } satisfies SubmitState)
    return { ref: job.docId }
  },

  /** Jobs cannot be listed or searched. Only a job that an earlier attempt wrote down can be asked for. */
  async find(request, ctx) {
    const state = submitState.safeParse(request.state).data
    if (!state) return null
    if (state.isUploaded) return state.docId
    try {
      const [job] = await getTranscription(state.docId, ctx)
      return job.status === 'transcribed' || job.status === 'failed' ? state.docId : null
    } catch (error) {
      if (isCode(error, 'not_found')) return null
      throw error
    }
  },

  async poll(ref, ctx): Promise<Polled> {
    const [job, raw] = await getTranscription(ref, ctx)
    if (job.status === 'failed') {
      const words = typeof job.error === 'string' ? job.error : JSON.stringify(job.error ?? 'no reason given')
      return { state: 'failed', reason: scrub(words) }
    }
    if (job.status !== 'transcribed') {
      return { state: 'working', afterMs: isByWebhook(ctx.config) ? SLOW_POLL_MS : ctx.config.pollMs }
    }
    const parts = { transcript: toTranscript(job, raw) }
    if (!partsOf(ctx.config).includes('analysis')) return { state: 'done', parts }
    return { state: 'partly', parts, afterMs: SLOW_POLL_MS }
  },

  callback: {
    verify: (config) => ({
      scheme: 'token',
      place: { field: 'secret' },
      secrets: config.webhookSecret ?? [],
    }),
    reply: { status: 200 },
    receive(request, ctx) {
      const body = request.json()
      const { event_type: type, transcription } = asObject(body) ?? {}
      // An older copy of the vendor's page shows the transcript's webhook without event_type.
      const isTranscript = type === undefined && transcription !== undefined
      if (type === 'transcript_ready' || isTranscript) {
        const read = readAs(transcriptReady, body, 'Xosum: transcript_ready')
        return { events: [toTranscriptEvent(read, body, ctx.config)] }
      } else if (type === 'analysis_ready') {
        return { events: [toAnalysisEvent(readAs(analysisReady, body, 'Xosum: analysis_ready'), body)] }
      } else if (typeof type === 'string') {
        return { ignored: `event_type ${type.slice(0, 64)} is not one we read` }
      }
      throw new CordboardError('invalid_payload', 'Xosum: the webhook is not as documented')
    },
  },
}

export const connector = defineConnector({
  id: 'xosum',
  name: 'Xosum',
  docs: 'https://docs.xosum.am/api-reference/introduction',
  config,
  // Documented for getTranscription; whether createTranscription counts too is unknown, so every call of ours does.
  budgets: ({ requestsPerMinute }) => ({
    default: { limit: requestsPerMinute, windowMs: 60_000, window: 'fixed' },
  }),
  async check(ctx) {
    await probe(ctx)
    if (!isByWebhook(ctx.config)) return { says: 'key not refused, results by polling' }
    const says = 'key not refused, results by webhook'
    if (ctx.hookUrl !== undefined) return { says: `${says} to ${ctx.hookUrl}` }
    const what = 'Xosum cannot reach this server: no publicUrl is configured'
    return { says, warnings: [{ what, fix: 'Set publicUrl, or results: "polling" for this connection' }] }
  },
  operations,
  analysis,
})

async function create(request: SubmitRequest, ctx: SubmitContext<Config>): Promise<SubmitState> {
  // Counted from before the request: the URL's hour began somewhere in between.
  const uploadBy = ctx.now() + UPLOAD_URL_MS
  const job = await createTranscription(toJob(request.submissionId, request.call, ctx.config), ctx)
  const state: SubmitState = { ...job, uploadBy, isUploaded: false }
  await ctx.checkpoint(state)
  return state
}

function resumable(state: unknown, now: number): SubmitState | null {
  const kept = submitState.safeParse(state).data
  if (!kept) return null
  return kept.isUploaded || now < kept.uploadBy - UPLOAD_MARGIN_MS ? kept : null
}

const isCode = (error: unknown, code: ErrorCode): boolean =>
  error instanceof CordboardError && error.code === code
