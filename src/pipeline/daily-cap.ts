import type { Call, Recording } from '../call/call.ts'
import type { Connection } from '../config/model.ts'
import { CordboardError } from '../errors.ts'
import { readyRecordings } from './content.ts'
import type { Deps } from './deps.ts'
import { nextBackend, passOn } from './fail-over.ts'
import { flowOf, type Outcome, type Running } from './step.ts'

/**
 * The cap of minutes a day that a connection gives to an analysis service, so that a busy day or a mistake of ours costs
 * what was foreseen. It is looked at before each submission: those under way at the same moment may exceed it by what they hold.
 */

const DAY_MS = 86_400_000
const MINUTE_MS = 60_000
/** After midnight calls do not all come back in the same second. */
const SPREAD_MS = 60_000

/** Bytes a second of telephone audio, for recordings of which nobody says how long they are: rather too few than too many. */
const PLAIN_RATE = 16_000
const PACKED_RATE = 4_000
const PLAIN: readonly unknown[] = ['wav', 'aiff', 'au'] satisfies Recording['format'][]

/** What a call counts for: its recording, else its conversation. */
export function lengthOf(call: Call): number {
  const [best] = readyRecordings(call)
  return knownLength(call) ?? (best ? guessed(best) : 0)
}

function knownLength(call: Call): number | undefined {
  const [best] = readyRecordings(call)
  return best?.durationMs ?? call.talkMs ?? call.totalMs
}

/** By its size; a minute where nobody knows even that, so that no cap is passed by for want of a figure. */
function guessed({ bytes, format, channels = 1 }: Recording): number {
  if (bytes === undefined) return MINUTE_MS
  return Math.round((bytes / (PLAIN.includes(format) ? PLAIN_RATE * channels : PACKED_RATE)) * 1000)
}

/** Given to the connection since midnight UTC, in ms. */
export async function spentToday(
  { store, now }: Pick<Deps, 'store' | 'now'>,
  connection: string,
): Promise<number> {
  const midnight = Math.floor(now() / DAY_MS) * DAY_MS
  const row = await store.db
    .selectFrom('submissions')
    .select((eb) => eb.fn.sum<number | null>('audio_ms').as('ms'))
    .where('connection', '=', connection)
    .where('created_at', '>=', midnight)
    // What was handed over and came to nothing was given all the same.
    .where((is) => is.or([is('state', '!=', 'failed'), is('submitted_at', 'is not', null)]))
    .executeTakeFirst()
  return Number(row?.ms ?? 0)
}

/** Where the day's minutes are used up: the flow's next service is asked, or the call waits for the next day. */
export async function overCap(
  running: Running,
  connection: Connection,
  callId: string,
  call: Call,
): Promise<Outcome | null> {
  const { deps, step } = running
  const { minutesPerDay } = connection
  if (minutesPerDay === undefined) return null
  const cap = minutesPerDay * MINUTE_MS
  // A guess is no reason to keep a call back for good: at most it takes a day by itself.
  const length = Math.min(lengthOf(call), knownLength(call) === undefined ? cap : Number.POSITIVE_INFINITY)
  const isTooLong = length > cap
  if (!isTooLong && (await spentToday(deps, connection.id)) + length <= cap) return null

  const what = `The ${minutesPerDay} minutes that ${connection.id} may be given on one day`
  const error = new CordboardError(
    'quota',
    isTooLong ? `${what} are fewer than this call has` : `${what} are used up`,
    {
      fix: 'Raise minutesPerDay of the connection, or name a second analysis connection in the flow',
    },
  )
  const flow = flowOf(deps, step.flow)
  const asked = { callId, generation: step.generation }
  const next = await nextBackend(deps, flow, asked)
  // Our own cap says nothing about the service: its breaker stays as it is, and nobody has to look.
  if (next !== undefined) return { done: error.message, ...passOn(running, flow, asked, next, error) }
  if (isTooLong) return { failed: new CordboardError('config', error.message, { fix: error.fix }) }
  const midnight = (Math.floor(deps.now() / DAY_MS) + 1) * DAY_MS
  return { again: midnight + deps.random() * SPREAD_MS, says: error.message, code: 'quota' }
}
