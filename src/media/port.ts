/** The media port: bytes too large for a row (bodies over 256 KB, uploads, archive), kept by id and read as streams. */
export interface Media {
  /** Durable when it resolves. Refuses (too_large) beyond `maxBytes` and leaves nothing behind. */
  put(id: string, body: ReadableStream<Uint8Array> | Uint8Array, maxBytes: number): Promise<{ bytes: number }>
  /** Null when there is nothing with this id. `range` is inclusive, as in HTTP. */
  get(
    id: string,
    range?: { start: number; end?: number },
  ): Promise<{ body: ReadableStream<Uint8Array>; bytes: number } | null>
  /** Where somebody without our credentials may PUT what `id` names, for so long. Absent where only we can. */
  uploadUrl?(id: string, lifeMs: number): Promise<{ url: string; headers: Record<string, string> }>
  delete(ids: readonly string[]): Promise<void>
  check(): Promise<void>
}
