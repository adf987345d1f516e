import type { components } from '../../openapi/generated/xosum.d.ts'
import type { Analysis, Part } from '../../src/call/analysis.ts'
import type { Call } from '../../src/call/call.ts'
import { parseTranscript } from '../../src/call/roles.ts'
import type { AnalysisEvent } from '../../src/connector/contract.ts'
import { asObject } from '../../src/connector/json.ts'
import type { AnalysisReady, Config, Transcription, TranscriptReady } from './schema.ts'

type CreateTranscription = components['schemas']['CreateTranscription']

/** Name of our submission id in the job's metadata, which every webhook brings back. */
const SUBMISSION = 'submission'

export function isByWebhook(config: Config): boolean {
  return (config.results ?? (config.webhookSecret ? 'webhook' : 'polling')) === 'webhook'
}

/** getTranscription lists no checklist results (page read 2026-11-20): the analysis comes by webhook or not at all. */
export function partsOf(config: Config): readonly Part[] {
  const bringsAnalysis = config.checklistId !== undefined && config.expectAnalysis && isByWebhook(config)
  return bringsAnalysis ? ['transcript', 'analysis'] : ['transcript']
}

export function toJob(submissionId: string, call: Call, config: Config): CreateTranscription {
  const phone = call.customer?.phone ?? undefined
  const agent = call.agent?.name ?? call.agent?.extension
  return {
    type: config.type,
    metadata: {
      ...config.metadata,
      ...(phone !== undefined && config.sendFields.includes('phonenumber') ? { phonenumber: phone } : {}),
      ...(agent !== undefined && config.sendFields.includes('agent') ? { agent } : {}),
      [SUBMISSION]: submissionId,
    },
    ...(config.checklistId === undefined ? {} : { checklistId: config.checklistId }),
  }
}

/** The transcript part from a finished job. `raw` is the reply as received. */
export function toTranscript(job: Transcription, raw: unknown): Analysis {
  return {
    ...(job.languageCode ? { language: job.languageCode.slice(0, 35) } : {}),
    ...textParts(job.transcription ?? '', job.type, job),
    raw,
  }
}

export function toTranscriptEvent(body: TranscriptReady, raw: unknown, config: Config): AnalysisEvent {
  return {
    key: `${body.docId}:transcript_ready`,
    ...whose(body),
    part: 'transcript',
    result: {
      ...textParts(body.transcription, config.type, body),
      ...linkOf(body.link),
      raw: withoutSecret(raw),
    },
  }
}

export function toAnalysisEvent(body: AnalysisReady, raw: unknown): AnalysisEvent {
  const checklist = Object.entries(body.results ?? {}).slice(0, 1000)
  return {
    key: `${body.docId}:analysis_ready:${body.analysisId ?? ''}`,
    ...whose(body),
    part: 'analysis',
    result: {
      checklist: checklist.map(([id, entry]) => ({
        question: id.slice(0, 2000),
        answer: inWords(entry).slice(0, 5000),
      })),
      ...(body.checklistName ? { notes: { checklist: body.checklistName.slice(0, 5000) } } : {}),
      ...linkOf(body.link),
      raw: withoutSecret(raw),
    },
  }
}

/** `phone_call` text has inline labels, `Խոսնակ 1:` and `Խոսնակ 2:`; nothing says which of them is the agent. */
function textParts(
  text: string,
  type: string | undefined,
  said: { title?: string | null | undefined; resolution?: string | null | undefined },
): Analysis {
  const plain = text.trim() === '' ? [] : [{ party: 'other' as const, text: text.trim() }]
  return {
    transcript: { turns: (type === 'single_voice' ? plain : parseTranscript(text)).slice(0, 20_000) },
    ...(said.title ? { title: said.title.slice(0, 1000) } : {}),
    ...(said.resolution ? { summary: said.resolution.slice(0, 100_000) } : {}),
  }
}

function whose(body: { docId: string; metadata?: Record<string, unknown> | null | undefined }) {
  const submissionId = body.metadata?.[SUBMISSION]
  return { ref: body.docId, ...(typeof submissionId === 'string' ? { submissionId } : {}) }
}

function linkOf(link: string | null | undefined): { link?: string } {
  return link && link.length <= 4096 && URL.canParse(link) ? { link } : {}
}

/**
 * An AnalysisResultEntry for people. Its members are not documented, so none is given a meaning: a scalar stands for
 * itself, an object is spelt out member by member.
 */
function inWords(entry: unknown): string {
  if (typeof entry === 'string') return entry
  const members = asObject(entry)
  if (!members) return JSON.stringify(entry)
  return Object.entries(members)
    .map(([name, value]) => `${name}: ${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join('; ')
}

/** The body carries the account's webhook secret, which must not travel on with the result. */
function withoutSecret(raw: unknown): unknown {
  const { secret: _, ...rest } = asObject(raw) ?? {}
  return rest
}
