// Stands in for @hubspot/api-client when the core is type-checked: the library's own declarations pull in Node's types,
// which would let `process` and `Buffer` slip into files that must run anywhere. The full check uses the real ones.
export type FilterOperatorEnum = string & { readonly filter: unique symbol }
export type AssociationSpecAssociationCategoryEnum = string & { readonly category: unique symbol }
export declare class RequestContext {
  constructor(url: string, method: string)
  getUrl(): string
  getBody(): unknown
  getHttpMethod(): string
  getHeaders(): Record<string, string>
}
export declare class ResponseContext {
  constructor(
    status: number,
    headers: Record<string, string>,
    body: { text(): Promise<string>; binary(): Promise<never> },
  )
}
export interface Configuration {
  readonly brand: unique symbol
}
export declare function wrapHttpLibrary(library: {
  send(request: RequestContext): Promise<ResponseContext>
}): { readonly library: unique symbol }
export declare function createConfiguration(options: {
  baseServer: { makeRequestContext(endpoint: string, method: string): RequestContext }
  authMethods: { oauth2: { accessToken: string } }
  httpApi: ReturnType<typeof wrapHttpLibrary>
}): Configuration
export declare class BasicApi {
  constructor(c: Configuration)
  getById(
    type: string,
    id: string,
    properties?: string[],
    history?: string[],
    associations?: string[],
    archived?: boolean,
    idProperty?: string,
  ): Promise<unknown>
  getPage(type: string, limit: number): Promise<unknown>
  create(type: string, input: object): Promise<unknown>
  update(type: string, id: string, input: object): Promise<unknown>
}
export declare class BatchApi {
  constructor(c: Configuration)
  read(type: string, input: object): Promise<unknown>
  upsert(type: string, input: object): Promise<object & { errors?: { message: string }[] }>
}
export declare class SearchApi {
  constructor(c: Configuration)
  doSearch(type: string, request: object): Promise<unknown>
}
