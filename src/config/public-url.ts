/**
 * The public base URL is what vendors call and therefore what they sign: it comes from the configuration, never from
 * a request. Answers what a right one looks like when this one is wrong, else null.
 */
export function publicUrlFault(text: string): string | null {
  const url = URL.parse(text)
  if (!url || !/^https?:$/.test(url.protocol)) return 'an absolute https URL'
  if (url.protocol === 'http:' && !isLoopback(url.hostname))
    return 'https (http only for this machine itself)'
  if (url.username !== '' || url.password !== '') return 'a URL without user and password'
  if (url.search !== '' || url.hash !== '') return 'a URL without "?" and "#"'
  if (/\/hooks(\/|$)/.test(url.pathname)) return 'the base of the hooks, without /hooks/<connection>'
  return null
}

export function withoutTrailingSlash(url: string): string {
  return url.replace(/\/+$/, '')
}

export function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname)
}
