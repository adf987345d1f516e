import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { configDefaults, defineConfig } from 'vitest/config'

// Hundreds of processes are started by these tests, each of which would strip the types of the same files again.
process.env.NODE_COMPILE_CACHE ??= fileURLToPath(new URL('node_modules/.cache/compile/', import.meta.url))

/** Half of the files wait for servers and processes most of the time; vitest would leave one core unused. */
export const AT_ONCE = Math.max(2, availableParallelism())

/** What runs on Node. */
export default defineConfig({
  test: {
    name: 'node',
    include: ['test/**/*.test.ts'],
    // The first run in workerd, the second by itself: see vitest.config.ts.
    exclude: [...configDefaults.exclude, 'test/worker/**', 'test/faults/overload.test.ts'],
    testTimeout: 20_000,
    pool: 'threads',
    maxWorkers: AT_ONCE,
    globalSetup: ['test/services/setup.ts'],
  },
})
