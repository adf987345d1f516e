import { readFile } from 'node:fs/promises'
import type { Plugin } from 'esbuild'

/**
 * What jsforce loads, and no request of ours runs: its own HTTP (736 KB of undici, which workerd does not even load), streams,
 * SOAP and CSV, and the file and the command line that connections of other programs come from.
 */
const UNUSED = new Set([
  'child_process',
  'crypto',
  'csv-parse',
  'csv-parse/sync',
  'csv-stringify',
  'csv-stringify/sync',
  'events',
  'form-data',
  'fs',
  'path',
  'querystring',
  'stream',
  'undici',
  'util',
  'xml2js',
])

const JSFORCE = /[\\/]node_modules[\\/]jsforce[\\/]lib[\\/].*\.js$/

/** Whether jsforce asks for a module that src/worker/no-node.ts stands in for. */
export const isUnused = (name: string, importer: string): boolean =>
  UNUSED.has(name) && JSFORCE.test(importer)

/** jsforce without them, in a runtime that has no process to ask for its environment. `standIn` is no-node's path. */
export const leanJsforce = (standIn: string): Plugin => ({
  name: 'lean jsforce',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^[\w-]+(?:\/sync)?$/ }, ({ path, importer }) =>
      isUnused(path, importer) ? { path: standIn } : undefined,
    )
    onLoad({ filter: JSFORCE }, async ({ path }) => ({
      contents: `var process = { env: {} }, global = globalThis;${await readFile(path, 'utf8')}`,
      loader: 'js',
    }))
  },
})
