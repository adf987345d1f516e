import { z } from '@hono/zod-openapi'
import { analysis } from '../call/analysis.ts'
import { call } from '../call/call.ts'
import { at } from './responses.ts'
import { timelineEntry } from './timeline.ts'

/** Everything that is known of one call, for the page an operator opens to ask "where is it, and why?". */

const step = z.object({
  id: z.string(),
  kind: z.string(),
  connection: z.string(),
  state: z.enum(['waiting', 'working', 'done', 'parked', 'dead']),
  dueAt: at.describe('when it runs next, while it waits'),
  attempts: z.int(),
  generation: z.int(),
  code: z.string().nullable(),
  reason: z.string().nullable(),
})

export const submission = z.object({
  id: z.string(),
  connection: z.string(),
  state: z.enum(['intent', 'submitted', 'done', 'failed']),
  generation: z.int(),
  ref: z.string().nullable().describe('the vendor’s reference'),
  expects: z.array(z.string()),
  parts: z.array(z.object({ part: z.string(), via: z.enum(['callback', 'poll', 'submit']), receivedAt: at })),
  createdAt: at,
  submittedAt: at.nullable(),
  doneAt: at.nullable(),
  waitUntil: at.nullable(),
  reason: z.string().nullable(),
})

const candidate = z.object({
  type: z.string(),
  id: z.string(),
  name: z.string().optional(),
  reason: z.string(),
  url: z.string().optional(),
  hasOpenDeal: z.boolean().optional(),
  lastActivityAt: z.string().optional(),
  isAgents: z.boolean().optional().describe('the agent of the call is its owner'),
  createdAt: z.string().optional(),
})

export const writeBack = z.object({
  id: z.string(),
  connection: z.string(),
  state: z.enum(['matched', 'undecided', 'written', 'skipped', 'failed']),
  target: z
    .object({ type: z.string(), id: z.string(), reason: z.string().nullable(), url: z.string().nullable() })
    .nullable(),
  reason: z.string().nullable().describe('why this record, or why none'),
  chosen: z.boolean().describe('true when an operator chose the record'),
  candidates: z.array(candidate).describe('best first'),
  parts: z.array(
    z.object({
      part: z.string(),
      kind: z.string(),
      externalId: z.string().nullable(),
      intentAt: at.nullable(),
      writtenAt: at.nullable(),
      fields: z.unknown().describe('names and lengths of the fields that were written'),
    }),
  ),
  matchedAt: at.nullable(),
  writtenAt: at.nullable(),
})

export const callDetail = z
  .object({
    id: z.string(),
    joined: z.array(z.string()).describe('ids of calls that turned out to be this one'),
    state: z.enum(['open', 'waiting', 'working', 'done', 'skipped', 'attention']),
    reason: z.string().nullable().describe('why it is in this state'),
    flow: z.string().nullable(),
    version: z.int(),
    generation: z.int(),
    startedAt: at,
    endedAt: at.nullable(),
    updatedAt: at,
    waitUntil: at.nullable().describe('when the wait for the recording ends'),
    // Made anew here: schemas from before this library was loaded cannot be named.
    call: z.object(call.shape).openapi('Call'),
    analysis: z
      .object(analysis.shape)
      .openapi('Analysis')
      .nullable()
      .describe('`raw` only when it is asked for'),
    timeline: z.array(timelineEntry),
    timelineTruncated: z.boolean(),
    steps: z.array(step),
    submissions: z.array(submission),
    writeBacks: z.array(writeBack),
  })
  .openapi('CallDetail')
