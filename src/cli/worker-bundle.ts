import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { basename, dirname, extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import type { BuildFailure, BuildOptions, Metafile, Plugin } from 'esbuild'
import { CordboardError } from '../errors.ts'
import { leanJsforce } from './worker-jsforce.ts'

/**
 * Bundles the module of a Worker into files that workerd loads one by one: what is behind an `import()` is evaluated when it
 * is first needed. wrangler bundles into one file, where everything is evaluated at each start; with `no_bundle` it takes
 * these as they are. esbuild is the one that wrangler brings.
 */
export interface WorkerFiles {
  /** All of them together, as they are sent. */
  gzipBytes: number
  /** What each is made of. */
  meta: Metafile
}

/**
 * Writes them into `folder`, where those of an earlier bundle go away. A file that is right already is left alone: wrangler
 * dev watches them.
 */
export async function bundleWorker(module: string, folder: string): Promise<WorkerFiles> {
  const { build } = await loadEsbuild()
  const options = (cordboard: string) => ({
    ...OPTIONS,
    entryPoints: { worker: module },
    outdir: folder,
    plugins: [leftOut(cordboard), leanJsforce(own('worker/no-node')), lazyNumberingPlans, builtins],
  })
  // Few configurations import anything else. The second time, the words for what is wrong are the right ones.
  const made = await build(options('worker/configuration'))
    .catch(() => build(options('index')))
    .catch(notBundled)
  mkdirSync(folder, { recursive: true })
  const names = new Set(made.outputFiles.map(({ path }) => basename(path)))
  const old = readdirSync(folder).filter((name) => CHUNK.test(name) && !names.has(name))
  for (const name of old) rmSync(join(folder, name))
  for (const { path, contents } of made.outputFiles)
    if (!existsSync(path) || !readFileSync(path).equals(contents)) writeFileSync(path, contents)
  const modules = made.outputFiles.filter(({ path }) => path.endsWith('.mjs'))
  const gzipBytes = gzipSync(Buffer.concat(modules.map(({ contents }) => contents))).length
  return { gzipBytes, meta: made.metafile }
}

/** How esbuild names what it splits off. */
const CHUNK = /^[\w-]+-[A-Z0-9]{8}\.mjs(?:\.map)?$/

function notBundled(cause: BuildFailure): never {
  const [first] = cause.errors ?? []
  const { file, line } = first?.location ?? {}
  throw new CordboardError('config', 'The Worker cannot be bundled', {
    why: `${first?.text ?? cause.message}${file === undefined ? '' : ` (${file}:${line})`}`,
    fix: 'Correct what the configuration or a connector of yours imports',
    cause,
  })
}

const OPTIONS = {
  bundle: true,
  splitting: true,
  format: 'esm',
  // As the rule of wrangler.toml has them.
  outExtension: { '.js': '.mjs' },
  // A start costs what there is to parse; the log keeps its places by the source maps.
  minify: true,
  sourcemap: 'linked',
  // What workerd runs, as wrangler tells esbuild.
  target: 'es2024',
  supported: { using: true },
  conditions: ['workerd', 'worker', 'browser'],
  platform: 'browser',
  define: { 'process.env.NODE_ENV': '"production"' },
  external: ['cloudflare:*'],
  metafile: true,
  write: false,
  logLevel: 'silent',
} as const satisfies BuildOptions

async function loadEsbuild() {
  try {
    return await import('esbuild')
  } catch (cause) {
    throw new CordboardError('config', 'esbuild, which bundles a Worker, is not installed here', {
      why: 'It comes with wrangler',
      fix: 'Run in this folder: npm install wrangler',
      cause,
    })
  }
}

/** Of this very program, in a checkout (TypeScript) and in the published package (compiled) alike. */
const own = (path: string) =>
  fileURLToPath(new URL(`../../src/${path}${extname(import.meta.url)}`, import.meta.url))

/**
 * What a configuration imports as `cordboard` is this program. zod comes without its fifty languages and its compiler, and
 * HubSpot's client without the HTTP of its own that it never uses here: no bundler leaves them out by itself.
 */
function leftOut(cordboard: string): Plugin {
  return {
    name: 'left out',
    setup({ onResolve }) {
      onResolve({ filter: /^cordboard$/ }, () => ({ path: own(cordboard) }))
      onResolve({ filter: /^zod$/ }, () => ({ path: own('worker/zod/index') }))
      onResolve({ filter: /\/services\/http\/Transport$/ }, () => ({ path: own('worker/no-transport') }))
    },
  }
}

/**
 * The numbering plans of all countries are 150 KB of nested arrays: V8 reads them many times faster as a text, and most
 * starts do not need them at all.
 */
const lazyNumberingPlans: Plugin = {
  name: 'lazy numbering plans',
  setup({ onLoad }) {
    onLoad({ filter: /libphonenumber-js[\\/]metadata\.max\.json\.js$/ }, async ({ path }) => {
      const text = readFileSync(path.replace(/\.js$/, ''), 'utf8')
      const keys = Object.keys(JSON.parse(text) as object)
      const getters = keys.map((key) => `get ${key}() { return plans().${key} },`).join('\n')
      const contents = `let read
const plans = () => read ??= JSON.parse(${JSON.stringify(text)})
export default {\n${getters}\n}`
      return { contents, loader: 'js', resolveDir: dirname(path) }
    })
  },
}

/** Node's modules are those of the runtime. CommonJS asks for them by `require`, which only a bundle knows. */
const builtins: Plugin = {
  name: 'builtins',
  setup({ onResolve, onLoad }) {
    const names = new Set(builtinModules)
    onResolve({ filter: /^(?:node:)?[\w/]+$/ }, ({ path, kind, namespace }) => {
      const name = path.replace(/^node:/, '')
      if (!names.has(name)) return undefined
      if (kind === 'require-call' && namespace !== 'builtin') return { path: name, namespace: 'builtin' }
      return { path: `node:${name}`, external: true }
    })
    onLoad({ filter: /.*/, namespace: 'builtin' }, ({ path }) => ({
      contents: `import lib from 'node:${path}'\nmodule.exports = lib`,
      loader: 'js',
    }))
  },
}
