import {
  BasicApi,
  BatchApi,
  createConfiguration,
  RequestContext,
  ResponseContext,
  SearchApi,
  wrapHttpLibrary,
} from '@hubspot/api-client/lib/codegen/crm/objects/index.js'
import type { ConnectorContext } from '../../../src/connector/contract.ts'
import type { Config } from '../schema.ts'
import { exchange } from './requests.ts'

/**
 * @hubspot/api-client, as far as it serves every object type, sending through `ctx.fetch`. It is loaded with the first
 * record that is asked for: neither the start of a Worker nor a webhook needs it.
 */
export function createRecords(ctx: ConnectorContext<Config>) {
  const { config } = ctx
  const configuration = createConfiguration({
    baseServer: {
      makeRequestContext: (endpoint, method) =>
        new RequestContext(config.baseUrl + dated(endpoint, config.apiVersion), method),
    },
    authMethods: { oauth2: { accessToken: config.token } },
    httpApi: wrapHttpLibrary({
      async send(request) {
        const url = request.getUrl()
        const body = request.getBody()
        const { status, text } = await exchange(ctx, url, {
          method: request.getHttpMethod(),
          headers: request.getHeaders(),
          ...(typeof body === 'string' ? { body } : {}),
          ...(url.endsWith('/search') ? { bucket: 'search' } : {}),
        })
        // The client reads a body by its type; that this one is JSON has been seen by now.
        return new ResponseContext(
          status,
          { 'content-type': 'application/json' },
          {
            text: async () => text,
            binary: () => Promise.reject(new TypeError('HubSpot records are no files')),
          },
        )
      },
    }),
  })
  return {
    basic: new BasicApi(configuration),
    batch: new BatchApi(configuration),
    searching: new SearchApi(configuration),
  }
}

/** `/crm/v3/objects/calls/1` → `/crm/objects/2026-03/calls/1` */
function dated(endpoint: string, version: string): string {
  return endpoint.replace(/^\/crm\/v3\/objects\//, `/crm/objects/${version}/`)
}
