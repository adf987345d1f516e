import { encodeBase64Url } from '../connector/encoding.ts'
import type { Query } from '../store/port.ts'
import type { SettingRow } from '../store/schema.ts'
import type { Deps } from './deps.ts'
import { toHex } from './hash.ts'

// What was erased because somebody asked for it stays erased: a sender repeats its webhook, a vendor's list still has the
// call. Of each name it had a keyed hash stays, since names of phone systems may hold numbers. Nobody knows how far back a
// list will be read one day, and few people ask: these rows stay for good. What is erased by its age leaves none, so that a
// backfill can bring it back.

type Needed = Pick<Deps, 'store' | 'signer' | 'now'>

/** By which a connection names a call, or a submission of one: a service's reference, or our own id of it. */
export interface Name {
  connection: string
  of: 'call' | 'submission'
  id: string
}

const KEY = 'erased.key'
/** No statement has more than 100 parameters. */
const READ_AT_ONCE = 90
const WRITTEN_AT_ONCE = 45

/** Those of the ids that were erased. To be asked after `call_keys`: what is erased in between is seen here then. */
export async function erasedAmong(
  deps: Needed,
  { connection, of }: Omit<Name, 'id'>,
  ids: Iterable<string>,
): Promise<ReadonlySet<string>> {
  const distinct = new Set(ids)
  const key = distinct.size === 0 ? null : await keyOf(deps)
  // Nothing was ever erased, which is the rule.
  if (key === null) return new Set()
  const idOf = new Map<string, string>()
  for (const id of distinct) idOf.set(await hashed(deps, key, { connection, of, id }), id)
  const hashes = [...idOf.keys()]
  const erased = new Set<string>()
  for (let at = 0; at < hashes.length; at += READ_AT_ONCE) {
    const rows = await deps.store.db
      .selectFrom('erased')
      .select('hash')
      .where('hash', 'in', hashes.slice(at, at + READ_AT_ONCE))
      .execute()
    for (const { hash } of rows) erased.add(idOf.get(hash) ?? '')
  }
  return erased
}

/** What keeps these from coming back; to be committed with their erasure. */
export async function markErased(deps: Needed, names: readonly Name[]): Promise<Query[]> {
  if (names.length === 0) return []
  const key = (await keyOf(deps)) ?? (await makeKey(deps))
  const hashes = new Set<string>()
  for (const name of names) hashes.add(await hashed(deps, key, name))
  const rows = [...hashes].map((hash) => ({ hash, at: deps.now() }))
  const queries: Query[] = []
  for (let at = 0; at < rows.length; at += WRITTEN_AT_ONCE)
    queries.push(
      deps.store.db
        .insertInto('erased')
        .values(rows.slice(at, at + WRITTEN_AT_ONCE))
        .onConflict((conflict) => conflict.column('hash').doNothing()),
    )
  return queries
}

async function hashed({ signer }: Needed, key: string, { connection, of, id }: Name): Promise<string> {
  return toHex(await signer.hmac('sha256', key, JSON.stringify([of, connection, id])))
}

/** It lies in the store, and so lasts as long as what it is for: secrets of connections change. */
async function keyOf({ store }: Needed): Promise<string | null> {
  const row = await store.db.selectFrom('settings').select('value').where('name', '=', KEY).executeTakeFirst()
  return row?.value ?? null
}

async function makeKey(deps: Needed): Promise<string> {
  const value = encodeBase64Url(crypto.getRandomValues(new Uint8Array(32)))
  const row: SettingRow = { name: KEY, value, updated_at: deps.now() }
  const save = deps.store.db
    .insertInto('settings')
    .values(row)
    .onConflict((conflict) => conflict.doNothing())
  await deps.store.atomic([], [save])
  // Another process may have made it first.
  return (await keyOf(deps)) ?? value
}
