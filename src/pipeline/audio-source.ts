import type { Call, Recording } from '../call/call.ts'
import type { Voice } from '../call/conversation.ts'
import { listenToTracks, type TrackListener } from '../call/voice-activity.ts'
import type { Connection } from '../config/model.ts'
import type { Accepts, AudioFormat, AudioSource, Log, OpenAudio } from '../connector/contract.ts'
import { encodeBase64Url } from '../connector/encoding.ts'
import { MADE_FORMATS, type MadeFormat } from '../connector/platform.ts'
import { relay } from '../connector/relay.ts'
import { wavTrack } from '../connector/wav.ts'
import { asCordboardError, CordboardError } from '../errors.ts'
import type { Deps } from './deps.ts'
import { checkOpened } from './opened.ts'
import type { Running } from './step.ts'

/** Trouble with the phone system while a recording was on its way: it must not be taken for the backend's. */
export interface Trouble {
  connection: string
  error: CordboardError
}

/** Told of what went wrong on the way of a recording, because the backend's request then fails with it. */
export interface Hear {
  troubled(trouble: Trouble): void
  /** It could not be converted. */
  spoiled(error: CordboardError): void
  /** Who spoke when, of a recording that came through whole, where its connection wants that. */
  heard?(voices: Voice[]): void
}

/** What a service that takes audio says of it. */
export type AcceptedAudio = NonNullable<Accepts['audio']>

const TYPES: Record<MadeFormat, string> = {
  mp3: 'audio/mpeg',
  ogg: 'audio/ogg',
  flac: 'audio/flac',
  wav: 'audio/wav',
}

interface Wish {
  /** The format it is made into; null: as it is. */
  to: MadeFormat | null
  audio: AcceptedAudio
}

/** A recording on its way: from the phone system or our own store, as it is or converted, whole or by track. */
export function audioFrom(
  running: Running,
  source: Connection,
  call: Call,
  recording: Recording,
  file: { format: AudioFormat; fileName: string },
  { to, audio }: Wish,
  { troubled, spoiled, heard }: Hear,
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
  const openSource = (): Promise<OpenAudio> =>
    ask(async () => {
      const { mediaId } = recording
      const response =
        mediaId === undefined
          ? await telephony?.recording?.(recording, call, context)
          : await uploaded(running.deps, mediaId)
      if (!response?.body) throw new CordboardError('no_recording', `${source.id} gives no recording`)
      const { body, headers } = response
      const length = headers.get('content-length')
      const isWhole = length !== null && /^\d{1,15}$/.test(length) && !headers.has('content-encoding')
      const checked = watched(body, hashedAs(running.deps, recording), (error) =>
        troubled({ connection: source.id, error }),
      )
      const isHeard = heard && source.measureTracks && recording.format === 'wav' && recording.channels !== 1
      return {
        body: isHeard ? listened(checked, recording, heard, context.log) : checked,
        bytes: isWhole ? Number(length) : null,
        contentType: headers.get('content-type') ?? 'application/octet-stream',
      }
    })
  const { convert } = running.deps
  const { format: from } = recording
  const { maxBytes, ...unbounded } = audio
  const made = async (into: MadeFormat, track?: 'left' | 'right'): Promise<OpenAudio> => {
    if (!convert || from === undefined) {
      throw new CordboardError('config', 'Nothing here converts this recording')
    }
    // Its size counts when it is made: the converter has the bound.
    const opened = await checkOpened(await openSource(), recording, unbounded)
    const body = convert(opened.body, {
      from,
      to: into,
      signal: running.signal,
      ...(track === undefined ? {} : { track }),
      ...(maxBytes === undefined ? {} : { maxBytes }),
    })
    return { body: spoiling(body, spoiled), bytes: null, contentType: TYPES[into] }
  }
  const trackOf = (side: 'left' | 'right', format: AudioFormat) => ({
    fileName: `${file.fileName.replace(/\.\w+$/, '')}-${side}.${format}`,
  })
  const into = to ?? MADE_FORMATS.find((format) => audio.formats.includes(format))
  const isSplit = from === 'wav' && to === null
  const track = async (side: 'left' | 'right') => {
    if (!isSplit && into) return { ...(await made(into, side)), ...trackOf(side, into) }
    const whole = await openSource()
    const split = await wavTrack(whole.body, side, whole.bytes)
    return split && { ...split, contentType: TYPES.wav, ...trackOf(side, 'wav') }
  }
  return {
    recording,
    ...file,
    open: async () => (to === null ? checkOpened(await openSource(), recording, audio) : made(to)),
    ...(recording.channels === 2 && (isSplit || (convert && from && into)) ? { track } : {}),
    url: async () =>
      (to === null ? await ask(async () => telephony?.recordingUrl?.(recording, call, context)) : null) ??
      null,
  }
}

/** What the converter makes; tells when it fails. */
const spoiling = (made: ReadableStream<Uint8Array>, spoiled: Hear['spoiled']) =>
  relay(made, {
    failed(thrown) {
      spoiled(asCordboardError(thrown))
      return thrown
    },
  })

/** Audio that was handed in lies in our own media store. */
async function uploaded({ media }: Deps, mediaId: string): Promise<Response> {
  const found = await media.get(mediaId)
  if (!found) throw new CordboardError('no_recording', 'The recording was erased by retention')
  return new Response(found.body, { headers: { 'content-length': String(found.bytes) } })
}

/** The same stream; tells at its end who spoke when. What cannot be listened to passes all the same. */
function listened(
  body: ReadableStream<Uint8Array>,
  { tracks }: Recording,
  heard: NonNullable<Hear['heard']>,
  log: Log,
): ReadableStream<Uint8Array> {
  let listener: TrackListener | null = listenToTracks(tracks)
  const attempt = (work: (listener: TrackListener) => void) => {
    try {
      if (listener) work(listener)
    } catch (thrown) {
      listener = null
      log.info('the tracks of a recording were not measured', { why: asCordboardError(thrown).message })
    }
  }
  return relay(body, {
    seen: (chunk) => attempt((one) => one.add(chunk)),
    end() {
      attempt((one) => heard(one.end()))
      return undefined
    },
  })
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

/** The same stream; tells when it breaks off, or was another one than announced. */
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
