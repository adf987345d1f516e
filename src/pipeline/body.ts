/** The body of a request, never more of it than allowed; null when there is more. */
export async function readBody(request: Request, most: number): Promise<Uint8Array | null> {
  if (request.method === 'GET' || request.method === 'HEAD') return new Uint8Array()
  const length = request.headers.get('content-length')
  if (length !== null && /^\d+$/.test(length)) {
    if (Number(length) > most) return null
    const body = new Uint8Array(await request.arrayBuffer())
    return body.byteLength > most ? null : body
  }
  // Chunked: nobody said how long it is, so it is counted while it comes.
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of request.body ?? []) {
    size += chunk.byteLength
    if (size > most) return null
    chunks.push(chunk)
  }
  const body = new Uint8Array(size)
  let at = 0
  for (const chunk of chunks) {
    body.set(chunk, at)
    at += chunk.byteLength
  }
  return body
}
