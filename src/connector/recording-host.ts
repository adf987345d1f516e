import { CordboardError } from '../errors.ts'

/**
 * The link of a recording, if the connection lets it be fetched from its host: whoever may log a call in a CRM writes this
 * link. Without names every host is taken that `ctx.fetch` takes.
 */
export function namedHost(link: URL, hosts: readonly string[], vendor: string): URL {
  if (hosts.length === 0 || hosts.includes(link.hostname)) return link
  throw new CordboardError('forbidden', `${vendor}: recordings at ${link.hostname} are not fetched`, {
    why: 'The connection names the hosts it may fetch recordings from, and this is none of them',
    fix: `If this host keeps your recordings, add ${link.hostname} to recordingHosts of the connection`,
  })
}
