import {
  type AnalysisRole,
  defineConnector,
  type Polled,
  type SubmitRequest,
} from '../../src/connector/contract.ts'
import { scrub } from '../../src/connector/fail-on.ts'
import { CordboardError } from '../../src/errors.ts'
import * as api from './client.ts'
import {
  answersOf,
  type CallFields,
  idsOf,
  isSameChat,
  isSameTask,
  isSameText,
  madeTexts,
  type TaskFilter,
  toAnalysis,
  toChat,
  toFields,
  toFilter,
  toTranscript,
} from './map.ts'
import { differences } from './operations/sync.ts'
import { operations } from './operations.ts'
import { type CallAnalysis, type Config, config, type Task, type TaskSummary } from './schema.ts'

type Context = api.Context
type Audio = NonNullable<SubmitRequest['audio']>

/** Error 4092: "Audio is too short (< 2 sec)" (page read 2026-11-20). */
const SHORTEST_MS = 2000
/** A search for an earlier task reads no more than this; the greatest `per_page` is not documented. */
const SEARCH_PAGES = 20
const PER_PAGE = 50

const analysis: AnalysisRole<Config> = {
  accepts: ({ submitBy, taskType, chats }) => ({
    // Only calls can be handed over as a link.
    audio: {
      formats: ['wav', 'mp3', 'ogg'],
      by: [taskType === 'call' ? submitBy : 'file'],
      minDurationMs: SHORTEST_MS,
    },
    ...(chats ? { text: 'chats' } : {}),
  }),
  parts: (config) => (hasAnalysis(config) ? ['transcript', 'analysis'] : ['transcript']),
  pollAfterMs: (config) => config.pollMs,

  async submit({ call, audio, text }, ctx) {
    if (text) return { ref: await api.addChat(toChat(call, text, ctx.config), ctx) }
    if (!audio)
      throw new CordboardError('rejected', 'Transcripto takes audio or text, and this call has none')
    const name = call.directory ?? ctx.config.directory
    const directory = name === undefined ? {} : { directory_id: await directoryId(name, ctx) }
    const fields = { ...toFields(call, ctx.config), ...directory }
    if (ctx.config.taskType === 'audio') return { ref: await submitAudio(fields, audio, ctx) }
    return { ref: await (ctx.config.submitBy === 'url' ? submitUrl : submitFile)(fields, audio, ctx) }
  },

  async find({ call, audio, text }, ctx) {
    if (text) return findChat(toChat(call, text, ctx.config), ctx)
    if (!audio) return null
    const { submitBy, taskType } = ctx.config
    const fields = toFields(call, ctx.config)
    const url = taskType === 'call' && submitBy === 'url' ? await audio.url() : null
    return search(toFilter(fields, taskType), ctx, (task) => isSameTask(task, audio.fileName, url, fields))
  },

  async poll(ref, ctx): Promise<Polled> {
    const { reply: task, raw } = await api.getTask(ref, ctx)
    const working = { state: 'working', afterMs: ctx.config.pollMs } as const
    if (task.status === 'error') {
      return { state: 'failed', reason: scrub(task.error_message || 'no reason given') }
    }
    // `audio_completed` and `completed2` are named but not explained: work under way, until the wait runs out.
    if (task.status !== 'completed') return working
    // The text of a chat is ours already.
    const transcript = toTranscript(task, raw) ?? (task.type === 'chat' ? { raw } : null)
    const texts = madeTexts(task)
    if (!hasAnalysis(ctx.config)) {
      const notes = Object.keys(texts).length > 0 ? { notes: texts } : {}
      return transcript ? { state: 'done', parts: { transcript: { ...transcript, ...notes } } } : working
    }
    const parts = transcript ? { transcript } : {}
    const got = await api.getCallAnalysis(ref, ctx)
    if (!got) return transcript ? { ...working, state: 'partly', parts } : working
    const besides = {
      answers: await answersFor(task, got.reply, ctx),
      categories: await namesFor(got.reply, ctx),
      texts,
    }
    return { state: 'done', parts: { ...parts, analysis: toAnalysis(got.reply, got.raw, besides) } }
  },

  async quota(ctx) {
    const left = (await api.getTariff(ctx))?.remaining_resources
    const reserve = ctx.config.reserveMinutes
    return ctx.config.taskType === 'audio'
      ? { left: left?.available_audio_minutes ?? null, unit: 'audio minutes', reserve }
      : { left: left?.available_call_minutes ?? null, unit: 'call minutes', reserve }
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
    const { available_call_minutes, available_audio_minutes } = plan.remaining_resources ?? {}
    const isCall = ctx.config.taskType === 'call'
    const minutes = isCall ? available_call_minutes : available_audio_minutes
    const reserve = ctx.config.reserveMinutes
    const warnings = [
      {
        is: isCall && plan.calls_enabled === false,
        what: 'The plan does not include calls',
        fix: 'Change the plan',
      },
      { is: plan.days_left === 0, what: 'The plan has ended', fix: 'Renew the plan' },
      { is: minutes === 0, what: 'The plan has no minutes left', fix: 'Buy minutes' },
      {
        is: minutes != null && minutes > 0 && minutes <= reserve,
        what: `Nothing is submitted: reserveMinutes keeps the last ${reserve}`,
        fix: 'Buy minutes, or lower reserveMinutes',
      },
    ]
    const kind = isCall ? 'call' : 'audio'
    return {
      says: `plan ${plan.name ?? 'unnamed'}, ${plan.days_left ?? '?'} days and ${minutes ?? '?'} ${kind} minutes left`,
      warnings: [
        ...warnings.filter(({ is }) => is).map(({ what, fix }) => ({ what, fix })),
        ...(await differences(ctx)),
      ],
    }
  },
  operations,
  analysis,
})

