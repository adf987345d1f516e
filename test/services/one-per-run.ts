/**
 * The servers that all tests of one run share. The first test that asks for one has it started, in the process that
 * outlives all test files; a run that needs none starts none.
 */

/** Of the environment: where that process (setup.ts) answers with a server's address. */
export const DOOR = 'CORDBOARD_TEST_SERVICES'

export interface Shared {
  url: string
  drop(): Promise<void>
}

const started = new Map<string, Promise<Shared>>()

/** One per process and name, however many ask for it at once. */
export function once(name: string, start: () => Promise<Shared>): Promise<Shared> {
  const server = started.get(name) ?? start()
  started.set(name, server)
  return server
}

/** The address of the shared server. Outside of a vitest run it belongs to this process, and ends with it. */
export async function shared(name: string, start: () => Promise<Shared>): Promise<string> {
  const door = process.env[DOOR]
  if (door === undefined) return (await once(name, start)).url
  const response = await fetch(`${door}/${name}`)
  const text = await response.text()
  if (!response.ok) throw new Error(text)
  return text
}

/** Ends those that this process started. */
export async function endShared(): Promise<void> {
  const servers = await Promise.allSettled(started.values())
  started.clear()
  await Promise.all(
    servers.map((server) => (server.status === 'fulfilled' ? server.value.drop() : undefined)),
  )
}
