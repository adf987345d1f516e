import { type OpenAPIHono, z } from '@hono/zod-openapi'
import type { Api } from './auth.ts'
import { hookRefusals } from './responses.ts'

/** The OpenAPI document of the routes. It says nothing of one installation, so that the file in the repository is it. */
export type OpenApiDocument = ReturnType<typeof describeApi>

/** The receiver answers /hooks itself, ahead of every middleware; here it is only described. */
export function describeHooks(app: OpenAPIHono<Api>): void {
  app.openAPIRegistry.registerComponent('securitySchemes', 'bearer', {
    type: 'http',
    scheme: 'bearer',
    description:
      'A token of CORDBOARD_TOKENS. Each operation names the role it needs: viewer, ingest, operator or admin.',
  })
  app.openAPIRegistry.registerPath({
    method: 'post',
    path: '/hooks/{connection}/{path}',
    operationId: 'receive',
    tags: ['Hooks'],
    summary: 'Where vendors deliver: verified, stored as bytes, then answered',
    description:
      'Takes every method. What proves who sent it, which body is expected and which answer the vendor wants differ by ' +
      'connector; GET /v1/connections says how each connection verifies. The path may be empty.',
    request: {
      params: z.object({
        connection: z.string().openapi({ description: 'id of the connection' }),
        path: z.string().openapi({ description: 'as the vendor’s set-up in the connector’s README says' }),
      }),
    },
    responses: {
      ...hookRefusals,
      202: { description: 'Stored. Some vendors get the 200 they want instead.' },
    },
  })
}

export function describeApi(app: OpenAPIHono<Api>) {
  return app.getOpenAPI31Document({
    openapi: '3.1.0',
    info: {
      title: 'Cordboard',
      version: '1.0.0',
      license: { name: 'MIT' },
      description:
        'Takes phone-system webhooks, has each call transcribed and analysed, and writes the result to the right CRM ' +
        'record. Errors are RFC 9457 problem documents. Lists are paged: pass `next` of a page as `cursor` of the next.',
    },
    servers: [{ url: '/' }],
    tags: [
      { name: 'Calls', description: 'What was said, what became of it, and why' },
      { name: 'Batches', description: 'Many calls in one file, and what became of each row' },
      { name: 'Deliveries', description: 'Inbound requests as they came' },
      { name: 'Connections', description: 'The configured accounts and how they are doing' },
      { name: 'Issues', description: 'What a person should look at' },
      { name: 'Audit', description: 'Who did what' },
      { name: 'Hooks', description: 'Where vendors deliver' },
      { name: 'Health', description: 'For balancers and monitoring' },
    ],
  })
}
