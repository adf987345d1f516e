import type { Call, Recording } from '../../src/call/call.ts'
import type { CallEvent, Facts } from '../../src/call/facts.ts'
import {
  type IntakeCall,
  intakeCall,
  type StoredFile,
  type StoredIntake,
  storedIntake,
} from '../../src/call/intake.ts'
import { normalisePhone } from '../../src/call/phone.ts'
import { parseTranscript } from '../../src/call/roles.ts'
import { readNumber } from '../../src/call/sent.ts'
import { fromVcon, readVcon, recordingFrom, type Vcon } from '../../src/call/vcon.ts'
import type { MapContext, Received } from '../../src/connector/contract.ts'
import { readAs } from '../../src/connector/read.ts'
import type { Config } from './schema.ts'

/** What our API has stored, as an event: of a call that has ended, with all that is known of it. */
export function toEvents(body: unknown, ctx: MapContext<Config>): Received<CallEvent> {
  const stored = readAs(storedIntake, body, 'Intake: the stored call')
  const facts =
    stored.kind === 'call'
      ? factsOf(readAs(intakeCall, stored.call, 'Intake: the call'), stored.file, ctx)
      : factsOfVcon(readVcon(stored.vcon), stored, ctx)
  const names = [nameOf(stored), stored.callId, stored.promise].filter((name) => name !== undefined)
  const [callId = stored.promise, ...alsoKnownAs] = new Set(names)
  return {
    events: [
      {
        key: `intake:${stored.key}`,
        callId,
        ...(alsoKnownAs.length === 0 ? {} : { alsoKnownAs }),
        phase: 'ended',
        ...(facts.endedAt === undefined ? {} : { at: facts.endedAt }),
        facts,
      },
    ],
  }
}

function nameOf(stored: StoredIntake): string | undefined {
  if (stored.kind === 'call') return readAs(intakeCall, stored.call, 'Intake: the call').externalId
  return readVcon(stored.vcon).uuid.toLowerCase()
}

function factsOf(
  sent: IntakeCall,
  file: StoredFile | undefined,
  { config, region }: MapContext<Config>,
): Facts {
  const { externalId: _, from, dialed, customer, transcript, recordingUrl, recording: hints, ...same } = sent
  const { phone, ...person } = customer ?? {}
  const common = { ...hints, ...(config.tracks && !hints?.tracks ? { tracks: config.tracks } : {}) }
  const recordings: Recording[] = []
  if (file)
    recordings.push({ ...common, ...uploaded(file), key: `upload-${file.hash.slice(0, 16)}`, state: 'ready' })
  if (recordingUrl !== undefined)
    recordings.push({ ...common, key: recordingUrl.slice(0, 512), url: recordingUrl, state: 'ready' })
  return {
    ...same,
    ...(from === undefined ? {} : { from: readNumber(from, region) }),
    ...(dialed === undefined ? {} : { dialed: readNumber(dialed, region) }),
    ...(customer
      ? { customer: { ...person, ...(phone === undefined ? {} : readNumber(phone, region)) } }
      : {}),
    ...(recordings.length === 0 ? { recordingExpected: false } : { recordings }),
    ...(transcript === undefined
      ? {}
      : { transcript: typeof transcript === 'string' ? { turns: parseTranscript(transcript) } : transcript }),
  }
}

/** What the bytes say goes before what the sender says. */
function uploaded({ mediaId, bytes, format, channels, durationMs }: StoredFile): Partial<Recording> {
  return {
    mediaId,
    bytes,
    ...(format === undefined ? {} : { format }),
    ...(channels === undefined ? {} : { channels }),
    ...(durationMs === undefined ? {} : { durationMs }),
  }
}

function factsOfVcon(
  file: Vcon,
  { files, direction }: Extract<StoredIntake, { kind: 'vcon' }>,
  { config, region }: MapContext<Config>,
): Facts {
  const { call, analysis } = fromVcon(file, direction)
  // Where it came from is not where it is now; whoever made it may have had recordings that nobody else can fetch.
  const { id: _id, source: _source, recordings: _recordings, legs = [], tags = [], meta = {}, ...same } = call
  const recordings = file.dialog.flatMap((dialog, index): Recording[] => {
    const kept = files[index]
    const isLink =
      dialog.type === 'recording' && dialog.url?.startsWith('https://') && URL.canParse(dialog.url)
    if (!kept && !isLink) return []
    const known = recordingFrom(dialog, index, file.parties)
    const tracks = known.tracks ?? config.tracks
    const common = { ...known, ...(tracks ? { tracks } : {}) }
    return [
      kept ? { ...common, ...uploaded(kept) } : { ...common, ...(dialog.url ? { url: dialog.url } : {}) },
    ]
  })
  const transcript = call.transcript ?? analysis?.transcript
  return {
    ...same,
    ...numbersOf(call, region),
    ...(legs.length === 0 ? {} : { legs }),
    ...(tags.length === 0 ? {} : { tags }),
    ...(Object.keys(meta).length === 0 ? {} : { meta }),
    ...(recordings.length === 0 ? { recordingExpected: false } : { recordings }),
    ...(transcript ? { transcript } : {}),
    ...(call.language === undefined && analysis?.language ? { language: analysis.language } : {}),
  }
}

/** National numbers are read by the region of this connection. */
function numbersOf({ from, dialed, customer }: Partial<Call>, region: string | undefined): Facts {
  const read = (phone: string | null, raw: string) => phone ?? normalisePhone(raw, region).e164
  return {
    ...(from ? { from: { ...from, phone: read(from.phone, from.phoneRaw) } } : {}),
    ...(dialed ? { dialed: { ...dialed, phone: read(dialed.phone, dialed.phoneRaw) } } : {}),
    ...(customer ? { customer: { ...customer, phone: read(customer.phone, customer.phoneRaw) } } : {}),
  }
}
