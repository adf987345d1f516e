import { CordboardError } from '../errors.ts'

/** In the place of a client's own HTTP, which would bring Node's with it: connectors send through `ctx.fetch`. */
export function sendBufferedRequest(): never {
  throw new CordboardError('internal', 'A client sent a request by itself instead of through ctx.fetch')
}
