import { type LookupAddress, lookup as systemLookup } from 'node:dns'
import http from 'node:http'
import https from 'node:https'
import { BlockList, isIP, type LookupFunction } from 'node:net'
import { RequestFilteringHttpAgent, RequestFilteringHttpsAgent } from 'request-filtering-agent'
import { allowsPrivate } from '../connector/context.ts'

/**
 * Keeps outbound requests away from private networks (SSRF). An address is checked where the socket gets it: literals
 * before the request, names inside the agents' lookup, so that the checked address is the connected one and a name that
 * resolves differently the second time gains nothing. Two opinions, both must agree: request-filtering-agent and the
 * lists below, which also know what it takes for public (3fff::/20, the Azure platform address, IPv6 outside 2000::/3).
 */

/** IANA special-purpose registries, 2025-10; everything here is not a vendor on the public internet. */
const NOT_PUBLIC: readonly (readonly [net: string, prefix: number, family: 'ipv4' | 'ipv6'])[] = [
  ['0.0.0.0', 8, 'ipv4'],
  ['10.0.0.0', 8, 'ipv4'],
  ['100.64.0.0', 10, 'ipv4'], // CGNAT; also Alibaba's metadata service
  ['127.0.0.0', 8, 'ipv4'],
  ['168.63.129.16', 32, 'ipv4'], // public by registry, but inside Azure it is the platform's own service
  ['169.254.0.0', 16, 'ipv4'], // link-local, cloud metadata
  ['172.16.0.0', 12, 'ipv4'],
  ['192.0.0.0', 24, 'ipv4'],
  ['192.0.2.0', 24, 'ipv4'], // documentation
  ['192.88.99.0', 24, 'ipv4'], // 6to4 relays
  ['192.168.0.0', 16, 'ipv4'],
  ['198.18.0.0', 15, 'ipv4'], // benchmarks
  ['198.51.100.0', 24, 'ipv4'],
  ['203.0.113.0', 24, 'ipv4'],
  ['224.0.0.0', 4, 'ipv4'], // multicast
  ['240.0.0.0', 4, 'ipv4'], // reserved, broadcast
  ['2001::', 23, 'ipv6'], // IETF protocol assignments: Teredo, benchmarks, ORCHID
  ['2001:db8::', 32, 'ipv6'],
  ['2002::', 16, 'ipv6'], // 6to4: an IPv4 address in disguise
  ['3fff::', 20, 'ipv6'], // documentation
]

const blocked = new BlockList()
for (const [net, prefix, family] of NOT_PUBLIC) blocked.addSubnet(net, prefix, family)

/** The only global unicast space. Outside: loopback, v4-mapped, NAT64, ULA, link-local, multicast. */
const globalV6 = new BlockList()
globalV6.addSubnet('2000::', 3, 'ipv6')

export function isPublicAddress(address: string): boolean {
  const family = isIP(address)
  if (family === 4) return !blocked.check(address, 'ipv4')
  if (family === 6) return globalV6.check(address, 'ipv6') && !blocked.check(address, 'ipv6')
  return false
}

/** Refusal of an address; the text names no address, since it may tell about somebody's network. */
export class BlockedAddress extends Error {
  readonly code = 'EBLOCKED'
}

/** Whether this or one of its causes is a refusal, ours or request-filtering-agent's (which has no code). */
export function isRefusal(thrown: unknown): boolean {
  for (let error = thrown, depth = 0; error instanceof Error && depth < 8; error = error.cause, depth += 1) {
    if (error instanceof BlockedAddress || /^DNS lookup .* is not allowed\. Because/.test(error.message)) {
      return true
    }
  }
  return false
}

export interface Agents {
  http: http.Agent
  https: https.Agent
}

export interface GuardOptions {
  /** Resolves names; default the system's. For tests of rebinding. */
  lookup?: LookupFunction
  /** More certificate authorities (PEM), beside the system's. */
  ca?: readonly string[]
}

/**
 * Chooses the agents for a URL; throws BlockedAddress for a private literal or another scheme. Connections to allowed private hosts live in
 * a pool of their own: a connection without the allowance never meets their sockets.
 */
export function createAddressGuard(
  options: GuardOptions = {},
): (url: URL, allow: readonly string[]) => Agents {
  const resolve = options.lookup ?? systemLookup
  const shared = {
    keepAlive: true,
    maxFreeSockets: 16,
    // Most servers close an idle connection after 5 s; a request sent into that moment ends ambiguously.
    timeout: 4000,
    ...(options.ca === undefined ? {} : { ca: [...options.ca] }),
  }
  const checked = { ...shared, lookup: checkedLookup(resolve) }
  const filtering: Agents = {
    http: new RequestFilteringHttpAgent(checked),
    https: new RequestFilteringHttpsAgent(checked),
  }
  const trusted = { ...shared, lookup: resolve }
  const open: Agents = { http: new http.Agent(trusted), https: new https.Agent(trusted) }

  return (url, allow) => {
    if (url.protocol !== 'https:' && url.protocol !== 'http:') throw new BlockedAddress('Only HTTP is spoken')
    // got's spelling of a local socket.
    if (url.hostname === 'unix') throw new BlockedAddress('No local sockets')
    if (allowsPrivate(url, allow)) return open
    const host = url.hostname.replace(/^\[|\]$/g, '')
    if (isIP(host) !== 0 && !isPublicAddress(host)) throw new BlockedAddress('The address is not public')
    return filtering
  }
}

/** One private address among the answers refuses the name: which one gets used is not ours to choose. */
function checkedLookup(resolve: LookupFunction): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, options, (error, answer, family) => {
      if (error) return callback(error, answer, family)
      const all: readonly LookupAddress[] =
        typeof answer === 'string' ? [{ address: answer, family: family ?? 0 }] : answer
      if (all.length === 0 || !all.every(({ address }) => isPublicAddress(address))) {
        return callback(
          new BlockedAddress('The name resolves to an address that is not public'),
          answer,
          family,
        )
      }
      callback(null, answer, family)
    })
  }
}
