/** What the tests in workerd are given: the bindings of wrangler.toml, and what vitest.worker.config.ts adds. */
declare namespace Cloudflare {
  interface Env {
    DB: D1Database
    MEDIA: R2Bucket
    STEPS: Queue
    MEDIA_STEPS: Queue
    D1_MIGRATIONS: import('cloudflare:test').D1Migration[]
  }
}
