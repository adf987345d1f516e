import { allowsPrivate } from '../connector/context.ts'
import type { HttpFetch } from '../connector/platform.ts'
import { follow } from '../connector/redirects.ts'
import { CordboardError } from '../errors.ts'
import type { Connections } from './connections.ts'
import { exchange } from './http-exchange.ts'
import { isPublicName } from './public-name.ts'

/**
 * HTTP for connectors on Workers: the platform's fetch with the time-outs, bounds and errors that connectors know from
 * Node, redirects checked hop by hop, bodies streaming both ways.
 *
 * `allowPrivate` opens the host to us, not the way there: in production the platform reaches public addresses, and
 * private ones only where a tunnel or a network was bound; `wrangler dev` reaches what its machine does.
 *
 * @example
 * const http = createWorkerFetch({ connections: createConnections() }) // in the handler: one for each invocation
 */
export function createWorkerFetch(options: { connections: Connections }): HttpFetch {
  return (first, request) =>
    follow(first, request, (url, hop, payload) => {
      const isHttp = url.protocol === 'https:' || url.protocol === 'http:'
      if (!isHttp || !(isPublicName(url.hostname) || allowsPrivate(url, hop.allowPrivate))) {
        throw new CordboardError('blocked_address', `${url.hostname || 'The URL'} is no public web address`)
      }
      return exchange(url, hop, payload, options.connections)
    })
}
