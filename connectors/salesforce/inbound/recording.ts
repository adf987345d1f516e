import type { Call, Recording } from '../../../src/call/call.ts'
import type { ConnectorContext } from '../../../src/connector/contract.ts'
import { encodeBase64, utf8 } from '../../../src/connector/encoding.ts'
import { failOn, readBounded } from '../../../src/connector/fail-on.ts'
import { CordboardError } from '../../../src/errors.ts'
import type { Row } from './row.ts'
import type { CallSource, InboundConfig } from './schema.ts'

/** Recordings lie with whoever made the call: Salesforce holds a link. */

/** A day of two-channel WAV at 8 kHz is 2.8 GB. */
const MAX_BYTES = 4 * 1024 ** 3
const MAX_URL = 4096
const FORMATS = ['mp3', 'wav', 'ogg', 'flac', 'm4a', 'webm', 'aiff', 'au', 'mp4'] as const

/** The link of a task; null: it has none, or none of a host that is named. */
export function recordingOf(task: Row, id: string, calls: CallSource): Recording | null {
  const url = linksOf(task, calls).find((link) => isNamed(link, calls))
  if (!url) return null
  const ending = /\.(\w{2,4})$/.exec(url.pathname)?.[1]?.toLowerCase()
  const format = FORMATS.find((one) => one === ending)
  return { key: id, state: 'ready', url: url.href, ...(format ? { format } : {}) }
}

/** Hosts that a task's link has and that are not named: what an operator has to know. */
export function strangeHost(task: Row, calls: CallSource): string | null {
  if (calls.recordingField === undefined) return null
  const [link] = linksOf(task, calls)
  return link && !isNamed(link, calls) ? link.host : null
}

function linksOf(task: Row, { recordingField }: CallSource): URL[] {
  const text = task[recordingField ?? 'Description'] ?? ''
  const links =
    recordingField === undefined ? [...text.matchAll(/https?:\/\/[^\s<>"']{1,4000}/g)] : [[text.trim()]]
  return links.flatMap(([link = '']) => {
    // What closes a sentence, or brackets, is no part of a link.
    const bare = recordingField === undefined ? link.replace(/[.,;:!?)\]}]+$/, '') : link
    const url = bare.length <= MAX_URL && URL.canParse(bare) ? new URL(bare) : null
    return url ? [url] : []
  })
}

const LOOPBACK = /^(?:localhost|127\.\d+\.\d+\.\d+)$/

function isNamed(url: URL, { recordingHosts }: CallSource): boolean {
  if (url.username !== '' || url.password !== '') return false
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && LOOPBACK.test(url.hostname))) return false
  return recordingHosts.some((host) =>
    host.startsWith('*.') ? url.host.endsWith(host.slice(1)) : url.host === host,
  )
}

/** With the credentials of the recordings, never with those of Salesforce. */
export async function fetchRecording(
  recording: Recording,
  _: Call,
  ctx: ConnectorContext<InboundConfig>,
): Promise<Response> {
  const what = 'Salesforce: fetch the recording that a task links to'
  const { calls } = ctx.config
  const url = recording.url !== undefined && URL.canParse(recording.url) ? new URL(recording.url) : null
  if (!calls || !url || !isNamed(url, calls)) {
    throw new CordboardError('rejected', `${what}: its host is not named`, {
      fix: `Name ${url?.host ?? 'the host'} under calls.recordingHosts, if recordings may be fetched from there`,
    })
  }
  const response = await ctx.fetch(url, { headers: credentials(calls), redirects: 3, maxBytes: MAX_BYTES })
  // Where it lies elsewhere, whoever refuses is not Salesforce: its connection must not be held back for it.
  const isTheirs = url.host === new URL(ctx.config.baseUrl).host
  const codeOf = (status: number) =>
    !isTheirs && (status === 401 || status === 402) ? 'forbidden' : undefined
  await failOn(response, { what, now: ctx.now, codeOf })
  if (!/^(?:text\/html|application\/xhtml)/i.test(response.headers.get('content-type') ?? '')) return response
  await readBounded(response, 0)
  throw new CordboardError('forbidden', `${what}: a page came instead of audio`, {
    why: 'It is a page to log in or to play it, not the file',
    fix: 'Have the dialler store a link to the file, or set calls.recordingAuth',
  })
}

function credentials({ recordingAuth: auth }: CallSource): Record<string, string> {
  if (auth.by === 'bearer') return { authorization: `Bearer ${auth.token}` }
  if (auth.by === 'basic')
    return { authorization: `Basic ${encodeBase64(utf8(`${auth.user}:${auth.password}`))}` }
  return {}
}