const hasAnalysis = ({ taskType, expectAnalysis }: Config): boolean => taskType === 'call' && expectAnalysis

/** The answers are asked for when the analysis brings none. */
async function answersFor({ id }: Task, reply: CallAnalysis, ctx: Context) {
  const isAsked = ctx.config.checklistAnswers && answersOf(reply).length === 0
  return isAsked && id != null ? api.getChecklistAnswers(id, ctx) : []
}

/** Without their list the categories stay numbers: that is no reason to lose the analysis. */
async function namesFor(reply: CallAnalysis, ctx: Context): Promise<Map<number, string>> {
  const ids = idsOf(reply)
  if (ids.length === 0) return new Map()
  try {
    return await api.getCategoryNames(ids, ctx)
  } catch (error) {
    if (!(error instanceof CordboardError) || error.retry !== 'never' || error.code === 'auth') throw error
    ctx.log.warn('names of categories cannot be read', { connection: ctx.connection, code: error.code })
    return new Map()
  }
}

/** Two at once may both find none and make one each: the older one is then used by both. */
async function directoryId(name: string, ctx: Context): Promise<number> {
  const known = await oldest(name, ctx)
  if (known !== undefined) return known
  const made = await api.addDirectory(name, ctx)
  return (await oldest(name, ctx)) ?? made.id
}

async function oldest(name: string, ctx: Context): Promise<number | undefined> {
  const all = (await api.getDirectories(ctx)).filter((one) => one.name.trim() === name.trim())
  return all.map(({ id }) => id).sort((a, b) => a - b)[0]
}

/**
 * The list is ordered by the last update, newest first: an earlier attempt of today stands on the first pages. A task that
 * made progress while the pages were read has moved to the front, so that is looked at once more.
 */
async function search(
  filter: TaskFilter,
  ctx: Context,
  isIt: (task: TaskSummary) => boolean | Promise<boolean>,
): Promise<string | null> {
  const look = async (page: number) => {
    const found = await api.filterTasks({ ...filter, page, per_page: PER_PAGE }, ctx)
    for (const task of found.tasks) {
      if (task.task_code && (await isIt(task))) return { ref: task.task_code, pages: 0 }
    }
    return { ref: null, pages: found.pagination?.total_pages ?? 1 }
  }
  const first = await look(1)
  if (first.ref !== null || first.pages <= 1) return first.ref
  for (let page = 2; page <= Math.min(first.pages, SEARCH_PAGES); page++) {
    const { ref } = await look(page)
    if (ref !== null) return ref
  }
  return (await look(1)).ref
}

/** Only a chat that was read has its text again: while one that may be ours is being read, nobody can tell. */
async function findChat(chat: ReturnType<typeof toChat>, ctx: Context): Promise<string | null> {
  let unread = 0
  const found = await search({ task_type: 'chat' }, ctx, async (summary) => {
    if (!isSameChat(summary, chat) || summary.status === 'error') return false
    const { reply } = await api.getTask(summary.task_code ?? '', ctx)
    const text = reply.task_result?.original_text
    if (!text && reply.status !== 'completed' && reply.status !== 'error') unread++
    return isSameText(text, chat.text)
  })
  if (found !== null || unread === 0) return found
  throw new CordboardError('ambiguous', 'Transcripto is still reading a chat that may be this one', {
    why: 'The answer to an earlier attempt got lost, and a chat is known again by its text alone',
    retry: { afterMs: ctx.config.pollMs },
  })
}

async function submitUrl(fields: CallFields, audio: Audio, ctx: Context): Promise<string> {
  const url = await audio.url()
  if (url === null) {
    throw new CordboardError('rejected', 'The phone system gives no link to this recording', {
      fix: 'Set submitBy: "file" for this connection, then rerun the call',
    })
  }
  return api.addTaskCallByUrl({ ...fields, file_url: url }, ctx)
}

const opened = async (audio: Audio) => ({ fileName: audio.fileName, ...(await audio.open()) })

async function submitFile(fields: CallFields, audio: Audio, ctx: Context): Promise<string> {
  return api.addTaskCall(fields, await opened(audio), ctx)
}

async function submitAudio({ directory_id }: CallFields, audio: Audio, ctx: Context): Promise<string> {
  const directory = directory_id === undefined ? {} : { directory_id }
  return api.addTaskAudio({ ...directory, file_lang: ctx.config.fileLang }, await opened(audio), ctx)
}
