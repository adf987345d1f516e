import { run } from './run.ts'

/** The command line, once `bin/cordboard.js` has found a Node that reads it. */
process.exitCode = await run(process.argv.slice(2))
