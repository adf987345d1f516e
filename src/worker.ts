import { createApp } from './app.ts'
import { createWebSigner } from './connector/web-signer.ts'
import type { Deps } from './pipeline/deps.ts'
import { createWorker } from './pipeline/work.ts'
import { type Bundled, createConfigReader, misconfigured } from './worker/config.ts'

/** The Worker of one installation. */
export function cloudflareWorker(bundled: Bundled) {
  const readConfig = createConfigReader(bundled)
  const open = async (env: object) => {
    const read = await readConfig(env)
    if ('problems' in read) return null
    // The drivers stand in their places when they are there.
    return { ...read, signer: createWebSigner() } as unknown as Deps & typeof read
  }
  return {
    async fetch(request: Request, env: object): Promise<Response> {
      const deps = await open(env)
      return deps ? createApp(deps).fetch(request) : misconfigured()
    },
    async scheduled(_event: unknown, env: object): Promise<void> {
      const deps = await open(env)
      if (deps) createWorker(deps)
    },
  }
}
