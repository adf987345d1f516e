import { closeSync, mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import { backup, DatabaseSync } from 'node:sqlite'
import { Kysely, sql } from 'kysely'
import { CordboardError } from '../errors.ts'
import { type Bind, badAppend, checkBinds, DELIVERY_COLUMNS, STEP_COLUMNS } from './binds.ts'
import type { Append, Appended, Query, Rows, Store } from './port.ts'
import type { Schema } from './schema.ts'
import { readingDialect } from './sqlite-dialect.ts'
import type { Batch, BatchAnswer, Failure } from './sqlite-protocol.ts'
import { startWriterThread } from './sqlite-thread.ts'

/**
 * The store on one SQLite file: WAL, `synchronous=FULL`, one writing connection in a thread of its own, one reading
 * connection here. Everything that arrives while a commit runs is posted as one batch when its answer comes: no
 * timer, and the busier it is the more share one fsync.
 *
 * The clock is `store_now()`, known to both connections. The writer reads it once per transaction, when it holds the lock,
 * so that between this moment and the commit nobody else can commit; an injected clock is read when the batch is posted.
 */
export interface SqliteStore extends Store {
  stats(): SqliteStats
  /** A consistent copy of the file while it is in use. */
  backup(toFile: string): Promise<void>
}

export interface SqliteStats {
  commits: number
  members: number
  /** Members that are not yet posted, and the bytes of the appends among them. */
  waiting: number
  waitingBytes: number
}

export interface SqliteOptions {
  file: string
  clock?: () => number
  /** Appends that may wait for a commit; beyond it, or beyond 64 MB of them, they are refused at once. */
  maxWaiting?: number
  /** How long to wait for another process that writes to the same file. */
  busyMs?: number
}

const MAX_WAITING = 10_000
const MAX_WAITING_BYTES = 64 * 1024 * 1024
/** Vendors hang up after 3 s: whoever waits for another process's lock is told before that. */
const BUSY_MS = 2_000

/** As many as the API takes: in one step, a commit meanwhile does not make the copy start over. */
const ALL_PAGES = 2 ** 31 - 1

interface Waiting<Item, Result> {
  item: Item
  resolve(result: Result): void
  reject(error: Error): void
}
interface AtomicItem {
  guards: Batch['atomics'][number]['guards']
  statements: { text: string; binds: readonly Bind[] }[]
}

export async function openSqliteStore(options: SqliteOptions): Promise<SqliteStore> {
  const { file, clock = Date.now, maxWaiting = MAX_WAITING, busyMs = BUSY_MS } = options
  const injected = options.clock !== undefined
  mkdirSync(dirname(file), { recursive: true })
  // Calls of customers: for the owner only. The files beside it take their mode from this one.
  closeSync(openSync(file, 'a', 0o600))
  const thread = await startWriterThread({ file, busyMs })
  const reader = new DatabaseSync(file, { readOnly: true, timeout: busyMs })
  reader.function('store_now', { deterministic: true }, () => BigInt(clock()))
  const db = new Kysely<Schema>({ dialect: readingDialect(reader) })

  const lexicon = createLexicon()
  let appends: Array<Waiting<Append, Appended>> = []
  let atomics: Array<Waiting<AtomicItem, Rows | 'lost'>> = []
  let waitingBytes = 0
  let busy = false
  let closing: Promise<void> | null = null
  let drained: (() => void) | null = null
  let commits = 0
  let members = 0

  const now = (): number | null => (injected ? clock() : null)

  /** Called with every arrival: the first one of a quiet moment waits for its event-loop turn, so that its neighbours join. */
  function arrive(): void {
    if (busy) return
    busy = true
    setImmediate(post)
  }

  function post(): void {
    if (appends.length === 0 && atomics.length === 0) {
      busy = false
      drained?.()
      return
    }
    const sentAppends = appends
    const sentAtomics = atomics
    appends = []
    atomics = []
    waitingBytes = 0
    const batch = pack(sentAppends, sentAtomics, now(), lexicon)
    thread.send(batch, [batch.bytes.buffer as ArrayBuffer]).then(
      (answer) => {
        commits += 1
        members += sentAppends.length + sentAtomics.length
        // The next batch first: the writer works on it while the answers of this one go out.
        post()
        if ('batch' in answer) settle(answer.batch, sentAppends, sentAtomics)
      },
      (error: CordboardError) => {
        // What this batch taught may never have arrived.
        lexicon.forget()
        for (const { reject } of sentAppends) reject(error)
        for (const { reject } of sentAtomics) reject(error)
        post()
      },
    )
  }

  const store: SqliteStore = {
    dialect: 'sqlite',
    db,
    clock: sql<number>`store_now()`,

    append(entry) {
      const refused = closing === null ? badAppend(entry) : closed()
      if (refused !== null) return Promise.reject(refused)
      if (appends.length >= maxWaiting || waitingBytes > MAX_WAITING_BYTES) {
        return Promise.reject(
          new CordboardError('overloaded', `${appends.length} deliveries wait to be stored`),
        )
      }
      waitingBytes += entry.delivery.headers.length + (entry.delivery.body?.length ?? 0)
      return new Promise((resolve, reject) => {
        appends.push({ item: entry, resolve, reject })
        arrive()
      })
    },

    atomic(guards, queries) {
      return new Promise((resolve, reject) => {
        if (closing !== null) throw closed()
        atomics.push({ item: { guards, statements: queries.map(statement) }, resolve, reject })
        arrive()
      })
    },

    now: () => Promise.resolve(clock()),

    async migrate() {
      const answer = await thread.send({ kind: 'migrate', now: now() })
      return 'migrated' in answer ? answer.migrated : []
    },

    /** A real commit: only that shows a disk which is full. */
    async check() {
      const row = { name: 'store.check', value: 'ok', updated_at: Math.trunc(clock()) }
      await store.atomic(
        [],
        [
          db
            .insertInto('settings')
            .values(row)
            .onConflict((on) => on.column('name').doUpdateSet({ updated_at: row.updated_at })),
        ],
      )
    },

    close() {
      closing ??= (async () => {
        if (busy) {
          await new Promise<void>((resolve) => {
            drained = resolve
          })
        }
        reader.close()
        // What was acknowledged is in the log, whether or not it can be moved into the file now.
        if (thread.up()) await thread.send({ kind: 'close' }).catch(() => undefined)
        await thread.end()
      })()
      return closing
    },

    stats: () => ({ commits, members, waiting: appends.length + atomics.length, waitingBytes }),

    async backup(toFile) {
      // A connection of its own: the copy runs on another thread and would make readers of a shared one wait.
      const source = new DatabaseSync(file, { readOnly: true })
      try {
        await backup(source, toFile, { rate: ALL_PAGES })
      } finally {
        source.close()
      }
    },
  }
  return store
}

function statement(query: Query): AtomicItem['statements'][number] {
  const { sql: text, parameters } = query.compile()
  // Cloning a view clones all of what it looks into; small Buffers look into Node's shared pool.
  const binds = checkBinds(parameters).map((bind) =>
    bind instanceof Uint8Array && bind.byteLength !== bind.buffer.byteLength ? new Uint8Array(bind) : bind,
  )
  return { text, binds }
}

function closed(): CordboardError {
  return new CordboardError('storage_unavailable', 'The store is closed')
}

function pack(
  appends: ReadonlyArray<Waiting<Append, Appended>>,
  atomics: ReadonlyArray<Waiting<AtomicItem, Rows | 'lost'>>,
  now: number | null,
  lexicon: Lexicon,
): Batch {
  let total = 0
  for (const { item } of appends) total += item.delivery.headers.length + (item.delivery.body?.length ?? 0)
  const bytes = new Uint8Array(total)
  const values: Array<string | number | null> = []
  let at = 0
  for (const { item } of appends) {
    const { delivery, step } = item
    for (const column of DELIVERY_COLUMNS) values.push(delivery[column])
    values.push(delivery.headers.length, delivery.body === null ? -1 : delivery.body.length)
    bytes.set(delivery.headers, at)
    at += delivery.headers.length
    if (delivery.body !== null) {
      bytes.set(delivery.body, at)
      at += delivery.body.length
    }
    for (const column of STEP_COLUMNS) values.push(step[column])
  }
  const from = lexicon.begin()
  const told = atomics.map(({ item: { guards, statements } }) => ({
    guards,
    statements: statements.map(({ text, binds }) => ({ sql: lexicon.numberOf(text), binds })),
  }))
  return {
    kind: 'batch',
    now,
    appends: values,
    bytes,
    atomics: told,
    learn: { from, texts: lexicon.fresh() },
  }
}

interface Lexicon {
  /** Before a batch: the place from which its new texts are kept. */
  begin(): number
  numberOf(text: string): number
  /** Texts that the writer does not have yet. */
  fresh(): string[]
  /** Begins anew: the writer may not have what it was told. */
  forget(): void
}

/** Lists of varying length make new texts for ever: beyond this many both ends begin anew. */
const MOST_TEXTS = 2_000

/**
 * Numbers for the texts of statements. The pipeline uses some fifty texts of half a kilobyte over and over; cloning them
 * with every use was a tenth of the main thread's time. A batch that fails takes the writer's knowledge with it.
 */
function createLexicon(): Lexicon {
  const numbers = new Map<string, number>()
  let fresh: string[] = []
  return {
    begin() {
      fresh = []
      if (numbers.size > MOST_TEXTS) numbers.clear()
      return numbers.size
    },
    forget: () => numbers.clear(),
    numberOf(text) {
      const known = numbers.get(text)
      if (known !== undefined) return known
      const number = numbers.size
      numbers.set(text, number)
      fresh.push(text)
      return number
    },
    fresh: () => fresh,
  }
}

function settle(
  answer: BatchAnswer,
  appends: ReadonlyArray<Waiting<Append, Appended>>,
  atomics: ReadonlyArray<Waiting<AtomicItem, Rows | 'lost'>>,
): void {
  for (const [at, { item, resolve, reject }] of appends.entries()) {
    const result = answer.appends[at]
    if (result === 0) resolve({ id: item.delivery.id, repeats: 0 })
    else if (result !== undefined && 'id' in result) resolve(result)
    else reject(toError(result))
  }
  for (const [at, { resolve, reject }] of atomics.entries()) {
    const result = answer.atomics[at]
    if (result === 'lost' || Array.isArray(result)) resolve(result)
    else reject(toError(result))
  }
}

function toError(failure: Failure | undefined): Error {
  const message = failure?.failed ?? 'The writer gave no answer'
  if (failure?.unique) return Object.assign(new Error(message), { code: 'UNIQUE' })
  return new CordboardError('internal', message)
}
