/**
 * Whether a host, as the URL standard spells it, is a name that can belong to a vendor on the public internet. Nothing
 * shows a Worker the address behind a name; there is no private network behind one either, unless it was bound. So
 * addresses are refused in any spelling, and names that only a private resolver knows.
 */
export function isPublicName(hostname: string): boolean {
  const name = hostname.endsWith('.') ? hostname.slice(0, -1) : hostname
  const labels = name.split('.')
  const top = labels.at(-1) ?? ''
  // The URL standard turns all that may be an IPv4 address into four numbers, and no top-level name has a digit in front.
  if (labels.length < 2 || !/^[a-z][a-z0-9-]*[a-z0-9]$/.test(top)) return false
  if (!labels.every((label) => /^[\w-]{1,63}$/.test(label))) return false
  return !NOT_DELEGATED.has(top)
}

/** IANA's special-use names (2025-10), those that ICANN keeps out of the root, and those that platforms made up. */
const NOT_DELEGATED: ReadonlySet<string> = new Set([
  ...['alt', 'arpa', 'example', 'internal', 'invalid', 'local', 'localhost', 'onion', 'test'],
  ...['corp', 'home', 'mail'],
  ...['domain', 'host', 'intranet', 'lan', 'localdomain', 'private', 'router', 'svc', 'workgroup'],
])
