/** An address of a vendor's API: the connection's base URL, with or without a slash at its end, a path, and a query. */
export function apiUrl(baseUrl: string, path: string, query: Readonly<Record<string, string>> = {}): string {
  const search = new URLSearchParams(query).toString()
  return `${baseUrl.replace(/\/+$/, '')}${path}${search && `?${search}`}`
}
