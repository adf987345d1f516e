import type { Context } from 'hono'
import type { components } from '../../../openapi/generated/transcripto.d.ts'
import type { SampleTranscript } from '../../../src/connector/sandbox.ts'

export type Schemas = components['schemas']

export interface Task {
  id: number
  code: string
  kind: Schemas['TaskType']
  fileName: string | null
  status: Schemas['Status']
  createdAt: number
  updatedAt: number
  /** What it was told beside its content. */
  fields: Record<string, string>
  /** Its words. */
  text: string
  audio: Uint8Array | null
  sample: SampleTranscript | null
  byUrl: boolean
}

/** Business errors come with HTTP 200. */
export function refuse(c: Context, error_code: number, error_message: string) {
  return c.json({ success: false, error_code, error_message } satisfies Schemas['Failure'])
}

export const iso = (ms: number): string => new Date(ms).toISOString().replace('Z', '+00:00')
export const utc = (instant: string): string => iso(Date.parse(instant))
