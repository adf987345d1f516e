import { CordboardError } from '../errors.ts'
import { badAppend, DELIVERY_COLUMNS, STEP_COLUMNS } from './binds.ts'
import { closed, isOwnFault, toError } from './d1-errors.ts'
import { checkStatement, type Reply, type Statement } from './d1-exchange.ts'
import type { Append, Appended } from './port.ts'

/**
 * Appends in groups: those that arrive while a group is on its way are the next one, two statements each in one batch. No
 * timer. Only those of one invocation meet here: on Workers a request must not wait for what another one has sent, since
 * it ends with that one, when its sender hangs up.
 */
export interface Ingest {
  append(entry: Append): Promise<Appended>
  stats(): { members: number; waiting: number; waitingBytes: number }
  /** Accepts no more; resolves when what was accepted is answered. */
  drain(): Promise<void>
}

interface Member {
  entry: Append
  statements: readonly Statement[]
  resolve(appended: Appended): void
  reject(error: Error): void
}

/** An isolate has 128 MB for everything, and bytes go over as text, some four times as long. */
const MAX_WAITING_BYTES = 16 * 1024 * 1024
const GROUP_BYTES = 1024 * 1024
const GROUP_MEMBERS = 50

export function createIngest(
  run: (statements: readonly Statement[]) => Promise<Reply>,
  maxWaiting: number,
): Ingest {
  const waiting: Member[] = []
  let waitingBytes = 0
  let posting: Promise<void> | null = null
  let isClosing = false
  let members = 0

  /** The first of a quiet moment waits for the others of its turn. */
  async function post(): Promise<void> {
    await Promise.resolve()
    while (waiting.length > 0) await store(take())
    posting = null
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

  /** Answers every member; never rejects. One that is at fault is found by halves. */
  async function store(group: readonly Member[]): Promise<void> {
    const reply = await run(group.flatMap(({ statements }) => statements))
    if ('rows' in reply) {
      for (const [at, { resolve }] of group.entries()) {
        const row = reply.rows[at * 2 + 1]?.[0]
        resolve({ id: String(row?.id), repeats: Number(row?.repeats) })
      }
      return
    }
    const { failed } = reply
    if (isOwnFault(failed) && group.length > 1) {
      const half = Math.ceil(group.length / 2)
      await store(group.slice(0, half))
      await store(group.slice(half))
      return
    }
    for (const { reject } of group) reject(toError(failed))
    if (isOwnFault(failed)) return
    // Whatever waits for a database that is away is told now, not after a wait of its own.
    waitingBytes = 0
    for (const { reject } of waiting.splice(0)) reject(toError(failed))
  }

  return {
    async append(entry) {
      const refused = isClosing ? closed() : badAppend(entry)
      if (refused !== null) throw refused
      if (waiting.length >= maxWaiting || waitingBytes > MAX_WAITING_BYTES) {
        throw new CordboardError('overloaded', `${waiting.length} deliveries wait to be stored`)
      }
      const statements = storing(entry)
      for (const statement of statements) checkStatement(statement)
      members += 1
      waitingBytes += size(entry)
      return new Promise((resolve, reject) => {
        waiting.push({ entry, statements, resolve, reject })
        posting ??= post()
      })
    },
    stats: () => ({ members, waiting: waiting.length, waitingBytes }),
    async drain() {
      isClosing = true
      await posting
    },
  }
}

const size = ({ delivery }: Append): number => delivery.headers.length + (delivery.body?.length ?? 0)

const marks = (count: number): string => Array(count).fill('?').join(', ')

/** Before its delivery: whether that is a new one can then still be seen. */
const INSERT_STEP = `insert into steps (${STEP_COLUMNS.join(', ')}) select ${marks(STEP_COLUMNS.length)}
  where not exists (select 1 from deliveries where connection = ? and dedupe_key = ?)`

const INSERT_DELIVERY = `insert into deliveries (${DELIVERY_COLUMNS.join(', ')}, headers, body)
  values (${marks(DELIVERY_COLUMNS.length + 2)})
  on conflict (connection, dedupe_key) do update set repeats = deliveries.repeats + 1 returning id, repeats`

function storing({ delivery, step }: Append): Statement[] {
  const { connection, dedupe_key: key, headers, body } = delivery
  return [
    { sql: INSERT_STEP, parameters: [...STEP_COLUMNS.map((column) => step[column]), connection, key] },
    {
      sql: INSERT_DELIVERY,
      parameters: [...DELIVERY_COLUMNS.map((column) => delivery[column]), headers, body],
    },
  ]
}
