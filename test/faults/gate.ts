import type { VendorSandbox } from '../../src/connector/sandbox.ts'
import { within } from './within.ts'

export interface Gate {
  /** Resolves when the request is here; its work is done unless the gate stands before it. Rejects when none comes. */
  reached(): Promise<void>
  /** Lets the answer go. */
  open(): void
}

export interface GateOptions {
  method: string
  /** The whole path must match. */
  path: RegExp
  /** The request is held before anything is done; default after the work, so that only the answer is missing. */
  before?: boolean
}

/** Holds the next matching request at a stand-in: the moment between the vendor's commit and ours, as long as it takes. */
export function gate(vendor: VendorSandbox, { method, path, before = false }: GateOptions): Gate {
  const { app } = vendor
  const handle = app.fetch
  const reached = Promise.withResolvers<void>()
  const opened = Promise.withResolvers<void>()
  let armed = true
  app.fetch = async (request, ...rest) => {
    const { pathname } = new URL(request.url)
    if (!armed || request.method !== method || !path.test(pathname)) return handle(request, ...rest)
    armed = false
    if (before) {
      reached.resolve()
      await opened.promise
      return handle(request, ...rest)
    }
    const response = await handle(request, ...rest)
    reached.resolve()
    await opened.promise
    return response
  }
  return {
    reached: () => within(`${method} ${path} is asked for`, reached.promise, 30_000),
    open: () => opened.resolve(),
  }
}
