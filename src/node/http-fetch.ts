import type { HttpFetch } from '../connector/platform.ts'
import { follow } from '../connector/redirects.ts'
import { createAddressGuard, type GuardOptions } from './address-guard.ts'
import { exchange, explained } from './http-exchange.ts'

/**
 * HTTP for connectors on Node: got underneath, private addresses refused, redirects followed only when asked and checked
 * hop by hop, bodies streaming both ways.
 */
export function createHttpFetch(options: GuardOptions = {}): HttpFetch {
  const agentsFor = createAddressGuard(options)
  return (first, request) =>
    follow(first, request, async (url, hop, payload) => {
      try {
        return await exchange(url, hop, payload, agentsFor(url, hop.allowPrivate))
      } catch (error) {
        throw explained(error, url, false)
      }
    })
}
