import type { Transcript } from '../call/analysis.ts'
import type { Call, Recording } from '../call/call.ts'
import { redactTranscript } from '../call/redact.ts'
import type { Connection } from '../config/model.ts'
import type { AudioFormat, SubmitRequest } from '../connector/contract.ts'
import { MADE_FORMATS, type MadeFormat } from '../connector/platform.ts'
import { CordboardError } from '../errors.ts'
import { type AcceptedAudio, audioFrom, type Hear } from './audio-source.ts'
import { connectionOf, type Running } from './step.ts'

/** Recordings that can be had, the most worthwhile first: the longest, which of several parts holds the conversation. */
export function readyRecordings(call: Pick<Call, 'recordings'>): Recording[] {
  return call.recordings
    .filter((recording) => recording.state === 'ready')
    .sort((a, b) => (b.durationMs ?? 0) - (a.durationMs ?? 0) || (a.key < b.key ? -1 : 1))
}

type Content = Pick<SubmitRequest, 'audio' | 'text'>

/** What is sent. `isMade`: it is converted on its way. */
interface Chosen {
  of(submissionId: string): Content
  isMade: boolean
}

/**
 * What is sent: a ready transcript to a backend that takes text, else the best recording in a format it takes, else one
 * that can be made into such a format.
 */
export function chooseContent(
  running: Running,
  call: Call,
  hear: Hear,
): Chosen | { refused: CordboardError } {
  const { deps, connection } = running
  const fit = fitting(connection, call)
  if (typeof fit === 'string') return { refused: new CordboardError('rejected', `${connection.id} ${fit}`) }
  if ('text' in fit) {
    const text = fit.isRedacted ? redactTranscript(fit.text, call) : fit.text
    return { of: () => ({ text }), isMade: false }
  }
  const { recording, audio, made } = fit
  if (made && !deps.convert) return { refused: notConverted(connection.id, made.why) }
  const to = made?.to ?? null
  const source = connectionOf(deps, call.source.connection)
  const format = to ?? recording.format ?? audio.formats[0] ?? 'mp3'
  const fileOf = (name: string) => ({ format, fileName: `${name}.${format}` })
  return {
    of: (name) => ({ audio: audioFrom(running, source, call, recording, fileOf(name), { to, audio }, hear) }),
    isMade: made !== null,
  }
}

/** Whether transcripts go to this connection only with what names people taken out: it says so, else its connector does. */
export const leavesRedacted = ({ connector, settings, redact }: Connection): boolean =>
  redact ?? connector.analysis?.accepts(settings).redacted ?? false

interface FittingAudio {
  recording: Recording
  audio: AcceptedAudio
  /** The format that it has to be made into, and why; null: it is taken as it is. */
  made: { to: MadeFormat; why: string } | null
}

/** What of a call a backend takes, or why it takes nothing of it: "takes audio, and this call has none". */
export function fitting(
  connection: Connection,
  { transcript, medium, ...call }: Call,
): { text: Transcript; isRedacted: boolean } | FittingAudio | string {
  const accepts = connection.connector.analysis?.accepts(connection.settings)
  const takesText = accepts?.text === true || (accepts?.text === 'chats' && medium === 'text')
  if (transcript && takesText) return { text: transcript, isRedacted: leavesRedacted(connection) }
  const audio = accepts?.audio
  const ready = readyRecordings(call)
  if (!audio || ready.length === 0)
    return `takes ${takesText ? 'transcripts' : 'audio'}, and this call has none`
  const recording = ready.find((one) => refusal(one, audio) === null)
  if (recording) return { recording, audio, made: null }
  const why = `does not take this recording: ${ready.map((one) => refusal(one, audio)).join('; ')}`
  const found = convertible(ready, audio)
  return found ? { recording: found.recording, audio, made: { to: found.to, why } } : why
}

/** Why a backend does not take a recording, by what is known beforehand; null when it may. */
function refusal(recording: Recording, audio: AcceptedAudio): string | null {
  const { format, bytes, durationMs, channels } = recording
  if (format !== undefined && !audio.formats.includes(format))
    return `it is ${format}, accepted are ${audio.formats.join(', ')}`
  if (bytes !== undefined && audio.maxBytes !== undefined && bytes > audio.maxBytes)
    return `it has ${bytes} bytes, ${audio.maxBytes} are accepted`
  if (durationMs !== undefined && audio.minDurationMs !== undefined && durationMs < audio.minDurationMs)
    return `it lasts ${durationMs} ms, ${audio.minDurationMs} are needed`
  if (audio.stereoOnly && channels !== undefined && channels < 2) return 'it has one track, two are needed'
  return null
}

/** Large because they leave nothing out: made into MP3 they have a tenth of the size. */
const LOSSLESS: readonly AudioFormat[] = ['wav', 'aiff', 'au', 'flac']

/** The first recording that would be taken in another format, and which. */
function convertible(
  ready: readonly Recording[],
  audio: AcceptedAudio,
): { recording: Recording; to: MadeFormat } | null {
  const to = MADE_FORMATS.find((format) => audio.formats.includes(format))
  if (to === undefined || !audio.by.includes('file')) return null
  const recording = ready.find(({ bytes: _, ...one }) => {
    if (one.format === undefined || one.format === to) return false
    const isHelped = !audio.formats.includes(one.format) || LOSSLESS.includes(one.format)
    return isHelped && refusal({ ...one, format: to }, audio) === null
  })
  return recording ? { recording, to } : null
}

/** Parked, not refused: whoever installs it and starts again has this go on by itself. */
function notConverted(connection: string, why: string): CordboardError {
  return new CordboardError('config', `${connection} ${why}`, {
    why: 'It could be converted, and ffmpeg is not there where the work is done (on Workers it never is)',
    fix: 'Install ffmpeg (Debian: apt-get install ffmpeg) and restart, or let the phone system record in an accepted format',
  })
}
