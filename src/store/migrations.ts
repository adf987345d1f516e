/**
 * The migrations: plain statements, one source for all three databases, runnable by hand without introspection (D1
 * forbids it). Types are written for SQLite; `forDialect` turns them into PostgreSQL's. Only ever add to the end;
 * migrations expand, they never take away, so that one version back still runs.
 */

export interface Migration {
  name: string
  statements: readonly string[]
}

export const MIGRATIONS: readonly Migration[] = [
  {
    name: '0001-first',
    statements: [
      `create table deliveries (
        id text primary key, connection text not null, role text not null, received_at integer not null,
        method text not null, url text not null, path text not null, headers blob not null, body blob,
        media_id text, bytes integer not null, dedupe_key text not null, repeats integer not null,
        state text not null, reason text)`,
      `create unique index deliveries_dedupe on deliveries (connection, dedupe_key)`,
      `create index deliveries_connection on deliveries (connection, id)`,
      `create index deliveries_trouble on deliveries (state, id) where state in ('unreadable', 'ignored')`,

      `create table refusals (
        connection text not null, code text not null, hour_at integer not null, count integer not null,
        last_at integer not null, sample text not null, primary key (connection, code, hour_at))`,

      `create table events (
        connection text not null, event_key text not null, call_id text not null, delivery_id text,
        phase text not null, received_at integer not null, event text not null,
        primary key (connection, event_key))`,
      `create index events_call on events (call_id)`,

      `create table call_keys (
        connection text not null, external_id text not null, call_id text not null,
        primary key (connection, external_id))`,
      `create index call_keys_call on call_keys (call_id)`,
      `create index call_keys_external on call_keys (external_id)`,

      `create table calls (
        id text primary key, connection text not null, external_id text not null, state text not null, reason text,
        version integer not null, generation integer not null, flow text, flow_version text,
        started_at integer not null, ended_at integer, updated_at integer not null, wait_until integer,
        waited integer not null, direction text, result text, customer_phone text, customer_tail text,
        agent_extension text, submit_hash text, call text not null, analysis text, joined_into text,
        fence integer not null)`,
      `create index calls_started on calls (started_at desc, id desc) where joined_into is null`,
      `create index calls_joined on calls (joined_into) where joined_into is not null`,
      `create index calls_phone on calls (customer_phone, started_at desc, id desc)`,
      `create index calls_tail on calls (customer_tail, started_at desc, id desc)`,
      `create index calls_connection on calls (connection, started_at desc, id desc)`,
      `create index calls_state on calls (state, started_at desc, id desc)`,
      `create index calls_direction on calls (direction, started_at desc, id desc)`,
      `create index calls_result on calls (result, started_at desc, id desc)`,
      `create index calls_waiting on calls (wait_until) where state = 'waiting'`,

      `create table steps (
        id text primary key, kind text not null, lane text not null, subject text not null, call_id text,
        connection text not null, generation integer not null, flow text, flow_version text, state text not null,
        due_at integer not null, attempts integer not null, crashes integer not null, lease text,
        lease_until integer, code text, reason text, awaiting text, created_at integer not null,
        updated_at integer not null, fence integer not null)`,
      `create unique index steps_once on steps (kind, subject, connection, generation)`,
      `create index steps_due on steps (lane, due_at) where state = 'waiting'`,
      `create index steps_held on steps (lease_until) where state = 'working'`,
      `create index steps_stuck on steps (connection, code) where state in ('parked', 'dead')`,
      `create index steps_awaiting on steps (connection, awaiting) where awaiting is not null`,
      `create index steps_call on steps (call_id)`,

      `create table attempts (
        id text primary key, step_id text not null, call_id text, connection text not null, kind text not null,
        at integer not null, took_ms integer not null, outcome text not null, code text, says text not null)`,
      `create index attempts_call on attempts (call_id, id)`,

      `create table submissions (
        id text primary key, call_id text not null, connection text not null, generation integer not null, flow text,
        state text not null, ref text, checkpoint text, expects text not null, created_at integer not null,
        submitted_at integer, done_at integer, wait_until integer, reason text)`,
      `create unique index submissions_once on submissions (call_id, connection, generation)`,
      `create index submissions_ref on submissions (connection, ref) where ref is not null`,

      `create table results (
        submission_id text not null, part text not null, call_id text not null, via text not null,
        received_at integer not null, hash text not null, analysis text not null,
        primary key (submission_id, part))`,

      `create table writebacks (
        id text primary key, call_id text not null, connection text not null, state text not null, target_type text,
        target_id text, target_reason text, candidates text not null, chosen integer not null, matched_at integer,
        written_at integer)`,
      `create unique index writebacks_once on writebacks (call_id, connection)`,

      `create table writeback_parts (
        writeback_id text not null, part text not null, kind text not null, intent_at integer, external_id text,
        hash text, fields text, written_at integer, primary key (writeback_id, part))`,

      `create table people (
        connection text not null, phone text not null, writeback_id text not null, external_type text,
        external_id text, created_at integer not null, primary key (connection, phone))`,

      `create table issues (
        id text primary key, kind text not null, code text not null, connection text not null, state text not null,
        count integer not null, first_at integer not null, last_at integer not null, says text not null,
        fix text not null, call_id text, step_id text, delivery_id text)`,
      `create unique index issues_once on issues (kind, code, connection)`,

      `create table breakers (
        connection text primary key, state text not null, code text, says text, failures integer not null,
        opened_at integer, retry_at integer)`,

      `create table audit (
        id text primary key, at integer not null, actor text not null, action text not null, subject text not null,
        detail text not null)`,

      `create table settings (name text primary key, value text not null, updated_at integer not null)`,
    ],
  },
  {
    name: '0002-tokens',
    statements: [
      `create table tokens (
        connection text not null, name text not null, version integer not null, sealed blob, issued_at integer,
        expires_at integer, lease text, lease_until integer, failed_at integer, failure text,
        primary key (connection, name))`,
    ],
  },
  {
    name: '0003-minutes',
    statements: [
      `alter table submissions add column audio_ms integer`,
      `create index submissions_spent on submissions (connection, created_at)`,
    ],
  },
  {
    name: '0004-budgets',
    statements: [
      `create table budgets (
        name text primary key, start_at integer not null, used integer not null, ahead_ms integer not null,
        log text not null, wait_ms integer not null, keep_until integer not null)`,
    ],
  },
  {
    name: '0005-batches',
    statements: [
      `create table batches (
        id text primary key, connection text not null, content text not null, state text not null,
        count integer not null, bytes integer not null, last_member text, due_at integer not null, checkpoint text,
        created_at integer not null, ended_at integer, reason text)`,
      `create unique index batches_open on batches (connection, content) where state = 'gathering'`,
      `create index batches_created on batches (created_at)`,

      `create table batch_members (
        submission_id text primary key, batch_id text not null, step_id text not null, bytes integer not null, ref text,
        failed text)`,
      `create index batch_members_batch on batch_members (batch_id, submission_id)`,
    ],
  },
  {
    name: '0006-uploads',
    statements: [
      `create table uploads (
        id text primary key, connection text not null, delivery_id text not null, call_id text not null)`,
      `create index uploads_call on uploads (call_id)`,
    ],
  },
  {
    name: '0007-conversation',
    statements: [`alter table submissions add column conversation text`],
  },
  {
    name: '0008-imports',
    statements: [
      `create table imports (
        id text primary key, connection text not null, key text not null, actor text not null, state text not null,
        archive integer not null, archive_bytes integer not null, csv_bytes integer not null, columns text,
        place integer not null, line integer not null, taken integer not null, known integer not null,
        refused integer not null, files integer not null, strays integer not null, unpacked integer not null,
        reason text, created_at integer not null, updated_at integer not null, ended_at integer)`,
      `create unique index imports_once on imports (connection, key)`,

      `create table import_rows (
        import_id text not null, line integer not null, verdict text not null, call_id text, code text, says text,
        primary key (import_id, line))`,
      `create index import_rows_refused on import_rows (import_id, line) where verdict = 'refused'`,

      `create table import_files (
        import_id text not null, name text not null, at integer not null, packed integer not null,
        bytes integer not null, method integer not null, crc integer not null, fault text, line integer, hash text,
        primary key (import_id, name))`,
    ],
  },
  {
    // A record that was merged, deleted or erased in the CRM, and the calls that are on it.
    name: '0009-records',
    statements: [`create index writebacks_by_record on writebacks (connection, target_id)`],
  },
  {
    // Whom we made such a record for, and under which number: with each record that was merged or deleted.
    name: '0010-contacts',
    statements: [
      `create index writeback_parts_contact on writeback_parts (external_id) where kind = 'contact'`,
      `create index people_record on people (connection, external_id)`,
    ],
  },
  {
    // What was erased because somebody asked for it, as hashes of its names; and the record that a call was on when it was
    // deleted, which may turn out to be such a wish.
    name: '0011-erased',
    statements: [
      `create table erased (hash text primary key, at integer not null)`,
      `alter table writebacks add column former text`,
      `create index writebacks_by_former on writebacks (connection, former) where former is not null`,
    ],
  },
]

