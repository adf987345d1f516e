import { CordboardError } from '../errors.ts'
import { type Bind, badAppend, DELIVERY_COLUMNS, misuse, STEP_COLUMNS } from './binds.ts'
import type { Append, Appended } from './port.ts'
import { closed, isAgain, isOwnFault, NO_ANSWER, toError, unavailable } from './postgres-errors.ts'
import type { Row, Statement } from './postgres-exchange.ts'
import { type Pool, withoutNul } from './postgres-pool.ts'

/**
 * Appends in groups: one statement that inserts all deliveries and steps that arrived while the last commits ran, one
 * commit, one answer. No timer: the busier it is, the more share a commit.
 */
export interface Ingest {
  append(entry: Append): Promise<Appended>
  stats(): { commits: number; members: number; waiting: number; waitingBytes: number }
  /** Accepts no more; resolves when what was accepted is answered. */
  drain(): Promise<void>
}

/** The storage's fault, thrown inside; `isAway`: there is no connection, or one that says nothing. */
interface Failed {
  because: Error
  isAway: boolean
}

function asFailed(thrown: unknown): Failed {
  if (typeof thrown === 'object' && thrown !== null && 'because' in thrown) return thrown as Failed
  return { because: thrown instanceof Error ? thrown : misuse('A group could not be made'), isAway: false }
}

interface Member {
  entry: Append
  resolve(appended: Appended): void
  reject(error: Error): void
}

const MAX_WAITING_BYTES = 64 * 1024 * 1024
/** A group stays short enough to be answered in time. */
const GROUP_MEMBERS = 1_000
const GROUP_BYTES = 8 * 1024 * 1024
/** After a deadlock, or when a delivery was erased between two statements. */
const TRIES = 4

