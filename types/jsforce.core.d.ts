// Stands in for jsforce when the core is type-checked: the library's own declarations pull in Node's types, which would let
// `process` and `Buffer` slip into files that must run anywhere. The full check uses the real ones.
export declare class StreamPromise<T> extends Promise<T> {}
export declare class Connection {
  instanceUrl: string
  limitInfo: { apiUsage?: { used: number; limit: number } }
  constructor(options: { instanceUrl: string; version: string; logLevel: 'NONE' })
  request<R = unknown>(
    request: string | { method: string; url: string; headers?: Record<string, string>; body?: unknown },
    options?: object,
  ): StreamPromise<R>
  _normalizeUrl(url: string): string
  search(sosl: string): Promise<unknown>
  create(type: string, record: object, options: { headers: Record<string, string> }): Promise<unknown>
  update(type: string, record: object): Promise<unknown>
  upsert(type: string, record: object, field: string): Promise<unknown>
  describe(type: string): Promise<unknown>
}
// faye's: what is used of it stands where it is used.
export declare const Client: new (url: string, options: object) => object
export declare const StreamingExtension: {
  AuthFailure: new (failed: (message: unknown) => void) => object
  Replay: new (channel: string, from: number) => object
}
