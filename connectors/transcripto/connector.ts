import {
  type AnalysisRole,
  type ConnectorContext,
  defineConnector,
  type SubmitRequest,
} from '../../src/connector/contract.ts'
import { scrub } from '../../src/connector/fail-on.ts'
import { multipart } from '../../src/connector/multipart.ts'
import { CordboardError } from '../../src/errors.ts'
import * as api from './client.ts'
import {
  answersOf,
  type CallFields,
  isSameTask,
  toAnalysis,
  toFields,
  toFilter,
  toTranscript,
} from './map.ts'
import { type Config, config } from './schema.ts'

type Context = ConnectorContext<Config>
type Audio = NonNullable<SubmitRequest['audio']>

/** Error 4092: "Audio is too short (< 2 sec)" (page read 2026-11-20). */
const SHORTEST_MS = 2000
/** A search for an earlier task reads no more than this; the greatest `per_page` is not documented. */
const SEARCH_PAGES = 20
const PER_PAGE = 50

const analysis: AnalysisRole<Config> = {
  accepts: (config) => ({
    audio: { formats: ['wav', 'mp3', 'ogg'], by: [config.submitBy], minDurationMs: SHORTEST_MS },
  }),
  parts: (config) => (config.expectAnalysis ? ['transcript', 'analysis'] : ['transcript']),
  pollAfterMs: (config) => config.pollMs,

  async submit({ call, audio }, ctx) {
    if (!audio) throw new CordboardError('rejected', 'Transcripto takes audio, and this call has none')
    const fields = toFields(call, ctx.config)
    const ref = await (ctx.config.submitBy === 'url' ? submitUrl : submitFile)(fields, audio, ctx)
    return { ref }
  },

  async find({ call, audio }, ctx) {
    if (!audio) return null
    const fields = toFields(call, ctx.config)
    const url = ctx.config.submitBy === 'url' ? await audio.url() : null
    const search = async (page: number) => {
      const found = await api.filterTasks({ ...toFilter(fields), page, per_page: PER_PAGE }, ctx)
      const task = found.tasks.find((one) => isSameTask(one, audio.fileName, url, fields))
      return { ref: task?.task_code ?? null, pages: found.pagination?.total_pages ?? 1 }
    }
    // The list is ordered by the last update, newest first: an earlier attempt of today stands on the first pages.
    const first = await search(1)
    if (first.ref !== null || first.pages <= 1) return first.ref
    for (let page = 2; page <= Math.min(first.pages, SEARCH_PAGES); page++) {
      const { ref } = await search(page)
      if (ref !== null) return ref
    }
    // A task that made progress while the pages were read has moved to the front.
    return (await search(1)).ref
  },

  async poll(ref, ctx) {
    const { reply: task, raw } = await api.getTask(ref, ctx)
    const working = { state: 'working', afterMs: ctx.config.pollMs } as const
    if (task.status === 'error') {
      return { state: 'failed', reason: scrub(task.error_message || 'no reason given') }
    }
    // `audio_completed` and `completed2` are named but not explained: work under way, until the wait runs out.
    if (task.status !== 'completed') return working
    const transcript = toTranscript(task, raw)
    const parts = transcript ? { transcript } : {}
    if (!ctx.config.expectAnalysis) return transcript ? { state: 'done', parts } : working
    const got = await api.getCallAnalysis(ref, ctx)
    if (!got) return transcript ? { ...working, state: 'partly', parts } : working
    const isAsked = ctx.config.checklistAnswers && answersOf(got.reply).length === 0
    const answers = isAsked && task.id != null ? await api.getChecklistAnswers(task.id, ctx) : []
    return { state: 'done', parts: { ...parts, analysis: toAnalysis(got.reply, answers, got.raw) } }
  },

  async quota(ctx) {
    const plan = await api.getTariff(ctx)
    return { left: plan?.remaining_resources?.available_call_minutes ?? null, unit: 'call minutes' }
  },
}

export const connector = defineConnector({
  id: 'transcripto',
  name: 'Transcripto',
  docs: 'https://docs.transcripto.eu',
  config,
  async check(ctx) {
    const plan = await api.getTariff(ctx)
    if (!plan) return { says: 'token accepted', warnings: [{ what: 'No active plan', fix: 'Order a plan' }] }
    const minutes = plan.remaining_resources?.available_call_minutes
    const warnings = [
      { is: plan.calls_enabled === false, what: 'The plan does not include calls', fix: 'Change the plan' },
      { is: plan.days_left === 0, what: 'The plan has ended', fix: 'Renew the plan' },
      { is: minutes === 0, what: 'The plan has no call minutes left', fix: 'Buy minutes' },
    ]
    return {
      says: `plan ${plan.name ?? 'unnamed'}, ${plan.days_left ?? '?'} days and ${minutes ?? '?'} call minutes left`,
      warnings: warnings.filter(({ is }) => is).map(({ what, fix }) => ({ what, fix })),
    }
  },
  analysis,
})

async function submitUrl(fields: CallFields, audio: Audio, ctx: Context): Promise<string> {
  const url = await audio.url()
  if (url === null) {
    throw new CordboardError('rejected', 'The phone system gives no link to this recording', {
      fix: 'Set submitBy: "file" for this connection, then rerun the call',
    })
  }
  return api.addTaskCallByUrl({ ...fields, file_url: url }, ctx)
}

async function submitFile(fields: CallFields, audio: Audio, ctx: Context): Promise<string> {
  const file = { name: 'file', fileName: audio.fileName, ...(await audio.open()) }
  const texts = Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, String(value)]))
  const random = Array.from({ length: 3 }, () => Math.floor(ctx.random() * 2 ** 40).toString(36))
  return api.addTaskCall(multipart(texts, file, `cordboard-${random.join('')}`), ctx)
}
