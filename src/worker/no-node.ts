/**
 * In the place of the Node modules and libraries that jsforce loads for its own HTTP, its streams, SOAP and CSV: none of them
 * is used here: its REST requests go through `ctx.fetch`. Emitters work, since its connection is one; all else is only there
 * for classes to be derived from. src/cli/worker-jsforce.ts puts it there.
 */

type Listener = (...values: unknown[]) => void

export class EventEmitter {
  readonly #listeners = new Map<string, Set<Listener>>()

  on(name: string, listener: Listener): this {
    this.#listeners.set(name, (this.#listeners.get(name) ?? new Set()).add(listener))
    return this
  }

  removeAllListeners(name: string): this {
    this.#listeners.delete(name)
    return this
  }

  emit(name: string, ...values: unknown[]): boolean {
    const listeners = this.#listeners.get(name) ?? new Set()
    for (const listener of [...listeners]) listener(...values)
    return listeners.size > 0
  }
}

export class Duplex extends EventEmitter {}
export class PassThrough extends EventEmitter {}
export class Readable extends EventEmitter {}
export class Transform extends EventEmitter {}
export class Writable extends EventEmitter {}

/** undici's: made when jsforce is loaded, and never asked to connect. */
export class Agent {}

/** util's, around the commands of a command line that is not there. */
export const promisify = (command: unknown): unknown => command

/** For those that are only looked into when they are used. */
export default {}
