/**
 * The thread that owns the only writing connection to the SQLite file. It gets one message per batch, runs the batch in
 * one transaction (one fsync) in which a bad member fails alone, and answers once.
 *
 * Measured beside HTTP on two cores: the fsync blocks this thread and not the one that answers requests.
 */
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { DELIVERY_COLUMNS, STEP_COLUMNS } from './binds.ts'
import { forDialect, MIGRATIONS, MIGRATIONS_TABLE, type Migration } from './migrations.ts'
import type { Guard } from './port.ts'
import type {
  Answer,
  Batch,
  BatchAnswer,
  Failure,
  Job,
  Row,
  Statement,
  WriterOptions,
} from './sqlite-protocol.ts'

const MEMBER_WIDTH = DELIVERY_COLUMNS.length + 2 + STEP_COLUMNS.length

const INSERT_DELIVERY = `insert into deliveries (${DELIVERY_COLUMNS.join(', ')}, headers, body)
  values (${Array(DELIVERY_COLUMNS.length + 2)
    .fill('?')
    .join(', ')}) on conflict (connection, dedupe_key) do nothing`

const REPEAT_DELIVERY = `update deliveries set repeats = repeats + 1 where connection = ? and dedupe_key = ?
  returning id, repeats`

const INSERT_STEP = `insert into steps (${STEP_COLUMNS.join(', ')})
  values (${STEP_COLUMNS.map(() => '?').join(', ')})`

// `fence` is NOT NULL, so a guard that no longer holds fails; a row that is gone shows as no change.
const GUARD_STEP = `update steps set fence = case
  when lease = ? and state = 'working' and lease_until > store_now() then fence + 1 end where id = ?`
const GUARD_CALL = 'update calls set fence = case when version = ? then fence + 1 end where id = ?'

const CONSTRAINT_NOT_NULL = 1299
const UNIQUE_CODES: ReadonlySet<number> = new Set([1555, 2067])

/**
 * Primary result codes that are the storage's fault, not the statement's: PERM, BUSY, LOCKED, NOMEM, READONLY, INTERRUPT,
 * IOERR, CORRUPT, FULL, CANTOPEN, PROTOCOL, NOLFS, NOTADB.
 */
const STORAGE_CODES: ReadonlySet<number> = new Set([3, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 22, 26])

const STATEMENTS_KEPT = 256

/** Another process may be at it for as long as an index takes. */
const MIGRATE_PATIENCE_MS = 60_000

interface Prepared {
  statement: StatementSync
  returnsRows: boolean
}

/** Code SQLite gave an error, extended; 0 when the error is not SQLite's. */
function sqliteCode(error: unknown): number {
  return error instanceof Error && 'errcode' in error && typeof error.errcode === 'number' ? error.errcode : 0
}

