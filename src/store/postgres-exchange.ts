import type { Client, Connection, CustomTypesConfig, PoolClient, Submittable } from 'pg'
import { type Failure, NO_ANSWER, toFailure } from './postgres-errors.ts'

/**
 * Several transactions in one round trip. The messages of a transaction end with one Sync, so that PostgreSQL itself makes
 * them one: the first error skips the rest and nothing of it stays, however far the writing of the others has come. No
 * BEGIN that could be lost, no lock that is held while this process is busy or stopped.
 *
 * `pg` knows this as a submittable (pg-cursor is one): an object that writes messages and is told the answers.
 */
export interface Statement {
  text: string
  /** Bytes as Buffer go over as they are. */
  values: ReadonlyArray<string | Buffer | null>
}

export type Row = Record<string, unknown>

/** Per transaction: the rows of each statement; or why nothing of it stayed, and at which statement that showed. */
export type Reply = { rows: Row[][] } | { failed: Failure; at: number }

/** The part of pg's connection that writes; its published types are of an older version. */
interface Wire extends Pick<Connection, 'stream' | 'sync'> {
  parse(message: { name: string; text: string }): void
  bind(message: { statement: string; values: Statement['values'] }): void
  describe(message: { type: 'P' }): void
  execute(message: null): void
}

interface Field {
  name: string
  dataTypeID: number
}
type Parser = (value: string) => unknown

/** Statements of which the server keeps a prepared form: its name by the text. */
interface Known {
  names: Map<string, string>
  given: number
}
const prepared = new WeakMap<Connection, Known>()
/** Lists of varying length make new texts for ever. */
const MOST_PREPARED = 200

/** What the server keeps after the flight, once it has answered for it. */
interface Learns {
  text: string
  name: string
}

/**
 * Sends all and resolves with the answers, in order; never rejects. A connection that says nothing for `patienceMs` is
 * cut: then, as after any loss of the connection, the transactions without an answer have failed with no state, and
 * whether they were carried out is not known.
 */
export function exchange(
  client: PoolClient,
  transactions: ReadonlyArray<readonly Statement[]>,
  { patienceMs, types }: { patienceMs: number; types: CustomTypesConfig },
): Promise<Reply[]> {
  return new Promise((resolve) => {
    const { connection } = client as Client
    const known = prepared.get(connection) ?? { names: new Map(), given: 0 }
    prepared.set(connection, known)
    const replies: Reply[] = []
    let isSilent = false
    const timer = setTimeout(() => {
      isSilent = true
      connection.stream.destroy()
    }, patienceMs)

    const finish = () => {
      clearTimeout(timer)
      resolve(replies)
    }
    const lose = (failed: Failure) => {
      while (replies.length < transactions.length) replies.push({ failed, at: 0 })
      finish()
    }

    /** What is told the answers of transaction `index`; the first one also writes all of them. */
    function receiver(index: number, learns: ReadonlyArray<ReadonlyArray<Learns | null>>): Submittable {
      const rows: Row[][] = []
      let current: Row[] = []
      let fields: readonly Field[] = []
      let parsers: Parser[] = []
      let isOver = false

      /** The next one is made known before pg looks for who is told what comes now. */
      const end = (reply: Reply) => {
        if (isOver) return
        isOver = true
        replies.push(reply)
        timer.refresh()
        if (replies.length === transactions.length) finish()
        else client.query(receiver(index + 1, learns))
      }
      const told = {
        submit() {},
        handleRowDescription(message: { fields: Field[] }) {
          fields = message.fields
          parsers = fields.map(({ dataTypeID }) => types.getTypeParser(dataTypeID, 'text') as Parser)
        },
        handleDataRow(message: { fields: ReadonlyArray<string | null> }) {
          const row: Row = {}
          for (const [at, { name }] of fields.entries()) {
            const value = message.fields[at] ?? null
            row[name] = value === null ? null : parsers[at]?.(value)
          }
          current.push(row)
        },
        handleCommandComplete() {
          const learned = learns[index]?.[rows.length]
          if (learned) known.names.set(learned.text, learned.name)
          timer.refresh()
          rows.push(current)
          current = []
          fields = []
        },
        handleEmptyQuery: () => told.handleCommandComplete(),
        handlePortalSuspended() {},
        handleCopyInResponse() {},
        handleCopyData() {},
        handleReadyForQuery: () => end({ rows }),
        handleError(error: unknown) {
          const failed = toFailure(error)
          if (failed.state === null) {
            isOver = true
            lose(isSilent ? NO_ANSWER : failed)
            return
          }
          // Whether it has been prepared does not show: the next time it gets another name.
          end({ failed, at: rows.length })
        },
      }
      return told
    }

    const learns = transactions.map((): Array<Learns | null> => [])
    const first = receiver(0, learns)
    first.submit = () => write(connection as unknown as Wire, transactions, known, learns)
    client.query(first)
  })
}

/** All in one write of the socket. */
function write(
  wire: Wire,
  transactions: ReadonlyArray<readonly Statement[]>,
  known: Known,
  learns: Array<Array<Learns | null>>,
): void {
  const fresh = new Set<string>()
  wire.stream.cork()
  try {
    for (const [index, statements] of transactions.entries()) {
      for (const { text, values } of statements) {
        const name = known.names.get(text)
        if (name !== undefined) {
          learns[index]?.push(null)
          wire.bind({ statement: name, values })
        } else {
          // Until the server has answered, a second one of the same text cannot count on it: it goes without a name.
          const isNew = !fresh.has(text) && known.given < MOST_PREPARED
          if (isNew) known.given += 1
          const given = isNew ? `s${known.given}` : ''
          if (isNew) fresh.add(text)
          learns[index]?.push(isNew ? { text, name: given } : null)
          wire.parse({ name: given, text })
          wire.bind({ statement: given, values })
        }
        wire.describe({ type: 'P' })
        wire.execute(null)
      }
      wire.sync()
    }
  } finally {
    wire.stream.uncork()
  }
}
