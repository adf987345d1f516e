import { z } from 'zod'

/**
 * What is read of a vCon: draft-ietf-vcon-vcon-core-04 (7 September 2026), unsigned form, and what files of earlier
 * drafts call otherwise. It is a draft, and the next one renames things: this file is the one place that knows the names.
 */

const index = z.int().nonnegative().max(100_000)
/** RFC 3339 with any offset, as it is written; inside there is only UTC. */
const instant = z.iso.datetime({ offset: true }).transform((text) => new Date(text).toISOString())
const text = z.string().max(4096)
const hashes = z.union([z.string().max(200), z.array(z.string().max(200)).max(8)])

/** Content that stands in the file, or where it is. */
const content = {
  mediatype: z.string().max(256).optional(),
  filename: text.optional(),
  body: z.unknown().optional(),
  encoding: z.enum(['base64url', 'base64', 'json', 'none']).optional(),
  url: text.optional(),
  content_hash: hashes.optional(),
}

const party = z.object({
  tel: text.optional(),
  sip: text.optional(),
  mailto: text.optional(),
  name: text.optional(),
  uuid: text.optional(),
  type: text.optional(),
  org: text.optional(),
  dept: text.optional(),
  role: text.optional().describe('of the contact-centre extension'),
})

const dialog = z.object({
  ...content,
  type: z.string().max(64),
  start: instant.optional(),
  duration: z.number().nonnegative().max(1e13).optional().describe('seconds'),
  parties: z.union([index, z.array(z.union([index, z.null(), z.array(index).max(100)])).max(100)]).optional(),
  originator: index.optional(),
  disposition: z.string().max(64).optional(),
})

const analysis = z.object({
  ...content,
  type: z.string().max(256),
  vendor: text.optional(),
  product: text.optional(),
  schema: text.optional(),
})

const attachment = z.object({ ...content, purpose: text.optional() })

export const vcon = z.object({
  uuid: z.guid(),
  vcon: z.string().max(32).optional(),
  created_at: instant.optional(),
  updated_at: instant.optional(),
  subject: text.optional(),
  extensions: z.array(text).max(100).optional(),
  critical: z.array(text).max(100).optional(),
  parties: z.array(party).max(1000).default([]),
  dialog: z.array(dialog).max(20_100).default([]),
  analysis: z.array(analysis).max(1000).default([]),
  attachments: z.array(attachment).max(1000).default([]),
})

export type Vcon = z.output<typeof vcon>
export type VconParty = z.output<typeof party>
export type VconDialog = z.output<typeof dialog>
export type VconAnalysis = z.output<typeof analysis>

/** Versions whose files are read; the member is deprecated and may be absent. */
export const VERSIONS = ['0.0.1', '0.0.2', '0.3.0', '0.4.0']
/** Extensions that a file may call critical. */
export const KNOWN_EXTENSIONS = ['CC']

/** Names of earlier drafts, by where they stand. */
const RENAMED: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  top: { must_support: 'critical', appended: 'amended' },
  dialog: { mimetype: 'mediatype' },
  analysis: { mimetype: 'mediatype', schema_version: 'schema' },
  attachments: { mimetype: 'mediatype', type: 'purpose' },
}

/** With today's names. `alg` and `signature` of 0.0.1 were another hash in another spelling: it is not checked. */
export function withTodaysNames(file: Record<string, unknown>): Record<string, unknown> {
  const renamed = rename(file, 'top')
  for (const key of ['dialog', 'analysis', 'attachments']) {
    const entries = renamed[key]
    if (!Array.isArray(entries)) continue
    renamed[key] = entries.map((entry: unknown) =>
      typeof entry === 'object' && entry !== null ? rename(entry as Record<string, unknown>, key) : entry,
    )
  }
  return renamed
}

function rename(object: Record<string, unknown>, place: string): Record<string, unknown> {
  const names = RENAMED[place] ?? {}
  const entries = Object.entries(object).map(([key, value]): [string, unknown] => [names[key] ?? key, value])
  // A file that has both means today's.
  return { ...Object.fromEntries(entries), ...pick(object, Object.values(names)) }
}

function pick(object: Record<string, unknown>, keys: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(keys.filter((key) => Object.hasOwn(object, key)).map((key) => [key, object[key]]))
}
