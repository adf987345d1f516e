import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { read, root } from './checkout.ts'

/** A project as an operator has it, bundled by wrangler with this checkout's settings, as it would be deployed. */

export const WRANGLER = join(root, 'node_modules/wrangler/bin/wrangler.js')

export interface WorkerBundle extends Disposable {
  /** Of all that would be deployed. */
  folder: string
  /** Names of the modules in it, the first of them the one that the others are loaded from. */
  modules: readonly string[]
  /** Of all modules, one after the other. */
  text: string
  /** Names of the modules that are evaluated at the start. */
  atStart: ReadonlySet<string>
  /** Paths of what it was made from, with the bytes that are left of each. */
  parts: ReadonlyMap<string, number>
  /** Those of them that are evaluated at the start. */
  partsAtStart: readonly string[]
}

const MAIN = 'worker.mjs'

/** `config`: the text of `cordboard.config.ts`. */
export async function bundleWorker(config: string): Promise<WorkerBundle> {
  const folder = mkdtempSync(join(tmpdir(), 'cordboard-worker-'))
  const remove = () => rmSync(folder, { recursive: true, force: true })
  try {
    writeFileSync(join(folder, 'cordboard.config.ts'), config)
    writeFileSync(join(folder, 'wrangler.toml'), workerSettings())
    const args = [WRANGLER, 'deploy', '--dry-run', '--outdir', 'out']
    await promisify(execFile)(process.execPath, args, { cwd: folder, env: offline(folder) })
    const out = join(folder, 'out')
    const others = readdirSync(out).filter((file) => file.endsWith('.mjs') && file !== MAIN)
    const modules = [MAIN, ...others.sort()]
    const { outputs }: Meta = JSON.parse(readFileSync(join(folder, '.cordboard/worker.meta.json'), 'utf8'))
    const atStart = loadedWith(MAIN, outputs)
    const parts = new Map<string, number>()
    const partsAtStart: string[] = []
    for (const [name, { inputs }] of Object.entries(outputs)) {
      for (const [path, { bytesInOutput }] of Object.entries(inputs))
        parts.set(path, (parts.get(path) ?? 0) + bytesInOutput)
      if (atStart.has(basename(name))) partsAtStart.push(...Object.keys(inputs))
    }
    return {
      folder: out,
      modules,
      text: modules.map((name) => readFileSync(join(out, name), 'utf8')).join('\n'),
      atStart,
      parts,
      partsAtStart,
      [Symbol.dispose]: remove,
    }
  } catch (error) {
    remove()
    throw error
  }
}

interface Meta {
  outputs: Record<
    string,
    {
      inputs: Record<string, { bytesInOutput: number }>
      imports: { path: string; kind: string }[]
    }
  >
}

/** A module with all that it imports by statement, and so on. */
function loadedWith(name: string, outputs: Meta['outputs']): Set<string> {
  const imports = new Map(Object.entries(outputs).map(([path, { imports }]) => [basename(path), imports]))
  const loaded = new Set([name])
  for (const module of loaded) {
    for (const { path, kind } of imports.get(module) ?? [])
      if (kind === 'import-statement' && imports.has(basename(path))) loaded.add(basename(path))
  }
  return loaded
}

/** wrangler.toml, seen from another folder. */
export function workerSettings(): string {
  const command = `${process.execPath} ${join(root, 'bin/cordboard.js')}`
  const text = read('wrangler.toml')
    .replace('npx cordboard', command)
    .replace(/^watch_dir = .*\n/m, '')
  return text.replaceAll('"./src/', `"${root.replace(/\/?$/, '/')}src/`)
}

/** Without a look into the network, a count of its use, or a trace in the home folder. */
export function offline(folder: string): NodeJS.ProcessEnv {
  return {
    ...process.env,
    CLOUDFLARE_CF_FETCH_ENABLED: 'false',
    WRANGLER_SEND_METRICS: 'false',
    XDG_CONFIG_HOME: join(folder, 'wrangler'),
  }
}

/** A phone system, an analysis service and a CRM: the size and the start of a Worker are told for these three. */
export const THREE_CONNECTORS = `import { defineConfig, secret } from 'cordboard'

export default defineConfig({
  publicUrl: 'https://calls.example.com',
  connections: {
    phone: {
      use: 'twilio',
      accountSid: 'AC00000000000000000000000000000000',
      authToken: secret('TWILIO_AUTH_TOKEN'),
    },
    xosum: { use: 'xosum', apiKey: secret('XOSUM_API_KEY') },
    crm: { use: 'hubspot', token: secret('HUBSPOT_TOKEN') },
  },
  flows: [{ from: ['phone'], when: (call) => (call.talkMs ?? 0) > 15_000, analyze: ['xosum'], write: ['crm'] }],
})
`
