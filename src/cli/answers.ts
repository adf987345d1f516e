import type { z } from 'zod'
import type { callDetail } from '../http/call-schema.ts'

/** What the JSON API answers, as far as the command line prints it. */
export interface Page<Item> {
  items: Item[]
  next: string | null
}

export interface CallSummary {
  id: string
  connection: string
  state: string
  reason: string | null
  direction: string | null
  result: string | null
  startedAt: string
  talkMs: number | null
  customer: { phone: string | null; name: string | null }
  agent: { name: string | null; extension: string | null }
}

export type CallDetail = z.infer<typeof callDetail>

export interface Issue {
  id: string
  kind: string
  code: string
  connection: string
  state: string
  count: number
  lastAt: string
  says: string
  fix: string
  callId: string | null
}

export interface FlowExplained {
  flows: { name: string; takes: boolean; why: string }[]
  flow: string | null
  forbidden: string | null
  backends: { connection: string; takes: boolean; why: string }[]
  write: string[]
}

export interface Rerunning {
  steps: number
  paidBefore: { connection: string; at: string }[]
}

export interface Replayed {
  matched: number
  replayed: number
  sample: string[]
  /** The replay that sees to the others; absent when all are on their way. */
  replay?: string
}

export interface Backfill {
  id: string
  connection: string
  state: 'running' | 'stuck' | 'stopped' | 'done'
  since: string
  until: string
  reachedAt: string
  listed: number
  new: number
  known: number
  events: number
  startedAt: string
  endedAt: string | null
  code: string | null
  reason: string | null
}

export interface Replay {
  id: string
  filter: { connection: string | null; state: string | null; since: string | null }
  actor: string
  startedAt: string
  matched: number
  replayed: number
}

export interface Batch {
  id: string
  state: 'uploading' | 'reading' | 'taking' | 'done' | 'failed'
  reason: string | null
  rows: { taken: number; known: number; refused: number }
  line: number
  bytes: { csv: number; read: number }
  waits: { code: string; says: string | null } | null
  uploads?: { part: 'csv' | 'zip'; url: string; headers: Record<string, string>; direct: string }[]
}

export interface RowVerdict {
  line: number
  verdict: string
  callId: string | null
  code: string | null
  says: string | null
}
