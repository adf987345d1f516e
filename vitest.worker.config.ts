import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { cloudflareTest, readD1Migrations } from '@cloudflare/vitest-plugin'
import { defineConfig } from 'vitest/config'
import { isUnused } from './src/cli/worker-jsforce.ts'
import { AT_ONCE } from './vitest.node.config.ts'

// Offline, and without a trace: wrangler would ask for the location of this machine, count its use, and keep its log and a
// list of running Workers in the home folder.
const folder = mkdtempSync(join(tmpdir(), 'cordboard-wrangler-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
Object.assign(process.env, {
  CLOUDFLARE_CF_FETCH_ENABLED: 'false',
  WRANGLER_SEND_METRICS: 'false',
  XDG_CONFIG_HOME: folder,
})

/** jsforce as a Worker has it: what it loads and never runs would not load in workerd. */
const standIn = resolve('src/worker/no-node.ts')
const jsforce = {
  enabled: true,
  include: ['jsforce/lib/connection.js', 'jsforce/lib/util/promise.js'],
  rolldownOptions: {
    plugins: [
      {
        name: 'lean jsforce',
        resolveId: (name: string, importer = '') => (isUnused(name, importer) ? standIn : null),
      },
    ],
  },
}

/** Tests that run inside workerd, with the bindings of wrangler.toml kept locally. */
export default defineConfig({
  plugins: [
    cloudflareTest(async () => ({
      main: './test/worker/entry.ts',
      wrangler: { configPath: './wrangler.toml' },
      miniflare: { bindings: { D1_MIGRATIONS: await readD1Migrations('src/store/d1-migrations') } },
    })),
  ],
  test: {
    name: 'worker',
    deps: { optimizer: { ssr: jsforce } },
    maxWorkers: AT_ONCE,
    include: ['test/worker/**/*.test.ts'],
    globalSetup: ['test/worker/loopback.ts'],
    // A thousand batches of D1 are five seconds of a quiet machine.
    testTimeout: 60_000,
  },
})