export function createIngest(pool: Pool, lanes: number, maxWaiting: number): Ingest {
  const waiting: Member[] = []
  let waitingBytes = 0
  let running = 0
  let isPosted = false
  let isClosing = false
  let drained: (() => void) | null = null
  let commits = 0
  let members = 0

  /** The first of a quiet moment waits for its event-loop turn, so that its neighbours join. */
  function arrive(): void {
    if (isPosted) return
    isPosted = true
    setImmediate(post)
  }

  function post(): void {
    isPosted = false
    while (running < lanes && waiting.length > 0) {
      running += 1
      void store(take())
        // Whatever waits for a server that is away is told now, not after a wait of its own.
        .catch((thrown: unknown) => {
          for (const { reject } of waiting.splice(0)) reject(asFailed(thrown).because)
          waitingBytes = 0
        })
        .finally(() => {
          running -= 1
          post()
        })
    }
    if (running === 0 && waiting.length === 0) drained?.()
  }

  function take(): Member[] {
    let bytes = 0
    let count = 0
    for (const { entry } of waiting) {
      if (count === GROUP_MEMBERS || bytes > GROUP_BYTES) break
      bytes += size(entry)
      count += 1
    }
    waitingBytes -= bytes
    return waiting.splice(0, count)
  }

  /** Answers every member; throws `Failed`, after that, when the server is away. */
  async function store(group: readonly Member[], tries = TRIES): Promise<void> {
    const byKey = inOrder(group)
    try {
      const inserted = await run(insert(byKey))
      if ('ownFault' in inserted) return await apart(group, inserted.ownFault)
      const known = new Set(inserted.rows.map((row) => String(row.id)))
      // Nearly always all are new.
      if (known.size === 0 && byKey.length === group.length) {
        for (const member of group) member.resolve({ id: member.entry.delivery.id, repeats: 0 })
        return
      }
      const left = await countRepeats(byKey, known)
      if (left.length > 0 && tries > 1) return await store(left, tries - 1)
      for (const { reject } of left) reject(unavailable('its earlier delivery comes and goes'))
    } catch (thrown) {
      const failed = asFailed(thrown)
      for (const { reject } of group) reject(failed.because)
      if (failed.isAway) throw failed
    }
  }

  /** One of the group is at fault: by halves, until it stands alone. */
  async function apart(group: readonly Member[], failed: Error): Promise<void> {
    const half = Math.ceil(group.length / 2)
    if (half === group.length) {
      for (const { reject } of group) reject(failed)
      return
    }
    await store(group.slice(0, half))
    await store(group.slice(half))
  }

  /** Answers those that repeat a stored delivery, or another one of this group; gives back those whose delivery is gone. */
  async function countRepeats(byKey: readonly Member[][], known: ReadonlySet<string>): Promise<Member[]> {
    const repeats = byKey.flatMap((same) => {
      const [first] = same
      if (first === undefined || known.has(first.entry.delivery.id)) return [same]
      first.resolve({ id: first.entry.delivery.id, repeats: 0 })
      return same.length > 1 ? [same.slice(1)] : []
    })
    const counted = await run(count(repeats))
    if ('ownFault' in counted) throw { because: counted.ownFault, isAway: false } satisfies Failed
    const rows = new Map(counted.rows.map((row) => [keyOf(row), row]))
    return repeats.flatMap((same) => {
      const row = same[0] && rows.get(keyOf(same[0].entry.delivery))
      if (row === undefined) return same
      for (const [at, { resolve }] of same.entries()) {
        resolve({ id: String(row.id), repeats: Number(row.repeats) - same.length + 1 + at })
      }
      return []
    })
  }

  /** Throws `Failed` when the storage is at fault. */
  async function run(one: Statement): Promise<{ rows: Row[] } | { ownFault: Error }> {
    for (let tries = TRIES; ; tries -= 1) {
      const replies = await pool.run([[one]]).catch((because: Error) => {
        throw { because, isAway: true } satisfies Failed
      })
      const [reply] = replies
      if (reply !== undefined && 'rows' in reply) {
        commits += 1
        return { rows: reply.rows[0] ?? [] }
      }
      const failed = reply?.failed ?? NO_ANSWER
      if (isAgain(failed) && tries > 1) continue
      if (isOwnFault(failed)) return { ownFault: toError(failed) }
      throw { because: toError(failed), isAway: failed.isSilent === true } satisfies Failed
    }
  }

  return {
    append(entry) {
      const refused = isClosing ? closed() : badAppend(entry)
      if (refused !== null) return Promise.reject(refused)
      if (waiting.length >= maxWaiting || waitingBytes > MAX_WAITING_BYTES) {
        return Promise.reject(
          new CordboardError('overloaded', `${waiting.length} deliveries wait to be stored`),
        )
      }
      members += 1
      waitingBytes += size(entry)
      return new Promise((resolve, reject) => {
        waiting.push({ entry, resolve, reject })
        arrive()
      })
    },
    stats: () => ({ commits, members, waiting: waiting.length, waitingBytes }),
    drain() {
      isClosing = true
      if (running === 0 && waiting.length === 0) return Promise.resolve()
      return new Promise((resolve) => {
        drained = resolve
      })
    },
  }
}

const size = ({ delivery }: Append): number => delivery.headers.length + (delivery.body?.length ?? 0)

const keyOf = ({ connection, dedupe_key: key }: { connection?: unknown; dedupe_key?: unknown }): string =>
  `${connection} ${withoutNul(String(key)).toWellFormed()}`

/**
 * Members with the same key together, and all in the order of their keys: two groups that hold the same two deliveries
 * the other way round would wait for each other.
 */
function inOrder(group: readonly Member[]): Member[][] {
  const byKey = new Map<string, Member[]>()
  for (const member of group) {
    const key = keyOf(member.entry.delivery)
    const same = byKey.get(key)
    if (same) same.push(member)
    else byKey.set(key, [member])
  }
  return [...byKey].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, same]) => same)
}

const INTEGERS: ReadonlySet<string> = new Set([
  'received_at',
  'bytes',
  'repeats',
  'generation',
  'due_at',
  'attempts',
  'crashes',
  'lease_until',
  'created_at',
  'updated_at',
  'fence',
])

