import { claimQuery, renewQuery } from '../../src/store/claim.ts'
import type { Query, Store } from '../../src/store/port.ts'
import { step } from './rows.ts'

/**
 * Many steps at once, each with its own random order of what two workers and the sweep do to it; all share the clock,
 * which moves between rounds. Every answer is compared with what the rules say.
 */
export async function interleave(store: Store, steps: number, seed: number, pass: (ms: number) => void) {
  const random = generator(seed)
  const LEASE_MS = 20
  const rounds = Array.from({ length: 10 }, (_, n) => n)
  const { db } = store
  const models = Array.from({ length: steps }, (_, n) => ({
    id: `stp_${n}`,
    lane: `lane ${n}`,
    state: 'waiting',
    lease: '',
    until: 0,
    tokens: ['never', 'never'],
  }))
  const queries: Query[] = models.map(({ lane }, n) => db.insertInto('steps').values(step(n, { lane })))
  await store.atomic([], queries)
  const wrong: string[] = []
  let commits = 0
  let zombies = 0

  for (const round of rounds) {
    const now = await store.now()
    await Promise.all(
      models.map(async (model) => {
        const worker = random() < 0.5 ? 0 : 1
        const token = model.tokens[worker] ?? ''
        const holds = model.state === 'working' && model.lease === token && model.until > now
        const move = random()
        if (move < 0.4) {
          const lease = `${worker} in ${round}`
          const free = model.state === 'waiting'
          const query = claimQuery(store, { lane: model.lane, room: 1, lease, leaseMs: LEASE_MS })
          if (free) Object.assign(model, { state: 'working', lease, until: now + LEASE_MS })
          if (free) model.tokens[worker] = lease
          const answer = await store.atomic([], [query])
          if ((answer[0]?.length === 1) !== free) wrong.push(`claim ${model.id} round ${round}`)
        } else if (move < 0.55) {
          if (holds) model.until = now + LEASE_MS
          const query = renewQuery(store, { step: model.id, lease: token, leaseMs: LEASE_MS })
          const answer = await store.atomic([], [query])
          if ((answer[0]?.length === 1) !== holds) wrong.push(`renew ${model.id} round ${round}`)
        } else if (move < 0.75) {
          const ranOut = model.state === 'working' && model.until <= now
          if (ranOut) Object.assign(model, { state: 'waiting', lease: '' })
          const free = db
            .updateTable('steps')
            .set({ state: 'waiting', lease: null, lease_until: null })
            .where('id', '=', model.id)
            .where('state', '=', 'working')
            .where('lease_until', '<=', store.clock)
            .returning('id')
          const answer = await store.atomic([], [free])
          if ((answer[0]?.length === 1) !== ranOut) wrong.push(`expire ${model.id} round ${round}`)
        } else {
          if (holds) Object.assign(model, { state: 'done', lease: '' })
          if (holds) commits += 1
          else if (token !== 'never') zombies += 1
          const answer = await store.atomic(
            [{ step: model.id, lease: token }],
            [
              db.insertInto('attempts').values({
                id: `${model.id} ${token} ${round}`,
                step_id: model.id,
                call_id: null,
                connection: 'c',
                kind: 'merge',
                at: now,
                took_ms: 1,
                outcome: 'ok',
                code: null,
                says: token,
              }),
              db.updateTable('steps').set({ state: 'done', lease: null }).where('id', '=', model.id),
            ],
          )
          if ((answer !== 'lost') !== holds) wrong.push(`commit ${model.id} round ${round}`)
        }
      }),
    )
    pass(Math.floor(random() * 15))
  }
  const states = await db.selectFrom('steps').select(['id', 'state']).execute()
  const known = new Map(models.map((model) => [model.id, model.state]))
  for (const { id, state } of states) if (known.get(id) !== state) wrong.push(`${id} ended as ${state}`)
  return { wrong, commits, zombies }
}

/** Mulberry32: the same interleavings again from the seed that a failure prints. */
function generator(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
