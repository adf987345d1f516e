import type { OpenAPIHono } from '@hono/zod-openapi'
import { encodeBase64 } from '../connector/encoding.ts'
import type { Deps } from '../pipeline/deps.ts'
import type { Api } from './auth.ts'
import { referenceOf } from './docs-model.ts'
import { renderDocs } from './docs-page.ts'
import { DOCS_STYLE } from './docs-style.ts'
import { describeApi } from './document.ts'

/** All are made once, when they are first asked for: the routes do not change while the process runs. */
export function mountDocs(app: OpenAPIHono<Api>, deps: Pick<Deps, 'config' | 'signer'>): void {
  let document: ReturnType<typeof describeApi> | undefined
  let text: string | undefined
  let page: Promise<{ text: string; policy: string }> | undefined
  const described = () => {
    document ??= describeApi(app)
    return document
  }

  app.get('/openapi.json', (c) => {
    // Anybody may ask, as often as they like: writing it down takes longer than all else of the request.
    text ??= JSON.stringify(described())
    return c.body(text, 200, { 'content-type': 'application/json' })
  })

  app.get('/docs', async (c) => {
    page ??= makePage()
    const { text, policy } = await page
    return c.html(text, 200, { 'content-security-policy': policy })
  })

  async function makePage() {
    const hash = encodeBase64(await deps.signer.digest('sha256', DOCS_STYLE))
    return {
      text: await renderDocs(referenceOf(described()), deps.config.publicUrl ?? '$CORDBOARD_URL'),
      policy: `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
    }
  }
}