/**
 * All columns as arrays, all bytes as one value that is cut up by the server: as arrays of bytes they would go over as
 * text, twice as long. Answers the ids that were not inserted because their key exists.
 */
const INSERT = insertText()

function insertText(): string {
  const columns = [
    ...DELIVERY_COLUMNS.map((name) => ({ name: `d_${name}`, type: INTEGERS.has(name) ? 'bigint' : 'text' })),
    ...['headers_at', 'headers_length', 'body_at', 'body_length'].map((name) => ({ name, type: 'int' })),
    ...STEP_COLUMNS.map((name) => ({ name: `s_${name}`, type: INTEGERS.has(name) ? 'bigint' : 'text' })),
  ]
  const arrays = columns.map(({ type }, at) => `$${at + 2}::${type}[]`)
  const part = (name: string) => `substring($1::bytea from ${name}_at for ${name}_length)`
  return `with given as materialized (
      select * from unnest(${arrays.join(', ')}) as given (${columns.map(({ name }) => name).join(', ')})
    ), stored as (
      insert into deliveries (${DELIVERY_COLUMNS.join(', ')}, headers, body)
      select ${DELIVERY_COLUMNS.map((name) => `d_${name}`).join(', ')}, ${part('headers')}, ${part('body')} from given
      on conflict (connection, dedupe_key) do nothing returning id
    ), planned as (
      insert into steps (${STEP_COLUMNS.join(', ')})
      select ${STEP_COLUMNS.map((name) => `s_${name}`).join(', ')} from given where d_id in (select id from stored)
    )
    select d_id as id from given where d_id not in (select id from stored)`
}

function insert(byKey: readonly Member[][]): Statement {
  const entries = byKey.flatMap(([first]) => (first === undefined ? [] : [first.entry]))
  const bytes: Uint8Array[] = []
  let end = 1
  const place = (part: Uint8Array | null): [number, number | null] => {
    const at = end
    if (part === null) return [at, null]
    bytes.push(part)
    end += part.length
    return [at, part.length]
  }
  const places = entries.map(({ delivery }) => [...place(delivery.headers), ...place(delivery.body)])
  return {
    text: INSERT,
    values: [
      Buffer.concat(bytes),
      ...DELIVERY_COLUMNS.map((column) => arrayOf(entries.map(({ delivery }) => delivery[column]))),
      ...[0, 1, 2, 3].map((at) => arrayOf(places.map((place) => place[at] ?? null))),
      ...STEP_COLUMNS.map((column) => arrayOf(entries.map(({ step }) => step[column]))),
    ],
  }
}

const COUNT = `update deliveries set repeats = deliveries.repeats + more.repeats
  from unnest($1::text[], $2::text[], $3::bigint[]) as more (connection, dedupe_key, repeats)
  where deliveries.connection = more.connection and deliveries.dedupe_key = more.dedupe_key
  returning deliveries.connection, deliveries.dedupe_key, deliveries.id, deliveries.repeats`

function count(repeats: readonly Member[][]): Statement {
  const firsts = repeats.flatMap(([first]) => (first === undefined ? [] : [first.entry.delivery]))
  return {
    text: COUNT,
    values: [
      arrayOf(firsts.map((delivery) => delivery.connection)),
      arrayOf(firsts.map((delivery) => delivery.dedupe_key)),
      arrayOf(repeats.map((same) => same.length)),
    ],
  }
}

/** PostgreSQL's text of an array. Where nothing has to be escaped it is JSON's, which is made by native code. */
function arrayOf(values: readonly Bind[]): string {
  if (!values.some((value) => typeof value === 'bigint')) {
    const json = JSON.stringify(values)
    if (!json.includes('\\')) return `{${json.slice(1, -1)}}`
  }
  return `{${values.map((value) => (value === null ? 'null' : `"${withoutNul(String(value)).replaceAll(/["\\]/g, '\\$&')}"`)).join(',')}}`
}
