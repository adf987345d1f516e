import { expect, it } from 'vitest'
import { CordboardError } from '../../src/errors.ts'
import { GENERIC } from './company.ts'
import { type Installation, install } from './installation.ts'

/** A webhook that is created by the vendor's API, and ends after a while: as long as the server works, it is there. */

const HOUR_MS = 3_600_000

/** A phone system that notes when it was asked, and refuses as it is told. */
async function withSubscriptions(
  refuse: () => CordboardError | null,
): Promise<{ world: Installation; asked: string[] }> {
  const world = await install({ vendors: GENERIC })
  const asked: string[] = []
  const pbx = world.deps.config.connections.get('pbx')
  if (!pbx) throw new RangeError('there is no pbx')
  const { telephony } = pbx.connector
  pbx.connector = {
    ...pbx.connector,
    telephony: {
      ...telephony,
      async subscribe(url) {
        asked.push(url)
        const error = refuse()
        if (error) throw error
      },
    },
  }
  pbx.subscribe = true
  // The first sweep of a worker sees what the configuration wants.
  const { config } = world.deps
  await world.restart()
  world.deps.config = config
  return { world, asked }
}

it('is asked for at once and then every hour, however often workers start', async () => {
  const { world: it, asked } = await withSubscriptions(() => null)
  await using world = it
  await world.work()
  expect(asked).toEqual(['https://hooks.example.com/hooks/pbx'])
  await world.crash()
  await world.pass(2.5 * HOUR_MS)
  expect(asked).toHaveLength(3)
  const { connections } = world.deps.config
  for (const connection of connections.values()) connection.subscribe = false
  await world.pass(3 * HOUR_MS)
  expect(asked).toHaveLength(3)
})

it('that is refused is an issue with its fix, and is over when it is taken', async () => {
  let refuses = true
  const error = new CordboardError('rejected', 'The stand-in: HTTP 400')
  const { world: it, asked } = await withSubscriptions(() => (refuses ? error : null))
  await using world = it
  await world.work()
  const issue = () =>
    world.store.db.selectFrom('issues').selectAll().where('kind', '=', 'subscribe').execute()
  expect(await issue()).toMatchObject([
    { code: 'rejected', connection: 'pbx', state: 'open', fix: error.fix },
  ])
  refuses = false
  await world.pass(2.5 * HOUR_MS)
  expect(asked).toHaveLength(3)
  expect(await issue()).toMatchObject([{ state: 'resolved' }])
})