function words(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** Carries out jobs, one at a time, on one connection which it opens again after the storage failed. */
function createWriter({ file, busyMs }: WriterOptions): { run(job: Job): Answer } {
  let db: DatabaseSync | null = null
  let now = 0
  /** Whether the member that runs has got something done. */
  let wrote = false
  const statements = new Map<string, Prepared>()
  /** What `Statement.sql` counts in. */
  const texts: string[] = []

  function open(): DatabaseSync {
    const opened = new DatabaseSync(file, { timeout: busyMs })
    try {
      // Before the first table: a delivery takes several 4 KB pages of log, and 8 KB ones cost a quarter less CPU.
      opened.exec('pragma page_size = 8192')
      switchToWal(opened, busyMs)
      opened.exec(`pragma synchronous = full; pragma temp_store = memory; pragma cache_size = -65536;
        pragma wal_autocheckpoint = 2000`)
      // A BigInt arrives as an integer, a number would arrive as a float. Within one statement it does not change.
      opened.function('store_now', { deterministic: true }, () => BigInt(now))
    } catch (error) {
      opened.close()
      throw error
    }
    return opened
  }

  function close(): void {
    statements.clear()
    const closing = db
    db = null
    closing?.close()
  }

  /** Prepared once; the least recently used goes when there are too many. */
  function prepared(on: DatabaseSync, sql: string): Prepared {
    const known = statements.get(sql)
    if (known !== undefined) {
      statements.delete(sql)
      statements.set(sql, known)
      return known
    }
    const statement = on.prepare(sql)
    const made = { statement, returnsRows: statement.columns().length > 0 }
    statements.set(sql, made)
    if (statements.size > STATEMENTS_KEPT) {
      const [oldest] = statements.keys()
      if (oldest !== undefined) statements.delete(oldest)
    }
    return made
  }

  function prepare(on: DatabaseSync, sql: string): StatementSync {
    return prepared(on, sql).statement
  }

  function execute(on: DatabaseSync, { sql, binds }: Statement): Row[] {
    const text = texts[sql]
    if (text === undefined) throw new Error(`the statement ${sql} was never told to the writer`)
    const { statement, returnsRows } = prepared(on, text)
    const rows = returnsRows ? statement.all(...binds) : []
    if (!returnsRows) statement.run(...binds)
    wrote = true
    return rows
  }

  /** Rolls back when `run` answers null. */
  function transaction<T>(at: number | null, run: (on: DatabaseSync) => T): T {
    db ??= open()
    prepare(db, 'begin immediate').run()
    // Read once the lock is held: waiting for it must not make a lease look younger than it is.
    now = at ?? Date.now()
    const result = run(db)
    prepare(db, result === null ? 'rollback' : 'commit').run()
    return result
  }

  /**
   * Runs one member; what fails by its own fault leaves nothing. Null: it left something and has no savepoint to go
   * back to, so that the batch must be run again with one for each.
   */
  function member<T>(on: DatabaseSync, careful: boolean, run: () => T | 'lost'): T | 'lost' | Failure | null {
    wrote = false
    if (careful) prepare(on, 'savepoint member').run()
    let result: T | 'lost' | Failure
    try {
      result = run()
      if (result !== 'lost') {
        if (careful) prepare(on, 'release member').run()
        return result
      }
    } catch (error) {
      const code = sqliteCode(error)
      // A full disk and its like may already have ended the whole transaction.
      if (STORAGE_CODES.has(code & 0xff) || !on.isTransaction) throw error
      result = { failed: words(error), unique: UNIQUE_CODES.has(code) }
    }
    if (careful) {
      prepare(on, 'rollback to member').run()
      prepare(on, 'release member').run()
    } else if (wrote) return null
    return result
  }

  function holds(on: DatabaseSync, guard: Guard): boolean {
    try {
      const { changes } =
        'step' in guard
          ? prepare(on, GUARD_STEP).run(guard.lease, guard.step)
          : prepare(on, GUARD_CALL).run(guard.version, guard.call)
      if (changes === 1) wrote = true
      // Version 0: the call must not exist yet.
      return changes === 1 || ('version' in guard && guard.version === 0)
    } catch (error) {
      if (sqliteCode(error) === CONSTRAINT_NOT_NULL) return false
      throw error
    }
  }

  function append(on: DatabaseSync, values: Batch['appends'], headers: Uint8Array, body: Uint8Array | null) {
    const delivery = values.slice(0, DELIVERY_COLUMNS.length)
    if (prepare(on, INSERT_DELIVERY).run(...delivery, headers, body).changes === 0) {
      const [, connection = null] = delivery
      const key = delivery[DELIVERY_COLUMNS.indexOf('dedupe_key')] ?? null
      const stored = prepare(on, REPEAT_DELIVERY).get(connection, key)
      return { id: String(stored?.id), repeats: Number(stored?.repeats) }
    }
    wrote = true
    prepare(on, INSERT_STEP).run(...values.slice(DELIVERY_COLUMNS.length + 2))
    return 0 as const
  }

  function atomic(on: DatabaseSync, { guards, statements: queries }: Batch['atomics'][number]) {
    if (!guards.every((guard) => holds(on, guard))) return 'lost' as const
    return queries.map((query) => execute(on, query))
  }

  function members(on: DatabaseSync, job: Batch, careful: boolean): BatchAnswer | null {
    const answer: BatchAnswer = { appends: [], atomics: [] }
    let from = 0
    const take = (length: number): Uint8Array => {
      from += length
      return job.bytes.subarray(from - length, from)
    }
    for (let at = 0; at < job.appends.length; at += MEMBER_WIDTH) {
      const values = job.appends.slice(at, at + MEMBER_WIDTH)
      const headers = take(Number(values[DELIVERY_COLUMNS.length]))
      const bodyLength = Number(values[DELIVERY_COLUMNS.length + 1])
      const body = bodyLength < 0 ? null : take(bodyLength)
      const result = member(on, careful, () => append(on, values, headers, body))
      if (result === null || result === 'lost') return null
      answer.appends.push(result)
    }
    for (const one of job.atomics) {
      const result = member(on, careful, () => atomic(on, one))
      if (result === null) return null
      answer.atomics.push(result)
    }
    return answer
  }

  /** Nearly always all members are good, and savepoints cost a quarter of the CPU: they are made when one is not. */
  function batch(job: Batch): BatchAnswer {
    const answer =
      transaction(job.now, (on) => members(on, job, false)) ??
      transaction(job.now, (on) => members(on, job, true))
    if (answer === null) throw new Error('a savepoint did not hold')
    return answer
  }

  function migrate(at: number | null): string[] {
    db ??= open()
    db.exec(`pragma busy_timeout = ${MIGRATE_PATIENCE_MS}`)
    const names = transaction(at, (on) => {
      on.exec(forDialect(MIGRATIONS_TABLE, 'sqlite'))
      const ran = new Set(
        on
          .prepare('select name from migrations')
          .all()
          .map((row) => row.name),
      )
      const missing: Migration[] = MIGRATIONS.filter(({ name }) => !ran.has(name))
      for (const { name, statements: steps } of missing) {
        for (const step of steps) on.exec(forDialect(step, 'sqlite'))
        on.prepare('insert into migrations (name, at) values (?, ?)').run(name, now)
      }
      return missing.map(({ name }) => name)
    })
    db.exec(`pragma busy_timeout = ${busyMs}`)
    return names
  }

  function run(job: Job): Answer {
    try {
      if (job.kind === 'batch') {
        texts.length = job.learn.from
        texts.push(...job.learn.texts)
        return { batch: batch(job) }
      }
      if (job.kind === 'migrate') return { migrated: migrate(job.now) }
      db?.exec('pragma wal_checkpoint(truncate)')
      close()
      return { done: true }
    } catch (error) {
      // After an error of the storage the connection's own state is not trusted: the next job opens a new one.
      try {
        close()
      } catch {
        db = null
      }
      return { down: words(error) }
    }
  }

  db = open()
  return { run }
}

/**
 * Two processes that open a new file at once: the one that loses the race for the exclusive lock is told BUSY without
 * SQLite's own waiting, so it is waited for here.
 */
function switchToWal(db: DatabaseSync, patienceMs: number): void {
  const pause = new Int32Array(new SharedArrayBuffer(4))
  for (let left = patienceMs; ; left -= 20) {
    try {
      db.exec('pragma journal_mode = wal')
      return
    } catch (error) {
      if (left <= 0 || (sqliteCode(error) & 0xff) !== 5) throw error
      Atomics.wait(pause, 0, 0, 20)
    }
  }
}

/** Answers every job in the order in which they came; the first answer says that the file is open. */
function serve(port: MessagePort, options: WriterOptions): void {
  const writer = createWriter(options)
  port.on('message', (job: Job) => {
    port.postMessage(writer.run(job))
    if (job.kind === 'close') port.close()
  })
  port.postMessage({ done: true } satisfies Answer)
}

if (parentPort !== null) serve(parentPort, workerData as WriterOptions)