/** Table of what has been run; created before everything else. */
export const MIGRATIONS_TABLE =
  'create table if not exists migrations (name text primary key, at integer not null)'

/** What has not run yet, of a database that names these. */
export function missingFrom(ran: ReadonlyArray<{ name?: unknown }>): Migration[] {
  const names = new Set(ran.map(({ name }) => name))
  return MIGRATIONS.filter(({ name }) => !names.has(name))
}

/**
 * A statement in the dialect's types. PostgreSQL: instants do not fit its 4-byte integer, bytes are bytea, and text is
 * ordered by its bytes whatever language the database was made for: ids carry their age, and pages go by them.
 */
export function forDialect(statement: string, dialect: 'sqlite' | 'postgres' | 'd1'): string {
  if (dialect === 'postgres') {
    return statement
      .replaceAll(/\binteger\b/g, 'bigint')
      .replaceAll(/\bblob\b/g, 'bytea')
      .replaceAll(/\btext\b/g, 'text collate "C"')
  }
  // STRICT keeps SQLite from storing a text where a number belongs.
  return statement.startsWith('create table') ? `${statement} strict` : statement
}

/** D1's own clock, in whole ms since 1970. */
export const D1_CLOCK = "cast(round(unixepoch('subsec') * 1000) as integer)"

/**
 * A migration for D1, which runs its files itself: the table of what has been run and the migration's own row come first,
 * so that one which has run stops before it touches anything. `clock`: an expression, or an instant.
 */
export function d1Statements({ name, statements }: Migration, clock: string): string[] {
  const recorded = `insert into migrations (name, at) values ('${name}', ${clock})`
  return [MIGRATIONS_TABLE, recorded, ...statements].map((statement) =>
    forDialect(statement, 'd1').replaceAll(/\n {6,}/g, '\n  '),
  )
}
