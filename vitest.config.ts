import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { configDefaults, defineConfig } from 'vitest/config'

// Hundreds of processes are started by these tests, each of which would strip the types of the same files again.
process.env.NODE_COMPILE_CACHE ??= fileURLToPath(new URL('node_modules/.cache/compile/', import.meta.url))

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Those run in workerd: vitest.worker.config.ts.
    exclude: [...configDefaults.exclude, 'test/worker/**'],
    testTimeout: 20_000,
    pool: 'threads',
    // Half of the files wait for servers and processes most of the time; vitest would leave one core unused.
    maxWorkers: Math.max(2, availableParallelism()),
    globalSetup: ['test/services/setup.ts'],
  },
})
