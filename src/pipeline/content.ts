import type { Transcript } from '../call/analysis.ts'
import type { Call, Recording } from '../call/call.ts'
import { redactTranscript } from '../call/redact.ts'
import type { Connection } from '../config/model.ts'
import type { AudioFormat, AudioSource, SubmitRequest } from '../connector/contract.ts'
import { encodeBase64Url } from '../connector/encoding.ts'
import { relay } from '../connector/relay.ts'
import { asCordboardError, CordboardError } from '../errors.ts'
import type { Deps } from './deps.ts'
import { checkOpened } from './opened.ts'
import { connectionOf, type Running } from './step.ts'

/** Recordings that can be had, the most worthwhile first: the longest, which of several parts holds the conversation. */
export function readyRecordings(call: Pick<Call, 'recordings'>): Recording[] {
  return call.recordings
    .filter((recording) => recording.state === 'ready')
    .sort((a, b) => (b.durationMs ?? 0) - (a.durationMs ?? 0) || (a.key < b.key ? -1 : 1))
}

/** Trouble with the phone system while a recording was on its way: it must not be taken for the backend's. */
export interface Trouble {
  connection: string
  error: CordboardError
}

type Content = Pick<SubmitRequest, 'audio' | 'text'>

/** What is sent: a ready transcript to a backend that takes text, else the best recording in a format it takes. */
export function chooseContent(
  running: Running,
  call: Call,
  troubled: (trouble: Trouble) => void,
): { of: (submissionId: string) => Content } | { refused: CordboardError } {
  const { deps, connection } = running
  const fit = fitting(connection, call)
  if (typeof fit === 'string') return { refused: new CordboardError('rejected', `${connection.id} ${fit}`) }
  if ('text' in fit) {
    const text = fit.isRedacted ? redactTranscript(fit.text, call) : fit.text
    return { of: () => ({ text }) }
  }
  const { recording, audio } = fit
  const source = connectionOf(deps, call.source.connection)
  const format = recording.format ?? audio.formats[0] ?? 'mp3'
  return {
    of: (submissionId) => ({
      audio: audioFrom(
        running,
        source,
        call,
        recording,
        { format, fileName: `${submissionId}.${format}` },
        audio,
        troubled,
      ),
    }),
  }
}

/** What of a call a backend takes, or why it takes nothing of it: "takes audio, and this call has none". */
export function fitting(
  { connector, settings, redact }: Connection,
  { transcript, medium, ...call }: Call,
): { text: Transcript; isRedacted: boolean } | { recording: Recording; audio: AcceptedAudio } | string {
  const accepts = connector.analysis?.accepts(settings)
  const takesText = accepts?.text === true || (accepts?.text === 'chats' && medium === 'text')
  if (transcript && takesText) return { text: transcript, isRedacted: redact ?? accepts.redacted ?? false }
  const audio = accepts?.audio
  const ready = readyRecordings(call)
  if (!audio || ready.length === 0)
    return `takes ${takesText ? 'transcripts' : 'audio'}, and this call has none`
  const recording = ready.find((one) => refusal(one, audio) === null)
  if (recording) return { recording, audio }
  return `does not take this recording: ${ready.map((one) => refusal(one, audio)).join('; ')}`
}

type AcceptedAudio = NonNullable<
  ReturnType<NonNullable<Connection['connector']['analysis']>['accepts']>['audio']
>

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

function audioFrom(
  running: Running,
  source: Connection,
  call: Call,
  recording: Recording,
  file: { format: AudioFormat; fileName: string },
  accepted: AcceptedAudio,
  troubled: (trouble: Trouble) => void,
): AudioSource {
  const { telephony } = source.connector
  const context = running.context(source)
  const ask = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work()
    } catch (thrown) {
      const error = asCordboardError(thrown)
      troubled({ connection: source.id, error })
      throw error
    }
  }
  return {
    recording,
    ...file,
    open: async () => {
      const opened = await ask(async () => {
        const { mediaId } = recording
        const response =
          mediaId === undefined
            ? await telephony?.recording?.(recording, call, context)
            : await uploaded(running.deps, mediaId)
        if (!response?.body) throw new CordboardError('no_recording', `${source.id} gives no recording`)
        const { body, headers } = response
        const length = headers.get('content-length')
        const isWhole = length !== null && /^\d{1,15}$/.test(length) && !headers.has('content-encoding')
        return {
          body: watched(body, hashedAs(running.deps, recording), (error) =>
            troubled({ connection: source.id, error }),
          ),
          bytes: isWhole ? Number(length) : null,
          contentType: headers.get('content-type') ?? 'application/octet-stream',
        }
      })
      return checkOpened(opened, recording, accepted)
    },
    url: async () => (await ask(async () => telephony?.recordingUrl?.(recording, call, context))) ?? null,
  }
}

/** Audio that was handed in lies in our own media store. */
async function uploaded({ media }: Deps, mediaId: string): Promise<Response> {
  const found = await media.get(mediaId)
  if (!found) throw new CordboardError('no_recording', 'The recording was erased by retention')
  return new Response(found.body, { headers: { 'content-length': String(found.bytes) } })
}

/** What is asked at the end of a recording whose source gave its hash: was it that one? */
function hashedAs({ signer }: Deps, { contentHash }: Recording) {
  if (contentHash === undefined) return null
  const hasher = signer.hasher('sha512')
  return {
    add: (chunk: Uint8Array) => hasher.add(chunk),
    isRight: () => `sha512-${encodeBase64Url(hasher.digest())}` === contentHash,
  }
}

/** The same stream; tells when it breaks off, because the backend's request then fails with it. */
function watched(
  body: ReadableStream<Uint8Array>,
  hashed: ReturnType<typeof hashedAs>,
  broke: (error: CordboardError) => void,
): ReadableStream<Uint8Array> {
  return relay(body, {
    ...(hashed === null ? {} : { seen: hashed.add }),
    end() {
      if (hashed === null || hashed.isRight()) return undefined
      const error = notTheSame()
      broke(error)
      throw error
    },
    failed(thrown) {
      broke(new CordboardError('vendor_down', 'The recording broke off on its way', { cause: thrown }))
      return thrown
    },
  })
}

const notTheSame = () =>
  new CordboardError('invalid_payload', 'The recording is not the one that was announced: its hash differs', {
    fix: 'Compare the file behind the link with its content_hash, and hand the call in again',
  })
