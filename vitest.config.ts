import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'
import { AT_ONCE } from './vitest.node.config.ts'

/** Folders whose files take minutes: begun last, one of them would keep the run waiting alone. */
const LONG = [
  '/test/faults/',
  '/test/connectors.test.ts',
  '/test/runtime/',
  '/test/evidence/',
  '/test/scenarios/',
]

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification) => {
      const at = LONG.findIndex((folder) => moduleId.includes(folder))
      return at < 0 ? LONG.length : at
    }
    return (await super.sort(files)).toSorted((a, b) => place(a) - place(b))
  }
}

/** All tests. Some of them: `vitest run test/unit/phone.test.ts`, `vitest run --project worker`. */
export default defineConfig({
  test: {
    projects: [
      'vitest.node.config.ts',
      'vitest.worker.config.ts',
      // Thousands of senders are told apart from a slow server only where nothing else wants the processors.
      {
        test: {
          name: 'alone',
          include: ['test/faults/overload.test.ts'],
          pool: 'threads',
          globalSetup: ['test/services/setup.ts'],
          sequence: { groupOrder: 1 },
          maxWorkers: AT_ONCE,
        },
      },
    ],
    sequence: { sequencer: LongestFirst },
  },
})
